/* The one table of planted bugs: X(name, check, seed, sentence).
 *
 * name      stands in MUTANT(name) where the rule is broken.
 * check     the simulator's check that must notice; or a unit test's program (test_…), where the
 *           rule is one module's own, or broken too seldom in a simulated cluster: the seeds that
 *           notice move with every change of what nodes send, and have to be found again.
 * seed      of that check, tried before 1, 2, 3 …; 0: none. One that noticed when this was written.
 *           MUTANT_OPEN: none of those tried has noticed; the check is still to be sharpened.
 * sentence  what is broken. */
#ifndef DHT_COMMON_MUTANT_LIST_H
#define DHT_COMMON_MUTANT_LIST_H

/* clang-format off */
#define MUTANT_LIST(X) \
    X(repeat_unknown, "requests-once", 0, "a write that left and has no answer is sent once more") \
    X(no_deadline, "requests-faults", 0, "a forwarded request has no deadline") \
    X(miss_for_failure, "requests-once", 0, "a key whose leader can't be reached is said to be absent") \
    X(never_condemned, "complete", 0, "a suspect is never dead") \
    X(never_removed, "complete-half", 0, "who is dead stays on the list") \
    X(refusal_is_nothing, "complete", 2, "a refused dial says nothing") \
    X(no_helpers, "accurate-loss10", 0, "a failed probe suspects, whatever others find") \
    X(stopped_is_silent, "accurate-stops", 0, "a process that is mute is taken for a machine that is off") \
    X(short_clock, "accurate-day", 0, "time is counted in 24 bits of milliseconds: 4.7 hours") \
    X(wall_clock, "accurate-quiet", 0, "timers go by the wall clock") \
    X(isolated_condemns, "accurate-return", 0, "who is cut off condemns the others at once") \
    X(removal_is_nothing, "complete-watchers", 771, "that others have removed a suspect says nothing") \
    X(dead_watch, "complete-watchers", 0, "the dead go on watching, and nobody does it in their place") \
    X(never_stale, "complete-backstop", 1, "who is not heard of for T_fail is not suspected") \
    X(never_refutes, "complete", 3, "who is suspected does not refute it") \
    X(never_pushes, "converge-news", 0, "news waits for rounds") \
    X(never_nudges, "accurate-loss25", 0, "a question without an answer is left to the kernel to send again") \
    X(since_proof, "accurate-freeze", 0, "a suspicion counts from the last proof of life") \
    X(asks_neighbour, "converge-pull", 0, "a node asks always the same member") \
    X(refused_waits, "converge-view", 3, "whose process is gone is suspected as long as one that is stopped") \
    X(removed_untold, "heal", 0, "who comes back is not told that it was removed") \
    X(suspected_for_good, "unfair-paths", 0, "nothing a suspect says or does is believed") \
    X(out_for_good, "test_views", 0, "who is out again, having been in, does not wait again until that is known") \
    X(out_wakes, "births", 31, "who has ended is woken for ever to ask whether it is out") \
    X(stop_wakes, "requests-faults", 6, "a stop that has taken its time wakes the loop for ever") \
    X(asked_is_idle, "linear-far", 36, "a data link over which an answer is awaited counts as idle") \
    X(postponed_wakes, "births", 264, "whoever has accepted another's view in mid-attempt is woken") \
    X(asks_unpaused, "replicas", 4, "a restarted node asks for reports in every turn") \
    X(leave_undoes, "births", 12, "a leave is promised though then who is replaced would be so no longer") \
    X(wishes_outlive, "test_change", 0, "a process is put out by what the one before it asked") \
    X(reports_once, "test_views", 0, "a report that was lost is not asked for") \
    X(never_rejoins, "heal-one-seed", 2, "those that are gone are not tried again") \
    X(seeds_once, "heal-forgotten", 0, "the lines of peers.txt are tried once only") \
    X(no_tombstones, "resurrect", 0, "the removed are forgotten at once") \
    X(age_ignored, "resurrect", 0, "an account counts whatever its age") \
    X(silence_ignored, "test_node", 0, "a connection is read however long it was silent") \
    X(milder_stays, "test_detector", 0, "the only reporter's refusal does not count against its own milder word") \
    X(hello_is_fresh, "test_gossip", 0, "a HELLO proves life however long it waited to be accepted") \
    X(inc_falls, "resurrect", 0, "an incarnation falls") \
    X(final_is_not, "resurrect", 0, "who was removed is taken back by his old account") \
    X(alive_same_inc, "test_members", 0, "whoever is said to be alive is, whatever the incarnation") \
    X(boot_ignored, "identity-restart", 5, "a higher boot of a living name says nothing") \
    X(stranger_is_nothing, "identity-reused", 0, "another name's answer at a member's address says nothing") \
    X(stranger_unheard, "identity-reused", 416, "what requests find at a member's address is not told to gossip") \
    X(any_cluster, "identity-foreign", 0, "another cluster's HELLO is welcome") \
    X(duplicate_stays, "identity-clone", 0, "who learns of a later process of his name stays") \
    X(never_damped, "unfair-flips", 0, "who flaps is not damped") \
    X(rumors_unspent, "at-rest", 0, "a rumor is told for ever") \
    X(rumors_unbounded, "test_rumor", 0, "the queue of rumors has no bound") \
    X(whole_lists, "overload", 0, "every question is for the whole list") \
    X(no_token, "direct-quiet", 0, "an answer goes out before the client has said the token") \
    X(any_token, "direct-quiet", 0, "whatever a client says is taken for the token") \
    X(relays_too, "direct-quiet", 0, "an answer that went out directly is relayed as well") \
    X(never_relays, "direct-quiet", 0, "an answer that could not go out directly is dropped") \
    X(dials_on, "direct", 0, "a client is dialled whenever an answer waits") \
    X(cut_is_clean, "replicas", 1, "a copy whose lineage was cut is still called clean") \
    X(damped_stays, "test_views", 0, "who is damped stays down though it is missed") \
    X(act_kept, "replicas", 1, "an emptied copy keeps its act") \
    X(touch_changes_cas, "replicas", 1, "touch changes cas unique") \
    X(floor_falls, "replicas", 26, "a floor falls to that of the source") \
    X(flush_stays, "replicas", 21, "a flush that the source lacks is not rolled back") \
    X(flush_drops, "replicas", 1, "what a flush has hidden is gone before the floor has passed it") \
    X(flush_undelayed, "replicas", 3, "a flush that is to wait is carried out at once") \
    X(flush_twice, "replicas", 1, "a flush whose id is known is carried out again") \
    X(tombstone_takes_ids, "replicas", 2, "request ids go when the floor passes their tombstone") \
    X(ids_cut, "replicas", 2, "request ids are cut with the tail") \
    X(ids_stay, "replicas", 7, "what an id was answered stays though the source has not got it") \
    X(sync_never_cuts, "replicas", 33, "a copy keeps the tail of its lineage that the source lacks") \
    X(sync_drops_tail, "replicas", 1, "the cut tail is gone before the source has replaced it") \
    X(sync_no_names, "replicas", 4, "what only the receiver has is not looked at by the source") \
    X(sync_newer_wins, "replicas", 4, "a receiver keeps what has a higher version") \
    X(sync_common_by_ver, "replicas", 33, "common is the lower ver, whatever the lineages") \
    X(sync_never_full, "replicas", 2, "a copy below the floor is not emptied") \
    X(sync_own_floor, "scene-stale", 0, "the receiver's floor is forgotten") \
    X(sync_takes_gaps, "replicas", 1, "a synced copy takes a write though one before it has not come") \
    X(sync_ends_early, "replicas", 6, "a sync ends before all has been sent") \
    X(end_unheard, "replicas", 1, "a copy counts as synced before it has acknowledged END") \
    X(sync_forgets_touch, "replicas", 1, "a sync passes over what has been touched") \
    X(sync_one_id, "replicas", 3, "who is not synced gets a write's own request id alone") \
    X(advance_soiled, "scene-soiled", 0, "a copy that is not clean is advanced") \
    X(advance_any_ver, "replicas", 4, "a copy of another ver is advanced") \
    X(advance_any_act, "replicas", 5, "a copy of another act is advanced") \
    X(forgets_promise, "births", 0, "an acceptor forgets what it has promised") \
    X(forgets_acceptance, "births", 0, "an acceptor forgets what it has accepted") \
    X(next_quorum, "births", 4, "the voters of the next view decide upon it") \
    X(voters_up_only, "births", 0, "members that are down have no vote") \
    X(voters_alive_only, "births", 0, "whom gossip holds dead has no vote") \
    X(half_is_enough, "births", 2, "half of those who vote decide") \
    X(own_value, "births", 4, "a proposer offers its own view though another was accepted") \
    X(ballot_reused, "births", 4, "a ballot is used again") \
    X(promise_late, "births", 0, "a proposer sends before its own promise is recorded") \
    X(vote_unrecorded, "births", 6, "a vote that could not be recorded is answered") \
    X(votes_again, "replicas", 4, "who has lost its state file votes with the seat of its name") \
    X(adoption_unrecorded, "replicas", 2, "an adopted view is not recorded") \
    X(no_seal, "replicas", 1, "adopting a view seals nothing") \
    X(votes_for_old, "births", 0, "an acceptor whose view is a later one votes for an older") \
    X(any_list, "births", 12, "an accepted vote of a birth is not bound to its list") \
    X(founds_without_file, "births", 9, "a cluster is founded without a state file") \
    X(founds_anew, "births", 0, "a state file that names a cluster is not looked at") \
    X(founds_by_majority, "births", 0, "those who have lost their data found anew, if they are a majority") \
    X(mark_late, "births", 3, "the state file names the cluster after all have been told") \
    X(form_early, "test_views", 0, "form decides without the promise of a voter that lives") \
    X(generation_reused, "replicas-recover", 3, "a member without its data has the generation of those") \
    X(superseded_out, "births", 0, "a superseded member is out at once") \
    X(shrinks, "births", 2, "a dead member is taken out though nobody can take its place") \
    X(leave_unchecked, "births", 12, "a leave is not looked at again") \
    X(dead_joiner_stays, "births", 2, "a dead newcomer holds up the placement") \
    X(base_early, "replicas", 1, "base rises before every slot is active") \
    X(base_past_nobody, "births", 0, "base rises past a slot without a primary") \
    X(any_active, "replicas", 2, "whoever reports a slot active is believed") \
    X(leads_old_view, "replicas", 2, "a restarted primary leads a view from before its restart") \
    X(stop_early, "births", 14, "who stops ends before others have everything") \
    X(stop_takes_sessions, "births", 14, "who stops still takes sessions") \
    X(up_at_once, "test_views", 0, "who is put down as soon as it is up comes up again at once") \
    X(views_unpaced, "test_views", 0, "however many views are kept, what is asked for makes another") \
    X(ends_untold, "births", 206, "a leaver ends untold") \
    X(fence_past_accepted, "test_rules", 0, "who has accepted the next view answers for the present one") \
    X(fence_for_ever, "test_views", 0, "the fence never falls") \
    X(attempts_alike, "linear-far", 0, "an attempt has no more time than the one that had too little") \
    X(fence_anew, "linear-far", 0, "a fence that is asked for again counts no answer to what was asked before") \
    X(recovers_at_once, "test_rules", 0, "recover waits for no fence") \
    X(held_few, "test_views", 0, "of many that are dead at once no more than 64 are ever gone") \
    X(collect_too_few, "replicas", 6, "one answer is enough of three") \
    X(collect_all, "scene-dead-copies", 0, "all of a group have to answer") \
    X(collect_up_only, "replicas", 9, "members that were down do not count for what is needed") \
    X(collect_last_only, "replicas", 9, "only the last epoch has to be covered") \
    X(collect_lowest_only, "replicas", 7, "only the lowest epoch has to be covered") \
    X(collect_any, "replicas", 6, "any member of a group is taken for its primary") \
    X(collect_first, "replicas", 4, "the first of a group is taken for its primary, though it was down") \
    X(choose_by_ver, "replicas", 5, "the copy of the greatest ver is chosen, whatever its act") \
    X(choose_by_act, "replicas", 7, "any copy of the greatest act is chosen") \
    X(choose_own, "replicas", 4, "a new primary goes on with its own copy") \
    X(act_before_sync, "replicas", 7, "act is recorded before the chosen copy is here") \
    X(origin_unclean, "test_rules", 0, "a copy that is not clean counts as the same as another") \
    X(backups_early, "replicas", 2, "backups are offered a copy before the slot is led") \
    X(active_few, "replicas", 2, "a slot is active at once") \
    X(active_up_only, "replicas", 3, "a majority of those that are up makes a slot active") \
    X(lead_unrecorded, "replicas", 1, "a primary counts itself before it has recorded that it leads") \
    X(down_leads, "replicas", 2, "a member that is down leads") \
    X(active_learners, "replicas-recover", 1, "learners count for a quorum") \
    X(floor_ignores_sessions, "scene-newcomer", 0, "a floor does not wait for those being synced") \
    X(floor_up_only, "replicas", 6, "a floor does not wait for members that are away") \
    X(floor_own, "replicas", 6, "a floor is as high as the primary's own copy") \
    X(drops_early, "replicas", 20, "a leftover is dropped before the slot is active elsewhere") \
    X(write_aside, "replicas", 1, "a write is not put into the stream") \
    X(write_unacked, "replicas", 4, "a write is answered before a backup has it") \
    X(read_unmarked, "replicas", 6, "a read is answered without a marker") \
    X(marker_before, "replicas", 1, "an earlier record counts as a read's marker") \
    X(refusal_unmarked, "replicas", 20, "a refusal is answered without a marker") \
    X(acks_late, "test_node", 0, "what was acknowledged by a link that has ended releases a write") \
    X(unsynced_counts, "replicas", 2, "a backup that is not synced counts") \
    X(expiry_untold, "test_rules", 0, "an expired item is absent without a delete") \
    X(evicted_late, "test_serve", 0, "what was evicted is told with the next command") \
    X(no_fence, "test_rules", 0, "a result is given although the fence has fallen")
/* clang-format on */

#endif
