#include "server/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0640

/* A FIFO that nobody reads is an error, and one that is not read fast enough loses lines: neither
 * holds the node up. */
static FILE *open_to_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, FILE_MODE);
    if (fd < 0)
        return NULL;
    FILE *file = fdopen(fd, "a");
    if (file == NULL)
        close(fd);
    else
        setvbuf(file, NULL, _IOLBF, BUFSIZ); /* a killed process loses no line */
    return file;
}

static void say_failure(struct audit *audit, int error)
{
    if (!audit->has_failed)
        log_line(audit->node_log, audit->clock(), LOG_ERROR, "audit-lost", "file=%s reason=\"%s\"",
                 audit->path, strerror(error));
    audit->has_failed = true;
}

static void sink(void *arg, const char *line, size_t len)
{
    struct audit *audit = arg;
    if (audit->file == NULL)
        return;
    if (fwrite(line, 1, len, audit->file) == len) {
        audit->has_failed = false;
        return;
    }
    int error = errno;
    clearerr(audit->file);
    say_failure(audit, error);
}

enum err audit_open(struct audit *audit, const char *path, struct log *node_log,
                    struct moment (*clock)(void))
{
    *audit =
        (struct audit){.log = {.level = LOG_DEBUG, .sink = sink, .arg = audit, .is_complete = true},
                       .node_log = node_log,
                       .path = path,
                       .clock = clock,
                       .file = open_to_append(path)};
    memcpy(audit->log.node, node_log->node, sizeof(audit->log.node));
    return audit->file != NULL ? ERR_OK : ERR_IO;
}

void audit_reopen(struct audit *audit)
{
    if (audit->file != NULL)
        fclose(audit->file);
    audit->has_failed = false;
    audit->file = open_to_append(audit->path);
    if (audit->file == NULL)
        say_failure(audit, errno);
}

void audit_close(struct audit *audit)
{
    if (audit->file != NULL)
        fclose(audit->file);
    *audit = (struct audit){0};
}
