#include "client/cli_roll.h"

#include "client/cli_print.h"
#include "common/check.h"
#include "common/ring.h"

#include <inttypes.h>
#include <stdlib.h>

#define ROUNDS_MAX    3u    /* a member may know a higher view: then all are asked anew */
#define EPOCH_WARNS   8000u /* cas unique passes 2^53 soon, and readers of JSON lose digits */
#define COPIES_WANTED 3u

static bool is_word(const char *word, const char *other)
{
    return strcmp(word, other) == 0;
}

static bool is_up(const struct status_member *member)
{
    return is_word(member->standing, member_standing_word(STANDING_UP));
}

static bool is_full(const struct status_member *member)
{
    return is_word(member->role, member_role_word(ROLE_FULL));
}

/* Whether it is on its way out: nothing of the cluster's health hangs on it. */
static bool is_going(const struct status_member *member)
{
    return is_word(member->role, member_role_word(ROLE_LEAVER)) ||
           is_word(member->standing, member_standing_word(STANDING_SUPERSEDED)) ||
           is_word(member->standing, member_standing_word(STANDING_REPLACED)) ||
           is_word(member->standing, member_standing_word(STANDING_FORGOTTEN));
}

/* Whether a process may answer for this member: not for a generation that is gone for good, nor
 * where nobody has heard of one. */
static bool may_answer(const struct status_member *member)
{
    if (is_word(member->standing, member_standing_word(STANDING_SUPERSEDED)))
        return false;
    return is_up(member) || is_word(member->state, "ALIVE") || is_word(member->state, "SUSPECT");
}

bool roll_was_asked(const struct roll_row *row)
{
    return may_answer(row->member);
}

static void row_ask(const struct cli_options *options, struct roll_row *row)
{
    struct buf json;
    const struct dht_op op = {.verb = DHT_OP_STATUS};
    if (!may_answer(row->member)) {
        snprintf(row->why, sizeof(row->why), "%s", row->member->standing);
        return;
    }
    if (cli_ask(options, row->member->name, &op, &json, row->why) == DHT_OK) {
        row->is_heard = node_status_parse(buf_span(&json), &row->status) == ERR_OK;
        if (!row->is_heard)
            snprintf(row->why, sizeof(row->why), "told what can't be read");
    }
    buf_close(&json);
    if (row->is_heard && row->status.generation != row->member->generation) {
        row->is_heard = false;
        snprintf(row->why, sizeof(row->why), "another process answers");
    }
}

/* How many slots each member leads by the view's ring. */
static void count_leads(struct roll *roll)
{
    struct view view;
    if (node_status_view(&roll->first, &view) != ERR_OK)
        return;
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(&view, ring);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (ring->primary[slot] != RING_NOBODY)
            roll->rows[ring->primary[slot]].leads++;
    free(ring);
    view_close(&view);
}

static void rows_close(struct roll *roll)
{
    for (uint32_t i = 0; roll->rows && i < roll->first.member_count; i++)
        node_status_close(&roll->rows[i].status);
    free(roll->rows);
    roll->rows = NULL;
}

/* Asks everybody in first's view. Returns a row that has a higher one, or NULL. */
static struct roll_row *round_ask(const struct cli_options *options, struct roll *roll)
{
    struct roll_row *higher = NULL;
    roll->rows = calloc(roll->first.member_count + 1, sizeof(*roll->rows));
    CHECK(roll->rows != NULL);
    for (uint32_t i = 0; i < roll->first.member_count; i++) {
        struct roll_row *row = &roll->rows[i];
        row->member = &roll->first.members[i];
        row_ask(options, row);
        if (row->is_heard && row->status.epoch > roll->first.epoch)
            higher = row;
    }
    return higher;
}

int roll_call(struct cli *cli, const struct cli_options *options, struct roll *roll)
{
    *roll = (struct roll){0};
    int exit_code = cli_ask_status(cli, options, &roll->first);
    if (exit_code != CLI_DONE)
        return exit_code;
    struct roll_row *higher;
    for (unsigned i = 1; (higher = round_ask(options, roll)) && i < ROUNDS_MAX; i++) {
        struct node_status first = higher->status;
        higher->status = (struct node_status){0};
        rows_close(roll);
        node_status_close(&roll->first);
        roll->first = first;
    }
    roll_judge(roll);
    return CLI_DONE;
}

void roll_close(struct roll *roll)
{
    rows_close(roll);
    node_status_close(&roll->first);
}

void roll_judge(struct roll *roll)
{
    count_leads(roll);
    uint32_t missing_count = 0;
    for (uint32_t i = 0; i < roll->first.member_count; i++) {
        const struct roll_row *row = &roll->rows[i];
        const struct node_status *status = &row->status;
        roll->full_count += is_full(row->member);
        missing_count += !is_going(row->member) && !(row->is_heard && is_up(row->member));
        if (!row->is_heard)
            continue;
        roll->losses += status->losses;
        roll->tombstones += status->tombstones;
        if (status->epoch != roll->first.epoch)
            continue;
        roll->whole += status->slots_whole;
        roll->under_replicated += status->slots_under_replicated;
    }
    if (roll->first.epoch == 0)
        return;
    uint32_t served = roll->whole + roll->under_replicated;
    roll->unavailable = served < SLOT_COUNT ? SLOT_COUNT - served : 0;
    roll->is_well = roll->whole == SLOT_COUNT && missing_count == 0;
}

void roll_letters(const struct roll_row *row, char letters[3])
{
    const struct status_member *member = row->member;
    letters[0] = !is_up(member)                      ? 'D'
                 : is_word(member->state, "SUSPECT") ? 'S'
                 : !row->is_heard                    ? '?'
                                                     : 'U';
    letters[1] = is_going(member) && !is_up(member)                     ? 'X'
                 : is_word(member->role, member_role_word(ROLE_JOINER)) ? 'J'
                 : member->is_leaving || !is_full(member)               ? 'L'
                                                                        : 'N';
    letters[2] = '\0';
}

static bool has_down_full(const struct roll *roll)
{
    for (uint32_t i = 0; i < roll->first.member_count; i++)
        if (is_full(roll->rows[i].member) && !is_up(roll->rows[i].member))
            return true;
    return false;
}

/* Whether nothing goes on without lost members but by an operator's word. */
static bool do_losses_wait(const struct roll *roll)
{
    return roll->first.lost_count > 0 && is_word(roll->first.on_loss, "wait");
}

const char *roll_note(const struct roll *roll, uint32_t *number, char text[CLI_WHY_BYTES_MAX])
{
    enum { NOTE_ONE, NOTE_TWO, NOTE_WAITS, NOTE_LOSSES, NOTE_TOMBSTONES, NOTE_EPOCH, NOTE_COUNT };
    text[0] = '\0';
    while (!text[0] && *number < NOTE_COUNT && roll->first.epoch > 0) {
        uint32_t note = (*number)++;
        if (note == NOTE_ONE && roll->full_count == 1)
            snprintf(text, CLI_WHY_BYTES_MAX,
                     "one node: all that it holds is lost when its process ends");
        if (note == NOTE_TWO && roll->full_count == 2 && roll->first.copies == COPIES_WANTED)
            snprintf(text, CLI_WHY_BYTES_MAX,
                     "two nodes: when one ends nothing is served until it is back and synced");
        if (note == NOTE_WAITS && roll->unavailable > 0 && do_losses_wait(roll))
            snprintf(
                text, CLI_WHY_BYTES_MAX,
                "slots wait for members that are down (--on-quorum-loss wait): until these are "
                "back, or kvcli accept-loss gives them up");
        if (note == NOTE_LOSSES && roll->losses > 0)
            snprintf(text, CLI_WHY_BYTES_MAX,
                     "%" PRIu64 " times a slot has gone on without a quorum of its copies: "
                     "acknowledged writes may be lost",
                     roll->losses);
        if (note == NOTE_TOMBSTONES && roll->tombstones > 0 && has_down_full(roll))
            snprintf(text, CLI_WHY_BYTES_MAX,
                     "%" PRIu64 " tombstones are kept, for those down too; kvcli forget ends that",
                     roll->tombstones);
        if (note == NOTE_EPOCH && roll->first.epoch >= EPOCH_WARNS)
            snprintf(text, CLI_WHY_BYTES_MAX,
                     "epoch %u: cas uniques pass 2^53 from epoch 8192 on, clients that read them "
                     "as floating point confuse them",
                     (unsigned)roll->first.epoch);
    }
    return text[0] ? text : NULL;
}
