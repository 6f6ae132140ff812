/* The one table of planted bugs: X(name, check, sentence).
 *
 * name      stands in MUTANT(name) where the rule is broken.
 * check     the simulator's check that must notice.
 * sentence  what is broken. */
#ifndef DHT_COMMON_MUTANT_LIST_H
#define DHT_COMMON_MUTANT_LIST_H

/* clang-format off */
#define MUTANT_LIST(X) \
    X(repeat_unknown, "requests-once", "a write that left and has no answer is sent once more") \
    X(no_deadline, "requests-faults", "a forwarded request has no deadline") \
    X(miss_for_failure, "requests-once", "a key whose leader can't be reached is said to be absent") \
    X(keeps_slots, "requests-moved", "a node keeps the items of slots it leads no longer") \
    X(never_condemned, "complete", "a suspect is never dead") \
    X(refusal_is_nothing, "complete", "a refused dial says nothing") \
    X(no_helpers, "accurate-loss10", "a failed probe suspects, whatever others find") \
    X(stopped_is_silent, "accurate-stops", "a process that is mute is taken for a machine that is off") \
    X(wall_clock, "accurate-quiet", "timers go by the wall clock") \
    X(isolated_condemns, "accurate-return", "who is cut off condemns the others at once") \
    X(never_refutes, "complete", "who is suspected does not refute it") \
    X(never_pushes, "converge-news", "news waits for rounds") \
    X(never_rejoins, "heal", "those that are gone are not tried again") \
    X(no_tombstones, "resurrect", "the removed are forgotten at once") \
    X(age_ignored, "resurrect", "an account counts whatever its age") \
    X(inc_falls, "resurrect", "an incarnation falls") \
    X(final_is_not, "resurrect", "who was removed is taken back by his old account") \
    X(boot_ignored, "identity-restart", "a higher boot of a living name says nothing") \
    X(any_cluster, "identity-foreign", "another cluster's HELLO is welcome") \
    X(duplicate_stays, "identity-clone", "who learns of a later process of his name stays") \
    X(never_damped, "unfair-flips", "who flaps is not damped") \
    X(whole_lists, "overload", "every question is for the whole list") \
    X(no_token, "direct-quiet", "an answer goes out before the client has said the token") \
    X(any_token, "direct-quiet", "whatever a client says is taken for the token") \
    X(relays_too, "direct-quiet", "an answer that went out directly is relayed as well") \
    X(never_relays, "direct-quiet", "an answer that could not go out directly is dropped") \
    X(dials_on, "direct", "a client is dialled whenever an answer waits") \
    X(cut_is_clean, "replicas", "a copy whose lineage was cut is still called clean") \
    X(act_kept, "replicas", "an emptied copy keeps its act") \
    X(touch_changes_cas, "replicas", "touch changes cas unique") \
    X(floor_falls, "replicas", "a floor falls to that of the source") \
    X(flush_stays, "replicas", "a flush that the source lacks is not rolled back") \
    X(tombstone_takes_ids, "replicas", "request ids go when the floor passes their tombstone") \
    X(ids_cut, "replicas", "request ids are cut with the tail") \
    X(sync_never_cuts, "replicas", "a copy keeps the tail of its lineage that the source lacks") \
    X(sync_drops_tail, "replicas", "the cut tail is gone before the source has replaced it") \
    X(sync_no_names, "replicas", "what only the receiver has is not looked at by the source") \
    X(sync_newer_wins, "replicas", "a receiver keeps what has a higher version") \
    X(sync_common_by_ver, "replicas", "common is the lower ver, whatever the lineages") \
    X(sync_never_full, "replicas", "a copy below the floor is not emptied") \
    X(sync_own_floor, "replicas", "the receiver's floor is forgotten") \
    X(sync_takes_gaps, "replicas", "a synced copy takes a write that is not the next one") \
    X(sync_ends_early, "replicas", "a sync ends before all has been sent") \
    X(sync_one_id, "replicas", "who is not synced gets a write's own request id alone") \
    X(advance_soiled, "replicas", "a copy that is not clean is advanced") \
    X(advance_any_ver, "replicas", "a copy of another ver is advanced") \
    X(advance_any_act, "replicas", "a copy of another act is advanced")
/* clang-format on */

#endif
