/* Rules 1 and 2: who is asked for what, when enough is known, which copy is led from; and what is
 * done when enough can't be had. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/primary_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An unanswered question is asked again after so long, then after twice as long. Who was asked may
 * not have adopted the view yet, and takes no question of it before. */
#define ASK_MS_MIN 10u
#define ASK_MS_MAX 640u

/* ---- givers ---- */

void primary_drop_givers(struct primary *primary)
{
    for (uint32_t i = 0; i < primary->giver_count; i++)
        if (primary->givers[i].peer != PEER_NONE)
            links_release(primary->setup.links, primary->givers[i].peer);
    for (uint32_t i = 0; i < primary->giver_epochs; i++)
        free(primary->giver_of[i]);
    free(primary->giver_of);
    free(primary->givers);
    free(primary->answers);
    free(primary->collected);
    primary->giver_of = NULL;
    primary->givers = NULL;
    primary->answers = NULL;
    primary->collected = NULL;
    primary->giver_count = primary->giver_epochs = 0;
    primary->place_count = primary->unsettled_count = 0;
    primary->ask_ms = UINT64_MAX;
}

static uint16_t add_giver(struct primary *primary, const struct member *member)
{
    uint32_t peer = links_peer(primary->setup.links, member->name);
    CHECK(primary->giver_count < GIVER_NONE);
    struct giver *givers =
        realloc(primary->givers, (primary->giver_count + 1) * sizeof(*primary->givers));
    CHECK(givers != NULL);
    if (peer != PEER_NONE)
        links_hold(primary->setup.links, peer);
    givers[primary->giver_count] =
        (struct giver){.member = member, .peer = peer, .pause_ms = ASK_MS_MIN};
    primary->givers = givers;
    return (uint16_t)primary->giver_count++;
}

/* The giver that a member of an older view is: by name and generation. */
static uint16_t giver_of_member(struct primary *primary, const struct member *member)
{
    uint32_t index = view_find(primary->view, span_of_string(member->name), member->generation);
    if (index != VIEW_NOBODY)
        return (uint16_t)index;
    for (uint32_t i = primary->view->member_count; i < primary->giver_count; i++)
        if (primary->givers[i].member->generation == member->generation &&
            strcmp(primary->givers[i].member->name, member->name) == 0)
            return (uint16_t)i;
    return add_giver(primary, member);
}

static void map_epoch(struct primary *primary, uint32_t epoch)
{
    const struct view *view = views_at(primary->setup.views, epoch);
    if (!view)
        return;
    uint16_t *map = malloc((view->member_count + 1) * sizeof(*map));
    CHECK(map != NULL);
    for (uint32_t i = 0; i < view->member_count; i++)
        map[i] = member_is_full(&view->members[i]) ? giver_of_member(primary, &view->members[i])
                                                   : GIVER_NONE;
    primary->giver_of[epoch - primary->giver_base] = map;
}

/* "COLLECT goes to all members of view e' (joiners and leavers too) and to those of the groups of
 * earlier epochs": of those that any slot led here may need. */
void primary_make_givers(struct primary *primary)
{
    primary_drop_givers(primary);
    for (uint32_t i = 0; i < primary->view->member_count; i++)
        add_giver(primary, &primary->view->members[i]);
    uint32_t low = primary->epoch;
    for (uint32_t i = 0; i < primary->run_count; i++) {
        uint32_t act = store_copy(primary->setup.store, primary->runs[i].slot)->act;
        low = act < low ? act : low;
    }
    if (low < primary->view->base)
        low = primary->view->base;
    primary->giver_base = low;
    primary->giver_epochs = low < primary->epoch ? primary->epoch - low : 0;
    primary->giver_of = calloc(primary->giver_epochs + 1, sizeof(uint16_t *));
    CHECK(primary->giver_of != NULL);
    for (uint32_t epoch = low; epoch < primary->epoch; epoch++)
        map_epoch(primary, epoch);
}

/* ---- judging ---- */

struct place {
    struct primary *primary;
    uint32_t slot;
};

/* A planted bug: as if those that were down had not been of the group. */
static void count_up_only(const struct view *view, const struct ring *ring, uint32_t slot,
                          const uint16_t *map, struct collect_group *group)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (member_is_up(&view->members[ring->group[slot][i]]))
            group->members[size++] = map[ring->group[slot][i]];
    if (size > 0)
        group->size = size;
}

/* The slot's group in an epoch: collect_group_fn. */
static bool group_of(void *arg, uint32_t epoch, struct collect_group *group)
{
    const struct place *place = arg;
    struct primary *primary = place->primary;
    CHECK(epoch < primary->epoch);
    if (epoch < primary->giver_base)
        return false;
    const uint16_t *map = primary->giver_of[epoch - primary->giver_base];
    const struct ring *ring = views_ring(primary->setup.views, epoch);
    primary->looks_back = true;
    if (!map || !ring)
        return false;
    group->size = ring->group_size;
    for (uint32_t i = 0; i < ring->group_size; i++)
        group->members[i] = map[ring->group[place->slot][i]];
    if (MUTANT(collect_up_only))
        count_up_only(views_at(primary->setup.views, epoch), ring, place->slot, map, group);
    uint16_t leader = ring->primary[place->slot];
    group->primary = leader == RING_NOBODY ? GIVER_NONE : map[leader];
    return true;
}

static bool is_settled(struct primary *primary, uint32_t slot, const struct collect_answer *answers,
                       uint32_t *missing)
{
    struct place place = {.primary = primary, .slot = slot};
    return collect_is_settled(primary->view->base, primary->epoch, answers, primary->giver_count,
                              group_of, &place, missing);
}

static struct collect_answer own_answer(const struct primary *primary, uint32_t slot)
{
    const struct copy *copy = store_copy(primary->setup.store, slot);
    return (struct collect_answer){.act = copy->act,
                                   .ver = store_ver(primary->setup.store, slot),
                                   .is_there = true,
                                   .is_clean = copy->is_clean};
}

static struct collect_answer *row_of(const struct primary *primary, const struct run *run)
{
    return &primary->answers[(size_t)run->place * primary->giver_count];
}

static void collect_again(struct primary *primary, struct run *run, struct moment now)
{
    if (run->state != RUN_COLLECTING)
        primary->unsettled_count++;
    run->state = RUN_COLLECTING;
    for (uint32_t i = 0; i < primary->giver_count; i++) /* who was silent is asked at once */
        primary->givers[i].retry_ms = now.mono_ms;
    primary->ask_ms = now.mono_ms;
}

/* "Choose the greatest (act, ver), the own copy on a tie. If it is another's, bring the own copy to
 * it". */
static void choose(struct primary *primary, struct run *run, struct moment now)
{
    struct collect_answer *answers = row_of(primary, run);
    uint32_t best = collect_choose(answers, primary->giver_count, primary->self);
    CHECK(run->state == RUN_COLLECTING);
    CHECK(primary->unsettled_count > 0);
    primary->unsettled_count--;
    if (best == primary->self || MUTANT(choose_own)) {
        struct collect_answer origin = own_answer(primary, run->slot);
        primary_lead(primary, run, &origin);
        return;
    }
    const struct giver *giver = &primary->givers[best];
    run->state = RUN_PULLING;
    run->chosen = best;
    run->known = 0; /* what they acknowledged was of the copy that goes */
    if (MUTANT(act_before_sync))
        copy_advance(primary->setup.store, run->slot, primary->epoch);
    run->pull_sid = sync_pull(primary->setup.sync, run->slot, giver->peer,
                              giver->member->generation, answers[best].act, answers[best].ver, now);
    log_line(primary->setup.log, now, LOG_DEBUG, "copy-pulled",
             "slot=%u member=%s act=%" PRIu32 " ver=%" PRIx64, run->slot, giver->member->name,
             answers[best].act, answers[best].ver);
}

static void judge(struct primary *primary, struct run *run, struct moment now)
{
    if (run->state != RUN_COLLECTING)
        return;
    row_of(primary, run)[primary->self] = own_answer(primary, run->slot);
    if (is_settled(primary, run->slot, row_of(primary, run), NULL))
        choose(primary, run, now);
}

/* Makes the rows of those that collect, with the own answer in each. */
static void make_rows(struct primary *primary)
{
    primary->answers =
        calloc((size_t)primary->place_count * primary->giver_count, sizeof(struct collect_answer));
    primary->collected = calloc(primary->place_count, sizeof(uint16_t));
    CHECK(primary->answers != NULL);
    CHECK(primary->collected != NULL);
    for (uint32_t i = 0; i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        if (run->state != RUN_COLLECTING)
            continue;
        primary->collected[run->place] = run->slot;
        row_of(primary, run)[primary->self] = own_answer(primary, run->slot);
    }
}

/* "If the primary stays the same nobody is asked: its own answer settles every epoch it led or
 * could have led." alone: a row without any other answer. */
static void begin(struct primary *primary, struct run *run, struct collect_answer *alone)
{
    alone[primary->self] = own_answer(primary, run->slot);
    run->state = RUN_COLLECTING;
    if (is_settled(primary, run->slot, alone, NULL)) {
        primary_lead(primary, run, &alone[primary->self]);
    } else {
        run->place = primary->place_count++;
        primary->unsettled_count++;
    }
}

void primary_begin(struct primary *primary, struct moment now)
{
    struct collect_answer *alone = calloc(primary->giver_count, sizeof(*alone));
    CHECK(alone != NULL);
    for (uint32_t i = 0; i < primary->run_count; i++)
        begin(primary, &primary->runs[i], alone);
    free(alone);
    if (primary->place_count == 0)
        return;
    make_rows(primary);
    primary->ask_ms = now.mono_ms;
}

/* ---- asking ---- */

/* The runs that still collect and lack this giver's answer. */
static bool lacks(const struct primary *primary, uint32_t place, uint32_t giver)
{
    const struct run *run = primary_run(primary, primary->collected[place]);
    return run->state == RUN_COLLECTING && !row_of(primary, run)[giver].is_there;
}

static void send_collect(struct primary *primary, struct reply *out, struct buf *body)
{
    struct message message = {.kind = MESSAGE_COLLECT,
                              .COLLECT = {.epoch = primary->epoch, .number = ++primary->number},
                              .body = buf_span(body)};
    message_append(out, &message);
    buf_consume(body, buf_len(body));
}

/* Asks one giver for all that lacks its answer. Returns false if it cannot be asked now. */
static bool ask(struct primary *primary, uint32_t index, struct moment now)
{
    struct giver *giver = &primary->givers[index];
    struct link *link = links_to(primary->setup.links, giver->peer, LANE_DATA, now);
    if (!link || link->state != LINK_UP || link->generation != giver->member->generation)
        return false;
    struct reply *out = link_out(primary->setup.links, link);
    if (!out)
        return false;
    struct buf body = {0};
    struct ranges ranges = {.out = &body};
    for (uint32_t place = 0; place < primary->place_count; place++) {
        if (!lacks(primary, place, index))
            continue;
        ranges_add(&ranges, primary->collected[place]);
        if (buf_len(&body) > RANGES_BYTES_MAX)
            send_collect(primary, out, &body);
    }
    ranges_end(&ranges);
    if (buf_len(&body) > 0)
        send_collect(primary, out, &body);
    buf_close(&body);
    giver->conn = link->conn;
    return true;
}

static bool is_wanted(const struct primary *primary, uint32_t giver)
{
    if (giver == primary->self || primary->givers[giver].peer == PEER_NONE ||
        primary->givers[giver].peer == PEER_SELF)
        return false;
    for (uint32_t place = 0; place < primary->place_count; place++)
        if (lacks(primary, place, giver))
            return true;
    return false;
}

void primary_ask(struct primary *primary, struct moment now)
{
    primary->ask_ms = UINT64_MAX;
    if (primary->unsettled_count == 0)
        return;
    for (uint32_t i = 0; i < primary->giver_count; i++) {
        struct giver *giver = &primary->givers[i];
        if (!is_wanted(primary, i))
            continue;
        if (now.mono_ms >= giver->retry_ms) {
            ask(primary, i, now);
            giver->retry_ms = now.mono_ms + giver->pause_ms;
            giver->pause_ms = giver->pause_ms * 2 < ASK_MS_MAX ? giver->pause_ms * 2 : ASK_MS_MAX;
        }
        if (giver->retry_ms < primary->ask_ms)
            primary->ask_ms = giver->retry_ms;
    }
}

void primary_giver_up(struct primary *primary, uint32_t peer, struct moment now)
{
    for (uint32_t i = 0; i < primary->giver_count; i++) {
        if (primary->givers[i].peer != peer)
            continue;
        primary->givers[i].retry_ms = now.mono_ms;
        primary->givers[i].pause_ms = ASK_MS_MIN;
        if (primary->unsettled_count > 0)
            primary->ask_ms = now.mono_ms;
    }
}

/* "An answer whose giver has gone is dropped, and what is needed is judged anew." Whoever cannot be
 * reached over the connection that brought the answer has gone, as far as one can see from here. */
void primary_giver_lost(struct primary *primary, uint32_t peer, struct moment now)
{
    for (uint32_t i = 0; i < primary->giver_count; i++) {
        struct giver *giver = &primary->givers[i];
        if (giver->peer != peer || i == primary->self || giver->conn.generation == 0)
            continue;
        const struct link *link = links_dialled(primary->setup.links, peer, LANE_DATA);
        if (link->state == LINK_UP && conn_id_equal(link->conn, giver->conn))
            continue; /* an older connection has ended */
        giver->conn = (struct conn_id){0};
        giver->retry_ms = now.mono_ms + giver->pause_ms;
        for (uint32_t place = 0; place < primary->place_count; place++) {
            const struct run *run = primary_run(primary, primary->collected[place]);
            if (run->state == RUN_COLLECTING)
                row_of(primary, run)[i] = (struct collect_answer){0};
        }
        if (primary->unsettled_count > 0 && giver->retry_ms < primary->ask_ms)
            primary->ask_ms = giver->retry_ms;
    }
}

/* The giver that has been asked over this connection; GIVER_NONE: nobody. */
static uint32_t giver_on(const struct primary *primary, const struct link *link)
{
    for (uint32_t i = 0; i < primary->giver_count; i++)
        if (conn_id_equal(primary->givers[i].conn, link->conn) && link->is_dialled)
            return i;
    return GIVER_NONE;
}

enum err primary_take_copies(struct primary *primary, const struct link *link,
                             const struct message *message, struct moment now)
{
    uint32_t giver = giver_on(primary, link);
    struct span list = message->body;
    struct record record;
    while (record_take(&list, RECORD_COPY, &record)) {
        if (record.COPY.slot >= SLOT_COUNT || record.COPY.is_clean > 1)
            return ERR_SYNTAX;
        struct run *run = primary_run(primary, record.COPY.slot);
        if (giver == GIVER_NONE || !run || run->state != RUN_COLLECTING)
            continue; /* it has been settled meanwhile */
        row_of(primary, run)[giver] = (struct collect_answer){.act = record.COPY.act,
                                                              .ver = record.COPY.ver,
                                                              .is_there = true,
                                                              .is_clean = record.COPY.is_clean};
        judge(primary, run, now);
    }
    return list.len == 0 ? ERR_OK : ERR_SYNTAX;
}

static void send_copies(struct primary *primary, uint64_t number, struct reply *out,
                        struct buf *body)
{
    struct message message = {.kind = MESSAGE_COPIES,
                              .COPIES = {.epoch = primary->epoch, .number = number},
                              .body = buf_span(body)};
    message_append(out, &message);
    buf_consume(body, buf_len(body));
}

/* Removed members answer too, and those that never held the slot. */
enum err primary_answer_collect(struct primary *primary, const struct message *message,
                                struct reply *out)
{
    struct buf body = {0};
    struct span list = message->body;
    struct record record;
    enum err err = ERR_OK;
    while (!err && record_take(&list, RECORD_RANGE, &record)) {
        uint32_t last = record.RANGE.last;
        if (last >= SLOT_COUNT || record.RANGE.first > last)
            err = ERR_SYNTAX;
        for (uint32_t slot = record.RANGE.first; !err && slot <= last; slot++) {
            struct collect_answer own = own_answer(primary, slot);
            record_append(&body, &(struct record){.kind = RECORD_COPY,
                                                  .COPY = {.slot = (uint16_t)slot,
                                                           .act = own.act,
                                                           .ver = own.ver,
                                                           .is_clean = own.is_clean}});
            if (buf_len(&body) > RANGES_BYTES_MAX)
                send_copies(primary, message->COLLECT.number, out, &body);
        }
    }
    if (buf_len(&body) > 0)
        send_copies(primary, message->COLLECT.number, out, &body);
    buf_close(&body);
    return err || list.len > 0 ? ERR_SYNTAX : ERR_OK;
}

/* ---- the chosen copy ---- */

void primary_pulled(struct primary *primary, struct run *run, const struct sync_event *event)
{
    if (run->state != RUN_PULLING || run->pull_sid != event->sid)
        return;
    const struct collect_answer origin = {
        .act = event->act, .ver = event->ver, .is_there = true, .is_clean = event->is_clean};
    primary_lead(primary, run, &origin);
}

/* "If its (act, ver) is no longer what was answered, collect again." */
void primary_pull_failed(struct primary *primary, struct run *run, const struct sync_event *event,
                         struct moment now)
{
    if (run->state != RUN_PULLING || run->pull_sid != event->sid)
        return;
    row_of(primary, run)[run->chosen] = (struct collect_answer){0};
    collect_again(primary, run, now);
    /* The others' answers may be enough without it. */
    judge(primary, run, now);
}

/* ---- loss of a quorum ---- */

/* Whether all who could know have answered, or are gone: "lets the primary go on with the best copy
 * once everything alive has answered and each missing member is gone". */
static bool is_all_there_is(const struct primary *primary, const struct run *run)
{
    const struct collect_answer *answers = row_of(primary, run);
    for (uint32_t i = 0; i < primary->giver_count; i++)
        if (!answers[i].is_there && !primary->givers[i].is_gone)
            return false;
    return true;
}

void primary_look_who_is_gone(struct primary *primary, struct moment now)
{
    uint32_t gone = 0;
    for (uint32_t i = 0; i < primary->giver_count; i++) {
        struct giver *giver = &primary->givers[i];
        bool is_silent = i != primary->self && is_wanted(primary, i);
        bool is_other =
            i != primary->self && (giver->peer == PEER_NONE || giver->peer == PEER_SELF);
        giver->is_gone =
            (is_silent || is_other) && views_is_gone(primary->setup.views, giver->member, now);
        gone += giver->is_gone;
    }
    if (gone == 0)
        return;
    uint32_t losses = 0;
    for (uint32_t place = 0; place < primary->place_count; place++) {
        struct run *run = primary_run(primary, primary->collected[place]);
        if (run->state != RUN_COLLECTING || !is_all_there_is(primary, run))
            continue;
        run->is_loss = true;
        losses++;
        choose(primary, run, now);
    }
    if (losses == 0)
        return;
    primary->loss_count += losses;
    primary->setup.stats->slots_lost_quorum += losses;
    log_line(primary->setup.log, now, LOG_WARN, "quorum-lost",
             "epoch=%" PRIu32 " slots=%" PRIu32
             " text=\"acknowledged writes that only members now gone had are lost\"",
             primary->epoch, losses);
}

void primary_awaits(const struct primary *primary, uint32_t slot, char *text, size_t size)
{
    const struct run *run = primary_run(primary, slot);
    text[0] = '\0';
    if (!run || run->state == RUN_ACTIVE)
        return;
    if (run->state == RUN_LEADING) {
        snprintf(text, size, "waits for backups");
        return;
    }
    if (run->state == RUN_PULLING) {
        snprintf(text, size, "takes the copy of %s", primary->givers[run->chosen].member->name);
        return;
    }
    size_t len = (size_t)snprintf(text, size, "waits for the copies of");
    for (uint32_t i = 0; i < primary->giver_count && len < size; i++)
        if (i != primary->self && !row_of(primary, run)[i].is_there)
            len += (size_t)snprintf(text + len, size - len, " %s", primary->givers[i].member->name);
}
