/* The one table of planted bugs: X(name, check, sentence).
 *
 * name      stands in MUTANT(name) where the rule is broken.
 * check     the simulator's check that must notice.
 * sentence  what is broken. */
#ifndef DHT_COMMON_MUTANT_LIST_H
#define DHT_COMMON_MUTANT_LIST_H

/* clang-format off */
#define MUTANT_LIST(X)                                                                             \
    X(repeat_unknown, "requests-once", "a write that left and has no answer is sent once more")    \
    X(no_deadline, "requests-faults", "a forwarded request has no deadline")                       \
    X(miss_for_failure, "requests-once", "a key whose leader can't be reached is said to be absent")
/* clang-format on */

#endif
