/* The one table of node-to-node messages: MESSAGE(word, id) and its fields in wire order.
 * Everything that parses, formats or documents a message is made from this list.
 *
 * Field types: U64, U32 (decimal), HEX64 (16 hex digits), DIGEST (40 hex digits), TOKEN (a name: 1
 * to ADDRESS_TEXT_BYTES_MAX-1 bytes without spaces or control characters), WORD (the same, at most
 * MESSAGE_WORD_BYTES_MAX). Each message has a body, at most FRAME_BODY_BYTES_MAX.
 *
 * In this order: the handshake, on every connection; what data connections carry; what control
 * connections carry, questions and answers side by side: of gossip, then of views.
 *
 * epoch is the number of the sender's view; 0: it has none. */

/* clang-format off */

/* HELLO opens a connection; answered by WELCOME or REFUSED (then the connection closes). The two
 * versions come first in every version of the protocol. */
MESSAGE(HELLO,
    FIELD(U32, oldest)        /* protocol versions spoken, oldest … newest */
    FIELD(U32, newest)
    FIELD(WORD, kind)         /* data, control, or self: who answers under my name? */
    FIELD(WORD, cluster)      /* only nodes of one cluster speak with each other */
    FIELD(WORD, gossip)       /* and with one strategy */
    FIELD(TOKEN, from)        /* the sender's name */
    FIELD(HEX64, generation)  /* the birth of its data */
    FIELD(U64, boot)          /* rises with each of its starts */
    FIELD(TOKEN, to)          /* whom it believes to have reached */
    FIELD(HEX64, id)          /* of the cluster whose view it has; zeros: it has none */
    FIELD(HEX64, seat)        /* its vote; zeros: it has none */
    FIELD(U32, epoch))
MESSAGE(WELCOME,
    FIELD(U32, version)       /* the highest common protocol version: it is used from here on */
    FIELD(TOKEN, from)
    FIELD(HEX64, generation)
    FIELD(U64, boot)
    FIELD(HEX64, id)
    FIELD(HEX64, seat)
    FIELD(U32, epoch))
/* Body: the reason, for people. */
MESSAGE(REFUSED,
    FIELD(WORD, why)          /* version, cluster, gossip, kind, name, self, boot or full */
    FIELD(TOKEN, from)
    FIELD(HEX64, generation)
    FIELD(U64, boot))
/* One client request for a key the receiver coordinates. Body: the request as a client sends it,
 * or its first part if total exceeds one frame; PARTs with the rest follow at once. */
MESSAGE(FORWARD,
    FIELD(U64, number)        /* the sender's request number, never given twice on a connection */
    FIELD(WORD, client)       /* ip:port of the client */
    FIELD(U32, deadline_ms)   /* how long the sender will wait for the answer */
    FIELD(DIGEST, digest)     /* SHA-1 of the key: nobody hashes again; zeros if there is none */
    FIELD(U32, epoch)         /* of the view that the sender chose the receiver by */
    FIELD(WORD, direct)       /* "-", or where the client takes answers: <port>,<token> */
    FIELD(U32, total))        /* bytes of the whole request */
/* The answer to FORWARD number. Body as a client gets it (retrievals: without END). */
MESSAGE(ANSWER,
    FIELD(U64, number)
    FIELD(U32, status)        /* enum answer_status */
    FIELD(U32, total))
/* The next part of the FORWARD or ANSWER this connection is in the middle of. */
MESSAGE(PART,
    FIELD(U64, number))
/* The next bytes of the sender's stream to the receiver. Body: part of a sequence of records
 * (record_list.h), cut anywhere. A stream begins with each connection, and anew with each epoch. */
MESSAGE(STREAM,
    FIELD(U32, epoch)         /* the sender's */
    FIELD(U64, at))           /* bytes of this stream that went before */
/* How much of the stream that comes over this connection has been worked off. Body: records, which
 * count before the numbers do. */
MESSAGE(STREAMED,
    FIELD(U32, epoch)
    FIELD(U64, records)       /* applied, all those of the stream so far */
    FIELD(U64, bytes))        /* received, the same */
/* What do your copies of these slots state? Body: RANGEs. */
MESSAGE(COLLECT,
    FIELD(U32, epoch)
    FIELD(U64, number))       /* the asker's, comes back in COPIES */
/* Body: a COPY for each slot asked for; those of many slots come in several messages. */
MESSAGE(COPIES,
    FIELD(U32, epoch)
    FIELD(U64, number))
/* The sender holds copies of slots whose group lacks it: are they active? Body: RANGEs. */
MESSAGE(HOLDING,
    FIELD(U32, epoch))
/* Body: RANGEs, of those asked for that the sender leads and that are active. */
MESSAGE(ACTIVE,
    FIELD(U32, epoch))
/* On any connection: a message of a lower epoch has come, and was not taken. */
MESSAGE(STALE,
    FIELD(U32, epoch))        /* the sender's */

/* Asks for what the receiver knows of the members and the sender does not. Body: lines of news that
 * the sender tells in the same breath. */
MESSAGE(GET_MEMBERSHIP_LIST,
    FIELD(U64, number)        /* the asker's, comes back in MEMBERS */
    FIELD(U64, boot)          /* the sender's own: it may have changed since its HELLO */
    FIELD(U32, inc)           /* its incarnation */
    FIELD(U64, hb)            /* and heartbeat: proof that it lives */
    FIELD(U64, since)         /* the receiver's last change that the sender has seen; 0: tell all;
                               * 2^64 - 1: tell only where you are */
    FIELD(HEX64, viewhash)    /* of the live members as the sender sees them */
    FIELD(U32, epoch))
/* Body: lines of news, of those changed after since, oldest first, then heartbeats. */
MESSAGE(MEMBERS,
    FIELD(U64, number)
    FIELD(U64, boot)
    FIELD(U32, inc)
    FIELD(U64, hb)
    FIELD(U64, version)       /* the last change told here */
    FIELD(U64, newest)        /* the last there is: if above version, ask on at once */
    FIELD(HEX64, viewhash)
    FIELD(U32, epoch))
/* Body: lines of news, told when they happen. LEAVE is NEWS of the sender's own end. */
MESSAGE(NEWS,
    FIELD(U64, number)        /* 0: no HEARD wanted */
    FIELD(U64, hb))           /* the sender's: shows how long the message was under way */
MESSAGE(HEARD,
    FIELD(U64, number))
/* Are you there? Body: how the receiver stands with the sender, if that is not ALIVE. */
MESSAGE(PING,
    FIELD(U64, number)
    FIELD(U32, epoch))
MESSAGE(PONG,
    FIELD(U64, number)
    FIELD(U64, boot)
    FIELD(U32, inc)
    FIELD(U64, hb)
    FIELD(U32, epoch))
/* Asks the receiver to try whether another node is there. */
MESSAGE(PROBE,
    FIELD(U64, number)
    FIELD(TOKEN, name)
    FIELD(U64, boot))
MESSAGE(PROBED,
    FIELD(U64, number)
    FIELD(WORD, result))      /* ok, refused, silent, stalled or unknown */

/* Asks for views: of this number and above. */
MESSAGE(GET_VIEWS,
    FIELD(U32, epoch)
    FIELD(U32, first))        /* 0: all that there are */
/* Body: views as text (view.h), ascending without a gap, the last one of the number epoch; the
 * first whole, or a `next` to the one that the receiver has. In PARTs if total exceeds one frame. */
MESSAGE(VIEWS,
    FIELD(U32, epoch)
    FIELD(U32, total))
/* Paxos for view epoch + 1, among the seats that vote in view epoch; for view 1 among the lines of
 * peers.txt. round and seat are the ballot. */
MESSAGE(PREPARE,
    FIELD(U32, epoch)
    FIELD(ROUND, round)
    FIELD(HEX64, seat)
    FIELD(HEX64, list))       /* epoch 0: hash of the list; else zeros */
/* The highest ballot promised: that of PREPARE, or a higher one, which refuses it. Body: the view
 * accepted under the ballot accepted_…; both zero: none, and no body. */
MESSAGE(PROMISE,
    FIELD(U32, epoch)
    FIELD(ROUND, round)
    FIELD(HEX64, seat)
    FIELD(HEX64, list)
    FIELD(ROUND, accepted_round)
    FIELD(HEX64, accepted_seat)
    FIELD(U32, weight)        /* the voter's: view 1 names it */
    FIELD(U32, total))
/* Body: the view. */
MESSAGE(ACCEPT,
    FIELD(U32, epoch)
    FIELD(ROUND, round)
    FIELD(HEX64, seat)
    FIELD(HEX64, list)
    FIELD(U32, total))
/* The highest ballot promised: if that is ACCEPT's, it is accepted. */
MESSAGE(ACCEPTED,
    FIELD(U32, epoch)
    FIELD(ROUND, round)
    FIELD(HEX64, seat)
    FIELD(HEX64, list))
/* Asks one that votes for a change. The fields after what describe the member that it is about. */
MESSAGE(PROPOSE,
    FIELD(U32, epoch)
    FIELD(U64, number)        /* the asker's, comes back in PROPOSED; 0: no answer is wanted */
    FIELD(WORD, what)         /* join, leave, stop, forget or next */
    FIELD(TOKEN, name)
    FIELD(HEX64, generation)
    FIELD(U64, boot)
    FIELD(HEX64, seat)
    FIELD(U32, weight))
/* Body: why it is refused, for people; empty: it is not. */
MESSAGE(PROPOSED,
    FIELD(U32, epoch)
    FIELD(U64, number))
/* What the sender has, whole: body: a bit for each slot, the first of a byte the highest. */
MESSAGE(REPORT,
    FIELD(U32, epoch)
    FIELD(WORD, what))        /* active: led and active; synced: as a learner */
/* What the receiver has of that, once more: what it said may have been lost. */
MESSAGE(GET_REPORT,
    FIELD(U32, epoch))
/* Which of these members does the receiver hold DEAD, and since when? Body: a line each: <name>
 * <generation>. */
MESSAGE(GET_HELD,
    FIELD(U32, epoch)
    FIELD(U64, number))
/* Body: for each of those asked about, in their order, as far as one frame goes: <name> <generation>
 * <milliseconds>; 0: it is not. */
MESSAGE(HELD,
    FIELD(U32, epoch)
    FIELD(U64, number))
/* Is this epoch still yours? An answer of a higher epoch says no. */
MESSAGE(GET_ALIVE,
    FIELD(U32, epoch)
    FIELD(U64, number))
MESSAGE(ALIVE,
    FIELD(U32, epoch)
    FIELD(U64, number))
/* An operator gives members up: what only they had is lost. Body: a line a member: <name>
 * <generation>. */
MESSAGE(ACCEPTLOSS,
    FIELD(U32, epoch)
    FIELD(U64, number))

/* clang-format on */
