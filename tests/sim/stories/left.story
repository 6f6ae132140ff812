# Who leaves says so: LEFT at once, never suspected; its name may come back.
nodes 4
start all
run 2
show
leave n1
run 6
start n1
run 2
---
     2.000 -    leave node=n1
     2.001 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=2 slots_lost=4300
     2.001 n3   member-left member=n1 boot=1767225600000 inc=0
     2.001 n2   member-left member=n1 boot=1767225600000 inc=0
     2.001 n4   member-left member=n1 boot=1767225600000 inc=0
     2.001 n2   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=2 slots_lost=123
     2.001 n4   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=2 slots_lost=0
     2.001 n3   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=2 slots_lost=0
     2.002 -    exit node=n1 why=left
     8.000 -    start node=n1
     8.010 n2   member-joined member=n1 boot=1767225608000 inc=0
     8.010 n3   member-joined member=n1 boot=1767225608000 inc=0
     8.010 n4   member-joined member=n1 boot=1767225608000 inc=0
     8.010 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=908
     8.010 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=1662
     8.010 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=3 slots_lost=1853
     8.011 n1   member-joined member=n2 boot=1767225600000 inc=0
     8.011 n1   member-joined member=n3 boot=1767225600000 inc=0
     8.011 n1   member-joined member=n4 boot=1767225600000 inc=0
     8.011 n1   joined members=4 seeds=3
     8.011 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=1 slots_lost=0
