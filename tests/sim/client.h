/* A virtual client: sends commands to a node through its connection, and judges each answer.
 *
 * It sends a few requests at once, waits for their answers in order, thinks, and goes on; where a
 * connection ends it takes another node. What must hold of every request whose node was not
 * disturbed meanwhile:
 *  - one answer, of a kind that fits the request, and none that nobody asked for;
 *  - in time (patience.h);
 *  - a value only of the key asked for, and only one that somebody has sent for that key;
 *  - a counter is never above the increments sent for it and not refused.
 * Where no data may be lost (is_strict), moreover: no read shows a value after a later write of its
 * key was acknowledged, nor a key without one unless a delete may be the last write. The history of
 * all operations goes to a listener, for oracles that know more. */
#ifndef DHT_TESTS_SIM_CLIENT_H
#define DHT_TESTS_SIM_CLIENT_H

#include "tests/sim/world.h"

#define CLIENT_BATCH_MAX 6u
#define CLIENT_KEYS_MAX  64u

enum op_kind { OP_GET, OP_SET, OP_ADD, OP_DELETE, OP_INCR, OP_GET_TWO, OP_VERSION, OP_KINDS };

enum op_outcome {
    OUTCOME_OPEN, /* no answer yet */
    OUTCOME_DONE, /* carried out, or found as it says */
    OUTCOME_MISS, /* get, delete, incr: nothing there; add: something there */
    OUTCOME_NOT_DONE,
    OUTCOME_UNKNOWN, /* said so, or the connection ended */
    OUTCOMES
};

struct op {
    uint32_t client;
    uint32_t node; /* that was asked */
    enum op_kind kind;
    uint32_t keys[2]; /* OP_GET_TWO has two */
    uint64_t number;  /* of the write, unique; of a get: of the write whose value came, 0: none */
    uint64_t sent_us;
    uint64_t answered_us;
    enum op_outcome outcome;
    uint32_t values;           /* bits: those of keys[] that have come */
    uint64_t superseded_us[2]; /* by key: what ended before this was superseded when it was sent */
};

/* A write that somebody has sent. */
struct written {
    uint8_t key;
    uint64_t end_us; /* when it was answered; UINT64_MAX: not yet, or its outcome is unknown */
};

/* What is known of a key. */
struct key_state {
    uint64_t superseded_us; /* the latest start of an acknowledged write */
    uint64_t absent_us;     /* the latest end of a delete that may have been done; 0: it began so */
    uint32_t open_deletes;  /* sent and not answered */
    uint64_t increments;    /* sent, and not known to have failed */
};

/* What all clients of a world share. */
struct clients {
    struct world *world;
    uint32_t count;
    uint32_t key_count;
    uint32_t think_ms; /* at most, between two batches */
    uint32_t value_bytes_max;
    bool is_strict;  /* no data may be lost */
    bool is_ordered; /* it may, but what has been superseded is not seen again */
    bool is_paused;  /* no new batches */
    struct client *list;
    uint64_t next_number;
    struct written *written; /* by write number; a growing table */
    size_t written_capacity;
    struct key_state keys[CLIENT_KEYS_MAX];
    uint64_t done[OP_KINDS][OUTCOMES];
    void (*listen)(void *arg, const struct op *op); /* may be NULL */
    void *arg;
};

/* Clients that begin at once. gives: clients_close. */
struct clients *clients_open(struct world *world, uint32_t count, uint32_t key_count);
void clients_close(struct clients *clients);
/* They pause, once what they have sent is answered; and go on. */
void clients_pause(struct clients *clients);
void clients_resume(struct clients *clients);
/* Operations that ended so. */
uint64_t clients_total(const struct clients *clients, enum op_outcome outcome);

#endif
