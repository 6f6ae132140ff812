#include "server/core/session.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdlib.h>

#define WINDOW_CAPACITY_MIN 16u

static struct answer *window_at(struct session *session, uint64_t seq)
{
    return &session->window[seq & (session->window_capacity - 1)];
}

static void window_grow(struct session *session)
{
    uint32_t capacity = session->window_capacity ? session->window_capacity : WINDOW_CAPACITY_MIN;
    while (capacity < session->next_seq - session->answer_seq)
        capacity *= 2;
    struct answer *window = calloc(capacity, sizeof(*window));
    CHECK(window != NULL);
    for (uint64_t seq = session->answer_seq; session->window && seq < session->next_seq; seq++)
        if (seq - session->answer_seq < session->window_capacity)
            window[seq & (capacity - 1)] = *window_at(session, seq);
    free(session->window);
    session->window = window;
    session->window_capacity = capacity;
}

/* The waiting answer of a request that is not the oldest. */
static struct answer *window_answer(struct session *session, uint64_t seq)
{
    CHECK(seq > session->answer_seq && seq < session->next_seq);
    if (session->window_capacity < session->next_seq - session->answer_seq)
        window_grow(session);
    struct answer *answer = window_at(session, seq);
    answer->reply.bytes.budget = session->out.bytes.budget;
    return answer;
}

struct reply *session_reply(struct session *session, uint64_t seq)
{
    if (LIKELY(seq == session->answer_seq))
        return &session->out;
    return &window_answer(session, seq)->reply;
}

/* What follows a retrieval line's last key. */
static void line_end(struct session *session)
{
    if (LIKELY(buf_len(&session->line_error) == 0)) {
        reply_append(&session->out, SPAN_LITERAL("END\r\n"));
        return;
    }
    reply_append(&session->out, buf_span(&session->line_error));
    buf_close(&session->line_error);
}

/* The oldest request is answered: out holds its bytes. */
static void oldest_done(struct session *session, enum request_part part)
{
    session->answer_seq++;
    session->is_in_line = part == PART_PIECE;
    if (part == PART_LAST)
        line_end(session);
    else if (UNLIKELY(session->line_error.capacity > 0) && part == PART_WHOLE)
        buf_close(&session->line_error); /* a line broken off by a malformed key */
    if (UNLIKELY(session->home != NULL) && part != PART_PIECE)
        reply_move(&session->out, &session->home->waiting);
}

static void oldest_fail(struct session *session, enum request_part part, struct span text)
{
    if (part == PART_WHOLE)
        reply_append(&session->out, text);
    else if (buf_len(&session->line_error) == 0 && !MUTANT(miss_for_failure))
        buf_append(&session->line_error, text.data, text.len);
    oldest_done(session, part);
}

/* Lets out every answer that waited only for the one just given. */
static void window_drain(struct session *session)
{
    while (session->answer_seq < session->next_seq) {
        struct answer *answer = window_at(session, session->answer_seq);
        if (!answer->is_done)
            return;
        session->window_bytes -= reply_len(&answer->reply);
        if (answer->has_failed) {
            oldest_fail(session, answer->part, buf_span(&answer->reply.bytes));
            reply_close(&answer->reply);
        } else {
            reply_move(&session->out, &answer->reply);
            oldest_done(session, answer->part);
        }
        *answer = (struct answer){.part = PART_WHOLE};
    }
    free(session->window);
    session->window = NULL;
    session->window_capacity = 0;
}

void session_done(struct session *session, uint64_t seq, enum request_part part)
{
    if (LIKELY(seq == session->answer_seq)) {
        oldest_done(session, part);
        if (UNLIKELY(session->window_capacity > 0))
            window_drain(session);
        return;
    }
    struct answer *answer = window_answer(session, seq);
    CHECK(!answer->is_done);
    answer->is_done = true;
    answer->part = part;
    session->window_bytes += reply_len(&answer->reply);
}

void session_fail(struct session *session, uint64_t seq, enum request_part part, struct span text)
{
    if (seq == session->answer_seq) {
        oldest_fail(session, part, text);
        if (session->window_capacity > 0)
            window_drain(session);
        return;
    }
    struct answer *answer = window_answer(session, seq);
    CHECK(reply_len(&answer->reply) == 0);
    reply_append(&answer->reply, text);
    answer->has_failed = true;
    session_done(session, seq, part);
}

void session_note_remote(struct session *session, size_t bytes)
{
    uint32_t before = session->remote_bytes ? session->remote_bytes : SESSION_REMOTE_BYTES_GUESS;
    uint32_t fallen = before - before / 4;
    session->remote_bytes = bytes > fallen ? (uint32_t)bytes : fallen;
}

void session_set_return(struct session *session, const char *where)
{
    size_t len = strlen(where);
    CHECK(len < SESSION_WHERE_BYTES_MAX);
    if (!session->home)
        session->home = calloc(1, sizeof(*session->home));
    CHECK(session->home != NULL);
    memcpy(session->home->where, where, len + 1);
}

void session_aside_end(struct session *session, struct reply *body)
{
    CHECK(session->aside_open > 0);
    CHECK(session->home != NULL);
    session->aside_open--;
    reply_move(session->is_in_line ? &session->home->waiting : &session->out, body);
}

void session_own_window(struct session *session)
{
    if (UNLIKELY(session->home != NULL))
        reply_own(&session->home->waiting);
    if (LIKELY(session->window_bytes == 0))
        return;
    for (uint32_t i = 0; i < session->window_capacity; i++)
        reply_own(&session->window[i].reply);
}

void session_close(struct session *session)
{
    for (uint32_t i = 0; i < session->window_capacity; i++)
        reply_close(&session->window[i].reply);
    free(session->window);
    reply_close(&session->out);
    buf_close(&session->line_error);
    if (session->home)
        reply_close(&session->home->waiting);
    free(session->home);
    *session = (struct session){.out.bytes.budget = session->out.bytes.budget};
}

void session_check(const struct session *session)
{
    CHECK(session->answer_seq <= session->next_seq);
    CHECK((session->window_capacity & (session->window_capacity - 1)) == 0);
    size_t bytes = 0;
    for (uint32_t i = 0; i < session->window_capacity; i++)
        if (session->window[i].is_done)
            bytes += reply_len(&session->window[i].reply);
    CHECK(bytes == session->window_bytes);
    if (session->window_capacity > 0 && session->answer_seq < session->next_seq)
        CHECK(!session->window[session->answer_seq & (session->window_capacity - 1)].is_done);
}
