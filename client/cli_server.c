#include "client/cli_server.h"

#include "client/cli_value.h"
#include "common/check.h"
#include "common/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SERVERS_DEFAULT      "127.0.0.1:11211"
#define PEERS_FILE_BYTES_MAX (2u << 20) /* VIEW_MEMBERS_MAX lines of the longest names, twice */

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

/* The names of a view as one list; NULL if there are none. */
static char *servers_join(const struct view *view)
{
    struct buf list = {0};
    for (uint32_t i = 0; i < view->member_count; i++)
        buf_printf(&list, "%s%s", i > 0 ? "," : "", view->members[i].name);
    if (view->member_count == 0)
        return NULL;
    buf_append(&list, "", 1);
    char *servers = copy_of(list.data);
    buf_close(&list);
    return servers;
}

static char *servers_of_text(const char *path, const struct buf *text)
{
    struct view view;
    struct peers_error error;
    enum err err = peers_parse(buf_span(text), &view, &error);
    if (err == ERR_SYNTAX)
        fprintf(stderr, "kvcli: %s: %s\n", path, error.text);
    else if (err != ERR_OK)
        fprintf(stderr, "kvcli: %s: %s\n", path, err_text(err));
    if (err != ERR_OK)
        return NULL;
    char *servers = servers_join(&view);
    if (!servers)
        fprintf(stderr, "kvcli: %s: names no server\n", path);
    view_close(&view);
    return servers;
}

/* is_optional  the file need not exist; then *is_absent says so and stderr nothing. */
static char *servers_of_file(const char *path, bool is_optional, bool *is_absent)
{
    struct buf text = {0};
    char *servers = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *is_absent = fd < 0 && is_optional && (errno == ENOENT || errno == ENOTDIR);
    if (*is_absent)
        return NULL;
    if (fd < 0 || cli_file_read(fd, PEERS_FILE_BYTES_MAX, &text) != ERR_OK)
        fprintf(stderr, "kvcli: %s: %s\n", path, strerrordesc_np(errno));
    else
        servers = servers_of_text(path, &text);
    if (fd >= 0)
        close(fd);
    buf_close(&text);
    return servers;
}

static char *servers_of_user(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    struct buf path = {0};
    bool is_absent = true;
    char *servers = NULL;
    if (config && *config)
        buf_printf(&path, "%s/kvcli/servers", config);
    else if (home && *home)
        buf_printf(&path, "%s/.config/kvcli/servers", home);
    if (buf_len(&path) > 0) {
        buf_append(&path, "", 1);
        servers = servers_of_file(path.data, true, &is_absent);
    }
    buf_close(&path);
    return is_absent ? copy_of(SERVERS_DEFAULT) : servers;
}

char *cli_servers(const struct cli_options *options)
{
    const char *environment = getenv("KVCLI_SERVERS");
    bool is_absent;
    if (cli_is_given(options, CLI_BIT(VIA)))
        return copy_of(options->via);
    if (cli_is_given(options, CLI_BIT(SERVER)))
        return copy_of(options->servers);
    if (cli_is_given(options, CLI_BIT(PEERS)))
        return servers_of_file(options->peers_file, false, &is_absent);
    if (environment && *environment)
        return copy_of(environment);
    return servers_of_user();
}

struct dht *cli_connect(struct cli *cli, const struct cli_options *options)
{
    const char *why;
    char *servers = cli_servers(options);
    if (!servers)
        return NULL;
    bool is_via = cli_is_given(options, CLI_BIT(VIA));
    if (cli->servers && strcmp(cli->servers, servers) == 0 && cli->is_via == is_via) {
        free(servers);
    } else {
        dht_close(cli->dht);
        free(cli->servers);
        cli->dht = is_via ? dht_open_via(servers, &why) : dht_open(servers, &why);
        cli->is_via = is_via;
        cli->servers = cli->dht ? servers : NULL;
        if (!cli->dht) {
            fprintf(stderr, "kvcli: %s: %s\n", servers, why);
            free(servers);
            return NULL;
        }
    }
    bool has_timeout = cli_is_given(options, CLI_BIT(TIMEOUT));
    dht_set_timeout(cli->dht, has_timeout ? options->timeout_ms : DHT_TIMEOUT_MS);
    return cli->dht;
}
