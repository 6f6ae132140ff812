#include "server/core/meta_answer.h"

#include "common/base64.h"
#include "common/check.h"

/* Longer than any answer line without its opaque: the status with a length (13), nine flags with a
 * number (22 each), the key in base64 with " k" and " b", W X Z, the line end. */
#define META_LINE_BYTES_MAX (13 + 9 * 22 + 4 + BASE64_BYTES(KEY_BYTES_MAX) + 6 + 2)

/* Takes the next flag off the front: its letter, or 0 at the end. Arguments are in the request. */
static char flag_take(struct span *flags)
{
    const char *at = flags->data;
    const char *end = at + flags->len;
    while (at < end && *at == ' ')
        at++;
    char letter = at < end ? *at : '\0';
    while (at < end && *at != ' ')
        at++;
    *flags = span_of(at, (size_t)(end - at));
    return letter;
}

uint32_t meta_expiry_after(const struct executor *executor, const struct request *request,
                           bool is_created, uint32_t expires_s)
{
    struct span flags = request->meta_flags;
    for (char letter; (letter = flag_take(&flags)) != '\0';) {
        if (letter == 'T')
            expires_s = executor_expiry(executor, request->exptime);
        else if (letter == 'N' && is_created)
            expires_s = executor_expiry(executor, request->vivify_ttl);
    }
    return expires_s;
}

/* " t" and the seconds left; -1 is never. An expiry already past shows 0. */
static char *ttl_compose(char *to, const struct executor *executor, uint32_t expires_s)
{
    memcpy(to, " t", 2);
    to += 2;
    if (expires_s == STORE_NEVER) {
        memcpy(to, "-1", 2);
        return to + 2;
    }
    return number_format_decimal(to, expires_s > executor->now_s ? expires_s - executor->now_s : 0);
}

/* " k" and the key as the client spelled it; a base64 one is marked with " b". */
static char *key_compose(char *to, const struct request *request)
{
    memcpy(to, " k", 2);
    to += 2;
    if (!request->key_base64) {
        memcpy(to, request->key.data, request->key.len);
        return to + request->key.len;
    }
    to += base64_encode(request->key, to);
    memcpy(to, " b", 2);
    return to + 2;
}

static char *flag_number(char *to, char letter, uint64_t number)
{
    to[0] = ' ';
    to[1] = letter;
    return number_format_decimal(to + 2, number);
}

static char *flag_compose(char *to, const struct executor *executor, const struct request *request,
                          char letter, const struct meta_shown *shown)
{
    switch (letter) {
    case 'O':
        memcpy(to, " O", 2);
        memcpy(to + 2, request->opaque.data, request->opaque.len);
        return to + 2 + request->opaque.len;
    case 'k':
        return key_compose(to, request);
    case 't':
        return ttl_compose(to, executor, shown->expires_s);
    case 's':
        return flag_number(to, letter, shown->value_bytes);
    case 'c':
        return flag_number(to, letter, shown->cas);
    case 'f':
        return flag_number(to, letter, shown->flags);
    case 'l':
        return flag_number(to, letter, shown->idle_s);
    default:
        CHECK(letter == 'h');
        return flag_number(to, letter, shown->was_fetched);
    }
}

char *meta_compose_flags(char *to, const struct executor *executor, const struct request *request,
                         struct meta_shown *shown)
{
    struct span flags = request->meta_flags;
    for (char letter; (letter = flag_take(&flags)) != '\0';) {
        CHECK(letter >= 'A'); /* the parser's promise */
        if (shown->letters & meta_bit(letter)) {
            to = flag_compose(to, executor, request, letter, shown);
        } else if (letter == 'T') {
            shown->expires_s = executor_expiry(executor, request->exptime);
        } else if (letter == 'N' && shown->is_created) {
            shown->expires_s = executor_expiry(executor, request->vivify_ttl);
            shown->has_won = true;
        } else if (letter == 'R' && shown->may_win) {
            uint32_t below_s = executor_expiry(executor, request->recache_ttl);
            shown->has_won |= shown->expires_s != STORE_NEVER && shown->expires_s < below_s;
        }
    }
    return to;
}

char *meta_compose_recache(char *to, uint8_t marks, struct meta_shown *shown)
{
    if (marks & STORE_MARK_WON) {
        memcpy(to, " Z", 2);
        to += 2;
    }
    if (marks & STORE_MARK_STALE) {
        memcpy(to, " X", 2);
        to += 2;
        shown->has_won |= shown->may_win;
    }
    if (shown->has_won) {
        memcpy(to, " W", 2);
        to += 2;
    }
    return to;
}

char *meta_room(struct reply *out, const struct request *request, size_t more_bytes)
{
    return reply_room(out, META_LINE_BYTES_MAX + request->opaque.len + more_bytes);
}

char *meta_compose_end(char *to)
{
    memcpy(to, "\r\n", 2);
    return to + 2;
}

void meta_append_line(struct reply *out, const struct executor *executor,
                      const struct request *request, const char *status, struct meta_shown *shown)
{
    char *start = meta_room(out, request, 0);
    memcpy(start, status, 2);
    char *end = meta_compose_end(meta_compose_flags(start + 2, executor, request, shown));
    reply_advance(out, (size_t)(end - start));
}

void meta_append_bare(struct reply *out, const struct executor *executor,
                      const struct request *request, const char *status)
{
    struct meta_shown shown = {.letters = META_SHOWN_ALWAYS};
    meta_append_line(out, executor, request, status, &shown);
}

char *meta_compose_status(char *to, const struct request *request, size_t value_bytes)
{
    if (!meta_has_flag(request, 'v')) {
        memcpy(to, "HD", 2);
        return to + 2;
    }
    memcpy(to, "VA ", 3);
    return number_format_decimal(to + 3, value_bytes);
}
