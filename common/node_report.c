#include "common/node_report.h"

#include "common/check.h"
#include "common/number.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum field_kind { FIELD_TEXT, FIELD_U32, FIELD_U64, FIELD_HEX, FIELD_BOOL };

/* A field of an object, and where its value lies. */
struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    size_t size; /* TEXT: room, with NUL */
};

#define AT(type, member, of_kind)                                                                  \
    FIELD_##of_kind, offsetof(type, member), sizeof(((type *)0)->member)

static const struct field member_fields[] = {
    {"name", AT(struct status_member, name, TEXT)},
    {"generation", AT(struct status_member, generation, HEX)},
    {"boot", AT(struct status_member, boot, U64)},
    {"weight", AT(struct status_member, weight, U32)},
    {"role", AT(struct status_member, role, TEXT)},
    {"standing", AT(struct status_member, standing, TEXT)},
    {"state", AT(struct status_member, state, TEXT)},
    {"leaving", AT(struct status_member, is_leaving, BOOL)},
    {"voter", AT(struct status_member, is_voter, BOOL)},
};

static const struct field lost_fields[] = {
    {"name", AT(struct status_lost, name, TEXT)},
    {"generation", AT(struct status_lost, generation, HEX)},
    {"epoch", AT(struct status_lost, epoch, U32)},
};

static const struct field status_fields[] = {
    {"cluster", AT(struct node_status, cluster, TEXT)},
    {"name", AT(struct node_status, name, TEXT)},
    {"version", AT(struct node_status, version, TEXT)},
    {"awaits", AT(struct node_status, awaits, TEXT)},
    {"on_quorum_loss", AT(struct node_status, on_loss, TEXT)},
    {"cluster_id", AT(struct node_status, cluster_id, HEX)},
    {"generation", AT(struct node_status, generation, HEX)},
    {"boot", AT(struct node_status, boot, U64)},
    {"uptime_s", AT(struct node_status, uptime_s, U64)},
    {"epoch", AT(struct node_status, epoch, U32)},
    {"base", AT(struct node_status, base, U32)},
    {"copies", AT(struct node_status, copies, U32)},
    {"items", AT(struct node_status, items, U64)},
    {"tombstones", AT(struct node_status, tombstones, U64)},
    {"bytes", AT(struct node_status, bytes, U64)},
    {"request_ids", AT(struct node_status, request_ids, U64)},
    {"memory_used", AT(struct node_status, memory_used, U64)},
    {"memory_max", AT(struct node_status, memory_max, U64)},
    {"slots_led", AT(struct node_status, slots_led, U32)},
    {"slots_whole", AT(struct node_status, slots_whole, U32)},
    {"slots_under_replicated", AT(struct node_status, slots_under_replicated, U32)},
    {"slots_unavailable", AT(struct node_status, slots_unavailable, U32)},
    {"slots_full", AT(struct node_status, slots_full, U32)},
    {"losses", AT(struct node_status, losses, U64)},
    {"transfers_in", AT(struct node_status, transfers_in, U64)},
    {"transfers_out", AT(struct node_status, transfers_out, U64)},
    {"items_left", AT(struct node_status, items_left, U64)},
    {"bytes_left", AT(struct node_status, bytes_left, U64)},
    {"eta_ms", AT(struct node_status, eta_ms, U64)},
};

static const struct field transfer_fields[] = {
    {"peer", AT(struct node_transfer, peer, TEXT)},
    {"queued", AT(struct node_transfer, queued, U32)},
    {"sending", AT(struct node_transfer, sending, U32)},
    {"synced", AT(struct node_transfer, synced, U32)},
    {"receiving", AT(struct node_transfer, receiving, U32)},
    {"received", AT(struct node_transfer, received, U32)},
    {"items_sent", AT(struct node_transfer, items_sent, U64)},
    {"bytes_sent", AT(struct node_transfer, bytes_sent, U64)},
    {"items_left", AT(struct node_transfer, items_left, U64)},
    {"bytes_left", AT(struct node_transfer, bytes_left, U64)},
    {"bytes_s", AT(struct node_transfer, bytes_s, U64)},
    {"eta_ms", AT(struct node_transfer, eta_ms, U64)},
};

static const struct field transfers_fields[] = {
    {"name", AT(struct node_transfers, name, TEXT)},
    {"epoch", AT(struct node_transfers, epoch, U32)},
};

static const struct field copy_fields[] = {
    {"name", AT(struct node_copy, name, TEXT)},
    {"generation", AT(struct node_copy, generation, HEX)},
    {"epoch", AT(struct node_copy, epoch, U32)},
    {"slot", AT(struct node_copy, slot, U32)},
    {"role", AT(struct node_copy, role, TEXT)},
    {"phase", AT(struct node_copy, phase, TEXT)},
    {"awaits", AT(struct node_copy, awaits, TEXT)},
    {"state", AT(struct node_copy, state, TEXT)},
    {"version", AT(struct node_copy, version, U64)},
    {"bytes", AT(struct node_copy, bytes, U64)},
    {"act", AT(struct node_copy, act, U32)},
    {"ver", AT(struct node_copy, ver, U64)},
    {"clean", AT(struct node_copy, is_clean, BOOL)},
    {"floor", AT(struct node_copy, floor, U64)},
};

/* ---- writing ---- */

/* Numbers of 64 bits that people compare rather than count are hexadecimal digits: JSON's readers
 * keep 53 bits. One that is not known is null. */
static json_t *value_new(const struct field *field, const char *at)
{
    char digits[HEX64_DIGITS];
    uint64_t number = 0;
    switch (field->kind) {
    case FIELD_TEXT:
        return json_string(at);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_U32:
        return json_integer(*(const uint32_t *)(const void *)at);
    case FIELD_U64:
        memcpy(&number, at, sizeof(number));
        return number == REPORT_UNKNOWN ? json_null() : json_integer((json_int_t)number);
    case FIELD_HEX:
        memcpy(&number, at, sizeof(number));
        number_format_hex(digits, number, HEX64_DIGITS);
        return json_stringn(digits, HEX64_DIGITS);
    }
    CHECK(false);
}

static json_t *object_new(const struct field *fields, size_t count, const void *from)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    for (size_t i = 0; i < count; i++) {
        json_t *value = value_new(&fields[i], (const char *)from + fields[i].offset);
        CHECK(value != NULL);
        CHECK(json_object_set_new(object, fields[i].name, value) == 0);
    }
    return object;
}

/* Puts an array of objects of one kind, size bytes apart, into object. */
static void array_set(json_t *object, const char *name, const struct field *fields,
                      size_t field_count, const void *from, size_t size, uint32_t count)
{
    json_t *array = json_array();
    CHECK(array != NULL);
    for (uint32_t i = 0; i < count; i++)
        CHECK(json_array_append_new(
                  array, object_new(fields, field_count, (const char *)from + size * i)) == 0);
    CHECK(json_object_set_new(object, name, array) == 0);
}

/* Takes object. */
static void append(json_t *object, struct buf *out)
{
    char *text = json_dumps(object, JSON_COMPACT);
    CHECK(text != NULL);
    buf_append(out, text, strlen(text));
    free(text);
    json_decref(object);
}

void node_status_format(const struct node_status *status, struct buf *out)
{
    json_t *object = object_new(status_fields, ARRAY_COUNT(status_fields), status);
    array_set(object, "members", member_fields, ARRAY_COUNT(member_fields), status->members,
              sizeof(*status->members), status->member_count);
    array_set(object, "lost", lost_fields, ARRAY_COUNT(lost_fields), status->lost,
              sizeof(*status->lost), status->lost_count);
    append(object, out);
}

void node_transfers_format(const struct node_transfers *transfers, struct buf *out)
{
    json_t *object = object_new(transfers_fields, ARRAY_COUNT(transfers_fields), transfers);
    array_set(object, "peers", transfer_fields, ARRAY_COUNT(transfer_fields), transfers->peers,
              sizeof(*transfers->peers), transfers->count);
    append(object, out);
}

void node_copy_format(const struct node_copy *copy, struct buf *out)
{
    append(object_new(copy_fields, ARRAY_COUNT(copy_fields), copy), out);
}

/* ---- reading ---- */

static bool number_take(const json_t *value, uint64_t max, uint64_t *number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return *number <= max;
}

static bool text_take(const json_t *value, char *out, size_t size)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool value_take(const struct field *field, const json_t *value, char *at)
{
    uint64_t number = REPORT_UNKNOWN;
    const char *text = json_string_value(value);
    switch (field->kind) {
    case FIELD_TEXT:
        return text_take(value, at, field->size);
    case FIELD_BOOL:
        *(bool *)at = json_is_true(value);
        return json_is_boolean(value);
    case FIELD_U32:
        if (!number_take(value, UINT32_MAX, &number))
            return false;
        *(uint32_t *)(void *)at = (uint32_t)number;
        return true;
    case FIELD_U64:
        if (!json_is_null(value) && !number_take(value, INT64_MAX, &number))
            return false;
        memcpy(at, &number, sizeof(number));
        return true;
    case FIELD_HEX:
        if (!text || !number_parse_hex(span_of_string(text), HEX64_DIGITS, &number))
            return false;
        memcpy(at, &number, sizeof(number));
        return true;
    }
    CHECK(false);
}

/* Every field must be there; others are passed over, for a later version to have. */
static bool object_take(const json_t *object, const struct field *fields, size_t count, void *to)
{
    for (size_t i = 0; i < count; i++)
        if (!value_take(&fields[i], json_object_get(object, fields[i].name),
                        (char *)to + fields[i].offset))
            return false;
    return true;
}

/* Reads an array of objects of one kind. entries: out, gives, also on errors. */
static enum err array_take(const json_t *array, const struct field *fields, size_t field_count,
                           size_t size, void **entries, uint32_t *count)
{
    size_t length = json_array_size(array);
    if (!json_is_array(array))
        return ERR_SYNTAX;
    if (length > MEMBER_LIST_MAX)
        return ERR_TOO_LARGE;
    *entries = calloc(length ? length : 1, size);
    CHECK(*entries != NULL);
    for (; *count < length; (*count)++)
        if (!object_take(json_array_get(array, *count), fields, field_count,
                         (char *)*entries + size * *count))
            return ERR_SYNTAX;
    return ERR_OK;
}

static json_t *load(struct span json)
{
    return json_loadb(json.data ? json.data : "", json.len, 0, NULL);
}

enum err node_status_parse(struct span json, struct node_status *status)
{
    *status = (struct node_status){0};
    json_t *object = load(json);
    void *members = NULL, *lost = NULL;
    enum err err = ERR_SYNTAX;
    if (object_take(object, status_fields, ARRAY_COUNT(status_fields), status))
        err = array_take(json_object_get(object, "members"), member_fields,
                         ARRAY_COUNT(member_fields), sizeof(*status->members), &members,
                         &status->member_count);
    if (err == ERR_OK)
        err = array_take(json_object_get(object, "lost"), lost_fields, ARRAY_COUNT(lost_fields),
                         sizeof(*status->lost), &lost, &status->lost_count);
    status->members = members;
    status->lost = lost;
    json_decref(object);
    if (err != ERR_OK)
        node_status_close(status);
    return err;
}

enum err node_transfers_parse(struct span json, struct node_transfers *transfers)
{
    *transfers = (struct node_transfers){0};
    json_t *object = load(json);
    void *peers = NULL;
    enum err err = ERR_SYNTAX;
    if (object_take(object, transfers_fields, ARRAY_COUNT(transfers_fields), transfers))
        err = array_take(json_object_get(object, "peers"), transfer_fields,
                         ARRAY_COUNT(transfer_fields), sizeof(*transfers->peers), &peers,
                         &transfers->count);
    transfers->peers = peers;
    json_decref(object);
    if (err != ERR_OK)
        node_transfers_close(transfers);
    return err;
}

enum err node_copy_parse(struct span json, struct node_copy *copy)
{
    *copy = (struct node_copy){0};
    json_t *object = load(json);
    bool is_good = object_take(object, copy_fields, ARRAY_COUNT(copy_fields), copy);
    json_decref(object);
    return is_good ? ERR_OK : ERR_SYNTAX;
}

void node_status_close(struct node_status *status)
{
    free(status->members);
    free(status->lost);
    *status = (struct node_status){0};
}

void node_transfers_close(struct node_transfers *transfers)
{
    free(transfers->peers);
    *transfers = (struct node_transfers){0};
}

/* ---- the view ---- */

static bool member_take(const struct status_member *from, struct member *member)
{
    const char *why;
    struct address address;
    if (address_parse(span_of_string(from->name), &address, &why) != ERR_OK || from->weight < 1 ||
        from->weight > VIEW_WEIGHT_MAX ||
        !member_role_parse(span_of_string(from->role), &member->role) ||
        !member_standing_parse(span_of_string(from->standing), &member->standing))
        return false;
    address_format(&address, member->name);
    member->generation = from->generation;
    member->boot = from->boot;
    member->weight = from->weight;
    member->is_leaving = from->is_leaving;
    member->is_voter = from->is_voter;
    return strcmp(member->name, from->name) == 0;
}

enum err node_status_view(const struct node_status *status, struct view *view)
{
    *view = (struct view){.epoch = status->epoch,
                          .base = status->base,
                          .cluster_id = status->cluster_id,
                          .copies = status->copies};
    if (status->epoch == 0 || status->member_count == 0)
        return ERR_NOT_FOUND;
    if (status->member_count > VIEW_MEMBERS_MAX)
        return ERR_SYNTAX;
    view->members = calloc(status->member_count, sizeof(*view->members));
    CHECK(view->members != NULL);
    bool is_good = true;
    for (uint32_t i = 0; i < status->member_count && is_good; i++) {
        struct member *member = &view->members[view->member_count++];
        is_good = member_take(&status->members[i], member) &&
                  (i == 0 || member_compare(member - 1, member) < 0);
    }
    if (is_good)
        return ERR_OK;
    view_close(view);
    return ERR_SYNTAX;
}
