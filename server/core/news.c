#include "server/core/news.h"

#include "common/address.h"
#include "common/check.h"
#include "common/number.h"
#include "common/view.h"

#define NAME_BYTES_MAX (ADDRESS_TEXT_BYTES_MAX - 1)
#define TAG_DIGITS     4u

/* The longest line has the longest word, two names and every number at its longest. */
_Static_assert(sizeof("REMOVED") + 2 * (NAME_BYTES_MAX + 1) + 5 * (DECIMAL_BYTES_MAX + 1) +
                       (HEX64_DIGITS + 1) + 3 * (10 + 1) + sizeof("stalled") + 2 <=
                   NEWS_LINE_BYTES_MAX,
               "every line fits");

static const struct span state_words[] = {
#define MEMBER_STATE_WORD(name, rank) [MEMBER_##name] = {#name, sizeof(#name) - 1},
    MEMBER_STATE_LIST(MEMBER_STATE_WORD)
#undef MEMBER_STATE_WORD
};

const char *member_state_word(enum member_state state)
{
    CHECK(state < MEMBER_STATE_COUNT);
    return state_words[state].data;
}

static bool has_evidence(enum member_state state)
{
    return state == MEMBER_SUSPECT || state == MEMBER_DEAD;
}

/* Cuts the next line off body, gives it without its LF. */
static bool take_line(struct span *body, struct span *line)
{
    const char *end = memchr(body->data, '\n', body->len);
    if (!end || end - body->data >= (ptrdiff_t)NEWS_LINE_BYTES_MAX)
        return false;
    *line = span_of(body->data, (size_t)(end - body->data));
    *body = span_of(end + 1, body->len - line->len - 1);
    return true;
}

/* Fields are separated by one space each. A missing one is empty, which no type of field allows. */
static struct span take_field(struct span *line)
{
    const char *space = line->len ? memchr(line->data, ' ', line->len) : NULL;
    struct span field = span_of(line->data, space ? (size_t)(space - line->data) : line->len);
    size_t taken = field.len + (space != NULL);
    *line = span_of(line->data + taken, line->len - taken);
    if (space && line->len == 0)
        *line = SPAN_LITERAL("\n"); /* a space at the end: more than there may be */
    return field;
}

static bool take_number(struct span *line, uint64_t lowest, uint64_t highest, uint64_t *value)
{
    return number_parse_decimal(take_field(line), highest, value) && *value >= lowest;
}

static bool take_u32(struct span *line, uint32_t lowest, uint32_t highest, uint32_t *value)
{
    uint64_t wide;
    if (!take_number(line, lowest, highest, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

/* A name is host:port in its one normal form: two spellings would be two members. */
static bool take_name(struct span *line, struct span *name)
{
    struct address address;
    const char *why;
    char normal[ADDRESS_TEXT_BYTES_MAX];
    *name = take_field(line);
    if (name->len == 0 || address_parse(*name, &address, &why))
        return false;
    address_format(&address, normal);
    return span_equal(*name, span_of_string(normal));
}

/* <evidence> <since> <by> */
static bool parse_accusation(struct span *line, struct news *news)
{
    if (!evidence_parse(take_field(line), &news->evidence) ||
        !take_number(line, 0, INT64_MAX, &news->since_ms))
        return false;
    struct span rest = *line;
    news->by = take_field(&rest);
    if (span_equal(news->by, SPAN_LITERAL("-"))) {
        *line = rest;
        return true;
    }
    return take_name(line, &news->by);
}

/* <name> <boot> <generation> <inc> <hb> <age> <weight> <hops> */
static bool parse_account(struct span *line, struct news *news)
{
    news->by = SPAN_LITERAL("-");
    return take_name(line, &news->name) && take_number(line, 1, INT64_MAX, &news->boot) &&
           number_parse_hex(take_field(line), HEX64_DIGITS, &news->generation) &&
           take_u32(line, 0, UINT32_MAX, &news->inc) &&
           take_number(line, 0, NEWS_HB_MAX, &news->hb) &&
           take_number(line, 0, INT64_MAX, &news->age_ms) &&
           take_u32(line, 1, VIEW_WEIGHT_MAX, &news->weight) &&
           take_u32(line, 0, NEWS_HOPS_MAX, &news->hops) &&
           (!has_evidence(news->state) || parse_accusation(line, news));
}

/* <name> <tag> <hb> <age> */
static bool parse_heartbeat(struct span *line, struct news *news)
{
    uint64_t tag;
    news->is_heartbeat = true;
    news->name = take_field(line);
    if (news->name.len == 0 || news->name.len > NAME_BYTES_MAX ||
        !number_parse_hex(take_field(line), TAG_DIGITS, &tag))
        return false;
    news->tag = (uint16_t)tag;
    return take_number(line, 0, NEWS_HB_MAX, &news->hb) &&
           take_number(line, 0, INT64_MAX, &news->age_ms);
}

enum news_parse news_parse(struct span *body, struct news *news)
{
    *news = (struct news){0};
    if (body->len == 0)
        return NEWS_END;
    struct span line;
    if (!take_line(body, &line))
        return NEWS_BAD;
    struct span word = take_field(&line);
    if (word.len == 0)
        return NEWS_BAD;
    bool is_good = false;
    if (span_equal(word, SPAN_LITERAL("HB"))) {
        is_good = parse_heartbeat(&line, news);
    } else {
        for (news->state = MEMBER_ALIVE; news->state < MEMBER_STATE_COUNT; news->state++)
            if (span_equal(word, state_words[news->state]))
                break;
        if (news->state == MEMBER_STATE_COUNT)
            return NEWS_SKIP;
        is_good = parse_account(&line, news);
    }
    return is_good && line.len == 0 ? NEWS_DONE : NEWS_BAD;
}

static char *put_span(char *to, struct span text)
{
    memcpy(to, text.data, text.len);
    return to + text.len;
}

static char *put_number(char *to, uint64_t value)
{
    *to++ = ' ';
    return number_format_decimal(to, value);
}

static char *put_heartbeat(char *to, const struct news *news)
{
    to = put_span(to, SPAN_LITERAL("HB "));
    to = put_span(to, news->name);
    *to++ = ' ';
    to = number_format_hex(to, news->tag, TAG_DIGITS);
    to = put_number(to, news->hb);
    return put_number(to, news->age_ms);
}

static char *put_account(char *to, const struct news *news)
{
    CHECK(news->state > MEMBER_UNVERIFIED && news->state < MEMBER_STATE_COUNT);
    CHECK(news->boot >= 1);
    CHECK(news->weight >= 1 && news->weight <= VIEW_WEIGHT_MAX);
    CHECK(news->hops <= NEWS_HOPS_MAX);
    to = put_span(to, state_words[news->state]);
    *to++ = ' ';
    to = put_span(to, news->name);
    to = put_number(to, news->boot);
    *to++ = ' ';
    to = number_format_hex(to, news->generation, HEX64_DIGITS);
    to = put_number(to, news->inc);
    to = put_number(to, news->hb);
    to = put_number(to, news->age_ms);
    to = put_number(to, news->weight);
    to = put_number(to, news->hops);
    if (!has_evidence(news->state))
        return to;
    *to++ = ' ';
    to = put_span(to, span_of_string(evidence_word(news->evidence)));
    to = put_number(to, news->since_ms);
    *to++ = ' ';
    return put_span(to, news->by);
}

void news_append(struct buf *out, const struct news *news)
{
    CHECK(news->name.len > 0 && news->name.len <= NAME_BYTES_MAX);
    CHECK(news->by.len <= NAME_BYTES_MAX);
    char *start = buf_reserve(out, NEWS_LINE_BYTES_MAX);
    char *end = news->is_heartbeat ? put_heartbeat(start, news) : put_account(start, news);
    *end++ = '\n';
    buf_advance(out, (size_t)(end - start));
}
