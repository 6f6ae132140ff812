/* Measures placements by themselves: how long one takes, how even it is, and what a join moves.
 * Prints a table in Markdown.
 *
 * usage: ring_bench [rounds] */
#include "tests/ring_measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 51u

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
        view_of_nodes(&view, counts[i]);
        double took_ms = place_ms(&view, ring, rounds);
        view_of_nodes(&larger, counts[i] + 1);
        ring_place(&larger, more);
        struct movement moved = movement(&view, ring, &larger, more);
        printf("| %" PRIu32 " | %.2f | %.4f | %.3f | %.3f |\n", counts[i], took_ms,
               balance(&view, ring), moved.copies, moved.primaries);
        view_close(&view);
        view_close(&larger);
    }
    free(ring);
    free(more);
    return 0;
}
