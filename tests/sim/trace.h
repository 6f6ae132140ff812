/* What a simulation tells: the nodes' log lines and the world's own, each with its virtual time.
 *
 * The last ones are kept for when something fails; all of them go into a digest, so that two runs
 * of a seed can be compared; listeners see each as it comes. */
#ifndef DHT_TESTS_SIM_TRACE_H
#define DHT_TESTS_SIM_TRACE_H

#include "common/span.h"
#include "tests/sim/vclock.h"

#include <stdio.h>

#define TRACE_KEPT_LINES     200u
#define TRACE_LINE_BYTES_MAX 400u
#define TRACE_LISTENERS_MAX  8u
#define TRACE_WORLD          UINT32_MAX /* not a node: the simulation itself */

struct trace_line {
    uint64_t at_us;
    uint32_t node;      /* its number, from 0; or TRACE_WORLD */
    struct span event;  /* one word */
    struct span fields; /* key=value … */
};

struct trace_listener {
    void (*hear)(void *arg, const struct trace_line *line);
    void *arg;
};

struct trace {
    const struct vclock *clock; /* borrowed */
    FILE *echo;                 /* every line is printed there; NULL: not */
    uint64_t digest;
    uint64_t line_count;
    struct trace_listener listeners[TRACE_LISTENERS_MAX];
    uint32_t listener_count;
    char kept[TRACE_KEPT_LINES]
             [TRACE_LINE_BYTES_MAX]; /* line_count % TRACE_KEPT_LINES is the next */
};

void trace_init(struct trace *trace, const struct vclock *clock);
void trace_listen(struct trace *trace, void (*hear)(void *arg, const struct trace_line *line),
                  void *arg);
/* A line of a node's log as common/log.h writes it, time first. */
void trace_log_line(struct trace *trace, uint32_t node, struct span text);
/* A line of the simulation's own. */
void trace_say(struct trace *trace, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);
/* Writes a line as people read it, without a line end: names of nodes cut to n1, n2, … */
void trace_format(const struct trace_line *line, char *out, size_t size);
/* The last lines. */
void trace_print_kept(const struct trace *trace, FILE *out);
/* The value of a field of a line, empty if it is not there. */
struct span trace_field(const struct trace_line *line, const char *name);
/* Mixes a number into the digest. */
void trace_mix(struct trace *trace, uint64_t number);

#endif
