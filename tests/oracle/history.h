/* What clients asked of a real cluster and what they were told: one operation a line of a text
 * file.
 *
 *     <begin ns> <end ns> <client> <key> <verb> <argument> <unique> = <outcome> <got> <got unique>
 *
 * Times are CLOCK_MONOTONIC of one machine; end is 0 where the outcome never became known. Words
 * have no spaces and are never empty: `-` stands for none. The letter before a key's digits says of
 * what kind it is: n a counter, l a list, else a register. Several files of one cluster may be
 * judged together. */
#ifndef DHT_ORACLE_HISTORY_H
#define DHT_ORACLE_HISTORY_H

#include "common/base.h"

#include <stdio.h>

#define HISTORY_KEY_BYTES_MAX 40u

enum verb {
    VERB_GETS,
    VERB_SET,
    VERB_ADD,
    VERB_REPLACE,
    VERB_CAS,
    VERB_APPEND,
    VERB_DELETE,
    VERB_INCR,
    VERB_TOUCH,
    VERB_COUNT
};

enum outcome {
    OUTCOME_DONE,       /* a value, STORED, DELETED, TOUCHED, a number */
    OUTCOME_ABSENT,     /* END, NOT_FOUND */
    OUTCOME_NOT_STORED, /* the condition of add, replace or append did not hold */
    OUTCOME_EXISTS,     /* that of cas */
    OUTCOME_NOT_DONE,   /* the server says that nothing happened */
    OUTCOME_UNKNOWN,    /* it may have happened, once or never, from begin on */
    OUTCOME_COUNT
};

struct operation {
    uint64_t begin_ns;
    uint64_t end_ns;     /* of the answer; 0: UNKNOWN */
    uint64_t unique;     /* cas: what was asked for */
    uint64_t got_unique; /* gets: of the value; 0: none */
    char *argument;      /* owned; set … append: the value; incr: the delta; else NULL */
    char *got;           /* owned; gets: the value; incr: the number; else NULL */
    uint32_t client;
    enum verb verb;
    enum outcome outcome;
    char key[HISTORY_KEY_BYTES_MAX + 1];
};

struct history {
    struct operation *operations; /* owned */
    size_t count, room;
};

/* The word of a verb, as the protocol has it; of an outcome, as the file has it. */
const char *verb_name(enum verb verb);
const char *outcome_name(enum outcome outcome);

/* Writes one line. */
void history_write(FILE *file, const struct operation *operation);
/* Adds the operations of a file to history.
 * returns  the number of the line that is none, 0 if all are, -1 if the file cannot be read
 * (errno). */
long history_read(struct history *history, const char *path);
/* Orders them by key, then by begin. */
void history_sort(struct history *history);
void history_close(struct history *history);

/* Memory or the end of the program. */
void *oracle_allocate(void *old, size_t bytes);
char *oracle_copy(const char *text);

#endif
