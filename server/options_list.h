/* The one list of dht-server's options. From it come the fields of struct options, the command
 * line, the keys of the configuration file, the environment variables DHT_<KEY>, --help and
 * --print-config. The name with - for _ is the long option and the key.
 *
 * X(kind, field, letter or 0, name, argument, default, lowest, highest, help)
 *
 * kind says the type of the field and how its text is read (options_value.c). Bounds are in the
 * field's unit; they mean nothing for HOST, ADDRESS, NAME, PATH, CHOICE and SWITCH. */
#ifndef DHT_SERVER_OPTIONS_LIST_H
#define DHT_SERVER_OPTIONS_LIST_H

/* clang-format off */
#define OPTIONS_LIST(X)                                                                            \
    X(HOST, listen_host, 'l', "listen", "HOST", "", 0, 0,                                          \
      "address to listen on; without it the host of the own line of peers.txt, else 127.0.0.1")    \
    X(ADDRESS, advertise, 0, "advertise", "HOST:PORT", "", 0, 0,                                   \
      "own name, under which other nodes reach this one; without it the line of peers.txt with "   \
      "this port and an address of this machine, else the address listened on and the port")       \
    X(NAME, cluster, 0, "cluster", "NAME", "dht", 0, 0,                                            \
      "name of the cluster; nodes of another are refused")                                         \
    X(COUNT, weight, 0, "weight", "COUNT", "1", 1, 100,                                            \
      "share of the keys, beside that of other nodes")                                             \
    X(PATH, state_directory, 0, "state-dir", "DIR", "", 0, 0,                                      \
      "where the node keeps what it must know after a restart; without it $STATE_DIRECTORY, else " \
      "a directory of its name below $XDG_STATE_HOME/dht or ~/.local/state/dht")                   \
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
    X(BYTES, sync_window_bytes, 0, "sync-window", "BYTES", "256k", 4 << 10, 64 << 20,              \
      "most bytes of a copy on their way to one other node, in bytes or with suffix k m")          \
    X(BYTES, sync_rate_bytes_s, 0, "sync-rate", "BYTES", "0", 0, 1 << 30,                          \
      "most bytes of copies sent a second, to all nodes together; 0: no bound")                    \
    X(SWITCH, plain_calls, 0, "plain-calls", "", "no", 0, 0,                                       \
      "a system call for each read and each send, instead of many at once through io_uring")      \
    X(COUNT, bootstrap_expect, 0, "bootstrap-expect", "COUNT", "0", 0, 4096,                       \
      "found the cluster by the first so many lines of peers.txt; 0: by all of them")              \
    X(SWITCH, form, 0, "form", "", "no", 0, 0,                                                     \
      "found the cluster with the nodes that answer within a second: no other part of it lives")   \
    X(CHOICE, on_quorum_loss, 0, "on-quorum-loss", "recover|wait", "recover", 0, 0,                \
      "keys of which too few copies are left: go on with the best one, or wait for the others")    \
    X(MILLISECONDS, fence_ms, 0, "fence", "MS", "2s", 10, 3600000,                                 \
      "with recover: answer only if a majority was heard of within this")                          \
    X(MILLISECONDS, recover_after_ms, 0, "recover-after", "MS", "5s", 0, 86400000,                 \
      "with recover: a node that is dead for so long is not waited for")                           \
    X(MILLISECONDS, replace_after_ms, 0, "rereplicate-after", "MS", "2s", 0, 86400000,             \
      "another node takes the copies of one that is dead for so long")                             \
    X(MILLISECONDS, leave_timeout_ms, 0, "leave-timeout", "MS", "30s", 1, 86400000,                \
      "a node that is to leave or stop ends after so long, whatever has become of that")           \
    X(CHOICE, gossip, 0, "gossip", "random", "random", 0, 0,                                       \
      "whom to ask next about the members; the same on every node")                                \
    X(CHOICE, profile, 0, "profile", "fast|lan|wan", "lan", 0, 0,                                  \
      "set the membership timers below together; one that is given goes over it")                                                                    \
    X(SWITCH, direct_answers, 0, "direct-answers", "on|off", "on", 0, 0,                           \
      "answer clients that asked for it on a connection made to them")                             \
    X(SWITCH, can_shutdown, 'A', "enable-shutdown", "", "no", 0, 0,                                \
      "let clients end the node by the shutdown command")                                          \
    X(PATH, audit_path, 0, "audit", "FILE", "", 0, 0,                                              \
      "append a line for each request on a key that is carried out here")                          \
    X(SECONDS, stats_interval_s, 0, "stats-interval", "SECONDS", "0", 0, 86400,                    \
      "log a line of statistics each time so long has passed; 0: never")                           \
    X(LEVEL, verbosity, 'v', "verbose", "", "0", 0, 1,                                             \
      "say more in the log")
/* clang-format on */

/* The membership protocol's timers and bounds are options too, from their own list
 * (server/core/gossip_options.h): gossip_ms is --t-gossip, links_max is --links-max. One that is
 * not given is the profile's. */

#endif
