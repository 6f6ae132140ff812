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
     2.007 n4   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.011 n1   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     2.012 n3   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     2.012 n4   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     2.100 -    start node=n2
     2.100 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=1 epoch=1
     2.105 n2   member-expected member=n1 boot=1767225600000 inc=0
     2.105 n2   member-expected member=n3 boot=1767225600000 inc=0
     2.105 n2   member-expected member=n4 boot=1767225600000 inc=0
     2.109 n1   member-restarted member=n2 boot=1767225602100 inc=0
     2.109 n3   member-restarted member=n2 boot=1767225602100 inc=0
     2.109 n4   member-restarted member=n2 boot=1767225602100 inc=0
     2.110 n2   joined members=4 seeds=3
     2.110 n2   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     2.114 n1   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
     2.115 n2   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
     2.115 n3   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
     2.115 n4   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
     2.265 n2   ring-changed members=4 ring=93a5e2e84057663a changes=4 epoch=4
     2.266 n1   ring-changed members=4 ring=93a5e2e84057663a changes=4 epoch=4
     2.266 n3   ring-changed members=4 ring=93a5e2e84057663a changes=4 epoch=4
     2.266 n4   ring-changed members=4 ring=93a5e2e84057663a changes=4 epoch=4
     2.319 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
     2.320 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
     2.320 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
     2.320 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=5 epoch=5
