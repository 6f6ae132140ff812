/* What the files of sync share. Nobody else includes this.
 *
 *     sync           the whole: seal, messages, turns, time, what is held of a higher epoch
 *     sync_progress  how far sessions are, for people; and the log's lines of it
 *     sync_receive   sessions to here: what comes is applied
 *     sync_source    sessions from here: offers, what they send, what is acknowledged
 *     sync_advance   the same for copies that are there already
 *     sync_write     what clients write goes into the streams
 *     sync_table     sessions, pulls, peers and events as such
 *     sync_copy      what of a copy goes into records, and comes out of them
 *
 * Each calls only those below it. */
#ifndef DHT_SERVER_CORE_SYNC_PARTS_H
#define DHT_SERVER_CORE_SYNC_PARTS_H

#include "common/list.h"
#include "server/core/stream.h"
#include "server/core/sync.h"
#include "server/store/copy.h"
#include "server/store/ids.h"

struct sync_peer;

/* A session from here. What each write of its slot looks at comes first: two lines of the cache. */
struct sync_session {
    struct sync_session *next; /* of the same slot */
    struct sync_peer *peer;
    enum sync_state state;
    uint16_t slot;
    bool is_pulled;    /* the peer has asked for it */
    bool is_flush_due; /* SENDING: the flush has not been sent yet */
    uint64_t sid;      /* by which it is known to the receiver: id, unless it was offered anew */
    uint64_t
        last_number; /* of the last write put, or that of the END or ADVANCE, and its version */
    uint64_t last_version;
    uint64_t check_number; /* of one before that, on whose acknowledgement is waited */
    uint64_t check_version;
    uint64_t acked;       /* a version that has been acknowledged */
    uint64_t id;          /* by which it is known above */
    struct list in_peer;  /* all of its peer */
    struct list in_state; /* QUEUED, SENDING: the peer's of its rank; ENDING, ADVANCING: ending */
    enum sync_rank rank;
    uint64_t generation; /* of the process it is for */
    uint64_t common;
    uint64_t end_number;   /* ENDING, ADVANCING: the END's or ADVANCE's */
    struct buf names;      /* START … SENDING: NAMEs of keys that are to be sent by name */
    uint32_t cursor;       /* SENDING: how far the copy has been walked, see store_walk */
    uint64_t items_walked; /* and what has been sent of it on the way */
    uint64_t items_sent, bytes_sent;
};

/* A session to here that this node has asked for. */
struct pull {
    struct list in_peer;
    uint16_t slot;
    uint64_t sid;
    uint64_t generation;
    uint32_t act; /* of the copy that was chosen */
    uint64_t ver;
    bool is_sent;
};

enum receiving_state { RECEIVING_NONE, RECEIVING_ASKED, RECEIVING_OPEN, RECEIVING_SYNCED };

/* The session to here of a slot: there is one at most. */
struct receiving {
    uint64_t sid;
    uint32_t peer;
    uint32_t state;    /* enum receiving_state */
    struct pull *pull; /* owned; NULL: the source is the primary */
};

/* What has happened to sessions one way since there was last nothing under way. It goes on over
 * epochs: views may follow each other faster than anybody reads. */
struct sync_batch {
    uint64_t began_ms;  /* 0: nothing is */
    uint64_t idle_ms;   /* since when nothing is under way; 0: something is */
    uint64_t logged_ms; /* when one before was told of; 0: none was */
    bool is_told;       /* that it has begun */
    uint32_t done, failed;
    uint64_t items, bytes;
};

/* What a peer and this node have with each other. */
struct sync_peer {
    struct list in_sync;
    uint32_t index;
    struct list sessions; /* from here */
    struct list queued[SYNC_RANK_COUNT];
    struct list sending[SYNC_RANK_COUNT];
    struct list ending; /* by end_number */
    struct list pulls;  /* from it */
    struct stream_out out;
    uint64_t generation; /* of the process that out goes to */
    bool is_wanted;      /* somebody asked for the stream: SYNC_UP is awaited */
    uint64_t told_ms;    /* when it last said what it has received of out */
    uint64_t pulled_ms;  /* when anything of a pull last came from it, or was asked for */
    uint64_t sent_ms;    /* when a batch was last sent to it */
    uint64_t piece_ms;   /* when items of sessions were last sent to it */
    uint64_t piece_end;  /* where in the stream they end */
    struct stream_in in;
    uint32_t member; /* the view's index of who in comes from; VIEW_NOBODY */
    struct buf held; /* bytes of a stream of a higher epoch, from its beginning */
    uint32_t held_epoch;
    struct conn_id held_conn;
    uint32_t session_count;
    uint32_t open_count; /* OFFERED … ENDING, ADVANCING */
    uint32_t queued_count, synced_count;
    uint32_t received_count, receiving_count; /* sessions to here, synced and not */
    bool is_congested;                        /* writes to it should wait */
    uint64_t put_bytes;                       /* of clients' writes since the last batch */
    uint64_t hold_by_ms; /* what is in the queue may wait until then; 0: not looked at yet */
    bool is_hurried;     /* it is sent at the next sync_flush */
    struct sync_batch sent, received;
};

struct sync {
    struct sync_setup setup;
    struct store *store; /* setup's */
    struct links *links;
    struct stats *stats;
    const struct view *view; /* NULL: no epoch yet */
    const struct ring *ring;
    uint16_t self;
    uint32_t epoch;
    bool refuses;
    uint64_t last_sid;
    uint64_t numbers_end; /* streams of new peers begin above: numbers only rise */
    struct list peers;
    struct sync_peer **by_index;
    uint32_t by_index_capacity;
    struct sync_session **sessions; /* by slot: the first of each */
    struct sync_session *idle;      /* memory for the next ones */
    uint32_t idle_count;
    struct receiving *receiving; /* by slot */
    uint32_t received_count;     /* of them not NONE */
    uint32_t held_count;         /* peers of which bytes are held */
    struct sync_event *events;
    uint32_t event_count, event_taken, event_capacity;
    struct buf ids;           /* scratch: IDs of a key */
    struct buf one;           /* scratch: a single ID */
    struct buf names;         /* scratch */
    struct store_id *entries; /* scratch */
    uint32_t entries_capacity;
    uint64_t *lineage; /* scratch */
    uint32_t lineage_capacity;
    uint64_t served_ms;    /* when a request was last served; 0: none was */
    uint64_t unsettled_ms; /* when there last was a new view, or a session ADVANCING */
    int64_t tokens;        /* bytes that may be sent now, if there is a rate */
    uint64_t tokens_ms;
    bool is_starved;          /* something waits for tokens */
    bool is_more;             /* something waits for the next turn */
    bool has_served;          /* a request has been, in this turn */
    bool is_awaited;          /* requests wait for other copies, as sync_tell_awaited was told */
    bool is_piece_held;       /* for clients, by the last sync_flush */
    uint32_t congested_count; /* of the peers */
    uint32_t advancing_count; /* sessions that are ADVANCING */
    struct moment now;
};

/* --- sync_copy -------------------------------------------------------------------------------- */

/* Appends the lineage of a slot, as LASTs. */
void copy_put_lineage(struct store *store, uint32_t slot, struct buf *out);
/* Reads one into sync's scratch; count: out. Returns false if it is none. */
bool copy_take_lineage(struct sync *sync, struct span list, uint32_t *count);
/* Appends a NAME of this key. */
void copy_put_name(struct buf *out, const struct store_key *key);
/* Appends a NAME for each key of a slot of which a request id is above above. */
void copy_put_id_names(struct store *store, uint32_t slot, uint64_t above, struct buf *out);
/* The same for each of which item, tombstone or request id is. */
void copy_put_names(struct store *store, uint32_t slot, uint64_t above, struct buf *out);
/* Whether the flush of a slot, or a delayed one, is above above. */
bool copy_has_flush_above(struct store *store, uint32_t slot, uint64_t above);
/* Appends all request ids of a key, as IDs. */
void copy_put_ids(struct store *store, const struct store_key *key, struct buf *out);
/* Appends one of them; it is there (CHECKed). */
void copy_put_id(struct store *store, uint32_t slot, struct span id, struct buf *out);
/* Fills in what the key is now, borrowed from the store: what, version, position, cas, flags,
 * left_s, marks, key, value. */
void copy_describe(struct store *store, const struct store_key *key, struct record_CHANGE *change);
/* The same of a key and its item or tombstone, which a walk has come to. */
void copy_describe_seen(struct store *store, const struct store_key *key,
                        const struct store_item *item, struct record_CHANGE *change);
/* The same of the flush: flush, due, left_s. */
void copy_describe_flush(struct store *store, uint32_t slot, struct record_FLUSH *flush);
/* Makes the key what change says; as one of a synced session, or unconditionally.
 * errors  ERR_FULL, ERR_TOO_LARGE. ERR_SYNTAX: it says nothing that can be; nothing changed. */
MUST_USE enum err copy_apply(struct sync *sync, const struct record_CHANGE *change, bool is_synced);
MUST_USE enum err copy_apply_flush(struct sync *sync, const struct record_FLUSH *flush,
                                   bool is_synced);

/* A line of the audit, which there is (setup.audit): what the copy here has of a key now. */
void copy_audit(struct sync *sync, const struct record_CHANGE *change, bool is_synced);

/* --- sync_table ------------------------------------------------------------------------------- */

/* The peer of an index; made if there is none yet. */
struct sync_peer *sync_peer_get(struct sync *sync, uint32_t index);
/* The same, or NULL. */
struct sync_peer *sync_peer_find(const struct sync *sync, uint32_t index);
/* Frees it if nothing is between it and this node. */
void sync_peer_sweep(struct sync *sync, struct sync_peer *peer);
/* Looked at where bytes come and go. */
void sync_peer_note_backlog(struct sync *sync, struct sync_peer *peer);
struct sync_session *sync_session_find(const struct sync *sync, uint32_t slot, uint32_t peer);
/* A new one, QUEUED. */
struct sync_session *sync_session_add(struct sync *sync, uint32_t slot, struct sync_peer *peer,
                                      uint64_t generation, enum sync_rank rank);
/* Moves a session to a state, and to the list that belongs to it. */
void sync_session_move(struct sync *sync, struct sync_session *session, enum sync_state state);
void sync_session_remove(struct sync *sync, struct sync_session *session);
/* Frees the memory kept for the next ones. */
void sync_sessions_free_idle(struct sync *sync);
/* Removes the one that a slot has to a peer, if any. */
void sync_session_drop(struct sync *sync, uint32_t slot, uint32_t peer);
/* With this record, an END or ADVANCE, this version is acknowledged. */
void sync_session_ends_at(struct sync_session *session, uint64_t number, uint64_t ver);
/* The highest version of it that is known to be acknowledged. */
uint64_t sync_session_acked(const struct sync_session *session);
static inline bool sync_session_is_past_start(const struct sync_session *session)
{
    return session->state >= SYNC_SENDING;
}
/* A pull of this slot comes to nothing. */
void sync_pull_failed(struct sync *sync, uint32_t slot, enum sync_end why);
/* The session to here of a slot is no more; its pull, if any, is freed. */
void sync_receiving_end(struct sync *sync, uint32_t slot);
void sync_receiving_move(struct sync *sync, uint32_t slot, enum receiving_state state);
void sync_event_add(struct sync *sync, const struct sync_event *event);

/* --- sync_source ------------------------------------------------------------------------------ */

/* Takes the records of a STREAMED, then its numbers. */
MUST_USE enum err sync_source_answered(struct sync *sync, struct sync_peer *peer,
                                       const struct message *streamed);
/* The link that its stream went by is gone. */
void sync_source_lost(struct sync *sync, struct sync_peer *peer);
/* Sends what may be sent now. */
void sync_source_flush(struct sync *sync, struct sync_peer *peer);
/* When what waits for more is sent at the latest; UINT64_MAX: nothing does. */
uint64_t sync_source_deadline(const struct sync_peer *peer);
/* When more items may go to it although the last have not been received; UINT64_MAX: none wait. */
uint64_t sync_source_piece_deadline(const struct sync *sync, const struct sync_peer *peer);
/* When its sessions that wait until all has settled may begin; UINT64_MAX: none do. */
uint64_t sync_source_queue_deadline(const struct sync *sync, const struct sync_peer *peer);
/* The answer to a PULL: a session for it. */
void sync_source_pulled(struct sync *sync, struct sync_peer *peer, uint64_t generation,
                        const struct record_PULL *pull);

/* --- sync_progress ---------------------------------------------------------------------------- */

/* Looks whether sessions with the peer have begun, or are all through, and logs that. */
void sync_batches_look(struct sync *sync, struct sync_peer *peer);
/* When sync_batches_look is due; UINT64_MAX if not. */
uint64_t sync_batches_deadline(const struct sync_peer *peer);

/* --- sync_receive ----------------------------------------------------------------------------- */

/* Takes the bytes of a STREAM.
 * errors  ERR_SYNTAX. */
MUST_USE enum err sync_receive(struct sync *sync, struct sync_peer *peer, struct span bytes);
/* The link that its stream came by is gone. */
void sync_receive_lost(struct sync *sync, struct sync_peer *peer);
#endif
