#include "server/core/rumor.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdlib.h>
#include <string.h>

/* Hops beyond those of an undisturbed spread: for members reached only through their neighbour. */
#define HOPS_SPARE 8u

void rumors_init(struct rumors *rumors)
{
    *rumors = (struct rumors){0};
    list_init(&rumors->queue);
}

static struct rumor *rumor_of(struct list *link)
{
    return CONTAINER_OF(link, struct rumor, link);
}

static void drop(struct rumors *rumors, struct rumor *rumor)
{
    list_remove(&rumor->link);
    rumors->count--;
    rumors->unpushed -= !rumor->is_pushed;
    free(rumor->by);
    free(rumor);
}

void rumors_close(struct rumors *rumors)
{
    struct list *link;
    while (rumors->queue.next && (link = list_first(&rumors->queue)))
        drop(rumors, rumor_of(link));
    *rumors = (struct rumors){0};
}

void rumors_forget(struct rumors *rumors, const struct account *about)
{
    for (struct list *link = rumors->queue.next, *next; link != &rumors->queue; link = next) {
        next = link->next;
        if (rumor_of(link)->about == about)
            drop(rumors, rumor_of(link));
    }
}

static struct news account_of(const struct rumor *rumor)
{
    return (struct news){.state = rumor->state,
                         .boot = rumor->boot,
                         .generation = rumor->generation,
                         .inc = rumor->inc,
                         .weight = rumor->weight};
}

static bool is_same_reporter(const struct rumor *rumor, const struct news *news)
{
    return rumor->by ? span_equal(span_of_string(rumor->by), news->by)
                     : span_equal(SPAN_LITERAL("-"), news->by);
}

/* A greater account, or the same from the same reporter, makes an older rumor worthless. */
static void supersede(struct rumors *rumors, const struct account *about, const struct news *news)
{
    for (struct list *link = rumors->queue.next, *next; link != &rumors->queue; link = next) {
        struct rumor *rumor = rumor_of(link);
        next = link->next;
        if (rumor->about != about)
            continue;
        struct news old = account_of(rumor);
        int order = account_compare(&old, news);
        if (order < 0 || (order == 0 && is_same_reporter(rumor, news)))
            drop(rumors, rumor);
    }
}

static char *copy_reporter(const struct news *news)
{
    if (span_equal(news->by, SPAN_LITERAL("-")))
        return NULL;
    char *by = malloc(news->by.len + 1);
    CHECK(by != NULL);
    memcpy(by, news->by.data, news->by.len);
    by[news->by.len] = '\0';
    return by;
}

void rumors_add(struct rumors *rumors, const struct account *about, const struct news *news,
                uint32_t members, uint64_t now_ms)
{
    uint32_t doublings = log2_ceil(members + 1);
    uint32_t hops_max = 2 * doublings + HOPS_SPARE;
    if (news->hops > hops_max || news->hops > NEWS_HOPS_MAX)
        return;
    rumors->sends_max = 2 * doublings;
    supersede(rumors, about, news);
    if (rumors->count == RUMORS_MAX && !MUTANT(rumors_unbounded))
        drop(rumors, rumor_of(rumors->queue.prev));
    struct rumor *rumor = malloc(sizeof(*rumor));
    CHECK(rumor != NULL);
    *rumor = (struct rumor){
        .about = about,
        .by = copy_reporter(news),
        .state = news->state,
        .boot = news->boot,
        .generation = news->generation,
        .inc = news->inc,
        .weight = news->weight,
        .hb = news->hb,
        .proof_ms = news->age_ms < now_ms ? now_ms - news->age_ms : 0,
        .since_ms = news->since_ms < now_ms ? now_ms - news->since_ms : 0,
        .evidence = news->evidence,
        .hops = news->hops,
    };
    list_prepend(&rumors->queue, &rumor->link);
    rumors->count++;
    rumors->unpushed++;
}

static void append(const struct rumor *rumor, uint64_t now_ms, struct buf *out)
{
    struct news news = account_of(rumor);
    news.name = span_of_string(rumor->about->name);
    news.hb = rumor->hb;
    news.age_ms = news_age_ms(rumor->proof_ms, now_ms);
    news.since_ms = now_ms > rumor->since_ms ? now_ms - rumor->since_ms : 0;
    news.evidence = rumor->evidence;
    news.hops = rumor->hops;
    news.by = rumor->by ? span_of_string(rumor->by) : SPAN_LITERAL("-");
    news_append(out, &news);
}

/* Counts sends; a rumor whose sends are spent is dropped, others go behind those told less. */
static void spend(struct rumors *rumors, struct rumor *rumor, uint32_t times)
{
    rumor->sends += times;
    if (rumor->is_pushed && rumor->sends >= rumors->sends_max && !MUTANT(rumors_unspent)) {
        drop(rumors, rumor);
        return;
    }
    list_remove(&rumor->link);
    list_append(&rumors->queue, &rumor->link);
}

uint32_t rumors_take(struct rumors *rumors, uint32_t max, uint64_t now_ms, struct buf *out)
{
    uint32_t available = rumors->count < max ? rumors->count : max;
    for (uint32_t i = 0; i < available; i++) {
        struct rumor *rumor = rumor_of(list_first(&rumors->queue));
        append(rumor, now_ms, out);
        spend(rumors, rumor, 1);
    }
    return available;
}

uint32_t rumors_take_unpushed(struct rumors *rumors, uint32_t times, uint64_t now_ms,
                              struct buf *out)
{
    uint32_t taken = 0;
    uint32_t seen = 0, count = rumors->count;
    for (struct list *link = rumors->queue.next, *next;
         seen < count && rumors->unpushed > 0 && buf_len(out) < RUMORS_PUSH_BYTES;
         link = next, seen++) {
        struct rumor *rumor = rumor_of(link);
        next = link->next;
        if (rumor->is_pushed)
            continue;
        append(rumor, now_ms, out);
        rumor->is_pushed = true;
        rumors->unpushed--;
        spend(rumors, rumor, times);
        taken++;
    }
    return taken;
}

void rumors_check(const struct rumors *rumors)
{
    uint32_t count = 0, unpushed = 0;
    for (const struct list *link = rumors->queue.next; link != &rumors->queue; link = link->next) {
        const struct rumor *rumor = CONTAINER_OF(link, struct rumor, link);
        count++;
        unpushed += !rumor->is_pushed;
    }
    CHECK(count == rumors->count);
    CHECK(unpushed == rumors->unpushed);
    CHECK(count <= RUMORS_MAX);
}
