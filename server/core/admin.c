#include "server/core/admin.h"

#include "common/check.h"
#include "common/peers.h"
#include "server/core/env.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "<host>|<ip>|<port>": an IPv6 address without its brackets. A name stands in both places, for
 * clients that take the second. */
static void config_member(struct buf *list, const char *name)
{
    const char *colon = strrchr(name, ':');
    CHECK(colon != NULL);
    int host_len = (int)(colon - name);
    if (name[0] == '[') {
        name++;
        host_len -= 2;
    }
    buf_printf(list, "%.*s|%.*s|%s", host_len, name, host_len, name, colon + 1);
}

/* Whether it leads slots, so that clients may ask it. */
static bool is_leading(const struct member *member)
{
    return member_is_full(member) && member_is_up(member);
}

/* The value of the item that auto discovery reads. */
static void config_value(struct buf *list, const struct admin_ring *ring)
{
    buf_printf(list, "%" PRIu64 "\n", ring->changes);
    const char *space = "";
    for (uint32_t i = 0; ring->members && i < ring->members->member_count; i++) {
        if (!is_leading(&ring->members->members[i]))
            continue;
        buf_printf(list, "%s", space);
        config_member(list, ring->members->members[i].name);
        space = " ";
    }
    buf_append(list, "\n", 1);
}

void admin_config(struct reply *out, const struct admin_ring *ring, struct span words)
{
    struct span verb = span_take_word(&words), item = span_take_word(&words);
    if (!span_equal(verb, SPAN_LITERAL("get")) || item.len == 0 || words.len > 0) {
        reply_append(out, SPAN_LITERAL("ERROR\r\n"));
        return;
    }
    if (span_equal(item, SPAN_LITERAL("cluster"))) {
        struct buf value = {0};
        config_value(&value, ring);
        reply_printf(out, "CONFIG cluster 0 %zu\r\n", buf_len(&value));
        reply_append(out, buf_span(&value));
        reply_append(out, SPAN_LITERAL("\r\n"));
        buf_close(&value);
    }
    reply_append(out, SPAN_LITERAL("END\r\n"));
}

void admin_ring(struct reply *out, const struct admin_ring *ring)
{
    uint32_t count = 0;
    for (uint32_t i = 0; ring->members && i < ring->members->member_count; i++)
        count += is_leading(&ring->members->members[i]);
    reply_printf(out, "RING %016" PRIx64 " %" PRIu32 "\r\n", ring->hash, count);
}

void admin_ring_notice(struct reply *out, uint64_t hash)
{
    reply_printf(out, "RING %016" PRIx64 "\r\n", hash);
}

void admin_membership(struct reply *out, uint64_t version, struct span json)
{
    reply_printf(out, "MEMBERSHIP %" PRIu64 " %zu\r\n", version, json.len);
    reply_append(out, json);
    reply_append(out, SPAN_LITERAL("\r\nEND\r\n"));
}

void admin_report(struct reply *out, struct span json)
{
    reply_printf(out, "REPORT %zu\r\n", json.len);
    reply_append(out, json);
    reply_append(out, SPAN_LITERAL("\r\nEND\r\n"));
}

struct span admin_return_refusal(const struct view *ring, const char *client, uint64_t port,
                                 bool is_on)
{
    const char *colon = strrchr(client, ':');
    char name[ADDRESS_TEXT_BYTES_MAX];
    if (!is_on)
        return SPAN_LITERAL("SERVER_ERROR direct answers are off\r\n");
    if (port < CLIENT_PORT_MIN)
        return SPAN_LITERAL("CLIENT_ERROR return port refused: below 1024\r\n");
    if (!colon)
        return SPAN_LITERAL("CLIENT_ERROR return port refused: no address to return to\r\n");
    snprintf(name, sizeof(name), "%.*s:%" PRIu64, (int)(colon - client), client, port);
    if (peers_may_be(ring, name))
        return SPAN_LITERAL("CLIENT_ERROR return port refused: a node has it\r\n");
    return span_of(NULL, 0);
}

struct span admin_shutdown_refusal(bool can_shutdown, struct span words)
{
    if (!can_shutdown)
        return SPAN_LITERAL("ERROR: shutdown not enabled\r\n");
    if (words.len > 0 && !span_equal(words, SPAN_LITERAL("graceful")))
        return SPAN_LITERAL("CLIENT_ERROR invalid shutdown mode\r\n");
    return span_of(NULL, 0);
}
