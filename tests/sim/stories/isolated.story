# A node cut off for 12 s holds nobody for dead, and nobody dies of its return but itself.
nodes 5
start all
run 2
show
isolate n5
run 12
rejoin n5
run 5
---
     2.000 -    isolate node=n5
     2.702 n5   member-suspect member=n1 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     2.826 n4   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     2.827 n1   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.827 n2   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.827 n3   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     3.268 n5   member-suspect member=n3 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     4.378 n5   member-suspect member=n4 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     4.505 n5   isolated members=5
     5.402 n5   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=1
     9.226 n4   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.226 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=0
     9.226 n1   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.226 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=2 slots_lost=0
     9.226 n3   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.226 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=2 slots_lost=107
     9.227 n2   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.227 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=2 slots_lost=19
    14.000 -    rejoin node=n5
    14.085 n5   member-alive member=n4 inc=0 reason=answered
    14.087 n5   refuted inc=1 state=DEAD class=silent by=n4
    14.088 n4   member-alive member=n5 inc=1 reason=refuted
    14.088 n4   ring-changed members=5 ring=963e52e3b3bd98a0 changes=4 slots_lost=875
    14.089 n1   refuted inc=1 state=SUSPECT class=stalled by=-
    14.089 n3   refuted inc=1 state=SUSPECT class=stalled by=-
    14.089 n2   refuted inc=1 state=SUSPECT class=stalled by=-
    14.089 n1   member-alive member=n5 inc=1 reason=refuted
    14.089 n3   member-alive member=n5 inc=1 reason=refuted
    14.089 n2   member-alive member=n5 inc=1 reason=refuted
    14.089 n3   ring-changed members=5 ring=963e52e3b3bd98a0 changes=3 slots_lost=669
    14.089 n2   ring-changed members=5 ring=963e52e3b3bd98a0 changes=3 slots_lost=990
    14.089 n1   ring-changed members=5 ring=963e52e3b3bd98a0 changes=3 slots_lost=860
    14.090 n4   refuted inc=1 state=SUSPECT class=stalled by=-
    14.091 n5   member-alive member=n1 inc=1 reason=refuted
    14.091 n5   member-alive member=n3 inc=1 reason=refuted
    14.091 n5   member-alive member=n2 inc=1 reason=refuted
