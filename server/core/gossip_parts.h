/* What the files of gossip share. Nobody else includes this.
 *
 *     gossip           events, time, questions, leaving
 *     gossip_join      the start, seeds, who is to be found again
 *     gossip_probe     questions that wait for an answer, and what follows if none comes
 *     gossip_exchange  asking for a list, answering with one
 *     gossip_hear      what lines of news do: transitions, logged and passed on
 *     gossip_wire      records as peers of links: where a message goes
 *
 * Each calls only those below it. */
#ifndef DHT_SERVER_CORE_GOSSIP_PARTS_H
#define DHT_SERVER_CORE_GOSSIP_PARTS_H

#include "server/core/gossip.h"

/* --- gossip_wire ------------------------------------------------------------------------------ */

/* The record of a peer, or NULL. */
struct account *wire_record(struct gossip *gossip, uint32_t peer);
/* Where a message to record goes, over this node's own control link, which is dialled if need be.
 * NULL: none can be had now, or it takes nothing more. */
struct reply *wire_out(struct gossip *gossip, struct account *record, struct moment now);
/* Appends a control message, and counts it. */
void wire_send(struct gossip *gossip, struct reply *out, const struct message *message);
enum link_state wire_state(const struct gossip *gossip, const struct account *record);
/* Bytes its machine has not acknowledged. */
uint64_t wire_unacked(const struct gossip *gossip, const struct account *record);
/* Closes the link; the next wire_out dials. */
void wire_drop(struct gossip *gossip, struct account *record, struct moment now);
/* Lets the peer go: the record is not a member any more. */
void wire_release(struct gossip *gossip, struct account *record);
/* Closes links that were not used for longest, while there are more than links_max. */
void wire_trim(struct gossip *gossip, struct moment now);
/* Whatever is being found out about record is not waited for any more, nor asked next. */
void wire_stop_asking(struct gossip *gossip, struct account *record);
struct target_view wire_view(const struct gossip *gossip);
/* The scratch body, emptied: for the lines of one message at a time. */
struct buf *wire_body(struct gossip *gossip);

/* --- gossip_hear ------------------------------------------------------------------------------ */

/* How a body of lines came. */
struct telling {
    uint32_t peer;     /* who says it */
    bool is_news;      /* pushed, or told along: what is new is passed on */
    bool is_delta;     /* a list's changes: those for good are passed on, too */
    bool is_timed;     /* it was under way for at most most_ms; else nobody knows for how long */
    uint64_t least_ms; /* under way for at least so long, as far as is known */
    uint64_t most_ms;
};

/* Takes the lines of a body. Ages of proofs of life are taken for as high as they can be, and where
 * that is not known they prove nothing: else each hop of a lossy path would make them younger.
 * errors  ERR_SYNTAX: a malformed line; those before it have been taken. */
MUST_USE enum err hear_body(struct gossip *gossip, const struct telling *telling, struct span body,
                            struct moment now);
/* A direct message of record's process, under the boot known, which says so of itself. */
void hear_direct(struct gossip *gossip, struct account *record, uint32_t inc, uint64_t hb,
                 struct moment now);
/* How long this process was stopped, if a tick is that much overdue; else 0. */
uint64_t hear_stop_ms(const struct gossip *gossip, struct moment now);
/* What is read now may have waited so long, because this process was stopped; 0 if that is too
 * short to matter. Then it proves nobody's life, and what it tells of others is older by as much.
 */
uint64_t hear_unread_ms(const struct gossip *gossip, struct moment now);
/* A connection with it shows that it lives, under the boot known. */
void hear_proof(struct gossip *gossip, struct account *record, struct moment now);
/* This node's own doubt. */
void hear_doubt(struct gossip *gossip, struct account *record, enum evidence evidence,
                struct moment now);
/* A member known from the view alone is there from now on: logged, and nobody is told. */
void hear_expected(struct gossip *gossip, struct account *record, struct moment now);
/* Ends suspicions whose time is over; computes suspect_ms. */
void hear_condemn(struct gossip *gossip, struct moment now);
/* Ends the time of the dead in the list, and of tombstones. */
void hear_expire(struct gossip *gossip, struct moment now);
/* Whether it is held for something that it would deny: to be told, so that it can. */
bool hear_is_accused(const struct account *record);
void hear_append_account(struct gossip *gossip, const struct account *record, struct moment now,
                         struct buf *out);
/* Spreads this node's own account, at once. */
void hear_spread_self(struct gossip *gossip, struct moment now);
/* Pushes what is due. */
void hear_push(struct gossip *gossip, struct moment now);
/* Frees a record, and everything that knows it. */
void hear_forget(struct gossip *gossip, struct account *record);

/* --- gossip_exchange -------------------------------------------------------------------------- */

#define SINCE_NEWEST UINT64_MAX /* "only tell me where you are" */

/* Asks record for its changes; whole: for all. Returns the number, 0 if nothing could be sent. */
uint64_t exchange_ask(struct gossip *gossip, struct account *record, bool whole, struct moment now);
/* The same of a name that may have no record. */
uint64_t exchange_ask_name(struct gossip *gossip, const char *name, struct moment now);
void exchange_answer(struct gossip *gossip, uint32_t peer,
                     const struct message_GET_MEMBERSHIP_LIST *question, struct reply *out,
                     struct moment now);
/* An answer has come, its lines are taken. */
void exchange_take(struct gossip *gossip, struct account *record,
                   const struct message_MEMBERS *answer, struct moment now);

/* --- gossip_probe ----------------------------------------------------------------------------- */

/* Asks for the list, and waits. */
void probe_exchange(struct gossip *gossip, struct account *record, struct moment now);
/* Looks whether record answers, in a while. */
void probe_check(struct gossip *gossip, struct account *record, uint64_t at_ms, struct moment now);
/* Another node asks. */
void probe_help(struct gossip *gossip, uint32_t asker, const struct message_PROBE *question,
                struct moment now);
/* A direct message of record has come: whatever was asked is answered. */
void probe_answered(struct gossip *gossip, struct account *record, struct moment now);
/* Its control link could not be had, or has ended. */
void probe_lost(struct gossip *gossip, struct account *record, enum disconnect why, bool was_up,
                struct moment now);
void probe_found(struct gossip *gossip, uint32_t peer, const struct message_PROBED *found,
                 struct moment now);
/* What is due. */
void probe_tick(struct gossip *gossip, struct moment now);
uint64_t probe_deadline(const struct gossip *gossip);
/* This node was stopped: what did not come in meanwhile says nothing. */
void probe_drop_all(struct gossip *gossip, struct moment now);

/* --- gossip_join ------------------------------------------------------------------------------ */

void join_init(struct gossip *gossip, const struct view *seeds);
void join_begin(struct gossip *gossip, struct moment now);
/* Who answers under the own name has been heard, or nobody does. */
void join_self_known(struct gossip *gossip, struct moment now);
/* A seed that is being tried has answered with its list, or failed. */
void join_tried(struct gossip *gossip, uint32_t peer, bool has_answered, struct moment now);
void join_tick(struct gossip *gossip, struct moment now);
uint64_t join_deadline(const struct gossip *gossip);

#endif
