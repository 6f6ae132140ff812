#include "client/cli_operate.h"

#include "client/cli_ask.h"
#include "client/cli_print.h"
#include "client/cli_server.h"
#include "common/check.h"
#include "common/node_report.h"
#include "common/ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_BYTES_MAX    1900u  /* of names, so that the line is no longer than a server takes */
#define OPERATE_TIMEOUT_MS 15000u /* a view has to be agreed; unless --timeout says otherwise */

/* What giving members up costs, in slots. */
struct cost {
    struct buf names; /* owned: whom, with role and standing */
    struct buf words; /* owned: the names alone, each once */
    uint32_t held;    /* slots of which they hold a copy */
    uint32_t without; /* of them: no majority of the copies is on others that are up */
    uint32_t earlier; /* those given up of earlier views */
    uint32_t given_count;
    bool waits; /* slots without a majority go on by accept-loss only */
};

/* Who is meant by a command. */
enum given {
    GIVEN_NAMED, /* forget: the members of that name */
    GIVEN_LOST,  /* accept-loss: who is lost, of these names if there are any */
    GIVEN_SILENT /* form: full members that gossip does not hold alive */
};

struct choice {
    enum given given;
    char **names; /* borrowed */
    int name_count;
};

static bool is_named(const struct choice *choice, const char *name)
{
    for (int i = 0; i < choice->name_count; i++)
        if (strcmp(choice->names[i], name) == 0)
            return true;
    return choice->name_count == 0;
}

/* Of its present view. */
static bool is_lost(const struct node_status *status, const struct status_member *member)
{
    for (uint32_t i = 0; i < status->lost_count; i++)
        if (status->lost[i].epoch == status->epoch &&
            strcmp(status->lost[i].name, member->name) == 0 &&
            status->lost[i].generation == member->generation)
            return true;
    return false;
}

static bool is_given(const struct node_status *status, const struct choice *choice,
                     const struct status_member *member)
{
    switch (choice->given) {
    case GIVEN_NAMED:
        return is_named(choice, member->name);
    case GIVEN_LOST:
        return is_named(choice, member->name) && is_lost(status, member);
    case GIVEN_SILENT:
        return strcmp(member->role, member_role_word(ROLE_FULL)) == 0 &&
               strcmp(member->state, "ALIVE") != 0;
    }
    CHECK(false);
}

static void count_slots(const struct view *view, const bool *given, struct cost *cost)
{
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(view, ring);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint32_t given_count = 0, left_count = 0;
        for (uint32_t i = 0; i < ring->group_size; i++) {
            uint16_t index = ring->group[slot][i];
            given_count += given[index];
            left_count += !given[index] && member_is_up(&view->members[index]);
        }
        cost->held += given_count > 0;
        cost->without += given_count > 0 && left_count < ring->group_size / 2 + 1;
    }
    free(ring);
}

static void add_name(struct cost *cost, const char *name)
{
    buf_printf(&cost->names, "%s%s", cost->given_count ? ", " : "", name);
    if (!span_has_word(buf_span(&cost->words), span_of_string(name)))
        buf_printf(&cost->words, "%s%s", cost->given_count ? " " : "", name);
    cost->given_count++;
}

/* Those of earlier views, of which copies are waited for: the view now is without them. */
static void count_earlier(const struct node_status *status, const struct choice *choice,
                          struct cost *cost)
{
    for (uint32_t i = 0; i < status->lost_count; i++) {
        const struct status_lost *lost = &status->lost[i];
        if (lost->epoch == status->epoch || !is_named(choice, lost->name))
            continue;
        add_name(cost, lost->name);
        buf_printf(&cost->names, " (of view %" PRIu32 ")", lost->epoch);
        cost->earlier++;
    }
}

/* view: of the status. */
static void count_cost(const struct node_status *status, const struct view *view,
                       const struct choice *choice, struct cost *cost)
{
    bool *given = calloc(view->member_count + 1, sizeof(*given));
    CHECK(given != NULL);
    if (choice->given == GIVEN_LOST)
        count_earlier(status, choice, cost);
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct status_member *member = &status->members[i];
        given[i] = is_given(status, choice, member);
        if (!given[i])
            continue;
        add_name(cost, member->name);
        buf_printf(&cost->names, " (%s, %s)", member->role, member->standing);
    }
    count_slots(view, given, cost);
    cost->waits = choice->given != GIVEN_LOST && strcmp(status->on_loss, "wait") == 0;
    free(given);
}

/* Asks the one server that is meant how things are. cost: to be closed on CLI_DONE; else what went
 * wrong has been said. */
static int look(struct cli *cli, const struct cli_options *options, const struct choice *choice,
                struct cost *cost)
{
    struct node_status status;
    struct view view = {0};
    *cost = (struct cost){0};
    int exit_code = cli_ask_status(cli, options, &status);
    if (exit_code == CLI_DONE && node_status_view(&status, &view) == ERR_OK)
        count_cost(&status, &view, choice, cost);
    if (exit_code == CLI_DONE) {
        buf_append(&cost->names, "", 1);
        buf_append(&cost->words, "", 1);
    }
    node_status_close(&status);
    view_close(&view);
    return exit_code;
}

/* The first of the names of which nobody is given up; NULL: there is none. */
static const char *missing_name(const struct choice *choice, const struct cost *cost)
{
    struct span words = span_of_string(cost->words.data);
    for (int i = 0; i < choice->name_count; i++)
        if (!span_has_word(words, span_of_string(choice->names[i])))
            return choice->names[i];
    return NULL;
}

static void tell_cost(const struct cost *cost)
{
    if (cost->given_count > 0)
        fprintf(stderr, "Given up: %s.\n", cost->names.data);
    if (cost->earlier > 0)
        fputs("Slots that still wait for what members of earlier views had, if any, go on without "
              "it.\n",
              stderr);
    if (cost->held > 0)
        fprintf(stderr, "Copies of %" PRIu32 " of %u slots go with them; ", cost->held, SLOT_COUNT);
    if (cost->held > 0 && cost->without == 0)
        fputs("each slot keeps a majority of its copies.\n", stderr);
    if (cost->without > 0)
        fprintf(stderr, "%" PRIu32 " slots keep no majority.\n", cost->without);
    if (cost->without > 0 || cost->earlier > 0)
        fputs("What was acknowledged there, and is on no other node, is lost.\n", stderr);
    else if (cost->given_count > 0)
        fputs("Nothing is lost.\n", stderr);
    if (cost->without > 0 && cost->waits)
        fputs("They wait (--on-quorum-loss wait) until accept-loss, after this, lets them go on.\n",
              stderr);
}

/* Whether it is to be done: a person says so, or --yes. Nobody to ask is no. */
static bool is_agreed(const struct cli *cli, const struct cli_options *options, const char *what)
{
    if (!cli_is_given(options, CLI_BIT(YES)) && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
        cli_complain(cli, what, "nobody can be asked here: --yes is wanted");
        return false;
    }
    if (cli_is_agreed(cli, options, "Do it: ", what, ""))
        return true;
    cli_complain(cli, NULL, "nothing was changed");
    return false;
}

/* words  borrowed; what the command is given, or NULL. */
static int operate(struct cli *cli, const struct cli_options *options, enum dht_verb verb,
                   const char *words, const char *about)
{
    struct dht_answer answer;
    const struct dht_op op = {.verb = verb, .key = words};
    if (!cli_is_given(options, CLI_BIT(TIMEOUT)))
        dht_set_timeout(cli->dht, OPERATE_TIMEOUT_MS);
    dht_do(cli->dht, &op, &answer);
    if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(cli_json_result(NULL, &answer));
    else if (answer.result == DHT_OK)
        cli_tell(cli, about, "done:");
    else
        cli_complain_result(cli, about, &answer);
    return (int)cli_exit_of(answer.result);
}

static void cost_close(struct cost *cost)
{
    buf_close(&cost->names);
    buf_close(&cost->words);
}

int cli_forget(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    struct cost cost;
    const struct choice choice = {GIVEN_NAMED, argv + 1, 1};
    int exit_code = look(cli, options, &choice, &cost);
    if (exit_code != CLI_DONE)
        return exit_code;
    if (cost.given_count == 0) {
        cli_complain(cli, argv[1], "no member of the cluster has this name");
        exit_code = CLI_NEGATIVE;
    } else {
        tell_cost(&cost);
        fputs("It must be dead for good: if it still runs, it has to be started anew.\n", stderr);
        if (is_agreed(cli, options, "forget"))
            exit_code = operate(cli, options, DHT_OP_FORGET, argv[1], "forget");
        else
            exit_code = CLI_NEGATIVE;
    }
    cost_close(&cost);
    return exit_code;
}

/* Whether each of them is a name, and not several or none, as words of one line have to be. */
static bool are_names(const struct cli *cli, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (names[i][0] != '\0' && !strpbrk(names[i], " \t\r\n"))
            continue;
        cli_complain(cli, "accept-loss", "each argument is the name of one member");
        return false;
    }
    return true;
}

/* What is agreed to is what is done: the names that were shown are sent, if they fit a line. */
static int give_up(struct cli *cli, const struct cli_options *options, const struct cost *cost)
{
    bool fits = buf_len(&cost->words) <= WORDS_BYTES_MAX;
    if (!is_agreed(cli, options, "accept-loss"))
        return CLI_NEGATIVE;
    return operate(cli, options, DHT_OP_ACCEPT_LOSS, fits ? cost->words.data : NULL, "accept-loss");
}

int cli_accept_loss(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct cost cost;
    const struct choice choice = {GIVEN_LOST, argv + 1, argc - 1};
    if (!are_names(cli, argc - 1, argv + 1))
        return CLI_USAGE;
    int exit_code = look(cli, options, &choice, &cost);
    if (exit_code != CLI_DONE)
        return exit_code;
    const char *missing = missing_name(&choice, &cost);
    exit_code = CLI_NEGATIVE;
    tell_cost(&cost);
    if (missing) {
        cli_complain(cli, missing, "no member of this name is down: nothing was changed");
    } else if (cost.given_count == 0) {
        cli_complain(cli, NULL, "no member is down");
    } else {
        fputs("Those processes must be off, and stay off until a view without them says so.\n",
              stderr);
        exit_code = give_up(cli, options, &cost);
    }
    cost_close(&cost);
    return exit_code;
}

int cli_form(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct cost cost;
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    if (strchr(cli->servers, ',')) {
        cli_complain(cli, "form", "name the one node that is meant, with --server");
        return CLI_USAGE;
    }
    const struct choice choice = {.given = GIVEN_SILENT};
    int exit_code = look(cli, options, &choice, &cost);
    if (exit_code != CLI_DONE)
        return exit_code;
    tell_cost(&cost);
    fprintf(stderr,
            "%s and the nodes that answer it become the whole cluster. No other part of it may "
            "live:\nwhere one does, two clusters go on with the same keys.\n",
            cli->servers);
    if (is_agreed(cli, options, "form"))
        exit_code = operate(cli, options, DHT_OP_FORM, NULL, "form");
    else
        exit_code = CLI_NEGATIVE;
    cost_close(&cost);
    return exit_code;
}
