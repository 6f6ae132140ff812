#include "server/core/operator.h"

#include "common/check.h"

#include <stdio.h>

void operator_init(struct operator_waits *operators, struct views *views, const struct env *env)
{
    *operators = (struct operator_waits){.views = views, .env = env};
}

bool operator_take(struct operator_waits *operators, const struct asker *asker,
                   const struct request *request, struct moment now)
{
    if (operators->count == OPERATOR_WAITS_MAX) {
        asker_answer(operators->env, asker,
                     SPAN_LITERAL("SERVER_ERROR busy, retry in 1000 ms\r\n"));
        return false;
    }
    struct operator_wait *wait = &operators->waits[operators->count++];
    *wait = (struct operator_wait){.asker = *asker, .deadline_ms = now.mono_ms + OPERATOR_WAIT_MS};
    switch (request->command) {
    case CMD_FORGET:
        views_forget(operators->views, request->words, &wait->number, now);
        break;
    case CMD_LEAVE:
        wait->is_leave = true;
        wait->deadline_ms = now.mono_ms + OPERATOR_LEAVE_MS;
        views_leave(operators->views, now);
        break;
    case CMD_ACCEPT_LOSS:
        views_accept_loss(operators->views, request->words, &wait->number, now);
        break;
    default:
        CHECK(request->command == CMD_FORM);
        views_form(operators->views, &wait->number, now);
        break;
    }
    operators->look_ms = now.mono_ms;
    return true;
}

/* Whether a view says that this node goes out, or is out. */
static bool is_leaving(const struct views *views)
{
    const struct view *view = views_current(views);
    uint32_t self = views_self(views);
    return !view || self == VIEW_NOBODY || view->members[self].is_leaving ||
           !member_is_full(&view->members[self]);
}

static enum views_outcome outcome(struct operator_waits *operators,
                                  const struct operator_wait *wait, struct moment now,
                                  char why[VIEWS_WHY_BYTES_MAX])
{
    if (!wait->is_leave)
        return views_asked(operators->views, wait->number, why);
    if (is_leaving(operators->views) || now.mono_ms >= wait->deadline_ms)
        return VIEWS_DONE;
    return views_going(operators->views, now, why);
}

/* Answers a request, if it has an answer or its time is over. Returns whether it was answered. */
static bool answer(struct operator_waits *operators, const struct operator_wait *wait,
                   struct moment now)
{
    char why[VIEWS_WHY_BYTES_MAX], text[VIEWS_WHY_BYTES_MAX + 64];
    switch (outcome(operators, wait, now, why)) {
    case VIEWS_DONE:
        snprintf(text, sizeof(text), "OK\r\n");
        break;
    case VIEWS_REFUSED:
        snprintf(text, sizeof(text), "CLIENT_ERROR not done: %s\r\n", why);
        break;
    case VIEWS_UNDER_WAY:
        if (now.mono_ms < wait->deadline_ms)
            return false;
        snprintf(text, sizeof(text), "SERVER_ERROR outcome unknown: no view says so yet\r\n");
        break;
    }
    asker_answer(operators->env, &wait->asker, span_of_string(text));
    return true;
}

void operator_tick(struct operator_waits *operators, struct moment now)
{
    if (now.mono_ms < operator_deadline(operators))
        return;
    operators->look_ms = now.mono_ms + OPERATOR_LOOK_MS;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < operators->count; i++)
        if (!answer(operators, &operators->waits[i], now))
            operators->waits[kept++] = operators->waits[i];
    operators->count = kept;
}

void operator_left(struct operator_waits *operators)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < operators->count; i++)
        if (operators->waits[i].is_leave)
            asker_answer(operators->env, &operators->waits[i].asker, SPAN_LITERAL("OK\r\n"));
        else
            operators->waits[kept++] = operators->waits[i];
    operators->count = kept;
}

uint64_t operator_deadline(const struct operator_waits *operators)
{
    return operators->count > 0 ? operators->look_ms : UINT64_MAX;
}
