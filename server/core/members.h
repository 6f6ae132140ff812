/* The members as this node sees them: who is known, what of two accounts counts, what has changed.
 *
 * Accounts of one name are ordered, and the greatest counts: (boot, generation), final states, inc,
 * rank of the state, weight. So merging is commutative, associative and idempotent, and whoever has
 * heard the same accounts sees the same. Time adds two rules, which are this node's own: an
 * accusation that is older than the last proof of life is not believed, and a later proof of life
 * cancels a suspicion that was.
 *
 *     (unknown) --account, age < accept--> ALIVE --accused--> SUSPECT --time--> DEAD --time-->
 * REMOVED |                                  ^  ^---- proof, inc ---'             |               |
 *         '--older--> UNVERIFIED --reached---'  ^---- higher inc, age < accept ---'               |
 *                                               ^---- higher boot ----(LEFT too) -----------------'
 *
 * Each record is in one state, lies in that state's list, and is moved by one function. Records
 * live as long as they are remembered; a pointer is good until members_forget or members_expire. */
#ifndef DHT_SERVER_CORE_MEMBERS_H
#define DHT_SERVER_CORE_MEMBERS_H

#include "common/list.h"
#include "common/view.h"
#include "server/core/news.h"

#define TOMBSTONES_MAX VIEW_MEMBERS_MAX /* gossip forgets the oldest of more */
#define NO_PEER        UINT32_MAX

struct account {
    char *name; /* owned */
    uint64_t name_hash;
    uint64_t boot;
    uint64_t generation;
    uint32_t inc;
    enum member_state state;
    uint32_t weight;
    uint64_t hb;                 /* the highest known of this boot */
    uint64_t proof_ms;           /* when it was last known to live */
    uint64_t direct_ms;          /* the same, from itself; at most proof_ms */
    uint64_t state_ms;           /* when it came into its state */
    uint64_t change;             /* this node's number of its last change; 0: stands in no list */
    uint64_t view_share;         /* what it adds to the viewhash */
    struct list by_change;       /* the listed ones, latest change last */
    struct list in_state;        /* UNVERIFIED, SUSPECT, DEAD and LEFT, REMOVED: first in first */
    struct list by_proof;        /* ALIVE, SUSPECT: the one heard of last is last; not self */
    struct suspicion *suspicion; /* owned; SUSPECT and DEAD only */

    uint32_t flap_milli; /* flap score at flap_ms */
    uint64_t flap_ms;
    uint64_t damped_until_ms;

    /* The rest belongs to gossip and targets. */
    uint32_t peer;              /* in links, or NO_PEER */
    uint32_t turn;              /* targets: the cycle in which it was last picked */
    uint64_t cursor_generation; /* whose change numbers cursor counts */
    uint64_t cursor;            /* up to which its changes are known here; 0: none */
    uint64_t asked_number;      /* of the last question for its list; 0: answered */
    uint64_t asked_since;       /* the change after which that asked for more */
    uint64_t asked_ms;          /* when the oldest question not answered yet was asked; 0: none */
    uint64_t whole_ms;          /* it is not asked back for its whole list before */
    uint64_t told_ms;           /* when it was last told how it stands here */
    uint64_t used_ms;           /* when its link was last used */
    uint32_t srtt_ms;           /* 8 × its smoothed round trip; 0: not measured */
    uint8_t chunks;             /* questions in a row since that for its list */
    uint8_t mismatches;         /* exchanges in a row after which the viewhash differed */
    uint8_t failures;           /* UNVERIFIED: failed dials */
    bool has_account;           /* it has this node's own account, over the link there is */
    bool is_watched;            /* this node holds a connection, to see it end */
    bool is_kept;               /* it stands in the view: not forgotten */
};

/* What an account did. */
enum hearing {
    HEARD_NOTHING,    /* known, older, or not believed */
    HEARD_PROOF,      /* nothing but a later proof of life; it may be DEAD here all the same */
    HEARD_CANCELLED,  /* a proof of life that ended a suspicion: the accused is to be told */
    HEARD_NEW,        /* a member that was not there: joined, or back as another process */
    HEARD_RESTARTED,  /* ALIVE or SUSPECT before: another process of its name */
    HEARD_RENEWED,    /* the same process (generation) under a higher boot */
    HEARD_UNVERIFIED, /* a name to be tried */
    HEARD_REFUTED,    /* SUSPECT or DEAD before: it says that it lives */
    HEARD_ALIVE,      /* a higher incarnation of one that was ALIVE */
    HEARD_SUSPECT,    /* now SUSPECT */
    HEARD_REPORT,     /* one more reporter of a suspicion that counts */
    HEARD_CONDEMNED,  /* SUSPECT still, and sooner DEAD: removed elsewhere */
    HEARD_DEAD,
    HEARD_LEFT,
    HEARD_OUTDATED, /* an accusation older than this node's proof: the accused is to be told */
    HEARD_REMOVED,  /* alive, it says, but remembered as dead: the subject is to be told */
    HEARD_SELF,     /* about this node itself: gossip decides */
    HEARD_FULL      /* a new name, but there is no room */
};

struct members {
    const struct gossip_options *options; /* borrowed */
    struct account **all;                 /* by name; owned */
    uint32_t count;
    uint32_t capacity;
    struct account **live; /* those ALIVE and SUSPECT, this node included, by name; borrowed */
    uint32_t live_count;
    uint32_t live_capacity;
    struct account *self;
    uint64_t version;      /* of the last change */
    struct list by_change; /* listed: ALIVE, SUSPECT, DEAD, LEFT */
    struct list by_proof;
    struct list unverified;
    struct list suspects;
    struct list fading;     /* DEAD and LEFT */
    struct list tombstones; /* REMOVED */
    uint32_t in_state[MEMBER_STATE_COUNT];
    uint64_t viewhash; /* XOR over the live ones' view_share: suspicions count, DEAD ones don't */
    bool has_ring_changed; /* who is ALIVE or SUSPECT, or a weight */
};

/* Begins with this node alone. */
void members_init(struct members *members, const struct gossip_options *options, const char *name,
                  uint64_t boot, uint64_t generation, uint32_t weight);
void members_close(struct members *members);
struct account *members_find(const struct members *members, struct span name);

/* This node's place among the live ones; their count if it has left. */
uint32_t members_self_at(const struct members *members);
/* Of a name, for reporters and watchers; the same on every node, never 0. */
uint64_t name_hash(struct span name);
/* The order of accounts: negative, 0, positive as a is less than, the same as, greater than b. */
int account_compare(const struct news *a, const struct news *b);

/* Takes an account (never an HB line) of anybody but self.
 *
 * news      what was heard; its ages count from now_ms.
 * is_direct the subject itself says it, now: an unknown process is accepted whatever its age.
 * record    out: the record it is about; NULL if there is none. */
enum hearing members_hear(struct members *members, const struct news *news, bool is_direct,
                          uint64_t now_ms, struct account **record);
/* Takes a member that is to be there, though nobody has heard of its life: if it is unknown it is
 * ALIVE here, and what is told of it proves nothing to others. Returns its record then, else NULL.
 */
struct account *members_expect(struct members *members, const struct news *news, uint64_t now_ms);
/* Takes an HB line. Returns the record if that cancelled its suspicion, else NULL. */
struct account *members_hear_heartbeat(struct members *members, const struct news *news,
                                       uint64_t now_ms);
/* It lives: a direct exchange with it, now. hb: its own, 0 if it did not say. Returns whether that
 * cancelled a suspicion. */
bool members_prove(struct members *members, struct account *record, uint64_t hb, uint64_t now_ms);

/* This node's own doubt: ALIVE becomes SUSPECT, of a SUSPECT it is one report more. Returns what
 * members_hear would. */
enum hearing members_doubt(struct members *members, struct account *record, enum evidence evidence,
                           uint64_t now_ms);
/* Its time is over: SUSPECT becomes DEAD. */
void members_condemn(struct members *members, struct account *record, uint64_t now_ms);
/* DEAD or LEFT becomes REMOVED. */
void members_remove(struct members *members, struct account *record, uint64_t now_ms);
/* The tombstone, or the UNVERIFIED, is dropped; frees the record. */
void members_forget(struct members *members, struct account *record);

/* This node's own account changes: a higher inc, a higher boot (inc 0), LEFT. */
void members_raise_inc(struct members *members, uint32_t inc);
void members_raise_boot(struct members *members, uint64_t boot);
void members_leave(struct members *members, uint64_t now_ms);

/* Fills a line about record as this node sees it; by: who reports its suspicion, "-" if that is
 * not this node. Borrows the record's name. */
void members_tell(const struct members *members, const struct account *record, uint64_t now_ms,
                  struct news *news);
/* The first listed record changed after version, or NULL; then members_next. */
struct account *members_since(const struct members *members, uint64_t version);
struct account *members_next(const struct members *members, const struct account *record);

bool record_is_live(const struct account *record);
bool record_is_listed(const struct account *record);
bool record_is_damped(const struct account *record, uint64_t now_ms);

/* Bounds that grow with the cluster, see gossip_options.h. */
uint64_t members_fail_ms(const struct members *members);
uint64_t members_accept_ms(const struct members *members);

/* Asserts every invariant: for tests and CHECK_SLOW. */
void members_check(const struct members *members);

#endif
