/* The one list of dht-server's options. From it come the fields of struct options, the command
 * line, the keys of the configuration file, the environment variables DHT_<KEY>, --help and
 * --print-config. The name with - for _ is the long option and the key.
 *
 * X(kind, field, letter or 0, name, argument, default, lowest, highest, help)
 *
 * kind says the type of the field and how its text is read (options.c, kinds). Bounds are in the
 * field's unit; they mean nothing for HOST, ADDRESS and SWITCH. */
#ifndef DHT_SERVER_OPTIONS_LIST_H
#define DHT_SERVER_OPTIONS_LIST_H

/* clang-format off */
#define OPTIONS_LIST(X)                                                                            \
    X(HOST, listen_host, 'l', "listen", "HOST", "", 0, 0,                                          \
      "address to listen on; without it the host of the own line of peers.txt, else 127.0.0.1")    \
    X(ADDRESS, advertise, 0, "advertise", "HOST:PORT", "", 0, 0,                                   \
      "own name, as in peers.txt; without it the line with this port and an address of this "      \
      "machine")                                                                                   \
    X(MEBIBYTES, memory_bytes, 'm', "memory", "MIB", "1g", 1 << 20, UINT64_C(16) << 40,            \
      "memory for items, buffers and tables together, in MiB or with suffix k m g")                \
    X(BYTES, value_bytes_max, 'I', "max-item-size", "BYTES", "1m", 1 << 10, 128 << 20,             \
      "largest value, in bytes or with suffix k m")                                                \
    X(SWITCH, evict, 0, "evict", "", "no", 0, 0,                                                   \
      "when memory is full drop what was not used for longest, instead of refusing writes")        \
    X(COUNT, connections_max, 'c', "connections", "COUNT", "10000", 1, 1000000,                    \
      "connections of clients at a time; one more is told that the server is busy")                           \
    X(SECONDS, idle_timeout_s, 0, "idle-timeout", "SECONDS", "0", 0, 31536000,                     \
      "close a client's connection after this long without a request; 0: never")                   \
    X(MILLISECONDS, op_timeout_ms, 0, "op-timeout", "MS", "1s", 1, 3600000,                        \
      "how long a request waits for another node, in ms or with suffix ms s m")                    \
    X(SWITCH, plain_calls, 0, "plain-calls", "", "no", 0, 0,                                       \
      "a system call for each read and each send, instead of many at once through io_uring")      \
    X(LEVEL, verbosity, 'v', "verbose", "", "0", 0, 1,                                             \
      "say more in the log")
/* clang-format on */

#endif
