/* What a parser makes of some bytes, told as text, so that two ways of feeding it can be compared
 * and a table can say what is expected. For tests only.
 *
 * One request after another, separated by " | ". An error stands as !text, a silent one as !, a
 * closed connection as close, bytes waiting for more as "..." at the end. */
#ifndef DHT_TESTS_REQUEST_STORY_H
#define DHT_TESTS_REQUEST_STORY_H

#include "common/buf.h"
#include "common/check.h"
#include "common/request.h"

#include <inttypes.h>
#include <stdlib.h>

static void story_span(struct buf *story, struct span span)
{
    for (size_t i = 0; i < span.len; i++) {
        unsigned char c = (unsigned char)span.data[i];
        if (c < ' ' || c >= 0x7f)
            buf_printf(story, "<%02x>", c);
        else
            buf_append(story, &span.data[i], 1);
    }
}

static void story_meta(struct buf *story, const struct request *request)
{
    buf_printf(story, " {");
    story_span(story, request->meta_flags);
    buf_printf(story, "}");
    if (request->key_base64)
        buf_printf(story, " base64");
    if (request->opaque.len > 0) {
        buf_printf(story, " opaque=");
        story_span(story, request->opaque);
    }
    const struct {
        const char *name;
        char letter;
        int64_t value;
    } fields[] = {{"flags", 'F', request->flags},
                  {"exptime", 'T', request->exptime},
                  {"vivify", 'N', request->vivify_ttl},
                  {"recache", 'R', request->recache_ttl},
                  {"compare", 'C', (int64_t)request->cas_compare},
                  {"explicit", 'E', (int64_t)request->cas_explicit},
                  {"initial", 'J', (int64_t)request->initial}};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        if (request->meta_seen & meta_bit(fields[i].letter))
            buf_printf(story, " %s=%" PRId64, fields[i].name, fields[i].value);
        else
            CHECK(fields[i].value == 0);
    }
    if (request->delta != 1)
        buf_printf(story, " delta=%" PRIu64, request->delta);
    if (request->mode)
        buf_printf(story, " mode=%c", request->mode);
}

static void story_request(struct buf *story, const struct request *request)
{
    enum command command = request->command;
    if (command == CMD_INVALID) {
        CHECK(request->part == PART_WHOLE);
        buf_printf(story, "!");
        struct span text = request->error;
        CHECK(text.len == 0 || memcmp(text.data + text.len - 2, "\r\n", 2) == 0);
        story_span(story, span_of(text.data, text.len > 0 ? text.len - 2 : 0));
        return;
    }
    CHECK(command_is_retrieval(command) == (request->part != PART_WHOLE));
    CHECK((command_has_key(command) || command == CMD_COPY) == (request->key.len > 0));
    CHECK(request->key.len <= KEY_BYTES_MAX);
    if (request->once.len > 0) {
        buf_printf(story, "once ");
        story_span(story, request->once);
        buf_printf(story, " ");
    }
    buf_printf(story, "%s", command_word(command));
    if (request->key.len > 0)
        buf_printf(story, " ");
    story_span(story, request->key);
    if (request->part == PART_PIECE)
        buf_printf(story, "+");
    if (command >= CMD_META_GET && command <= CMD_META_DEBUG) {
        story_meta(story, request);
    } else {
        if (request->flags)
            buf_printf(story, " flags=%" PRIu32, request->flags);
        if (request->exptime)
            buf_printf(story, " exptime=%" PRId64, request->exptime);
        if (request->number)
            buf_printf(story, " number=%" PRIu64, request->number);
        CHECK(request->meta_seen == 0);
    }
    if (request->words.len > 0) {
        buf_printf(story, " (");
        story_span(story, request->words);
        buf_printf(story, ")");
    }
    if (request->has_ring)
        buf_printf(story, " has_ring");
    if (request->has_delay)
        buf_printf(story, " has_delay");
    if (request->noreply)
        buf_printf(story, " noreply");
    if (request->too_large)
        buf_printf(story, " too_large");
    else if ((command >= CMD_SET && command <= CMD_CAS) || command == CMD_META_SET) {
        buf_printf(story, " [");
        story_span(story, request->value);
        buf_printf(story, "]");
    }
}

/* Every span that is not static lies within the bytes given, or in the request itself. */
static void story_check_spans(const struct request *request, struct span in)
{
    const struct span spans[] = {request->key,        request->value, request->line,
                                 request->words,      request->once,  request_without_id(request),
                                 request->meta_flags, request->opaque};
    for (size_t i = 0; i < ARRAY_COUNT(spans); i++) {
        if (spans[i].len == 0 || (request->key_base64 && i == 0))
            continue;
        CHECK(spans[i].data >= in.data);
        CHECK(spans[i].len <= (size_t)(in.data + in.len - spans[i].data));
    }
    if (request->key_base64)
        CHECK(request->key.data == request->key_decoded || request->command == CMD_INVALID);
}

/* A connection: what of its bytes is not consumed yet, and the story so far. */
struct story_feed {
    struct request_parser parser;
    struct request_limits limits;
    struct buf waiting;
    struct buf story;
    size_t need; /* as the parser last said */
    bool is_closed;
};

/* Gives the parser what is waiting, in a block of exactly that size. */
static enum parse story_step(struct story_feed *feed)
{
    struct span waiting = buf_span(&feed->waiting);
    char *exact = malloc(waiting.len > 0 ? waiting.len : 1);
    struct span in = span_of(exact, waiting.len);
    if (waiting.len > 0)
        memcpy(exact, waiting.data, waiting.len);
    struct request *request = malloc(sizeof(*request));
    memset(request, 0xee, sizeof(*request));
    size_t consumed, need;
    size_t needed_before = feed->need;
    enum parse result =
        request_parse(&feed->parser, &feed->limits, in.data, in.len, request, &consumed, &need);
    CHECK(consumed <= in.len);
    if (result == PARSE_MORE) {
        CHECK(need >= in.len - consumed + 1);
        feed->need = need;
    } else {
        CHECK(in.len >= needed_before); /* calling earlier was useless, as said */
        CHECK(consumed > 0 || result == PARSE_CLOSE);
        buf_printf(&feed->story, "%s", buf_len(&feed->story) > 0 ? " | " : "");
        feed->need = 0;
    }
    if (result == PARSE_DONE) {
        story_check_spans(request, in);
        story_request(&feed->story, request);
    } else if (result == PARSE_CLOSE) {
        feed->is_closed = true;
        buf_printf(&feed->story, "close%s", request->error.len > 0 ? " " : "");
        if (request->error.len > 0)
            story_request(&feed->story, request);
    }
    buf_consume(&feed->waiting, consumed);
    free(exact);
    free(request);
    return result;
}

/* More bytes have come. */
static void story_feed(struct story_feed *feed, struct span bytes)
{
    buf_append(&feed->waiting, bytes.data, bytes.len);
    while (!feed->is_closed && story_step(feed) == PARSE_DONE)
        ;
}

/* Ends the story; release with buf_close. */
static struct buf story_end(struct story_feed *feed)
{
    bool is_pending = feed->parser.swallow_bytes > 0 || feed->parser.swallow_line ||
                      feed->parser.retrieval != CMD_INVALID || buf_len(&feed->waiting) > 0;
    if (!feed->is_closed && is_pending)
        buf_printf(&feed->story, "...");
    buf_append(&feed->story, "", 1);
    buf_close(&feed->waiting);
    return feed->story;
}

#endif
