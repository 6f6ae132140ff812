/* One direction of a connection: a stream of bytes and its end, in order. Used by sock.c alone.
 *
 * Places in the stream are counted from its first byte; its end (FIN) counts as one byte more.
 * Invariant: acked <= sent, read <= arrived <= sent <= total. */
#ifndef DHT_TESTS_SIM_FLOW_H
#define DHT_TESTS_SIM_FLOW_H

#include "tests/sim/net.h"

/* Packets that arrive together. */
struct flight {
    uint64_t at_us;
    uint64_t end;   /* the stream up to here is there then */
    uint64_t acked; /* of the other direction: it acknowledges as much */
};

struct flow {
    struct net *net;
    uint32_t from; /* machines */
    uint32_t to;
    struct buf bytes; /* from place base on */
    uint64_t base;
    uint64_t written; /* bytes, without the end */
    bool has_end;
    uint64_t sent; /* of it, what has got through, though perhaps not arrived yet */
    uint64_t arrived;
    uint64_t read;
    uint64_t acked;
    bool is_waiting;        /* something is not acknowledged */
    bool is_lost;           /* the packet at sent was lost: all waits for the retry */
    uint64_t tried;         /* is_lost: all up to here has been sent once */
    bool is_asked_for;      /* the receiver asks for it: the retry is early */
    uint32_t retries;       /* since the last progress */
    uint64_t retry_from_us; /* progress or the last retry */
    uint64_t progress_us;   /* when something was last acknowledged, or first waited for that */
    uint64_t give_up_us;    /* after so long without progress */
    uint64_t hold_until_us; /* what is sent arrives no earlier */
    uint64_t last_at_us;    /* when the last flight arrives */
    struct flight *flights; /* a ring */
    uint32_t flight_first;
    uint32_t flight_count;
    uint32_t flight_capacity; /* a power of two, or 0 */
    struct vtimer arrival;    /* of the first flight */
    struct vtimer ack;        /* what has arrived is acknowledged */
    struct vtimer retry;
};

void flow_init(struct flow *flow, struct net *net, uint32_t from, uint32_t to);
void flow_close(struct flow *flow);
static inline uint64_t flow_total(const struct flow *flow)
{
    return flow->written + flow->has_end;
}
/* Whether one packet gets from one machine to another now. */
bool net_passes(struct net *net, uint32_t from, uint32_t to, size_t bytes);
/* The delay of one packet. */
uint64_t net_delay(struct net *net, uint32_t from, uint32_t to);
/* Sends what may be sent. acked: what the receiver's kernel has of the other direction. */
void flow_transmit(struct flow *flow, uint64_t acked);
/* The first flight has arrived; acked: out. Returns the bytes that came with it. */
uint64_t flow_arrive(struct flow *flow, uint64_t *acked);
/* The sender hears that as much has arrived. */
void flow_ack(struct flow *flow, uint64_t acked);
/* The retry timer has rung. Returns false if the sender gives up. has_passed: out, what had arrived
 * before has arrived again, and wants its answer. */
bool flow_retry(struct flow *flow, uint64_t acked, bool *has_passed);
/* Its sender does nothing more; what is under way still arrives. */
void flow_stop(struct flow *flow);
struct span flow_received(const struct flow *flow);
void flow_take(struct flow *flow, size_t len);

#endif
