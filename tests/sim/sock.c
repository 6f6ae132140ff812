#include "tests/sim/sock.h"

#include "common/check.h"

#include <stdlib.h>

/* Where a connection that is being made stands; each stage ends when the wire's timer rings. */
enum stage {
    STAGE_SYN,     /* on its way to the listener */
    STAGE_SYN_ACK, /* on its way back */
    STAGE_REFUSAL, /* likewise */
    STAGE_ACK,     /* on its way to the listener: then it can be accepted */
    STAGE_RETRY,   /* something was lost, or nobody is there */
    STAGE_DONE
};

struct wire {
    struct net *net;
    struct sock ends[2]; /* the dialler's, the listener's */
    enum stage stage;
    struct vtimer timer;
    uint32_t attempts;
    uint64_t attempt_us; /* when the last SYN left */
    bool is_accepted;
    struct vtimer reaper; /* frees it, when nobody is in the midst of it */
};

static struct sock *other(const struct sock *sock)
{
    return &sock->wire->ends[sock == &sock->wire->ends[0]];
}

static struct net *net_of(const struct sock *sock)
{
    return sock->wire->net;
}

static void tell(struct sock *sock)
{
    if (sock->is_used && !sock->is_closed && sock->owner.ready)
        sock->owner.ready(sock->owner.arg, sock);
}

static void on_reap(struct vtimer *timer)
{
    struct wire *wire = CONTAINER_OF(timer, struct wire, reaper);
    vclock_stop(wire->net->clock, &wire->timer);
    for (int i = 0; i < 2; i++) {
        vclock_stop(wire->net->clock, &wire->ends[i].reset);
        flow_close(&wire->ends[i].out);
    }
    free(wire);
}

static void reap(struct wire *wire)
{
    for (int i = 0; i < 2; i++)
        if (wire->ends[i].state != SOCK_ENDED || wire->ends[i].is_used)
            return;
    if (!vtimer_is_set(&wire->reaper))
        vclock_set(wire->net->clock, &wire->reaper, wire->net->clock->now_us);
}

/* The kernel is done with an end. */
static void end(struct sock *sock, enum sock_failure failure)
{
    if (sock->state == SOCK_ENDED)
        return;
    sock->state = SOCK_ENDED;
    sock->failure = failure;
    list_remove(&sock->in_machine);
    flow_stop(&sock->out);
    struct sock *listening = &sock->wire->ends[1];
    if (listening->state == SOCK_DIALLING) {
        listening->state = SOCK_ENDED; /* it never came to be */
        vclock_stop(net_of(sock)->clock, &sock->wire->timer);
    }
    tell(sock);
    reap(sock->wire);
}

/* A RST leaves for the other end. It is never repeated. */
static void send_reset(struct sock *from)
{
    struct sock *to = other(from);
    struct net *net = net_of(from);
    if (to->state == SOCK_ENDED || vtimer_is_set(&to->reset) ||
        !net_passes(net, from->machine, to->machine, 0))
        return;
    uint64_t at_us = net->clock->now_us + net_delay(net, from->machine, to->machine);
    if (at_us < from->out.last_at_us)
        at_us = from->out.last_at_us;
    vclock_set(net->clock, &to->reset, at_us);
}

static void on_reset(struct vtimer *timer)
{
    struct sock *sock = CONTAINER_OF(timer, struct sock, reset);
    end(sock, SOCK_RESET);
}

void sock_forget(struct sock *sock)
{
    if (sock->listener) {
        list_remove(&sock->in_backlog);
        sock->listener->backlog_count--;
        sock->listener = NULL;
    }
    sock->is_used = false;
    sock->is_closed = true;
    end(sock, SOCK_RESET);
    reap(sock->wire);
}

void sock_refuse(struct sock *sock)
{
    send_reset(sock);
    sock_forget(sock);
}

/* --- what arrives ----------------------------------------------------------------------------- */

static void make_acceptable(struct sock *sock)
{
    struct wire *wire = sock->wire;
    if (wire->is_accepted || sock->state == SOCK_ENDED)
        return;
    wire->is_accepted = true;
    struct net_listener *listener = net_listener_find(wire->net, sock->machine, sock->port);
    if (!listener) {
        sock_refuse(sock);
        return;
    }
    sock->listener = listener;
    listener->backlog_count++;
    list_append(&listener->backlog, &sock->in_backlog);
    listener->acceptable(listener->arg);
}

/* What the end's kernel has of the stream that comes to it. */
static uint64_t has_arrived(const struct sock *sock)
{
    return other(sock)->out.arrived;
}

/* The end's own FIN is acknowledged and nobody uses it: its kernel forgets it. */
static void end_if_done(struct sock *sock)
{
    const struct flow *out = &sock->out;
    if (sock->is_closed && sock->state == SOCK_OPEN && out->has_end &&
        out->acked == flow_total(out))
        end(sock, SOCK_FINE);
}

static void on_arrival(struct vtimer *timer)
{
    struct flow *flow = CONTAINER_OF(timer, struct flow, arrival);
    struct sock *from = CONTAINER_OF(flow, struct sock, out), *to = other(from);
    struct net *net = flow->net;
    uint64_t acked, len = flow_arrive(flow, &acked);
    net->digest = (net->digest ^ net->clock->now_us ^ (uint64_t)to->machine << 40 ^ len << 20) *
                  0x9e3779b97f4a7c15u;
    net->digest ^= net->digest >> 29;
    if (!net->machines[to->machine].is_on)
        return;
    bool has_bytes = flow->arrived > flow->read && flow->read < flow->written;
    if (has_bytes && (to->state == SOCK_ENDED || to->is_closed)) {
        vclock_stop(net->clock, &flow->ack);
        send_reset(to);
        end(to, SOCK_RESET);
        return;
    }
    if (to->state == SOCK_ENDED)
        return;
    make_acceptable(to);
    flow_ack(&to->out, acked);
    end_if_done(to);
    tell(to);
}

static void on_ack(struct vtimer *timer)
{
    struct flow *flow = CONTAINER_OF(timer, struct flow, ack);
    struct sock *sock = CONTAINER_OF(flow, struct sock, out);
    bool is_held = flow->hold_until_us > flow->net->clock->now_us;
    if (!net_passes(flow->net, flow->to, flow->from, 0))
        return;
    flow_ack(flow, is_held ? flow->sent : flow->arrived);
    end_if_done(sock);
}

static void on_retry(struct vtimer *timer)
{
    struct flow *flow = CONTAINER_OF(timer, struct flow, retry);
    struct sock *sock = CONTAINER_OF(flow, struct sock, out);
    bool has_passed;
    if (!flow_retry(flow, has_arrived(sock), &has_passed)) {
        end(sock, SOCK_TIMED_OUT);
        return;
    }
    if (!has_passed)
        return;
    struct sock *to = other(sock);
    if (to->state == SOCK_ENDED && !(flow->has_end && flow->read == flow->written))
        send_reset(to); /* who does not know the connection says so */
    else if (net_passes(flow->net, flow->to, flow->from, 0))
        flow_ack(flow, flow->arrived);
    end_if_done(sock);
}

/* --- dialling --------------------------------------------------------------------------------- */

static void await_retry(struct wire *wire)
{
    struct vclock *clock = wire->net->clock;
    uint64_t at_us = wire->attempt_us + ((uint64_t)NET_SYN_RETRY_US << wire->attempts);
    wire->stage = STAGE_RETRY;
    vclock_set(clock, &wire->timer, at_us > clock->now_us ? at_us : clock->now_us);
}

static void stage_begin(struct wire *wire, enum stage stage, uint32_t from, uint32_t to)
{
    struct net *net = wire->net;
    if (net_passes(net, from, to, 0)) {
        wire->stage = stage;
        vclock_set(net->clock, &wire->timer, net->clock->now_us + net_delay(net, from, to));
    } else if (stage != STAGE_ACK) {
        await_retry(wire);
    } else {
        wire->stage = STAGE_DONE; /* it can be accepted when the first bytes arrive */
    }
}

static void send_syn(struct wire *wire)
{
    wire->attempt_us = wire->net->clock->now_us;
    stage_begin(wire, STAGE_SYN, wire->ends[0].machine, wire->ends[1].machine);
}

static void on_stage(struct vtimer *timer)
{
    struct wire *wire = CONTAINER_OF(timer, struct wire, timer);
    struct sock *dialler = &wire->ends[0], *listening = &wire->ends[1];
    struct net *net = wire->net;
    struct net_listener *listener;
    switch (wire->stage) {
    case STAGE_SYN:
        listener = net_listener_find(net, listening->machine, listening->port);
        if (listener && listener->backlog_count >= NET_BACKLOG)
            await_retry(wire);
        else
            stage_begin(wire, listener ? STAGE_SYN_ACK : STAGE_REFUSAL, listening->machine,
                        dialler->machine);
        break;
    case STAGE_REFUSAL:
        end(dialler, SOCK_REFUSED);
        break;
    case STAGE_SYN_ACK:
        dialler->state = SOCK_OPEN;
        listening->state = SOCK_OPEN;
        listening->is_used = true;
        list_append(&net->machines[listening->machine].socks, &listening->in_machine);
        stage_begin(wire, STAGE_ACK, dialler->machine, listening->machine);
        tell(dialler);
        break;
    case STAGE_ACK:
        wire->stage = STAGE_DONE;
        make_acceptable(listening);
        break;
    case STAGE_RETRY:
        wire->attempts++;
        send_syn(wire);
        break;
    case STAGE_DONE:
        CHECK(!"a connection that is made has no stage");
    }
}

static void sock_init(struct sock *sock, struct wire *wire, uint32_t machine, uint32_t to,
                      uint16_t port)
{
    sock->wire = wire;
    sock->machine = machine;
    sock->port = port;
    flow_init(&sock->out, wire->net, machine, to);
    sock->out.arrival.ring = on_arrival;
    sock->out.ack.ring = on_ack;
    sock->out.retry.ring = on_retry;
    sock->reset.ring = on_reset;
}

static uint16_t port_take(struct net_machine *machine)
{
    uint16_t port = machine->next_port;
    machine->next_port = port < 60999 ? port + 1 : 32768;
    return port;
}

struct sock *net_dial(struct net *net, uint32_t from, uint32_t to, uint16_t port,
                      struct sock_owner owner)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    CHECK(wire != NULL);
    wire->net = net;
    wire->timer.ring = on_stage;
    wire->reaper.ring = on_reap;
    sock_init(&wire->ends[0], wire, from, to, port_take(&net->machines[from]));
    sock_init(&wire->ends[1], wire, to, from, port);
    struct sock *dialler = &wire->ends[0];
    dialler->is_used = true;
    dialler->owner = owner;
    dialler->out.give_up_us = NET_DIALLED_GIVE_UP;
    list_append(&net->machines[from].socks, &dialler->in_machine);
    send_syn(wire);
    return dialler;
}

/* --- what a process does ---------------------------------------------------------------------- */

void sock_set_owner(struct sock *sock, struct sock_owner owner)
{
    sock->owner = owner;
}

enum sock_state sock_state(const struct sock *sock)
{
    return sock->state;
}

enum sock_failure sock_failure(const struct sock *sock)
{
    return sock->failure;
}

uint32_t sock_peer_machine(const struct sock *sock)
{
    return other(sock)->machine;
}

uint16_t sock_peer_port(const struct sock *sock)
{
    return other(sock)->port;
}

void sock_send(struct sock *sock, const void *data, size_t len)
{
    struct flow *out = &sock->out;
    if (sock->state != SOCK_OPEN || out->has_end || len == 0)
        return;
    buf_append(&out->bytes, data, len);
    out->written += len;
    /* What goes back tells that the other direction has arrived. */
    if (other(sock)->out.hold_until_us <= out->net->clock->now_us)
        vclock_stop(out->net->clock, &other(sock)->out.ack);
    flow_transmit(out, has_arrived(sock));
}

struct span sock_received(const struct sock *sock)
{
    return flow_received(&other(sock)->out);
}

void sock_take(struct sock *sock, size_t len)
{
    struct flow *in = &other(sock)->out;
    flow_take(in, len);
    if (in->sent < flow_total(in) && other(sock)->state == SOCK_OPEN)
        flow_transmit(in, sock->out.arrived); /* there may be room in the window */
}

bool sock_at_end(const struct sock *sock)
{
    const struct flow *in = &other(sock)->out;
    return in->has_end && in->arrived == flow_total(in) && in->read == in->written;
}

uint64_t sock_unacked(const struct sock *sock)
{
    return sock->state == SOCK_OPEN ? flow_total(&sock->out) - sock->out.acked : 0;
}

void sock_shutdown(struct sock *sock)
{
    if (sock->state != SOCK_OPEN || sock->out.has_end)
        return;
    sock->out.has_end = true;
    flow_transmit(&sock->out, has_arrived(sock));
}

void sock_close(struct sock *sock)
{
    struct wire *wire = sock->wire;
    CHECK(sock->is_used);
    if (sock->state == SOCK_DIALLING) {
        sock_forget(sock);
        return;
    }
    sock->is_used = false;
    sock->is_closed = true;
    if (sock->state == SOCK_OPEN && sock_received(sock).len > 0) {
        send_reset(sock);
        end(sock, SOCK_RESET);
    } else if (sock->state == SOCK_OPEN) {
        sock_shutdown(sock);
        end_if_done(sock);
    }
    reap(wire);
}

/* --- faults ----------------------------------------------------------------------------------- */

void sock_break(struct sock *sock)
{
    struct net *net = net_of(sock);
    struct sock *ends[] = {sock, other(sock)};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++)
        if (ends[i]->state == SOCK_OPEN && !vtimer_is_set(&ends[i]->reset))
            vclock_set(net->clock, &ends[i]->reset, net->clock->now_us);
}

void sock_hold(struct sock *sock, uint64_t until_us)
{
    sock->out.hold_until_us = until_us;
}
