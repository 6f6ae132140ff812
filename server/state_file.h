/* The state file on disk: one small file in a directory that one process holds.
 *
 * The directory has `state`, which is always the old text or the new, and `lock`, held by whoever
 * runs. Each start replaces `state` whole: written aside, synced, renamed, the directory synced.
 * From then on a change overwrites one half of it (state_halves.h) and waits for the disk once, not
 * for the journal of a file system too; who waits is the event loop. It is replaced whole again
 * when a text has outgrown its half, when it is not the file any more that this process made, and
 * when it cannot be written. */
#ifndef DHT_SERVER_STATE_FILE_H
#define DHT_SERVER_STATE_FILE_H

#include "server/core/state.h"
#include "server/state_halves.h"

#include <sys/types.h>

#define STATE_PATH_BYTES_MAX  4096u
#define STATE_ERROR_BYTES_MAX (STATE_PATH_BYTES_MAX + 512u)

/* Who chose the directory. */
enum state_place {
    STATE_PLACE_CHOSEN,  /* --state-dir, or systemd by $STATE_DIRECTORY: it must be usable */
    STATE_PLACE_DEFAULT, /* below the home directory: better than nothing */
    STATE_PLACE_NONE     /* there is no place */
};

/* Where a node's state belongs: option if not "", else $STATE_DIRECTORY, else
 * $XDG_STATE_HOME/dht/<name>, else $HOME/.local/state/dht/<name>.
 * path  out: the directory; "" for STATE_PLACE_NONE. */
enum state_place state_place_find(const char *option, const char *name,
                                  char path[STATE_PATH_BYTES_MAX]);

struct state_file {
    int directory_fd; /* valid while is_open */
    int lock_fd;
    bool is_open;
    uint32_t half_bytes; /* of the file that is there; 0: the next one is made anew */
    uint64_t sequence;   /* of the last change in it */
    dev_t device;        /* which file it is */
    ino_t inode;
    struct halves_read last; /* how the file that the last start left was read; zeros: none was */
    char path[STATE_PATH_BYTES_MAX];
};

/* Makes the directory if need be, takes its lock, reads what the last start left there, and writes
 * it with this start's boot, which is on disk when this returns.
 *
 * file    out: holds the lock until state_file_close.
 * state   cluster and name: whose directory it must be; seat: to be used if there is none yet. out:
 *         all of it, gives (state_close); on error cluster, name and seat alone.
 * error   out on failure: a line for people, saying what to do.
 * errors  ERR_IO: it cannot be made, read or written. ERR_USAGE: another process holds it, it
 *         belongs to another node or cluster, or it is no state file. Nothing is changed then. */
MUST_USE enum err state_file_open(struct state_file *file, const char *directory,
                                  struct state *state, int64_t unix_ms,
                                  char error[STATE_ERROR_BYTES_MAX]);
/* Writes the text (state_format), which is on disk when this returns. errors ERR_IO as above; the
 * text before may stand still, or this one. */
MUST_USE enum err state_file_keep(struct state_file *file, struct span text,
                                  char error[STATE_ERROR_BYTES_MAX]);
/* Accepts a zeroed one. */
void state_file_close(struct state_file *file);

#endif
