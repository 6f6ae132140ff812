/* owned_keys: keys that one node of a cluster leads, for the benchmark of forwarded requests.
 *
 *     owned_keys PEERS.TXT HOST:PORT COUNT      prints COUNT keys, one a line, of 32 bytes each */
#include "common/peers.h"
#include "common/ring.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_BYTES_MAX (64u * 1024)

/* Whether the file could be read as a list of peers that holds name; *member: which line it is. */
static bool read_view(const char *path, const char *name, struct view *view, uint32_t *member)
{
    static char text[TEXT_BYTES_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    struct peers_error error;
    if (peers_parse(span_of(text, len), view, &error) != ERR_OK)
        return false;
    *member = peers_find(view, name);
    return *member != UINT32_MAX;
}

int main(int argc, char **argv)
{
    static struct ring ring;
    struct view view;
    uint32_t owner;
    if (argc != 4 || !read_view(argv[1], argv[2], &view, &owner)) {
        fprintf(stderr, "usage: owned_keys PEERS.TXT HOST:PORT COUNT (a line of the file)\n");
        return 2;
    }
    ring_place(&view, &ring);
    unsigned long wanted = strtoul(argv[3], NULL, 10);
    for (unsigned long number = 0; wanted > 0; number++) {
        char key[33];
        struct digest digest;
        snprintf(key, sizeof(key), "forwarded:%022lu", number);
        digest_of(span_of(key, 32), &digest);
        if (ring.primary[position_slot(digest_position(&digest))] == owner) {
            puts(key);
            wanted--;
        }
    }
    view_close(&view);
    return 0;
}
