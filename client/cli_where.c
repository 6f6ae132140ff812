#include "client/cli_where.h"

#include "client/cli_ask.h"
#include "client/cli_print.h"
#include "client/cli_text.h"
#include "client/cli_town.h"
#include "common/check.h"
#include "common/node_report.h"

#include <stdlib.h>

/* One member of a slot's group, and its copy of the key. */
struct place {
    const struct member *member; /* borrowed from the ring */
    bool is_had;
    struct node_copy copy;
    char why[CLI_WHY_BYTES_MAX]; /* unless it is had */
};

/* The members of a slot's group: its leader, then the others in their order. Returns how many. */
static uint32_t group_of(const struct town *town, uint32_t slot,
                         struct place places[RING_COPIES_MAX])
{
    const struct ring *ring = town->ring.place;
    const struct member *members = town->ring.view.members;
    uint32_t count = 0;
    if (ring->primary[slot] != RING_NOBODY)
        places[count++].member = &members[ring->primary[slot]];
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (ring->group[slot][i] != ring->primary[slot])
            places[count++].member = &members[ring->group[slot][i]];
    return count;
}

/* Asks a node for its own copy. Who is down in the view is not asked. */
static void place_ask(const struct cli_options *options, const char *key, struct place *place)
{
    struct buf json;
    const struct dht_op op = {.verb = DHT_OP_COPY, .key = key};
    place->is_had = false;
    if (!member_is_up(place->member)) {
        snprintf(place->why, sizeof(place->why), "down");
        return;
    }
    if (cli_ask(options, place->member->name, &op, &json, place->why) == DHT_OK) {
        place->is_had = node_copy_parse(buf_span(&json), &place->copy) == ERR_OK;
        if (!place->is_had)
            snprintf(place->why, sizeof(place->why), "told what can't be read");
    }
    buf_close(&json);
}

/* ---- as text ---- */

static void print_place(const struct cli *cli, const struct place *place, int width)
{
    char version[CLI_VERSION_BYTES_MAX], ver[CLI_VERSION_BYTES_MAX];
    const struct node_copy *copy = &place->copy;
    if (!place->is_had) {
        printf("  %-*s  %s%s%s\n", width, place->member->name,
               cli_color(cli->has_color_out, CLI_RED), place->why,
               cli_color(cli->has_color_out, CLI_PLAIN));
        return;
    }
    cli_version_format(copy->version, version);
    cli_version_format(copy->ver, ver);
    printf("  %-*s  %-9s  %-9s  %-12s  act %u, to %s, %s%s%s\n", width, copy->name, copy->state,
           version, copy->role, (unsigned)copy->act, ver, copy->is_clean ? "clean" : "not clean",
           copy->phase[0] ? ", " : "", copy->phase);
    if (copy->awaits[0])
        printf("  %-*s  %s%s%s\n", width, "", cli_color(cli->has_color_out, CLI_RED), copy->awaits,
               cli_color(cli->has_color_out, CLI_PLAIN));
}

static void print_places(const struct cli *cli, const struct town *town, const char *key,
                         uint32_t slot, const struct place *places, uint32_t count)
{
    bool is_led = town->ring.place->primary[slot] != RING_NOBODY;
    printf("%s: slot %u, %s%s", key, slot, is_led ? "leader " : "nobody leads it",
           is_led ? places[0].member->name : "");
    for (uint32_t i = is_led; i < count; i++)
        printf("%s %s", i == (uint32_t)is_led ? ", then" : "", places[i].member->name);
    printf("\n");
    for (uint32_t i = 0; i < count; i++)
        print_place(cli, &places[i], town_name_width(town));
}

/* ---- as JSON ---- */

static json_t *json_place(const struct place *place)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    const struct node_copy *copy = &place->copy;
    cli_json_set(object, "node", json_string(place->member->name));
    if (!place->is_had) {
        cli_json_set(object, "error", json_string(place->why));
        return object;
    }
    cli_json_set(object, "generation", cli_json_hex(copy->generation));
    cli_json_set(object, "epoch", json_integer(copy->epoch));
    cli_json_set(object, "role", json_string(copy->role));
    cli_json_set(object, "phase", json_string(copy->phase));
    if (copy->awaits[0])
        cli_json_set(object, "awaits", json_string(copy->awaits));
    cli_json_set(object, "state", json_string(copy->state));
    cli_json_set(object, "version", json_integer((json_int_t)copy->version));
    cli_json_set(object, "bytes", json_integer((json_int_t)copy->bytes));
    cli_json_set(object, "act", json_integer(copy->act));
    cli_json_set(object, "ver", json_integer((json_int_t)copy->ver));
    cli_json_set(object, "clean", json_boolean(copy->is_clean));
    cli_json_set(object, "floor", json_integer((json_int_t)copy->floor));
    return object;
}

static void json_places(const struct town *town, const char *key, uint32_t slot,
                        const struct place *places, uint32_t count)
{
    json_t *object = json_object(), *others = json_array(), *copies = json_array();
    CHECK(object != NULL && others != NULL && copies != NULL);
    bool is_led = town->ring.place->primary[slot] != RING_NOBODY;
    for (uint32_t i = is_led; i < count; i++)
        CHECK(json_array_append_new(others, json_string(places[i].member->name)) == 0);
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(copies, json_place(&places[i])) == 0);
    cli_json_set_bytes(object, "key", "key_base64", span_of_string(key));
    cli_json_set(object, "slot", json_integer(slot));
    cli_json_set(object, "leader", is_led ? json_string(places[0].member->name) : json_null());
    cli_json_set(object, "successors", others);
    cli_json_set(object, "copies", copies);
    cli_json_print(object);
}

/* Returns whether every copy could be had. */
static bool tell_key(const struct cli *cli, const struct cli_options *options,
                     const struct town *town, const char *key)
{
    struct place places[RING_COPIES_MAX] = {0};
    bool is_whole = true;
    uint32_t slot = known_ring_slot(span_of_string(key));
    uint32_t count = group_of(town, slot, places);
    for (uint32_t i = 0; i < count; i++) {
        place_ask(options, key, &places[i]);
        is_whole = is_whole && places[i].is_had;
    }
    if (cli_is_given(options, CLI_BIT(JSON)))
        json_places(town, key, slot, places, count);
    else
        print_places(cli, town, key, slot, places, count);
    return is_whole;
}

int cli_where(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct town town;
    if (!cli_may_ask_all(cli, options, argv[0]))
        return CLI_USAGE;
    int exit_code = town_ask(cli, options, &town);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (!town.ring.place)
        exit_code = town_no_ring(cli, &town);
    for (int i = 1; i < argc && town.ring.place; i++)
        if (!tell_key(cli, options, &town, argv[i]))
            exit_code = CLI_NEGATIVE;
    town_close(&town);
    return exit_code;
}
