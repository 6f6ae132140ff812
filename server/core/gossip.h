/* Gossip: who is a member of the cluster and who is alive; proto.md "Membership" as messages and
 * timers.
 *
 * Each round asks one member for what it knows (pull), tells it this node's news in the same breath
 * (push), and takes its answer as proof of life; news that cannot wait is pushed at once. The
 * judgement is spread over four modules: members (who is known, what beats what), detector (how
 * long a suspicion lasts), rumor (what is to be told how often), targets (whom to ask next). This
 * one drives them on the control lane of links.
 *
 * Nothing here decides who owns a key: node asks for the ring's members. Nothing calls upwards:
 * node polls. No clock: gossip_tick is due at gossip_deadline, and every event brings the time. */
#ifndef DHT_SERVER_CORE_GOSSIP_H
#define DHT_SERVER_CORE_GOSSIP_H

#include "common/member_list.h"
#include "common/prng.h"
#include "server/core/detector.h"
#include "server/core/gossip_options.h"
#include "server/core/links.h"
#include "server/core/members.h"
#include "server/core/rumor.h"
#include "server/core/targets.h"

/* What a gossip is made of. Everything is borrowed until gossip_close. */
struct gossip_setup {
    const char *strategy;     /* "random": a name that targets_find knows (CHECKed) */
    const struct view *seeds; /* peers.txt: may lack this node's own name, may be empty */
    uint32_t weight;          /* on the ring, 1 … VIEW_WEIGHT_MAX */
    struct gossip_options options;
    struct links *links; /* its identity says who this node is; boot is raised there */
    const struct env *env;
    struct log *log;
    struct stats *stats;
    uint64_t seed; /* of this module's random choices */
};

#define OWN_PROBES_MAX    32u /* what this node finds out for itself, at a time */
#define HELP_PROBES_MAX   32u /* and for others; one more is answered "unknown" */
#define PROBES_MAX        (OWN_PROBES_MAX + HELP_PROBES_MAX)
#define HELPERS           3u /* asked about a member that is mute here */
#define LEAVE_TOLD_RANDOM 4u /* who leaves tells its watchers, and so many others */
#define LEAVE_TOLD_MAX    (WATCHERS + LEAVE_TOLD_RANDOM)
#define JOIN_DIALS_MAX    3u /* seeds dialled at once while joining */

enum probe_kind {
    PROBE_EXCHANGE, /* a question for its list */
    PROBE_CHECK,    /* after its connection ended: does it still answer? */
    PROBE_HELP      /* the same for another node */
};

/*     FREE --ask--> ASKED --no answer, refused--> INDIRECT --findings, time--> FREE
 *           look later      ^ ^ |                                  (with a verdict)
 *            '--> WAITING --' | '-- connection broke --> WAITING
 *     A direct message of the target frees its probes in any stage. */
enum probe_stage {
    PROBE_FREE,
    PROBE_WAITING, /* to ask, or to ask again */
    PROBE_ASKED,   /* for its answer */
    PROBE_INDIRECT /* for the helpers' */
};

/* What this node is finding out about one member. */
struct probe {
    enum probe_kind kind;
    enum probe_stage stage;
    struct account *target;
    uint64_t number;   /* of its last question */
    uint64_t due_ms;   /* when to look at it next */
    uint64_t end_ms;   /* ASKED: when the answer is late */
    uint64_t nudge_ms; /* ASKED, INDIRECT: when to send something behind what may be lost */
    uint32_t nudges;   /* so often */
    uint32_t breaks;   /* connections that broke under it */
    uint32_t redials;  /* so often its connection was slow, and has been tried anew */
    enum evidence own; /* INDIRECT */
    uint32_t helper_count;
    uint32_t helpers[HELPERS]; /* peers */
    enum finding findings[HELPERS];
    uint32_t asker;    /* HELP: the peer that wants to know, */
    uint64_t asked_as; /* and its number */
};

/* A line of peers.txt that is not this node. */
struct seed {
    const char *name; /* borrowed */
    bool is_dialled;  /* joining: it is being tried */
    bool is_tried;    /* joining: it has answered or failed */
    uint64_t number;  /* of the question it was asked */
};

struct gossip {
    struct members members;
    struct rumors rumors;
    struct targets targets;
    const struct strategy *strategy;
    struct isolation isolation;
    struct prng prng;
    struct gossip_options options;
    struct links *links; /* borrowed, as the next three */
    const struct env *env;
    struct log *log;
    struct stats *stats;

    struct account **by_peer; /* by links' index; NULL: none, or not looked up yet */
    uint32_t by_peer_capacity;
    struct seed *seeds;
    uint32_t seed_count;
    uint32_t seed_next;              /* whose turn it is */
    struct probe probes[PROBES_MAX]; /* own ones, then those for others */

    uint64_t number; /* of the last question */
    uint64_t round;
    uint64_t tick_ms;         /* of the last tick; 0: there was none */
    uint64_t due_ms;          /* when the next was wanted, as the last one saw it */
    uint64_t stop_ms;         /* so late was the last tick: this process was stopped; else 0 */
    uint64_t unread_until_ms; /* after a long stop: connections may still wait to be accepted */
    uint64_t round_ms;        /* when the next round is due */
    uint64_t suspect_ms;      /* the earliest end of a suspicion; UINT64_MAX: none */
    uint64_t rejoin_ms;       /* when to try one who is not there */
    uint32_t rejoin_pause_ms;
    uint64_t self_until_ms; /* joining: for whoever answers under the own name; 0: over */
    uint64_t join_until_ms;
    uint64_t whole_ms;          /* when all pauses between whole lists asked for are over */
    uint64_t isolated_since_ms; /* 0: it is not */
    uint64_t answered_ms;       /* a direct message came */
    uint64_t leave_until_ms;    /* 0: is not leaving */
    uint64_t leave_number;
    uint32_t leave_peers[LEAVE_TOLD_MAX]; /* told that this node leaves, and not heard of since */
    uint32_t leave_waits;                 /* so many of them */
    struct account *recheck;              /* to be asked in the next round, out of turn */
    uint32_t sweep_at;   /* members: where the next look for those to watch goes on */
    uint32_t dialled_up; /* control links of this node's own that are up */
    uint8_t health;
    bool is_whole_vain; /* the last whole list has not made the views the same */
    bool has_joined;
    bool no_pushes; /* see gossip_cripple */
    bool no_doubts;
    bool has_left;
    bool is_duplicate;
    struct buf body; /* scratch: lines under construction */
};

void gossip_init(struct gossip *gossip, const struct gossip_setup *setup);
void gossip_close(struct gossip *gossip);

/* --- events ----------------------------------------------------------------------------------- */

/* A link of LANE_CONTROL or LANE_SELF has come up or ended: every link_news of those lanes. */
void gossip_link(struct gossip *gossip, const struct link_news *news, struct moment now);
/* Another process answers at peer's address, as a link of LANE_DATA has found: is the member gone?
 * Whoever has found that for itself reports it, and three such reports outweigh that it was silent.
 */
void gossip_stranger(struct gossip *gossip, uint32_t peer, struct moment now);
/* A message of a control connection that is up (message.kind from GET_MEMBERSHIP_LIST on). What is
 * to be answered is appended to out, the connection it came on.
 * errors  ERR_SYNTAX: a malformed line, or a message out of place: the link is to be ended. */
MUST_USE enum err gossip_message(struct gossip *gossip, uint32_t peer,
                                 const struct message *message, struct reply *out,
                                 struct moment now);
/* peers.txt has been read anew: its lines are where others are looked for from now on, at once.
 * seeds: borrowed in place of the old ones. */
void gossip_seed(struct gossip *gossip, const struct view *seeds, struct moment now);
/* Does what is due. The first call begins to join. */
void gossip_tick(struct gossip *gossip, struct moment now);
/* When gossip_tick wants to be called next, mono ms. May have passed; 0 before the first tick. */
uint64_t gossip_deadline(const struct gossip *gossip);

/* --- questions -------------------------------------------------------------------------------- */

/* Whether the members on the ring, or their weights, have changed since this was last asked. */
bool gossip_take_changed(struct gossip *gossip);
/* The members on the ring, in name order: this node (until it has left), those ALIVE and those
 * SUSPECT. view: out, gives (view_close); without members if this node has left and was the last.
 */
void gossip_ring_view(const struct gossip *gossip, struct view *view);
/* Whether it is known that nobody else answers under this node's name: before, it is nobody. */
bool gossip_has_begun(const struct gossip *gossip);
/* Looks for a node that may be there: dials it, and asks for its list. */
void gossip_try(struct gossip *gossip, const char *name, struct moment now);
/* Nobody who stands in this view is forgotten from now on: else one that was removed long ago would
 * be unknown again, and expected. */
void gossip_keep(struct gossip *gossip, const struct view *view);
/* A member of the view that is unknown here: from now on it is ALIVE, though nobody has heard of
 * it, and is probed at once. */
void gossip_expect(struct gossip *gossip, const char *name, uint64_t boot, uint64_t generation,
                   uint32_t weight, struct moment now);
/* A connection that was silent for so long is not to be read any more: what comes may be as old,
 * and would be taken for younger. Half of the age that an account may have to prove a life. */
uint64_t gossip_silence_ms(const struct gossip *gossip);
/* Whether the first attempt to join is over: a seed has answered with its list, or every seed has
 * failed once, or join_ms have passed, or there is no other seed. Then it stays true. */
bool gossip_has_joined(const struct gossip *gossip);
/* The boot below which a process of that name is refused: that of the member of this name that is
 * ALIVE or SUSPECT here, else 0. */
uint64_t gossip_boot_of(const struct gossip *gossip, struct span name);
/* Another process answers under this node's name, or has been started later: node is to end. */
bool gossip_is_duplicate(const struct gossip *gossip);
/* Members by state, as listed. */
uint32_t gossip_count(const struct gossip *gossip, enum member_state state);
/* The list for people and tools. list: out, gives (member_list_close); ring fields are left 0. */
void gossip_list(const struct gossip *gossip, struct member_list *list, struct moment now);
/* Asserts what holds between ticks: for tests. */
void gossip_check(const struct gossip *gossip);
/* Takes a part away, to see what the others do alone: for tests.
 * no_pushes  nothing is told but in answers to questions, and of itself
 * no_doubts  a question without an answer is no reason to suspect anybody: T_fail is left */
void gossip_cripple(struct gossip *gossip, bool no_pushes, bool no_doubts);

/* --- leaving ---------------------------------------------------------------------------------- */

/* Says LEAVE, once; from now on this node is on nobody's ring. */
void gossip_leave(struct gossip *gossip, struct moment now);
/* Whether all who were told have acknowledged that or are gone, or leave_ms have passed. */
bool gossip_has_left(const struct gossip *gossip, struct moment now);

#endif
