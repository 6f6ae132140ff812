/* Operator: what a person asks of the views (forget, accept_loss, form, leave), until there is an
 * answer. Knows nothing of how views are agreed upon. */
#ifndef DHT_SERVER_CORE_OPERATOR_H
#define DHT_SERVER_CORE_OPERATOR_H

#include "server/core/coord.h"
#include "server/core/views.h"

#define OPERATOR_WAITS_MAX 16u    /* requests at a time; above it the answer is "busy" */
#define OPERATOR_WAIT_MS   10000u /* after that the outcome is unknown: a view may still come */
#define OPERATOR_LEAVE_MS  2000u  /* a leave that nobody has refused by then is taken for begun */
#define OPERATOR_LOOK_MS   20u    /* between two looks at how requests stand */

struct operator_wait {
    struct asker asker;
    bool is_leave;   /* views_leave has been called */
    uint64_t number; /* of views; 0 for a leave */
    uint64_t deadline_ms;
};

struct operator_waits {
    struct views *views; /* borrowed */
    const struct env *env;
    uint64_t look_ms; /* the next look is due */
    uint32_t count;
    struct operator_wait waits[OPERATOR_WAITS_MAX];
};

void operator_init(struct operator_waits *operators, struct views *views, const struct env *env);
/* Takes a client's request (CMD_FORGET, CMD_ACCEPT_LOSS, CMD_FORM, CMD_LEAVE): it is answered by
 * operator_tick later. A leave, which the caller sees through, is OK when a view says that this
 * node is leaving. Returns false if there are too many: it was answered so, and nothing is begun.
 */
bool operator_take(struct operator_waits *operators, const struct asker *asker,
                   const struct request *request, struct moment now);
/* Answers what has an answer. */
void operator_tick(struct operator_waits *operators, struct moment now);
/* This node has left: who asked for it is told so. */
void operator_left(struct operator_waits *operators);
/* When operator_tick is due; UINT64_MAX: nothing waits. */
uint64_t operator_deadline(const struct operator_waits *operators);

#endif
