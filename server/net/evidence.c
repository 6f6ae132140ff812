#include "server/net/evidence.h"

#include <errno.h>

enum disconnect evidence_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return DISCONNECT_REFUSED;
    case ETIMEDOUT:
        return DISCONNECT_TIMEOUT;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case EACCES: /* a rule of a firewall */
    case EPERM:
        return DISCONNECT_UNREACHABLE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: /* no port of its own is free, or no address of that kind */
    case EAFNOSUPPORT:
        return DISCONNECT_LOCAL;
    default: /* ECONNRESET, EPIPE after it, ECONNABORTED */
        return DISCONNECT_RESET;
    }
}
