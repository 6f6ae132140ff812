/* What `stats settings` shows: the options, under memcached's names where it has them, for tools
 * that read them. */
#ifndef DHT_SERVER_SETTINGS_H
#define DHT_SERVER_SETTINGS_H

#include "server/core/stats.h"
#include "server/options.h"

#define SETTINGS_MAX        64
#define SETTINGS_TEXT_BYTES 2048

struct settings {
    struct stats_setting list[SETTINGS_MAX];
    size_t count;
    char text[SETTINGS_TEXT_BYTES]; /* behind the values */
};

/* Fills settings; it must stay where it is, its spans point into it. port, host: as listened on. */
void settings_fill(struct settings *settings, const struct options *options, const char *host,
                   uint16_t port);

#endif
