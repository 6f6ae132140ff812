#include "client/bench_keys.h"

#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

void bench_keys_init(struct bench_keys *keys, uint32_t count, uint32_t key_bytes)
{
    CHECK(count > 0 && count <= BENCH_KEY_COUNT_MAX);
    CHECK(key_bytes >= BENCH_KEY_DIGITS && key_bytes <= BENCH_KEY_BYTES_MAX);
    static const char name[] = "bench:";
    *keys = (struct bench_keys){.count = count, .key_bytes = key_bytes};
    memset(keys->prefix, '-', sizeof(keys->prefix));
    memcpy(keys->prefix, name, sizeof(name) - 1);
}

static bool is_key(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] <= ' ' || line[i] == 0x7f)
            return false;
    return len > 0 && len <= BENCH_KEY_BYTES_MAX;
}

static void table_append(struct bench_keys *keys, const char *line)
{
    size_t len = keys->key_bytes;
    if ((keys->count & (keys->count - 1)) == 0) { /* full at every power of two */
        size_t capacity = keys->count == 0 ? 1 : (size_t)keys->count * 2;
        keys->table = realloc(keys->table, capacity * len);
        CHECK(keys->table != NULL);
    }
    memcpy(keys->table + keys->count * len, line, len);
    keys->count++;
}

enum err bench_keys_read(struct bench_keys *keys, const char *path)
{
    *keys = (struct bench_keys){0};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return ERR_IO;
    enum err err = ERR_OK;
    char *line = NULL;
    size_t size = 0;
    ssize_t got;
    while (err == ERR_OK && (got = getline(&line, &size, file)) >= 0) {
        size_t len = (size_t)got - (got > 0 && line[got - 1] == '\n' ? 1 : 0);
        if (keys->count == 0)
            keys->key_bytes = (uint32_t)len;
        if (len != keys->key_bytes || !is_key(line, len) || keys->count == BENCH_KEY_COUNT_MAX)
            err = ERR_SYNTAX;
        else
            table_append(keys, line);
    }
    if (err == ERR_OK && ferror(file))
        err = ERR_IO;
    if (err == ERR_OK && keys->count == 0)
        err = ERR_SYNTAX;
    free(line);
    fclose(file);
    if (err != ERR_OK)
        bench_keys_close(keys);
    return err;
}

void bench_keys_close(struct bench_keys *keys)
{
    free(keys->table);
    *keys = (struct bench_keys){0};
}
