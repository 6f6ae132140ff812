/* The state file: any bytes are refused, or a state whose own text reads back to the same. */
#include "common/check.h"
#include "server/core/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state state, again;
    struct buf text = {0}, again_text = {0};
    const char *why = NULL;
    enum err err = state_parse(span_of((const char *)data, size), &state, &why);
    CHECK(why != NULL);
    if (err)
        return 0;
    if (state.seat == 0)
        state.seat = 1; /* one of the first version */
    state_format(&state, &text);
    CHECK(state_parse(buf_span(&text), &again, &why) == ERR_OK);
    state_format(&again, &again_text);
    CHECK(span_equal(buf_span(&text), buf_span(&again_text)));
    state_close(&state);
    state_close(&again);
    buf_close(&text);
    buf_close(&again_text);
    return 0;
}
