#include "tests/sim/heard.h"

#include "common/answer.h"

static enum heard_kind kind_of(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_VALUE:
        return HEARD_VALUE;
    case ANSWER_END:
        return HEARD_END;
    case ANSWER_STORED:
        return HEARD_STORED;
    case ANSWER_NOT_STORED:
        return HEARD_NOT_STORED;
    case ANSWER_DELETED:
        return HEARD_DELETED;
    case ANSWER_NOT_FOUND:
        return HEARD_NOT_FOUND;
    case ANSWER_NUMBER:
        return HEARD_NUMBER;
    case ANSWER_VERSION:
        return HEARD_VERSION;
    case ANSWER_NOT_DONE:
        return HEARD_NOT_DONE;
    case ANSWER_OUTCOME_UNKNOWN:
        return HEARD_UNKNOWN;
    case ANSWER_META_DATA:
        return HEARD_HIT;
    case ANSWER_META_DONE:
        return HEARD_META_DONE;
    case ANSWER_META_MISS:
        return HEARD_META_MISS;
    case ANSWER_META_NOT_FOUND:
        return HEARD_META_ABSENT;
    case ANSWER_META_NOT_STORED:
        return HEARD_META_NOT_STORED;
    case ANSWER_META_EXISTS:
        return HEARD_META_EXISTS;
    case ANSWER_EXISTS:
        return HEARD_EXISTS;
    case ANSWER_TOUCHED:
        return HEARD_TOUCHED;
    case ANSWER_OK:
        return HEARD_OK;
    case ANSWER_BUSY:
        return HEARD_BUSY;
    case ANSWER_CLIENT_ERROR:
        return HEARD_CLIENT_ERROR;
    case ANSWER_SERVER_ERROR:
        return HEARD_SERVER_ERROR;
    case ANSWER_RETURN_PORT:
        return HEARD_RETURN_PORT;
    default:
        return HEARD_OTHER;
    }
}

struct heard heard_parse(struct span in, uint32_t value_bytes_max)
{
    struct answer answer;
    size_t consumed, need;
    switch (answer_parse(in.data, in.len, value_bytes_max, &answer, &consumed, &need)) {
    case ANSWER_MORE:
        return (struct heard){.kind = HEARD_MORE};
    case ANSWER_BAD:
        return (struct heard){.kind = HEARD_BAD};
    case ANSWER_DONE:
        break;
    }
    return (struct heard){.kind = kind_of(answer.kind),
                          .name = answer.name,
                          .value = answer.value,
                          .text = answer.text,
                          .opaque = answer.opaque,
                          .number = answer.number,
                          .cas = answer.cas,
                          .flags = answer.flags,
                          .consumed = consumed};
}
