#include "server/net/turn.h"

#include "common/check.h"

#include <stdlib.h>
#include <time.h>

struct moment turn_clock(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_BOOTTIME, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct moment){
        .mono_ms = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
        .unix_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000,
    };
}

void turn_begin(struct turn *turn)
{
    if (LIKELY(turn->is_begun))
        return;
    turn->is_begun = true;
    turn->now = turn_clock();
    node_turn(turn->node, turn->now);
}

/* libevent's own words (a name server that fails) are not in the log's form; what becomes of a
 * look-up is logged by the link that asked for it. */
static void drop_libevent_line(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

static struct event_base *open_base(void)
{
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(base != NULL);
    return base;
}

void turn_init(struct turn *turn, uint32_t value_bytes_max, bool is_plain, struct budget *budget,
               struct log *log)
{
    event_set_log_callback(drop_libevent_line);
    *turn = (struct turn){
        .base = open_base(),
        .budget = budget,
        .log = log,
        .volley = volley_open(is_plain),
        .value_bytes_max = value_bytes_max,
        .now = turn_clock(),
        .arena = malloc(TURN_ARENA_BYTES),
        .spares = calloc(SPARE_COUNT_MAX, sizeof(struct buf)),
    };
    CHECK(turn->arena != NULL);
    CHECK(turn->spares != NULL);
    list_init(&turn->dirty);
    list_init(&turn->resumed);
    list_init(&turn->ended);
}

void turn_close(struct turn *turn)
{
    CHECK(turn->conn_count == 0);
    event_base_free(turn->base);
    while (turn->spare_count > 0)
        buf_close(&turn->spares[--turn->spare_count]);
    free(turn->spares);
    free(turn->arena);
    volley_close(turn->volley);
    free(turn->conns);
    free(turn->generations);
    free(turn->free_indices);
    *turn = (struct turn){0};
}
