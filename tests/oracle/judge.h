/* Judges the history of one key. Two judges, each independent of the server's code:
 *
 * judge_key looks at single answers and counts what is wrong in words a person can act on. It does
 * not know all rules, but what it finds is wrong for sure, whatever else happened. judge_order asks
 * tests/sim/linear.h, the simulator's judge, whether an order of all operations exists. */
#ifndef DHT_ORACLE_JUDGE_H
#define DHT_ORACLE_JUDGE_H

#include "tests/oracle/history.h"

struct findings {
    uint64_t keys, operations, reads;
    uint64_t lost;   /* a miss, though a write that was acknowledged before was never deleted */
    uint64_t stale;  /* a value that an acknowledged write had replaced before the read began */
    uint64_t risen;  /* a value that an acknowledged delete had removed before the read began */
    uint64_t undone; /* a value of a write that was refused, or is of no write at all */
    uint64_t
        above; /* a counter above the increments that may have happened, or a number given twice */
    uint64_t below;      /* a counter below those that were acknowledged before the read began */
    uint64_t missing;    /* a list without something whose append was acknowledged */
    uint64_t doubled;    /* a list with something twice, or with what was never appended */
    uint64_t disordered; /* keys whose operations have no order in which every answer is true */
    uint64_t undecided;  /* keys whose order could not be judged within the bound */
};

/* How many of them are wrong. */
uint64_t findings_sum(const struct findings *findings);
/* Judges count operations of one key, sorted by begin; adds to findings and says on stderr what is
 * wrong. */
void judge_key(const struct operation *operations, size_t count, struct findings *findings);
void judge_order(const struct operation *operations, size_t count, struct findings *findings);

#endif
