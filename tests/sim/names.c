#include "tests/sim/names.h"

#include <stdio.h>

#define HOSTS_PER_NET 250u

void name_format(uint32_t number, char name[ADDRESS_TEXT_BYTES_MAX])
{
    snprintf(name, ADDRESS_TEXT_BYTES_MAX, "10.0.%u.%u:%u", number / HOSTS_PER_NET,
             number % HOSTS_PER_NET + 1, NAMES_PORT);
}

/* A number of up to five digits at text[*at]. */
static bool digits(struct span text, size_t *at, uint32_t *number)
{
    size_t from = *at;
    *number = 0;
    while (*at < text.len && *at - from < 5 && text.data[*at] >= '0' && text.data[*at] <= '9')
        *number = *number * 10 + (uint32_t)(text.data[(*at)++] - '0');
    return *at > from;
}

size_t name_find(struct span text, uint32_t *number)
{
    const struct span front = SPAN_LITERAL("10.0.");
    size_t at = front.len;
    uint32_t net, host, port;
    if (text.len < front.len || !span_equal(span_of(text.data, front.len), front))
        return 0;
    if (!digits(text, &at, &net) || at == text.len || text.data[at++] != '.' ||
        !digits(text, &at, &host) || at == text.len || text.data[at++] != ':' ||
        !digits(text, &at, &port) || port != NAMES_PORT || host == 0 || host > HOSTS_PER_NET)
        return 0;
    *number = net * HOSTS_PER_NET + host - 1;
    return at;
}
