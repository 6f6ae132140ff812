/* peers.txt: one host:port a line, # comments, blank lines, CRLF and a missing last newline
 * tolerated. The same file serves every machine. */
#ifndef DHT_COMMON_PEERS_H
#define DHT_COMMON_PEERS_H

#include "common/view.h"

/* Where and what is wrong with a peers.txt. */
struct peers_error {
    uint32_t line;  /* from 1 */
    char text[160]; /* for people, line included: "line 3: a.example:0: the port is not 1-65535" */
};

/* Parses the file's bytes into a view of epoch 1: every line a member, weight 1, up, in name order.
 * view    out: gives (view_close); zero members for an empty file.
 * errors  ERR_SYNTAX: a bad line or two lines of one name; error is filled.
 *         ERR_TOO_LARGE: more than VIEW_MEMBERS_MAX lines. */
MUST_USE enum err peers_parse(struct span text, struct view *view, struct peers_error *error);
/* The same of the first lines alone, at most so many, as they are written. */
MUST_USE enum err peers_parse_first(struct span text, uint32_t lines, struct view *view,
                                    struct peers_error *error);

/* Hash of the normalised list: SHA-1 over the sorted names joined by newlines, first 8 bytes. Two
 * nodes with the same members have the same hash whatever their files' order and comments. */
uint64_t peers_hash(const struct view *view);

/* The index of the member of that name (in normal form), UINT32_MAX if there is none. */
uint32_t peers_find(const struct view *view, const char *name);
/* Whether a member may stand at this IP address and port (in normal form): one has it for its name,
 * or a host name, whose address is not known here, and that port. */
bool peers_may_be(const struct view *view, const char *address);

#endif
