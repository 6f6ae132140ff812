/* Sync: sessions that bring another node's copy of a slot to this node's, and keep it there; and
 * the same from the other end (proto.md "Sync").
 *
 * A session is (epoch, slot, source, receiver, sid). Who is to have one is decided above (primary);
 * here is how it runs, that what arrives is applied by the rules, and who has acknowledged what.
 *
 *   source:    QUEUED --link up, a place free--> OFFERED --START--> SENDING --nothing left-->
 *              ENDING --END acknowledged--> SYNCED
 *              ADVANCING --ADVANCE acknowledged--> SYNCED
 *              any --NOSYNC, FULL, the link breaks, sync_close_session, sync_seal--> (none)
 *              (QUEUED outlives a break: it has sent nothing)
 *   receiver:  (none) --OFFER, or for a pull its answer--> RECEIVING --END--> SYNCED
 *              (none) --ADVANCE onto what it has--> SYNCED
 *              any --a gap, no memory, the link breaks, CLOSE, a newer OFFER, sync_seal--> (none)
 *
 * All sessions of a pair (source, receiver) share one stream over the source's data link: records
 * with numbers, given once and never again, acknowledged cumulatively. What is put into a stream is
 * applied in that order. So one number tells of every session to that peer, of whatever slot. A
 * session is ended before the number of a record that it did not take is acknowledged: whoever
 * takes events in their order never counts it.
 *
 * A receiver acknowledges a session's records only once it is synced; before END an acknowledged
 * number only says that they have come. At whatever point a session ends, the receiver's copy is
 * correct for the (act, ver) it states.
 *
 * Who goes first. While an ADVANCE to anybody is not acknowledged, only sessions SYNC_FOR_QUORUM
 * begin: clients wait for both, and for no others.
 *
 * Bounds. Sessions that send are at most sync_open_max a peer, others wait in their queue. What
 * they send goes behind what clients wait for, unacknowledged at most window_bytes a peer (and in
 * small pieces while clients are served), and at most rate_bytes_s in all. A stream holds at most
 * SYNC_BACKLOG_BYTES_MAX of clients' writes that its receiver has not taken: one that falls behind
 * by more loses its sessions (SYNC_ENDED_SLOW); sync_is_congested tells before.
 *
 * Calls upwards nobody: what has happened is told by sync_take_event. */
#ifndef DHT_SERVER_CORE_SYNC_H
#define DHT_SERVER_CORE_SYNC_H

#include "common/record.h"
#include "common/ring.h"
#include "server/core/links.h"
#include "server/store/store.h"

#define SYNC_WINDOW_BYTES      (256u * 1024) /* a useful window_bytes */
#define SYNC_OPEN_MIN          64u
#define SYNC_OPEN_MAX          1024u
#define SYNC_BACKLOG_BYTES_MAX (256u * 1024 * 1024) /* two of the largest values */
/* How long nothing of the copies that a peer was asked for may come, whatever else does. */
#define SYNC_PULL_TIMEOUT_MS 3000u
/* How long a receiver may not say that it has received what it was sent: then the link is ended,
 * and with it all sessions. */
#define SYNC_SILENCE_MS 5000u

struct sync;

struct sync_setup {
    struct store *store;
    struct links *links;
    struct log *log;
    struct log *audit; /* a line for each write and repair of a key applied here; NULL: none */
    struct stats *stats;
    struct budget *budget; /* where what waits here counts; may be NULL */
    uint32_t window_bytes; /* of a session's items on their way to one peer; at least 4096 */
    uint64_t rate_bytes_s; /* of items to all peers together; 0: no bound */
};

/* How many sessions with one peer may be open at once where a node has so many items. Each takes
 * two round trips, and what the receiver has named is kept: the smaller the slots, the more, from
 * SYNC_OPEN_MIN to SYNC_OPEN_MAX, so that neither a long way nor many items make it slow or large.
 */
uint32_t sync_open_max(uint64_t items);

/* All of setup is borrowed. No epoch yet: nothing is taken or sent before sync_seal. */
struct sync *sync_open(const struct sync_setup *setup);
/* Accepts NULL. */
void sync_close(struct sync *sync);
/* A turn begins. */
void sync_tell_time(struct sync *sync, struct moment now);
/* In this turn a request is carried out or passed on: for a while copies, but those FOR_QUORUM, go
 * in small pieces, each when the last has been received and in a turn of its own where it can. */
void sync_tell_served(struct sync *sync);
/* After sync_flush, and what it let be answered. is_awaited: requests wait here for other copies,
 * and with them, for a moment, those small pieces. */
void sync_tell_awaited(struct sync *sync, bool is_awaited);

/* A view has been adopted: every session of lower epochs ends, at both ends, without an event, and
 * nothing of them is applied or acknowledged any more. What has come of this epoch before is taken
 * at the next sync_take_held.
 *
 * view, ring  of this epoch; borrowed until the next sync_seal.
 * self        this node's index in view; RING_NOBODY: it is no member. */
void sync_seal(struct sync *sync, const struct view *view, const struct ring *ring, uint16_t self,
               struct moment now);
/* From now on this node takes no session of another (it is about to stop): answers NOSYNC. */
void sync_refuse(struct sync *sync, bool refuses);

/* --- as a source: sessions -------------------------------------------------------------------- */

enum sync_state {
    SYNC_NONE,
    SYNC_QUEUED,
    SYNC_OFFERED,
    SYNC_SENDING,
    SYNC_ENDING,
    SYNC_ADVANCING,
    SYNC_SYNCED
};

/* Who goes first where sessions wait for a place. FOR_QUORUM: clients wait for it. */
enum sync_rank { SYNC_FOR_QUORUM, SYNC_FOR_GROUP, SYNC_FOR_LEARNER, SYNC_RANK_COUNT };

/* Begins a session of a slot to a member; one that it has already is ended, without an event, but
 * with one (STRANGER) if that was for another process of the name. It waits until the link to the
 * member is up: dialling is done here, over and over.
 *
 * peer        not PEER_SELF; its index stays held while it has a session.
 * generation  of the member: if another process answers, the session ends as STRANGER. Do not offer
 *             again at once then, but when the view or the link has changed.
 * Returns the session's sid, which its events carry. */
uint64_t sync_offer(struct sync *sync, uint32_t slot, uint32_t peer, uint64_t generation,
                    enum sync_rank rank, struct moment now);
/* A session, if there is one, is no longer as urgent as it was when it was offered. One that has
 * begun to send, or that the peer has asked for, stays what it is. */
void sync_lower(struct sync *sync, uint32_t slot, uint32_t peer, enum sync_rank rank);

struct sync_check {
    uint16_t slot;
    uint64_t ver;
};

struct sync_advance {
    uint32_t act; /* of the origins */
    /* By slot; a slot that is false, or that is not led here by the ring, or not backed by the
     * member, is excepted. */
    const bool *slots;
    const struct sync_check *checks; /* ascending slots, each of them in slots */
    uint32_t check_count;
};

/* Replication.md "Advance": one session for each of these slots, which this node has led in this
 * epoch without a write so far; those that the member has already are ended, without an event. The
 * link must be up (sync_is_up): else nothing happens, and the result is 0.
 *
 * Each slot becomes SYNCED, or ends as NOSYNC: then it needs sync_offer.
 * Returns the sid of all of them. */
uint64_t sync_advance(struct sync *sync, uint32_t peer, uint64_t generation,
                      const struct sync_advance *advance, struct moment now);
/* Whether the stream to that process of the peer can carry something now; if not, begins to dial.
 * SYNC_UP tells when it can. */
bool sync_is_up(struct sync *sync, uint32_t peer, uint64_t generation, struct moment now);

/* Ends a session, if there is one, without an event; tells the receiver. */
void sync_close_session(struct sync *sync, uint32_t slot, uint32_t peer);

struct sync_session_view {
    enum sync_state state;
    uint64_t sid;
    uint64_t generation;
    uint64_t common; /* from START on; ADVANCING: the origin's version */
    /* A version that the receiver has acknowledged; a lower bound that catches up with each
     * acknowledgement that is asked about or followed by a write. 0 unless SYNCED. */
    uint64_t acked;
    bool is_past_start; /* what is written goes to it */
    enum sync_rank rank;
};
/* Returns false, and state SYNC_NONE, if there is none. */
bool sync_session(const struct sync *sync, uint32_t slot, uint32_t peer,
                  struct sync_session_view *view);
/* The highest floor that the sessions of a slot allow: not above the acknowledged version of one
 * that is synced, the common of one that is past START. (One before START is offered anew if it
 * comes to be below the floor.) UINT64_MAX without sessions. */
uint64_t sync_floor_max(const struct sync *sync, uint32_t slot);

/* --- as a source: what is sent ---------------------------------------------------------------- */

enum sync_written {
    SYNC_WRITE_KEY,     /* what the key is now: an item or tombstone of this version, or none that
                         * is newer (CHECKed), if the write has left nothing */
    SYNC_WRITE_DELETED, /* a tombstone, whatever the key is by now: it was evicted to make room */
    SYNC_WRITE_FLUSH,   /* the slot's flush as it is now */
    SYNC_WRITE_NOTHING  /* only the version, and the request id */
};

struct sync_write {
    enum sync_written what;
    uint32_t slot;
    uint64_t version;            /* the one just given */
    const struct store_key *key; /* of a flush not looked at */
    struct span id;              /* the request id whose entry the store has by now; empty: none */
};

/* The primary has made a write: puts it into the stream of every session of the slot that is past
 * START. Call right after each write, before the next: nothing of a slot is written otherwise
 * while it has sessions. Cheap without sessions. */
void sync_write(struct sync *sync, const struct sync_write *write);

/* Prefetches what sync_write of this slot will look at, in three stages, as the store's. Hints
 * only. */
void sync_prefetch_slot(const struct sync *sync, uint32_t slot);
void sync_prefetch_first(const struct sync *sync, uint32_t slot);
void sync_prefetch_rest(const struct sync *sync, uint32_t slot);

/* Puts a MARK into the stream to the peer; returns its number. The peer must have a session past
 * START (CHECKed). */
uint64_t sync_mark(struct sync *sync, uint32_t peer);
/* What lies in the stream to the peer is sent at the next sync_flush. Writes and MARKs that nobody
 * hurries wait for more, SYNC_HOLD_MS at the most: of two backups one will do, and what goes to the
 * other goes in fewer pieces. */
#define SYNC_HOLD_MS 2u
void sync_hurry(struct sync *sync, uint32_t peer);
/* The number of the last record put into that stream; 0 before the first. Numbers only rise, over
 * breaks and epochs too. */
uint64_t sync_position(const struct sync *sync, uint32_t peer);
/* The highest number acknowledged. What was put before a break or a seal and not acknowledged by
 * then has ended with its session; its numbers are passed over by the next stream's. */
uint64_t sync_acked(const struct sync *sync, uint32_t peer);
/* The floor of a slot has been raised here: the synced receivers do the same. */
void sync_floor(struct sync *sync, uint32_t slot, uint64_t floor);
/* Whether a stream of the slot's synced sessions holds so much that another write should wait. */
bool sync_is_congested(const struct sync *sync, uint32_t slot);

/* --- as a receiver ---------------------------------------------------------------------------- */

/* Asks a peer whose copy has been chosen to be the source of a session to this node. Ends as
 * SYNC_PULLED or SYNC_PULL_FAILED, once. The copy here is then that of the source, with its act,
 * floor and cleanness: the caller leads on (copy_lead).
 *
 * act, ver  what the peer has stated.
 * Returns the sid. */
uint64_t sync_pull(struct sync *sync, uint32_t slot, uint32_t peer, uint64_t generation,
                   uint32_t act, uint64_t ver, struct moment now);
/* Whether a session of another node to this node's copy of the slot is open. */
bool sync_is_received(const struct sync *sync, uint32_t slot);
/* Whether it is synced. */
bool sync_is_received_synced(const struct sync *sync, uint32_t slot);

/* --- events ----------------------------------------------------------------------------------- */

enum sync_change {
    /* As a source. */
    SYNC_UP,     /* the stream to peer can carry something: a new one, with no session in it */
    SYNC_BECAME, /* slot, sid: SYNCED; number: what this acknowledgement tells of */
    SYNC_ENDED,  /* slot, sid: the session is no more; why */
    SYNC_ACKED,  /* number: all records of peer's stream up to it, whose sessions have not ended */
    /* As a receiver. */
    SYNC_RECEIVED,   /* slot: this node's copy has been brought to its primary's: synced */
    SYNC_UNRECEIVED, /* slot: that is over, unless it is synced again by now */
    SYNC_PULLED,     /* slot, sid: done; act, ver, is_clean: the source's, those that were asked */
    SYNC_PULL_FAILED /* slot, sid: collect again; why: MOVED if its copy is another by now */
};

enum sync_end {
    SYNC_ENDED_LINK,     /* the connection broke */
    SYNC_ENDED_NOSYNC,   /* the receiver's copy is not what was thought: it needs sync_offer */
    SYNC_ENDED_FULL,     /* the receiver has no memory left */
    SYNC_ENDED_STRANGER, /* another process of that name answers */
    SYNC_ENDED_SLOW,     /* it has fallen too far behind */
    SYNC_ENDED_MOVED,    /* a pull: the copy is no longer what it stated */
    SYNC_ENDED_TIMEOUT   /* a pull: nothing comes */
};

struct sync_event {
    enum sync_change change;
    enum sync_end why;
    uint32_t peer;
    uint32_t slot;
    uint64_t sid;
    uint64_t number;
    uint32_t act;
    uint64_t ver;
    bool is_clean;
};

/* Takes the oldest event not taken yet. Returns whether there was one. Take them all before
 * sync_flush, and after each call of sync_message, sync_lost, sync_tick and sync_flush. */
bool sync_take_event(struct sync *sync, struct sync_event *event);
/* Whether there is one. */
bool sync_has_event(const struct sync *sync);

/* --- what the node tells ---------------------------------------------------------------------- */

/* A STREAM or STREAMED has come on a data link that is up, of whatever epoch: one of a higher epoch
 * is kept until that is adopted (the caller sees to it: views_see_epoch), one of a lower is
 * answered with STALE.
 * errors  ERR_SYNTAX: end the link. */
MUST_USE enum err sync_message(struct sync *sync, struct link *link, const struct message *message,
                               struct moment now);
/* A data link has ended, or could not be had. */
void sync_lost(struct sync *sync, uint32_t peer, bool is_dialled, struct moment now);
/* What has come of this epoch before its view was adopted here is applied. Call once a turn, before
 * what this node evicts for it is told of, and before sync_flush. */
void sync_take_held(struct sync *sync, struct moment now);
/* The end of a turn: what streams hold goes into the connections, one acknowledgement a peer. Call
 * once a turn, before the turn's sends. */
void sync_flush(struct sync *sync, struct moment now);
/* Ends links to receivers that are silent; links may have news then. */
void sync_tick(struct sync *sync, struct moment now);
/* When sync_tick is due; UINT64_MAX: not before something comes. */
uint64_t sync_deadline(const struct sync *sync);

/* --- progress --------------------------------------------------------------------------------- */

/* Sessions with one peer, or with all together. */
struct sync_progress {
    uint32_t queued;  /* sessions from here that have not begun */
    uint32_t sending; /* under way: from OFFERED to ENDING, and ADVANCING */
    uint32_t synced;
    uint32_t receiving;              /* sessions to here under way */
    uint32_t received;               /* and synced */
    uint64_t items_sent, bytes_sent; /* by those that are under way, and those that ended since
                                      * there was last none */
    uint64_t items_left, bytes_left; /* an estimate: queued sessions count as their whole slots */
    uint64_t bytes_s;                /* over the last seconds */
    uint64_t eta_ms;                 /* until nothing is left; UINT64_MAX: nothing moves */
};
void sync_progress(const struct sync *sync, uint32_t peer, struct sync_progress *progress);
void sync_progress_sum(const struct sync *sync, struct sync_progress *progress);
/* The next peer above this one that has sessions, either way; PEER_NONE: no more. Begin with 0. */
uint32_t sync_next_peer(const struct sync *sync, uint32_t peer);

/* Walks the whole structure and CHECKs every invariant; for tests. */
void sync_check(const struct sync *sync);

#endif
