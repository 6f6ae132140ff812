/* What this is, and whose protocol it speaks: the two numbers every program shows. */
#ifndef DHT_COMMON_VERSION_H
#define DHT_COMMON_VERSION_H

#define DHT_VERSION "0.1.0" /* the Makefile reads it here too */

/* The newest memcached release whose text protocol is here in full. Client libraries read the
 * first number of the VERSION answer and refuse a major of 0. */
#define DHT_MEMCACHED_VERSION "1.6.18"

/* What follows the word VERSION on the wire, and what stats calls version. */
#define DHT_VERSION_ANSWER DHT_MEMCACHED_VERSION " dht-server/" DHT_VERSION

#endif
