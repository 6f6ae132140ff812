# A process that is killed is suspected at once, dead in a fifth of a second, removed after five.
nodes 4
start all
run 2
show
kill n3
run 6
---
     2.000 -    kill node=n3
     2.007 n4   member-suspect member=n3 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n2   member-suspect member=n3 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.007 n1   member-suspect member=n3 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.011 n1   ring-changed members=4 ring=08245a1156199061 changes=2 epoch=2
     2.012 n2   ring-changed members=4 ring=08245a1156199061 changes=2 epoch=2
     2.012 n4   ring-changed members=4 ring=08245a1156199061 changes=2 epoch=2
     2.207 n1   member-dead member=n3 boot=1767225600000 inc=0 class=refused reporters=3 own=1 minority=0
     2.207 n2   member-dead member=n3 boot=1767225600000 inc=0 class=refused reporters=3 own=1 minority=0
     2.208 n4   member-dead member=n3 boot=1767225600000 inc=0 class=refused reporters=3 own=1 minority=0
     4.212 n1   ring-changed members=4 ring=08245a1156199061 changes=3 epoch=3
     4.213 n2   ring-changed members=4 ring=08245a1156199061 changes=3 epoch=3
     4.213 n4   ring-changed members=4 ring=08245a1156199061 changes=3 epoch=3
     4.241 n1   ring-changed members=3 ring=9742b38f23e94569 changes=4 epoch=4
     4.242 n2   ring-changed members=3 ring=9742b38f23e94569 changes=4 epoch=4
     4.242 n4   ring-changed members=3 ring=9742b38f23e94569 changes=4 epoch=4
     7.207 n1   member-removed member=n3 boot=1767225600000 inc=0
     7.207 n2   member-removed member=n3 boot=1767225600000 inc=0
     7.208 n4   member-removed member=n3 boot=1767225600000 inc=0
