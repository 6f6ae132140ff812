#include "tests/sim/ancestry.h"

#include "common/check.h"
#include "server/store/store.h"
#include "tests/sim/grown.h"

#include <stdlib.h>
#include <string.h>

/* The first that is not below epoch. */
static size_t place_of(const struct ancestry *ancestry, uint32_t epoch)
{
    size_t low = 0, high = ancestry->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ancestry->descents[mid].epoch < epoch)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct descent *find(const struct ancestry *ancestry, uint32_t epoch)
{
    size_t place = place_of(ancestry, epoch);
    bool is_known = place < ancestry->count && ancestry->descents[place].epoch == epoch;
    return is_known ? &ancestry->descents[place] : NULL;
}

bool ancestry_note(struct ancestry *ancestry, uint32_t epoch, uint64_t from)
{
    CHECK(store_version_epoch(from) < epoch);
    size_t place = place_of(ancestry, epoch);
    if (place < ancestry->count && ancestry->descents[place].epoch == epoch)
        return ancestry->descents[place].from == from;
    ancestry->descents = grown(ancestry->descents, ancestry->count, &ancestry->capacity,
                               sizeof(*ancestry->descents));
    memmove(ancestry->descents + place + 1, ancestry->descents + place,
            (ancestry->count - place) * sizeof(*ancestry->descents));
    ancestry->descents[place] = (struct descent){epoch, from};
    ancestry->count++;
    return true;
}

bool ancestry_note_lineage(struct ancestry *ancestry, const uint64_t *lineage, uint32_t count)
{
    bool is_good = true;
    for (uint32_t i = 1; i < count; i++)
        is_good &= ancestry_note(ancestry, store_version_epoch(lineage[i]), lineage[i - 1]);
    return is_good;
}

bool ancestry_covers(const struct ancestry *ancestry, const uint64_t *lineage, uint32_t count,
                     uint64_t floor, uint64_t version)
{
    uint32_t epoch = store_version_epoch(version);
    uint32_t i = count;
    while (i > 0 && store_version_epoch(lineage[i - 1]) > epoch)
        i--;
    if (i > 0)
        return store_version_epoch(lineage[i - 1]) == epoch && lineage[i - 1] >= version;
    uint64_t end = count > 0 ? lineage[0] : 0;
    const struct descent *descents = ancestry->descents;
    size_t place =
        store_version_epoch(end) > epoch ? place_of(ancestry, store_version_epoch(end)) : 0;
    while (store_version_epoch(end) > epoch) {
        uint32_t its_epoch = store_version_epoch(end);
        while (place > 0 && (place == ancestry->count || descents[place].epoch > its_epoch))
            place--;
        if (place == ancestry->count || descents[place].epoch != its_epoch)
            return version <= floor;
        end = descents[place].from;
    }
    return store_version_epoch(end) == epoch && end >= version;
}

bool ancestry_is_kept(const struct ancestry *ancestry, const uint64_t *lineage, uint32_t count,
                      uint64_t floor)
{
    if (count == 0)
        return true;
    const struct descent *descent = find(ancestry, store_version_epoch(lineage[0]));
    return !descent || descent->from == 0 || descent->from < floor;
}

void ancestry_close(struct ancestry *ancestry)
{
    free(ancestry->descents);
    *ancestry = (struct ancestry){0};
}
