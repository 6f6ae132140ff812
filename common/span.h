/* A span: bytes borrowed from somebody else. It dies with the call that brought it; whoever keeps
 * the bytes copies them into a buf. Never NUL-terminated, may hold any byte. */
#ifndef DHT_COMMON_SPAN_H
#define DHT_COMMON_SPAN_H

#include "common/base.h"

#include <string.h>

struct span {
    const char *data; /* NULL only if len is 0 */
    size_t len;       /* bytes */
};

#define SPAN_LITERAL(text) ((struct span){(text), sizeof(text) - 1})

static inline struct span span_of(const char *data, size_t len)
{
    return (struct span){data, len};
}

static inline struct span span_of_string(const char *text)
{
    return (struct span){text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Takes the first word off words, and the spaces behind it; empty if there is none. words must not
 * begin with a space. */
static inline struct span span_take_word(struct span *words)
{
    const char *space = words->len > 0 ? memchr(words->data, ' ', words->len) : NULL;
    struct span word = span_of(words->data, space ? (size_t)(space - words->data) : words->len);
    size_t taken = word.len;
    while (taken < words->len && words->data[taken] == ' ')
        taken++;
    *words = span_of(words->data + taken, words->len - taken);
    return word;
}

/* Whether one of the words is that. words as above. */
static inline bool span_has_word(struct span words, struct span word)
{
    while (words.len > 0)
        if (span_equal(span_take_word(&words), word))
            return true;
    return false;
}

#endif
