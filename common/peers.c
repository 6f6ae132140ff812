#include "common/peers.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/digest.h"
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A member while the file is read: where it stood, for the message about its double. */
struct entry {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint32_t line;
};

PRINTF_LIKE(3, 4)
static void explain(struct peers_error *error, uint32_t line, const char *format, ...)
{
    error->line = line;
    size_t at = (size_t)snprintf(error->text, sizeof(error->text), "line %u: ", line);
    va_list args;
    va_start(args, format);
    vsnprintf(error->text + at, sizeof(error->text) - at, format, args);
    va_end(args);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the next line off text, gives it without its end, comment and surrounding blanks. */
static struct span take_line(struct span *text)
{
    const char *end = memchr(text->data, '\n', text->len);
    struct span line = span_of(text->data, end ? (size_t)(end - text->data) : text->len);
    size_t taken = line.len + (end != NULL);
    *text = span_of(text->data + taken, text->len - taken);
    const char *comment = line.len ? memchr(line.data, '#', line.len) : NULL;
    if (comment)
        line.len = (size_t)(comment - line.data);
    while (line.len > 0 && is_blank(line.data[line.len - 1]))
        line.len--;
    while (line.len > 0 && is_blank(line.data[0]))
        line = span_of(line.data + 1, line.len - 1);
    return line;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

static enum err parse_entry(struct span text, uint32_t line, struct entry *entry,
                            struct peers_error *error)
{
    struct address address;
    const char *why;
    enum err err = address_parse(text, &address, &why);
    if (err) {
        char quoted[64];
        explain(error, line, "%s: %s", log_quote(text.data, text.len, quoted, sizeof(quoted)), why);
        return err;
    }
    address_format(&address, entry->name);
    entry->line = line;
    return ERR_OK;
}

/* How many entries text can have at most: one a line. */
static size_t entry_count_max(struct span text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len && count < VIEW_MEMBERS_MAX; i++)
        count += text.data[i] == '\n';
    return count;
}

/* Reads every line into entries, of which there is room for entry_count_max. */
static enum err parse_lines(struct span text, struct entry *entries, uint32_t *count,
                            struct peers_error *error)
{
    *count = 0;
    for (uint32_t number = 1; text.len > 0; number++) {
        struct span line = take_line(&text);
        if (line.len == 0)
            continue;
        if (*count == VIEW_MEMBERS_MAX) {
            explain(error, number, "more than %u nodes", VIEW_MEMBERS_MAX);
            return ERR_TOO_LARGE;
        }
        enum err err = parse_entry(line, number, &entries[*count], error);
        if (err)
            return err;
        (*count)++;
    }
    return ERR_OK;
}

/* Whether two of the sorted entries have one name; the earliest repetition is named. */
static enum err refuse_doubles(const struct entry *entries, uint32_t count,
                               struct peers_error *error)
{
    const struct entry *blamed = NULL;
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(entries[i].name, entries[i - 1].name) == 0 &&
            (!blamed || entries[i].line < blamed->line))
            blamed = &entries[i];
    if (!blamed)
        return ERR_OK;
    char quoted[64];
    explain(error, blamed->line, "%s is already on line %u",
            log_quote(blamed->name, strlen(blamed->name), quoted, sizeof(quoted)), blamed[-1].line);
    return ERR_SYNTAX;
}

static void fill_view(struct view *view, const struct entry *entries, uint32_t count)
{
    view->epoch = 1;
    view->member_count = count;
    if (count == 0)
        return;
    view->members = calloc(count, sizeof(*view->members));
    CHECK(view->members != NULL);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(view->members[i].name, entries[i].name, sizeof(entries[i].name));
        view->members[i].weight = 1;
    }
}

enum err peers_parse(struct span text, struct view *view, struct peers_error *error)
{
    return peers_parse_first(text, UINT32_MAX, view, error);
}

enum err peers_parse_first(struct span text, uint32_t lines, struct view *view,
                           struct peers_error *error)
{
    *view = (struct view){0};
    struct entry *entries = malloc(entry_count_max(text) * sizeof(*entries));
    CHECK(entries != NULL);
    uint32_t count;
    enum err err = parse_lines(text, entries, &count, error);
    if (!err && count > lines)
        count = lines;
    if (!err) {
        qsort(entries, count, sizeof(*entries), compare_entries);
        err = refuse_doubles(entries, count, error);
    }
    if (!err)
        fill_view(view, entries, count);
    free(entries);
    return err;
}

uint64_t peers_hash(const struct view *view)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (i > 0)
            buf_append(&text, "\n", 1);
        buf_append(&text, view->members[i].name, strlen(view->members[i].name));
    }
    struct digest digest;
    digest_of(buf_span(&text), &digest);
    buf_close(&text);
    return digest_position(&digest);
}

uint32_t peers_find(const struct view *view, const char *name)
{
    uint32_t low = 0;
    uint32_t high = view->member_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(view->members[middle].name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

/* Whether the host of a name in normal form is an IP address. */
static bool is_numeric(const char *name, const char *colon)
{
    return name[0] == '[' || strspn(name, "0123456789.") == (size_t)(colon - name);
}

bool peers_may_be(const struct view *view, const char *address)
{
    const char *port = strrchr(address, ':');
    for (uint32_t i = 0; port && i < view->member_count; i++) {
        const char *name = view->members[i].name;
        const char *colon = strrchr(name, ':');
        if (colon && strcmp(colon, port) == 0 &&
            (!is_numeric(name, colon) || strcmp(name, address) == 0))
            return true;
    }
    return false;
}
