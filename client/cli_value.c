#include "client/cli_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define READ_BYTES (64u * 1024)

enum err cli_file_read(int fd, size_t bytes_max, struct buf *content)
{
    for (;;) {
        ssize_t got = read(fd, buf_reserve(content, READ_BYTES), READ_BYTES);
        if (got == 0)
            return ERR_OK;
        if (got < 0 && errno != EINTR)
            return ERR_IO;
        if (got > 0)
            buf_advance(content, (size_t)got);
        if (buf_len(content) > bytes_max) {
            errno = EFBIG;
            return ERR_TOO_LARGE;
        }
    }
}

static enum err fd_read(int fd, const char *name, struct buf *value)
{
    enum err err = cli_file_read(fd, DHT_VALUE_BYTES_MAX, value);
    if (err == ERR_TOO_LARGE)
        fprintf(stderr, "kvcli: %s: larger than 128 MiB\n", name);
    else if (err != ERR_OK)
        fprintf(stderr, "kvcli: %s: %s\n", name, strerrordesc_np(errno));
    return err;
}

static enum err path_read(const char *path, struct buf *value)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "kvcli: %s: %s\n", path, strerrordesc_np(errno));
        return ERR_IO;
    }
    enum err err = fd_read(fd, path, value);
    close(fd);
    return err;
}

static enum err stdin_read(const struct cli *cli, bool is_asked_for, struct buf *value)
{
    if (cli->is_interactive) {
        fputs("kvcli: a value is wanted: VALUE or @FILE\n", stderr);
        return ERR_USAGE;
    }
    if (!is_asked_for && isatty(STDIN_FILENO)) {
        fputs("kvcli: a value is wanted: VALUE, @FILE, - or from a pipe\n", stderr);
        return ERR_USAGE;
    }
    return fd_read(STDIN_FILENO, "standard input", value);
}

enum err cli_value_read(const struct cli *cli, const char *word, struct buf *value)
{
    if (!word || strcmp(word, "-") == 0)
        return stdin_read(cli, word != NULL, value);
    if (word[0] == '@')
        return path_read(word + 1, value);
    buf_append(value, word, strlen(word));
    return ERR_OK;
}
