/* Logging: one line an event, `time level node event key=value…`, into a sink.
 *
 * Never values, never whole keys at info. The time comes from the caller's moment, so that the
 * simulator's lines carry virtual time. Rate limit, unless is_complete: at most
 * LOG_LINES_PER_SECOND_MAX lines of an event a second, so that a flood of one, as of a node's links
 * when it joins forty others, hides no other; what is dropped is counted and said in the next line
 * that passes. */
#ifndef DHT_COMMON_LOG_H
#define DHT_COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
#define LOG_LINES_PER_SECOND_MAX 100u
#define LOG_EVENT_GROUPS         64u /* events of one group, by a hash, count together */

struct log {
    enum log_level level; /* lines above it are dropped */
    char node[64];        /* short name of this node, stands in every line */
    void (*sink)(void *arg, const char *line, size_t len); /* line ends in '\n' */
    void *arg;
    bool is_complete;                 /* nothing is dropped, however much there is */
    uint64_t second;                  /* rate limit: the second counted in, mono */
    uint32_t lines[LOG_EVENT_GROUPS]; /* in it */
    uint64_t dropped;                 /* not yet told */
};

/* Writes one line. event: one lower-case word with dashes. format: the rest, key=value pairs; the
 * caller quotes what may hold spaces with log_quote. */
void log_line(struct log *log, struct moment now, enum log_level level, const char *event,
              const char *format, ...) PRINTF_LIKE(5, 6);
/* Makes text safe for a line: copies at most size-1 bytes, control characters, spaces, quotes and
 * non-ASCII as \xNN; cut with … where too long. Returns out. */
const char *log_quote(const char *text, size_t len, char *out, size_t size);
/* The same, but spaces stay: for what stands between quotes, or at a line's end. */
const char *log_words(const char *text, size_t len, char *out, size_t size);
/* A sink that writes to stderr. */
void log_sink_stderr(void *arg, const char *line, size_t len);

#endif
