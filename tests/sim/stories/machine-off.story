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
     2.818 n4   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=1 minority=0
     2.819 n1   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     2.819 n3   member-suspect member=n2 boot=1767225600000 inc=0 class=silent reporters=1 own=0 minority=0
     3.121 n1   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     3.122 n3   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     3.122 n4   ring-changed members=4 ring=93a5e2e84057663a changes=2 epoch=2
     9.219 n4   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
     9.219 n3   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
     9.220 n1   member-dead member=n2 boot=1767225600000 inc=0 class=silent reporters=3 own=1 minority=0
    11.224 n1   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
    11.225 n3   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
    11.225 n4   ring-changed members=4 ring=93a5e2e84057663a changes=3 epoch=3
    11.254 n1   ring-changed members=3 ring=2c0b06b376306521 changes=4 epoch=4
    11.255 n3   ring-changed members=3 ring=2c0b06b376306521 changes=4 epoch=4
    11.255 n4   ring-changed members=3 ring=2c0b06b376306521 changes=4 epoch=4
    14.219 n4   member-removed member=n2 boot=1767225600000 inc=0
    14.219 n3   member-removed member=n2 boot=1767225600000 inc=0
    14.219 n1   member-removed member=n2 boot=1767225600000 inc=0
    17.000 -    power-on node=n2
    17.000 -    start node=n2
    17.000 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=1 epoch=1
    17.005 n2   member-expected member=n1 boot=1767225600000 inc=0
    17.005 n2   member-expected member=n3 boot=1767225600000 inc=0
    17.005 n2   member-expected member=n4 boot=1767225600000 inc=0
    17.009 n1   member-joined member=n2 boot=1767225617000 inc=0
    17.009 n3   member-joined member=n2 boot=1767225617000 inc=0
    17.009 n4   member-joined member=n2 boot=1767225617000 inc=0
    17.010 n2   joined members=4 seeds=3
    17.010 n2   ring-changed members=3 ring=2c0b06b376306521 changes=2 epoch=4
    17.143 n3   ring-changed members=3 ring=2c0b06b376306521 changes=5 epoch=5
    17.144 n1   ring-changed members=3 ring=2c0b06b376306521 changes=5 epoch=5
    17.144 n2   ring-changed members=3 ring=2c0b06b376306521 changes=3 epoch=5
    17.144 n4   ring-changed members=3 ring=2c0b06b376306521 changes=5 epoch=5
    17.195 n1   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
    17.196 n3   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
    17.196 n4   ring-changed members=4 ring=23cc5352c23033c2 changes=6 epoch=6
    17.198 n2   ring-changed members=4 ring=23cc5352c23033c2 changes=4 epoch=6
