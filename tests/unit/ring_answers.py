#!/usr/bin/env python3
"""The known answers of test_ring.c, computed by common/ring.h's words alone: prints the table's rows.

    tests/unit/ring_answers.py
"""

import hashlib
import struct

SLOTS = 16384
COPIES = 3
NOBODY = 65535


def order(name, number):
    """The slots of one order of a member, by rank."""
    words = struct.unpack(">8H", hashlib.sha1(b"%s#%d" % (name, number)).digest()[:16])
    for rank in range(SLOTS):
        slot = rank
        for factor, addend in zip(words[::2], words[1::2]):
            slot = (slot * (factor | 1) + addend) % SLOTS
            slot ^= slot >> 7
        yield slot


def is_enough(met, wanted_hosts, wanted):
    return len({host for _, host in met}) >= wanted_hosts and len(met) >= wanted


def place_groups(members):
    """members: (name, weight), sorted. What each slot's walk meets, as far as it matters."""
    hosts = [name.rsplit(b":", 1)[0] for name, _ in members]
    wanted = min(COPIES, len(members))
    wanted_hosts = min(COPIES, len(set(hosts)))
    walks = [[] for _ in range(SLOTS)]
    orders = [(i, order(m[0], j)) for i, m in enumerate(members) for j in range(m[1])]
    missing = SLOTS
    while missing:
        for i, slots in orders:
            slot = next(slots)
            met = walks[slot]
            if is_enough(met, wanted_hosts, wanted) or (i, hosts[i]) in met:
                continue
            met.append((i, hosts[i]))
            missing -= is_enough(met, wanted_hosts, wanted)
    groups = []
    for met in walks:
        first, seen = [], set()
        for i, host in met:
            if host not in seen:
                seen.add(host)
                first.append(i)
        first = first[:wanted]
        first += [i for i, _ in met if i not in first][: wanted - len(first)]
        groups.append(first)
    return groups


def find_chain(groups, primary, led, share, new):
    """The slots that change hands and their new primaries, or who was reached without success."""
    came = {}

    def reach(slot):
        for i in groups[slot]:
            if i not in came:
                came[i] = slot
                if led[i] < share[i]:
                    return i
        return None

    end = reach(new)
    level = list(came)
    while end is None and level:
        before = set(came)
        for slot in range(new - 1, -1, -1):
            if primary[slot] in level:
                end = reach(slot)
                if end is not None:
                    break
        level = [i for i in came if i not in before]
    return end, came


def place_primaries(members, groups):
    total = sum(weight for _, weight in members)
    share = [max(SLOTS * w * 105 // (total * 100), -(-SLOTS * w // total)) for _, w in members]
    led = [0] * len(members)
    primary = []
    for new in range(SLOTS):
        primary.append(None)
        while True:
            end, came = find_chain(groups, primary, led, share, new)
            if end is not None:
                break
            for i in came:
                share[i] += share[i] // 64 + 1
        led[end] += 1
        while True:
            slot = came[end]
            primary[slot], end = end, primary[slot]
            if slot == new:
                break
    return primary


def answer(names):
    members = sorted((name.encode(), 1) for name in names)
    groups = place_groups(members)
    primary = place_primaries(members, groups)
    rows = [(group + [NOBODY] * COPIES)[:COPIES] + [primary[slot]] for slot, group in enumerate(groups)]
    hashed = hashlib.sha1(b"".join(struct.pack(">4H", *row) for row in rows)).hexdigest()[:16]
    shown = ["{" + ", ".join("NOBODY" if i == NOBODY else str(i) for i in rows[slot]) + "}"
             for slot in (0, 8192, 16383)]
    return "0x%s,\n %s}," % (hashed, ", ".join(shown))


def main():
    lists = ["127.0.0.1:11211", "a.example:11211 b.example:11211",
             "127.0.0.1:11211 127.0.0.1:11212 127.0.0.1:11213", "a:1 a:2 a:3 b:1 b:2 [::1]:1"]
    for text in lists:
        print('{"%s", 0, %s' % (text.replace(" ", "\\n"), answer(text.split())))
    for count in (5, 40, 400, 4000):
        names = ["node%d.example:11211" % i for i in range(1, count + 1)]
        print("{NULL, %d, %s" % (count, answer(names)))


if __name__ == "__main__":
    main()
