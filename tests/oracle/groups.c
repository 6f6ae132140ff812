/* groups: which members hold each key, for a look at what was lost when several of them died.
 *
 *     groups MEMBERS.TXT      reads keys, one a line; prints each with the names of its group
 *
 * MEMBERS.TXT has the full members of a view, a name a line, each of weight 1. */
#include "common/peers.h"
#include "common/ring.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX (64u * 1024)

static bool read_members(const char *path, struct view *view)
{
    static char text[TEXT_BYTES_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    struct peers_error error;
    return peers_parse(span_of(text, len), view, &error) == ERR_OK;
}

int main(int argc, char **argv)
{
    static struct ring ring;
    struct view view;
    char key[512];
    if (argc != 2 || !read_members(argv[1], &view)) {
        fprintf(stderr, "usage: groups MEMBERS.TXT (a name a line)\n");
        return 2;
    }
    ring_place(&view, &ring);
    while (fgets(key, sizeof(key), stdin) != NULL) {
        struct digest digest;
        key[strcspn(key, "\n")] = '\0';
        digest_of(span_of(key, strlen(key)), &digest);
        const uint16_t *group = ring.group[position_slot(digest_position(&digest))];
        printf("%s", key);
        for (uint32_t at = 0; at < ring.group_size; at++)
            printf(" %s", view.members[group[at]].name);
        putchar('\n');
    }
    view_close(&view);
    return 0;
}
