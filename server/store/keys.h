/* A queue of keys that the leader has to be told of: what expired, what was evicted. */
#ifndef DHT_SERVER_STORE_KEYS_H
#define DHT_SERVER_STORE_KEYS_H

#include "server/store/store.h"

struct keys {
    char *bytes;  /* of each: position 8, length 1, the key */
    size_t begin; /* of the first */
    size_t end;
    size_t room;
};

/* Frees everything; accepts a zeroed queue and leaves one. */
void keys_close(struct keys *keys);
/* Forgets all. */
void keys_clear(struct keys *keys);
static inline size_t keys_bytes(const struct keys *keys)
{
    return keys->end - keys->begin;
}
/* Appends a key; copies it. */
void keys_append(struct keys *keys, const struct store_key *key);
/* Takes the first; false if there is none. key borrows until the next append. */
bool keys_take(struct keys *keys, struct store_key *key);

#endif
