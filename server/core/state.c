#include "server/core/state.h"

#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_cluster_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool state_is_cluster_name(struct span text)
{
    if (text.len == 0 || text.len > STATE_CLUSTER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_cluster_byte(text.data[i]))
            return false;
    return true;
}

/* Takes a line "key value\n" off text. Returns false if that is not what comes next. */
static bool take_line(struct span *text, const char *key, struct span *value)
{
    const size_t key_len = strlen(key);
    const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;

    if (end == NULL)
        return false;
    const size_t line_len = (size_t)(end - text->data);
    if (line_len < key_len + 1 || memcmp(text->data, key, key_len) != 0 ||
        text->data[key_len] != ' ')
        return false;
    *value = span_of(text->data + key_len + 1, line_len - key_len - 1);
    *text = span_of(end + 1, text->len - line_len - 1);
    return true;
}

/* A name as it was written: in normal form. */
static bool take_name(struct span value, char name[ADDRESS_TEXT_BYTES_MAX])
{
    struct address address;
    const char *why;

    if (address_parse(value, &address, &why) != ERR_OK)
        return false;
    address_format(&address, name);
    return span_equal(span_of_string(name), value);
}

static bool take_hex(struct span *text, const char *key, uint64_t *value)
{
    struct span word;
    return take_line(text, key, &word) && number_parse_hex(word, HEX64_DIGITS, value);
}

static bool take_ballot(struct span *text, const char *key, struct ballot *ballot)
{
    struct span words;
    if (!take_line(text, key, &words))
        return false;
    struct span round = span_take_word(&words);
    return number_parse_decimal(round, VIEW_ROUND_MAX, &ballot->round) &&
           words.data == round.data + round.len + 1 &&
           number_parse_hex(words, HEX64_DIGITS, &ballot->seat);
}

static bool take_views(struct span *text, struct state *state)
{
    struct span word;
    uint64_t count;
    if (!take_line(text, "views", &word) || !number_parse_decimal(word, STATE_VIEWS_MAX, &count))
        return false;
    state->views = calloc(count + 1, sizeof(*state->views));
    CHECK(state->views != NULL);
    for (; state->view_count < count; state->view_count++) {
        const struct view *before =
            state->view_count > 0 ? &state->views[state->view_count - 1] : NULL;
        struct view *view = &state->views[state->view_count];
        if (view_parse(text, before, view))
            return false;
        bool follows =
            !before || (view->epoch == before->epoch + 1 && view->cluster_id == before->cluster_id);
        if (!follows || view->cluster_id != state->cluster_id) {
            view_close(view);
            return false;
        }
    }
    return (count > 0) == (state->cluster_id != 0);
}

static bool take_accepted(struct span *text, struct state *state)
{
    struct acceptor *acceptor = &state->acceptor;
    const struct view *last = state->view_count > 0 ? &state->views[state->view_count - 1] : NULL;
    if (ballot_compare(acceptor->accepted, acceptor->promised) > 0 ||
        (acceptor->promised.round == 0 && acceptor->promised.seat != 0) ||
        (acceptor->accepted.round == 0 && acceptor->accepted.seat != 0))
        return false;
    if (acceptor->accepted.round == 0)
        return true;
    return view_parse(text, last, &acceptor->view) == ERR_OK &&
           acceptor->view.epoch == (last ? last->epoch : 0) + 1 &&
           (!last || acceptor->view.cluster_id == last->cluster_id);
}

/* What both versions have. */
static bool take_who(struct span *text, struct state *state)
{
    struct span cluster, name, boot;
    if (!take_line(text, "cluster", &cluster) || !state_is_cluster_name(cluster) ||
        !take_line(text, "name", &name) || !take_name(name, state->name) ||
        !take_line(text, "boot", &boot) ||
        !number_parse_decimal(boot, STATE_BOOT_MAX, &state->boot) || state->boot == 0)
        return false;
    memcpy(state->cluster, cluster.data, cluster.len);
    state->cluster[cluster.len] = '\0';
    return true;
}

/* What the second version adds. */
static bool take_votes(struct span *text, struct state *state)
{
    return take_hex(text, "seat", &state->seat) && state->seat != 0 &&
           take_hex(text, "id", &state->cluster_id) && take_hex(text, "list", &state->list) &&
           take_ballot(text, "promised", &state->acceptor.promised) &&
           take_ballot(text, "accepted", &state->acceptor.accepted) && take_views(text, state) &&
           take_accepted(text, state);
}

enum err state_parse(struct span text, struct state *state, const char **why)
{
    struct span version;

    *state = (struct state){0};
    *why = "it is no state file of a dht-server";
    if (!take_line(&text, "dht-state", &version))
        return ERR_SYNTAX;
    *why = "it was written by another version of dht-server";
    bool is_first = span_equal(version, SPAN_LITERAL("1"));
    if (!is_first && !span_equal(version, SPAN_LITERAL("2")))
        return ERR_SYNTAX;
    *why = "it is damaged";
    if (take_who(&text, state) && (is_first || take_votes(&text, state)) && text.len == 0)
        return ERR_OK;
    state_close(state);
    return ERR_SYNTAX;
}

static void format_ballot(struct buf *out, const char *key, struct ballot ballot)
{
    buf_printf(out, "%s %" PRIu64 " %016" PRIx64 "\n", key, ballot.round, ballot.seat);
}

void state_format(const struct state *state, struct buf *out)
{
    CHECK(state_is_cluster_name(span_of_string(state->cluster)));
    CHECK(state->boot > 0);
    CHECK(state->boot <= STATE_BOOT_MAX);
    CHECK(state->seat != 0);
    CHECK(state->view_count <= STATE_VIEWS_MAX);
    buf_printf(out,
               "dht-state 2\ncluster %s\nname %s\nboot %" PRIu64 "\nseat %016" PRIx64
               "\nid %016" PRIx64 "\nlist %016" PRIx64 "\n",
               state->cluster, state->name, state->boot, state->seat, state->cluster_id,
               state->list);
    format_ballot(out, "promised", state->acceptor.promised);
    format_ballot(out, "accepted", state->acceptor.accepted);
    buf_printf(out, "views %" PRIu32 "\n", state->view_count);
    const struct view *before = NULL;
    for (uint32_t i = 0; i < state->view_count; i++) {
        view_format(&state->views[i], before, out);
        before = &state->views[i];
    }
    if (state->acceptor.accepted.round > 0)
        view_format(&state->acceptor.view, before, out);
}

void state_close(struct state *state)
{
    for (uint32_t i = 0; i < state->view_count; i++)
        view_close(&state->views[i]);
    free(state->views);
    acceptor_close(&state->acceptor);
    *state = (struct state){0};
}

uint64_t state_next_boot(uint64_t last, int64_t unix_ms)
{
    CHECK(last < STATE_BOOT_MAX);
    const uint64_t time = unix_ms > 0 ? (uint64_t)unix_ms : 0;

    return time > last ? time : last + 1;
}
