#include "tests/sim/checks.h"

const struct check checks[] = {
    {.name = "same-trace",
     .sentence = "two runs of a seed tell the same",
     .run = check_same_trace,
     .node_count = 5,
     .seconds = 60,
     .seeds_quick = 3,
     .seeds_long = 50,
     .counted = {"faults"}},
    {.name = "requests-quiet",
     .sentence = "in a healthy cluster every request is carried out",
     .run = check_requests_quiet,
     .node_count = 10,
     .seconds = 30,
     .seeds_quick = 5,
     .seeds_long = 100,
     .counted = {"done", "misses"}},
    {.name = "requests-faults",
     .sentence =
         "whatever fails, every request has one answer in time, and none another key's value",
     .run = check_requests_faults,
     .node_count = 7,
     .seconds = 120,
     .seeds_quick = 20,
     .seeds_long = 1000,
     .counted = {"done", "misses", "not done", "unknown", "faults"}},
    {.name = "requests-once",
     .sentence = "while no process ends, no read is stale, no write lost or done twice",
     .run = check_requests_once,
     .node_count = 5,
     .seconds = 120,
     .seeds_quick = 10,
     .seeds_long = 1000,
     .counted = {"done", "misses", "not done", "unknown", "faults"}},
};
const size_t check_count = ARRAY_COUNT(checks);

#define DELAY_US  250u
#define JITTER_US 200u

struct world *trial_begin(struct trial *trial, uint32_t client_count)
{
    const struct world_options options = {.seed = trial->seed,
                                          .node_count = trial->node_count,
                                          .seed_count = trial->seed_count,
                                          .client_count = client_count,
                                          .delay_us = DELAY_US,
                                          .jitter_us = JITTER_US,
                                          .echo = trial->echo};
    trial->world = world_open(&options);
    return trial->world;
}
