#include "client/cli_cluster.h"

#include "client/cli_print.h"
#include "client/cli_server.h"
#include "client/dht_ring.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define GENERATION_DIGITS 10 /* shown of HEX64_DIGITS: enough to tell two of one name apart */

void cli_age_format(uint64_t ms, char text[CLI_AGE_BYTES_MAX])
{
    uint64_t s = ms / 1000;
    if (s < 10)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 ".%us", s, (unsigned)(ms % 1000 / 100));
    else if (s < 60)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
    else if (s < 86400)
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s / 60 % 60));
    else
        snprintf(text, CLI_AGE_BYTES_MAX, "%" PRIu64 "d%02uh", s / 86400,
                 (unsigned)(s / 3600 % 24));
}

/* ---- the list, asked of one node ---- */

/* What a node says of its cluster. */
struct town {
    struct member_list list;
    struct known_ring ring; /* zeroed: the node has none */
    uint32_t *leads;        /* owned; slots by member of ring.view */
    uint32_t *backs;        /* owned; the same: slots whose second or third it is */
};

static void town_close(struct town *town)
{
    member_list_close(&town->list);
    known_ring_close(&town->ring);
    free(town->leads);
    free(town->backs);
}

static void count_slots(struct town *town)
{
    const struct ring *place = town->ring.place;
    uint32_t count = town->ring.view.member_count;
    town->leads = calloc(count + 1, sizeof(*town->leads));
    town->backs = calloc(count + 1, sizeof(*town->backs));
    CHECK(town->leads != NULL);
    CHECK(town->backs != NULL);
    for (uint32_t slot = 0; place && slot < SLOT_COUNT; slot++) {
        if (place->primary[slot] != RING_NOBODY)
            town->leads[place->primary[slot]]++;
        for (uint32_t i = 0; i < place->group_size; i++)
            if (place->group[slot][i] != place->primary[slot])
                town->backs[place->group[slot][i]]++;
    }
}

/* Asks a node for its list. town is to be closed on CLI_DONE; else what went wrong has been said.
 */
static int town_ask(struct cli *cli, const struct cli_options *options, struct town *town)
{
    struct dht_answer answer;
    *town = (struct town){0};
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    dht_do(cli->dht, &(struct dht_op){.verb = DHT_OP_MEMBERS}, &answer);
    if (answer.result != DHT_OK) {
        if (cli_is_given(options, CLI_BIT(JSON)))
            cli_json_print(cli_json_result(NULL, &answer));
        else
            cli_complain_result(cli, NULL, &answer);
        return (int)cli_exit_of(answer.result);
    }
    enum err err = member_list_parse(span_of(answer.value, answer.value_bytes), &town->list);
    if (err == ERR_OK)
        err = known_ring_take(&town->list, &town->ring);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        cli_complain(cli, dht_server(cli->dht), "told a list that can't be read");
        town_close(town);
        return CLI_REFUSED;
    }
    count_slots(town);
    return CLI_DONE;
}

/* A member's index in the ring's view; UINT32_MAX if it is not on the ring. */
static uint32_t ring_index(const struct town *town, const char *name)
{
    for (uint32_t i = 0; i < town->ring.view.member_count; i++)
        if (strcmp(town->ring.view.members[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

/* Of all slots, to two places. */
static double percent(uint32_t slots)
{
    uint32_t hundredths = slots * 10000 / SLOT_COUNT;
    return hundredths / 100.0;
}

static json_t *json_hex(uint64_t number)
{
    char text[HEX64_DIGITS + 1];
    snprintf(text, sizeof(text), "%016" PRIx64, number);
    return json_string(text);
}

static int name_width(const struct town *town)
{
    size_t width = sizeof("NODE") - 1;
    for (uint32_t i = 0; i < town->list.count; i++)
        if (strlen(town->list.entries[i].name) > width)
            width = strlen(town->list.entries[i].name);
    return (int)width;
}

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

/* How long a member has been running. Its boot number is the time of its start, in Unix ms, as its
 * own clock had it. "-" where that can't be. */
static void up_format(uint64_t boot, char text[CLI_AGE_BYTES_MAX])
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    const uint64_t year_2020_ms = 1577836800000;
    if (boot < year_2020_ms)
        snprintf(text, CLI_AGE_BYTES_MAX, "-");
    else
        cli_age_format(now_ms > boot ? now_ms - boot : 0, text);
}

static void print_member(const struct cli *cli, const struct town *town,
                         const struct member_list_entry *entry, int width)
{
    char up[CLI_AGE_BYTES_MAX], seen[CLI_AGE_BYTES_MAX], owns[16];
    uint32_t index = ring_index(town, entry->name);
    bool is_asked = strcmp(entry->name, town->list.name) == 0;
    up_format(entry->boot, up);
    cli_age_format(entry->age_ms, seen);
    if (index == UINT32_MAX)
        snprintf(owns, sizeof(owns), "-");
    else
        snprintf(owns, sizeof(owns), "%.1f%%", percent(town->leads[index]));
    printf("%s%-10s%s  %-*s  %0*" PRIx64 "  %7s  %7s  %6u  %6s%s%s\n",
           cli_color(cli->has_color_out, state_color(entry->state)), entry->state,
           cli_color(cli->has_color_out, CLI_PLAIN), width, entry->name, GENERATION_DIGITS,
           entry->generation >> 4 * (HEX64_DIGITS - GENERATION_DIGITS), up, is_asked ? "-" : seen,
           (unsigned)entry->weight, owns, entry->evidence[0] ? "  " : "", entry->evidence);
}

static void print_members(const struct cli *cli, const struct town *town)
{
    int width = name_width(town);
    printf("%s%-10s  %-*s  %-*s  %7s  %7s  %6s  %6s%s\n", cli_color(cli->has_color_out, CLI_BOLD),
           "STATE", width, "NODE", GENERATION_DIGITS, "GENERATION", "UP", "SEEN", "WEIGHT", "OWNS",
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
    uint32_t index = ring_index(town, entry->name);
    cli_json_set(object, "name", json_string(entry->name));
    cli_json_set(object, "state", json_string(entry->state));
    if (entry->evidence[0])
        cli_json_set(object, "class", json_string(entry->evidence));
    cli_json_set(object, "generation", json_hex(entry->generation));
    cli_json_set(object, "boot", json_integer((json_int_t)entry->boot));
    cli_json_set(object, "inc", json_integer(entry->inc));
    cli_json_set(object, "age_ms", json_integer((json_int_t)entry->age_ms));
    cli_json_set(object, "weight", json_integer(entry->weight));
    cli_json_set(object, "on_ring", json_boolean(entry->is_on_ring));
    if (index != UINT32_MAX)
        cli_json_set(object, "owns", json_real(percent(town->leads[index])));
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

/* ---- ring, where ---- */

static int no_ring(const struct cli *cli, const struct town *town)
{
    cli_complain(cli, town->list.name, "has no ring yet");
    return CLI_NEGATIVE;
}

static void print_ring(const struct cli *cli, const struct town *town)
{
    const struct view *view = &town->ring.view;
    int width = name_width(town);
    printf("%s%-*s  %6s  %6s  %6s  %6s%s\n", cli_color(cli->has_color_out, CLI_BOLD), width, "NODE",
           "WEIGHT", "LEADS", "OWNS", "BACKS", cli_color(cli->has_color_out, CLI_PLAIN));
    for (uint32_t i = 0; i < view->member_count; i++)
        printf("%-*s  %6u  %6u  %5.1f%%  %6u\n", width, view->members[i].name,
               (unsigned)view->members[i].weight, town->leads[i], percent(town->leads[i]),
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
        cli_json_set(member, "owns", json_real(percent(town->leads[i])));
        cli_json_set(member, "backs", json_integer(town->backs[i]));
        CHECK(json_array_append_new(members, member) == 0);
    }
    cli_json_set(object, "node", json_string(town->list.name));
    cli_json_set(object, "hash", json_hex(town->ring.hash));
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
        exit_code = no_ring(cli, &town);
    else if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(json_ring(&town));
    else
        print_ring(cli, &town);
    town_close(&town);
    return exit_code;
}

/* A slot's leader, then the others of its group in their order. Returns how many. */
static uint32_t group_of(const struct town *town, uint32_t slot,
                         const char *names[RING_COPIES_MAX + 1])
{
    const struct ring *place = town->ring.place;
    const struct member *members = town->ring.view.members;
    uint32_t count = 0;
    names[count++] = members[place->primary[slot]].name;
    for (uint32_t i = 0; i < place->group_size; i++)
        if (place->group[slot][i] != place->primary[slot])
            names[count++] = members[place->group[slot][i]].name;
    return count;
}

static void print_where(const struct cli_options *options, const struct town *town, const char *key)
{
    const char *names[RING_COPIES_MAX + 1];
    uint32_t slot = known_ring_slot(span_of_string(key));
    uint32_t count = group_of(town, slot, names);
    if (!cli_is_given(options, CLI_BIT(JSON))) {
        printf("%s: slot %u, leader %s", key, slot, names[0]);
        for (uint32_t i = 1; i < count; i++)
            printf("%s %s", i == 1 ? ", then" : "", names[i]);
        printf("\n");
        return;
    }
    json_t *object = json_object(), *others = json_array();
    CHECK(object != NULL);
    CHECK(others != NULL);
    for (uint32_t i = 1; i < count; i++)
        CHECK(json_array_append_new(others, json_string(names[i])) == 0);
    cli_json_set_bytes(object, "key", "key_base64", span_of_string(key));
    cli_json_set(object, "slot", json_integer(slot));
    cli_json_set(object, "leader", json_string(names[0]));
    cli_json_set(object, "successors", others);
    cli_json_print(object);
}

int cli_where(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct town town;
    int exit_code = town_ask(cli, options, &town);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (!town.ring.place)
        exit_code = no_ring(cli, &town);
    for (int i = 1; i < argc && town.ring.place; i++)
        print_where(options, &town, argv[i]);
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
