/* How the state file lies on disk: two halves of equal size, each with a text of its own. A change
 * overwrites the half with the older text, so that the other one is there whatever becomes of it;
 * the newer of those that are whole counts. Pure; server/state_file.h reads and writes it.
 *
 *     dht-half 1 <half bytes> <sequence> <text bytes> <crc32c>\n<text><zeros>
 *
 * The numbers are hexadecimal, of 8, 16, 8 and 8 digits. Sequences count the changes of one file
 * from 1; odd ones are in the first half, even ones in the second, so no two are equal. The CRC is
 * over the line up to the space before it, then the text. A half that was never written is zeros.
 *
 * A half that is neither whole nor zeros is damaged: the machine failed while it was written, which
 * nobody had been told of yet, or it was lost on the disk later. If its line says that it is the
 * older one, nothing is missing either way; else nobody can tell the two apart, and the caller says
 * what may be missing.
 *
 * Files of earlier versions are the text alone. */
#ifndef DHT_SERVER_STATE_HALVES_H
#define DHT_SERVER_STATE_HALVES_H

#include "common/buf.h"
#include "common/err.h"

/* Larger than a block of any file system and of any disk: none is written for both halves. */
#define HALF_BYTES_MIN   (64u << 10)
#define HALF_BYTES_MAX   (64u << 20)
#define HALVES_BYTES_MAX (2u * HALF_BYTES_MAX)

/* How large the halves of a new file are: a text of twice that length will fit, unless that is more
 * than HALF_BYTES_MAX.
 * text_bytes  at most STATE_TEXT_BYTES_MAX (CHECKed). */
uint32_t halves_size(size_t text_bytes);
/* Whether a text fits. */
bool halves_fit(uint32_t half_bytes, size_t text_bytes);
/* Which half that change is in: 0 or 1. sequence: from 1. */
uint32_t halves_which(uint64_t sequence);
/* Appends one half, which is exactly half_bytes. The text fits (CHECKed). */
void halves_format(uint32_t half_bytes, uint64_t sequence, struct span text, struct buf *out);

/* Which half was read, and what the other one looks like. */
struct halves_read {
    uint64_t sequence; /* of the text's half; 0: the file is a text alone */
    bool is_damaged;   /* the other half is */
    uint64_t damaged;  /* the sequence that its line says; 0: not to be read */
};
/* Whether a change may be missing: the damaged half is not known to be the older one. */
bool halves_may_lack(const struct halves_read *read);

/* Finds the text in a file's bytes: that of the newer half that is whole, or all of it if it begins
 * as a text does.
 * text    out: borrowed from file.
 * read    out.
 * why     out on error: a static text for people.
 * errors  ERR_SYNTAX: no half is whole, or the file is not as long as its halves say. */
MUST_USE enum err halves_parse(struct span file, struct span *text, struct halves_read *read,
                               const char **why);

#endif
