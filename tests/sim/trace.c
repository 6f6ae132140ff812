#include "tests/sim/trace.h"

#include "common/check.h"
#include "tests/sim/names.h"

#include <stdarg.h>
#include <string.h>

void trace_init(struct trace *trace, const struct vclock *clock)
{
    *trace = (struct trace){.clock = clock, .digest = 1};
}

void trace_listen(struct trace *trace, void (*hear)(void *arg, const struct trace_line *line),
                  void *arg)
{
    CHECK(trace->listener_count < TRACE_LISTENERS_MAX);
    trace->listeners[trace->listener_count++] = (struct trace_listener){hear, arg};
}

void trace_mix(struct trace *trace, uint64_t number)
{
    trace->digest = (trace->digest ^ number) * 0x9e3779b97f4a7c15u;
    trace->digest ^= trace->digest >> 32;
}

static void mix_bytes(struct trace *trace, struct span bytes)
{
    for (size_t at = 0; at < bytes.len; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t len = bytes.len - at < sizeof(word) ? bytes.len - at : sizeof(word);
        memcpy(&word, bytes.data + at, len);
        trace_mix(trace, word);
    }
}

/* Copies text, every node's name in it cut to its short form. */
static size_t shorten(struct span text, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < text.len && at + 1 < size;) {
        uint32_t number;
        size_t len = name_find(span_of(text.data + i, text.len - i), &number);
        if (len == 0) {
            out[at++] = text.data[i++];
            continue;
        }
        int put = snprintf(out + at, size - at, "n%u", number + 1);
        at = at + (size_t)put < size ? at + (size_t)put : size - 1;
        i += len;
    }
    out[at] = '\0';
    return at;
}

void trace_format(const struct trace_line *line, char *out, size_t size)
{
    char who[16] = "-";
    if (line->node != TRACE_WORLD)
        snprintf(who, sizeof(who), "n%u", line->node + 1);
    int head = snprintf(out, size, "%10.3f %-4s %.*s ", (double)line->at_us / US_PER_S, who,
                        (int)line->event.len, line->event.data);
    CHECK(head > 0);
    CHECK((size_t)head < size);
    size_t len = (size_t)head + shorten(line->fields, out + head, size - (size_t)head);
    while (len > 0 && out[len - 1] == ' ')
        out[--len] = '\0';
}

static void take(struct trace *trace, const struct trace_line *line)
{
    trace_mix(trace, line->at_us);
    trace_mix(trace, line->node);
    mix_bytes(trace, line->event);
    mix_bytes(trace, line->fields);
    char *kept = trace->kept[trace->line_count++ % TRACE_KEPT_LINES];
    trace_format(line, kept, TRACE_LINE_BYTES_MAX);
    if (trace->echo)
        fprintf(trace->echo, "%s\n", kept);
    for (uint32_t i = 0; i < trace->listener_count; i++)
        trace->listeners[i].hear(trace->listeners[i].arg, line);
}

/* The next word of text; text goes on behind it. */
static struct span next_word(struct span *text)
{
    const char *space = memchr(text->data, ' ', text->len);
    struct span word = span_of(text->data, space ? (size_t)(space - text->data) : text->len);
    size_t skip = word.len + (space != NULL);
    *text = span_of(text->data + skip, text->len - skip);
    return word;
}

void trace_log_line(struct trace *trace, uint32_t node, struct span text)
{
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;
    struct trace_line line = {.at_us = trace->clock->now_us, .node = node};
    next_word(&text); /* time */
    next_word(&text); /* level */
    next_word(&text); /* node */
    line.event = next_word(&text);
    line.fields = text;
    take(trace, &line);
}

void trace_say(struct trace *trace, const char *event, const char *format, ...)
{
    char text[TRACE_LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const struct trace_line line = {.at_us = trace->clock->now_us,
                                    .node = TRACE_WORLD,
                                    .event = span_of_string(event),
                                    .fields = span_of_string(text)};
    take(trace, &line);
}

void trace_print_kept(const struct trace *trace, FILE *out)
{
    uint64_t first =
        trace->line_count > TRACE_KEPT_LINES ? trace->line_count - TRACE_KEPT_LINES : 0;
    for (uint64_t i = first; i < trace->line_count; i++)
        fprintf(out, "# %s\n", trace->kept[i % TRACE_KEPT_LINES]);
}

struct span trace_field(const struct trace_line *line, const char *name)
{
    size_t len = strlen(name);
    struct span rest = line->fields;
    while (rest.len > 0) {
        struct span word = next_word(&rest);
        if (word.len > len && word.data[len] == '=' && memcmp(word.data, name, len) == 0)
            return span_of(word.data + len + 1, word.len - len - 1);
    }
    return (struct span){0};
}
