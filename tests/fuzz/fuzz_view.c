/* Views as text: any bytes give views that a cluster may have, whose own text parses to the same,
 * whole and by what differs, or a refusal that leaves nothing behind. */
#include "common/buf.h"
#include "common/check.h"
#include "common/view.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct view *view, const struct view *before)
{
    struct buf text = {0}, again_text = {0};
    struct view again;
    view_format(view, before, &text);
    struct span rest = buf_span(&text);
    CHECK(view_parse(&rest, before, &again) == ERR_OK);
    CHECK(rest.len == 0);
    view_format(&again, before, &again_text);
    CHECK(span_equal(buf_span(&text), buf_span(&again_text)));
    view_close(&again);
    buf_close(&text);
    buf_close(&again_text);
}

static void check_view(const struct view *view)
{
    struct view other;
    CHECK(view_is_valid(view));
    view_copy(view, &other);
    view_elect(&other);
    CHECK(view_voter_count(&other) >= 1);
    CHECK(view_voter_count(&other) <= VIEW_VOTERS_MAX);
    view_close(&other);
    if (view_next(view, &other))
        view_close(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    struct view before = {0}, view;
    bool has_before = false;
    while (text.len > 0) {
        enum err err = view_parse(&text, has_before ? &before : NULL, &view);
        CHECK(err == ERR_OK || view.members == NULL);
        if (err)
            break;
        check_view(&view);
        check_again(&view, NULL);
        if (has_before)
            check_again(&view, &before);
        view_close(&before);
        before = view;
        has_before = true;
    }
    view_close(&before);
    return 0;
}
