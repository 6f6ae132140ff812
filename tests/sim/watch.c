#include "tests/sim/watch.h"

#include "common/check.h"
#include "tests/sim/names.h"

#include <stdlib.h>

static bool is_event(const struct trace_line *line, const char *event)
{
    return span_equal(line->event, span_of_string(event));
}

static void count_change(struct watch *watch, uint32_t observer, uint32_t subject)
{
    uint32_t *by = &watch->changes_by[(size_t)observer * watch->world->host_count + subject];
    if (++*by > watch->changes[subject])
        watch->changes[subject] = *by;
}

static void take_suspicion(struct watch *watch, const struct trace_line *line, uint32_t subject)
{
    if (!span_equal(trace_field(line, "own"), SPAN_LITERAL("1")))
        return;
    watch->suspicions++;
    if (watch->forbids_suspicions)
        world_fail(watch->world, "n%u suspects n%u, which is well", line->node + 1, subject + 1);
}

static void take_death(struct watch *watch, const struct trace_line *line, uint32_t subject)
{
    if (watch->forbids_deaths)
        world_fail(watch->world, "n%u says that n%u is dead, which lives", line->node + 1,
                   subject + 1);
}

static void hear(void *arg, const struct trace_line *line)
{
    struct watch *watch = arg;
    uint32_t subject;
    if (line->node == TRACE_WORLD || line->event.len < 7 ||
        memcmp(line->event.data, "member-", 7) != 0)
        return;
    struct span member = trace_field(line, "member");
    if (name_find(member, &subject) == 0 || subject >= watch->world->host_count)
        return;
    const struct host *host = &watch->world->hosts[subject];
    bool is_death = is_event(line, "member-dead");
    if (is_death)
        count_change(watch, line->node, subject);
    uint64_t boot =
        strtoull(trace_field(line, "boot").data ? trace_field(line, "boot").data : "0", NULL, 10);
    bool is_false = host->state != HOST_DOWN && boot == host->boot;
    watch->true_deaths += is_death && !is_false;
    if (!is_false || watch->is_away[subject] || watch->is_excused[subject] ||
        watch->is_excused[line->node])
        return;
    if (is_event(line, "member-suspect"))
        take_suspicion(watch, line, subject);
    else if (is_death)
        take_death(watch, line, subject);
}

struct watch *watch_open(struct world *world)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    size_t count = world->host_count;
    CHECK(watch != NULL);
    watch->world = world;
    watch->is_excused = calloc(count, sizeof(*watch->is_excused));
    watch->changes = calloc(count, sizeof(*watch->changes));
    watch->changes_by = calloc(count * count, sizeof(*watch->changes_by));
    watch->is_away = calloc(count, sizeof(*watch->is_away));
    CHECK(watch->is_excused != NULL);
    CHECK(watch->is_away != NULL);
    CHECK(watch->changes != NULL);
    CHECK(watch->changes_by != NULL);
    trace_listen(&world->trace, hear, watch);
    return watch;
}

void watch_close(struct watch *watch)
{
    watch->world->trace.listener_count--; /* it was the last to begin */
    free(watch->is_excused);
    free(watch->is_away);
    free(watch->changes);
    free(watch->changes_by);
    free(watch);
}

struct gossip *watch_gossip(struct world *world, uint32_t node)
{
    CHECK(world->hosts[node].node != NULL);
    return (struct gossip *)(uintptr_t)node_gossip(world->hosts[node].node);
}

const struct account *watch_record(struct world *world, uint32_t observer, uint32_t subject)
{
    const struct host *host = &world->hosts[observer];
    if (!host->node)
        return NULL;
    const struct gossip *gossip = node_gossip(host->node);
    return members_find(&gossip->members, span_of_string(world->hosts[subject].name));
}

bool watch_sees_live(struct world *world, uint32_t observer, uint32_t subject)
{
    const struct account *record = watch_record(world, observer, subject);
    return record && record_is_live(record) && record->boot == world->hosts[subject].boot;
}

bool watch_sees_alive(struct world *world, uint32_t observer, uint32_t subject)
{
    const struct account *record = watch_record(world, observer, subject);
    return record && record->state == MEMBER_ALIVE && record->boot == world->hosts[subject].boot;
}

bool watch_sees_gone(struct world *world, uint32_t observer, uint32_t subject)
{
    const struct account *record = watch_record(world, observer, subject);
    return !record || !record_is_live(record);
}

/* Whether observer sees subject as it is. */
static bool sees_truly(struct world *world, uint32_t observer, uint32_t subject)
{
    return world->hosts[subject].state != HOST_DOWN ? watch_sees_alive(world, observer, subject)
                                                    : watch_sees_gone(world, observer, subject);
}

static bool is_running(const struct world *world, uint32_t node)
{
    return world->hosts[node].state == HOST_UP;
}

bool watch_is_known(struct world *world, uint32_t subject)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        if (is_running(world, i) && !sees_truly(world, i, subject))
            return false;
    return true;
}

static bool have_one_hash(const struct world *world)
{
    uint64_t hash = 0;
    bool has_any = false;
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (!is_running(world, i))
            continue;
        uint64_t own = node_gossip(world->hosts[i].node)->members.viewhash;
        if (has_any && own != hash)
            return false;
        hash = own;
        has_any = true;
    }
    return true;
}

bool watch_is_one_view(struct world *world)
{
    if (!have_one_hash(world))
        return false;
    for (uint32_t i = 0; i < world->host_count; i++)
        if (!watch_is_known(world, i))
            return false;
    return true;
}

void watch_complain(struct world *world, const char *when)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        for (uint32_t j = 0; j < world->host_count; j++) {
            if (!is_running(world, i) || sees_truly(world, i, j))
                continue;
            const struct account *record = watch_record(world, i, j);
            world_fail(world, "%s: n%u sees n%u as %s boot %llu, its boot is %llu and it %s", when,
                       i + 1, j + 1, record ? member_state_word(record->state) : "unknown",
                       (unsigned long long)(record ? record->boot : 0),
                       (unsigned long long)world->hosts[j].boot,
                       world->hosts[j].state == HOST_DOWN ? "is gone" : "runs");
            return;
        }
    }
    world_fail(world, "%s: not all have the same viewhash", when);
}

uint64_t watch_until(struct world *world, bool (*holds)(struct world *world, const void *arg),
                     const void *arg, uint64_t step_ms, uint64_t limit_ms, const char *what)
{
    uint64_t passed_ms = 0;
    while (!holds(world, arg) && !world->has_failed) {
        if (passed_ms >= limit_ms) {
            watch_complain(world, what);
            break;
        }
        world_run_ms(world, step_ms);
        passed_ms += step_ms;
    }
    return passed_ms;
}

static bool is_known(struct world *world, const void *arg)
{
    const uint32_t *subject = arg;
    return watch_is_known(world, *subject);
}

static bool is_one_view(struct world *world, const void *arg)
{
    (void)arg;
    return watch_is_one_view(world);
}

uint64_t watch_until_one_view(struct world *world, uint64_t limit_ms, const char *what)
{
    return watch_until(world, is_one_view, NULL, world->host_count > 100 ? 100 : 10, limit_ms,
                       what);
}

uint64_t watch_until_known(struct world *world, uint32_t subject, uint64_t step_ms,
                           uint64_t limit_ms, const char *what)
{
    return watch_until(world, is_known, &subject, step_ms, limit_ms, what);
}

void watch_form(struct world *world, uint64_t limit_ms)
{
    world_start_all(world);
    watch_until_one_view(world, limit_ms, "the cluster does not form");
}
