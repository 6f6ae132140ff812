# Killed and started again within a fifth of a second: everybody sees another process.
nodes 4
start all
run 2
show
kill n2
run 0.1
start n2
run 3
---
     2.000 -    kill node=n2
     2.007 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n4   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.100 -    start node=n2
     2.110 n3   member-restarted member=n2 boot=1767225602100 inc=0
     2.110 n4   member-restarted member=n2 boot=1767225602100 inc=0
     2.110 n1   member-restarted member=n2 boot=1767225602100 inc=0
     2.111 n2   member-joined member=n3 boot=1767225600000 inc=0
     2.111 n2   member-joined member=n4 boot=1767225600000 inc=0
     2.111 n2   member-joined member=n1 boot=1767225600000 inc=0
     2.111 n2   joined members=4 seeds=3
     2.111 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=1 slots_lost=0
