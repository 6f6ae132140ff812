/* Patience: how long who has asked a node through a connection waits for the answer, and whether it
 * is the node's fault that none has come.
 *
 * A node reads what is sent to it in its next turn, and has op-timeout for it from then on, and a
 * margin. A slow one may be in a turn for longer than the margin, when it is asked and when the
 * answer is due: it may come with the turn after that. */
#ifndef DHT_TESTS_SIM_PATIENCE_H
#define DHT_TESTS_SIM_PATIENCE_H

#include "tests/sim/world.h"

#define PATIENCE_MARGIN_MS 250u

struct patience {
    const struct host *host; /* that is asked */
    uint32_t starts;         /* of its processes: the one that is connected */
    uint64_t begun_us;
    bool is_turn_awaited; /* what is due may come with the host's next turn */
};

enum patience_end {
    PATIENCE_LASTS, /* the timer is set anew */
    PATIENCE_VAIN,  /* the process is gone, or was disturbed meanwhile: nothing can be said of it */
    PATIENCE_ENDS   /* it should have answered */
};

/* A connection to the process that runs on a host is open. */
void patience_connect(struct patience *patience, const struct host *host);
/* Something has been sent over it: sets the timer. */
void patience_begin(struct patience *patience, struct vtimer *timer);
/* The timer has rung, and what was sent at sent_us has no answer yet. */
enum patience_end patience_ring(struct patience *patience, struct vtimer *timer, uint64_t sent_us);

#endif
