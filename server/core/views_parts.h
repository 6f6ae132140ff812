/* What the files of views share. Nobody else includes this.
 *
 *     views          life, time, messages, questions
 *     views_birth    view 1, and views that an operator has the seats that answer decide
 *     views_ask      what this node asks for: to join, leave, stop, and what its operator wants
 *     views_propose  what is held of the members; proposals
 *     views_vote     answers to proposals, and what comes back to one's own
 *     views_report   which slots are active and synced, here and elsewhere
 *     views_loss     the fence, and who is gone for good
 *     views_tell     views sent to others, and taken from them
 *     views_keep     the views there are: adopted, recorded, placed
 *
 * Each calls only those below it. */
#ifndef DHT_SERVER_CORE_VIEWS_PARTS_H
#define DHT_SERVER_CORE_VIEWS_PARTS_H

#include "server/core/change.h"
#include "server/core/state.h"
#include "server/core/views.h"

#define SLOT_WORDS (SLOT_COUNT / 64)

/* proto.md "Views" 1: 200 ms × rank by name, ± half. */
#define BACK_OFF_MS 200u
/* Half of an attempt (promises, acceptances) that has not got its majority by then is given up; so
 * many times that doubles, and the back-off with it. */
#define ATTEMPT_MS        300u
#define ATTEMPT_DOUBLINGS 3u
/* After the state file could not be written. */
#define BROKEN_MS 1000u
/* At a birth: so long for the rest, once a majority has promised. */
#define BIRTH_WAIT_MS 1000u
/* What is asked for is asked for again so often, and a voter remembers it for so long. */
#define ALL_STOP     "all stop" /* the refusal of a stop that means: at once */
#define ASK_MS       500u
#define ASK_END_MS   10000u /* what nobody has agreed to by then is refused */
#define WISH_MS      1500u
#define WISHES_MAX   128u
#define ASKS_MAX     20u    /* more than an operator's at a time, and the node's own */
#define REMOVED_MS   10000u /* who is taken out waits for a majority at most so long */
#define STOP_MS      3000u  /* who stops, for the slots of its groups to be active without it */
#define SETTLE_MS    20u    /* before that: for the writes that are under way */
#define HOLD_MS      200u   /* so long writes wait for a view at most, */
#define HOLD_REST_MS 2000u  /* and so long not again, should it not come */
#define LATE_MS      30000u /* a joiner without progress while others wait */
#define HELD_ASK_MS  500u
#define HELD_GOOD_MS 2000u            /* an answer counts for so long after its question */
#define HELD_MAX     VIEW_MEMBERS_MAX /* beside those given up */
#define HELD_KEEP_MS 2000u            /* who was not wanted for so long is dropped */
#define GIVEN_UP_MAX VIEW_MEMBERS_MAX
#define MISMATCH_MAX 16u

/* Which slots: a bit each. */
struct slots {
    uint64_t words[SLOT_WORDS];
};

static inline bool slots_has(const struct slots *slots, uint32_t slot)
{
    return slots->words[slot / 64] >> slot % 64 & 1;
}

/* What is seen of a member of the current view over time. */
struct watch {
    uint64_t gone_ms;     /* since when it is DEAD, REMOVED, LEFT or superseded; 0: it is not */
    uint64_t progress_ms; /* when it last reported a newly synced slot, or came in */
    uint64_t down_ms;     /* since when it is not up; 0: it is, or was not when this node started */
    uint64_t reported_ms; /* when it last reported anything, or the view was adopted */
    struct slots *synced; /* owned; what it has reported in this view; NULL: nothing */
    struct slots *comes;  /* owned; what it comes into by the next placement; NULL: nothing */
};

/* A wish of some node, as a voter remembers it. */
struct kept_wish {
    struct wish wish;
    uint64_t until_ms;
    uint32_t peer;   /* who asked; PEER_SELF: this node */
    uint64_t number; /* its question; 0: no answer is wanted */
};

/* Something that this node asks the voters for. */
struct ask {
    enum wish_kind kind;
    char name[ADDRESS_TEXT_BYTES_MAX]; /* FORGET: whom; else it is about this process */
    uint64_t number;                   /* 0: the place is free */
    enum views_outcome outcome;
    uint64_t since_ms;
    uint64_t next_ms; /* when to ask (again) */
    uint32_t tries;
    uint32_t epoch; /* of the view in which it began */
    bool is_form;   /* for views_form: this node itself does it */
    char why[VIEWS_WHY_BYTES_MAX];
};

enum going { GOING_NOT, GOING_LEAVE, GOING_STOP };

/* A member that recover asks about, or that an operator has given up. */
struct held {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    uint64_t wanted_ms; /* when somebody last wanted to know */
    bool is_given_up;   /* by accept-loss */
    /* By voter of the current view: for how long it held it DEAD, 0: not, and when it was asked. */
    uint64_t dead_ms[VIEW_VOTERS_MAX];
    uint64_t asked_ms[VIEW_VOTERS_MAX];
};

struct views {
    struct views_options options;
    const char *strategy; /* borrowed, as the next seven */
    const struct view *founders;
    struct links *links;
    struct gossip *gossip;
    const struct env *env;
    struct log *log;
    struct stats *stats;
    uint32_t weight;
    bool has_state_file;
    bool is_broken; /* the state file could not be written when this was last tried */
    struct prng prng;
    uint64_t founders_hash; /* of the list this node would found by */

    /* views_keep */
    struct state state; /* as recorded: the views from base on, promise and acceptance */
    struct ring *rings[STATE_VIEWS_MAX]; /* of state.views; owned; NULL: not placed yet */
    struct ring *next_ring;              /* owned; NULL: none, or not placed yet */
    bool is_next_known;
    uint16_t *peers; /* of the current view's members, held; owned */
    uint32_t self;   /* this node's index, or VIEW_NOBODY */
    uint32_t voter_count;
    uint32_t voters[VIEW_VOTERS_MAX]; /* indices of the current view's members that vote */
    uint32_t own_voter;               /* this seat among them, or VIEW_NOBODY */
    bool has_stood;                   /* this generation was a member of some view */
    bool has_adopted;                 /* since views_take_adopted was last asked */
    uint32_t start_epoch;             /* of the view that the state file held; 0: none */
    uint64_t adopted_ms;
    uint64_t tick_ms; /* of the last tick; 0: there was none */

    /* views_tell: by peer, grown as needed */
    struct told {
        uint32_t epoch;
        uint64_t at_ms;
    } * told;
    uint32_t told_capacity;
    uint32_t asked_epoch; /* the highest epoch asked for */
    uint64_t asked_ms;

    /* views_vote, views_propose */
    struct proposer proposer;
    uint64_t attempt_ms;    /* when it is given up, or, PREPARED at a birth, waits no longer */
    uint32_t vain_attempts; /* in this view, that came to nothing */
    struct ballot highest;  /* seen anywhere, for the next view */
    uint64_t propose_ms;    /* not before; UINT64_MAX: no proposal is wanted */
    uint64_t hold_ms;       /* since when writes wait for the next view, or last did; 0: never */
    uint32_t hold_epoch;    /* the view that was current then */
    uint64_t look_ms;       /* when an opinion may change by time alone */
    uint64_t looked_at;     /* gossip's change number when the members were last looked at */
    bool is_look_due;
    uint32_t wait_logged;  /* the view in which it was said that what is asked for waits */
    bool is_wanted;        /* something is to change, as last looked at */
    struct watch *watches; /* of the current view's members; owned */
    struct kept_wish wishes[WISHES_MAX];
    uint32_t wish_count;

    /* views_birth */
    uint64_t birth_ms;                /* when this node began to look for others */
    uint64_t dial_ms;                 /* when lines that are not there are tried again */
    uint32_t dial_next;               /* whose turn it is */
    uint64_t seats[VIEW_MEMBERS_MAX]; /* by line: of who has promised; 0: nobody */
    uint32_t weights[VIEW_MEMBERS_MAX];
    uint32_t mismatches[MISMATCH_MAX]; /* peers whose list is another; PEER_NONE: free */
    uint32_t awaited_logged;           /* lines that were there when that was last logged, and 1 */
    bool is_form;                      /* the attempt under way is by the seats that answer */
    uint64_t form_ms;                  /* when it is to begin; 0: none is wanted */
    uint32_t form_tries;               /* attempts that were begun since it was asked for */
    uint64_t form_until_ms;            /* none of them decides without all that live before that */
    uint64_t form_number;              /* of the question that goes with the last one */
    uint32_t *answered;                /* form: peers that answered; owned */
    uint32_t answered_count;
    uint32_t answered_capacity;

    /* views_ask */
    struct ask asks[ASKS_MAX];
    uint64_t number; /* of the last question */
    enum going going;
    bool is_stop_second; /* a leave that is refused becomes a stop */
    bool may_end;        /* told so: all stop together */
    uint64_t going_ms;
    uint64_t going_number; /* of its ask */
    char going_why[VIEWS_WHY_BYTES_MAX];
    uint64_t join_ms; /* when to ask for it again */
    uint32_t join_tries;
    uint64_t out_ms; /* when this node was first seen out of the view; 0: it is in */
    uint64_t out_ask_ms;
    uint32_t out_epoch; /* of the view whose voters are counted */
    struct quorum out_quorum;

    /* views_report */
    struct slots own_active, own_synced;   /* in the current view */
    bool is_active_due, is_synced_due;     /* to be reported */
    bool is_less_due;                      /* that a slot is synced no more */
    uint64_t report_ms;                    /* when; 0: not known yet */
    uint64_t synced_ms;                    /* when those synced were last; 0: not in this view */
    uint64_t lack_ms;                      /* when to ask who has not; UINT64_MAX: all have */
    uint64_t lack_pause_ms;                /* and then again, if that brings nothing new */
    struct slots active;                   /* reported by the slots' primaries */
    bool is_active_known, is_placed_known; /* the next three are as what was reported says */
    bool is_all_active;
    bool is_placed;
    bool *done;            /* by member: it lacks no slot of the next placement; owned */
    bool are_comers_known; /* watches say who comes into which slots by it */

    /* views_loss */
    uint64_t fence_number;   /* of the question under way */
    uint64_t fence_asked_ms; /* when it was first sent; 0: none */
    uint64_t fence_sent_ms;  /* and last */
    uint64_t fence_ms;       /* when the last one answered was first sent; 0: none */
    struct quorum fence_quorum;
    struct held *held; /* owned; given_up_count of them are given up */
    uint32_t held_count;
    uint32_t held_capacity;
    uint32_t given_up_count;
    uint64_t held_ask_ms;
    uint64_t held_asked_ms; /* the last question; 0: none in this view */
};

/* --- views_keep ------------------------------------------------------------------------------- */

static inline const struct view *keep_current(const struct views *views)
{
    return views->state.view_count > 0 ? &views->state.views[views->state.view_count - 1] : NULL;
}

void keep_init(struct views *views, struct span state);
void keep_close(struct views *views);
/* Has the state on disk before anything is said of it. false: it could not be, and nothing may be.
 */
bool keep_state(struct views *views, struct moment now);
/* This node as a member: name, generation, boot, seat and weight. */
void keep_self(const struct views *views, struct member *member);
/* Adopts views (taken), ascending without a gap, the last above the current one; seals what was
 * before. why: for the log. Returns false, and nothing has changed, if that cannot be recorded. */
bool keep_adopt(struct views *views, struct view *adopted, uint32_t count, const char *why,
                struct moment now);
/* Whether this seat is among the voters of the current view. */
bool keep_may_vote(const struct views *views);
/* The voter that the process at the other end of peer's links speaks for, or VIEW_NOBODY. */
uint32_t keep_voter_of(const struct views *views, uint32_t peer);
/* The peer of a voter; PEER_SELF: this node; PEER_NONE: there is none. */
uint32_t keep_voter_peer(const struct views *views, uint32_t voter);
/* What gossip knows of a name, or NULL. */
struct account *keep_account(const struct views *views, const char *name);
/* Whether gossip holds a process of that name for ALIVE, whatever its generation. */
bool keep_holds_alive(const struct views *views, const char *name);

/* --- views_tell ------------------------------------------------------------------------------- */

/* Where a message to peer goes, over this node's own control link, dialled if need be. NULL: none
 * can be had now. */
struct reply *tell_out(struct views *views, uint32_t peer, struct moment now);
/* Appends the message, in PARTs if its body is longer than a frame. */
void tell_send(struct reply *out, struct message *message, struct span body);
/* Sends the message to all others that vote in the current view. */
void tell_voters(struct views *views, struct message *message, struct span body, struct moment now);
/* Sends the views above epoch to whoever has that one. */
void tell_views(struct views *views, uint32_t epoch, struct reply *out);
/* A view has been chosen: all members of it and of the one before are told, those alive. before:
 * NULL: there was none. */
void tell_chosen(struct views *views, const struct view *before, struct moment now);
enum err tell_take(struct views *views, uint32_t peer, const struct message *message,
                   struct moment now);

/* --- views_loss ------------------------------------------------------------------------------- */

void loss_adopted(struct views *views);
void loss_tick(struct views *views, struct moment now);
uint64_t loss_deadline(const struct views *views);
void loss_asked_alive(struct views *views, uint32_t peer, const struct message_GET_ALIVE *question,
                      struct reply *out);
void loss_alive(struct views *views, uint32_t peer, const struct message_ALIVE *answer,
                struct moment now);
enum err loss_asked_held(struct views *views, const struct message *question, struct reply *out,
                         struct moment now);
enum err loss_held(struct views *views, uint32_t peer, const struct message *answer,
                   struct moment now);
enum err loss_accepted(struct views *views, const struct message *message, struct moment now);

/* --- views_report ----------------------------------------------------------------------------- */

void report_init(struct views *views);
void report_adopted(struct views *views, struct moment now);
/* Sends what is due. */
void report_tick(struct views *views, struct moment now);
uint64_t report_deadline(const struct views *views);
enum err report_take(struct views *views, uint32_t peer, const struct message *message,
                     struct moment now);
/* Answers GET_REPORT. */
void report_asked(const struct views *views, const struct message_GET_REPORT *question,
                  struct reply *out);
/* Whether every slot has a primary in the current view, and that has reported it active. */
bool report_all_active(struct views *views);
/* Whether every slot in whose group this node stands is reported active. */
bool report_own_active(struct views *views);
/* Whether the next placement may come: all up members who come into a group by it have reported
 * their new slots synced. views->done then says who lacks none. */
bool report_is_placed(struct views *views);

/* --- views_vote ------------------------------------------------------------------------------- */

/* The next view is on its way: writes wait for it. */
void vote_hold_writes(struct views *views, struct moment now);
void vote_take_prepare(struct views *views, uint32_t peer, const struct message_PREPARE *message,
                       struct reply *out, struct moment now);
enum err vote_take_accept(struct views *views, uint32_t peer, const struct message *message,
                          struct reply *out, struct moment now);
/* What a list of lines means for this node: whether PREPARE or ACCEPT of a birth under it may be
 * answered. Logs a mismatch once. */
bool vote_is_own_list(struct views *views, uint32_t peer, uint64_t list, struct moment now);
/* The attempt is postponed: somebody else is at it. */
void vote_postpone(struct views *views, struct moment now);
/* So long, ms, who has that rank waits for those before it. */
uint64_t vote_back_off(struct views *views, uint32_t rank);
/* ms, doubled with each attempt of this node's that came to nothing in this view, so that views are
 * agreed on however far nodes are apart. */
uint64_t vote_doubled(const struct views *views, uint64_t ms);
/* This voter's rank among those alive, by name. */
uint32_t vote_rank(const struct views *views);
#define LIST_OF_FORM UINT64_MAX /* in the place of a list: an operator's word */

/* --- views_propose ---------------------------------------------------------------------------- */

void propose_adopted(struct views *views, const struct view *before, struct watch *old);
void propose_tick(struct views *views, struct moment now);
uint64_t propose_deadline(const struct views *views);
/* A voter remembers what somebody wants. */
void propose_wish(struct views *views, uint32_t peer, uint64_t number, const struct wish *wish,
                  struct moment now);
/* Whether a ballot above that one can be; if not, the next proposal is put off. */
bool propose_may_begin(struct views *views, struct ballot highest, struct moment now);
/* Begins an attempt with the voters of the current view. */
void propose_begin(struct views *views, struct moment now);
/* A dialled control link has come up: a voter that was asked meanwhile is told once more. */
void propose_link(struct views *views, uint32_t peer, struct moment now);
/* Goes on as far as what has come allows. */
void propose_step(struct views *views, struct moment now);
enum err propose_take_promise(struct views *views, uint32_t peer, const struct message *message,
                              struct moment now);
void propose_take_accepted(struct views *views, uint32_t peer,
                           const struct message_ACCEPTED *message, struct moment now);
/* What is chosen is adopted, and told. */
void propose_chosen(struct views *views, const char *why, struct moment now);

/* --- views_ask -------------------------------------------------------------------------------- */

/* After each adoption: a newcomer asks anew at once. */
void ask_adopted(struct views *views, struct moment now);
void ask_tick(struct views *views, struct moment now);
uint64_t ask_deadline(const struct views *views);
enum err ask_take_propose(struct views *views, uint32_t peer, const struct message *message,
                          struct moment now);
void ask_take_proposed(struct views *views, const struct message *message, struct moment now);
/* Ends an ask. why: for people. */
void ask_end(struct ask *ask, enum views_outcome outcome, const char *why);
struct ask *ask_find(struct views *views, uint64_t number);
/* A place for a new ask, about this node: a free one, else that of the oldest, but never that of
 * this node's leave or stop. */
struct ask *ask_new(struct views *views, enum wish_kind kind, struct moment now);
/* A voter (or who was one) has adopted the view in which this node is out. */
void ask_heard(struct views *views, uint32_t peer, uint32_t epoch);

/* --- views_birth ------------------------------------------------------------------------------ */

void birth_tick(struct views *views, struct moment now);
uint64_t birth_deadline(const struct views *views);
/* A control link has come up with a node that has no view either. */
void birth_link(struct views *views, uint32_t peer, struct moment now);
void birth_lost(struct views *views, uint32_t peer);
void birth_take_promise(struct views *views, uint32_t peer, const struct message *message,
                        const struct view *accepted, struct moment now);
void birth_step(struct views *views, struct moment now);
/* A voter of a birth: the line of a peer, or VIEW_NOBODY. */
uint32_t birth_line(const struct views *views, uint32_t peer);
uint32_t birth_rank(const struct views *views);
/* A member has answered a question, a form's maybe. */
void birth_alive(struct views *views, uint32_t peer, const struct message_ALIVE *answer,
                 struct moment now);

#endif
