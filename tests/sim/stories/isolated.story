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
     2.878 n5   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     3.195 n5   member-suspect member=n1 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     3.335 n3   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     3.337 n4   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     3.337 n1   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     3.337 n2   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     3.496 n2   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.497 n1   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.497 n3   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.497 n4   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     5.564 n5   member-suspect member=n4 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     5.627 n5   isolated members=5
     6.077 n5   member-suspect member=n3 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=1
     9.736 n3   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.737 n4   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.737 n1   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.737 n2   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
    11.741 n1   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.742 n2   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.742 n3   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.742 n4   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.770 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.771 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.771 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.771 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    14.000 -    rejoin node=n5
    14.515 n5   member-alive member=n3 inc=0 reason=answered
    14.516 n3   refuted inc=1 state=SUSPECT class=silent by=n5
    14.517 n5   member-alive member=n4 inc=0 reason=heard
    14.517 n5   member-alive member=n1 inc=0 reason=heard
    14.517 n5   member-alive member=n2 inc=0 reason=heard
    14.517 n5   refuted inc=1 state=DEAD class=silent by=n3
    14.517 n5   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=4
    14.519 n3   member-alive member=n5 inc=1 reason=refuted
    14.520 n4   member-alive member=n5 inc=1 reason=refuted
    14.520 n1   member-alive member=n5 inc=1 reason=refuted
    14.520 n2   member-alive member=n5 inc=1 reason=refuted
    14.522 n4   refuted inc=1 state=SUSPECT class=stalled by=-
    14.522 n1   refuted inc=1 state=SUSPECT class=stalled by=-
    14.527 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    14.528 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    14.528 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    14.528 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    14.528 n5   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=5
    14.557 n1   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    14.558 n2   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    14.558 n3   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    14.558 n4   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    14.558 n5   ring-changed members=5 ring=963e52e3b3bd98a0 changes=4 epoch=6
