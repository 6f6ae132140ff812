/* What kvcli status makes of what the nodes say of themselves. */
#include "client/cli_roll.h"
#include "client/cli_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 16384

struct scene {
    struct status_member members[3];
    struct roll_row rows[3];
    struct roll roll;
};

/* Three nodes, all well. */
static void scene_init(struct scene *scene)
{
    static const char *const names[] = {"a:1", "b:1", "c:1"};
    *scene = (struct scene){0};
    for (int i = 0; i < 3; i++) {
        struct status_member *member = &scene->members[i];
        snprintf(member->name, sizeof(member->name), "%s", names[i]);
        snprintf(member->role, sizeof(member->role), "full");
        snprintf(member->standing, sizeof(member->standing), "up");
        snprintf(member->state, sizeof(member->state), "ALIVE");
        member->weight = 1;
        scene->rows[i].member = member;
        scene->rows[i].is_heard = true;
        scene->rows[i].status.epoch = 7;
        scene->rows[i].status.slots_led = i == 0 ? 5462 : 5461;
        scene->rows[i].status.slots_whole = scene->rows[i].status.slots_led;
    }
    scene->roll = (struct roll){.first = {.epoch = 7,
                                          .base = 7,
                                          .copies = 3,
                                          .cluster_id = 1,
                                          .member_count = 3,
                                          .members = scene->members},
                                .rows = scene->rows};
}

static void all_is_well_if_every_slot_is_whole_and_every_node_is_heard(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    roll_judge(&scene.roll);
    assert_int_equal(scene.roll.whole, SLOTS);
    assert_int_equal(scene.roll.unavailable, 0);
    assert_true(scene.roll.is_well);
    uint32_t leads = 0;
    for (int i = 0; i < 3; i++)
        leads += scene.rows[i].leads;
    assert_int_equal(leads, SLOTS);
}

static void one_slot_that_is_not_whole_is_not_well(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene.rows[1].status.slots_whole--;
    scene.rows[1].status.slots_under_replicated++;
    roll_judge(&scene.roll);
    assert_int_equal(scene.roll.under_replicated, 1);
    assert_int_equal(scene.roll.unavailable, 0);
    assert_false(scene.roll.is_well);
    assert_true(cli_share(scene.roll.whole) < 100);
}

/* Of what nobody tells, nothing good is assumed; nor of what another view said. */
static void slots_that_nobody_answers_for_are_unavailable(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene.rows[2].is_heard = false;
    roll_judge(&scene.roll);
    assert_int_equal(scene.roll.unavailable, 5461);
    assert_false(scene.roll.is_well);
    scene_init(&scene);
    scene.rows[2].status.epoch = 6;
    roll_judge(&scene.roll);
    assert_int_equal(scene.roll.unavailable, 5461);
    assert_false(scene.roll.is_well);
}

static void a_member_that_is_down_is_not_well(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    snprintf(scene.members[2].standing, sizeof(scene.members[2].standing), "down");
    roll_judge(&scene.roll);
    assert_int_equal(scene.rows[2].leads, 0);
    assert_false(scene.roll.is_well);
}

static void who_is_on_its_way_out_does_not_count(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    snprintf(scene.members[2].role, sizeof(scene.members[2].role), "leaver");
    snprintf(scene.members[2].standing, sizeof(scene.members[2].standing), "down");
    scene.rows[2].is_heard = false;
    scene.rows[0].status.slots_whole = SLOTS;
    scene.rows[1].status.slots_whole = 0;
    roll_judge(&scene.roll);
    assert_int_equal(scene.roll.full_count, 2);
    assert_true(scene.roll.is_well);
}

static void without_a_view_nothing_is_well(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene.roll.first.epoch = 0;
    scene.roll.first.member_count = 0;
    roll_judge(&scene.roll);
    assert_false(scene.roll.is_well);
}

static void two_letters_say_how_a_member_is(void **state)
{
    (void)state;
    static const struct {
        const char *role, *standing, *state;
        bool is_leaving, is_heard;
        const char *letters;
    } cases[] = {
        {"full", "up", "ALIVE", false, true, "UN"},
        {"full", "up", "SUSPECT", false, true, "SN"},
        {"full", "up", "ALIVE", false, false, "?N"},
        {"full", "down", "DEAD", false, false, "DN"},
        {"full", "down", "ALIVE", false, true, "DN"},
        {"full", "stopping", "ALIVE", false, true, "DN"},
        {"full", "replaced", "", false, false, "DX"},
        {"full", "superseded", "ALIVE", false, false, "DX"},
        {"full", "up", "ALIVE", true, true, "UL"},
        {"joiner", "up", "ALIVE", false, true, "UJ"},
        {"leaver", "up", "ALIVE", false, true, "UL"},
        {"leaver", "forgotten", "", false, false, "DX"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct status_member member = {.is_leaving = cases[i].is_leaving};
        struct roll_row row = {.member = &member, .is_heard = cases[i].is_heard};
        char letters[3];
        snprintf(member.role, sizeof(member.role), "%s", cases[i].role);
        snprintf(member.standing, sizeof(member.standing), "%s", cases[i].standing);
        snprintf(member.state, sizeof(member.state), "%s", cases[i].state);
        roll_letters(&row, letters);
        assert_string_equal(letters, cases[i].letters);
    }
}

/* The notes, by what they begin with. */
static void assert_notes(const struct scene *scene, const char *const *begins, size_t count)
{
    char text[CLI_WHY_BYTES_MAX];
    uint32_t number = 0;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(roll_note(&scene->roll, &number, text));
        if (strncmp(text, begins[i], strlen(begins[i])) != 0)
            fail_msg("%s", text);
    }
    assert_null(roll_note(&scene->roll, &number, text));
}

static void what_a_person_should_know_is_noted(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    roll_judge(&scene.roll);
    assert_notes(&scene, NULL, 0);
    scene.roll.full_count = 1;
    assert_notes(&scene, (const char *const[]){"one node:"}, 1);
    scene.roll.full_count = 2;
    assert_notes(&scene, (const char *const[]){"two nodes:"}, 1);
    scene_init(&scene);
    snprintf(scene.members[2].standing, sizeof(scene.members[2].standing), "down");
    scene.rows[0].status.losses = 3;
    scene.rows[1].status.tombstones = 4;
    scene.roll.first.epoch = 8000;
    roll_judge(&scene.roll);
    assert_notes(
        &scene,
        (const char *const[]){"3 times a slot has gone on", "4 tombstones are kept", "epoch 8000:"},
        3);
}

static void slots_that_wait_for_the_lost_are_noted(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    scene.rows[0].status.slots_whole = 0;
    scene.roll.first.lost_count = 1;
    snprintf(scene.roll.first.on_loss, sizeof(scene.roll.first.on_loss), "recover");
    roll_judge(&scene.roll);
    assert_true(scene.roll.unavailable > 0);
    assert_notes(&scene, NULL, 0);
    snprintf(scene.roll.first.on_loss, sizeof(scene.roll.first.on_loss), "wait");
    assert_notes(&scene, (const char *const[]){"slots wait for members that are down"}, 1);
}

static void sizes_versions_and_shares_are_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0"},
                 {1023, "1023"},
                 {1024, "1.0K"},
                 {1536, "1.5K"},
                 {1048575, "1023.9K"},
                 {1048576, "1.0M"},
                 {5ull << 30, "5.0G"},
                 {UINT64_MAX, "15.9E"}};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char text[CLI_SIZE_BYTES_MAX];
        cli_size_format(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].text);
    }
    char text[CLI_VERSION_BYTES_MAX];
    cli_version_format(0, text);
    assert_string_equal(text, "-");
    cli_version_format(7ull << 40 | 12, text);
    assert_string_equal(text, "7:12");
    cli_version_format(INT64_MAX, text);
    assert_string_equal(text, "8388607:1099511627775");
    assert_true(cli_share(SLOTS) == 100);
    assert_true(cli_share(SLOTS - 1) == 99.99);
    assert_true(cli_share(0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well_if_every_slot_is_whole_and_every_node_is_heard),
        cmocka_unit_test(one_slot_that_is_not_whole_is_not_well),
        cmocka_unit_test(slots_that_nobody_answers_for_are_unavailable),
        cmocka_unit_test(a_member_that_is_down_is_not_well),
        cmocka_unit_test(who_is_on_its_way_out_does_not_count),
        cmocka_unit_test(without_a_view_nothing_is_well),
        cmocka_unit_test(two_letters_say_how_a_member_is),
        cmocka_unit_test(what_a_person_should_know_is_noted),
        cmocka_unit_test(slots_that_wait_for_the_lost_are_noted),
        cmocka_unit_test(sizes_versions_and_shares_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
