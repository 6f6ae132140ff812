/* What the files of dht_run share. Nobody else includes this.
 *
 *     dht_run         one run: waiting, time-outs
 *     dht_run_answer  answers taken, judged, told
 *     dht_run_ask     whom to ask; requests made
 *     dht_run_slip    operations handed from state to state; servers that fail
 *
 * Each calls only those below it. */
#ifndef DHT_CLIENT_DHT_RUN_PARTS_H
#define DHT_CLIENT_DHT_RUN_PARTS_H

#include "client/dht_choice.h"

#include <poll.h>

#define SLIPS_AT_HAND   4u
#define SETTLE_PAUSE_MS 50u /* before a write of unknown outcome is asked for a third time, … */

/* The answers of dht_run's operations being fetched.
 *
 * Each operation has a slip, which says where it stands. Answers are told in the operations' order:
 * the turn is that of the first one not told. One that comes early is kept in its slip. */
struct run {
    struct dht *dht;
    const struct dht_op *ops;
    size_t op_count;
    struct slip *slips; /* owned unless at_hand */
    struct slip at_hand[SLIPS_AT_HAND];
    size_t turn;       /* operations before it have been told */
    size_t cursor;     /* no operation before it is WAITING */
    size_t in_flight;  /* slips that are ASKED */
    bool is_held;      /* one in flight is to be overtaken by nobody */
    bool heard_part;   /* the answer whose turn it is has begun: stats */
    size_t tries;      /* servers that failed since the last answer, but leaders not reached */
    uint64_t pause_ms; /* the shortest that a busy one of them asked for; 0: none did */
    enum dht_result failure; /* how the last of them failed; dht->text says it for people */
    uint64_t deadline_ms;
    uint64_t doubt_ms;       /* when a server that has said nothing is passed by */
    uint64_t settle_ms;      /* unsettled writes are not asked again before */
    uint64_t first_id;       /* number of the first operation's request id */
    int64_t now_s;           /* Unix time of its beginning */
    uint64_t learn_until_ms; /* requests wait for what is in flight, to learn the ring; 0: not */
    enum dht_result first_bad;
    struct pollfd *fds;     /* owned; scratch */
    struct server **polled; /* owned; scratch: whose fds they are */
    size_t fds_capacity;
    dht_answer_fn *hear;
    void *arg;
};

/* --- dht_run_slip ----------------------------------------------------------------------------- */

/* The answer of the turn is to come by then. */
void run_turn_begin(struct run *run);
/* Gives the caller the answer of the turn, which passes to the next operation. */
void run_tell(struct run *run, const struct dht_answer *answer);
/* Who was asked last for the operation whose turn it is; NULL: nobody. */
const char *run_asked_name(const struct run *run);
/* Answers the operation whose turn it is with a failure; dht->text says why. */
void run_tell_failure(struct run *run, enum dht_result result);
/* Keeps len bytes in a slip, which is to be told at its turn. */
void run_slip_keep(struct slip *slip, enum slip_state state, const char *bytes, size_t len);
/* Takes an operation that was asked out of its server's queue, to be asked again or told. */
struct slip *run_unask(struct run *run, uint32_t index);
/* It was not done: as if it had not been asked. */
void run_ask_again(struct run *run, uint32_t index);
/* What was asked has no answer and will have none: it is asked again, a write under its id. */
void run_ask_lost_again(struct run *run, uint32_t index);
/* How an operation ends for which nobody had an answer. */
enum dht_result run_result_of_failure(const struct slip *slip, enum dht_result failure);
/* Whether a write of the server's queue, from slip index on, may have left that can't be repeated.
 */
bool run_has_write(const struct run *run, uint32_t index);
/* Whether what has left for a server is lost with its connection: a write may have been carried
 * out, and what is in flight beside it is not to overtake it; half an answer is not told twice. */
bool run_is_lost_with(const struct run *run, const struct server *server);
/* Closes the connection. What has no answer will be asked for anew, but for what has left and is
 * lost: a write's outcome is then unknown, a read ends as result. */
void run_drop_wire(struct run *run, struct server *server, bool is_lost, enum dht_result result);
/* Notes that a server failed: it rests as a leader, and the ring may be another by now. */
void run_shun(struct dht *dht, struct server *server);
/* A server failed; others' turn. When it comes to telling the caller, a server that did answer
 * weighs more than one that could not be reached; what is lost in flight, most. why  NULL:
 * dht->text says it already. */
void run_server_failed(struct run *run, struct server *server, enum dht_result failure,
                       const char *why);
/* The same: it asks to be left alone for a while. */
void run_server_busy(struct run *run, struct server *server, uint64_t pause_ms);

/* --- dht_run_ask ------------------------------------------------------------------------------ */

/* Which of its requests an operation's opaque names: under an id all are one. */
unsigned run_attempt_of(const struct run *run, uint32_t index);
/* No server can be had for what waits: all of it is to be told so. */
void run_fail_waiting(struct run *run);
/* Whether an unsettled write waits for its time. So does what is behind it: its key's order holds.
 */
bool run_is_pausing(const struct run *run);
/* Makes requests of the operations that wait, in order, until enough waits to be sent. */
void run_ask_waiting(struct run *run);

/* --- dht_run_answer --------------------------------------------------------------------------- */

/* Takes the answers that have come from a server, up to the first whose turn it is not yet, unless
 * everything is wanted: the connection is at its end. */
void run_take_answers(struct run *run, struct server *server, bool wants_all);
/* Tells every answer that is there, in turn. */
void run_advance(struct run *run);
/* Takes what nodes have brought on connections of their own; has_ended: one of those has ended. */
void run_take_brought(struct run *run, bool has_ended);

#endif
