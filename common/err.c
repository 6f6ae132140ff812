#include "common/err.h"

const char *err_text(enum err err)
{
    static const char *const texts[] = {
#define ERR_TEXT(name, text) text,
        ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
    };
    return (size_t)err < ARRAY_COUNT(texts) ? texts[err] : "unknown error";
}
