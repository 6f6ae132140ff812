#include "server/core/audit_lines.h"

#include <inttypes.h>
#include <stdio.h>

#define HEX_BYTES (2 * sizeof(uint64_t) + 1)

void audit_request(struct log *audit, struct moment now, const struct audited *audited,
                   struct span answer)
{
    char key[HEX_BYTES] = "-", version[HEX_BYTES] = "-";
    if (command_has_key(audited->command))
        snprintf(key, sizeof(key), "%016" PRIx64, audited->position);
    if (audited->version > 0)
        snprintf(version, sizeof(version), "%" PRIx64, audited->version);
    size_t len = 0;
    while (len < answer.len && answer.data[len] > ' ')
        len++;
    log_line(audit, now, LOG_INFO, "request",
             "client=%.*s number=%" PRIu64 " entry=%s command=%s key=%s version=%s outcome=%.*s",
             (int)audited->client.len, audited->client.data, audited->number, audited->entry,
             command_word(audited->command), key, version, len > 0 ? (int)len : 4,
             len > 0 ? answer.data : "none");
}

void audit_applied(struct log *audit, struct moment now, uint64_t position, uint64_t version,
                   const char *what, enum applied_as as)
{
    log_line(audit, now, LOG_INFO, "applied",
             "key=%016" PRIx64 " version=%" PRIx64 " what=%s as=%s", position, version, what,
             as == APPLIED_AS_WRITE ? "write" : "repair");
}
