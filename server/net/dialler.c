#include "server/net/dialler.h"

#include "common/address.h"
#include "common/check.h"
#include "server/net/conn_in.h"
#include "server/net/evidence.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long one of a name's addresses may take while there is another (RFC 8305's delay), and the
 * last. */
#define NEXT_ADDRESS_MS 250u
#define LAST_ADDRESS_MS 5000u
/* Turns of the loop that a cancelled look-up's callbacks may take. */
#define CLOSE_LOOPS_MAX 8
/* For a client's address, so that Linux sends it one SYN: the second would follow after 1 s. */
#define CLIENT_MS_MAX 950u

/* What evdns reads when it begins, and never again: where names are looked up. */
static const char resolver_file[] = "/etc/resolv.conf", hosts_file[] = "/etc/hosts";

/* Which state of a file it was; zeros: there was none. */
struct file_state {
    ino_t inode;
    off_t size;
    struct timespec written;
};

struct dialler {
    struct turn *turn;      /* borrowed */
    struct evdns_base *dns; /* made when a name first needs it */
    struct file_state resolver, hosts;
    struct list attempts;
    bool is_closing;
};

/* One connection on its way: a name being looked up, then its addresses tried in turn. */
struct attempt {
    struct dialler *dialler;
    struct conn_id conn; /* it may end meanwhile */
    struct list in_attempts;
    struct evdns_getaddrinfo_request *look_up; /* under way, else NULL */
    struct evutil_addrinfo *found;             /* owned; NULL while the name is being looked up */
    const struct evutil_addrinfo *next;        /* of found, to be tried */
    int fd;                                    /* connecting; -1: none */
    unsigned last_ms;                          /* how long the last address may take */
    int error;                                 /* errno of what failed last */
    enum disconnect why;                       /* what it came to, once that is to be told */
    struct event connected;                    /* fd is; or, without one, why is to be told */
};

struct dialler *dialler_open(struct turn *turn)
{
    struct dialler *dialler = calloc(1, sizeof(*dialler));
    CHECK(dialler != NULL);
    dialler->turn = turn;
    list_init(&dialler->attempts);
    return dialler;
}

static void attempt_drop_socket(struct attempt *attempt)
{
    if (event_initialized(&attempt->connected))
        event_del(&attempt->connected);
    if (attempt->fd >= 0)
        close(attempt->fd);
    attempt->fd = -1;
}

static void attempt_free(struct attempt *attempt)
{
    attempt_drop_socket(attempt);
    if (attempt->found)
        evutil_freeaddrinfo(attempt->found);
    list_remove(&attempt->in_attempts);
    free(attempt);
}

/* Gives up every attempt: those that look a name up end by their callback. */
static void end_attempts(struct dialler *dialler)
{
    struct list *link = dialler->attempts.next, *next;
    for (; link != &dialler->attempts; link = next) {
        struct attempt *attempt = CONTAINER_OF(link, struct attempt, in_attempts);
        next = link->next;
        if (attempt->look_up)
            evdns_getaddrinfo_cancel(attempt->look_up);
        else
            attempt_free(attempt);
    }
}

void dialler_close(struct dialler *dialler)
{
    if (!dialler)
        return;
    struct list *link;
    dialler->is_closing = true;
    end_attempts(dialler);
    /* What belongs to a look-up is only freed by its last callback, which the loop makes. */
    for (int i = 0; i < CLOSE_LOOPS_MAX && !list_is_empty(&dialler->attempts); i++)
        event_base_loop(dialler->turn->base, EVLOOP_NONBLOCK);
    if (dialler->dns)
        evdns_base_free(dialler->dns, 0); /* no callback comes any more */
    while ((link = list_first(&dialler->attempts)))
        attempt_free(CONTAINER_OF(link, struct attempt, in_attempts));
    free(dialler);
}

static void on_connected(evutil_socket_t fd, short what, void *arg);

/* Begins to connect to one address. Returns false with the attempt's error set. */
static bool connect_to(struct attempt *attempt, const struct evutil_addrinfo *address, bool is_last)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        attempt->error = errno;
        return false;
    }
    conn_between_nodes(fd);
    if (connect(fd, address->ai_addr, (socklen_t)address->ai_addrlen) != 0 &&
        errno != EINPROGRESS) {
        attempt->error = errno;
        close(fd);
        return false;
    }
    const struct timeval wait = turn_timeval(is_last ? attempt->last_ms : NEXT_ADDRESS_MS);
    attempt->fd = fd;
    CHECK(event_assign(&attempt->connected, attempt->dialler->turn->base, fd, EV_WRITE,
                       on_connected, attempt) == 0);
    event_add(&attempt->connected, &wait);
    return true;
}

/* Goes on to the next address that can be tried. Returns false if there is none: the
 * attempt's error tells what became of the last. */
static bool connect_next(struct attempt *attempt)
{
    while (attempt->next) {
        const struct evutil_addrinfo *address = attempt->next;
        attempt->next = address->ai_next;
        if (connect_to(attempt, address, attempt->next == NULL))
            return true;
    }
    return false;
}

/* Ends an attempt that has come to nothing, and the connection that waited for it. */
static void attempt_fail(struct attempt *attempt, enum disconnect why)
{
    struct conn *conn = conn_find(attempt->dialler->turn, attempt->conn);
    attempt_free(attempt);
    if (conn)
        conn_lost(conn, why);
}

/* The socket of an attempt is connected, or can't be: what it says. */
static int socket_error(int fd, short what)
{
    int error = ETIMEDOUT;
    socklen_t len = sizeof(error);
    if ((what & EV_WRITE) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    return error;
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct attempt *attempt = arg;
    turn_begin(attempt->dialler->turn);
    struct conn *conn = conn_find(attempt->dialler->turn, attempt->conn);
    attempt->error = socket_error(fd, what);
    if (!conn) {
        attempt_free(attempt);
    } else if (attempt->error == 0) {
        attempt->fd = -1; /* the connection's from here on */
        attempt_free(attempt);
        conn_connected(conn, fd);
    } else {
        attempt_drop_socket(attempt);
        if (!connect_next(attempt))
            attempt_fail(attempt, evidence_of(attempt->error));
    }
}

static void on_failed(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct attempt *attempt = arg;
    turn_begin(attempt->dialler->turn);
    attempt_fail(attempt, attempt->why);
}

/* Lets the loop tell it: whoever dials is not called back meanwhile. */
static void attempt_fail_later(struct attempt *attempt, enum disconnect why)
{
    const struct timeval now = {0};
    attempt->why = why;
    CHECK(evtimer_assign(&attempt->connected, attempt->dialler->turn->base, on_failed, attempt) ==
          0);
    evtimer_add(&attempt->connected, &now);
}

static void on_found(int result, struct evutil_addrinfo *found, void *arg)
{
    struct attempt *attempt = arg;
    attempt->look_up = NULL;
    attempt->found = found;
    attempt->next = found;
    if (attempt->dialler->is_closing || !conn_find(attempt->dialler->turn, attempt->conn))
        attempt_free(attempt);
    else if (result != 0)
        attempt_fail_later(attempt, DISCONNECT_NAME);
    else if (!connect_next(attempt))
        attempt_fail_later(attempt, evidence_of(attempt->error));
}

/* Begins with addresses that needed no look-up. Returns false if this machine can't. */
static bool attempt_begin(struct attempt *attempt)
{
    attempt->next = attempt->found;
    if (connect_next(attempt))
        return true;
    enum disconnect why = evidence_of(attempt->error);
    if (why == DISCONNECT_LOCAL)
        attempt_free(attempt);
    else
        attempt_fail_later(attempt, why);
    return why != DISCONNECT_LOCAL;
}

static struct attempt *attempt_open(struct dialler *dialler, struct conn_id conn, unsigned last_ms)
{
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    CHECK(attempt != NULL);
    attempt->dialler = dialler;
    attempt->conn = conn;
    attempt->fd = -1;
    attempt->last_ms = last_ms;
    list_append(&dialler->attempts, &attempt->in_attempts);
    return attempt;
}

/* Whether a file is another than it was, which is remembered. */
static bool has_changed(const char *path, struct file_state *state)
{
    struct stat now;
    struct file_state found = {0};
    if (stat(path, &now) == 0)
        found = (struct file_state){now.st_ino, now.st_size, now.st_mtim};
    bool is_same = found.inode == state->inode && found.size == state->size &&
                   found.written.tv_sec == state->written.tv_sec &&
                   found.written.tv_nsec == state->written.tv_nsec;
    *state = found;
    return !is_same;
}

/* Names are looked up by what these files say now: a node may start before its network is there,
 * and others may move. What is being looked up goes on. */
static bool dns_ready(struct dialler *dialler)
{
    bool is_old = has_changed(resolver_file, &dialler->resolver);
    is_old |= has_changed(hosts_file, &dialler->hosts);
    if (!dialler->dns) {
        dialler->dns = evdns_base_new(dialler->turn->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                               EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    } else if (is_old) {
        evdns_base_clear_host_addresses(dialler->dns);
        evdns_base_search_clear(dialler->dns);
        evdns_base_clear_nameservers_and_suspend(dialler->dns);
        /* Without the file, this machine itself is asked. */
        evdns_base_resolv_conf_parse(dialler->dns, DNS_OPTIONS_ALL, resolver_file);
        evdns_base_resume(dialler->dns);
    }
    return dialler->dns != NULL;
}

/* Fills found if host is an address. */
static bool find_numeric(const struct address *address, struct evutil_addrinfo **found)
{
    char service[8];
    const struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_NUMERICHOST};
    snprintf(service, sizeof(service), "%u", address->port);
    return evutil_getaddrinfo(address->host, service, &hints, found) == 0;
}

bool dialler_dial(struct dialler *dialler, struct conn_id conn, const char *name)
{
    struct address address;
    const char *why;
    if (address_parse(span_of_string(name), &address, &why))
        return false;
    struct attempt *attempt = attempt_open(dialler, conn, LAST_ADDRESS_MS);
    if (find_numeric(&address, &attempt->found))
        return attempt_begin(attempt);
    attempt->found = NULL;
    if (!dns_ready(dialler)) {
        attempt_free(attempt);
        return false;
    }
    char service[8];
    const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    snprintf(service, sizeof(service), "%u", address.port);
    /* The answer may come before this returns: then it returns NULL. */
    attempt->look_up =
        evdns_getaddrinfo(dialler->dns, address.host, service, &hints, on_found, attempt);
    return true;
}

bool dialler_dial_client(struct dialler *dialler, struct conn_id conn, const char *text)
{
    struct address address;
    struct evutil_addrinfo *found;
    const char *why;
    if (address_parse(span_of_string(text), &address, &why) || address.port < CLIENT_PORT_MIN ||
        !find_numeric(&address, &found))
        return false;
    struct attempt *attempt = attempt_open(dialler, conn, CLIENT_MS_MAX);
    attempt->found = found;
    return attempt_begin(attempt);
}
