/* The meta commands mg ms md ma me; called by command.c only. */
#ifndef DHT_SERVER_CORE_META_H
#define DHT_SERVER_CORE_META_H

#include "common/request.h"
#include "server/core/executor.h"

/* Executes one of CMD_META_GET … CMD_META_DEBUG; as command_execute. */
void meta_execute(struct executor *executor, const struct request *request,
                  const struct store_key *key, struct reply *out);

#endif
