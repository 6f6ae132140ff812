/* The one table of records: RECORD(word, id) and its fields in wire order. What a stream between
 * two nodes carries, and the bodies of messages that name many slots, are sequences of them.
 * Everything that parses or formats a record is made from this list.
 *
 * Binary, because values are, and because each write of a client passes through here: one byte of
 * kind, four of the length of what follows, then the fields. Numbers are little-endian.
 *
 * Field types: U8, U16, U32, U64; DIGEST (20 bytes); SHORT (two bytes of length, then so many
 * bytes); BYTES (four of length). A BYTES field called … of RECORDs holds records itself.
 *
 * A session is known by (slot, sid); a sid is never given twice by the one process.
 *
 * In this order: what a source says, and what a primary says to a backup or to a chosen copy, in
 * STREAM; what is answered, in STREAMED; the pieces that lists are made of. */

/* clang-format off */

/* --- STREAM ----------------------------------------------------------------------------------- */

/* Begins a session. */
RECORD(OFFER,
    FIELD(U16, slot)
    FIELD(U64, sid)           /* the source's; of an answer to PULL, the sid that PULL named */
    FIELD(U8, is_pulled)      /* the answer to PULL */
    FIELD(U32, act)           /* the source's copy */
    FIELD(U64, ver)
    FIELD(U64, floor)
    FIELD(BYTES, lineage))    /* of LASTs, ascending */
/* What a key is at the source, now: ITEM and WRITE of proto.md. */
RECORD(CHANGE,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U8, is_write)       /* a WRITE, else an ITEM */
    FIELD(U8, what)           /* enum record_what */
    FIELD(U64, version)       /* of the item or tombstone; of a WRITE always the write's */
    FIELD(U64, position)      /* of the key: the first 64 bits of its SHA-1 */
    FIELD(U64, cas)           /* of an item: its cas unique; 0: its version; of an absent key: the
                               * source's floor */
    FIELD(U32, flags)         /* of an item: the client's flags, */
    FIELD(U32, left_s)        /* RECORD_FOREVER, or how long it still lives, in seconds, */
    FIELD(U8, marks)          /* its STORE_MARK_… */
    FIELD(SHORT, key)
    FIELD(BYTES, ids)         /* of IDs: all of the key, or of a WRITE after END the one it had */
    FIELD(BYTES, value))
/* What the slot's flush is at the source, now; an ITEM or a WRITE too. */
RECORD(FLUSH,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U8, is_write)
    FIELD(U64, version)       /* of the WRITE; of an ITEM 0 */
    FIELD(U64, flush)         /* items below are dead; 0: none */
    FIELD(U64, due)           /* version of a delayed one; 0: none */
    FIELD(U32, left_s)        /* until that one is due */
    FIELD(BYTES, ids))        /* of IDs, as CHANGE has them */
/* The receiver has everything. */
RECORD(END,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U32, act)
    FIELD(U8, is_clean)
    FIELD(U64, floor)
    FIELD(BYTES, lineage))    /* of LASTs */
/* Whoever led in act and has kept its copy clean has this one: it is synced in this epoch. It means
 * every slot that the sender leads and the receiver backs, but those excepted. */
RECORD(ADVANCE,
    FIELD(U64, sid)           /* of all these sessions */
    FIELD(U32, act)
    FIELD(BYTES, excepted)    /* of RANGEs, ascending */
    FIELD(BYTES, checks))     /* of CHECKs, ascending: slots whose ver must be the same too */
/* Nothing but its own number in the stream (from 1): when it is acknowledged, all before it has
 * been applied. */
RECORD(MARK,
    FIELD(U64, number))
/* Tombstones up to floor are dropped. */
RECORD(FLOOR,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U64, floor))
/* The source ends the session. */
RECORD(CLOSE,
    FIELD(U16, slot)
    FIELD(U64, sid))
/* From a primary to the copy that it has chosen: be the source of a session to me. */
RECORD(PULL,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U32, act)           /* as that copy has said; else the answer is MOVED */
    FIELD(U64, ver))

/* --- STREAMED --------------------------------------------------------------------------------- */

/* The receiver's own part of an OFFER. Where there are many names they come in several. */
RECORD(START,
    FIELD(U16, slot)
    FIELD(U64, sid)
    FIELD(U8, is_full)        /* it holds nothing: common is 0 */
    FIELD(U8, is_last)        /* no more names follow */
    FIELD(U8, has_flush)      /* its flush is above common */
    FIELD(U64, common)
    FIELD(BYTES, names))      /* of NAMEs: its keys above common */
/* The receiver's copy is not what a WRITE, an ADVANCE or a FLOOR takes it for, or it does not take
 * the session: that has ended. */
RECORD(NOSYNC,
    FIELD(U16, slot)
    FIELD(U64, sid))
/* The receiver has no memory left: the session has ended. */
RECORD(FULL,
    FIELD(U16, slot)
    FIELD(U64, sid))
/* The answer to a PULL of a copy that is another by now, or whose sender does not lead the slot. */
RECORD(MOVED,
    FIELD(U16, slot)
    FIELD(U64, sid))

/* --- pieces of lists -------------------------------------------------------------------------- */

/* A request id that a key's copy keeps. */
RECORD(ID,
    FIELD(SHORT, id)
    FIELD(DIGEST, digest)     /* of the command */
    FIELD(U64, version)
    FIELD(U32, left_s)        /* how long it is still kept */
    FIELD(BYTES, answer))
/* An entry of a lineage: the last write of its epoch. */
RECORD(LAST,
    FIELD(U64, version))
RECORD(NAME,
    FIELD(U64, position)
    FIELD(SHORT, key))
/* Slots first … last, both included. Bodies of COLLECT, HOLDING and ACTIVE are of these. */
RECORD(RANGE,
    FIELD(U16, first)
    FIELD(U16, last))
RECORD(CHECK,
    FIELD(U16, slot)
    FIELD(U64, ver))
/* What a copy states of itself. The body of COPIES is of these. */
RECORD(COPY,
    FIELD(U16, slot)
    FIELD(U32, act)
    FIELD(U64, ver)
    FIELD(U8, is_clean))

/* clang-format on */
