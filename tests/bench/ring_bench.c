/* Measures placements by themselves: how long one takes, how even it is, and what a join moves.
 * Prints a table in Markdown.
 *
 * usage: ring_bench [rounds] */
#include "common/check.h"
#include "common/peers.h"
#include "common/ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 51u

/* node1.example:11211, node2.example:11211, … gives: view_close. */
static void view_of_nodes(struct view *view, uint32_t count)
{
    struct buf text = {0};
    struct peers_error error;
    for (uint32_t i = 1; i <= count; i++)
        buf_printf(&text, "node%" PRIu32 ".example:11211\n", i);
    CHECK(peers_parse(buf_span(&text), view, &error) == ERR_OK);
    buf_close(&text);
}

static double now_ms(void)
{
    struct timespec at;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The median. ring: out, placed. */
static double place_ms(const struct view *view, struct ring *ring, uint32_t rounds)
{
    double *took = calloc(rounds, sizeof(*took));
    CHECK(took != NULL);
    for (uint32_t i = 0; i < rounds; i++) {
        double began = now_ms();
        ring_place(view, ring);
        took[i] = now_ms() - began;
    }
    qsort(took, rounds, sizeof(*took), compare);
    double median = took[rounds / 2];
    free(took);
    return median;
}

/* Primaries of the busiest member over the mean. */
static double balance(const struct view *view, const struct ring *ring)
{
    uint32_t *led = calloc(view->member_count, sizeof(*led)), most = 0;
    CHECK(led != NULL);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint32_t *of = &led[ring->primary[slot]];
        *of += 1;
        most = *of > most ? *of : most;
    }
    free(led);
    return (double)most * view->member_count / SLOT_COUNT;
}

static bool has(const struct view *view, const struct ring *ring, uint32_t slot, const char *name)
{
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (strcmp(view->members[ring->group[slot][i]].name, name) == 0)
            return true;
    return false;
}

/* What a join moves, over the share that it must: of copies and of primaries. */
static void movement(const struct view *before_view, const struct ring *before,
                     const struct view *after_view, const struct ring *after, double *copies,
                     double *primaries)
{
    uint32_t moved = 0, led = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const char *primary = after_view->members[after->primary[slot]].name;
        led += strcmp(before_view->members[before->primary[slot]].name, primary) != 0;
        for (uint32_t i = 0; i < after->group_size; i++)
            moved +=
                !has(before_view, before, slot, after_view->members[after->group[slot][i]].name);
    }
    double share = (double)SLOT_COUNT / after_view->member_count;
    *copies = moved / (share * after->group_size);
    *primaries = led / share;
}

int main(int argc, char **argv)
{
    static const uint32_t counts[] = {3, 10, 40, 100, 150, 200, 300, 400, 1000, 4000};
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct ring *ring = malloc(sizeof(*ring)), *more = malloc(sizeof(*more));
    CHECK(ring != NULL && more != NULL && rounds > 0);
    puts(
        "| members | placed in, ms | busiest / mean | a join moves, x ideal: copies | primaries |");
    puts("| ---: | ---: | ---: | ---: | ---: |");
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct view view, larger;
        double copies, primaries;
        view_of_nodes(&view, counts[i]);
        double took_ms = place_ms(&view, ring, rounds);
        view_of_nodes(&larger, counts[i] + 1);
        ring_place(&larger, more);
        movement(&view, ring, &larger, more, &copies, &primaries);
        printf("| %" PRIu32 " | %.2f | %.4f | %.3f | %.3f |\n", counts[i], took_ms,
               balance(&view, ring), copies, primaries);
        view_close(&view);
        view_close(&larger);
    }
    free(ring);
    free(more);
    return 0;
}
