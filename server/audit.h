/* The audit file: lines of what was asked and of what came of it (server/core/audit_lines.h),
 * appended to a file that may be moved away meanwhile (audit_reopen). What cannot be written is
 * said once in the node's log, and serving goes on. */
#ifndef DHT_SERVER_AUDIT_H
#define DHT_SERVER_AUDIT_H

#include "common/err.h"
#include "common/log.h"

#include <stdio.h>

struct audit {
    struct log log;       /* what lines are written to */
    struct log *node_log; /* borrowed */
    const char *path;     /* borrowed */
    struct moment (*clock)(void);
    FILE *file;      /* NULL: it could not be opened again */
    bool has_failed; /* and that has been said */
};

/* Opens path for appending; lines name the node as node_log does. audit must stay where it is.
 * errors  ERR_IO with errno set. */
MUST_USE enum err audit_open(struct audit *audit, const char *path, struct log *node_log,
                             struct moment (*clock)(void));
/* Opens the file anew, under its old name. If that fails, lines are dropped until the next try. */
void audit_reopen(struct audit *audit);
/* Accepts a zeroed one. */
void audit_close(struct audit *audit);

#endif
