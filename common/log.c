#include "common/log.h"

#include "common/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES_MAX 1024u
#define ELLIPSIS       "\xe2\x80\xa6" /* … in UTF-8 */
#define ELLIPSIS_BYTES (sizeof(ELLIPSIS) - 1)

static uint32_t group_of(const char *event)
{
    uint32_t hash = 0;
    for (; *event; event++)
        hash = hash * 31 + (unsigned char)*event;
    return hash % LOG_EVENT_GROUPS;
}

/* Whether a line of the event may be written in this second; counts it, or counts it as dropped. */
static bool take_permit(struct log *log, const char *event, struct moment now)
{
    uint64_t second = now.mono_ms / 1000;
    if (second != log->second) {
        log->second = second;
        memset(log->lines, 0, sizeof(log->lines));
    }
    uint32_t *lines = &log->lines[group_of(event)];
    if (*lines >= LOG_LINES_PER_SECOND_MAX && !log->is_complete) {
        log->dropped++;
        return false;
    }
    ++*lines;
    return true;
}

/* A line under construction. What does not fit is left out, and is_cut says so. */
struct line {
    char text[LINE_BYTES_MAX];
    size_t len; /* at most sizeof(text) - ELLIPSIS_BYTES - 1: the end is kept for "…\n" */
    bool is_cut;
};

PRINTF_LIKE(2, 0) static void line_vprintf(struct line *line, const char *format, va_list args)
{
    size_t room = sizeof(line->text) - ELLIPSIS_BYTES - 1 - line->len;
    int len = vsnprintf(line->text + line->len, room + 1, format, args);
    CHECK(len >= 0);
    line->is_cut |= (size_t)len > room;
    line->len += (size_t)len > room ? room : (size_t)len;
}

PRINTF_LIKE(2, 3) static void line_printf(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_vprintf(line, format, args);
    va_end(args);
}

/* Time as 2026-11-21T10:58:31.123Z. */
static void line_time(struct line *line, int64_t unix_ms)
{
    int64_t ms = unix_ms % 1000;
    if (ms < 0)
        ms += 1000;
    time_t seconds = (time_t)((unix_ms - ms) / 1000);
    struct tm utc;
    CHECK(gmtime_r(&seconds, &utc) != NULL);
    line_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)ms);
}

/* Ends the line. No byte in it may end it earlier: that would forge a line. */
static void line_finish(struct line *line)
{
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->text[i] < ' ')
            line->text[i] = '?';
    if (line->is_cut) {
        memcpy(line->text + line->len, ELLIPSIS, ELLIPSIS_BYTES);
        line->len += ELLIPSIS_BYTES;
    }
    line->text[line->len++] = '\n';
}

void log_line(struct log *log, struct moment now, enum log_level level, const char *event,
              const char *format, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    CHECK((size_t)level < ARRAY_COUNT(names));
    if (level > log->level || !take_permit(log, event, now))
        return;
    struct line line = {.len = 0};
    line_time(&line, now.unix_ms);
    line_printf(&line, " %s %s %s", names[level], log->node[0] ? log->node : "-", event);
    if (log->dropped > 0)
        line_printf(&line, " dropped_lines=%llu", (unsigned long long)log->dropped);
    log->dropped = 0;
    if (format[0])
        line_printf(&line, " ");
    va_list args;
    va_start(args, format);
    line_vprintf(&line, format, args);
    va_end(args);
    line_finish(&line);
    log->sink(log->arg, line.text, line.len);
}

/* first: the lowest character that stays as it is. */
static const char *quote(const char *text, size_t len, unsigned char first, char *out, size_t size)
{
    CHECK(size > ELLIPSIS_BYTES);
    size_t at = 0;
    size_t whole = 0; /* the longest prefix behind which the ellipsis still fits */
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_plain = c >= first && c < 0x7f && c != '"' && c != '\'' && c != '\\';
        if (at + ELLIPSIS_BYTES < size)
            whole = at;
        if (at + (is_plain ? 1 : 4) >= size) {
            memcpy(out + whole, ELLIPSIS, ELLIPSIS_BYTES + 1);
            return out;
        }
        if (is_plain)
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, 5, "\\x%02x", (unsigned)c);
    }
    out[at] = '\0';
    return out;
}

const char *log_quote(const char *text, size_t len, char *out, size_t size)
{
    return quote(text, len, ' ' + 1, out, size);
}

const char *log_words(const char *text, size_t len, char *out, size_t size)
{
    return quote(text, len, ' ', out, size);
}

void log_sink_stderr(void *arg, const char *line, size_t len)
{
    (void)arg;
    fwrite(line, 1, len, stderr);
}
