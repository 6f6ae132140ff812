/* peers.txt: any bytes give a view in order, whose own text parses to the same, or a refusal that
 * fits one line. */
#include "common/buf.h"
#include "common/check.h"
#include "common/peers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const struct view *view, const struct peers_error *error)
{
    CHECK(view->member_count == 0);
    CHECK(view->members == NULL);
    CHECK(error->line > 0);
    size_t len = strnlen(error->text, sizeof(error->text));
    CHECK(len > 0);
    CHECK(len < sizeof(error->text));
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)error->text[i] >= ' ');
}

static void check_view(const struct view *view)
{
    CHECK(view->member_count <= VIEW_MEMBERS_MAX);
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (i > 0)
            CHECK(strcmp(view->members[i - 1].name, view->members[i].name) < 0);
        CHECK(peers_find(view, view->members[i].name) == i);
    }
}

/* What a node would write down is what it has read. */
static void check_again(const struct view *view)
{
    struct buf text = {0};
    for (uint32_t i = view->member_count; i-- > 0;)
        buf_printf(&text, "%s\n", view->members[i].name);
    struct view again;
    struct peers_error error;
    CHECK(peers_parse(buf_span(&text), &again, &error) == ERR_OK);
    CHECK(again.member_count == view->member_count);
    for (uint32_t i = 0; i < view->member_count; i++)
        CHECK(strcmp(again.members[i].name, view->members[i].name) == 0);
    CHECK(peers_hash(&again) == peers_hash(view));
    view_close(&again);
    buf_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view view;
    struct peers_error error;
    if (peers_parse(span_of((const char *)data, size), &view, &error)) {
        check_refusal(&view, &error);
        return 0;
    }
    check_view(&view);
    check_again(&view);
    view_close(&view);
    return 0;
}
