#include "client/cli_status.h"

#include "client/cli_ask.h"
#include "client/cli_print.h"
#include "client/cli_roll.h"
#include "client/cli_text.h"
#include "client/cli_town.h"
#include "common/check.h"
#include "common/digest.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>

static int roll_width(const struct roll *roll)
{
    size_t width = sizeof("NODE") - 1;
    for (uint32_t i = 0; i < roll->first.member_count; i++)
        if (strlen(roll->first.members[i].name) > width)
            width = strlen(roll->first.members[i].name);
    return (int)width;
}

/* ---- status, as text ---- */

static enum cli_color row_color(const char *letters)
{
    return letters[0] == 'U' ? letters[1] == 'N' ? CLI_GREEN : CLI_CYAN : CLI_RED;
}

static void print_row(const struct cli *cli, const struct roll_row *row, int width)
{
    char letters[3], size[CLI_SIZE_BYTES_MAX], up[CLI_AGE_BYTES_MAX];
    const struct node_status *status = &row->status;
    roll_letters(row, letters);
    printf("%s%s%s  %-*s  %0*" PRIx64, cli_color(cli->has_color_out, row_color(letters)), letters,
           cli_color(cli->has_color_out, CLI_PLAIN), width, row->member->name,
           CLI_GENERATION_DIGITS,
           row->member->generation >> 4 * (HEX64_DIGITS - CLI_GENERATION_DIGITS));
    if (!row->is_heard) {
        printf("  %9s  %7s  %5.1f%%  %5s  %5s  %7s  %s\n", "-", "-", cli_share(row->leads), "-",
               "-", "-", row->why);
        return;
    }
    cli_size_format(status->bytes, size);
    cli_age_format(status->uptime_s * 1000, up);
    printf("  %9" PRIu64 "  %7s  %5.1f%%  %5" PRIu64 "  %5" PRIu64 "  %7s  %s\n", status->items,
           size, cli_share(row->leads), status->transfers_in, status->transfers_out, up,
           status->version);
}

static void print_progress(const struct roll *roll)
{
    uint64_t items = 0, bytes = 0, eta_ms = 0;
    for (uint32_t i = 0; i < roll->first.member_count; i++) {
        const struct node_status *status = &roll->rows[i].status;
        items += status->items_left;
        bytes += status->bytes_left;
        if (roll->rows[i].is_heard && status->eta_ms > eta_ms)
            eta_ms = status->eta_ms;
    }
    char size[CLI_SIZE_BYTES_MAX], eta[CLI_AGE_BYTES_MAX];
    if (items == 0)
        return;
    cli_size_format(bytes, size);
    cli_age_format(eta_ms, eta);
    printf("%" PRIu64 " items, %s, are being brought to where they belong: %s%s\n", items, size,
           eta_ms == REPORT_UNKNOWN ? "nothing moves" : "ready in ",
           eta_ms == REPORT_UNKNOWN ? "" : eta);
}

static void print_verdict(const struct cli *cli, const struct roll *roll)
{
    printf("%sfully replicated %.2f%%, under-replicated %.2f%%, unavailable %.2f%%%s "
           "(%" PRIu32 ", %" PRIu32 " and %" PRIu32 " of %u slots)\n",
           cli_color(cli->has_color_out, roll->is_well ? CLI_GREEN : CLI_RED),
           cli_share(roll->whole), cli_share(roll->under_replicated), cli_share(roll->unavailable),
           cli_color(cli->has_color_out, CLI_PLAIN), roll->whole, roll->under_replicated,
           roll->unavailable, SLOT_COUNT);
}

static void print_roll(const struct cli *cli, const struct roll *roll)
{
    int width = roll_width(roll);
    const struct node_status *first = &roll->first;
    char text[CLI_WHY_BYTES_MAX];
    uint32_t number = 0;
    if (first->epoch == 0) {
        printf("%s: %s\n", first->name, first->awaits[0] ? first->awaits : "no view yet");
        return;
    }
    printf("%scluster %s, epoch %u: U up, D down, S suspected, ? silent; "
           "N normal, J joining, L leaving, X going out%s\n",
           cli_color(cli->has_color_out, CLI_DIM), first->cluster, (unsigned)first->epoch,
           cli_color(cli->has_color_out, CLI_PLAIN));
    printf("%s--  %-*s  %-*s  %9s  %7s  %6s  %5s  %5s  %7s  %s%s\n",
           cli_color(cli->has_color_out, CLI_BOLD), width, "NODE", CLI_GENERATION_DIGITS,
           "GENERATION", "ITEMS", "BYTES", "OWNS", "IN", "OUT", "UP", "VERSION",
           cli_color(cli->has_color_out, CLI_PLAIN));
    for (uint32_t i = 0; i < first->member_count; i++)
        print_row(cli, &roll->rows[i], width);
    print_verdict(cli, roll);
    print_progress(roll);
    while (roll_note(roll, &number, text))
        printf("%s%s%s\n", cli_color(cli->has_color_out, CLI_DIM), text,
               cli_color(cli->has_color_out, CLI_PLAIN));
}

/* ---- status, as JSON ---- */

static json_t *json_count(uint64_t number)
{
    return number == REPORT_UNKNOWN ? json_null() : json_integer((json_int_t)number);
}

static json_t *json_row(const struct roll_row *row)
{
    char letters[3];
    json_t *object = json_object();
    CHECK(object != NULL);
    const struct node_status *status = &row->status;
    roll_letters(row, letters);
    cli_json_set(object, "name", json_string(row->member->name));
    cli_json_set(object, "letters", json_string(letters));
    cli_json_set(object, "role", json_string(row->member->role));
    cli_json_set(object, "standing", json_string(row->member->standing));
    cli_json_set(object, "state", json_string(row->member->state));
    cli_json_set(object, "generation", cli_json_hex(row->member->generation));
    cli_json_set(object, "weight", json_integer(row->member->weight));
    cli_json_set(object, "leaving", json_boolean(row->member->is_leaving));
    cli_json_set(object, "voter", json_boolean(row->member->is_voter));
    cli_json_set(object, "owns", json_real(cli_share(row->leads)));
    if (!row->is_heard) {
        cli_json_set(object, "error", json_string(row->why));
        return object;
    }
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {{"epoch", status->epoch},
                   {"items", status->items},
                   {"tombstones", status->tombstones},
                   {"bytes", status->bytes},
                   {"request_ids", status->request_ids},
                   {"memory_used", status->memory_used},
                   {"memory_max", status->memory_max},
                   {"led", status->slots_led},
                   {"whole", status->slots_whole},
                   {"under_replicated", status->slots_under_replicated},
                   {"unavailable", status->slots_unavailable},
                   {"full", status->slots_full},
                   {"losses", status->losses},
                   {"in", status->transfers_in},
                   {"out", status->transfers_out},
                   {"items_left", status->items_left},
                   {"bytes_left", status->bytes_left},
                   {"eta_ms", status->eta_ms},
                   {"uptime_s", status->uptime_s}};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        cli_json_set(object, numbers[i].name, json_count(numbers[i].number));
    cli_json_set(object, "version", json_string(status->version));
    return object;
}

static json_t *json_roll(const struct roll *roll)
{
    json_t *object = json_object(), *nodes = json_array(), *notes = json_array();
    CHECK(object != NULL && nodes != NULL && notes != NULL);
    const struct node_status *first = &roll->first;
    char text[CLI_WHY_BYTES_MAX];
    uint32_t number = 0;
    for (uint32_t i = 0; i < first->member_count; i++)
        CHECK(json_array_append_new(nodes, json_row(&roll->rows[i])) == 0);
    while (roll_note(roll, &number, text))
        CHECK(json_array_append_new(notes, json_string(text)) == 0);
    cli_json_set(object, "cluster", json_string(first->cluster));
    cli_json_set(object, "cluster_id", cli_json_hex(first->cluster_id));
    cli_json_set(object, "epoch", json_integer(first->epoch));
    cli_json_set(object, "base", json_integer(first->base));
    cli_json_set(object, "copies", json_integer(first->copies));
    cli_json_set(object, "on_quorum_loss", json_string(first->on_loss));
    if (first->awaits[0])
        cli_json_set(object, "awaits", json_string(first->awaits));
    cli_json_set(object, "well", json_boolean(roll->is_well));
    cli_json_set(object, "fully_replicated", json_integer(roll->whole));
    cli_json_set(object, "under_replicated", json_integer(roll->under_replicated));
    cli_json_set(object, "unavailable", json_integer(roll->unavailable));
    cli_json_set(object, "notes", notes);
    cli_json_set(object, "nodes", nodes);
    return object;
}

int cli_status(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    struct roll roll;
    if (!cli_may_ask_all(cli, options, argv[0]))
        return CLI_USAGE;
    int exit_code = roll_call(cli, options, &roll);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(json_roll(&roll));
    else
        print_roll(cli, &roll);
    exit_code = roll.is_well ? CLI_DONE : CLI_NEGATIVE;
    roll_close(&roll);
    return exit_code;
}

/* ---- transfers ---- */

/* Whether there is anything to tell of it: synced sessions alone bring nothing. */
static bool is_moving(const struct node_transfer *transfer)
{
    return transfer->queued + transfer->sending > 0;
}

static void print_transfer(const char *from, const struct node_transfer *transfer, int width)
{
    char sent[CLI_SIZE_BYTES_MAX], left[CLI_SIZE_BYTES_MAX], rate[CLI_SIZE_BYTES_MAX];
    char eta[CLI_AGE_BYTES_MAX];
    cli_size_format(transfer->bytes_sent, sent);
    cli_size_format(transfer->bytes_left, left);
    cli_size_format(transfer->bytes_s, rate);
    if (transfer->eta_ms == REPORT_UNKNOWN)
        snprintf(eta, sizeof(eta), "-");
    else
        cli_age_format(transfer->eta_ms, eta);
    printf("%-*s  %-*s  %5u  %9" PRIu64 "  %7s  %9" PRIu64 "  %7s  %7s  %7s\n", width, from, width,
           transfer->peer, transfer->queued + transfer->sending, transfer->items_sent, sent,
           transfer->items_left, left, rate, eta);
}

static json_t *json_transfer(const char *from, const struct node_transfer *transfer)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    cli_json_set(object, "from", json_string(from));
    cli_json_set(object, "to", json_string(transfer->peer));
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {{"queued", transfer->queued},         {"sending", transfer->sending},
                   {"synced", transfer->synced},         {"items_sent", transfer->items_sent},
                   {"bytes_sent", transfer->bytes_sent}, {"items_left", transfer->items_left},
                   {"bytes_left", transfer->bytes_left}, {"bytes_per_second", transfer->bytes_s},
                   {"eta_ms", transfer->eta_ms}};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        cli_json_set(object, numbers[i].name, json_count(numbers[i].number));
    return object;
}

/* Tells what a node brings to others. Returns how many lines that took. */
static uint32_t tell_transfers(const struct cli *cli, const struct cli_options *options,
                               const struct node_transfers *transfers, int width, bool is_first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < transfers->count; i++) {
        const struct node_transfer *transfer = &transfers->peers[i];
        if (cli_is_given(options, CLI_BIT(JSON))) {
            cli_json_print(json_transfer(transfers->name, transfer));
            continue;
        }
        if (!is_moving(transfer))
            continue;
        if (is_first && count == 0)
            printf("%s%-*s  %-*s  %5s  %9s  %7s  %9s  %7s  %7s  %7s%s\n",
                   cli_color(cli->has_color_out, CLI_BOLD), width, "FROM", width, "TO", "SLOTS",
                   "ITEMS", "BYTES", "LEFT", "BYTES", "BYTES/S", "ETA",
                   cli_color(cli->has_color_out, CLI_PLAIN));
        print_transfer(transfers->name, transfer, width);
        count++;
    }
    return count;
}

/* Asks a node what it brings to others. Returns whether that could be had; else it is said why
 * not. transfers: to be closed. */
static bool transfers_ask(const struct cli *cli, const struct cli_options *options,
                          const struct roll_row *row, struct node_transfers *transfers)
{
    struct buf json;
    char why[CLI_WHY_BYTES_MAX];
    const struct dht_op op = {.verb = DHT_OP_TRANSFERS};
    bool is_had = false;
    if (!row->is_heard) {
        cli_complain(cli, row->member->name, row->why);
        return false;
    }
    if (cli_ask(options, row->member->name, &op, &json, why) == DHT_OK) {
        is_had = node_transfers_parse(buf_span(&json), transfers) == ERR_OK;
        snprintf(why, sizeof(why), "told what can't be read");
    }
    if (!is_had)
        cli_complain(cli, row->member->name, why);
    buf_close(&json);
    return is_had;
}

int cli_transfers(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    struct roll roll;
    if (!cli_may_ask_all(cli, options, argv[0]))
        return CLI_USAGE;
    int exit_code = roll_call(cli, options, &roll);
    if (exit_code != CLI_DONE)
        return exit_code;
    uint32_t count = 0;
    for (uint32_t i = 0; i < roll.first.member_count; i++) {
        struct node_transfers transfers;
        if (!roll_was_asked(&roll.rows[i]))
            continue;
        if (!transfers_ask(cli, options, &roll.rows[i], &transfers)) {
            exit_code = CLI_NEGATIVE;
            continue;
        }
        count += tell_transfers(cli, options, &transfers, roll_width(&roll), count == 0);
        node_transfers_close(&transfers);
    }
    if (count == 0 && exit_code == CLI_DONE && !cli_is_given(options, CLI_BIT(JSON)))
        cli_tell(cli, "nothing is on its way", "at rest:");
    roll_close(&roll);
    return exit_code;
}
