# A machine that is off answers nothing: suspected within a second or so, dead after T_silent; when it
# is back its node is a later process of the name.
nodes 4
start all
run 2
show
off n2
run 15
on n2
start n2
run 2
---
     2.000 -    power-off node=n2
     2.710 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     2.712 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.712 n4   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     9.110 n3   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
     9.110 n3   ring-changed members=3 ring=2c0b06b376306521 changes=2 slots_lost=0
     9.110 n1   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
     9.110 n1   ring-changed members=3 ring=2c0b06b376306521 changes=2 slots_lost=0
     9.111 n4   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
     9.111 n4   ring-changed members=3 ring=2c0b06b376306521 changes=2 slots_lost=0
    14.110 n3   member-removed member=n2 boot=1767225600000 inc=0
    14.112 n1   member-removed member=n2 boot=1767225600000 inc=0
    14.112 n4   member-removed member=n2 boot=1767225600000 inc=0
    17.000 -    power-on node=n2
    17.000 -    start node=n2
    17.010 n3   member-joined member=n2 boot=1767225617000 inc=0
    17.010 n4   member-joined member=n2 boot=1767225617000 inc=0
    17.010 n1   member-joined member=n2 boot=1767225617000 inc=0
    17.010 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=1680
    17.010 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=1170
    17.010 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=1154
    17.011 n2   member-joined member=n3 boot=1767225600000 inc=0
    17.011 n2   member-joined member=n4 boot=1767225600000 inc=0
    17.011 n2   member-joined member=n1 boot=1767225600000 inc=0
    17.011 n2   joined members=4 seeds=3
    17.011 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=1 slots_lost=0
