/* Callers: virtual clients whose whole history is judged.
 *
 * Each sends one to a few commands at a time to a node, through the real parser, waits for the
 * answers, thinks, and goes on; where a connection ends it takes another node. They use all
 * commands on few keys: values that tell their writer, counters, comparisons with versions seen,
 * times to live, flushes. Some writes carry a request id: these are repeated, on any node, until
 * they have a definite answer; and some that have one are repeated much later, and must be answered
 * the same.
 *
 * What must hold at once: one answer a request, in time, of a kind that fits, and none that nobody
 * asked for. Everything else is the history's (history.h) to judge. */
#ifndef DHT_TESTS_SIM_CALLERS_H
#define DHT_TESTS_SIM_CALLERS_H

#include "tests/sim/history.h"

struct caller;

struct callers_options {
    uint32_t count;
    uint32_t key_count;
    uint32_t slot_count;
    uint32_t ops;       /* operations begun at most; 0: any number */
    uint32_t think_ms;  /* between two batches, at most */
    uint32_t ids_of_10; /* of ten writes, so many carry a request id; 0: none */
    bool has_cold_keys; /* every second key is asked for a tenth as often as the others */
    bool has_flushes;   /* flush_all, now and then */
    bool has_delays;    /* of those some with a delay */
    bool has_ttl;       /* times to live, now and then */
    bool is_pressing;   /* many large values, for which memory has to be found each time */
    bool is_simple;     /* a few commands only: get, set, incr, delete, add */
};

struct callers {
    struct world *world;
    struct callers_options options;
    struct history history;
    struct caller *list;
    bool is_paused;
    uint64_t next_number;               /* of writes: values name theirs */
    uint64_t next_id;                   /* of request ids */
    uint64_t begun;                     /* operations */
    uint64_t open;                      /* begun and not ended */
    uint64_t seen[HISTORY_KEYS_MAX][4]; /* versions told last, of each key */
    uint64_t ended[LINEAR_KINDS][LINEAR_OUTCOMES];
    uint64_t retries;       /* repeated because the outcome was not known */
    uint64_t retries_ended; /* of them, those that had a definite answer then */
    uint64_t repeats;       /* repeated although the answer was known, and answered the same */
    uint64_t full;          /* refused for want of memory */
    /* Told of every version that an answer showed or made, and of which key; NULL: nobody. */
    void (*told)(void *arg, const struct history_key *key, uint64_t version);
    void *arg;
};

/* Callers that begin at once. gives: callers_close. */
struct callers *callers_open(struct world *world, const struct callers_options *options);
void callers_close(struct callers *callers);
/* They begin nothing new; and go on. */
void callers_pause(struct callers *callers);
void callers_resume(struct callers *callers);
/* What is under way is given up: its outcome is unknown. */
void callers_give_up(struct callers *callers);
/* A slot has lost something: answers given before need not be given again. */
void callers_lose(struct callers *callers, uint32_t slot);
/* Operations that ended so, of all kinds. */
uint64_t callers_total(const struct callers *callers, enum linear_outcome outcome);

#endif
