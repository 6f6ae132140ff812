#include "common/view.h"

#include <stdlib.h>

void view_close(struct view *view)
{
    free(view->members);
    *view = (struct view){0};
}
