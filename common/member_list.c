#include "common/member_list.h"

#include "common/check.h"
#include "common/number.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of 64 bits that people compare rather than count are hexadecimal digits: JSON's readers
 * keep 53 bits. */
static json_t *hex_new(uint64_t value)
{
    char digits[HEX64_DIGITS];
    number_format_hex(digits, value, HEX64_DIGITS);
    return json_stringn(digits, HEX64_DIGITS);
}

static void set(json_t *object, const char *key, json_t *value)
{
    CHECK(value != NULL);
    CHECK(json_object_set_new(object, key, value) == 0);
}

static json_t *entry_new(const struct member_list_entry *entry)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    set(object, "name", json_string(entry->name));
    set(object, "state", json_string(entry->state));
    if (entry->evidence[0]) {
        set(object, "class", json_string(entry->evidence));
        set(object, "reporters", json_integer(entry->reporters));
    }
    set(object, "generation", hex_new(entry->generation));
    set(object, "boot", json_integer((json_int_t)entry->boot));
    set(object, "inc", json_integer(entry->inc));
    set(object, "hb", json_integer((json_int_t)entry->hb));
    set(object, "age_ms", json_integer((json_int_t)entry->age_ms));
    set(object, "weight", json_integer(entry->weight));
    if (entry->role[0]) {
        set(object, "role", json_string(entry->role));
        set(object, "standing", json_string(entry->standing));
    }
    set(object, "on_ring", json_boolean(entry->is_on_ring));
    set(object, "damped", json_boolean(entry->is_damped));
    return object;
}

static json_t *ring_new(const struct member_list *list)
{
    json_t *ring = json_object(), *members = json_array();
    CHECK(ring != NULL && members != NULL);
    for (uint32_t i = 0; i < list->ring.member_count; i++) {
        const struct member *member = &list->ring.members[i];
        json_t *object = json_object();
        CHECK(object != NULL);
        set(object, "name", json_string(member->name));
        set(object, "weight", json_integer(member->weight));
        set(object, "up", json_boolean(member_is_up(member)));
        CHECK(json_array_append_new(members, object) == 0);
    }
    set(ring, "hash", hex_new(list->ring_hash));
    set(ring, "changes", json_integer((json_int_t)list->ring_changes));
    set(ring, "epoch", json_integer(list->ring.epoch));
    set(ring, "members", members);
    return ring;
}

void member_list_format(const struct member_list *list, struct buf *out)
{
    json_t *object = json_object(), *members = json_array();
    CHECK(object != NULL && members != NULL);
    for (uint32_t i = 0; i < list->count; i++)
        CHECK(json_array_append_new(members, entry_new(&list->entries[i])) == 0);
    set(object, "cluster", json_string(list->cluster));
    set(object, "name", json_string(list->name));
    set(object, "version", json_integer((json_int_t)list->version));
    set(object, "viewhash", hex_new(list->viewhash));
    set(object, "isolated", json_boolean(list->is_isolated));
    set(object, "ring", ring_new(list));
    set(object, "members", members);
    char *text = json_dumps(object, JSON_COMPACT);
    CHECK(text != NULL);
    buf_append(out, text, strlen(text));
    free(text);
    json_decref(object);
}

/* --- parsing ---------------------------------------------------------------------------------- */

static bool get_text(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool get_hex(const json_t *object, const char *key, uint64_t *value)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && number_parse_hex(span_of_string(text), HEX64_DIGITS, value);
}

static bool get_number(const json_t *object, const char *key, uint64_t max, uint64_t *value)
{
    const json_t *number = json_object_get(object, key);
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return false;
    *value = (uint64_t)json_integer_value(number);
    return *value <= max;
}

static bool get_u32(const json_t *object, const char *key, uint32_t *value)
{
    uint64_t wide;
    if (!get_number(object, key, UINT32_MAX, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool get_bool(const json_t *object, const char *key, bool *value)
{
    const json_t *boolean = json_object_get(object, key);
    *value = json_is_true(boolean);
    return json_is_boolean(boolean);
}

static bool parse_entry(const json_t *object, struct member_list_entry *entry)
{
    *entry = (struct member_list_entry){0};
    if (json_object_get(object, "role") &&
        (!get_text(object, "role", entry->role, sizeof(entry->role)) ||
         !get_text(object, "standing", entry->standing, sizeof(entry->standing))))
        return false;
    if (json_object_get(object, "class") &&
        (!get_text(object, "class", entry->evidence, sizeof(entry->evidence)) ||
         !get_u32(object, "reporters", &entry->reporters)))
        return false;
    return get_text(object, "name", entry->name, sizeof(entry->name)) &&
           get_text(object, "state", entry->state, sizeof(entry->state)) &&
           get_hex(object, "generation", &entry->generation) &&
           get_number(object, "boot", INT64_MAX, &entry->boot) &&
           get_u32(object, "inc", &entry->inc) && get_number(object, "hb", INT64_MAX, &entry->hb) &&
           get_number(object, "age_ms", INT64_MAX, &entry->age_ms) &&
           get_u32(object, "weight", &entry->weight) &&
           get_bool(object, "on_ring", &entry->is_on_ring) &&
           get_bool(object, "damped", &entry->is_damped);
}

static bool parse_head(const json_t *object, struct member_list *list)
{
    const json_t *ring = json_object_get(object, "ring");
    return get_text(object, "cluster", list->cluster, sizeof(list->cluster)) &&
           get_text(object, "name", list->name, sizeof(list->name)) &&
           get_number(object, "version", INT64_MAX, &list->version) &&
           get_hex(object, "viewhash", &list->viewhash) &&
           get_bool(object, "isolated", &list->is_isolated) &&
           get_u32(ring, "epoch", &list->ring.epoch) && get_hex(ring, "hash", &list->ring_hash) &&
           get_number(ring, "changes", INT64_MAX, &list->ring_changes);
}

static bool parse_place(const json_t *object, struct member *member)
{
    bool is_up;
    if (!get_text(object, "name", member->name, sizeof(member->name)) ||
        !get_u32(object, "weight", &member->weight) || !get_bool(object, "up", &is_up))
        return false;
    member->standing = is_up ? STANDING_UP : STANDING_DOWN;
    return true;
}

static enum err parse_ring(const json_t *members, struct view *ring)
{
    if (!json_is_array(members))
        return ERR_SYNTAX;
    size_t count = json_array_size(members);
    if (count > VIEW_MEMBERS_MAX)
        return ERR_TOO_LARGE;
    ring->members = calloc(count ? count : 1, sizeof(*ring->members));
    CHECK(ring->members != NULL);
    for (; ring->member_count < count; ring->member_count++)
        if (!parse_place(json_array_get(members, ring->member_count),
                         &ring->members[ring->member_count]))
            return ERR_SYNTAX;
    return ERR_OK;
}

static enum err parse_members(const json_t *members, struct member_list *list)
{
    if (!json_is_array(members))
        return ERR_SYNTAX;
    size_t count = json_array_size(members);
    if (count > MEMBER_LIST_MAX)
        return ERR_TOO_LARGE;
    list->entries = calloc(count ? count : 1, sizeof(*list->entries));
    CHECK(list->entries != NULL);
    for (; list->count < count; list->count++)
        if (!parse_entry(json_array_get(members, list->count), &list->entries[list->count]))
            return ERR_SYNTAX;
    return ERR_OK;
}

enum err member_list_parse(struct span json, struct member_list *list)
{
    *list = (struct member_list){0};
    json_t *object = json_loadb(json.data ? json.data : "", json.len, 0, NULL);
    enum err err = ERR_SYNTAX;
    if (parse_head(object, list))
        err = parse_ring(json_object_get(json_object_get(object, "ring"), "members"), &list->ring);
    if (err == ERR_OK)
        err = parse_members(json_object_get(object, "members"), list);
    json_decref(object);
    if (err)
        member_list_close(list);
    return err;
}

void member_list_close(struct member_list *list)
{
    free(list->entries);
    view_close(&list->ring);
    *list = (struct member_list){0};
}
