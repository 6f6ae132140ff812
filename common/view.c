#include "common/view.h"

#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>

const char *member_role_word(enum member_role role)
{
    static const char *const words[] = {
#define MEMBER_ROLE_WORD(name, word) [ROLE_##name] = (word),
        MEMBER_ROLE_LIST(MEMBER_ROLE_WORD)
#undef MEMBER_ROLE_WORD
    };
    CHECK(role < ROLE_COUNT);
    return words[role];
}

const char *member_standing_word(enum member_standing standing)
{
    static const char *const words[] = {
#define MEMBER_STANDING_WORD(name, word) [STANDING_##name] = (word),
        MEMBER_STANDING_LIST(MEMBER_STANDING_WORD)
#undef MEMBER_STANDING_WORD
    };
    CHECK(standing < STANDING_COUNT);
    return words[standing];
}

bool member_role_parse(struct span word, enum member_role *role)
{
    for (uint32_t i = 0; i < ROLE_COUNT; i++) {
        *role = (enum member_role)i;
        if (span_equal(word, span_of_string(member_role_word(*role))))
            return true;
    }
    return false;
}

bool member_standing_parse(struct span word, enum member_standing *standing)
{
    for (uint32_t i = 0; i < STANDING_COUNT; i++) {
        *standing = (enum member_standing)i;
        if (span_equal(word, span_of_string(member_standing_word(*standing))))
            return true;
    }
    return false;
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int member_compare(const struct member *a, const struct member *b)
{
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = compare_u64(a->boot, b->boot);
    return order != 0 ? order : compare_u64(a->generation, b->generation);
}

/* The first full member from index on; member_count if there is none. */
static uint32_t next_full(const struct view *view, uint32_t index)
{
    while (index < view->member_count && !member_is_full(&view->members[index]))
        index++;
    return index;
}

bool view_equal(const struct view *a, const struct view *b)
{
    uint32_t i = next_full(a, 0), j = next_full(b, 0);
    while (i < a->member_count && j < b->member_count) {
        const struct member *one = &a->members[i], *other = &b->members[j];
        if (strcmp(one->name, other->name) != 0 || one->weight != other->weight ||
            member_is_up(one) != member_is_up(other))
            return false;
        i = next_full(a, i + 1);
        j = next_full(b, j + 1);
    }
    return i == a->member_count && j == b->member_count;
}

/* --- finding ---------------------------------------------------------------------------------- */

static int compare_name(const struct member *member, struct span name)
{
    size_t len = strlen(member->name);
    int order = memcmp(member->name, name.data, len < name.len ? len : name.len);
    return order != 0 ? order : (len > name.len) - (len < name.len);
}

/* The first member whose name is not below. */
static uint32_t first_named(const struct view *view, struct span name)
{
    uint32_t low = 0, high = view->member_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_name(&view->members[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t view_find(const struct view *view, struct span name, uint64_t generation)
{
    uint32_t i = first_named(view, name);
    for (; i < view->member_count && compare_name(&view->members[i], name) == 0; i++)
        if (view->members[i].generation == generation)
            return i;
    return VIEW_NOBODY;
}

uint32_t view_find_full(const struct view *view, struct span name)
{
    uint32_t i = first_named(view, name);
    for (; i < view->member_count && compare_name(&view->members[i], name) == 0; i++)
        if (member_is_full(&view->members[i]))
            return i;
    return VIEW_NOBODY;
}

/* --- making ----------------------------------------------------------------------------------- */

void view_close(struct view *view)
{
    free(view->members);
    *view = (struct view){0};
}

/* Room for one member more than there are. */
static struct member *new_members(uint32_t count)
{
    struct member *members = calloc((size_t)count + 1, sizeof(*members));
    CHECK(members != NULL);
    return members;
}

void view_copy(const struct view *view, struct view *out)
{
    *out = *view;
    out->members = new_members(view->member_count);
    if (view->member_count > 0)
        memcpy(out->members, view->members, view->member_count * sizeof(*out->members));
}

void view_add(struct view *view, const struct member *member)
{
    CHECK(view->member_count < VIEW_MEMBERS_MAX);
    CHECK(view_find(view, span_of_string(member->name), member->generation) == VIEW_NOBODY);
    uint32_t at = first_named(view, span_of_string(member->name));
    while (at < view->member_count && member_compare(&view->members[at], member) < 0)
        at++;
    view->members = realloc(view->members, ((size_t)view->member_count + 2) * sizeof(*member));
    CHECK(view->members != NULL);
    memmove(view->members + at + 1, view->members + at,
            (view->member_count - at) * sizeof(*member));
    view->members[at] = *member;
    view->member_count++;
}

void view_take_out(struct view *view, uint32_t index)
{
    CHECK(index < view->member_count);
    view->member_count--;
    memmove(view->members + index, view->members + index + 1,
            (view->member_count - index) * sizeof(*view->members));
}

/* --- voters ----------------------------------------------------------------------------------- */

static bool may_vote(const struct member *member)
{
    return (member->role == ROLE_FULL || member->role == ROLE_LEAVER) &&
           member->standing != STANDING_FORGOTTEN;
}

/* Whether another member of its name has its seat and stands behind it: then that one votes with
 * it. The lists are short: members of one name stand side by side. */
static bool has_later_twin(const struct view *view, uint32_t index)
{
    const struct member *member = &view->members[index];
    for (uint32_t i = index + 1;
         i < view->member_count && strcmp(view->members[i].name, member->name) == 0; i++)
        if (view->members[i].seat == member->seat && may_vote(&view->members[i]))
            return true;
    return false;
}

/* Whether a goes before b where voters are many. */
static bool goes_before(const struct member *a, const struct member *b)
{
    bool a_up = member_is_up(a), b_up = member_is_up(b);
    if (a_up != b_up)
        return a_up;
    if (a_up && a->up_since != b->up_since)
        return a->up_since < b->up_since;
    return member_compare(a, b) < 0;
}

void view_elect(struct view *view)
{
    struct member *chosen[VIEW_VOTERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++) {
        struct member *member = &view->members[i];
        member->is_voter = false;
        if (!may_vote(member) || has_later_twin(view, i))
            continue;
        uint32_t at = count;
        while (at > 0 && goes_before(member, chosen[at - 1]))
            at--;
        if (at == VIEW_VOTERS_MAX)
            continue;
        uint32_t kept = count < VIEW_VOTERS_MAX ? count : VIEW_VOTERS_MAX - 1;
        memmove(chosen + at + 1, chosen + at, (kept - at) * sizeof(struct member *));
        chosen[at] = member;
        count = kept + 1;
    }
    for (uint32_t i = 0; i < count; i++)
        chosen[i]->is_voter = true;
}

uint32_t view_voter_count(const struct view *view)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        count += view->members[i].is_voter;
    return count;
}

/* --- what a cluster may have ------------------------------------------------------------------ */

static bool is_member_valid(const struct member *member)
{
    return member->weight >= 1 && member->weight <= VIEW_WEIGHT_MAX && member->boot >= 1 &&
           member->seat != 0 && member->role < ROLE_COUNT && member->standing < STANDING_COUNT &&
           (member->standing != STANDING_FORGOTTEN || member->role == ROLE_LEAVER) &&
           (!member->is_voter || may_vote(member)) &&
           (member->up_since > 0) == member_is_up(member) && member->up_since <= VIEW_EPOCH_MAX;
}

/* Whether a member goes together with those before it: in order, no generation of the name twice,
 * none full or voting with its seat that is so already. */
static bool fits_before(const struct view *view, uint32_t index)
{
    const struct member *member = &view->members[index];
    if (index > 0 && member_compare(&view->members[index - 1], member) >= 0)
        return false;
    for (uint32_t i = index; i > 0 && strcmp(view->members[i - 1].name, member->name) == 0; i--) {
        const struct member *other = &view->members[i - 1];
        if (other->generation == member->generation ||
            (member_is_full(other) && member_is_full(member)) ||
            (other->is_voter && member->is_voter && other->seat == member->seat))
            return false;
    }
    return true;
}

bool view_is_valid(const struct view *view)
{
    uint32_t full_count = 0, voter_count = view_voter_count(view);
    if (view->epoch < 1 || view->epoch > VIEW_EPOCH_MAX || view->base < 1 ||
        view->base > view->epoch || view->cluster_id == 0 || view->copies != VIEW_COPIES ||
        view->strategy[0] == '\0' || view->member_count > VIEW_MEMBERS_MAX)
        return false;
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (!is_member_valid(&view->members[i]) || !fits_before(view, i))
            return false;
        full_count += member_is_full(&view->members[i]);
    }
    return full_count >= 1 && voter_count >= 1 && voter_count <= VIEW_VOTERS_MAX;
}

/* --- the next placement ----------------------------------------------------------------------- */

/* Whether a later generation of its name is a joiner. */
static bool has_successor(const struct view *view, uint32_t index)
{
    const struct member *member = &view->members[index];
    for (uint32_t i = index + 1;
         i < view->member_count && strcmp(view->members[i].name, member->name) == 0; i++)
        if (view->members[i].role == ROLE_JOINER)
            return true;
    return false;
}

static enum member_role next_role(const struct view *view, uint32_t index)
{
    const struct member *member = &view->members[index];
    if (member->role == ROLE_LEAVER || member->is_leaving ||
        member->standing == STANDING_REPLACED ||
        (member->standing == STANDING_SUPERSEDED &&
         (member->role == ROLE_JOINER || has_successor(view, index))))
        return ROLE_LEAVER;
    return ROLE_FULL;
}

bool view_next(const struct view *view, struct view *out)
{
    bool differs = false, has_full = false;
    for (uint32_t i = 0; i < view->member_count; i++) {
        enum member_role role = next_role(view, i);
        differs |= member_is_full(&view->members[i]) != (role == ROLE_FULL);
        has_full |= role == ROLE_FULL;
    }
    if (!differs || !has_full) /* a placement without anybody is none */
        return false;
    if (out) {
        view_copy(view, out);
        for (uint32_t i = 0; i < view->member_count; i++)
            out->members[i].role = next_role(view, i);
    }
    return true;
}

/* --- text: writing ---------------------------------------------------------------------------- */

static void format_member(const struct member *member, struct buf *out)
{
    buf_printf(
        out, "%s %016" PRIx64 " %" PRIu64 " %016" PRIx64 " %" PRIu32 " %s %s %s%s%s %" PRIu32 "\n",
        member->name, member->generation, member->boot, member->seat, member->weight,
        member_role_word(member->role), member_standing_word(member->standing),
        member->is_leaving ? "l" : "", member->is_voter ? "v" : "",
        !member->is_leaving && !member->is_voter ? "-" : "", member->up_since);
}

static bool is_same(const struct member *a, const struct member *b)
{
    return a->boot == b->boot && a->seat == b->seat && a->weight == b->weight &&
           a->role == b->role && a->standing == b->standing && a->is_leaving == b->is_leaving &&
           a->is_voter == b->is_voter && a->up_since == b->up_since;
}

static uint32_t find_member(const struct view *view, const struct member *member)
{
    return view_find(view, span_of_string(member->name), member->generation);
}

/* Appends what differs. Returns the number of lines. */
static uint32_t format_changes(const struct view *view, const struct view *before, struct buf *out)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < before->member_count; i++) {
        if (find_member(view, &before->members[i]) != VIEW_NOBODY)
            continue;
        buf_printf(out, "- %s %016" PRIx64 "\n", before->members[i].name,
                   before->members[i].generation);
        lines++;
    }
    for (uint32_t i = 0; i < view->member_count; i++) {
        uint32_t at = find_member(before, &view->members[i]);
        if (at != VIEW_NOBODY && is_same(&before->members[at], &view->members[i]))
            continue;
        format_member(&view->members[i], out);
        lines++;
    }
    return lines;
}

void view_format(const struct view *view, const struct view *before, struct buf *out)
{
    CHECK(view_is_valid(view));
    if (before && before->epoch + 1 == view->epoch && before->cluster_id == view->cluster_id) {
        struct buf lines = {0};
        uint32_t count = format_changes(view, before, &lines);
        buf_printf(out, "next %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", view->epoch, view->base,
                   count);
        buf_append(out, buf_span(&lines).data, buf_len(&lines));
        buf_close(&lines);
        return;
    }
    buf_printf(out, "view %" PRIu32 " %" PRIu32 " %016" PRIx64 " %" PRIu32 " %s %" PRIu32 "\n",
               view->epoch, view->base, view->cluster_id, view->copies, view->strategy,
               view->member_count);
    for (uint32_t i = 0; i < view->member_count; i++)
        format_member(&view->members[i], out);
}

/* --- text: reading ---------------------------------------------------------------------------- */

/* Takes a line off text, without its LF. Returns false if no line ends there. */
static bool take_line(struct span *text, struct span *line)
{
    const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    if (!end)
        return false;
    *line = span_of(text->data, (size_t)(end - text->data));
    *text = span_of(end + 1, text->len - line->len - 1);
    return true;
}

/* Takes a word; false if there is none, or more than one space before the next. */
static bool take_word(struct span *line, struct span *word)
{
    *word = span_take_word(line);
    if (word->len == 0)
        return false;
    const char *next = word->data + word->len;
    return line->len == 0 ? line->data == next : line->data == next + 1;
}

static bool take_u64(struct span *line, uint64_t max, uint64_t *value)
{
    struct span word;
    return take_word(line, &word) && number_parse_decimal(word, max, value);
}

static bool take_u32(struct span *line, uint32_t max, uint32_t *value)
{
    uint64_t wide;
    if (!take_u64(line, max, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool take_hex(struct span *line, uint64_t *value)
{
    struct span word;
    return take_word(line, &word) && number_parse_hex(word, HEX64_DIGITS, value);
}

/* A name as address_format writes it. */
static bool take_name(struct span *line, char name[ADDRESS_TEXT_BYTES_MAX])
{
    struct span word;
    struct address address;
    const char *why;
    if (!take_word(line, &word) || address_parse(word, &address, &why) != ERR_OK)
        return false;
    address_format(&address, name);
    return span_equal(span_of_string(name), word);
}

static bool take_role(struct span *line, enum member_role *role)
{
    struct span word;
    return take_word(line, &word) && member_role_parse(word, role);
}

static bool take_standing(struct span *line, enum member_standing *standing)
{
    struct span word;
    return take_word(line, &word) && member_standing_parse(word, standing);
}

static bool take_flags(struct span *line, struct member *member)
{
    struct span word;
    if (!take_word(line, &word))
        return false;
    member->is_leaving = word.data[0] == 'l';
    member->is_voter = word.data[word.len - 1] == 'v';
    size_t letters = (size_t)member->is_leaving + member->is_voter;
    return letters > 0 ? word.len == letters : span_equal(word, SPAN_LITERAL("-"));
}

static bool parse_member(struct span line, struct member *member)
{
    *member = (struct member){0};
    return take_name(&line, member->name) && take_hex(&line, &member->generation) &&
           take_u64(&line, UINT64_MAX, &member->boot) && take_hex(&line, &member->seat) &&
           take_u32(&line, VIEW_WEIGHT_MAX, &member->weight) && take_role(&line, &member->role) &&
           take_standing(&line, &member->standing) && take_flags(&line, member) &&
           take_u32(&line, VIEW_EPOCH_MAX, &member->up_since) && line.len == 0;
}

static bool take_strategy(struct span *line, char strategy[VIEW_STRATEGY_BYTES_MAX])
{
    struct span word;
    if (!take_word(line, &word) || word.len >= VIEW_STRATEGY_BYTES_MAX ||
        memchr(word.data, '\0', word.len))
        return false;
    memcpy(strategy, word.data, word.len);
    strategy[word.len] = '\0';
    return true;
}

/* Members as they come; view_is_valid looks at them together. A count is believed only as far as
 * there are lines. */
static enum err parse_whole(struct span line, struct span *text, struct view *view)
{
    uint32_t count;
    if (!take_u32(&line, VIEW_EPOCH_MAX, &view->epoch) ||
        !take_u32(&line, VIEW_EPOCH_MAX, &view->base) || !take_hex(&line, &view->cluster_id) ||
        !take_u32(&line, UINT32_MAX, &view->copies) || !take_strategy(&line, view->strategy) ||
        !take_u32(&line, VIEW_MEMBERS_MAX, &count) || line.len > 0 || count > text->len)
        return ERR_SYNTAX;
    view->members = new_members(count);
    for (; view->member_count < count; view->member_count++) {
        struct span member;
        if (!take_line(text, &member) || !parse_member(member, &view->members[view->member_count]))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* "- name generation", the dash taken already. */
static bool parse_out(struct span line, struct view *view)
{
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    if (!take_name(&line, name) || !take_hex(&line, &generation) || line.len > 0)
        return false;
    uint32_t at = view_find(view, span_of_string(name), generation);
    if (at == VIEW_NOBODY)
        return false;
    view_take_out(view, at);
    return true;
}

static bool parse_change(struct span line, struct view *view)
{
    struct member member;
    if (line.len >= 2 && memcmp(line.data, "- ", 2) == 0)
        return parse_out(span_of(line.data + 2, line.len - 2), view);
    if (!parse_member(line, &member))
        return false;
    uint32_t at = find_member(view, &member);
    if (at != VIEW_NOBODY)
        view_take_out(view, at);
    if (view->member_count == VIEW_MEMBERS_MAX)
        return false;
    view_add(view, &member);
    return true;
}

static enum err parse_next(struct span line, struct span *text, const struct view *before,
                           struct view *view)
{
    uint32_t epoch, base, count;
    if (!take_u32(&line, VIEW_EPOCH_MAX, &epoch) || !take_u32(&line, VIEW_EPOCH_MAX, &base) ||
        !take_u32(&line, 2 * VIEW_MEMBERS_MAX, &count) || line.len > 0)
        return ERR_SYNTAX;
    if (!before || before->epoch + 1 != epoch)
        return ERR_NOT_FOUND;
    view_copy(before, view);
    view->epoch = epoch;
    view->base = base;
    for (; count > 0; count--)
        if (!take_line(text, &line) || !parse_change(line, view))
            return ERR_SYNTAX;
    return ERR_OK;
}

enum err view_parse(struct span *text, const struct view *before, struct view *view)
{
    struct span line, word;
    enum err err = ERR_SYNTAX;
    *view = (struct view){0};
    if (!take_line(text, &line) || !take_word(&line, &word))
        return ERR_SYNTAX;
    if (span_equal(word, SPAN_LITERAL("view")))
        err = parse_whole(line, text, view);
    else if (span_equal(word, SPAN_LITERAL("next")))
        err = parse_next(line, text, before, view);
    if (!err && !view_is_valid(view))
        err = ERR_SYNTAX;
    if (err)
        view_close(view);
    return err;
}
