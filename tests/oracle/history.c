#include "tests/oracle/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const VERBS[VERB_COUNT] = {"gets",   "set",    "add",  "replace", "cas",
                                              "append", "delete", "incr", "touch"};
static const char *const OUTCOMES[OUTCOME_COUNT] = {"DONE",   "ABSENT",   "NOT_STORED",
                                                    "EXISTS", "NOT_DONE", "UNKNOWN"};

const char *verb_name(enum verb verb)
{
    return VERBS[verb];
}

const char *outcome_name(enum outcome outcome)
{
    return OUTCOMES[outcome];
}

void *oracle_allocate(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes);
    if (memory == NULL) {
        fprintf(stderr, "oracle: out of memory\n");
        exit(2);
    }
    return memory;
}

char *oracle_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(oracle_allocate(NULL, bytes), text, bytes);
}

static const char *word_or_none(const char *word)
{
    return word != NULL ? word : "-";
}

void history_write(FILE *file, const struct operation *operation)
{
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu32 " %s %s %s %" PRIu64 " = %s %s %" PRIu64 "\n",
            operation->begin_ns, operation->end_ns, operation->client, operation->key,
            VERBS[operation->verb], word_or_none(operation->argument), operation->unique,
            OUTCOMES[operation->outcome], word_or_none(operation->got), operation->got_unique);
}

/* Which of count words it is; count if none. */
static size_t word_of(const char *const *words, size_t count, const char *word)
{
    size_t at = 0;
    while (at < count && strcmp(words[at], word) != 0)
        at++;
    return at;
}

static bool take_number(const char *word, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(word, &end, 10);
    return errno == 0 && end != word && *end == '\0';
}

static char *take_word(const char *word)
{
    return strcmp(word, "-") != 0 ? oracle_copy(word) : NULL;
}

/* Whether line, cut into words here, is an operation. */
static bool parse(char *line, struct operation *operation)
{
    enum { BEGIN, END, CLIENT, KEY, VERB, ARGUMENT, UNIQUE, SIGN, OUTCOME, GOT, GOT_UNIQUE, WORDS };
    char *words[WORDS], *rest = line;
    uint64_t client;
    for (size_t at = 0; at < WORDS; at++)
        if ((words[at] = strtok_r(at == 0 ? line : NULL, " \n", &rest)) == NULL)
            return false;
    size_t verb = word_of(VERBS, VERB_COUNT, words[VERB]);
    size_t outcome = word_of(OUTCOMES, OUTCOME_COUNT, words[OUTCOME]);
    memset(operation, 0, sizeof(*operation));
    if (strtok_r(NULL, " \n", &rest) != NULL || strcmp(words[SIGN], "=") != 0 ||
        verb == VERB_COUNT || outcome == OUTCOME_COUNT ||
        strlen(words[KEY]) > HISTORY_KEY_BYTES_MAX ||
        !take_number(words[BEGIN], &operation->begin_ns) ||
        !take_number(words[END], &operation->end_ns) || !take_number(words[CLIENT], &client) ||
        !take_number(words[UNIQUE], &operation->unique) ||
        !take_number(words[GOT_UNIQUE], &operation->got_unique) ||
        (operation->end_ns == 0) != (outcome == OUTCOME_UNKNOWN))
        return false;
    operation->client = (uint32_t)client;
    operation->verb = (enum verb)verb;
    operation->outcome = (enum outcome)outcome;
    snprintf(operation->key, sizeof(operation->key), "%s", words[KEY]);
    operation->argument = take_word(words[ARGUMENT]);
    operation->got = take_word(words[GOT]);
    return true;
}

long history_read(struct history *history, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t line_room = 0;
    long number = 0, wrong = 0;
    if (file == NULL)
        return -1;
    while (wrong == 0 && getline(&line, &line_room, file) > 0) {
        number++;
        if (history->count == history->room) {
            history->room = history->room * 2 + 1024;
            history->operations =
                oracle_allocate(history->operations, history->room * sizeof(*history->operations));
        }
        if (parse(line, &history->operations[history->count]))
            history->count++;
        else
            wrong = number;
    }
    free(line);
    fclose(file);
    return wrong;
}

static int compare(const void *left_, const void *right_)
{
    const struct operation *left = left_, *right = right_;
    int by_key = strcmp(left->key, right->key);
    if (by_key != 0)
        return by_key;
    return left->begin_ns < right->begin_ns ? -1 : left->begin_ns > right->begin_ns;
}

void history_sort(struct history *history)
{
    qsort(history->operations, history->count, sizeof(*history->operations), compare);
}

void history_close(struct history *history)
{
    for (size_t at = 0; at < history->count; at++) {
        free(history->operations[at].argument);
        free(history->operations[at].got);
    }
    free(history->operations);
    *history = (struct history){0};
}
