/* Stories: a scenario as a few commands, then the complete trace of decisions it must produce.
 *
 *     # Who leaves is LEFT, and never suspected.     comments, and the story's sentence
 *     nodes 3                                        before the first act: how the world is made
 *     seed 7
 *     start all                                      acts
 *     run 2.5
 *     kill n2
 *     run 3
 *     ---
 *          0.000 -    start node=n1                  the trace; rewritten by --rewrite
 *
 * Settings: nodes N, seed N, peers N (lines of everybody's peers.txt), delay MS.
 * Acts, on one node (n3), several (n1,n4), or all: start, kill, forget (its state file is lost),
 * off, on, stop, continue, isolate, rejoin, leave; cut n1 n2, heal n1 n2 (that way only), loss
 * PERCENT, slow n1 TIMES, run SECONDS, say n1 TEXT (a client's request, \r\n as written; its
 * answers appear in the trace).
 *
 * show: what was told before is left out.
 *
 * In the trace stand the acts, the answers, and those lines of the nodes' logs that tell of a
 * decision: see is_decision in story.c. */
#ifndef DHT_TESTS_SIM_STORY_H
#define DHT_TESTS_SIM_STORY_H

#include <stdbool.h>

/* Tells the story in a file; prints what differs. rewrite: its trace is replaced instead.
 * Returns whether it is told as written. */
bool story_tell(const char *path, bool rewrite, bool is_traced);

#endif
