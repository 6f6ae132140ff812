/* One client of a real cluster: asks one thing at a time, each time through a node drawn anew, and
 * keeps account of every answer. What a node says was not done is asked once more, through another
 * node, at once; with request ids so is what is unknown, until it is known or RETRY_LIMIT_NS is
 * over.
 *
 * A connection that gave no whole answer is closed: a write it carried is unknown. A node that
 * cannot be connected to was not asked, and is left out for a second. */
#ifndef DHT_ORACLE_CLIENT_H
#define DHT_ORACLE_CLIENT_H

#include "tests/oracle/history.h"

#include "common/prng.h"

#include <netinet/in.h>

#define NODES_MAX     64u
#define DIAL_LIMIT_NS 400000000ull /* for a connection */
#define PAUSE_NS      10000000ull /* before a third attempt, and after a node that could not be had */
#define AVOID_NS      1000000000ull /* for a node that could not be had */
#define RETRY_WANTED_NS                                                                            \
    1000000000ull /* a refused request is to succeed within, on its first retry */
#define RETRY_LIMIT_NS    20000000000ull /* of an operation with a request id */
#define ANSWER_BYTES_MAX  16384u
#define REQUEST_BYTES_MAX 1024u
#define WORDING_BYTES_MAX 64u
#define WORDINGS_MAX      16u
#define LIST_BYTES_MAX    4000u /* a list that long is only read */

struct node {
    const char *name; /* host:port */
    struct sockaddr_in address;
    uint64_t avoided_until_ns;
};

/* How often a refusal was worded so, up to its first digit. */
struct wording {
    char text[WORDING_BYTES_MAX];
    uint64_t count;
};

/* What came of first attempts and of their retries. */
struct totals {
    uint64_t operations; /* begun, and ended somehow */
    uint64_t by_verb[VERB_COUNT];
    uint64_t by_outcome[OUTCOME_COUNT];
    uint64_t refused;         /* first attempts answered "not done" */
    uint64_t unknown;         /* … "outcome unknown" */
    uint64_t broken;          /* … whose connection ended before the answer */
    uint64_t silent;          /* … not answered within the client's patience */
    uint64_t unreached;       /* nodes that could not be connected to; another was asked */
    uint64_t retried_in_time; /* first retries of a refused request that succeeded within 1 s */
    uint64_t retried_late;    /* … that succeeded after that */
    uint64_t retried_in_vain; /* … that did not succeed */
    uint64_t retried_slowest_ns;
    uint64_t repeated_ids;       /* attempts with a request id that had been sent before */
    uint64_t wrong;              /* answers that are no answer to what was asked */
    uint64_t refused_slowest_ns; /* of answers that are no success: from the request to them */
    char complaint[160];         /* the last answer that was none to what was asked */
    struct wording wordings[WORDINGS_MAX];
};

struct load_options {
    uint32_t client_count;
    uint32_t register_count, counter_count, list_count; /* keys of each kind */
    uint32_t read_percent;
    double rate;       /* operations a second, all clients together; 0: as fast as answers come */
    double duration_s; /* 0: until SIGTERM or SIGINT */
    uint64_t patience_ns; /* for an answer */
    uint64_t seed;
    const char *prefix; /* of keys */
    bool has_ids;       /* writes carry request ids */
    bool is_sweep;      /* read every key once, and end */
};

/* What all clients share. */
struct shared {
    const struct load_options *options;
    struct node nodes[NODES_MAX];
    uint32_t node_count;
    int epoll;
    FILE *history; /* NULL: none */
    struct totals totals;
    uint64_t *uniques;      /* by key number: the last one seen of a register, 0 none */
    bool *is_made;          /* by key number: the counter or list has been created */
    bool *is_full;          /* by key number: the list is LIST_BYTES_MAX long */
    uint32_t *latencies_us; /* of successes */
    size_t latency_count, latency_room;
    uint32_t swept; /* sweep: keys given out */
    bool is_ending; /* nothing new is begun */
};

enum client_state {
    CLIENT_IDLE, /* begins again at due_ns */
    CLIENT_DIALLING,
    CLIENT_PAUSING, /* before another attempt */
    CLIENT_WAITING,
    CLIENT_ENDED
};

struct client {
    struct shared *shared;
    uint32_t number;
    enum client_state state;
    struct prng prng;
    uint64_t due_ns; /* when it begins, or gives up what it waits for */
    struct operation operation;
    uint32_t key_number;
    uint32_t node;
    uint32_t attempt;    /* 1: the first */
    uint64_t attempt_ns; /* when this one began */
    uint64_t refused_ns; /* when the first attempt was answered "not done"; 0: it was not */
    bool was_unknown;    /* an attempt with this id may have been carried out */
    char id[33];
    char answer[ANSWER_BYTES_MAX];
    size_t answer_bytes;
    int fds[NODES_MAX]; /* -1: no connection */
};

/* CLOCK_MONOTONIC. */
uint64_t oracle_now_ns(void);
void client_init(struct client *client, struct shared *shared, uint32_t number, uint64_t now);
/* Time has come: something is due. */
void client_tick(struct client *client, uint64_t now);
/* Its connection to a node has something to say (epoll's events). */
void client_ready(struct client *client, uint32_t node, uint32_t events, uint64_t now);
void client_close(struct client *client);

#endif
