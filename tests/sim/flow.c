#include "tests/sim/flow.h"

#include "common/check.h"

#include <stdlib.h>

/* With so many packets behind a lost one its receiver asks for it again. */
#define PACKETS_BEHIND 3u

void flow_init(struct flow *flow, struct net *net, uint32_t from, uint32_t to)
{
    *flow = (struct flow){.net = net, .from = from, .to = to, .give_up_us = NET_ACCEPTED_GIVE_UP};
}

void flow_stop(struct flow *flow)
{
    vclock_stop(flow->net->clock, &flow->ack);
    vclock_stop(flow->net->clock, &flow->retry);
}

void flow_close(struct flow *flow)
{
    flow_stop(flow);
    vclock_stop(flow->net->clock, &flow->arrival);
    buf_close(&flow->bytes);
    free(flow->flights);
}

bool net_passes(struct net *net, uint32_t from, uint32_t to, size_t bytes)
{
    struct net_machine *sender = &net->machines[from];
    const struct net_machine *receiver = &net->machines[to];
    const struct net_path *path = net_path(net, from, to);
    if (!sender->is_on)
        return false;
    sender->sent_bytes += bytes + NET_HEADER_BYTES;
    if (!receiver->is_on || path->cuts > 0)
        return false;
    uint32_t losses[] = {sender->out_loss_ppm, path->loss_ppm};
    for (size_t i = 0; i < ARRAY_COUNT(losses); i++)
        if (losses[i] > 0 && prng_below(&net->prng, NET_PPM) < losses[i])
            return false;
    return true;
}

uint64_t net_delay(struct net *net, uint32_t from, uint32_t to)
{
    const struct net_path *path = net_path(net, from, to);
    uint64_t jitter_us = path->jitter_us > 0 ? prng_below(&net->prng, path->jitter_us + 1u) : 0;
    return path->delay_us + jitter_us;
}

static uint64_t round_trip_us(const struct flow *flow)
{
    const struct net_path *there = net_path(flow->net, flow->from, flow->to);
    const struct net_path *back = net_path(flow->net, flow->to, flow->from);
    return (uint64_t)there->delay_us + there->jitter_us + back->delay_us + back->jitter_us;
}

/* When the sender sends again what is not acknowledged. */
static uint64_t retry_at_us(const struct flow *flow)
{
    uint64_t wait_us = NET_RETRY_US + round_trip_us(flow);
    for (uint32_t i = 0; i < flow->retries && wait_us < NET_RETRY_US_MAX; i++)
        wait_us *= 2;
    if (wait_us > NET_RETRY_US_MAX)
        wait_us = NET_RETRY_US_MAX;
    return flow->retry_from_us + wait_us;
}

/* Sets the timer to that, or to when the sender gives up. */
static void set_retry(struct flow *flow)
{
    uint64_t at_us = retry_at_us(flow), now_us = flow->net->clock->now_us;
    uint64_t give_up_us = flow->progress_us + flow->give_up_us;
    if (at_us > give_up_us)
        at_us = give_up_us;
    vclock_set(flow->net->clock, &flow->retry, at_us > now_us ? at_us : now_us);
}

static struct flight *flight_add(struct flow *flow)
{
    if (flow->flight_count == flow->flight_capacity) {
        uint32_t capacity = flow->flight_capacity ? flow->flight_capacity * 2 : 4;
        struct flight *flights = calloc(capacity, sizeof(*flights));
        CHECK(flights != NULL);
        for (uint32_t i = 0; i < flow->flight_count; i++)
            flights[i] = flow->flights[(flow->flight_first + i) & (flow->flight_capacity - 1)];
        free(flow->flights);
        flow->flights = flights;
        flow->flight_first = 0;
        flow->flight_capacity = capacity;
    }
    uint32_t at = (flow->flight_first + flow->flight_count++) & (flow->flight_capacity - 1);
    return &flow->flights[at];
}

static void depart(struct flow *flow, uint64_t acked)
{
    struct vclock *clock = flow->net->clock;
    uint64_t at_us = clock->now_us + net_delay(flow->net, flow->from, flow->to);
    if (flow->hold_until_us > clock->now_us) {
        if (!vtimer_is_set(&flow->ack))
            vclock_set(clock, &flow->ack, clock->now_us + round_trip_us(flow));
        if (at_us < flow->hold_until_us)
            at_us = flow->hold_until_us;
    }
    if (at_us < flow->last_at_us)
        at_us = flow->last_at_us;
    flow->last_at_us = at_us;
    *flight_add(flow) = (struct flight){at_us, flow->sent, acked};
    if (!vtimer_is_set(&flow->arrival))
        vclock_set(clock, &flow->arrival, at_us);
}

/* The receiver has told that the packet at sent is missing. */
static void ask_for_lost(struct flow *flow)
{
    flow->is_asked_for = true;
    vclock_set(flow->net->clock, &flow->retry, flow->net->clock->now_us + round_trip_us(flow));
}

/* The packet at sent has been lost, and all up to tried was sent. */
static void lose(struct flow *flow, uint64_t behind, uint64_t tried)
{
    flow->is_lost = true;
    flow->is_asked_for = false;
    flow->tried = tried;
    if (behind / NET_PACKET_BYTES >= PACKETS_BEHIND)
        ask_for_lost(flow);
}

/* Behind a lost packet a later one is sent. If it arrives, its acknowledgement shows the gap, and
 * the lost one is sent again at once (RFC 8985); after a first time-out the sender sends nothing
 * new until the lost one is acknowledged. */
static void send_behind(struct flow *flow, uint64_t limit)
{
    if (limit <= flow->tried || flow->retries > 0 || flow->is_asked_for)
        return;
    uint64_t len = limit - flow->tried;
    flow->tried = limit;
    if (net_passes(flow->net, flow->from, flow->to,
                   len < NET_PACKET_BYTES ? len : NET_PACKET_BYTES) &&
        net_passes(flow->net, flow->to, flow->from, 0))
        ask_for_lost(flow);
}

static void begin_waiting(struct flow *flow)
{
    if (flow->is_waiting || flow->acked == flow_total(flow))
        return;
    flow->is_waiting = true;
    flow->retries = 0;
    flow->progress_us = flow->retry_from_us = flow->net->clock->now_us;
    if (!vtimer_is_set(&flow->retry) || vtimer_at(&flow->retry) > retry_at_us(flow))
        set_retry(flow);
}

void flow_transmit(struct flow *flow, uint64_t acked)
{
    uint64_t from = flow->sent, limit = flow_total(flow);
    if (limit > flow->read + NET_WINDOW_BYTES)
        limit = flow->read + NET_WINDOW_BYTES;
    begin_waiting(flow);
    if (flow->is_lost)
        send_behind(flow, limit);
    while (flow->sent < limit && !flow->is_lost) {
        uint64_t len = limit - flow->sent;
        if (len > NET_PACKET_BYTES)
            len = NET_PACKET_BYTES;
        if (net_passes(flow->net, flow->from, flow->to, len))
            flow->sent += len;
        else
            lose(flow, limit - flow->sent - len, limit);
    }
    if (flow->sent > from)
        depart(flow, acked);
}

uint64_t flow_arrive(struct flow *flow, uint64_t *acked)
{
    CHECK(flow->flight_count > 0);
    const struct flight *flight = &flow->flights[flow->flight_first];
    uint64_t len = flight->end - flow->arrived;
    flow->arrived = flight->end;
    *acked = flight->acked;
    flow->flight_first = (flow->flight_first + 1) & (flow->flight_capacity - 1);
    if (--flow->flight_count > 0)
        vclock_set(flow->net->clock, &flow->arrival, flow->flights[flow->flight_first].at_us);
    if (!vtimer_is_set(&flow->ack))
        vclock_set(flow->net->clock, &flow->ack, flow->net->clock->now_us + NET_ACK_US);
    return len;
}

/* Forgets bytes that are acknowledged and read. */
static void trim(struct flow *flow)
{
    uint64_t keep = flow->acked < flow->read ? flow->acked : flow->read;
    if (keep > flow->written)
        keep = flow->written;
    if (keep == flow->base)
        return;
    buf_consume(&flow->bytes, keep - flow->base);
    flow->base = keep;
}

void flow_ack(struct flow *flow, uint64_t acked)
{
    if (acked <= flow->acked)
        return;
    CHECK(acked <= flow->sent);
    flow->acked = acked;
    flow->retries = 0;
    flow->is_waiting = acked < flow_total(flow);
    flow->progress_us = flow->retry_from_us = flow->net->clock->now_us;
    trim(flow);
}

bool flow_retry(struct flow *flow, uint64_t acked, bool *has_passed)
{
    uint64_t now_us = flow->net->clock->now_us;
    *has_passed = false;
    if (!flow->is_waiting)
        return true;
    if (now_us >= flow->progress_us + flow->give_up_us)
        return false;
    if (!flow->is_asked_for) {
        if (now_us < retry_at_us(flow)) {
            set_retry(flow); /* there has been progress since it was set */
            return true;
        }
        flow->retries++;
    }
    flow->is_asked_for = false;
    flow->retry_from_us = now_us;
    set_retry(flow);
    if (flow->is_lost) {
        flow->is_lost = false;
        flow_transmit(flow, acked);
        return true;
    }
    /* All got through: what is missing is the acknowledgement, or room in the window. */
    *has_passed = net_passes(flow->net, flow->from, flow->to, NET_PACKET_BYTES);
    return true;
}

struct span flow_received(const struct flow *flow)
{
    uint64_t end = flow->arrived < flow->written ? flow->arrived : flow->written;
    if (end <= flow->read)
        return (struct span){0};
    return span_of(buf_span(&flow->bytes).data + (flow->read - flow->base), end - flow->read);
}

void flow_take(struct flow *flow, size_t len)
{
    CHECK(flow->read + len <= flow->arrived);
    flow->read += len;
    trim(flow);
}
