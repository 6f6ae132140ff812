/* What the audit file says (server/audit.h writes it): a line for each request, of the node that
 * carried it out, and one for each copy that what it wrote was applied to, of the node that has the
 * copy; they name the same key and version. A write to a key with three copies makes one and three
 * lines. Never a whole key, never a value. */
#ifndef DHT_SERVER_CORE_AUDIT_LINES_H
#define DHT_SERVER_CORE_AUDIT_LINES_H

#include "common/log.h"
#include "common/request.h"

/* Who asked for what. */
struct audited {
    struct span client;
    uint64_t number;
    const char *entry; /* name of the node that the request came in through */
    enum command command;
    uint64_t position; /* of the key, if it has one */
    uint64_t version;  /* of what it wrote; 0: nothing */
};

/* A request has been answered: of the answer the first word tells. */
void audit_request(struct log *audit, struct moment now, const struct audited *audited,
                   struct span answer);

enum applied_as {
    APPLIED_AS_WRITE, /* just made here, or come from where it was just made */
    APPLIED_AS_REPAIR /* sent to bring a copy up to date */
};

/* What a copy here has now of a key; what: item, tombstone, absent, or nothing if only the version
 * counts. */
void audit_applied(struct log *audit, struct moment now, uint64_t position, uint64_t version,
                   const char *what, enum applied_as as);

#endif
