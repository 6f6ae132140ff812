#include "tests/sim/net.h"

#include "common/check.h"
#include "tests/sim/sock.h"

#include <stdlib.h>

void net_init(struct net *net, struct vclock *clock, uint64_t seed, uint32_t machine_count)
{
    *net = (struct net){.clock = clock, .machine_count = machine_count};
    prng_init(&net->prng, seed);
    net->machines = calloc(machine_count, sizeof(*net->machines));
    net->paths = calloc((size_t)machine_count * machine_count, sizeof(*net->paths));
    CHECK(net->machines != NULL);
    CHECK(net->paths != NULL);
    for (uint32_t i = 0; i < machine_count; i++) {
        net->machines[i].is_on = true;
        net->machines[i].next_port = 32768;
        list_init(&net->machines[i].socks);
        list_init(&net->machines[i].listeners);
    }
}

void net_close(struct net *net)
{
    for (uint32_t i = 0; i < net->machine_count; i++) {
        struct list *link;
        while ((link = list_first(&net->machines[i].socks)))
            sock_forget(CONTAINER_OF(link, struct sock, in_machine));
    }
    /* What was under way is freed by its timers. */
    while (vclock_step(net->clock, UINT64_MAX))
        continue;
    free(net->machines);
    free(net->paths);
    *net = (struct net){0};
}

void net_power_off(struct net *net, uint32_t machine)
{
    struct list *link;
    while ((link = list_first(&net->machines[machine].socks)))
        sock_forget(CONTAINER_OF(link, struct sock, in_machine));
    while ((link = list_first(&net->machines[machine].listeners)))
        list_remove(link);
    net->machines[machine].is_on = false;
}

void net_power_on(struct net *net, uint32_t machine)
{
    net->machines[machine].is_on = true;
}

void net_listen(struct net *net, struct net_listener *listener, uint32_t machine, uint16_t port,
                void (*acceptable)(void *arg), void *arg)
{
    *listener = (struct net_listener){
        .machine = machine, .port = port, .acceptable = acceptable, .arg = arg};
    CHECK(net_listener_find(net, machine, port) == NULL);
    list_init(&listener->backlog);
    list_append(&net->machines[machine].listeners, &listener->in_machine);
}

struct net_listener *net_listener_find(struct net *net, uint32_t machine, uint16_t port)
{
    const struct list *head = &net->machines[machine].listeners;
    for (struct list *link = head->next; link != head; link = link->next) {
        struct net_listener *listener = CONTAINER_OF(link, struct net_listener, in_machine);
        if (listener->port == port)
            return listener;
    }
    return NULL;
}

void net_unlisten(struct net_listener *listener)
{
    struct list *link;
    list_remove(&listener->in_machine);
    while ((link = list_first(&listener->backlog)))
        sock_refuse(CONTAINER_OF(link, struct sock, in_backlog));
}

struct sock *net_accept(struct net_listener *listener)
{
    struct list *link = list_first(&listener->backlog);
    if (!link)
        return NULL;
    struct sock *sock = CONTAINER_OF(link, struct sock, in_backlog);
    list_remove(link);
    listener->backlog_count--;
    sock->listener = NULL;
    return sock;
}

uint32_t net_socks(struct net *net, uint32_t machine, uint32_t peer_max, struct sock **socks,
                   uint32_t max)
{
    uint32_t count = 0;
    const struct list *head = &net->machines[machine].socks;
    for (struct list *link = head->next; link != head && count < max; link = link->next) {
        struct sock *sock = CONTAINER_OF(link, struct sock, in_machine);
        if (sock->state == SOCK_OPEN && sock_peer_machine(sock) < peer_max)
            socks[count++] = sock;
    }
    return count;
}
