/* Carries out operations: makes requests, pipelines them to as many servers as lead their keys, and
 * tells the answers in the operations' order. */
#ifndef DHT_CLIENT_DHT_RUN_H
#define DHT_CLIENT_DHT_RUN_H

#include "client/dht_client.h"

/* As dht_run, of operations whose arguments are good. */
enum dht_result run_ops(struct dht *dht, const struct dht_op *ops, size_t op_count,
                        dht_answer_fn *hear, void *arg);

#endif
