/* Gives every file named, and every file in the folders named, to the fuzz target this is linked
 * with, once. Prints TAP: one test, as a failure ends the process. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *path)
{
    perror(path);
    printf("not ok 1 - cannot read an input\n");
    exit(1);
}

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat stat;
    uint8_t *data;

    if (file == NULL || fstat(fileno(file), &stat) != 0)
        fail(path);
    /* Exactly as large as the input, so that a read past it is seen. */
    data = malloc((size_t)stat.st_size);
    if (stat.st_size > 0 && (data == NULL || fread(data, (size_t)stat.st_size, 1, file) != 1))
        fail(path);
    fclose(file);
    fprintf(stderr, "# %s\n", path); /* the last one printed is the one that crashed */
    LLVMFuzzerTestOneInput(data, (size_t)stat.st_size);
    free(data);
}

/* Returns how many inputs there were. A folder that is not there holds none. */
static unsigned replay(const char *path)
{
    struct dirent **entries;
    unsigned inputs = 0;
    int count = scandir(path, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char name[4096];

        if (entries[i]->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
            replay_file(name);
            inputs++;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return inputs;
}

int main(int argc, char **argv)
{
    unsigned inputs = 0;

    printf("1..1\n");
    for (int i = 1; i < argc; i++)
        inputs += replay(argv[i]);
    printf("%s 1 - %u inputs replayed\n", inputs > 0 ? "ok" : "not ok", inputs);
    return inputs > 0 ? 0 : 1;
}
