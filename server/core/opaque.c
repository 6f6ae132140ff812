#include "server/core/opaque.h"

static bool begins_with(struct span text, struct span word)
{
    return text.len >= word.len && memcmp(text.data, word.data, word.len) == 0;
}

/* No meta answer begins so. */
static bool is_error(struct span text)
{
    return begins_with(text, SPAN_LITERAL("SERVER_ERROR ")) ||
           begins_with(text, SPAN_LITERAL("CLIENT_ERROR ")) ||
           begins_with(text, SPAN_LITERAL("ERROR"));
}

void opaque_mark(struct reply *answer, struct span opaque)
{
    const struct span end = SPAN_LITERAL("\r\n");
    struct span text = buf_span(&answer->bytes);
    if (answer->piece_count > 0 || text.len < end.len || !is_error(text))
        return;
    answer->bytes.end -= end.len;
    reply_append(answer, SPAN_LITERAL(" O"));
    reply_append(answer, opaque);
    reply_append(answer, end);
}
