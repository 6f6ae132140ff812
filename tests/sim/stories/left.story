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
     2.005 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=2
     2.006 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=2
     2.006 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=2
     2.006 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=2 epoch=2
     2.034 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=3 epoch=3
     2.035 n2   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=3 epoch=3
     2.035 n3   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=3 epoch=3
     2.035 n4   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=3 epoch=3
     2.064 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=4 epoch=4
     2.065 n2   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=4 epoch=4
     2.065 n3   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=4 epoch=4
     2.065 n4   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=4 epoch=4
     2.068 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=5 epoch=5
     2.069 n2   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=5 epoch=5
     2.069 n3   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=5 epoch=5
     2.069 n4   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=5 epoch=5
     2.071 n2   member-left member=n1 boot=1767225600000 inc=0
     2.071 n3   member-left member=n1 boot=1767225600000 inc=0
     2.071 n4   member-left member=n1 boot=1767225600000 inc=0
     2.074 -    exit node=n1 why=left
     8.000 -    start node=n1
     8.000 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=1 epoch=5
     8.005 n1   member-expected member=n2 boot=1767225600000 inc=0
     8.005 n1   member-expected member=n3 boot=1767225600000 inc=0
     8.005 n1   member-expected member=n4 boot=1767225600000 inc=0
     8.010 n4   member-joined member=n1 boot=1767225608000 inc=0
     8.010 n2   member-joined member=n1 boot=1767225608000 inc=0
     8.010 n3   member-joined member=n1 boot=1767225608000 inc=0
     8.011 n1   joined members=4 seeds=3
     8.667 n3   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=6 epoch=6
     8.668 n2   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=6 epoch=6
     8.668 n1   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=2 epoch=6
     8.668 n4   ring-changed members=3 ring=6a2fe3cfe06bbd6f changes=6 epoch=6
     8.721 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=7 epoch=7
     8.722 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=7 epoch=7
     8.722 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=3 epoch=7
     8.722 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=7 epoch=7
