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
     2.826 n4   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     2.827 n1   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.827 n2   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.827 n3   member-suspect member=n5 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.850 n5   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     3.139 n1   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.140 n2   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.140 n3   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.140 n4   ring-changed members=5 ring=a32752c94716b087 changes=2 epoch=2
     3.185 n5   member-suspect member=n1 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     3.844 n5   member-suspect member=n4 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     4.006 n5   isolated members=5
     5.266 n5   member-suspect member=n3 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=1
     9.226 n4   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.227 n1   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.227 n2   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
     9.227 n3   member-dead member=n5 boot=1767225600000 inc=0 class=silent reporters=4 own=1 minority=0
    11.231 n1   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.232 n2   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.232 n3   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.232 n4   ring-changed members=5 ring=a32752c94716b087 changes=3 epoch=3
    11.260 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.261 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.261 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    11.261 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=4
    14.000 -    rejoin node=n5
    14.227 n4   member-removed member=n5 boot=1767225600000 inc=0
    14.227 n2   member-removed member=n5 boot=1767225600000 inc=0
    14.227 n1   member-removed member=n5 boot=1767225600000 inc=0
    14.227 n3   member-removed member=n5 boot=1767225600000 inc=0
    14.506 n5   member-alive member=n2 inc=0 reason=answered
    14.507 n2   refuted inc=1 state=SUSPECT class=silent by=n5
    14.508 n5   member-alive member=n4 inc=0 reason=heard
    14.508 n5   member-alive member=n1 inc=0 reason=heard
    14.508 n5   member-alive member=n3 inc=0 reason=heard
    14.508 n5   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=4
    14.511 n2   member-joined member=n5 boot=1767225614510 inc=0
    14.513 n3   refuted inc=1 state=SUSPECT class=stalled by=-
    14.513 n3   member-joined member=n5 boot=1767225614510 inc=0
    14.513 n4   refuted inc=1 state=SUSPECT class=stalled by=-
    14.513 n4   member-joined member=n5 boot=1767225614510 inc=0
    14.514 n1   member-joined member=n5 boot=1767225614510 inc=0
    15.188 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    15.189 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    15.189 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    15.189 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
    15.189 n5   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=5
    15.222 n1   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    15.223 n2   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    15.223 n3   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    15.223 n4   ring-changed members=5 ring=963e52e3b3bd98a0 changes=6 epoch=6
    15.223 n5   ring-changed members=5 ring=963e52e3b3bd98a0 changes=4 epoch=6
