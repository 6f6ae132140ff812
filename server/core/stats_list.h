/* The one table of what is counted and shown: `stats`, the status page and the Prometheus text are
 * made from it. Names that memcached has too mean what they mean there.
 *
 *   COUNTED(name, unit, help)              in struct stats, counted where it happens; only rises
 *   SHOWN(name, type, unit, help)          in struct stats_gauges, told when somebody asks; type:
 *                                          COUNTER (only rises) or GAUGE
 *   STORED(name, field, type, unit, help)  in struct store_counters, by the name of field
 *
 * What is about the membership stands in a list of its own, stats_gossip_list.h, which this one
 * includes. Define those that are wanted, then include this; afterwards none is defined. No include
 * guard.
 */
#ifndef COUNTED
#define COUNTED(name, unit, help)
#endif
#ifndef SHOWN
#define SHOWN(name, type, unit, help)
#endif
#ifndef STORED
#define STORED(name, field, type, unit, help)
#endif

COUNTED(cmd_get, "keys", "Keys asked for by get, gets and mg")
COUNTED(cmd_set, "requests", "Storage requests whose value was accepted")
COUNTED(cmd_flush, "requests", "flush_all requests")
COUNTED(cmd_touch, "keys", "Keys touched by touch, gat, gats and mg T")
COUNTED(cmd_meta, "requests", "me requests")
COUNTED(get_hits, "keys", "Keys asked for and found")
COUNTED(get_misses, "keys", "Keys asked for and not found")
COUNTED(delete_misses, "requests", "Deletions of what was not there")
COUNTED(delete_hits, "requests", "Deletions carried out")
COUNTED(incr_misses, "requests", "Increments of what was not there")
COUNTED(incr_hits, "requests", "Increments carried out")
COUNTED(decr_misses, "requests", "Decrements of what was not there")
COUNTED(decr_hits, "requests", "Decrements carried out")
COUNTED(cas_misses, "requests", "Compare-and-set of what was not there")
COUNTED(cas_hits, "requests", "Compare-and-set carried out")
COUNTED(cas_badval, "requests", "Compare-and-set refused: changed meanwhile")
COUNTED(touch_hits, "keys", "Keys touched and found")
COUNTED(touch_misses, "keys", "Keys touched and not found")
COUNTED(store_too_large, "requests", "Storage refused: larger than the limit")
COUNTED(store_no_memory, "requests", "Storage refused: memory bound reached")
COUNTED(bytes_read, "bytes", "Bytes read from clients")
COUNTED(bytes_written, "bytes", "Bytes written to clients")
COUNTED(answers_local, "requests", "Requests of clients answered from this node's own store")
COUNTED(answers_relayed, "requests", "Answers of other nodes passed on to clients")
COUNTED(answers_direct, "requests", "Answers to other nodes' clients that went to them directly")
COUNTED(forwards_sent, "requests", "Requests forwarded to their coordinator")
COUNTED(forwards_retried, "requests", "Forwards kept to be tried anew")
COUNTED(forwards_refused, "requests", "Requests forwarded here and not carried out")
COUNTED(forwards_served, "requests", "Requests forwarded here and answered")
COUNTED(forwards_direct, "requests", "Forwards whose coordinator answered the client directly")
COUNTED(direct_dials, "connections", "Connections begun to clients for direct answers")
COUNTED(direct_failures, "connections", "Of them, not had, or ended for what the client said")
COUNTED(forward_failures, "requests", "Forwards answered 'not done'")
COUNTED(unknown_outcomes, "requests", "Forwards answered 'outcome unknown'")
COUNTED(slots_lost_quorum, "slots", "Gone on with although a quorum of copies was lost for good")
COUNTED(frames_malformed, "frames", "Frames between nodes that did not parse")
COUNTED(frames_bad_crc, "frames", "Frames between nodes with a wrong checksum")
COUNTED(peers_refused, "connections", "Nodes refused in the handshake")
COUNTED(sync_offers, "sessions",
        "Sessions offered, each to bring another node's copy of a slot up to date")
COUNTED(sync_done, "sessions", "Of them, and of those advanced, brought to the end")
COUNTED(sync_broken, "sessions", "Sessions from here that ended otherwise, synced or not")
COUNTED(sync_items_sent, "items", "Items, tombstones and absences sent by sessions")
COUNTED(sync_bytes_sent, "bytes", "Sent by sessions before they were synced")
COUNTED(sync_items_received, "items", "Items, tombstones and absences applied before END")
COUNTED(sync_bytes_received, "bytes", "Keys, values and request ids of these")
COUNTED(sync_nosync, "sessions", "Sessions to here that were not taken, or ended by a gap")
COUNTED(sync_full, "sessions", "Sessions to here that ended for lack of memory")
COUNTED(sync_full_starts, "sessions", "Sessions to here for which the copy was emptied first")
COUNTED(views_adopted, "views", "Views adopted since this process started")

#include "server/core/stats_gossip_list.h"

SHOWN(uptime, GAUGE, "seconds", "Since this process started")
SHOWN(max_connections, GAUGE, "connections", "Most connections at a time")
SHOWN(curr_connections, GAUGE, "connections", "Open client connections")
SHOWN(total_connections, COUNTER, "connections", "Client connections opened")
SHOWN(rejected_connections, COUNTER, "connections", "Client connections refused at the limit")
SHOWN(curr_peers, GAUGE, "connections", "Connections to other nodes that are up")
SHOWN(limit_maxbytes, GAUGE, "bytes", "Memory bound")
SHOWN(memory_used, GAUGE, "bytes", "Counted against the memory bound: items, tables, buffers")
STORED(bytes, item_bytes, GAUGE, "bytes", "Asked for by items: headers, keys, values")
STORED(store_memory, memory_bytes, GAUGE, "bytes", "Taken from the system for items and tables")
STORED(curr_items, items, GAUGE, "items", "Items stored here")
STORED(total_items, items_total, COUNTER, "items", "Items ever stored here")
STORED(expired_items, expired, COUNTER, "items", "Dropped because their time had come")
STORED(expired_unfetched, expired_unfetched, COUNTER, "items", "Of them, never read")
STORED(flushed_items, flushed, COUNTER, "items", "Dropped because of a flush")
STORED(evictions, evicted, COUNTER, "items", "Dropped to make room for others")
STORED(evicted_unfetched, evicted_unfetched, COUNTER, "items", "Of them, never read")

#undef COUNTED
#undef SHOWN
#undef STORED
