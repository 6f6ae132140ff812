/* How the answers to meta commands are worded: a status, then what the request's flags ask for, in
 * the request's order. Used by meta.c only.
 *
 * The compose functions write at to, in room got from meta_room, and return one past what they
 * wrote; nothing is part of the reply before it is claimed with reply_advance. */
#ifndef DHT_SERVER_CORE_META_ANSWER_H
#define DHT_SERVER_CORE_META_ANSWER_H

#include "common/request.h"
#include "server/core/executor.h"

/* The flags that answers carry: always, of what is stored, of arithmetic, of an item found. */
#define META_SHOWN_ALWAYS (meta_bit('O') | meta_bit('k'))
#define META_SHOWN_STORED (META_SHOWN_ALWAYS | meta_bit('c') | meta_bit('s'))
#define META_SHOWN_ARITH  (META_SHOWN_ALWAYS | meta_bit('c') | meta_bit('t'))
#define META_SHOWN_ITEM                                                                            \
    (META_SHOWN_STORED | META_SHOWN_ARITH | meta_bit('f') | meta_bit('l') | meta_bit('h'))

/* What an answer's flags tell. */
struct meta_shown {
    uint64_t letters; /* META_SHOWN_… */
    size_t value_bytes;
    uint64_t cas;
    uint32_t flags;
    uint32_t idle_s;    /* since the last access before this one */
    uint32_t expires_s; /* in: before the request; T and N change it in their turn */
    bool was_fetched;
    bool is_created; /* by this request: N applies */
    bool may_win;    /* nobody has been sent W */
    bool has_won;    /* out: W is to be sent */
};

static inline bool meta_has_flag(const struct request *request, char letter)
{
    return (request->meta_seen & meta_bit(letter)) != 0;
}

/* The expiry after T and, for an item just created, N: the later flag in the request wins. */
uint32_t meta_expiry_after(const struct executor *executor, const struct request *request,
                           bool is_created, uint32_t expires_s);

/* Room for any line of an answer to request, and more_bytes behind it. */
char *meta_room(struct reply *out, const struct request *request, size_t more_bytes);
/* "HD", or "VA <bytes>" if the value was asked for. */
char *meta_compose_status(char *to, const struct request *request, size_t value_bytes);
/* The flags; those that change the expiry do so in their turn, as memcached's: "t T30" shows the
 * old time to live, "T30 t" the new one. Decides whether R or N have won. */
char *meta_compose_flags(char *to, const struct executor *executor, const struct request *request,
                         struct meta_shown *shown);
/* What stands behind the flags of an item with these marks. Z: somebody else has been sent W. X: it
 * is stale; the first who sees that wins. W: this client has won and is to recache. */
char *meta_compose_recache(char *to, uint8_t marks, struct meta_shown *shown);
char *meta_compose_end(char *to);

/* Appends a whole line: a two-letter status and flags. */
void meta_append_line(struct reply *out, const struct executor *executor,
                      const struct request *request, const char *status, struct meta_shown *shown);
/* Appends a line that tells nothing of an item: opaque and key go with every status. */
void meta_append_bare(struct reply *out, const struct executor *executor,
                      const struct request *request, const char *status);

#endif
