#include "server/store/keys.h"

#include "common/check.h"

#include <stdlib.h>

#define HEAD_BYTES     (sizeof(uint64_t) + 1)
#define ROOM_BYTES_MIN 4096u

void keys_close(struct keys *keys)
{
    free(keys->bytes);
    *keys = (struct keys){0};
}

void keys_clear(struct keys *keys)
{
    keys->begin = keys->end = 0;
}

static void make_room(struct keys *keys, size_t bytes)
{
    if (keys->end + bytes <= keys->room)
        return;
    if (keys->begin > 0)
        memmove(keys->bytes, keys->bytes + keys->begin, keys_bytes(keys));
    keys->end -= keys->begin;
    keys->begin = 0;
    if ((keys->end + bytes) * 2 <= keys->room)
        return;
    keys->room = (keys->end + bytes) * 2;
    if (keys->room < ROOM_BYTES_MIN)
        keys->room = ROOM_BYTES_MIN;
    keys->bytes = realloc(keys->bytes, keys->room);
    CHECK(keys->bytes != NULL);
}

void keys_append(struct keys *keys, const struct store_key *key)
{
    CHECK(key->bytes.len > 0);
    CHECK(key->bytes.len <= UINT8_MAX);
    make_room(keys, HEAD_BYTES + key->bytes.len);
    char *to = keys->bytes + keys->end;
    memcpy(to, &key->position, sizeof(key->position));
    to[sizeof(key->position)] = (char)key->bytes.len;
    memcpy(to + HEAD_BYTES, key->bytes.data, key->bytes.len);
    keys->end += HEAD_BYTES + key->bytes.len;
}

bool keys_take(struct keys *keys, struct store_key *key)
{
    if (keys->begin == keys->end)
        return false;
    const char *from = keys->bytes + keys->begin;
    memcpy(&key->position, from, sizeof(key->position));
    key->index = 0;
    key->bytes = span_of(from + HEAD_BYTES, (uint8_t)from[sizeof(key->position)]);
    keys->begin += HEAD_BYTES + key->bytes.len;
    CHECK(keys->begin <= keys->end);
    return true;
}
