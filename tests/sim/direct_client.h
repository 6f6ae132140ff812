/* A virtual client that takes answers directly: it listens at an address of its own, says so to its
 * entry node (return_port), and asks by meta commands, each with an opaque of its own.
 *
 * Each is on a machine of its own. It has a manner, drawn anew with every connection to an entry
 * node: what it does when a node connects to it. What must hold:
 *  - an answer carries an opaque of this client, and fits the request that had it; a value is of
 * the key asked for, and one that somebody has sent for it;
 *  - a write has one answer that says what it did, whatever happens; so has a read, and no error
 *    comes beside an answer, unless something was disturbed (is_whole says);
 *  - a request has an answer in time (patience.h), unless its entry node or the
 *    connection to that was disturbed, or a direct connection may have been lost meanwhile;
 *  - what only the entry node may say does not come directly;
 *  - not a byte comes on a connection on which the token was not said;
 *  - a node dials it at most twice a second, and no address but where it listens. */
#ifndef DHT_TESTS_SIM_DIRECT_CLIENT_H
#define DHT_TESTS_SIM_DIRECT_CLIENT_H

#include "tests/sim/world.h"

/* MANNER(id): what it does when a node connects. */
#define MANNER_LIST(MANNER)                                                                        \
    MANNER(PROMPT) /* says the token at once */                                                    \
    MANNER(LATE)   /* some time later, up to 1.5 s */                                              \
    MANNER(MUTE)   /* says nothing */                                                              \
    MANNER(WRONG)  /* says another token */                                                        \
    MANNER(ABSENT) /* it does not listen */                                                        \
    MANNER(HASTY)  /* as PROMPT, but closes such connections now and then */

enum manner {
#define MANNER_ENUM(id) MANNER_##id,
    MANNER_LIST(MANNER_ENUM)
#undef MANNER_ENUM
        MANNERS
};

/* What all of a world share, and what they count. */
struct direct_clients {
    struct world *world;
    uint32_t count;
    uint32_t manners; /* bits of those that occur */
    bool is_whole;    /* nothing is disturbed: the strictest judgement */
    bool is_off;      /* every node has direct answers off */
    struct direct_client *list;
    uint64_t direct;  /* answers that came directly */
    uint64_t by_node; /* on the connection to the entry node */
    uint64_t errors;  /* not done, outcome unknown */
    uint64_t lost;    /* requests without an answer, which may be */
    uint64_t silent;  /* connections on which the token was not said */
    uint64_t dials;   /* by nodes */
};

/* Clients 0 … count - 1 on the world's client machines of those numbers, that begin at once.
 * gives: direct_clients_close. */
struct direct_clients *direct_clients_open(struct world *world, uint32_t count, uint32_t manners);
void direct_clients_close(struct direct_clients *clients);
/* Something between this client's machine and a node is or was disturbed until now. */
void direct_client_disturb(struct direct_clients *clients, uint32_t number);
/* The entry node it has now, or UINT32_MAX. */
uint32_t direct_client_entry(const struct direct_clients *clients, uint32_t number);

#endif
