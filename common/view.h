/* A view: the members of a cluster as one immutable value, numbered (its epoch).
 *
 * The views of a cluster are agreed by its nodes (server/core/views.h); whoever has one computes
 * the same ring from it (ring.h). The same struct, without the fields of a cluster, holds what a
 * client knows of the ring, and the lines of peers.txt: there every member is full and up.
 *
 * Members stand in the order of name, boot, generation. A name may stand more than once: a
 * generation that is lost beside the one that runs now. At most one of them is full.
 *
 * As text, one view is
 *
 *     view <epoch> <base> <cluster id> <copies> <strategy> <members>
 *     <name> <generation> <boot> <seat> <weight> <role> <standing> <flags> <up since>     (each)
 *
 * or, after the view before it, only what differs from that:
 *
 *     next <epoch> <base> <lines>
 *     - <name> <generation>                 (who is out)
 *     <a member's line, as above>           (who is new, or is not as before)
 *
 * Lines end in LF. Ids, generations and seats are 16 hexadecimal digits; flags are "-" or letters:
 * l leaving, v voter. */
#ifndef DHT_COMMON_VIEW_H
#define DHT_COMMON_VIEW_H

#include "common/address.h"
#include "common/buf.h"
#include "common/err.h"

#define VIEW_MEMBERS_MAX        4096u
#define VIEW_WEIGHT_MAX         100u
#define VIEW_VOTERS_MAX         9u
#define VIEW_EPOCH_MAX          ((1u << 23) - 1) /* versions have 23 bits for it */
#define VIEW_ROUND_MAX          (UINT64_MAX - 1) /* of a ballot for the next one */
#define VIEW_COPIES             3u               /* N */
#define VIEW_STRATEGY_BYTES_MAX 32u              /* with NUL */
#define VIEW_LINE_BYTES_MAX     400u             /* a member's */
/* Of one view as text. */
#define VIEW_TEXT_BYTES_MAX ((VIEW_MEMBERS_MAX + 1) * VIEW_LINE_BYTES_MAX)

/* X(NAME, word): full is 0, and up too, so that a zeroed member is both. */
#define MEMBER_ROLE_LIST(X)                                                                        \
    X(FULL, "full")     /* holds slots */                                                          \
    X(JOINER, "joiner") /* does not yet */                                                         \
    X(LEAVER, "leaver") /* does no longer */

#define MEMBER_STANDING_LIST(X)                                                                    \
    X(UP, "up")                                                                                    \
    X(DOWN, "down")             /* it leads nothing, and keeps its place */                        \
    X(STOPPING, "stopping")     /* down by its own wish, though it is alive still */               \
    X(SUPERSEDED, "superseded") /* down for good: its name runs with another generation */         \
    X(REPLACED, "replaced")     /* down, and to go out as soon as others have its slots */         \
    X(FORGOTTEN, "forgotten")   /* out by an operator's word: a leaver without a vote */

enum member_role {
#define MEMBER_ROLE_ENUM(name, word) ROLE_##name,
    MEMBER_ROLE_LIST(MEMBER_ROLE_ENUM)
#undef MEMBER_ROLE_ENUM
        ROLE_COUNT
};

enum member_standing {
#define MEMBER_STANDING_ENUM(name, word) STANDING_##name,
    MEMBER_STANDING_LIST(MEMBER_STANDING_ENUM)
#undef MEMBER_STANDING_ENUM
        STANDING_COUNT
};

struct member {
    char name[ADDRESS_TEXT_BYTES_MAX]; /* host:port, normalised (address.h) */
    uint64_t generation;               /* the birth of its data */
    uint64_t boot;                     /* of its process, when it last came into the view */
    uint64_t seat;                     /* its vote, whatever generation runs over its state file */
    uint32_t weight; /* 1 … VIEW_WEIGHT_MAX; so many positions in each slot (ring.h) */
    enum member_role role;
    enum member_standing standing;
    bool is_leaving;   /* it has asked to go out */
    bool is_voter;     /* its seat is one of F(e) */
    uint32_t up_since; /* the epoch since which it is up; 0 while it is not */
};

struct view {
    uint32_t epoch;      /* 1 … VIEW_EPOCH_MAX in a cluster */
    uint32_t base;       /* every slot has been active in some epoch from here on */
    uint64_t cluster_id; /* drawn by view 1; never 0 */
    uint32_t copies;     /* N */
    char strategy[VIEW_STRATEGY_BYTES_MAX]; /* of gossip; the cluster's */
    uint32_t member_count;                  /* at most VIEW_MEMBERS_MAX */
    struct member *members;                 /* owned */
};

/* "full", …, "up", … */
const char *member_role_word(enum member_role role);
const char *member_standing_word(enum member_standing standing);

/* The role or standing of that word. */
MUST_USE bool member_role_parse(struct span word, enum member_role *role);
MUST_USE bool member_standing_parse(struct span word, enum member_standing *standing);

static inline bool member_is_up(const struct member *member)
{
    return member->standing == STANDING_UP;
}

/* Whether it stands on the ring: leads and backs slots, or would if it were up. */
static inline bool member_is_full(const struct member *member)
{
    return member->role == ROLE_FULL;
}

/* The order of members: negative, 0, positive. */
int member_compare(const struct member *a, const struct member *b);

/* Whether both place every slot alike: the same full members with the same weights, up and down. */
bool view_equal(const struct view *a, const struct view *b);
/* The index of a member, or VIEW_NOBODY. */
uint32_t view_find(const struct view *view, struct span name, uint64_t generation);
/* The index of the full member of that name, or VIEW_NOBODY. */
uint32_t view_find_full(const struct view *view, struct span name);
#define VIEW_NOBODY UINT32_MAX
/* Whether a cluster may have it: what the fields' comments say, one member at least full, at most
 * one of a name, 1 … VIEW_VOTERS_MAX voters among those full and leavers, no seat twice. */
bool view_is_valid(const struct view *view);
/* A copy. out: gives. */
void view_copy(const struct view *view, struct view *out);
/* Adds a member in its place (copied); it must not be there. */
void view_add(struct view *view, const struct member *member);
/* Takes out the member at index. */
void view_take_out(struct view *view, uint32_t index);
/* Sets who votes: the seats of all full members and leavers (but the forgotten) if they are at most
 * VIEW_VOTERS_MAX, else of so many of them: those up since the lowest epoch first, then by name. */
void view_elect(struct view *view);
/* Voters, and how many of them are a majority. */
uint32_t view_voter_count(const struct view *view);

/* The next placement, with the same members at the same indices: joiners are full; those leaving or
 * replaced, and those superseded whose next generation is a joiner, are leavers, which stands for
 * out here. Returns whether that differs from the view's own placement.
 * out  gives, if it differs; NULL: the answer alone is wanted. */
bool view_next(const struct view *view, struct view *out);

/* Appends the view as text: what differs from before, or all if before is NULL or not the view
 * before it. The view is valid (CHECKed). */
void view_format(const struct view *view, const struct view *before, struct buf *out);
/* Takes one view off the front of text.
 *
 * before  what a `next` is told from; NULL: nothing is known.
 * view    out, gives; valid.
 * errors  ERR_SYNTAX: no such text, or no valid view. ERR_NOT_FOUND: it is a `next`, and before is
 *         not the view before it. */
MUST_USE enum err view_parse(struct span *text, const struct view *before, struct view *view);

void view_close(struct view *view);

#endif
