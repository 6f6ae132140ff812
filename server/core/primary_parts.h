/* What the files of primary share. Nobody else includes this.
 *
 *     primary          a view adopted, events, what serves
 *     primary_rest     floors, leftovers, what is told of itself
 *     primary_collect  rules 1 and 2: asking, judging, choosing; loss of quorum
 *     primary_lead     rules 3 and 4: sessions to backups and learners, activation
 *
 * Each calls only those below it. */
#ifndef DHT_SERVER_CORE_PRIMARY_PARTS_H
#define DHT_SERVER_CORE_PRIMARY_PARTS_H

#include "server/core/primary.h"

/* --- primary_rest ----------------------------------------------------------------------------- */

/* Raises the floors that may be. */
void primary_look_at_floors(struct primary *primary);
/* Asks about copies held of slots whose group lacks this node. */
void primary_ask_holding(struct primary *primary, struct moment now);
enum err primary_take_holding(struct primary *primary, struct span body, struct reply *out);
enum err primary_take_active(struct primary *primary, struct span body);

/* --- primary_collect -------------------------------------------------------------------------- */

/* Makes the givers of the view just adopted; frees those of the one before. */
void primary_make_givers(struct primary *primary);
void primary_drop_givers(struct primary *primary);
/* Begins all runs: leads at once what the own answer settles, else it collects. */
void primary_begin(struct primary *primary, struct moment now);
/* Asks whom it is time to ask. */
void primary_ask(struct primary *primary, struct moment now);
enum err primary_take_copies(struct primary *primary, const struct link *link,
                             const struct message *message, struct moment now);
/* Answers COLLECT. */
enum err primary_answer_collect(struct primary *primary, const struct message *message,
                                struct reply *out);
/* The data link to a peer has ended: its answers are dropped. It has come up: it is asked. */
void primary_giver_lost(struct primary *primary, uint32_t peer, struct moment now);
void primary_giver_up(struct primary *primary, uint32_t peer, struct moment now);
void primary_pulled(struct primary *primary, struct run *run, const struct sync_event *event);
void primary_pull_failed(struct primary *primary, struct run *run, const struct sync_event *event,
                         struct moment now);
/* Loss of a quorum: goes on without those who are gone. */
void primary_look_who_is_gone(struct primary *primary, struct moment now);

/* --- primary_lead ----------------------------------------------------------------------------- */

/* Rule 3. origin: of the chosen copy, which is here by now. */
void primary_lead(struct primary *primary, struct run *run, const struct collect_answer *origin);
/* Begins the sessions that are missing. */
void primary_bring(struct primary *primary, struct moment now);
void primary_became(struct primary *primary, struct run *run, const struct sync_event *event);
void primary_ended(struct primary *primary, struct run *run, const struct sync_event *event,
                   struct moment now);
/* What has changed of a run may change whether its slot is active, and whether it serves. */
void primary_judge(struct primary *primary, struct run *run);

/* --- small ------------------------------------------------------------------------------------ */

/* How many of a few bits are set. The compiler's own is a call where the processor may be old. */
static inline uint32_t bits_count(uint32_t bits)
{
    uint32_t count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

/* Left in a frame's body by a last record. */
#define RANGES_BYTES_MAX (FRAME_BODY_BYTES_MAX - 64u)

/* Adds a slot to a list of RANGEs that is being made in ascending order. */
struct ranges {
    struct buf *out;
    uint32_t first, end; /* of the range not written yet; equal: none */
};
static inline void ranges_end(struct ranges *ranges)
{
    if (ranges->first < ranges->end)
        record_append(ranges->out,
                      &(struct record){.kind = RECORD_RANGE,
                                       .RANGE = {.first = (uint16_t)ranges->first,
                                                 .last = (uint16_t)(ranges->end - 1)}});
    ranges->first = ranges->end = 0;
}
static inline void ranges_add(struct ranges *ranges, uint32_t slot)
{
    if (ranges->first < ranges->end && ranges->end == slot) {
        ranges->end++;
        return;
    }
    ranges_end(ranges);
    ranges->first = slot;
    ranges->end = slot + 1;
}

#endif
