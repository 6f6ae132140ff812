/* The load engine: connections, and phases of requests over them.
 *
 * One thread, raw epoll. A connection sends a batch of requests with one write and, when all are
 * answered, the next; one read a readiness. Reads, and then writes, of up to 64 connections are
 * made with one system call (volley.h): a generator that needs more processor time than the server
 * makes the server wait, and then measures what waiting costs. With a rate, request i is due at
 * start + i / rate on active connection i mod active, whether or not earlier ones are answered, and
 * its latency counts from then. */
#ifndef DHT_CLIENT_BENCH_LOAD_H
#define DHT_CLIENT_BENCH_LOAD_H

#include "client/bench_answer.h"
#include "client/bench_draw.h"
#include "client/bench_histogram.h"
#include "client/bench_options.h"
#include "client/bench_ring.h"
#include "common/volley.h"

#define BENCH_IN_BYTES   (256u * 1024) /* of one read */
#define BENCH_FILL_BATCH 32u /* requests a batch while keys are stored, if --pipeline is less */

struct bench_connection {
    int fd;                    /* -1: lost */
    bool is_active;            /* sends requests; the others only stay open */
    bool awaits_writing;       /* EPOLLOUT is asked for */
    uint32_t place;            /* of an active one: 0 … active-1 */
    uint32_t server;           /* with a ring: whose keys it asks for */
    uint32_t asked_first;      /* oldest unanswered request within asked */
    uint32_t asked_count;      /* unanswered requests */
    struct bench_asked *asked; /* owned ring of batch_max entries; NULL if not active */
    uint64_t due_count;        /* requests of this phase that are due; counted with a rate only */
    uint64_t sent_count;       /* of this phase */
    uint64_t answer_count;     /* of this phase */
    uint64_t sent_ns;          /* when the last batch left */
    struct buf unsent;         /* what the socket did not take */
    struct bench_answer answer;
};

/* A batch in bench_load.out. */
struct bench_leaving {
    struct bench_connection *connection;
    size_t bytes;
};

/* What a phase brought. As keys, a get of n counts n and a set one. */
struct bench_result {
    uint64_t request_count, key_count;
    uint64_t hit_count, miss_count, set_count; /* keys found, keys not found, keys stored */
    uint64_t refused_count;                    /* requests answered by an error line */
    uint64_t wrong_count;                      /* answers of a wrong shape, key or length */
    uint64_t lost_count;   /* connections the server closed, or that fell silent */
    uint64_t unsent_count; /* with a rate: due, but not sent before the end */
    uint64_t elapsed_ns;
    struct bench_histogram latency_ns; /* of requests */
};

/* One request: the clock is CLOCK_MONOTONIC. */
struct bench_latency {
    uint64_t from_ns; /* when it was due; without a rate: when its batch left */
    uint64_t latency_ns;
};

enum bench_phase_kind { BENCH_FILL, BENCH_MIX };

struct bench_phase {
    enum bench_phase_kind kind; /* fill: sets of keys 0, 1, 2 …; mix: as the options say */
    uint64_t request_count;     /* UINT64_MAX: until duration_ns is over */
    uint64_t duration_ns;       /* UINT64_MAX: until request_count are answered */
    double rate;                /* requests a second; 0: as fast as answers come */
    uint32_t batch;             /* requests a write, 1 … batch_max */
    struct buf *latencies;      /* borrowed; a struct bench_latency of each answer; NULL: none */
};

struct bench_load {
    const struct bench_options *options; /* borrowed */
    const struct bench_dialect *dialect; /* borrowed */
    const struct bench_ring *ring;       /* borrowed; NULL: any server is asked for any key */
    struct bench_draw draw;
    struct prng prng;
    struct bench_connection *connections; /* owned; options->clients of them */
    struct bench_connection **active;     /* owned; options->active of them, evenly spread */
    uint32_t live_count;                  /* active ones not lost */
    uint32_t batch_max;                   /* requests */
    int epoll_fd;
    struct volley *volley;
    char *in;       /* owned; for the reads of a volley, BENCH_IN_BYTES each */
    struct buf out; /* batches that leave with the next volley; empty between volleys */
    struct bench_leaving leaving[VOLLEY_CALLS_MAX]; /* whose they are */
    uint32_t leaving_count;
    /* Of the phase that runs: */
    struct bench_phase phase;
    struct bench_result *result;        /* borrowed */
    uint64_t start_ns, end_ns;          /* from end_ns on no request is sent */
    uint64_t issued_count;              /* requests sent, or with a rate: due */
    uint32_t filled[BENCH_SERVERS_MAX]; /* with a ring: keys of each server that are issued */
    uint64_t waiting_count;             /* due but not sent, on live connections */
    uint64_t unanswered_count;          /* sent but not answered */
};

/* Connects all clients, one after the other; load is valid (bench_load_close) on every path.
 * options, dialect and ring (NULL: any server is asked for any key) are borrowed until the load is
 * closed.
 * errors  ERR_USAGE, ERR_CONNECT, each with a line on stderr. */
MUST_USE enum err bench_load_open(struct bench_load *load, const struct bench_options *options,
                                  const struct bench_dialect *dialect,
                                  const struct bench_ring *ring);
void bench_load_close(struct bench_load *load);

/* Runs one phase until every request sent is answered or its connection lost. Lost connections stay
 * lost for later phases.
 * result  out: filled whole. */
void bench_load_run(struct bench_load *load, const struct bench_phase *phase,
                    struct bench_result *result);

#endif
