/* A session: the answers one client is owed, in the order it asked.
 *
 * Requests are numbered as they come. An answer to the oldest open request goes straight to out;
 * one that comes early (its predecessors are still with other nodes) waits in the window. Here also
 * the pieces of a retrieval line become one answer: END when every key has been answered, else the
 * first key's failure: never a silent miss.
 *
 * Invariant: answer_seq <= next_seq; the window holds only requests in (answer_seq, next_seq), and
 * the one at answer_seq is never done. A zeroed session is valid. Knows no sockets and no store. */
#ifndef DHT_SERVER_CORE_SESSION_H
#define DHT_SERVER_CORE_SESSION_H

#include "common/reply.h"
#include "common/request.h"

#define SESSION_WHERE_BYTES_MAX 40u /* "<port>,<token>" and NUL */

struct answer {
    struct reply reply;
    enum request_part part;
    bool is_done;
    bool has_failed; /* reply is the text of a failure, not an answer */
};

/* Where a client may be answered directly, and what is owed to it outside the order. */
struct session_return {
    char where[SESSION_WHERE_BYTES_MAX]; /* "<port>,<token>" */
    struct reply waiting; /* whole answers that came in the midst of a retrieval line's */
};

struct session {
    struct reply out;         /* answered, ready to be sent */
    uint64_t next_seq;        /* the next request's number */
    uint64_t answer_seq;      /* the oldest request not answered yet */
    struct answer *window;    /* by seq % window_capacity */
    uint32_t window_capacity; /* a power of two, or 0 */
    size_t window_bytes;      /* in the window's done answers */
    struct buf line_error;    /* the current retrieval line's first failure; empty if none */
    uint32_t remote_open;     /* requests that other nodes are to answer */
    uint32_t remote_bytes;    /* what such an answer takes: a falling maximum; 0: none seen yet */
    bool follows_ring;        /* the client is told when a forward shows it to have an old ring */
    bool is_in_line;          /* out ends within the answer to a retrieval line */
    uint32_t aside_open;      /* requests not answered yet whose answers leave the order */
    uint64_t ring_told;       /* the hash it was told last */
    struct session_return *home; /* owned; NULL: the client has given no return address */
};

/* Where the answer of request seq is written; valid until the next call. A request is answered in
 * one go: session_reply, append, session_done or session_fail. */
struct reply *session_reply(struct session *session, uint64_t seq);
/* Request seq is answered by what was written. */
void session_done(struct session *session, uint64_t seq, enum request_part part);
/* Request seq has failed: text (with its line end) is its answer, or its line's. Nothing must have
 * been written for it. */
void session_fail(struct session *session, uint64_t seq, enum request_part part, struct span text);

/* Requests not answered yet. */
static inline uint64_t session_open_count(const struct session *session)
{
    return session->next_seq - session->answer_seq + session->aside_open;
}

/* The client takes answers there, from now on. where: shorter than SESSION_WHERE_BYTES_MAX. */
void session_set_return(struct session *session, const char *where);
/* A request is open whose answer is to leave the order; its client has a return address. */
static inline void session_aside_begin(struct session *session)
{
    session->aside_open++;
}
/* It is answered: by all that is in body, which is left closed; or, if that is empty, elsewhere or
 * by nothing. It comes after what has been answered so far, between whole answers. */
void session_aside_end(struct session *session, struct reply *body);

/* What a relayed answer is taken for before one has been seen. */
#define SESSION_REMOTE_BYTES_GUESS (64u * 1024)

/* Bytes that other nodes may be about to answer this client with, as far as one can tell. */
static inline uint64_t session_remote_bytes(const struct session *session)
{
    uint32_t each = session->remote_bytes ? session->remote_bytes : SESSION_REMOTE_BYTES_GUESS;
    return (uint64_t)each * session->remote_open;
}

/* An answer of so many bytes has been relayed. */
void session_note_remote(struct session *session, size_t bytes);

/* Bytes held for this client. */
static inline size_t session_bytes(const struct session *session)
{
    size_t waiting = session->home ? reply_len(&session->home->waiting) : 0;
    return reply_len(&session->out) + session->window_bytes + waiting;
}

/* Copies what waiting answers borrow: call before the turn's send frees it. Cheap if there is none.
 */
void session_own_window(struct session *session);
void session_close(struct session *session);
void session_check(const struct session *session);

#endif
