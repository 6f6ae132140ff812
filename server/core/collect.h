/* Collect: what a new primary has to know before it may lead a slot, and which copy it goes on
 * with. Pure decisions on what was answered (proto.md, "Becoming primary", 1 and 2).
 *
 * Whoever may answer is a giver, a (name, generation), known by its index in an array of answers of
 * one slot. Knows no messages, no time, and not how givers are asked. */
#ifndef DHT_SERVER_CORE_COLLECT_H
#define DHT_SERVER_CORE_COLLECT_H

#include "common/ring.h"

#define GIVER_NONE UINT16_MAX

/* What a giver's copy of the slot states. Zeroed: no answer. */
struct collect_answer {
    uint64_t ver;
    uint32_t act;
    bool is_there;
    bool is_clean;
};

/* The slot's group in one epoch, as givers. */
struct collect_group {
    uint16_t members[RING_COPIES_MAX]; /* up or down then */
    uint32_t size;
    uint16_t primary; /* the first of them that was up; GIVER_NONE: none was */
};

/* Tells the slot's group in an epoch. Returns false if that is not known. */
typedef bool collect_group_fn(void *arg, uint32_t epoch, struct collect_group *group);

/* Whether what the epoch needs has been answered: nothing if no member of the group was up, else
 * the answer of its primary, or those of size - W + 1 of its members, up or down alike. */
bool collect_is_covered(const struct collect_group *group, const struct collect_answer *answers);

/* Whether enough has been answered to lead the slot in epoch: every epoch from
 * low = max(base, every act answered) to epoch - 1 is covered. An epoch whose group is not known is
 * not.
 * missing  out: the lowest epoch that is not covered; may be NULL. */
bool collect_is_settled(uint32_t base, uint32_t epoch, const struct collect_answer *answers,
                        uint32_t count, collect_group_fn *group_of, void *arg, uint32_t *missing);

/* The giver of the greatest (act, ver); own on a tie. own has answered. */
uint32_t collect_choose(const struct collect_answer *answers, uint32_t count, uint32_t own);

/* Another member of the slot's group. */
struct floor_member {
    bool is_synced; /* in this epoch */
    uint64_t acked; /* the version it has acknowledged, if so */
};

/* How high the floor of an active slot may be (proto.md "Serving"): no higher than the
 * primary's own ver, what every other member of the group has acknowledged in this epoch (down ones
 * too), and what the sessions allow.
 *
 * sessions_max  UINT64_MAX if no session bounds it. */
uint64_t collect_floor(uint64_t own_ver, const struct floor_member *others, uint32_t count,
                       uint64_t sessions_max);

#endif
