#include "client/cli_print.h"

#include "common/base64.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

const char *cli_color(bool has_color, enum cli_color color)
{
    static const char *const sequences[] = {
        [CLI_PLAIN] = "\033[0m", [CLI_BOLD] = "\033[1m",   [CLI_DIM] = "\033[2m",
        [CLI_RED] = "\033[31m",  [CLI_GREEN] = "\033[32m", [CLI_CYAN] = "\033[36m",
    };
    CHECK((size_t)color < ARRAY_COUNT(sequences));
    return has_color ? sequences[color] : "";
}

enum cli_exit cli_exit_of(enum dht_result result)
{
    switch (result) {
    case DHT_OK:
        return CLI_DONE;
    case DHT_NOT_FOUND:
    case DHT_NOT_STORED:
    case DHT_EXISTS:
        return CLI_NEGATIVE;
    case DHT_USAGE:
        return CLI_USAGE;
    case DHT_CANNOT_CONNECT:
    case DHT_TIMEOUT:
    case DHT_OUTCOME_UNKNOWN:
        return CLI_UNREACHED;
    case DHT_NOT_DONE:
    case DHT_CLIENT_ERROR:
    case DHT_SERVER_ERROR:
        return CLI_REFUSED;
    }
    CHECK(false);
}

void cli_complain(const struct cli *cli, const char *about, const char *text)
{
    bool has_color = cli->has_color_err;
    fflush(stdout); /* what came before stands before, where both go to one place */
    fprintf(stderr, "%skvcli:%s %s%s%s\n", cli_color(has_color, CLI_RED),
            cli_color(has_color, CLI_PLAIN), about ? about : "", about ? ": " : "", text);
}

void cli_tell(const struct cli *cli, const char *about, const char *done)
{
    bool has_color = cli->has_color_err;
    if (cli->is_terminal_err)
        fprintf(stderr, "%s%s%s %s\n", cli_color(has_color, CLI_GREEN), done,
                cli_color(has_color, CLI_PLAIN), about);
}

void cli_complain_result(const struct cli *cli, const char *about, const struct dht_answer *answer)
{
    /* What is said before the reason; the negative answers' text says it all. */
    static const char *const reasons[] = {
        [DHT_NOT_DONE] = "not done: ",
        [DHT_OUTCOME_UNKNOWN] = "outcome unknown, it may be done or not: ",
        [DHT_CLIENT_ERROR] = "refused: ",
        [DHT_SERVER_ERROR] = "refused: ",
        [DHT_CANNOT_CONNECT] = "no server reached: ",
        [DHT_TIMEOUT] = "timed out: ",
    };
    const char *reason = NULL;
    char line[DHT_KEY_BYTES_MAX + 4096];
    if ((size_t)answer->result < ARRAY_COUNT(reasons))
        reason = reasons[answer->result];
    snprintf(line, sizeof(line), "%s%s", reason ? reason : "", answer->text);
    cli_complain(cli, about, line);
}

bool cli_is_agreed(const struct cli *cli, const struct cli_options *options, const char *before,
                   const char *name, const char *after)
{
    char answer[16];
    bool can_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    if (!can_ask || cli_is_given(options, CLI_BIT(YES)))
        return true;
    fprintf(stderr, "%s%s%s%s%s? [y/N] ", before, cli_color(cli->has_color_err, CLI_BOLD), name,
            cli_color(cli->has_color_err, CLI_PLAIN), after);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

void cli_json_set(json_t *object, const char *name, json_t *value)
{
    CHECK(value != NULL);
    CHECK(json_object_set_new(object, name, value) == 0);
}

json_t *cli_json_hex(uint64_t number)
{
    char text[HEX64_DIGITS + 1];
    snprintf(text, sizeof(text), "%016" PRIx64, number);
    return json_string(text);
}

void cli_json_set_bytes(json_t *object, const char *name, const char *base64_name,
                        struct span bytes)
{
    json_t *text = json_stringn(bytes.len ? bytes.data : "", bytes.len);
    if (text) {
        cli_json_set(object, name, text);
        return;
    }
    size_t base64_bytes = BASE64_BYTES(bytes.len);
    char *base64 = malloc(base64_bytes);
    CHECK(base64 != NULL);
    CHECK(base64_encode(bytes, base64) == base64_bytes);
    cli_json_set(object, base64_name, json_stringn(base64, base64_bytes));
    free(base64);
}

json_t *cli_json_result(const char *key, const struct dht_answer *answer)
{
    json_t *object = json_object();
    CHECK(object != NULL);
    if (key)
        cli_json_set_bytes(object, "key", "key_base64", span_of_string(key));
    const char *name = dht_result_name(answer->result);
    cli_json_set(object, "result", json_string(name));
    if (answer->result != DHT_OK)
        cli_json_set_bytes(object, "message", "message_base64", span_of_string(answer->text));
    return object;
}

void cli_json_print(json_t *object)
{
    /* A failing stdout is noticed once, at the end of the program. */
    (void)json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}
