# A key whose leader dies is read at the next one: requests wait for the view in which it leads.
nodes 3
start all
run 2
show
say n1 set a 0 0 2\r\nhi
run 0.1
kill n2
say n1 get a
run 0.5
say n3 get a
run 0.1
say n3 set a 0 0 3\r\nnew
run 0.1
say n1 get a
run 0.1
---
     2.002 -    say to=n1 set a 0 0 2\r\nhi
     2.008 -    answer from=n1 STORED
     2.102 -    kill node=n2
     2.104 -    say to=n1 get a
     2.109 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.109 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=refused reporters=1 own=1 minority=0
     2.113 n1   ring-changed members=3 ring=7269b47f942b4af1 changes=2 epoch=2
     2.114 n3   ring-changed members=3 ring=7269b47f942b4af1 changes=2 epoch=2
     2.120 -    answer from=n1 VALUE a 0 2
     2.120 -    answer from=n1 hi
     2.120 -    answer from=n1 END
     2.309 n1   member-dead member=n2 boot=1767225600000 inc=0 class=refused reporters=2 own=1 minority=0
     2.310 n3   member-dead member=n2 boot=1767225600000 inc=0 class=refused reporters=2 own=1 minority=0
     2.606 -    say to=n3 get a
     2.612 -    answer from=n3 VALUE a 0 2
     2.612 -    answer from=n3 hi
     2.612 -    answer from=n3 END
     2.708 -    say to=n3 set a 0 0 3\r\nnew
     2.714 -    answer from=n3 STORED
     2.810 -    say to=n1 get a
     2.814 -    answer from=n1 VALUE a 0 3
     2.814 -    answer from=n1 new
     2.814 -    answer from=n1 END
