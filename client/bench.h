/* kvcli bench: a load generator for memcached's text protocol and, for comparison, Redis' RESP.
 *
 * One thread, raw epoll, one write and one read a batch: cheap enough to saturate a server from the
 * other core of a two-core machine, and it says what it cost itself, so that a reader can check.
 * Every answer is checked (shape, key, value length); a latency begins when its request was meant
 * to leave, so a stalled server is charged for the requests it held up.
 *
 * Modules, each knowing only later ones: bench, bench_report, bench_load, bench_ring,
 * bench_connect, bench_cpu, bench_answer, bench_dialect, bench_keys, bench_draw, bench_histogram,
 * bench_options. */
#ifndef DHT_CLIENT_BENCH_H
#define DHT_CLIENT_BENCH_H

/* Runs one benchmark; argv[0] is "bench", the options follow. Prints the result on stdout, errors
 * on stderr.
 * returns  kvcli's exit code: 0 done, 1 an answer was wrong, 2 usage, 3 a server could not be
 *          reached or fell silent, 4 a server refused requests. */
int bench_main(int argc, char **argv);

#endif
