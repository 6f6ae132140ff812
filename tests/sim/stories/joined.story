# A node that stands in nobody's peers.txt joins through the one that stands in all.
nodes 4
peers 1
start n1,n2,n3
run 3
start n4
run 2
---
     0.000 -    start node=n1
     0.000 -    start node=n2
     0.000 -    start node=n3
     0.004 n1   joined members=1 seeds=0
     0.005 n1   ring-changed members=1 ring=d7805f85e7f445f1 changes=1 epoch=1
     0.009 n1   member-joined member=n2 boot=1767225600000 inc=0
     0.009 n1   member-joined member=n3 boot=1767225600000 inc=0
     0.010 n2   member-joined member=n1 boot=1767225600000 inc=0
     0.010 n2   joined members=2 seeds=1
     0.010 n2   ring-changed members=1 ring=d7805f85e7f445f1 changes=1 epoch=1
     0.010 n3   member-joined member=n1 boot=1767225600000 inc=0
     0.010 n3   member-joined member=n2 boot=1767225600000 inc=0
     0.010 n3   joined members=3 seeds=1
     0.010 n3   ring-changed members=1 ring=d7805f85e7f445f1 changes=1 epoch=1
     0.012 n1   ring-changed members=1 ring=d7805f85e7f445f1 changes=2 epoch=2
     0.012 n2   member-joined member=n3 boot=1767225600000 inc=0
     0.013 n2   ring-changed members=1 ring=d7805f85e7f445f1 changes=2 epoch=2
     0.013 n3   ring-changed members=1 ring=d7805f85e7f445f1 changes=2 epoch=2
     0.016 n1   ring-changed members=1 ring=d7805f85e7f445f1 changes=3 epoch=3
     0.017 n2   ring-changed members=1 ring=d7805f85e7f445f1 changes=3 epoch=3
     0.017 n3   ring-changed members=1 ring=d7805f85e7f445f1 changes=3 epoch=3
     0.128 n1   ring-changed members=3 ring=333ee145cc329909 changes=4 epoch=4
     0.129 n2   ring-changed members=3 ring=333ee145cc329909 changes=4 epoch=4
     0.129 n3   ring-changed members=3 ring=333ee145cc329909 changes=4 epoch=4
     3.000 -    start node=n4
     3.009 n1   member-joined member=n4 boot=1767225603000 inc=0
     3.010 n4   member-joined member=n1 boot=1767225600000 inc=0
     3.010 n4   member-joined member=n2 boot=1767225600000 inc=0
     3.010 n4   member-joined member=n3 boot=1767225600000 inc=0
     3.010 n4   joined members=4 seeds=1
     3.010 n4   ring-changed members=3 ring=333ee145cc329909 changes=1 epoch=4
     3.011 n2   member-joined member=n4 boot=1767225603000 inc=0
     3.011 n3   member-joined member=n4 boot=1767225603000 inc=0
     3.016 n1   ring-changed members=3 ring=333ee145cc329909 changes=5 epoch=5
     3.017 n2   ring-changed members=3 ring=333ee145cc329909 changes=5 epoch=5
     3.017 n3   ring-changed members=3 ring=333ee145cc329909 changes=5 epoch=5
     3.017 n4   ring-changed members=3 ring=333ee145cc329909 changes=2 epoch=5
     3.070 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
     3.071 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
     3.071 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
     3.071 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=6
