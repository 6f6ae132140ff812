/* Change: what the next view is to be, as a pure function of the present one, of what is held of
 * its members, and of what was asked for (proto.md "Views" 2). No messages, no time. */
#ifndef DHT_SERVER_CORE_CHANGE_H
#define DHT_SERVER_CORE_CHANGE_H

#include "common/ring.h"

/* What this node holds of a member of the present view, once gossip has settled it. Zeroed: nothing
 * new. */
struct opinion {
    enum {
        OPINION_NONE,
        OPINION_UP,   /* alive, for long enough to lead */
        OPINION_DOWN, /* suspected enough */
        OPINION_GONE  /* DEAD, REMOVED or LEFT */
    } state;
    bool is_superseded; /* its name runs, or ran, with a higher boot and another generation */
    bool is_overdue;    /* gone or superseded for long enough to be replaced */
    bool is_late;       /* a joiner: all others have been done for long enough */
    uint64_t boot;      /* of its process, as known now; 0: as in the view */
};

/* X(NAME, word): what may be asked for. */
#define WISH_LIST(X)                                                                               \
    X(JOIN, "join")     /* a member that stands in no view */                                      \
    X(LEAVE, "leave")   /* a member, for good */                                                   \
    X(STOP, "stop")     /* a member, with place and seat kept */                                   \
    X(FORGET, "forget") /* all generations of a name that are not up */                            \
    X(NEXT, "next")     /* a view, whatever is in it */

enum wish_kind {
#define WISH_ENUM(name, word) WISH_##name,
    WISH_LIST(WISH_ENUM)
#undef WISH_ENUM
        WISH_KIND_COUNT
};

const char *wish_word(enum wish_kind kind);
MUST_USE bool wish_parse(struct span word, enum wish_kind *kind);

struct wish {
    enum wish_kind kind;
    struct member member; /* name, generation, boot, seat and weight; FORGET: the name */
    const char *refusal;  /* out: why it is refused, static; NULL: it is in the next view, or is
                           * fulfilled already */
    bool is_urgent;       /* NEXT: does not wait, however many views are kept */
};

struct change {
    const struct view *view;        /* the present one */
    const struct ring *ring;        /* its ring */
    const struct view *base_view;   /* that of its base; NULL: not known here */
    const struct opinion *opinions; /* one for each of its members */
    struct wish *wishes;
    uint32_t wish_count;
    bool is_all_active; /* every slot has a primary, which has reported it active */
    bool is_placed;     /* whoever comes into a group by the next placement has its slots */
    bool do_joins_wait; /* a view has just come: none is made for joins alone, so that others may
                         * come in by it too */
    bool do_asks_wait;  /* many views are kept: none is made yet for what is asked for alone, but to
                         * forget; joins wait too */
};

/* Makes the next view.
 *
 * out     gives; only if the answer is true.
 * Returns whether anything is to change. */
bool change_make(struct change *change, struct view *out);

/* Whether every slot of ring has a majority of its group up in view. */
bool change_has_quorums(const struct view *view, const struct ring *ring);
/* Whether a slot in whose group the member stands has none. index: of view. */
bool change_is_stuck(const struct view *view, const struct ring *ring, uint32_t index);
/* Full members that are up and do not leave: whether one is such, and how many there are. */
bool change_is_live(const struct member *member);
uint32_t change_live_count(const struct view *view);
/* Says in words what differs between two views that follow each other, for the log: "a:1 down, b:1
 * joins"; as much as fits. */
void change_say(const struct view *before, const struct view *after, char *text, size_t size);

#endif
