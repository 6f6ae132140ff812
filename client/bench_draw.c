#include "client/bench_draw.h"

#include "common/check.h"

#include <math.h>

/* Zipf by rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", ACM TOMACS 6 (1996). A point below the curve
 * density(x) = x^-exponent is drawn by inverting its integral, rounded to a whole rank, and
 * accepted if it lies within that rank's bar; fewer than a quarter of the points are rejected. */

static double density(double exponent, double x)
{
    return exp(-exponent * log(x));
}

/* Integral of the density from 1 to x: (x^(1-e) - 1) / (1-e), and log x where e is 1. */
static double integral(double exponent, double x)
{
    double log_x = log(x);
    double power = (1 - exponent) * log_x;
    return fabs(power) > 1e-8 ? log_x * expm1(power) / power : log_x * (1 + power / 2);
}

static double integral_inverse(double exponent, double area)
{
    double power = area * (1 - exponent);
    if (power < -1) /* only by rounding, at the far end of a steep curve */
        power = -1;
    return exp(fabs(power) > 1e-8 ? area * log1p(power) / power : area * (1 - power / 2));
}

void bench_draw_init(struct bench_draw *draw, uint32_t count, double exponent)
{
    CHECK(count > 0);
    CHECK(exponent >= 0 && exponent <= 10);
    *draw = (struct bench_draw){.count = count, .exponent = exponent};
    if (exponent > 0) {
        draw->integral_first = integral(exponent, 1.5) - 1;
        draw->integral_last = integral(exponent, count + 0.5);
        draw->always_accepted =
            2 - integral_inverse(exponent, integral(exponent, 2.5) - density(exponent, 2));
    }
}

static uint32_t draw_zipf(const struct bench_draw *draw, struct prng *prng)
{
    double span = draw->integral_first - draw->integral_last;
    for (;;) {
        double area = draw->integral_last + bench_fraction(prng) * span;
        double x = integral_inverse(draw->exponent, area);
        double rank = floor(x + 0.5);
        rank = fmin(fmax(rank, 1), draw->count);
        double bar = integral(draw->exponent, rank + 0.5) - density(draw->exponent, rank);
        if (rank - x <= draw->always_accepted || area >= bar)
            return (uint32_t)rank - 1;
    }
}

uint32_t bench_draw_next(const struct bench_draw *draw, struct prng *prng)
{
    if (draw->exponent > 0)
        return draw_zipf(draw, prng);
    /* Multiply and shift instead of a division: the bias is below count / 2^32 of a probability. */
    return (uint32_t)(((prng_next(prng) >> 32) * draw->count) >> 32);
}
