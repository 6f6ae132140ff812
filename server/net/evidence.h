/* What an error of the kernel says about the other end. */
#ifndef DHT_SERVER_NET_EVIDENCE_H
#define DHT_SERVER_NET_EVIDENCE_H

#include "server/core/env.h"

/* The class of an errno that connect, send or recv gave; not 0, and none that only means "later".
 */
enum disconnect evidence_of(int error);

#endif
