#include "client/cli_text.h"

#include "common/check.h"
#include "common/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define SEQ_BITS 40 /* of a version; the bits above are the epoch */

void cli_age_format(uint64_t ms, char text[CLI_AGE_BYTES_MAX])
{
    uint64_t s = ms / 1000;
    if (s < 10)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 ".%us", s, (unsigned)(ms % 1000 / 100));
    else if (s < 60)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
    else if (s < 86400)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s / 60 % 60));
    else
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "d%02uh", s / 86400,
                 (unsigned)(s / 3600 % 24));
}

void cli_up_format(uint64_t boot, char text[CLI_AGE_BYTES_MAX])
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    const uint64_t year_2020_ms = 1577836800000;
    if (boot < year_2020_ms)
        snprintf(text, CLI_AGE_BYTES_MAX, "-");
    else
        cli_age_format(now_ms > boot ? now_ms - boot : 0, text);
}

void cli_size_format(uint64_t bytes, char text[CLI_SIZE_BYTES_MAX])
{
    static const char units[] = {'K', 'M', 'G', 'T', 'P', 'E'};
    if (bytes < 1024) {
        snprintf(text, CLI_SIZE_BYTES_MAX, "%u", (unsigned)bytes);
        return;
    }
    size_t unit = 0;
    while (unit + 1 < sizeof(units) && bytes >= 1024 * 1024) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, CLI_SIZE_BYTES_MAX, "%u.%u%c", (unsigned)(bytes / 1024),
             (unsigned)(bytes % 1024 * 10 / 1024), units[unit]);
}

void cli_version_format(uint64_t version, char text[CLI_VERSION_BYTES_MAX])
{
    if (version == 0)
        snprintf(text, CLI_VERSION_BYTES_MAX, "-");
    else
        snprintf(text, CLI_VERSION_BYTES_MAX, "%" PRIu64 ":%" PRIu64, version >> SEQ_BITS,
                 version & ((UINT64_C(1) << SEQ_BITS) - 1));
}

double cli_share(uint32_t slots)
{
    uint32_t hundredths = (uint32_t)((uint64_t)slots * 10000 / SLOT_COUNT);
    return hundredths / 100.0;
}
