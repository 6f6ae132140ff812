#include "client/cli_town.h"

#include "client/cli_ask.h"
#include "client/cli_print.h"
#include "common/check.h"

#include <stdlib.h>

void town_close(struct town *town)
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

int town_ask(struct cli *cli, const struct cli_options *options, struct town *town)
{
    struct buf json;
    const char *name;
    const struct dht_op op = {.verb = DHT_OP_MEMBERS};
    *town = (struct town){0};
    int exit_code = cli_ask_any(cli, options, &op, &json, &name);
    enum err err = ERR_OK;
    if (exit_code == CLI_DONE)
        err = member_list_parse(buf_span(&json), &town->list);
    buf_close(&json);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (err == ERR_OK)
        err = known_ring_take(&town->list, &town->ring);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        cli_complain(cli, name, "told a list that can't be read");
        town_close(town);
        return CLI_REFUSED;
    }
    count_slots(town);
    return CLI_DONE;
}

uint32_t town_ring_index(const struct town *town, const char *name)
{
    for (uint32_t i = 0; i < town->ring.view.member_count; i++)
        if (strcmp(town->ring.view.members[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

int town_name_width(const struct town *town)
{
    size_t width = sizeof("NODE") - 1;
    for (uint32_t i = 0; i < town->list.count; i++)
        if (strlen(town->list.entries[i].name) > width)
            width = strlen(town->list.entries[i].name);
    return (int)width;
}

int town_no_ring(const struct cli *cli, const struct town *town)
{
    cli_complain(cli, town->list.name, "has no ring yet");
    return CLI_NEGATIVE;
}
