/* A call sees the bytes from a request's first one on. It finds the line end, splits the line into
 * words, and hands them to the function of the command's family; what is not complete is looked at
 * again, from the start, when more has come. Only three things outlive a call: a body or a line to
 * be thrown away, and where in a retrieval line the next key is (struct request_parser).
 *
 * A line ends before "\r\n" or "\n", and at a NUL: memcached sees it as a C string. Words are
 * separated by spaces and nothing else. proto.md says which errors come when. */
#include "common/request.h"

#include "common/base64.h"
#include "common/check.h"
#include "common/number.h"

#define WORD_BYTES_MAX        19u /* "get_membership_list" */
#define META_ARGUMENTS_MAX    18u /* key, length and flags of a meta line */
#define ARGUMENTS_MAX         19u /* words looked at: one more than any command may have */
#define OPAQUE_WORD_BYTES_MAX 32u /* with its O */

#define BAD_FORMAT    SPAN_LITERAL("CLIENT_ERROR bad command line format\r\n")
#define LINE_TOO_LONG SPAN_LITERAL("CLIENT_ERROR line too long\r\n")
#define UNKNOWN       SPAN_LITERAL("ERROR\r\n")

enum family {
    FAMILY_UNKNOWN,
    FAMILY_RETRIEVE,
    FAMILY_RETOUCH,
    FAMILY_STORE,
    FAMILY_CAS,
    FAMILY_ARITH,
    FAMILY_DELETE,
    FAMILY_TOUCH,
    FAMILY_META,
    FAMILY_NODE,
    FAMILY_ONCE
};

struct verb {
    enum command command;
    enum family family;
};

/* One call of request_parse. */
struct call {
    struct request_parser *parser;
    const struct request_limits *limits;
    struct span in;    /* from the first byte of the line, or of the line's next key */
    size_t line_bytes; /* of the line in front of in, its end included */
    struct request *request;
    size_t consumed;
    size_t need;
};

/* What follows a command's word. */
struct arguments {
    struct span word[ARGUMENTS_MAX];
    size_t count; /* at most ARGUMENTS_MAX */
};

static enum parse more(struct call *call, size_t need)
{
    call->need = need;
    return PARSE_MORE;
}

static enum parse done(struct call *call, size_t consumed)
{
    call->consumed = consumed;
    call->request->line = span_of(call->in.data, consumed);
    return PARSE_DONE;
}

/* The line is malformed: error is all the answer; empty for no answer at all. */
static enum parse refuse(struct call *call, struct span error)
{
    call->request->command = CMD_INVALID;
    call->request->part = PART_WHOLE;
    call->request->error = error;
    return done(call, call->line_bytes);
}

/* As refuse, but silent after noreply. */
static enum parse refuse_classic(struct call *call, struct span error)
{
    return refuse(call, call->request->noreply ? span_of(NULL, 0) : error);
}

static enum parse close_with(struct call *call, struct span error)
{
    call->request->command = CMD_INVALID;
    call->request->error = error;
    return PARSE_CLOSE;
}

/* The first byte from at on that is not above ' ', or the end. Eight bytes at a time: subtracting
 * 0x21 borrows from bit 7 first in the lowest byte that is below 0x21, or was above 0x7f, which the
 * complement rules out. */
static size_t find_blank(struct span in, size_t at)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest byte comes first");
    const uint64_t ones = 0x0101010101010101;
    for (; in.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t bytes;
        memcpy(&bytes, in.data + at, sizeof(bytes));
        uint64_t blanks = (bytes - ones * (' ' + 1)) & ~bytes & ones * 0x80;
        if (blanks != 0)
            return at + (size_t)__builtin_ctzll(blanks) / 8;
    }
    while (at < in.len && (unsigned char)in.data[at] > ' ')
        at++;
    return at;
}

static size_t skip_spaces(struct span in, size_t at)
{
    while (at < in.len && in.data[at] == ' ')
        at++;
    return at;
}

/* Takes the next word off rest; empty if there is none. */
static struct span take_word(struct span *rest)
{
    size_t start = skip_spaces(*rest, 0);
    size_t end = find_blank(*rest, start);
    while (end < rest->len && rest->data[end] != ' ')
        end = find_blank(*rest, end + 1);
    struct span word = span_of(rest->data + start, end - start);
    *rest = span_of(rest->data + end, rest->len - end);
    return word;
}

static void split(struct span rest, struct arguments *arguments)
{
    size_t count = 0;
    while (count < ARGUMENTS_MAX) {
        struct span word = take_word(&rest);
        if (word.len == 0)
            break;
        arguments->word[count++] = word;
    }
    arguments->count = count;
}

static bool is_noreply(const struct arguments *arguments)
{
    return arguments->count > 0 &&
           span_equal(arguments->word[arguments->count - 1], SPAN_LITERAL("noreply"));
}

static struct verb verb_of(struct span word)
{
    char lower[WORD_BYTES_MAX] = {0};
    if (word.len > WORD_BYTES_MAX)
        return (struct verb){CMD_INVALID, FAMILY_UNKNOWN};
    for (size_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
#define COMMAND(text, id, kind)                                                                    \
    if (word.len == sizeof(text) - 1 && memcmp(lower, text, sizeof(text) - 1) == 0)                \
        return (struct verb){CMD_##id, FAMILY_##kind};
#include "common/command_list.h"
#undef COMMAND
    return (struct verb){CMD_INVALID, FAMILY_UNKNOWN};
}

const char *command_word(enum command command)
{
#define COMMAND(text, id, kind)                                                                    \
    if (command == CMD_##id)                                                                       \
        return text;
#include "common/command_list.h"
#undef COMMAND
    return "?";
}

bool request_is_write(const struct request *request)
{
    switch (request->command) {
    case CMD_INVALID:
    case CMD_GET:
    case CMD_GETS:
    case CMD_META_DEBUG:
    case CMD_META_NOOP:
    case CMD_STATS:
    case CMD_VERSION:
    case CMD_VERBOSITY:
    case CMD_QUIT:
    case CMD_CONFIG:
    case CMD_MEMBERSHIP:
    case CMD_RING:
    case CMD_STATUS:
    case CMD_TRANSFERS:
    case CMD_COPY:
    case CMD_FORGET:
    case CMD_ACCEPT_LOSS:
    case CMD_FORM:
    case CMD_LEAVE:
    case CMD_SHUTDOWN:
    case CMD_RETURN_PORT:
    case CMD_HELLO:
    case CMD_ONCE:
    case CMD_COUNT:
        return false;
    case CMD_META_GET:
        return (request->meta_seen & (meta_bit('T') | meta_bit('N') | meta_bit('R'))) != 0;
    default:
        return true;
    }
}

struct span request_without_id(const struct request *request)
{
    struct span line = request->line;
    if (request->once.len == 0)
        return line;
    const char *start = request->once.data + request->once.len;
    struct span rest = span_of(start, line.len - (size_t)(start - line.data));
    size_t spaces = skip_spaces(rest, 0);
    return span_of(rest.data + spaces, rest.len - spaces);
}

/* ---- Retrievals ---- */

/* The byte after the key at at: a space, a NUL, a newline, or the end of what is there. */
static size_t key_end(struct span in, size_t at)
{
    for (at = find_blank(in, at); at < in.len; at = find_blank(in, at + 1)) {
        char c = in.data[at];
        if (c == ' ' || c == '\n' || c == '\0')
            break;
    }
    return at;
}

/* A key too long, met in the middle of a line: the rest of the line is thrown away. */
static enum parse refuse_key(struct call *call, size_t at)
{
    call->parser->retrieval = CMD_INVALID;
    call->parser->swallow_line = true;
    call->line_bytes = at;
    return refuse(call, BAD_FORMAT);
}

static enum parse give_key(struct call *call, struct span key, enum request_part part,
                           size_t consumed)
{
    struct request *request = call->request;
    request->command = call->parser->retrieval;
    request->part = part;
    request->exptime = call->parser->retrieval_exptime;
    request->key = key;
    if (part == PART_LAST)
        call->parser->retrieval = CMD_INVALID;
    return done(call, consumed);
}

/* Gives the key at or after at. Whether it is the line's last shows in what follows it, so this
 * looks on to the first byte of the next key; a line that is not checked, thus not wholly there,
 * may end anywhere, and its spaces are bounded so that they need not be kept without end. */
static enum parse next_key(struct call *call, size_t at)
{
    struct span in = call->in;
    bool is_streamed = !call->parser->retrieval_checked;
    size_t end = find_blank(in, at);
    /* The usual key: one space behind it, and then another key. */
    if (LIKELY(!is_streamed && end > at && end + 1 < in.len && in.data[end] == ' ' &&
               (unsigned char)in.data[end + 1] > ' '))
        return give_key(call, span_of(in.data + at, end - at), PART_PIECE, end + 1);
    size_t start = skip_spaces(in, at);
    end = key_end(in, start);
    size_t next = skip_spaces(in, end);
    if (is_streamed && (start - at > LINE_BYTES_MAX || next - end > LINE_BYTES_MAX))
        return close_with(call, LINE_TOO_LONG);
    size_t len = end - start;
    if (len > 0 && end < in.len && in.data[end] == '\n' && in.data[end - 1] == '\r')
        len--;
    if (end == in.len ? len > KEY_BYTES_MAX + 1 : len > KEY_BYTES_MAX)
        return refuse_key(call, end);
    bool is_return = next < in.len && in.data[next] == '\r' && end < next;
    if (next == in.len || (is_return && next + 1 == in.len))
        return more(call, in.len + 1);

    struct span key = span_of(in.data + start, len);
    size_t line_end = is_return ? next + 1 : next;
    if (in.data[line_end] == '\n')
        return give_key(call, key, PART_LAST, line_end + 1);
    if (in.data[next] == '\0') {
        call->parser->swallow_line = true;
        return give_key(call, key, PART_LAST, next);
    }
    return give_key(call, key, PART_PIECE, next);
}

/* gat, gats: takes the time off rest. Returns false if there is none, or none that is a number. */
static bool take_exptime(struct call *call, struct span *rest, struct span *error)
{
    struct span word = take_word(rest);
    int32_t exptime;
    if (word.len > 0 && number_parse_i32(word, &exptime)) {
        call->parser->retrieval_exptime = exptime;
        return true;
    }
    *error = word.len > 0 ? SPAN_LITERAL("CLIENT_ERROR invalid exptime argument\r\n") : UNKNOWN;
    return false;
}

/* Whether no word is longer than a key. Every stretch of KEY_BYTES_MAX + 1 bytes must have a space;
 * from the last one on the next begins, so that of most words nothing is looked at. */
static bool words_are_keys(struct span words)
{
    while (words.len > KEY_BYTES_MAX) {
        const char *space = memrchr(words.data, ' ', KEY_BYTES_MAX + 1);
        if (space == NULL)
            return false;
        words = span_of(space + 1, words.len - (size_t)(space + 1 - words.data));
    }
    return true;
}

/*  get <key>+      gat <exptime> <key>+
 * rest  what follows the word, of a line that is wholly there: no key is given out before all are
 *       known to be well formed. */
static enum parse parse_retrieval(struct call *call, struct verb verb, struct span rest)
{
    struct request_parser *parser = call->parser;
    struct span error;
    parser->retrieval_exptime = 0;
    if (verb.family == FAMILY_RETOUCH && !take_exptime(call, &rest, &error))
        return refuse(call, error);
    size_t at = (size_t)(rest.data - call->in.data);
    struct span first = take_word(&rest);
    if (first.len == 0) /* memcached finds nothing wrong with "gat 0" */
        return refuse(call, verb.family == FAMILY_RETOUCH ? SPAN_LITERAL("END\r\n") : UNKNOWN);
    if (first.len > KEY_BYTES_MAX)
        return refuse(call, BAD_FORMAT);
    struct span second = take_word(&rest);
    if (second.len > KEY_BYTES_MAX || !words_are_keys(rest))
        return refuse(call, BAD_FORMAT);
    parser->retrieval = verb.command;
    if (second.len == 0)
        return give_key(call, first, PART_LAST, call->line_bytes);
    parser->retrieval_checked = true;
    return next_key(call, at);
}

/* A retrieval line longer than RETRIEVAL_CHECKED_BYTES_MAX, its end not in sight: its keys are
 * given out as they come. */
static enum parse stream_retrieval(struct call *call, struct verb verb, struct span rest)
{
    struct request_parser *parser = call->parser;
    struct span error;
    parser->retrieval_exptime = 0;
    if (verb.family == FAMILY_RETOUCH && !take_exptime(call, &rest, &error)) {
        parser->swallow_line = true;
        call->line_bytes = (size_t)(rest.data - call->in.data);
        return refuse(call, error);
    }
    if (rest.len == 0) /* a time without end */
        return close_with(call, LINE_TOO_LONG);
    parser->retrieval = verb.command;
    parser->retrieval_checked = false;
    enum parse result = next_key(call, (size_t)(rest.data - call->in.data));
    if (result == PARSE_MORE) /* nothing is consumed: the line is read from its start again */
        parser->retrieval = CMD_INVALID;
    return result;
}

/* ---- Commands with a body ---- */

/* A malformed line that has announced a body nevertheless: the body is not a command. */
static enum parse refuse_with_body(struct call *call, int32_t body_bytes, struct span error)
{
    call->parser->swallow_bytes = (uint64_t)body_bytes + 2;
    return refuse(call, error);
}

/* Whether a body of len bytes is followed by a line feed alone, as telnet and netcat write it.
 * After a '\r' it is not: then the length is wrong. */
static bool ends_in_bare_lf(const char *body, size_t len)
{
    return body[len] == '\n' && (len == 0 || body[len - 1] != '\r');
}

/* The body behind the line: body_bytes bytes, and "\r\n" or a bare LF. */
static enum parse take_body(struct call *call, int32_t body_bytes)
{
    size_t len = (size_t)body_bytes;
    size_t end = call->line_bytes + len;
    struct request *request = call->request;
    if (len > call->limits->value_bytes_max) {
        request->too_large = true;
        call->parser->swallow_bytes = (uint64_t)len + 2;
        return done(call, call->line_bytes);
    }
    if (call->in.len < end + 1)
        return more(call, end + 1);
    request->value = span_of(call->in.data + call->line_bytes, len);
    if (ends_in_bare_lf(request->value.data, len))
        return done(call, end + 1);
    if (call->in.len < end + 2)
        return more(call, end + 2);
    if (memcmp(call->in.data + end, "\r\n", 2) == 0)
        return done(call, end + 2);
    call->line_bytes = end + 2;
    return refuse_classic(call, SPAN_LITERAL("CLIENT_ERROR bad data chunk\r\n"));
}

static bool parse_body_bytes(struct span word, int32_t *body_bytes)
{
    return number_parse_i32(word, body_bytes) && *body_bytes >= 0 && *body_bytes <= INT32_MAX - 2;
}

/*  set <key> <flags> <exptime> <bytes> [noreply]
 *  cas <key> <flags> <exptime> <bytes> <cas unique> [noreply] */
static enum parse parse_store(struct call *call, bool is_cas, const struct arguments *arguments)
{
    struct request *request = call->request;
    const struct span *word = arguments->word;
    size_t fixed = is_cas ? 5 : 4;
    if (arguments->count != fixed && arguments->count != fixed + 1)
        return refuse(call, UNKNOWN);
    request->noreply = is_noreply(arguments);
    int32_t exptime, body_bytes;
    if (word[0].len > KEY_BYTES_MAX || !number_parse_u32(word[1], &request->flags) ||
        !number_parse_i32(word[2], &exptime) || !parse_body_bytes(word[3], &body_bytes) ||
        (is_cas && !number_parse_u64(word[4], &request->number)))
        return refuse_classic(call, BAD_FORMAT);
    request->key = word[0];
    request->exptime = exptime;
    return take_body(call, body_bytes);
}

/* ---- Commands of one line ---- */

/*  incr <key> <delta> [noreply]      touch <key> <exptime> [noreply] */
static enum parse parse_number(struct call *call, bool is_touch, const struct arguments *arguments)
{
    struct request *request = call->request;
    const struct span bad_delta = SPAN_LITERAL("CLIENT_ERROR invalid numeric delta argument\r\n");
    if (arguments->count != 2 && arguments->count != 3)
        return refuse(call, UNKNOWN);
    request->noreply = is_noreply(arguments);
    request->key = arguments->word[0];
    if (request->key.len > KEY_BYTES_MAX)
        return refuse_classic(call, BAD_FORMAT);
    int32_t exptime = 0;
    if (is_touch && !number_parse_i32(arguments->word[1], &exptime))
        return refuse_classic(call, SPAN_LITERAL("CLIENT_ERROR invalid exptime argument\r\n"));
    if (!is_touch && !number_parse_u64(arguments->word[1], &request->number))
        return refuse_classic(call, bad_delta);
    request->exptime = exptime;
    return done(call, call->line_bytes);
}

/*  delete <key> [0] [noreply] */
static enum parse parse_delete(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    size_t count = arguments->count;
    if (count < 1 || count > 3)
        return refuse(call, UNKNOWN);
    request->noreply = count > 1 && is_noreply(arguments);
    bool has_zero = count > 1 && span_equal(arguments->word[1], SPAN_LITERAL("0"));
    if (count - 1 != (size_t)has_zero + request->noreply)
        return refuse_classic(call, SPAN_LITERAL("CLIENT_ERROR bad command line format.  "
                                                 "Usage: delete <key> [noreply]\r\n"));
    request->key = arguments->word[0];
    if (request->key.len > KEY_BYTES_MAX)
        return refuse_classic(call, BAD_FORMAT);
    return done(call, call->line_bytes);
}

/*  flush_all [<delay>] [noreply] */
static enum parse parse_flush_all(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count > 2)
        return refuse(call, UNKNOWN);
    request->noreply = is_noreply(arguments);
    request->has_delay = arguments->count > (request->noreply ? 1 : 0);
    int32_t delay = 0;
    if (request->has_delay && !number_parse_i32(arguments->word[0], &delay))
        return refuse_classic(call, SPAN_LITERAL("CLIENT_ERROR invalid exptime argument\r\n"));
    request->exptime = delay;
    return done(call, call->line_bytes);
}

/*  verbosity <level> [noreply] */
static enum parse parse_verbosity(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count != 1 && arguments->count != 2)
        return refuse(call, UNKNOWN);
    request->noreply = is_noreply(arguments);
    uint32_t level;
    if (!number_parse_u32(arguments->word[0], &level))
        return refuse_classic(call, BAD_FORMAT);
    request->number = level;
    return done(call, call->line_bytes);
}

/*  ring [<hash>]
 * hash = 16(lower case hexadecimal digit) */
static enum parse parse_ring(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count > 1)
        return refuse(call, UNKNOWN);
    request->has_ring = arguments->count == 1;
    if (request->has_ring && !number_parse_hex(arguments->word[0], HEX64_DIGITS, &request->number))
        return refuse(call, BAD_FORMAT);
    return done(call, call->line_bytes);
}

/*  return_port <port> */
static enum parse parse_return_port(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count != 1)
        return refuse(call, UNKNOWN);
    if (!number_parse_decimal(arguments->word[0], UINT16_MAX, &request->number) ||
        request->number == 0)
        return refuse(call, BAD_FORMAT);
    return done(call, call->line_bytes);
}

/*  copy <key>      forget <name> */
static enum parse parse_one_word(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count != 1)
        return refuse(call, UNKNOWN);
    if (request->command != CMD_COPY)
        request->words = arguments->word[0];
    else if (arguments->word[0].len <= KEY_BYTES_MAX)
        request->key = arguments->word[0];
    else
        return refuse(call, BAD_FORMAT);
    return done(call, call->line_bytes);
}

/* Commands that are a word and nothing more: other words are for a later version to mean. */
static enum parse parse_bare(struct call *call, const struct arguments *arguments)
{
    return arguments->count > 0 ? refuse(call, UNKNOWN) : done(call, call->line_bytes);
}

/* From the first to the end of the last of some words; empty if there are none. */
static struct span words_from(const struct arguments *arguments, size_t first, struct span rest)
{
    if (first >= arguments->count)
        return span_of(NULL, 0);
    const char *end = rest.data + rest.len;
    while (end[-1] == ' ')
        end--;
    const char *start = arguments->word[first].data;
    return span_of(start, (size_t)(end - start));
}

/* Commands for the node itself. rest is what follows the word. */
static enum parse parse_node(struct call *call, struct span rest, const struct arguments *arguments)
{
    struct request *request = call->request;
    switch (request->command) {
    case CMD_FLUSH_ALL:
        return parse_flush_all(call, arguments);
    case CMD_VERBOSITY:
        return parse_verbosity(call, arguments);
    case CMD_RING:
        return parse_ring(call, arguments);
    case CMD_RETURN_PORT:
        return parse_return_port(call, arguments);
    case CMD_COPY:
    case CMD_FORGET:
        return parse_one_word(call, arguments);
    case CMD_FORM:
    case CMD_LEAVE:
    case CMD_MEMBERSHIP:
    case CMD_STATUS:
    case CMD_TRANSFERS:
        return parse_bare(call, arguments);
    case CMD_ACCEPT_LOSS:
    case CMD_CONFIG:
    case CMD_SHUTDOWN:
    case CMD_STATS:
        request->words = words_from(arguments, 0, rest);
        return done(call, call->line_bytes);
    case CMD_HELLO:
        if (arguments->count == 0)
            return refuse(call, UNKNOWN);
        request->words = span_of(call->in.data, call->line_bytes);
        return done(call, call->line_bytes);
    default: /* mn, version, quit: whatever follows */
        return done(call, call->line_bytes);
    }
}

/* ---- Meta commands ---- */

static bool take_number(struct span text, int64_t *value, struct span *error)
{
    int32_t number;
    if (!number_parse_i32(text, &number)) {
        *error = SPAN_LITERAL("CLIENT_ERROR bad token in command line format\r\n");
        return false;
    }
    *value = number;
    return true;
}

static bool take_unsigned(struct span text, uint64_t *value, struct span wrong, struct span *error)
{
    if (number_parse_u64(text, value))
        return true;
    *error = wrong;
    return false;
}

/* The key is base64: what it means lies in the request itself. */
static bool decode_key(struct request *request)
{
    size_t len;
    if (base64_decode(request->key, request->key_decoded, KEY_BYTES_MAX, &len) != ERR_OK)
        return false;
    request->key = span_of(request->key_decoded, len);
    request->key_base64 = true;
    return true;
}

/* Takes in one flag with its argument. Returns false if the argument is malformed; error then says
 * how, except for F, which memcached refuses with whatever was wrong before. */
static bool take_flag(struct request *request, char letter, struct span argument,
                      struct span *error)
{
    const struct span bad_token = SPAN_LITERAL("CLIENT_ERROR bad token in command line format\r\n");
    switch (letter) {
    case 'b':
        *error = SPAN_LITERAL("CLIENT_ERROR error decoding key\r\n");
        return decode_key(request);
    case 'N':
        return take_number(argument, &request->vivify_ttl, error);
    case 'R':
        return take_number(argument, &request->recache_ttl, error);
    case 'T':
        return take_number(argument, &request->exptime, error);
    case 'F':
        return number_parse_u32(argument, &request->flags);
    case 'C':
        return take_unsigned(argument, &request->cas_compare, bad_token, error);
    case 'E':
        return take_unsigned(argument, &request->cas_explicit, bad_token, error);
    case 'D':
        return take_unsigned(argument, &request->delta,
                             SPAN_LITERAL("CLIENT_ERROR invalid numeric delta value\r\n"), error);
    case 'J':
        return take_unsigned(argument, &request->initial,
                             SPAN_LITERAL("CLIENT_ERROR invalid numeric initial value\r\n"), error);
    case 'M':
        *error = SPAN_LITERAL("CLIENT_ERROR incorrect length for M token\r\n");
        request->mode = argument.len == 1 ? argument.data[0] : 0;
        return argument.len == 1;
    case 'O':
        request->opaque = argument;
        return true;
    default: /* without an argument, or with one that is not looked at */
        return true;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_flag(char c)
{
    return is_letter(c) && strchr("bcfhklqstuvxCDEFIJLMNOPRT", c) != NULL;
}

/* Takes in the flags from word first on. Every known letter is good for every command, which
 * ignores it where it means nothing. All are looked at before a malformed argument is told, the
 * last error winning; a flag that is unknown or there twice is told at once. */
static bool take_flags(struct request *request, const struct arguments *arguments, size_t first,
                       struct span *error)
{
    bool is_good = true;
    *error = BAD_FORMAT;
    for (size_t i = first; i < arguments->count; i++) {
        struct span word = arguments->word[i];
        char letter = word.data[0];
        bool is_seen = is_letter(letter) && (request->meta_seen & meta_bit(letter)) != 0;
        if ((unsigned char)letter >= 127 || is_seen) {
            *error = SPAN_LITERAL("CLIENT_ERROR duplicate flag\r\n");
            return false;
        }
        if (!is_flag(letter)) {
            *error = SPAN_LITERAL("CLIENT_ERROR invalid flag\r\n");
            return false;
        }
        request->meta_seen |= meta_bit(letter);
        struct span wrong = *error;
        if (!take_flag(request, letter, span_of(word.data + 1, word.len - 1), &wrong)) {
            *error = wrong;
            is_good = false;
        }
    }
    return is_good;
}

/* Checks what only the whole line tells: the mode, then the opaque's length. */
static bool check_flags(struct request *request, struct span *error)
{
    char *mode = &request->mode;
    if (request->command == CMD_META_ARITH && *mode == '+')
        *mode = 'I';
    if (request->command == CMD_META_ARITH && *mode == '-')
        *mode = 'D';
    *error = SPAN_LITERAL("CLIENT_ERROR invalid mode for ms M token\r\n");
    if (request->command == CMD_META_SET && *mode != 0 && !strchr("EAPRS", *mode))
        return false;
    *error = SPAN_LITERAL("CLIENT_ERROR invalid mode for ma M token\r\n");
    if (request->command == CMD_META_ARITH && *mode != 0 && !strchr("ID", *mode))
        return false;
    *error = SPAN_LITERAL("CLIENT_ERROR opaque token too long\r\n");
    return request->opaque.len < OPAQUE_WORD_BYTES_MAX;
}

/*  me <key> [b]
 * The word after the key counts only if it is b; all others are ignored. */
static enum parse parse_meta_debug(struct call *call, const struct arguments *arguments)
{
    struct request *request = call->request;
    if (arguments->count == 0 || arguments->word[0].len > KEY_BYTES_MAX)
        return refuse(call, BAD_FORMAT);
    request->key = arguments->word[0];
    bool is_base64 = arguments->count > 1 && span_equal(arguments->word[1], SPAN_LITERAL("b"));
    if (is_base64) {
        request->meta_seen = meta_bit('b');
        if (!decode_key(request))
            return refuse(call, BAD_FORMAT);
    }
    return done(call, call->line_bytes);
}

/*  ms <key> <bytes> [flags]
 * The key is in the request. From where the length is known on, an error swallows the body. */
static enum parse parse_meta_set(struct call *call, struct span rest,
                                 const struct arguments *arguments)
{
    struct request *request = call->request;
    int32_t body_bytes;
    if (arguments->count == 1)
        return refuse(call, BAD_FORMAT);
    if (arguments->count > META_ARGUMENTS_MAX)
        return refuse(call, SPAN_LITERAL("CLIENT_ERROR options flags too long\r\n"));
    if (!parse_body_bytes(arguments->word[1], &body_bytes))
        return refuse(call, BAD_FORMAT);
    struct span error;
    if (!take_flags(request, arguments, 2, &error) || !check_flags(request, &error))
        return refuse_with_body(call, body_bytes, error);
    request->meta_flags = words_from(arguments, 2, rest);
    return take_body(call, body_bytes);
}

/*  mg <key> [flags]      md <key> [flags]      ma <key> [flags] */
static enum parse parse_meta(struct call *call, struct span rest, const struct arguments *arguments)
{
    struct request *request = call->request;
    request->delta = 1;
    if (request->command == CMD_META_DEBUG)
        return parse_meta_debug(call, arguments);
    if (arguments->count == 0)
        return refuse(call, UNKNOWN);
    if (arguments->word[0].len > KEY_BYTES_MAX)
        return refuse(call, BAD_FORMAT);
    request->key = arguments->word[0];
    if (request->command == CMD_META_SET)
        return parse_meta_set(call, rest, arguments);
    bool is_get = request->command == CMD_META_GET;
    if (arguments->count > META_ARGUMENTS_MAX)
        return refuse(call, is_get ? SPAN_LITERAL("CLIENT_ERROR options flags are too long\r\n")
                                   : SPAN_LITERAL("CLIENT_ERROR options flags too long\r\n"));
    struct span error;
    if (!take_flags(request, arguments, 1, &error))
        return refuse(call,
                      is_get ? error : SPAN_LITERAL("CLIENT_ERROR invalid or duplicate flag\r\n"));
    if (!check_flags(request, &error))
        return refuse(call, error);
    request->meta_flags = words_from(arguments, 1, rest);
    return done(call, call->line_bytes);
}

/* ---- Lines ---- */

/* Whether the line ends in " HTTP/x.y". */
static bool ends_in_http(struct span line)
{
    static const char http[] = " HTTP/";
    size_t tail = sizeof(http) - 1 + 3;
    return line.len > tail && memcmp(line.data + line.len - tail, http, sizeof(http) - 1) == 0;
}

/* Whether this is a browser's request, or somebody's who makes one send it: a method of ours (get,
 * put, delete) has exactly a path between itself and the version. */
static bool is_http(struct span line, struct span word, enum family family,
                    const struct arguments *arguments)
{
    if (ends_in_http(line))
        return family == FAMILY_UNKNOWN || arguments->count == 2;
    return family == FAMILY_UNKNOWN && arguments->count > 0 &&
           span_equal(word, SPAN_LITERAL("POST"));
}

static enum parse parse_words(struct call *call, struct span line, struct span word,
                              struct verb verb, struct span rest)
{
    struct arguments arguments;
    split(rest, &arguments);
    if (UNLIKELY(is_http(line, word, verb.family, &arguments)))
        return close_with(call, span_of(NULL, 0));
    call->request->command = verb.command;
    switch (verb.family) {
    case FAMILY_RETRIEVE:
    case FAMILY_RETOUCH:
        return parse_retrieval(call, verb, rest);
    case FAMILY_STORE:
    case FAMILY_CAS:
        return parse_store(call, verb.family == FAMILY_CAS, &arguments);
    case FAMILY_ARITH:
    case FAMILY_TOUCH:
        return parse_number(call, verb.family == FAMILY_TOUCH, &arguments);
    case FAMILY_DELETE:
        return parse_delete(call, &arguments);
    case FAMILY_META:
        return parse_meta(call, rest, &arguments);
    case FAMILY_NODE:
        return parse_node(call, rest, &arguments);
    case FAMILY_ONCE:
    case FAMILY_UNKNOWN:
        break;
    }
    return refuse(call, UNKNOWN);
}

/* Whether it may stand behind a request id: it may write, one key or all. */
static bool takes_id(struct verb verb)
{
    switch (verb.family) {
    case FAMILY_STORE:
    case FAMILY_CAS:
    case FAMILY_ARITH:
    case FAMILY_DELETE:
    case FAMILY_TOUCH:
        return true;
    case FAMILY_META:
        return verb.command != CMD_META_DEBUG;
    case FAMILY_NODE:
        return verb.command == CMD_FLUSH_ALL;
    default:
        return false;
    }
}

/* Whether an mg only reads, or asks for a value, which would have to be kept with the id. */
static bool is_reading(const struct request *request)
{
    return request->command == CMD_META_GET &&
           (!request_is_write(request) || (request->meta_seen & meta_bit('v')) != 0);
}

/* id = 1*32( DIGIT / ALPHA / "-" / "_" ) */
static bool is_id(struct span word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return word.len <= REQUEST_ID_BYTES_MAX;
}

/*  once <id> <line of a write command>
 * rest  what follows the word. The line is read as it would be without these two words; whether the
 *       id is one is told only then, so that its body is not taken for commands. */
static enum parse parse_once(struct call *call, struct span line, struct span rest)
{
    struct request *request = call->request;
    struct span id = take_word(&rest), word = take_word(&rest);
    const struct span no_write = SPAN_LITERAL("CLIENT_ERROR a request id goes with a write\r\n");
    struct verb verb = verb_of(word);
    if (verb.family == FAMILY_UNKNOWN)
        return refuse(call, UNKNOWN);
    if (!takes_id(verb))
        return refuse(call, no_write);
    enum parse result = parse_words(call, line, word, verb, rest);
    if (result != PARSE_DONE || request->command == CMD_INVALID)
        return result;
    if (is_reading(request))
        return refuse(call, no_write);
    request->once = id;
    if (!is_id(id)) {
        request->command = CMD_INVALID;
        if (!request->noreply)
            request->error = SPAN_LITERAL("CLIENT_ERROR malformed request id\r\n");
    }
    return PARSE_DONE;
}

static bool is_retrieval(struct verb verb)
{
    return verb.family == FAMILY_RETRIEVE || verb.family == FAMILY_RETOUCH;
}

/* A line with its end, line_bytes bytes in all. */
static enum parse parse_whole_line(struct call *call, size_t line_bytes)
{
    const char *data = call->in.data;
    size_t len = line_bytes - 1;
    if (len > 0 && data[len - 1] == '\r')
        len--;
    struct span line = span_of(data, strnlen(data, len));
    struct span rest = line;
    struct span word = take_word(&rest);
    struct verb verb = verb_of(word);
    call->line_bytes = line_bytes;
    if (LIKELY(is_retrieval(verb)) && LIKELY(!ends_in_http(line)))
        return parse_retrieval(call, verb, rest);
    if (verb.family == FAMILY_ONCE)
        return parse_once(call, line, rest);
    return parse_words(call, line, word, verb, rest);
}

/* A line that goes on past LINE_BYTES_MAX: good only for a retrieval. */
static enum parse parse_long_line(struct call *call)
{
    struct span in = call->in;
    struct span rest = span_of(in.data, LINE_BYTES_MAX);
    struct verb verb = verb_of(take_word(&rest));
    bool has_argument = rest.len > 0;
    size_t bound = in.len < RETRIEVAL_CHECKED_BYTES_MAX ? in.len : RETRIEVAL_CHECKED_BYTES_MAX;
    bool is_good = is_retrieval(verb) && has_argument;
    if (is_good) {
        const char *newline = memchr(in.data, '\n', bound);
        if (newline)
            return parse_whole_line(call, (size_t)(newline + 1 - in.data));
        if (in.len < RETRIEVAL_CHECKED_BYTES_MAX)
            return more(call, in.len + 1);
        rest.len = bound - (size_t)(rest.data - in.data);
        if (!memchr(in.data, '\0', bound))
            return stream_retrieval(call, verb, rest);
    }
    return close_with(call, LINE_TOO_LONG);
}

/* ---- The commonest lines ---- */

#define PLAIN_DIGITS_MAX 9 /* of them any number fits 32 bits */

/* Reads a number of plain digits and the byte end behind it. Returns where that ends; 0 if there is
 * anything else. */
static inline size_t plain_number(struct span in, size_t at, char end, uint32_t *number)
{
    /* Flags and times mostly have one digit. */
    if (LIKELY(at + 1 < in.len && in.data[at + 1] == end)) {
        *number = (unsigned char)in.data[at] - (uint32_t)'0';
        return *number <= 9 ? at + 2 : 0;
    }
    size_t stop = at + PLAIN_DIGITS_MAX < in.len ? at + PLAIN_DIGITS_MAX : in.len - 1;
    uint32_t sum = 0, digit;
    size_t start = at;
    while (at < stop && (digit = (unsigned char)in.data[at] - (uint32_t)'0') <= 9) {
        sum = sum * 10 + digit;
        at++;
    }
    *number = sum;
    return at > start && in.data[at] == end ? at + 1 : 0;
}

/*  set <key> <flags> <exptime> <bytes>\r\n    from the first space behind the key on */
static bool parse_plain_set(struct call *call, struct span key, size_t at, enum parse *result)
{
    struct span in = call->in;
    struct request *request = call->request;
    uint32_t flags, exptime, body_bytes;
    if ((at = plain_number(in, at + 1, ' ', &flags)) == 0 || at >= in.len ||
        (at = plain_number(in, at, ' ', &exptime)) == 0 || at >= in.len ||
        (at = plain_number(in, at, '\r', &body_bytes)) == 0 || at >= in.len || in.data[at] != '\n')
        return false;
    request->command = CMD_SET;
    request->key = key;
    request->flags = flags;
    request->exptime = exptime;
    call->line_bytes = at + 1;
    *result = take_body(call, (int32_t)body_bytes);
    return true;
}

/* Reads, in one pass, exactly "get <key>\r\n" and "set <key> <flags> <exptime> <bytes>\r\n": lower
 * case, one space apart, short plain numbers. Returns false, having changed nothing, for any other
 * line; the general way would read these to the same end. */
static bool parse_plain(struct call *call, enum parse *result)
{
    struct span in = call->in;
    const size_t key_at = sizeof("get ") - 1;
    if (in.len < sizeof("get k\r\n") - 1)
        return false;
    bool is_get = memcmp(in.data, "get ", key_at) == 0;
    if (!is_get && memcmp(in.data, "set ", key_at) != 0)
        return false;
    size_t end = find_blank(in, key_at);
    struct span key = span_of(in.data + key_at, end - key_at);
    if (key.len == 0 || key.len > KEY_BYTES_MAX || end + 1 >= in.len)
        return false;
    if (!is_get)
        return in.data[end] == ' ' && parse_plain_set(call, key, end, result);
    if (in.data[end] != '\r' || in.data[end + 1] != '\n')
        return false;
    call->request->command = CMD_GET;
    call->request->part = PART_LAST;
    call->request->key = key;
    *result = done(call, end + 2);
    return true;
}

static enum parse parse_line(struct call *call)
{
    struct span in = call->in;
    enum parse result;
    if (LIKELY(parse_plain(call, &result)))
        return result;
    if (UNLIKELY(in.len == 0))
        return more(call, 1);
    if (UNLIKELY((unsigned char)in.data[0] == 0x80)) /* memcached's binary protocol */
        return close_with(call, span_of(NULL, 0));
    size_t bound = in.len < LINE_BYTES_MAX + 1 ? in.len : LINE_BYTES_MAX + 1;
    const char *newline = memchr(in.data, '\n', bound);
    if (LIKELY(newline != NULL))
        return parse_whole_line(call, (size_t)(newline + 1 - in.data));
    return in.len <= LINE_BYTES_MAX ? more(call, in.len + 1) : parse_long_line(call);
}

/* Throws away what the parser is to throw away; returns how many bytes of in that took. */
static size_t swallow(struct request_parser *parser, struct span in)
{
    if (parser->swallow_line) {
        const char *newline = in.len > 0 ? memchr(in.data, '\n', in.len) : NULL;
        parser->swallow_line = newline == NULL;
        return newline ? (size_t)(newline + 1 - in.data) : in.len;
    }
    size_t at = 0;
    if (parser->swallow_bytes > 2) {
        uint64_t body = parser->swallow_bytes - 2;
        at = body < in.len ? (size_t)body : in.len;
        parser->swallow_bytes -= at;
    }
    if (parser->swallow_bytes == 2 && at < in.len)
        parser->swallow_bytes = in.data[at++] == '\n' ? 0 : 1;
    if (parser->swallow_bytes == 1 && at < in.len) {
        parser->swallow_bytes = 0;
        at++;
    }
    return at;
}

/* Zeroes all but key_decoded, of which it may spoil some. In small pieces: for more than 64 bytes
 * GCC writes `rep stos`, which took as long as all the rest of a get. */
static void request_clear(struct request *request)
{
    enum { PIECE_BYTES = 64 };
    _Static_assert(sizeof(*request) - offsetof(struct request, key_decoded) > PIECE_BYTES,
                   "the last piece ends in key_decoded");
    for (size_t at = 0; at < offsetof(struct request, key_decoded); at += PIECE_BYTES)
        memset((char *)request + at, 0, PIECE_BYTES);
}

enum parse request_parse(struct request_parser *parser, const struct request_limits *limits,
                         const char *in, size_t len, struct request *request, size_t *consumed,
                         size_t *need)
{
    size_t swallowed = 0;
    if (UNLIKELY(parser->swallow_bytes > 0 || parser->swallow_line))
        swallowed = swallow(parser, span_of(in, len));
    struct call call = {
        .parser = parser,
        .limits = limits,
        .in = span_of(in + swallowed, len - swallowed),
        .request = request,
    };
    request_clear(request);
    enum parse result = parser->retrieval != CMD_INVALID ? next_key(&call, 0) : parse_line(&call);
    *consumed = swallowed + call.consumed;
    *need = call.need;
    CHECK(*consumed <= len);
    return result;
}
