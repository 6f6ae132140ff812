#include "server/core/env.h"

#include "common/check.h"

const char *disconnect_text(enum disconnect why)
{
    static const char *const texts[] = {
#define DISCONNECT_TEXT(name, text) text,
        DISCONNECT_LIST(DISCONNECT_TEXT)
#undef DISCONNECT_TEXT
    };
    CHECK((size_t)why < ARRAY_COUNT(texts));
    return texts[why];
}

struct budget *env_budget(const struct env *env, struct conn_id conn)
{
    const struct session *session = env->session(env->shell, conn);
    return session ? session->out.bytes.budget : NULL;
}
