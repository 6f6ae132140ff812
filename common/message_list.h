/* The one table of node-to-node messages: MESSAGE(word, id) and its fields in wire order.
 * Everything that parses, formats or documents a message is made from this list.
 *
 * Field types: U64, U32 (decimal), HEX64 (16 hex digits), DIGEST (40 hex digits), TOKEN (1 to
 * ADDRESS_TEXT_BYTES_MAX-1 bytes without spaces or control characters). Each message has a body. */

/* clang-format off */

/* HELLO opens a connection; answered by WELCOME or REFUSED (then the connection closes). */
MESSAGE(HELLO,
    FIELD(U32, oldest)        /* protocol versions spoken, oldest … newest */
    FIELD(U32, newest)
    FIELD(TOKEN, kind)        /* "data"; "control" comes with gossip */
    FIELD(TOKEN, from)        /* the sender's name */
    FIELD(TOKEN, to)          /* whom it believes to have reached */
    FIELD(HEX64, list))       /* peers_hash of its list */
MESSAGE(WELCOME,
    FIELD(U32, version)       /* the highest common protocol version: it is used from here on */
    FIELD(TOKEN, from)
    FIELD(HEX64, list))
/* Body: the reason, for people. */
MESSAGE(REFUSED,
    FIELD(TOKEN, from)
    FIELD(HEX64, list))
/* One client request for a key the receiver coordinates. Body: the request as a client sends it,
 * or its first part if total exceeds one frame; PARTs with the rest follow at once. */
MESSAGE(FORWARD,
    FIELD(U64, number)        /* the sender's request number, never given twice on a connection */
    FIELD(TOKEN, client)      /* ip:port of the client */
    FIELD(U32, deadline_ms)   /* how long the sender will wait for the answer */
    FIELD(DIGEST, digest)     /* SHA-1 of the key: nobody hashes again; zeros if there is none */
    FIELD(U32, total))        /* bytes of the whole request */
/* The answer to FORWARD number. Body as a client gets it (retrievals: without END). */
MESSAGE(ANSWER,
    FIELD(U64, number)
    FIELD(U32, failed)        /* 1: not executed, the body says why; 0: body is the answer */
    FIELD(U32, total))
/* The next part of the FORWARD or ANSWER this connection is in the middle of. */
MESSAGE(PART,
    FIELD(U64, number))

/* clang-format on */
