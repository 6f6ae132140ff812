# A process stopped for 8 s is suspected as stalled, never dead, and refutes when it goes on.
nodes 4
start all
run 2
show
stop n4
run 8
continue n4
run 3
---
     2.000 -    stop node=n4
     2.663 n1   member-suspect member=n4 boot=1767225600000 inc=0 class=stalled reporters=1 own=1 minority=0
     2.665 n2   member-suspect member=n4 boot=1767225600000 inc=0 class=stalled reporters=1 own=0 minority=0
     2.665 n3   member-suspect member=n4 boot=1767225600000 inc=0 class=stalled reporters=1 own=0 minority=0
     3.692 n3   ring-changed members=4 ring=258996ae21ac198b changes=2 epoch=2
     3.693 n1   ring-changed members=4 ring=258996ae21ac198b changes=2 epoch=2
     3.693 n2   ring-changed members=4 ring=258996ae21ac198b changes=2 epoch=2
    10.000 -    continue node=n4
    10.000 n4   refuted inc=1 state=SUSPECT class=stalled by=n1
    10.001 n3   member-alive member=n4 inc=0 reason=answered
    10.001 n1   member-alive member=n4 inc=0 reason=answered
    10.001 n2   member-alive member=n4 inc=0 reason=answered
    10.002 n4   ring-changed members=4 ring=258996ae21ac198b changes=2 epoch=2
    10.532 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=3
    10.533 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=3
    10.533 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=3
    10.533 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=3
