#include "client/cli_cluster.h"

#include "client/cli_print.h"
#include "client/cli_server.h"
#include "client/cli_text.h"
#include "client/cli_town.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- members ---- */

static uint32_t count_state(const struct town *town, const char *state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < town->list.count; i++)
        count += strcmp(town->list.entries[i].state, state) == 0;
    return count;
}

static enum cli_color state_color(const char *state)
{
    if (strcmp(state, "ALIVE") == 0)
        return CLI_GREEN;
    return strcmp(state, "DEAD") == 0 || strcmp(state, "SUSPECT") == 0 ? CLI_RED : CLI_DIM;
}

#define ROLE_WIDTH 11 /* "full/down" and two of such */

/* Its place in the view: "full", "full/down", "joiner"; "-": it is in none. */
static void role_format(const struct member_list_entry *entry, char *text, size_t size)
{
    bool is_up = strcmp(entry->standing, member_standing_word(STANDING_UP)) == 0;
    snprintf(text, size, "%s%s%s", entry->role[0] ? entry->role : "-", is_up ? "" : "/",
             is_up ? "" : entry->standing);
    if (!entry->role[0])
        snprintf(text, size, "-");
}

static void print_member(const struct cli *cli, const struct town *town,
                         const struct member_list_entry *entry, int width)
{
    char up[CLI_AGE_BYTES_MAX], seen[CLI_AGE_BYTES_MAX], owns[16];
    char role[2 * MEMBER_STATE_BYTES_MAX];
    uint32_t index = town_ring_index(town, entry->name);
    bool is_asked = strcmp(entry->name, town->list.name) == 0;
    cli_up_format(entry->boot, up);
    cli_age_format(entry->age_ms, seen);
    role_format(entry, role, sizeof(role));
    if (index == UINT32_MAX || town->leads[index] == 0)
        snprintf(owns, sizeof(owns), "-");
    else
        snprintf(owns, sizeof(owns), "%.1f%%", cli_share(town->leads[index]));
    printf("%s%-10s%s  %-*s  %0*" PRIx64 "  %-*s  %7s  %7s  %6u  %6s%s%s\n",
           cli_color(cli->has_color_out, state_color(entry->state)), entry->state,
           cli_color(cli->has_color_out, CLI_PLAIN), width, entry->name, CLI_GENERATION_DIGITS,
           entry->generation >> 4 * (HEX64_DIGITS - CLI_GENERATION_DIGITS), ROLE_WIDTH, role, up,
           is_asked ? "-" : seen, (unsigned)entry->weight, owns, entry->evidence[0] ? "  " : "",
           entry->evidence);
}

static void print_members(const struct cli *cli, const struct town *town)
{
    int width = town_name_width(town);
    printf("%s%-10s  %-*s  %-*s  %-*s  %7s  %7s  %6s  %6s%s\n",
           cli_color(cli->has_color_out, CLI_BOLD), "STATE", width, "NODE", CLI_GENERATION_DIGITS,
           "GENERATION", ROLE_WIDTH, "ROLE", "UP", "SEEN", "WEIGHT", "OWNS",
           cli_color(cli->has_color_out, CLI_PLAIN));
    for (uint32_t i = 0; i < town->list.count; i++)
        print_member(cli, town, &town->list.entries[i], width);
    printf("%s%u alive, %u suspect, %u dead, %u left, as %s sees it%s%s\n",
           cli_color(cli->has_color_out, CLI_DIM), count_state(town, "ALIVE"),
           count_state(town, "SUSPECT"), count_state(town, "DEAD"), count_state(town, "LEFT"),
           town->list.name, town->list.is_isolated ? ", which is cut off" : "",
           cli_color(cli->has_color_out, CLI_PLAIN));
}

static json_t *json_member(const struct town *town, const struct member_list_entry *entry)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    uint32_t index = town_ring_index(town, entry->name);
    cli_json_set(object, "name", json_string(entry->name));
    cli_json_set(object, "state", json_string(entry->state));
    if (entry->evidence[0])
        cli_json_set(object, "class", json_string(entry->evidence));
    cli_json_set(object, "generation", cli_json_hex(entry->generation));
    cli_json_set(object, "boot", json_integer((json_int_t)entry->boot));
    cli_json_set(object, "inc", json_integer(entry->inc));
    cli_json_set(object, "age_ms", json_integer((json_int_t)entry->age_ms));
    cli_json_set(object, "weight", json_integer(entry->weight));
    if (entry->role[0]) {
        cli_json_set(object, "role", json_string(entry->role));
        cli_json_set(object, "standing", json_string(entry->standing));
    }
    cli_json_set(object, "on_ring", json_boolean(entry->is_on_ring));
    if (index != UINT32_MAX)
        cli_json_set(object, "owns", json_real(cli_share(town->leads[index])));
    return object;
}

static void print_count(const struct cli_options *options, const struct town *town)
{
    if (!cli_is_given(options, CLI_BIT(JSON))) {
        printf("%u\n", count_state(town, "ALIVE"));
        return;
    }
    json_t *object = json_object();
    CHECK(object != NULL);
    cli_json_set(object, "alive", json_integer(count_state(town, "ALIVE")));
    cli_json_set(object, "suspect", json_integer(count_state(town, "SUSPECT")));
    cli_json_set(object, "dead", json_integer(count_state(town, "DEAD")));
    cli_json_set(object, "left", json_integer(count_state(town, "LEFT")));
    cli_json_print(object);
}

int cli_members(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct town town;
    int exit_code = town_ask(cli, options, &town);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (cli_is_given(options, CLI_BIT(ALIVE)))
        print_count(options, &town);
    else if (cli_is_given(options, CLI_BIT(JSON)))
        for (uint32_t i = 0; i < town.list.count; i++)
            cli_json_print(json_member(&town, &town.list.entries[i]));
    else
        print_members(cli, &town);
    town_close(&town);
    return CLI_DONE;
}

/* ---- ring ---- */

static void print_ring(const struct cli *cli, const struct town *town)
{
    const struct view *view = &town->ring.view;
    int width = town_name_width(town);
    printf("%s%-*s  %6s  %6s  %6s  %6s%s\n", cli_color(cli->has_color_out, CLI_BOLD), width, "NODE",
           "WEIGHT", "LEADS", "OWNS", "BACKS", cli_color(cli->has_color_out, CLI_PLAIN));
    for (uint32_t i = 0; i < view->member_count; i++)
        printf("%-*s  %6u  %6u  %5.1f%%  %6u\n", width, view->members[i].name,
               (unsigned)view->members[i].weight, town->leads[i], cli_share(town->leads[i]),
               town->backs[i]);
    printf("%sring %016" PRIx64 " of %u nodes, number %" PRIu64 " of %s%s\n",
           cli_color(cli->has_color_out, CLI_DIM), town->ring.hash, view->member_count,
           town->ring.changes, town->list.name, cli_color(cli->has_color_out, CLI_PLAIN));
}

static json_t *json_ring(const struct town *town)
{
    json_t *object = json_object(), *members = json_array();
    CHECK(object != NULL);
    CHECK(members != NULL);
    for (uint32_t i = 0; i < town->ring.view.member_count; i++) {
        json_t *member = json_object();
        CHECK(member != NULL);
        cli_json_set(member, "name", json_string(town->ring.view.members[i].name));
        cli_json_set(member, "weight", json_integer(town->ring.view.members[i].weight));
        cli_json_set(member, "leads", json_integer(town->leads[i]));
        cli_json_set(member, "owns", json_real(cli_share(town->leads[i])));
        cli_json_set(member, "backs", json_integer(town->backs[i]));
        CHECK(json_array_append_new(members, member) == 0);
    }
    cli_json_set(object, "node", json_string(town->list.name));
    cli_json_set(object, "hash", cli_json_hex(town->ring.hash));
    cli_json_set(object, "changes", json_integer((json_int_t)town->ring.changes));
    cli_json_set(object, "members", members);
    return object;
}

int cli_ring(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct town town;
    int exit_code = town_ask(cli, options, &town);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (!town.ring.place)
        exit_code = town_no_ring(cli, &town);
    else if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(json_ring(&town));
    else
        print_ring(cli, &town);
    town_close(&town);
    return exit_code;
}

/* ---- leave, shutdown ---- */

int cli_leave(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    bool is_shutdown = strcmp(argv[0], "shutdown") == 0;
    struct dht_op op = {.verb = is_shutdown ? DHT_OP_SHUTDOWN : DHT_OP_LEAVE};
    struct dht_answer answer;
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    if (strchr(cli->servers, ',')) {
        cli_complain(cli, argv[0], "name the one node that is meant, with --server");
        return CLI_USAGE;
    }
    if (!cli_is_agreed(cli, options, "Make ", cli->servers, " leave its cluster and stop")) {
        cli_complain(cli, NULL, "nothing was stopped");
        return CLI_NEGATIVE;
    }
    dht_do(cli->dht, &op, &answer);
    if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(cli_json_result(NULL, &answer));
    else if (answer.result == DHT_OK)
        cli_tell(cli, cli->servers, "leaves:");
    else
        cli_complain_result(cli, cli->servers, &answer);
    return (int)cli_exit_of(answer.result);
}
