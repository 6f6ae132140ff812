#include "common/view.h"

#include <stdlib.h>
#include <string.h>

bool view_equal(const struct view *a, const struct view *b)
{
    if (a->member_count != b->member_count)
        return false;
    for (uint32_t i = 0; i < a->member_count; i++)
        if (strcmp(a->members[i].name, b->members[i].name) != 0 ||
            a->members[i].weight != b->members[i].weight ||
            a->members[i].is_up != b->members[i].is_up)
            return false;
    return true;
}

void view_close(struct view *view)
{
    free(view->members);
    *view = (struct view){0};
}
