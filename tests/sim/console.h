/* One client that asks one question at a time and waits for the answer: for scenarios that are told
 * step by step. */
#ifndef DHT_TESTS_SIM_CONSOLE_H
#define DHT_TESTS_SIM_CONSOLE_H

#include "tests/sim/heard.h"
#include "tests/sim/world.h"

#define CONSOLE_LIMIT_MS 1200u /* op-timeout, and what comes beside it */

struct console {
    struct world *world;
    uint32_t machine;
    struct sock *sock; /* to node; NULL: there is none */
    uint32_t node;
    uint32_t starts; /* of the node's processes: the one it is connected to */
    bool is_ended;
    struct buf in;
    uint64_t took_us; /* until the last answer was there, or was given up */
};

/* machine: which of the world's clients. */
void console_init(struct console *console, struct world *world, uint32_t client);
void console_close(struct console *console);
/* Sends text, lines with their ends, to a node, and lets time pass until its first answer is there:
 * HEARD_MORE if it is not within limit_ms, HEARD_BAD if there is no connection or it ends. Spans
 * borrow until the next question. Of a get the value is the answer, or END. */
struct heard console_ask(struct console *console, uint32_t node, uint64_t limit_ms,
                         const char *format, ...) PRINTF_LIKE(4, 5);

/* Asks for a key's value by get: HEARD_VALUE, HEARD_END, or what else was said. */
struct heard console_get(struct console *console, uint32_t node, const char *key);
struct heard console_set(struct console *console, uint32_t node, const char *key,
                         const char *value);

#endif
