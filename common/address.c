#include "common/address.h"

#include "common/check.h"
#include "common/number.h"

#include <arpa/inet.h>
#include <stdio.h>

static enum err refuse(const char **why, const char *text)
{
    *why = text;
    return ERR_SYNTAX;
}

/* Copies host in lower case, NUL-terminated. */
static void host_copy(struct span host, char to[HOST_BYTES_MAX + 1])
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    to[host.len] = '\0';
}

/* Replaces host by the one way inet_ntop writes it. */
static bool host_normalise_ip(int family, char host[HOST_BYTES_MAX + 1])
{
    struct in6_addr binary; /* large enough for either family */
    return inet_pton(family, host, &binary) == 1 &&
           inet_ntop(family, &binary, host, HOST_BYTES_MAX + 1) != NULL;
}

/* name = label *("." label); label = 1*(letter / digit / "-" / "_") */
static bool host_is_name(const char *host)
{
    char before = '.';
    for (; *host; before = *host++) {
        bool is_label = (*host >= 'a' && *host <= 'z') || (*host >= '0' && *host <= '9') ||
                        *host == '-' || *host == '_';
        if (!is_label && (*host != '.' || before == '.'))
            return false;
    }
    return before != '.';
}

enum err address_parse(struct span text, struct address *address, const char **why)
{
    const char *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    if (!colon)
        return refuse(why, "no port: host:port is wanted");
    struct span host = span_of(text.data, (size_t)(colon - text.data));
    struct span port = span_of(colon + 1, text.len - host.len - 1);
    bool is_v6 = host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (is_v6)
        host = span_of(host.data + 1, host.len - 2);
    if (host.len == 0)
        return refuse(why, "no host: host:port is wanted");
    if (host.len > HOST_BYTES_MAX)
        return refuse(why, "the host is longer than 255 bytes");
    if (memchr(host.data, '\0', host.len))
        return refuse(why, "not a host name");
    host_copy(host, address->host);
    if (is_v6) {
        if (!host_normalise_ip(AF_INET6, address->host))
            return refuse(why, "not an IPv6 address in the brackets");
    } else if (host_normalise_ip(AF_INET6, address->host)) {
        return refuse(why, "an IPv6 address needs brackets: [::1]:port");
    } else if (strspn(address->host, "0123456789.") == host.len) {
        if (!host_normalise_ip(AF_INET, address->host))
            return refuse(why, "not an IPv4 address");
    } else if (!host_is_name(address->host)) {
        return refuse(why, "not a host name");
    }
    uint64_t number;
    if (!number_parse_decimal(port, UINT16_MAX, &number) || number == 0)
        return refuse(why, "the port is not 1-65535");
    address->port = (uint16_t)number;
    return ERR_OK;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES_MAX])
{
    bool is_v6 = strchr(address->host, ':') != NULL;
    int len = snprintf(text, ADDRESS_TEXT_BYTES_MAX, is_v6 ? "[%s]:%u" : "%s:%u", address->host,
                       (unsigned)address->port);
    CHECK(len > 0 && (size_t)len < ADDRESS_TEXT_BYTES_MAX);
}
