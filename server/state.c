#include "server/state.h"

#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_cluster_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool state_is_cluster_name(struct span text)
{
    if (text.len == 0 || text.len > STATE_CLUSTER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_cluster_byte(text.data[i]))
            return false;
    return true;
}

/* Takes a line "key value\n" off text. Returns false if that is not what comes next. */
static bool take_line(struct span *text, const char *key, struct span *value)
{
    const size_t key_len = strlen(key);
    const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;

    if (end == NULL)
        return false;
    const size_t line_len = (size_t)(end - text->data);
    if (line_len < key_len + 1 || memcmp(text->data, key, key_len) != 0 ||
        text->data[key_len] != ' ')
        return false;
    *value = span_of(text->data + key_len + 1, line_len - key_len - 1);
    *text = span_of(end + 1, text->len - line_len - 1);
    return true;
}

/* A name as it was written: in normal form. */
static bool take_name(struct span value, char name[ADDRESS_TEXT_BYTES_MAX])
{
    struct address address;
    const char *why;

    if (address_parse(value, &address, &why) != ERR_OK)
        return false;
    address_format(&address, name);
    return span_equal(span_of_string(name), value);
}

enum err state_parse(struct span text, struct state *state, const char **why)
{
    struct span version, cluster, name, boot;

    *why = "it is no state file of a dht-server";
    if (!take_line(&text, "dht-state", &version))
        return ERR_SYNTAX;
    *why = "it was written by another version of dht-server";
    if (!span_equal(version, SPAN_LITERAL("1")))
        return ERR_SYNTAX;
    *why = "it is damaged";
    if (!take_line(&text, "cluster", &cluster) || !state_is_cluster_name(cluster) ||
        !take_line(&text, "name", &name) || !take_name(name, state->name) ||
        !take_line(&text, "boot", &boot) ||
        !number_parse_decimal(boot, STATE_BOOT_MAX, &state->boot) || state->boot == 0 ||
        text.len > 0)
        return ERR_SYNTAX;
    memcpy(state->cluster, cluster.data, cluster.len);
    state->cluster[cluster.len] = '\0';
    return ERR_OK;
}

size_t state_format(const struct state *state, char text[STATE_TEXT_BYTES_MAX])
{
    CHECK(state_is_cluster_name(span_of_string(state->cluster)));
    CHECK(state->boot > 0);
    CHECK(state->boot <= STATE_BOOT_MAX);
    int len =
        snprintf(text, STATE_TEXT_BYTES_MAX, "dht-state 1\ncluster %s\nname %s\nboot %" PRIu64 "\n",
                 state->cluster, state->name, state->boot);
    CHECK(len > 0 && (size_t)len < STATE_TEXT_BYTES_MAX);
    return (size_t)len;
}

uint64_t state_next_boot(uint64_t last, int64_t unix_ms)
{
    CHECK(last < STATE_BOOT_MAX);
    const uint64_t time = unix_ms > 0 ? (uint64_t)unix_ms : 0;

    return time > last ? time : last + 1;
}
