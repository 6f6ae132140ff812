/* Lines of news: what nodes tell each other about members, in the bodies of control messages.
 *
 *     ALIVE|LEFT|REMOVED <name> <boot> <generation> <inc> <hb> <age> <weight> <hops>
 *     SUSPECT|DEAD       the same, then <evidence> <since> <by>
 *     HB <name> <tag> <hb> <age>
 *
 * Each ends in LF and has at most NEWS_LINE_BYTES_MAX bytes with it. proto.md "Membership" is the
 * reference. Parsing is in place and allocates nothing. */
#ifndef DHT_SERVER_CORE_NEWS_H
#define DHT_SERVER_CORE_NEWS_H

#include "common/buf.h"
#include "server/core/detector.h"

#define NEWS_LINE_BYTES_MAX 768u /* two names of the longest, and every number at its longest */
#define NEWS_HOPS_MAX       64u
#define NEWS_HB_MAX         ((uint64_t)INT64_MAX)

/* X(name, rank): the states of a member as its observers see it. Of two accounts of one process
 * those that are final count more, then the higher incarnation, then the higher rank. */
#define MEMBER_STATE_LIST(X)                                                                       \
    X(UNVERIFIED, 0) /* heard of, not reached: stands in no list and on no ring */                 \
    X(ALIVE, 1)                                                                                    \
    X(SUSPECT, 2)                                                                                  \
    X(DEAD, 3)                                                                                     \
    X(LEFT, 4)    /* final: it said so */                                                          \
    X(REMOVED, 5) /* final, and only here: what is remembered of the dead */

enum member_state {
#define MEMBER_STATE_ENUM(name, rank) MEMBER_##name,
    MEMBER_STATE_LIST(MEMBER_STATE_ENUM)
#undef MEMBER_STATE_ENUM
        MEMBER_STATE_COUNT
};

/* "ALIVE", … */
const char *member_state_word(enum member_state state);

struct news {
    bool is_heartbeat;       /* an HB line: name, tag, hb and age only */
    enum member_state state; /* not UNVERIFIED */
    struct span name;        /* borrowed; host:port, normal form */
    uint64_t boot;           /* >= 1 */
    uint64_t generation;
    uint32_t inc;
    uint64_t hb;            /* the highest heartbeat known */
    uint64_t age_ms;        /* since the proof of life behind it */
    uint32_t weight;        /* 1 … VIEW_WEIGHT_MAX */
    uint32_t hops;          /* how often it has been passed on, 0 … NEWS_HOPS_MAX */
    enum evidence evidence; /* SUSPECT, DEAD: of what kind */
    uint64_t since_ms;      /* since the suspicion began */
    struct span by;         /* borrowed; who reports it; "-": nobody in particular */
    uint16_t tag;           /* HB: the low 16 bits of the boot */
};

enum news_parse {
    NEWS_DONE, /* one line was taken */
    NEWS_END,  /* no more lines */
    NEWS_SKIP, /* a line of an unknown word was taken: a later version's */
    NEWS_BAD   /* the line is malformed */
};

/* The age told of a last proof of life: 0 as its moment is none that anybody knows. */
#define NEWS_AGE_UNKNOWN_MS (1ull << 40)
static inline uint64_t news_age_ms(uint64_t proof_ms, uint64_t now_ms)
{
    if (proof_ms == 0)
        return NEWS_AGE_UNKNOWN_MS;
    return now_ms > proof_ms ? now_ms - proof_ms : 0;
}

/* Takes the next line off the front of body. */
enum news_parse news_parse(struct span *body, struct news *news);
/* Appends the line. Fields must be within their bounds (CHECKed). */
void news_append(struct buf *out, const struct news *news);

#endif
