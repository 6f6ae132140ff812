/* The state file: any bytes are either exactly what a node writes, or refused. */
#include "common/check.h"
#include "server/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state state;
    const char *why = NULL;
    enum err err = state_parse(span_of((const char *)data, size), &state, &why);
    CHECK(why != NULL);
    if (err)
        return 0;
    char text[STATE_TEXT_BYTES_MAX];
    size_t len = state_format(&state, text);
    CHECK(len == size);
    CHECK(memcmp(text, data, size) == 0);
    return 0;
}
