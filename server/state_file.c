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
    bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return fail(ERR_IO, error, "cannot %s %s: %s; make %s, or say where with --state-dir DIR", act,
                path, strerror(errno), is_full ? "room for it" : "it writable");
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
    while (buf_len(text) <= HALVES_BYTES_MAX) {
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
static enum err read_last(struct state_file *file, struct state *last,
                          char error[STATE_ERROR_BYTES_MAX])
{
    *last = (struct state){0};
    int fd = openat(file->directory_fd, "state", O_RDONLY | OPEN_FLAGS);
    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0)
        return fail_io(error, "open the state file in", file->path);
    struct buf bytes = {0};
    struct span text = {0};
    const char *why = "";
    bool is_read = read_all(fd, &bytes);
    int cause = errno;
    close(fd);
    errno = cause;
    enum err err = is_read ? halves_parse(buf_span(&bytes), &text, &file->last, &why) : ERR_IO;
    if (!err)
        err = state_parse(text, last, &why);
    buf_close(&bytes);
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

/* Writes bytes at an offset. Returns false with errno set; some may be written then. */
static bool write_at(int fd, struct span bytes, off_t offset)
{
    size_t at = 0;
    while (at < bytes.len) {
        ssize_t put = pwrite(fd, bytes.data + at, bytes.len - at, offset + (off_t)at);
        if (put < 0 && errno != EINTR)
            return false;
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* close, which may tell what went wrong earlier: errno is that of the first failure. */
static bool close_after(int fd, bool is_good)
{
    int cause = errno;
    bool is_closed = close(fd) == 0;
    if (!is_good)
        errno = cause;
    return is_good && is_closed;
}

/* Whether the file opened is the one that was written anew last, and nothing else than that. */
static bool is_known(const struct state_file *file, int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_dev == file->device &&
           found.st_ino == file->inode && found.st_nlink == 1 &&
           found.st_size == 2 * (off_t)file->half_bytes;
}

/* Overwrites the half with the older text: the blocks are there, so this is one write, and one wait
 * for the disk. Returns false if it was not possible; the other half is as it was. */
static bool keep_in_place(struct state_file *file, struct span text)
{
    if (file->half_bytes == 0 || !halves_fit(file->half_bytes, text.len))
        return false;
    int fd = openat(file->directory_fd, "state", O_WRONLY | OPEN_FLAGS | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct buf half = {0};
    uint64_t sequence = file->sequence + 1;
    halves_format(file->half_bytes, sequence, text, &half);
    bool is_kept =
        is_known(file, fd) &&
        write_at(fd, buf_span(&half), (off_t)halves_which(sequence) * file->half_bytes) &&
        fdatasync(fd) == 0;
    buf_close(&half);
    if (!close_after(fd, is_kept))
        return false;
    file->sequence = sequence;
    return true;
}

/* A whole file, synced: the text, and zeros where the next one will be. The zeros are written, so
 * that these are blocks with data when they are overwritten, and nothing but data has to get to the
 * disk then. Returns false with errno set. */
static bool write_new(const struct state_file *file, uint32_t half_bytes, struct span text,
                      struct stat *written)
{
    int fd = openat(file->directory_fd, "state.new",
                    O_WRONLY | O_CREAT | O_TRUNC | OPEN_FLAGS | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return false;
    struct buf bytes = {0};
    halves_format(half_bytes, 1, text, &bytes);
    memset(buf_reserve(&bytes, half_bytes), 0, half_bytes);
    buf_advance(&bytes, half_bytes);
    bool is_written =
        write_at(fd, buf_span(&bytes), 0) && fsync(fd) == 0 && fstat(fd, written) == 0;
    buf_close(&bytes);
    if (close_after(fd, is_written))
        return true;
    int cause = errno;
    unlinkat(file->directory_fd, "state.new", 0); /* what is there of it takes up room in vain */
    errno = cause;
    return false;
}

/* Replaces the file whole. Returns false with errno set; the text before may stand still. */
static bool keep_anew(struct state_file *file, struct span text)
{
    struct stat written = {0};
    uint32_t half_bytes = halves_size(text.len);
    if (!write_new(file, half_bytes, text, &written))
        return false;
    file->half_bytes = 0; /* until the directory is synced nobody knows which file is there */
    if (renameat(file->directory_fd, "state.new", file->directory_fd, "state") != 0 ||
        fsync(file->directory_fd) != 0)
        return false;
    file->half_bytes = half_bytes;
    file->sequence = 1;
    file->device = written.st_dev;
    file->inode = written.st_ino;
    return true;
}

/* What can't be done in place, because the text has outgrown it, the file has been replaced or
 * taken away, or its blocks have gone bad, is tried with a new file. */
enum err state_file_keep(struct state_file *file, struct span text,
                         char error[STATE_ERROR_BYTES_MAX])
{
    errno = EFBIG; /* which no start would read */
    if (text.len <= STATE_TEXT_BYTES_MAX && (keep_in_place(file, text) || keep_anew(file, text)))
        return ERR_OK;
    return fail_io(error, "write the state file in", file->path);
}

/* Writes what the last start left, with this one's boot, and a seat if it had none: a new file, as
 * whatever form the last one had. */
static enum err begin_start(struct state_file *file, struct state *state, uint64_t seat,
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
