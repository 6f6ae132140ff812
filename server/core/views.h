/* Views: the cluster's agreed, numbered configurations (proto.md "Views"). What gossip says
 * of who is alive becomes proposals here; what a majority of those who vote has accepted becomes
 * the next view, and from it alone follows who leads and backs which slot.
 *
 * A node has one view, its current one, that never falls; it keeps those from base on. Whatever it
 * has promised, accepted or adopted is in its state file before it says so. Nothing here moves data
 * or knows of a copy: primary and sync ask which view holds, and report what is active and synced.
 *
 * In each turn: views_message for every message of MESSAGE_GET_VIEWS and above, views_see_epoch for
 * the epoch of every other one, views_tick at views_deadline; then, if views_take_adopted says so,
 * everything of lower epochs is sealed and done anew by views_current. Nothing calls upwards. */
#ifndef DHT_SERVER_CORE_VIEWS_H
#define DHT_SERVER_CORE_VIEWS_H

#include "common/prng.h"
#include "common/ring.h"
#include "server/core/gossip.h"
#include "server/core/links.h"

struct views;

#define VIEWS_WHY_BYTES_MAX 256u /* a reason for people, with NUL */

enum views_on_loss {
    VIEWS_ON_LOSS_RECOVER, /* a slot goes on with the best copy there is */
    VIEWS_ON_LOSS_WAIT     /* it waits for members, or for an operator */
};

struct views_options {
    uint32_t fence_ms;         /* --fence */
    uint32_t recover_after_ms; /* --recover-after */
    uint32_t replace_after_ms; /* --rereplicate-after */
    uint32_t up_after_ms;      /* a member is proposed up again when it was ALIVE for so long */
    enum views_on_loss on_loss;
    bool is_forming; /* --form: view 1 is decided by the seats that answer */
};

/* What a views is made of. Everything but state is borrowed until views_close. */
struct views_setup {
    struct views_options options;
    const char *strategy;        /* gossip's */
    uint32_t weight;             /* this node's */
    const struct view *founders; /* the lines of peers.txt that found the cluster, in name order */
    struct links *links;         /* its identity says who this node is */
    struct gossip *gossip;
    const struct env *env;
    struct log *log;
    struct stats *stats;
    struct span state;   /* the state file's text (state.h), as this start has written it; empty:
                          * there was none, and a seat is drawn */
    bool has_state_file; /* false: nothing is kept, and nothing is founded but by --form */
    uint64_t seed;       /* of this module's random choices */
};

/* gives: release with views_close. state must be what state_format writes (CHECKed: who read the
 * file has parsed it). */
struct views *views_open(const struct views_setup *setup);
/* Accepts NULL. */
void views_close(struct views *views);

/* --- events ----------------------------------------------------------------------------------- */

/* Does what is due: proposes, asks, reports. Call it also after gossip has changed its mind. */
void views_tick(struct views *views, struct moment now);
/* When views_tick wants to be called next, mono ms; UINT64_MAX: not before something happens. */
uint64_t views_deadline(const struct views *views);
/* A message of a control link that is up (kind from MESSAGE_GET_VIEWS on). Answers are appended to
 * out, the connection it came on.
 * errors  ERR_SYNTAX: malformed: the link is to be ended. */
MUST_USE enum err views_message(struct views *views, uint32_t peer, const struct message *message,
                                struct reply *out, struct moment now);
/* A control link has come up or ended. */
void views_link(struct views *views, const struct link_news *news, struct moment now);
/* peers.txt has been read anew. founders: borrowed in place of the old ones. */
void views_found_by(struct views *views, const struct view *founders, struct moment now);

/* The epoch of any other message of a peer: a view above the own one is asked for. */
void views_see_epoch(struct views *views, uint32_t peer, uint32_t epoch, struct moment now);
/* Whether what a message of this epoch says may not be taken: the epoch is not the own one. One
 * that is lower is to be answered with STALE; of a higher one the view is on its way. */
bool views_refuses(const struct views *views, uint32_t epoch);

/* --- which view ------------------------------------------------------------------------------- */

/* Whether a higher view has been adopted since this was last asked; some may have been skipped. All
 * of lower epochs is sealed. */
bool views_take_adopted(struct views *views);
/* The current view; NULL: there is none yet. Borrowed until a view is adopted. */
const struct view *views_current(const struct views *views);
/* Its number; 0: there is none. */
uint32_t views_epoch(const struct views *views);
/* The view of that number, from base to the current one; else NULL. */
const struct view *views_at(const struct views *views, uint32_t epoch);
/* Its ring, placed when first asked for, with the indices of that view. NULL where views_at is.
 * Good until a view is adopted; that of an earlier view until views_forget_rings, too. */
const struct ring *views_ring(struct views *views, uint32_t epoch);
/* Frees the rings of the views before the current one, of which there can be STATE_VIEWS_MAX: for
 * when nobody is to ask for many of them soon. Returns how many there were. */
uint32_t views_forget_rings(struct views *views);
/* The ring of the next placement, with the indices of the current view; NULL: it is the present
 * one.
 */
const struct ring *views_next_ring(struct views *views);
/* The peer (links) of a member of the current view, held while the view is current; PEER_SELF: this
 * node's own generation; PEER_NONE: there are too many peers. That its process is of the member's
 * generation is for the caller to see (struct peer). */
uint32_t views_member_peer(const struct views *views, uint32_t member);
/* This node's index in the current view, by name and generation; VIEW_NOBODY if it does not stand
 * in it, or there is none. */
uint32_t views_self(const struct views *views);
/* Rule 5: false in a view that was adopted before this process's start with the data it led. */
bool views_may_lead(const struct views *views);
/* What is waited for, while there is no view: "waiting for 3 of 5 peers (1 here)"; or that no view
 * can follow, its number being the last. Returns false, and text "", otherwise. */
bool views_awaits(const struct views *views, char text[VIEWS_WHY_BYTES_MAX]);

/* --- reports ---------------------------------------------------------------------------------- */

/* This node leads the slot in the current view, and it is active; or is not any more. */
void views_report_active(struct views *views, uint32_t slot, bool is_active);
/* The copy here is synced, in the current view, with the slot's primary, of whose group the next
 * placement makes this node a member; or is not any more. */
void views_report_synced(struct views *views, uint32_t slot, bool is_synced);

/* --- loss of quorum --------------------------------------------------------------------------- */

/* Whether a result may be given now (proto.md "Loss": the fence). Always with on-quorum-loss
 * wait. now must be read from the clock after whatever led to the result was read. */
bool views_has_fence(const struct views *views, struct moment now);
/* Whether writes had better wait: the next view is on its way and may give this node's slots to
 * others. A write that is under way when it comes has an unknown outcome there, one that has waited
 * for it goes to whom it names. Only for a moment, and not again soon if no view comes. */
bool views_holds_writes(const struct views *views, struct moment now);
/* A request has come: the voters are asked if the last question answered is older than half of
 * --fence. */
void views_want_fence(struct views *views, struct moment now);
/* For recover: whether a member of this or an older view is gone for good: superseded, forgotten,
 * or held DEAD by a majority of the current view's voters for recover_after, the view having been
 * adopted here longer than fence ago. Who is not known to be is asked about (GET_HELD); views_tick
 * goes on asking as long as this is called. Mode wait: only members given up by accept-loss. */
bool views_is_gone(struct views *views, const struct member *member, struct moment now);

/* --- what people ask for ---------------------------------------------------------------------- */

/* How a request of this node's operator stands. */
enum views_outcome {
    VIEWS_UNDER_WAY,
    VIEWS_DONE,
    VIEWS_REFUSED /* why says it */
};

/* This node is to leave: it hands its slots over first. Nothing new where it goes already. */
void views_leave(struct views *views, struct moment now);
/* SIGTERM: leaves if so many full members remain as a slot has copies, else stops: it keeps place
 * and seat. It stops too if the leave is refused, whoever had begun it. */
void views_go(struct views *views, struct moment now);
/* How that stands. DONE: this process may end (and say LEAVE). why: out on REFUSED: a leave that is
 * refused is over; the node goes on. */
enum views_outcome views_going(struct views *views, struct moment now,
                               char why[VIEWS_WHY_BYTES_MAX]);
/* Whether it has been asked to stop, and has adopted the view in which it is down: it takes no
 * session any more. */
bool views_is_stopping(const struct views *views);

/* The next view is wanted, though nothing has changed: a slot's versions are used up. */
void views_want_next(struct views *views, struct moment now);

/* Takes a member that is not alive out of the view for good, whatever that costs. number: out, to
 * ask views_asked with. */
void views_forget(struct views *views, struct span name, uint64_t *number, struct moment now);
/* The seats that answer within a second decide: view 1, or the next view of the cluster, has only
 * the members that answered. */
void views_form(struct views *views, uint64_t *number, struct moment now);
/* A place among the members of the views that are kept; zeroed: before the first. */
struct views_cursor {
    uint32_t view, member;
    uint32_t epoch; /* of the last view in which the member given last is full */
};
/* Who can be given up by accept-loss: the next member that is full in a view that is kept, so that
 * a slot may wait for its copy, and that gossip does not hold ALIVE. Each once, those of older
 * views first; borrowed, until the next view. NULL: there are no more. */
const struct member *views_next_lost(const struct views *views, struct views_cursor *cursor);
/* Gives up members (of which quorums are missing); names: separated by spaces; empty: all that are
 * lost. Of a name all are meant that are lost, though another process of it lives. Refused if there
 * is nobody of one of the names, or gossip holds it ALIVE. */
void views_accept_loss(struct views *views, struct span names, uint64_t *number, struct moment now);
/* How the request of that number stands; it is forgotten once it is over and was asked about.
 * why: out: what was done, or why not, for people. */
enum views_outcome views_asked(struct views *views, uint64_t number, char why[VIEWS_WHY_BYTES_MAX]);

/* Asserts what holds between turns: for tests and the simulator. */
void views_check(const struct views *views);

#endif
