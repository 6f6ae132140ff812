/* A random schedule of faults: each begins at a random moment, lasts a random time, and is undone.
 *
 * At most one fault a node at a time, and at most down_max nodes that are not whole. */
#ifndef DHT_TESTS_SIM_SCHEDULE_H
#define DHT_TESTS_SIM_SCHEDULE_H

#include "tests/sim/world.h"

/* FAULT(id, weight): how often each is drawn, against the others. */
#define FAULT_LIST(FAULT)                                                                          \
    FAULT(KILL, 4)    /* the process is killed, and started again */                               \
    FAULT(FORGET, 2)  /* likewise, its state file and its data lost */                             \
    FAULT(LEAVE, 2)   /* it leaves, and is started again */                                        \
    FAULT(POWER, 3)   /* the machine is off, and comes back */                                     \
    FAULT(STOP, 3)    /* SIGSTOP, SIGCONT */                                                       \
    FAULT(SLOW, 2)    /* its loop takes 100 times as long */                                       \
    FAULT(ISOLATE, 3) /* it reaches nobody, nobody reaches it */                                   \
    FAULT(MUTE, 2)    /* what it sends is lost */                                                  \
    FAULT(DEAF, 2)    /* what is sent to it is lost */                                             \
    FAULT(ONE_WAY, 3) /* what it sends to one other is lost */                                     \
    FAULT(LOSSY, 2)   /* a quarter of what it sends is lost */                                     \
    FAULT(BREAK, 3)   /* one of its connections is reset */                                        \
    FAULT(HOLD, 3)    /* what it sends on one connection is kept for long */                       \
    FAULT(WALL, 1)    /* its wall clock jumps by up to a day, and stays there */                   \
    FAULT(DRIFT, 1)   /* its clocks run up to 1 % too fast or too slow */                          \
    FAULT(SPLIT, 1)   /* the nodes are in two halves that do not reach each other */               \
    FAULT(WIPE, 1)    /* as KILL, and the data are lost, durable or not */                         \
    FAULT(QUICK, 3)   /* it is killed, and started again within 0.3 s */                           \
    FAULT(COMA, 2)    /* as STOP, longer than every time-out */                                    \
    FAULT(FLAP, 2)    /* as ISOLATE, but on and off */                                             \
    FAULT(SLEEP, 1)   /* as ISOLATE, for so long that it is removed meanwhile */                   \
    FAULT(LIMBO, 2)   /* as HOLD, for a minute or two, whatever becomes of the connection */       \
    FAULT(FULL, 2)    /* it has no memory for more items */                                        \
    FAULT(DISK, 1)    /* its state file cannot be written; afterwards it is started again */       \
    FAULT(LINK, 3)    /* what it and one other send to each other takes up to half a second more */

enum fault_kind {
#define FAULT_ENUM(id, weight) FAULT_##id,
    FAULT_LIST(FAULT_ENUM)
#undef FAULT_ENUM
        FAULT_KINDS
};

#define FAULTS_MAX 32u

/* Those that need no copies to be bearable. */
#define FAULTS_PLAIN ((1u << FAULT_WIPE) - 1)

struct schedule;

struct fault {
    struct schedule *schedule;
    enum fault_kind kind;
    bool is_on;
    uint32_t node;
    uint32_t other;   /* ONE_WAY, LINK */
    uint32_t more_us; /* LINK */
    struct vtimer end;
    struct vtimer flip; /* FLAP: on or off */
    bool is_flipped;
};

struct schedule_options {
    uint32_t kinds;       /* bits of those that may occur */
    uint32_t pause_ms;    /* between two at most */
    uint32_t last_ms_min; /* how long one lasts */
    uint32_t last_ms_max;
    uint32_t down_max;  /* nodes with a fault at a time */
    uint32_t count_max; /* of all; 0: any number */
};

struct schedule {
    struct world *world;
    struct schedule_options options;
    struct prng prng;
    struct vtimer next;
    struct fault faults[FAULTS_MAX];
    uint32_t on_count;
    uint8_t *is_split; /* by node: which half */
    uint64_t begun[FAULT_KINDS];
};

/* Faults that lose nothing even where there is one copy: processes live on, and nobody is cut off
 * for long. */
extern const struct schedule_options schedule_harmless;

/* Begins at once. gives: schedule_close. */
struct schedule *schedule_open(struct world *world, const struct schedule_options *options);
/* So many faults more, if their number is bounded and all have begun. */
void schedule_extend(struct schedule *schedule, uint32_t count);
/* No more faults; those there are end now, but for what is held (HOLD, LIMBO), which comes when it
 * comes: schedule_is_over. */
void schedule_heal(struct schedule *schedule);
bool schedule_is_over(const struct schedule *schedule);
/* Whether anything is wrong with a node now. */
bool schedule_disturbs(const struct schedule *schedule, uint32_t node);
/* Faults so far. */
uint64_t schedule_begun(const struct schedule *schedule);
void schedule_close(struct schedule *schedule);
const char *fault_word(enum fault_kind kind);

#endif
