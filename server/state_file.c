#include "server/state_file.h"

#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0700
#define FILE_MODE      0600
/* Not to wait for the other end, should it be a FIFO. */
#define OPEN_FLAGS (O_CLOEXEC | O_NONBLOCK)

/* ---- where ----------------------------------------------------------------------------------- */

/* A variable's value if it is an absolute path, as the XDG rules want it; else NULL. */
static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : NULL;
}

enum state_place state_place_find(const char *option, const char *name,
                                  char path[STATE_PATH_BYTES_MAX])
{
    const char *by_systemd = absolute("STATE_DIRECTORY");
    const char *by_xdg = absolute("XDG_STATE_HOME"), *home = absolute("HOME");
    enum state_place place = STATE_PLACE_CHOSEN;
    int len;

    if (option[0] != '\0') {
        len = snprintf(path, STATE_PATH_BYTES_MAX, "%s", option);
    } else if (by_systemd != NULL) { /* several are separated by colons */
        len =
            snprintf(path, STATE_PATH_BYTES_MAX, "%.*s", (int)strcspn(by_systemd, ":"), by_systemd);
    } else {
        place = STATE_PLACE_DEFAULT;
        if (by_xdg != NULL)
            len = snprintf(path, STATE_PATH_BYTES_MAX, "%s/dht/%s", by_xdg, name);
        else if (home != NULL)
            len = snprintf(path, STATE_PATH_BYTES_MAX, "%s/.local/state/dht/%s", home, name);
        else
            len = 0;
    }
    if (len > 0 && len < (int)STATE_PATH_BYTES_MAX)
        return place;
    path[0] = '\0';
    return STATE_PLACE_NONE;
}

/* ---- on disk --------------------------------------------------------------------------------- */

static enum err PRINTF_LIKE(3, 4)
    fail(enum err err, char error[STATE_ERROR_BYTES_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, STATE_ERROR_BYTES_MAX, format, args);
    va_end(args);
    return err;
}

static enum err fail_io(char error[STATE_ERROR_BYTES_MAX], const char *act, const char *path)
{
    return fail(ERR_IO, error,
                "cannot %s %s: %s; make it writable, or say where with --state-dir DIR", act, path,
                strerror(errno));
}

/* mkdir -p. Returns false with errno set. */
static bool make_directories(const char *directory)
{
    char path[STATE_PATH_BYTES_MAX];
    snprintf(path, sizeof(path), "%s", directory);
    for (char *c = path + 1; *c != '\0'; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        if (mkdir(path, DIRECTORY_MODE) != 0 && errno != EEXIST)
            return false;
        *c = '/';
    }
    return mkdir(path, DIRECTORY_MODE) == 0 || errno == EEXIST;
}

static enum err take_lock(struct state_file *file, char error[STATE_ERROR_BYTES_MAX])
{
    file->lock_fd =
        openat(file->directory_fd, "lock", O_RDWR | O_CREAT | OPEN_FLAGS | O_NOFOLLOW, FILE_MODE);
    if (file->lock_fd < 0)
        return fail_io(error, "open the lock in", file->path);
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    if (errno != EWOULDBLOCK)
        return fail_io(error, "lock", file->path);
    return fail(ERR_USAGE, error,
                "%s: another dht-server runs with this state directory; stop it, or give this one "
                "another with --state-dir DIR",
                file->path);
}

#define READ_BYTES (64u * 1024)

/* Reads a file to its end, and no more than a state file can have. Returns false with errno set. */
static bool read_all(int fd, struct buf *text)
{
    while (buf_len(text) <= STATE_TEXT_BYTES_MAX) {
        ssize_t got = read(fd, buf_reserve(text, READ_BYTES), READ_BYTES);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            break;
        buf_advance(text, got > 0 ? (size_t)got : 0);
    }
    return true;
}

/* What the last start left. boot 0: nothing, this is the first. */
static enum err read_last(const struct state_file *file, struct state *last,
                          char error[STATE_ERROR_BYTES_MAX])
{
    *last = (struct state){0};
    int fd = openat(file->directory_fd, "state", O_RDONLY | OPEN_FLAGS);
    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0)
        return fail_io(error, "open the state file in", file->path);
    struct buf text = {0};
    const char *why = "";
    bool is_read = read_all(fd, &text);
    int cause = errno;
    close(fd);
    errno = cause;
    enum err err = is_read ? state_parse(buf_span(&text), last, &why) : ERR_IO;
    buf_close(&text);
    if (!is_read)
        return fail_io(error, "read the state file in", file->path);
    if (err == ERR_OK)
        return ERR_OK;
    return fail(ERR_USAGE, error,
                "%s/state: %s; put it right or away, or choose another --state-dir DIR", file->path,
                why);
}

/* Whether a directory is this node's. */
static enum err check_owner(const struct state_file *file, const struct state *last,
                            const struct state *own, char error[STATE_ERROR_BYTES_MAX])
{
    if (last->boot == 0)
        return ERR_OK;
    if (strcmp(last->cluster, own->cluster) != 0)
        return fail(ERR_USAGE, error,
                    "%s/state belongs to a node of cluster %s, and this is one of cluster %s; "
                    "choose another --state-dir DIR or --cluster NAME",
                    file->path, last->cluster, own->cluster);
    if (strcmp(last->name, own->name) != 0)
        return fail(ERR_USAGE, error,
                    "%s/state belongs to the node %s, and this is %s; choose another --state-dir "
                    "DIR, or put the file away if that node has got this name",
                    file->path, last->name, own->name);
    if (last->boot == STATE_BOOT_MAX)
        return fail(ERR_USAGE, error, "%s/state: its boot is the highest there can be; put it away",
                    file->path);
    return ERR_OK;
}

/* Writes text and has it on disk. Returns false with errno set. */
static bool write_synced(int fd, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t put = write(fd, text + at, len - at);
        if (put < 0 && errno != EINTR)
            return false;
        at += put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0;
}

enum err state_file_keep(const struct state_file *file, struct span text,
                         char error[STATE_ERROR_BYTES_MAX])
{
    int fd = openat(file->directory_fd, "state.new",
                    O_WRONLY | O_CREAT | O_TRUNC | OPEN_FLAGS | O_NOFOLLOW, FILE_MODE);
    bool is_written = fd >= 0 && write_synced(fd, text.data, text.len);
    int cause = errno;
    if (fd >= 0 && close(fd) != 0 && is_written) {
        is_written = false;
        cause = errno;
    }
    errno = cause;
    if (is_written && renameat(file->directory_fd, "state.new", file->directory_fd, "state") == 0 &&
        fsync(file->directory_fd) == 0)
        return ERR_OK;
    return fail_io(error, "write the state file in", file->path);
}

/* Writes what the last start left, with this one's boot, and a seat if it had none. */
static enum err begin_start(const struct state_file *file, struct state *state, uint64_t seat,
                            int64_t unix_ms, char error[STATE_ERROR_BYTES_MAX])
{
    struct buf text = {0};
    state->boot = state_next_boot(state->boot, unix_ms);
    if (state->seat == 0)
        state->seat = seat;
    state_format(state, &text);
    enum err err = state_file_keep(file, buf_span(&text), error);
    buf_close(&text);
    return err;
}

enum err state_file_open(struct state_file *file, const char *directory, struct state *state,
                         int64_t unix_ms, char error[STATE_ERROR_BYTES_MAX])
{
    *file = (struct state_file){.directory_fd = -1, .lock_fd = -1, .is_open = true};
    CHECK(strlen(directory) < sizeof(file->path));
    memcpy(file->path, directory, strlen(directory) + 1);
    struct state last = {.boot = 0};
    enum err err = ERR_OK;
    if (!make_directories(directory))
        err = fail_io(error, "make the state directory", directory);
    if (!err) {
        file->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file->directory_fd < 0)
            err = fail_io(error, "open the state directory", directory);
    }
    if (!err)
        err = take_lock(file, error);
    if (!err)
        err = read_last(file, &last, error);
    if (!err)
        err = check_owner(file, &last, state, error);
    if (!err) {
        memcpy(last.cluster, state->cluster, sizeof(last.cluster));
        memcpy(last.name, state->name, sizeof(last.name));
        err = begin_start(file, &last, state->seat, unix_ms, error);
    }
    if (err) {
        state_close(&last);
        state_file_close(file);
        return err;
    }
    *state = last;
    return ERR_OK;
}

void state_file_close(struct state_file *file)
{
    if (!file->is_open)
        return;
    if (file->lock_fd >= 0)
        close(file->lock_fd); /* and with it the lock */
    if (file->directory_fd >= 0)
        close(file->directory_fd);
    *file = (struct state_file){0};
}
