#include "tests/sim/grown.h"

#include "common/check.h"

#include <stdlib.h>

void *grown(void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity ? *capacity * 2 : 16;
    list = realloc(list, *capacity * size);
    CHECK(list != NULL);
    return list;
}
