/* The part of stats_list.h that is about the membership: `stats gossip`, and the line that
 * --stats-interval logs. The same macros; whoever defines them undefines them. No include guard. */
#ifndef COUNTED
#define COUNTED(name, unit, help)
#endif
#ifndef SHOWN
#define SHOWN(name, type, unit, help)
#endif

SHOWN(members_alive, GAUGE, "members", "Members listed as ALIVE, this node among them")
SHOWN(members_suspect, GAUGE, "members", "Members listed as SUSPECT")
SHOWN(members_dead, GAUGE, "members", "Members listed as DEAD, not yet removed")
SHOWN(members_left, GAUGE, "members", "Members listed as LEFT, not yet removed")
SHOWN(members_unverified, GAUGE, "members", "Nodes heard of and not yet reached")
COUNTED(gossip_sent, "messages", "Control messages sent to other nodes")
COUNTED(gossip_received, "messages", "Control messages received from other nodes")
COUNTED(rumors_sent, "lines", "Rumors sent, each as often as it went out")
COUNTED(rumors_received, "lines", "Accounts of members received, as rumors or in lists")
COUNTED(gossip_rounds, "rounds", "Rounds of gossip begun")
COUNTED(gossip_failures, "probes", "Members that answered neither here nor to helpers")
COUNTED(gossip_whole_lists, "lists", "Whole lists asked for because the views differed")
COUNTED(suspicions, "members", "Members that became SUSPECT here")
COUNTED(refutations, "suspicions", "Suspicions of this node that it has answered")
COUNTED(members_condemned, "members", "Members whose time to prove that they live ran out here")
COUNTED(members_full, "accounts", "New members not taken in: the table is full")
COUNTED(members_removed, "members", "Members that left the list, dead or left")
