/* Rumors: news to spread, each a bounded number of times.
 *
 * A rumor is pushed at once to a few members, and then rides on the messages that go out anyway
 * until its sends are spent: 2 × ceil(log2(members + 1)) of them, so that all hear it with high
 * probability; not before it has been pushed. What it was about is told as it was heard; a greater
 * account of the same member takes its place. The queue is bounded: the one told most often gives
 * way. */
#ifndef DHT_SERVER_CORE_RUMOR_H
#define DHT_SERVER_CORE_RUMOR_H

#include "server/core/members.h"

#define RUMORS_MAX           1024u
#define RUMORS_PIGGYBACK_MAX 6u           /* on a message that goes out anyway */
#define RUMORS_PUSH_BYTES    (32u * 1024) /* in one push */

struct rumor {
    struct list link;
    const struct account *about;
    char *by; /* owned; who reports a suspicion; NULL: nobody */
    enum member_state state;
    uint64_t boot;
    uint64_t generation;
    uint32_t inc;
    uint32_t weight;
    uint64_t hb;
    uint64_t proof_ms;
    uint64_t since_ms;
    enum evidence evidence;
    uint32_t hops;
    uint32_t sends;
    bool is_pushed; /* or is not to be */
};

struct rumors {
    struct list queue; /* told least often first */
    uint32_t count;
    uint32_t unpushed;
    uint32_t sends_max; /* of each, in a cluster as large as the last addition saw it */
};

void rumors_init(struct rumors *rumors);
void rumors_close(struct rumors *rumors);

/* Queues news about a record; by is copied. Rumors of smaller accounts of it are dropped. Nothing
 * happens if its hops are spent.
 * members  how many hear it: gives the number of sends and the hops allowed. */
void rumors_add(struct rumors *rumors, const struct account *about, const struct news *news,
                uint32_t members, uint64_t now_ms);
/* Drops the rumors about a record that is to be forgotten. */
void rumors_forget(struct rumors *rumors, const struct account *about);
/* Appends up to max lines, those told least often first, and counts a send of each. */
uint32_t rumors_take(struct rumors *rumors, uint32_t max, uint64_t now_ms, struct buf *out);
/* Appends those not pushed yet, up to RUMORS_PUSH_BYTES; times: to how many they go. */
uint32_t rumors_take_unpushed(struct rumors *rumors, uint32_t times, uint64_t now_ms,
                              struct buf *out);
void rumors_check(const struct rumors *rumors);

#endif
