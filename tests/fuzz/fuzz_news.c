/* Lines of news, from anybody: whatever is taken reads the same when told on, and a member table
 * that hears it all stays whole. */
#include "common/check.h"
#include "server/core/members.h"

#include <stdlib.h>

#define NOW 10000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void span_check(struct span span, const char *in, size_t len)
{
    CHECK(span.len > 0);
    CHECK(span_equal(span, SPAN_LITERAL("-")) ||
          (span.data >= in && span.data + span.len <= in + len));
}

/* What would be told on is the line itself. */
static void check_again(const struct news *news, struct span line)
{
    struct buf out = {0};
    news_append(&out, news);
    CHECK(buf_len(&out) <= NEWS_LINE_BYTES_MAX);
    CHECK(span_equal(buf_span(&out), line));
    buf_close(&out);
}

static void hear(struct members *members, const struct news *news, uint64_t now_ms)
{
    struct account *record;
    if (news->is_heartbeat) {
        members_hear_heartbeat(members, news, now_ms);
        return;
    }
    members_hear(members, news, news->hops == 0, now_ms, &record);
    if (record && record->state == MEMBER_SUSPECT && news->inc == 1)
        members_condemn(members, record, now_ms);
    else if (record && record->state == MEMBER_DEAD && news->inc == 2)
        members_remove(members, record, now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A place of its own with nothing behind. */
    char *copy = malloc(size ? size : 1);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    struct gossip_options options;
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &options));
    struct members members;
    members_init(&members, &options, "self:1", 1, 1, 1);
    struct span body = span_of(copy, size);
    uint64_t now_ms = NOW;
    for (;;) {
        struct span before = body;
        struct news news;
        enum news_parse result = news_parse(&body, &news);
        if (result == NEWS_END || result == NEWS_BAD)
            break;
        CHECK(body.len < before.len);
        if (result == NEWS_SKIP)
            continue;
        span_check(news.name, copy, size);
        check_again(&news, span_of(before.data, before.len - body.len));
        hear(&members, &news, now_ms++);
        members_check(&members);
    }
    members_close(&members);
    free(copy);
    return 0;
}
