"""The rows of the table: what is done to the cluster, and what is measured of it.

A row takes a Cluster that has settled and leaves one that has. It returns lines, each the name of a
figure with its values; report.py makes a table of them.
"""

import random
import signal
import time

import report

DEAD = ("member-dead",)
ALIVE = ("member-joined", "member-expected", "member-alive", "member-restarted", "member-renewed")
GONE = ("member-left",)
SUSPECT = ("member-suspect",)


class Line:
    """A figure: its name, its values in its unit, what Serf 0.9.4 did in the same place (40 agents, LAN
    profile), what we want to reach, and the bound that a test holds it to (the target times ten)."""

    def __init__(self, name, values, serf, target, bound=None, unit="s", missing=0):
        self.name = name
        self.values = values
        self.serf = serf
        self.target = target
        self.bound = bound          # of the median, None: only recorded
        self.unit = unit
        self.missing = missing      # observations that did not come in time

    def median(self):
        return report.rank(sorted(self.values), 0.5) if self.values else None

    def complaint(self):
        """Why a test of it fails, or nothing."""
        if self.missing:
            return f"{self.name}: {self.missing} missing"
        if self.bound is not None and self.values and self.median() > self.bound:
            return f"{self.name}: median {self.median():.3f} {self.unit} above {self.bound}"
        return None


class Measurement:
    def __init__(self, cluster, scale, say, seed):
        self.cluster = cluster
        self.scale = scale          # of the number of runs; 1: the whole table
        self.say = say
        self.random = random.Random(seed)
        self.base = sorted(cluster.pids)

    def runs(self, count):
        return max(1, round(count * self.scale))

    def victims(self, count):
        """Different nodes, drawn."""
        return self.random.sample(self.base, count)

    def others(self, *numbers):
        return [number for number in self.cluster.pids if number not in numbers]

    def revive(self, *numbers):
        for number in numbers:
            self.cluster.start(number)
        self.cluster.settle()

    def about_the_living(self, events, kinds, besides=()):
        """Events of these kinds about nodes that ran all the time, besides some; and by whom."""
        names = {self.cluster.names[number] for number in self.cluster.pids} - {
            self.cluster.names[number] for number in besides}
        return [event for event in events if event.kind in kinds and event.member in names]

    @staticmethod
    def complete(found, observers):
        return len(observers) - len(found)


def spread(found, since):
    """First and last of some times, from since on, never below nothing."""
    times = [max(0.0, at - since) for at in found.values()]
    return min(times), max(times)


def kill1(m):
    first, all_dead, back, missing, lost = [], [], [], 0, 0
    for victim in m.victims(min(len(m.base), m.runs(15))):
        name, observers = m.cluster.names[victim], m.others(victim)
        at = m.cluster.kill(victim)
        found = m.cluster.await_all(15, DEAD, name, at, observers)
        missing += m.complete(found, observers)
        if found:
            one, last = spread(found, at)
            first.append(one)
            all_dead.append(last)
        m.cluster.watch(1)
        at = m.cluster.start(victim)
        found = m.cluster.await_all(40, ALIVE, name, at, observers)
        lost += m.complete(found, observers)
        if found:
            back.append(spread(found, at)[1])
        m.cluster.settle()
        m.cluster.watch(1)
    return [
        Line("kill -9 one: first knows it dead", first, "8.03 / 9.23 / 9.35", None, missing=missing),
        Line("kill -9 one: all know it dead", all_dead, "8.30 / 9.47 / 9.55", "p99 0.5", 5, missing=missing),
        Line("restarted after death: all see it alive", back, "0.60 / 0.77 / 32.4", "0.2, max 1", 2, missing=lost),
    ]


def kill2(m):
    first, all_dead, missing = [], [], 0
    for _ in range(m.runs(15)):
        pair = m.victims(2)
        observers = m.others(*pair)
        at = m.cluster.kill(*pair)
        for victim in pair:
            found = m.cluster.await_all(15, DEAD, m.cluster.names[victim], at, observers)
            missing += m.complete(found, observers)
            if found:
                one, last = spread(found, at)
                first.append(one)
                all_dead.append(last)
        m.cluster.watch(1)
        m.revive(*pair)
        m.cluster.watch(1)
    return [
        Line("kill -9 two at once: first knows one dead", first, "8.00 / 9.81 / 11.50", None, missing=missing),
        Line("kill -9 two at once: all know one dead", all_dead, "8.24 / 10.03 / 11.86", "p99 0.5", 5, missing=missing),
    ]


def off1(m):
    suspected, first, all_dead, healthy, missing = [], [], [], [], 0
    for victim in m.victims(m.runs(7)):
        name, observers = m.cluster.names[victim], m.others(victim)
        at = m.cluster.link(victim, "down")
        mark = len(m.cluster.events)
        found = m.cluster.await_all(60, DEAD, name, at, observers)
        missing += m.complete(found, observers)
        if found:
            one, last = spread(found, at)
            first.append(one)
            all_dead.append(last)
        seen = m.cluster.times(SUSPECT, name, at)
        seen = [seen.get(observer, found.get(observer)) for observer in observers]
        if None not in seen:
            suspected.append(max(seen) - at)
        m.cluster.link(victim, "up")
        m.cluster.settle(120)
        m.cluster.watch(2)
        events = m.cluster.events[mark:]
        healthy.append(len(m.about_the_living(events, DEAD, besides=[victim])))
    return [
        Line("machine off: all suspect it (it is routed around)", suspected, "not exposed", "1.2, p99 3", 12, missing=missing),
        Line("machine off: first knows it dead", first, "8.5 (7.6-10.1)", "7.5", 75, missing=missing),
        Line("machine off: all know it dead", all_dead, "8.7 (7.9-10.4)", "first + 0.1", 76, missing=missing),
        Line("machine off and on: verdicts of death about healthy nodes", healthy, "4 of 8 runs had some", "0", 0, unit=""),
    ]


def join(m):
    first, middle, all_see, own, missing = [], [], [], [], 0
    count = m.runs(8)
    base = len(m.base)
    m.cluster.prepare(base + count)
    for newcomer in range(base + 1, base + count + 1):
        observers = m.others(newcomer)
        at = m.cluster.start(newcomer)
        found = m.cluster.await_all(30, ALIVE, m.cluster.names[newcomer], at, observers)
        missing += m.complete(found, observers)
        if found:
            ordered = sorted(found.values())
            first.append(max(0.0, ordered[0] - at))
            middle.append(ordered[len(ordered) // 2] - at)
            all_see.append(ordered[-1] - at)
        m.cluster.settle()
        own.append(max(since for _, since in m.cluster.view[newcomer].values()) - at)
        m.cluster.rest()
    joined = list(range(base + 1, base + count + 1))
    m.cluster.watch(1)
    for number in joined:
        m.cluster.leave(number)
    m.cluster.settle()
    m.cluster.watch(6)
    return [
        Line("join: first sees it", first, "0.007", None, missing=missing),
        Line("join: half see it", middle, "0.27", None, missing=missing),
        Line("join: all see it", all_see, "0.60 / 0.76 / 19.4", "0.1, max 1", 1, missing=missing),
        Line("join: its own list complete", own, "0.008", None),
    ]


def leave(m):
    """Its LEAVE comes when it is out of the view, so when others have what it had."""
    out, all_know, ended, verdicts, missing = [], [], [], [], 0
    for victim in m.victims(m.runs(10)):
        name, observers = m.cluster.names[victim], m.others(victim)
        mark = len(m.cluster.events)
        at, end = m.cluster.leave(victim)
        found = m.cluster.await_all(15, GONE, name, at, observers)
        told = m.cluster.own("leave-told", victim, at)
        missing += m.complete(found, observers) + (told is None)
        if found and told is not None:
            out.append(max(0.0, told - at))
            all_know.append(spread(found, told)[1])
            ended.append(end - told)
        m.cluster.watch(1)
        bad = [event for event in m.cluster.events[mark:] if event.member == name and event.kind in SUSPECT + DEAD]
        verdicts.append(len(bad))
        m.revive(victim)
    return [
        Line("leave: from the signal to its LEAVE", out, "-", None),
        Line("leave: all know it left", all_know, "0.95, max 1.26", "0.1", 1, missing=missing),
        Line("leave: its process has ended", ended, "1.94", "0.6", 6),
        Line("leave: verdicts suspect or dead about it", verdicts, "0", "0", 0, unit=""),
    ]


def idle(m):
    """At least twenty seconds after the last event."""
    seconds = max(20, round(180 * m.scale))
    m.cluster.watch(20)
    mark = len(m.cluster.events)
    before = m.cluster.cost()
    m.cluster.watch(seconds)
    after = m.cluster.cost()
    suspicions = len(m.about_the_living(m.cluster.events[mark:], SUSPECT))
    spans = [(before[number], after[number]) for number in before]

    def rate(field):
        return [(getattr(b, field) - getattr(a, field)) / (b.at - a.at) for a, b in spans]
    return [
        Line(f"idle {seconds} s: bytes sent a second, a node", rate("sent"), "423", "1200", 12000, unit="B/s"),
        Line("idle: bytes received a second, a node", rate("received"), "423", None, unit="B/s"),
        Line("idle: packets sent a second, a node", rate("packets"), "3.8", None, unit="/s"),
        Line("idle: processor, a node", [100 * share for share in rate("processor")], "0.18", "0.2", 2, unit="%"),
        Line("idle: resident memory, a node", [b.resident / 1024 for _, b in spans], "15.4", "4", 40, unit="MiB"),
        Line("idle: of it shared with no file", [b.own / 1024 for _, b in spans], "-", None, unit="MiB"),
        Line("idle: suspicions in all", [suspicions], "0", "0", 10, unit=""),
    ]


def stall(m, seconds, count, serf_suspicions, serf_deaths):
    own, heard, deaths = [], [], []
    for victim in m.victims(min(len(m.base), m.runs(count))):
        mark = len(m.cluster.events)
        m.cluster.signal([victim], signal.SIGSTOP)
        m.cluster.watch(seconds)
        m.cluster.signal([victim], signal.SIGCONT)
        m.cluster.watch(10)
        m.cluster.settle()
        events = m.cluster.events[mark:]
        suspected = m.about_the_living(events, SUSPECT)
        own.append(len(own_ones(suspected)))
        heard.append(len({event.observer for event in suspected}))
        deaths.append(len(m.about_the_living(events, DEAD)))
    return [
        Line(f"process stopped {seconds} s: suspicions of a node's own, a stop", own, serf_suspicions, None, unit=""),
        Line(f"process stopped {seconds} s: nodes that hold it suspect, a stop", heard, "-", None, unit=""),
        Line(f"process stopped {seconds} s: verdicts dead", deaths, serf_deaths, "0", 0, unit=""),
    ]


def own_ones(events):
    """Those that come from what the observer saw itself."""
    return [event for event in events if event.fields.get("own") == "1"]


def stall3(m):
    return stall(m, 3, 10, "2.3", "0 of 20 runs")


def stall8(m):
    return stall(m, 8, 5, "7.2 (in a model)", "2 of 5 runs, 43 verdicts")


def loss(m, percent, seconds, serf_suspicions, serf_deaths, target, bound):
    seconds = max(20, round(seconds * m.scale))
    mark = len(m.cluster.events)
    m.cluster.local("loss", percent)
    m.cluster.watch(seconds)
    m.cluster.local("loss", 0)
    events = m.cluster.events[mark:]
    m.cluster.settle(120)
    hours = len(m.cluster.pids) * seconds / 3600
    suspected = m.about_the_living(events, SUSPECT)
    own = own_ones(suspected)
    return [
        Line(f"loss {percent} %: suspicions of a node's own, a node-hour", [len(own) / hours], serf_suspicions, target, bound, unit=""),
        Line(f"loss {percent} %: verdicts suspect, heard ones too, a node-hour", [len(suspected) / hours], "-", None, unit=""),
        Line(f"loss {percent} %: deaths a node-hour", [len(m.about_the_living(events, DEAD)) / hours], serf_deaths, "0", 0, unit=""),
    ]


def loss10(m):
    return loss(m, 10, 180, "6", "0", "1", 10)


def loss25(m):
    return loss(m, 25, 240, "189", "4.5", None, None)


def isolate(m):
    by_others, by_itself, away = [], [], []
    for victim in m.victims(m.runs(4)):
        mark = len(m.cluster.events)
        m.cluster.link(victim, "down")
        m.cluster.watch(12)
        back = m.cluster.link(victim, "up")
        m.cluster.settle(120)
        away.append(max(settled_at(m) - back, 0.0))
        m.cluster.watch(20)
        wrong = m.about_the_living(m.cluster.events[mark:], DEAD, besides=[victim])
        by_others.append(sum(event.observer != victim for event in wrong))
        by_itself.append(sum(event.observer == victim for event in wrong))
    return [
        Line("link down 12 s: verdicts dead about healthy nodes, by healthy ones", by_others, "4 of 4 runs, 3-53", "0", 0, unit=""),
        Line("link down 12 s: the same by the node cut off", by_itself, "-", "0", 0, unit=""),
        Line("link down 12 s: from its return until all see each other", away, "up to 26", None),
    ]


def settled_at(m):
    """When the last of the running nodes saw the last of them alive."""
    names = {m.cluster.names[number] for number in m.cluster.pids}
    return max(since for observer in m.cluster.pids
               for name, (_, since) in m.cluster.view[observer].items() if name in names)


def split(m):
    merged, blamed, within = [], [], []
    half = m.base[len(m.base) // 2:]
    for _ in range(m.runs(3)):
        mark = len(m.cluster.events)
        m.cluster.local("split", *half)
        m.cluster.watch(45)
        healed = time.time()
        m.cluster.local("heal")
        m.cluster.settle(120)
        merged.append(max(0.0, settled_at(m) - healed))
        m.cluster.watch(10)
        events = m.about_the_living(m.cluster.events[mark:], DEAD)
        inside = [event for event in events
                  if (event.observer in half) == (m.cluster.numbers[event.member] in half)]
        within.append(len(inside))
        blamed.append(len(events) - len(inside))
    return [
        Line("split 20/20 for 45 s: merged after the heal", merged, "6.8 / 9.9 / 28.5", "3", 30),
        Line("split: verdicts dead about nodes of one's own half", within, "-", "0", 0, unit=""),
        Line("split: verdicts dead about the other half", blamed, "all", None, unit=""),
    ]


def restart(m):
    noticed, missing = [], 0
    for victim in m.victims(m.runs(5)):
        name, observers = m.cluster.names[victim], m.others(victim)
        m.cluster.kill(victim)
        time.sleep(0.25)
        at = m.cluster.start(victim)
        # Held dead in between, or known as another process of the name.
        found = m.cluster.await_all(10, ALIVE, name, at, observers)
        missing += m.complete(found, observers)
        if found:
            noticed.append(spread(found, at)[1])
        m.cluster.settle()
        m.cluster.watch(1)
    return [Line("killed and started within 0.3 s: all have noticed", noticed, "never", "1", 10, missing=missing)]


def reuse(m):
    """Another node's process on the address of one that died. Its name is in the hosts file of run.sh."""
    old_dead, new_seen, missing = [], [], 0
    for victim in m.victims(m.runs(4)):
        name, observers = m.cluster.names[victim], m.others(victim)
        port = name.rsplit(":", 1)[1]
        newcomer = f"reuse{victim}.dht.test:{port}"
        killed = m.cluster.kill(victim)
        time.sleep(max(0.0, killed + 1 - time.time()))
        m.cluster.names[victim] = newcomer
        at = m.cluster.start(victim, state="state-of-another")
        dead = m.cluster.await_all(20, DEAD, name, killed, observers)
        seen = m.cluster.await_all(20, ALIVE, newcomer, at, observers)
        missing += m.complete(dead, observers) + m.complete(seen, observers)
        if dead:
            old_dead.append(spread(dead, killed)[1])
        if seen:
            new_seen.append(spread(seen, at)[1])
        m.cluster.kill(victim)
        m.cluster.names[victim] = name
        m.cluster.watch(1)
        m.revive(victim)
    return [
        Line("another on the address after 1 s: all know the old one dead", old_dead, "8.3-11.1", "1", 10, missing=missing),
        Line("another on the address after 1 s: all see the new one", new_seen, "1.4-1.9", None, missing=missing),
    ]


ROWS = {
    "kill1": kill1, "kill2": kill2, "off1": off1, "join": join, "leave": leave, "idle": idle,
    "stall3": stall3, "stall8": stall8, "loss10": loss10, "loss25": loss25, "isolate": isolate,
    "split": split, "restart": restart, "reuse": reuse,
}
