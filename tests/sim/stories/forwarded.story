# Any node takes any command for any key; while a key's leader is stopped its requests fail in time.
nodes 3
start all
run 2
show
say n1 set a 0 0 2\r\nhi
run 0.1
say n2 get a
run 0.1
say n3 delete a
run 0.1
stop n1,n2
say n3 get a b c
run 1.2
continue n1,n2
run 2
say n3 get a b c
run 0.1
---
     2.002 -    say to=n1 set a 0 0 2\r\nhi
     2.008 -    answer from=n1 STORED
     2.104 -    say to=n2 get a
     2.108 -    answer from=n2 VALUE a 0 2
     2.108 -    answer from=n2 hi
     2.108 -    answer from=n2 END
     2.206 -    say to=n3 delete a
     2.212 -    answer from=n3 DELETED
     2.306 -    stop node=n1
     2.306 -    stop node=n2
     2.308 -    say to=n3 get a b c
     2.909 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=stalled reporters=1 own=1 minority=0
     3.258 n3   member-suspect member=n1 boot=1767225600000 inc=0 class=stalled reporters=1 own=1 minority=0
     3.310 n3   isolated members=3
     3.311 -    answer from=n3 SERVER_ERROR not done: no answer from n2
     3.508 -    continue node=n1
     3.508 -    continue node=n2
     3.508 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=stalled reporters=1 own=0 minority=0
     3.508 n1   refuted inc=1 state=SUSPECT class=stalled by=n3
     3.508 n2   refuted inc=1 state=SUSPECT class=stalled by=n3
     3.509 n3   member-alive member=n1 inc=0 reason=answered
     3.509 n3   member-alive member=n2 inc=0 reason=answered
     3.509 n1   member-alive member=n2 inc=1 reason=refuted
     5.510 -    say to=n3 get a b c
     5.516 -    answer from=n3 END
