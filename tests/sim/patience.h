/* Patience: how long who has asked a node through a connection waits for the answer, and whether it
 * is the node's fault that none has come.
 *
 * A node reads what is sent to it in its first turn after that has come, and has op-timeout for it
 * from then on, and a margin. A slow one's turns may be longer than the margin: one that begins
 * while the question is under way puts the reading off, one that it is in when the answer is due
 * puts off the answer, to the turn after that. */
#ifndef DHT_TESTS_SIM_PATIENCE_H
#define DHT_TESTS_SIM_PATIENCE_H

#include "tests/sim/world.h"

#define PATIENCE_MARGIN_MS 250u

enum patience_stage {
    PATIENCE_ARRIVES, /* by the end of it what was sent has come */
    PATIENCE_ANSWERS, /* … the answer is due */
    PATIENCE_TURN     /* … the turn is over that the host was in then */
};

struct patience {
    const struct host *host; /* that is asked */
    uint32_t client;         /* the machine that asks */
    uint32_t starts;         /* of its processes: the one that is connected */
    uint64_t begun_us;
    enum patience_stage stage;
};

enum patience_end {
    PATIENCE_LASTS, /* the timer is set anew */
    PATIENCE_VAIN,  /* the process is gone, or was disturbed meanwhile: nothing can be said of it */
    PATIENCE_ENDS   /* it should have answered */
};

/* A connection from a client's machine to the process that runs on a host is open. */
void patience_connect(struct patience *patience, const struct host *host, uint32_t client);
/* Something has been sent over it: sets the timer. */
void patience_begin(struct patience *patience, struct vtimer *timer);
/* The timer has rung, and what was sent at sent_us has no answer yet. */
enum patience_end patience_ring(struct patience *patience, struct vtimer *timer, uint64_t sent_us);

#endif
