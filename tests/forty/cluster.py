"""The nodes of a measurement: started and ended through deploy/local.sh, hit where it hurts at an exact
moment, and watched through what they log."""

import json
import os
import select
import signal
import subprocess
import time
from collections import namedtuple
from datetime import datetime, timezone

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "dht-server")
LOCAL = os.path.join(ROOT, "deploy", "local.sh")

# What the log calls the moves of a member, and the state a member is in after each.
STATE_AFTER = {
    "member-joined": "alive",
    "member-expected": "alive",     # known from the view: see Cluster.take
    "member-alive": "alive",
    "member-restarted": "alive",
    "member-renewed": "alive",      # the same process, held for dead and removed before
    "member-suspect": "suspect",
    "member-dead": "dead",
    "member-left": "left",
    "member-removed": "removed",
}
OWN_EVENTS = ("refuted", "renewed", "leave-told")
POLL_S = 0.05


# What a node has cost since it started, at a time: processor seconds; KiB resident, and those of them that
# it shares with no file; bytes and packets, with all headers, at its network interface.
Cost = namedtuple("Cost", "at processor resident own sent packets received")


class Event:
    """One line of a node's log about a member."""

    __slots__ = ("at", "observer", "kind", "member", "fields")

    def __init__(self, at, observer, kind, fields):
        self.at = at                # seconds since 1970, to the millisecond
        self.observer = observer    # number of the node whose log it is
        self.kind = kind
        self.member = fields.get("member", "")
        self.fields = fields


def parse_time(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


class Log:
    """Reads what has been added to a node's log."""

    def __init__(self, path, observer):
        self.path = path
        self.observer = observer
        self.offset = 0
        self.rest = b""

    def read(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        return [event for event in map(self.parse, lines) if event]

    def parse(self, line):
        words = line.decode("utf-8", "replace").split(" ")
        if len(words) < 4 or not words[0].endswith("Z"):
            return None
        fields = dict(word.split("=", 1) for word in words[4:] if "=" in word)
        try:
            return Event(parse_time(words[0]), self.observer, words[3], fields)
        except ValueError:
            return None


class Cluster:
    def __init__(self, directory, subnet, program=PROGRAM, options=(), loopback_port=None, seeds=None):
        self.directory = directory
        self.subnet = subnet
        self.loopback_port = loopback_port  # of the first node on 127.0.0.1; None: namespaces
        self.seeds = seeds                  # how many nodes stand in peers.txt; None: those of the first up
        self.program = os.path.realpath(program)
        self.options = list(options)
        self.logged_at = 0.0        # when a line of a log was last read
        self.names = {}             # node number: its name
        self.numbers = {}           # name: its number
        self.pids = {}              # of those that run
        self.logs = {}
        self.events = []
        self.view = {}              # observer: {member's name: (state, since)}
        self.listening = {}         # observer: when it last began to listen
        self.joined = set()         # observers that have joined since

    # ---- deploy/local.sh ---------------------------------------------------------------------

    def local(self, *words, check=True):
        where = ["--subnet", self.subnet]
        if self.loopback_port:
            where = ["--loopback", "--port", str(self.loopback_port)]
        if self.seeds:
            where += ["--seeds", str(self.seeds)]
        command = [LOCAL, "-d", self.directory, *where, "--program", self.program, *map(str, words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def up(self, count):
        self.grow("up", count)

    def prepare(self, count):
        """Machines without nodes."""
        self.grow("prepare", count)

    def grow(self, command, count):
        options = ["--", *self.options] if self.options else []
        self.local(command, count, *options)
        self.look()

    def down(self):
        """The next up begins with new logs."""
        self.local("down")
        for kept in (self.names, self.numbers, self.pids, self.logs, self.view, self.listening,
                     self.joined):
            kept.clear()
        self.events.clear()

    def look(self):
        """Which nodes there are and which run."""
        status = json.loads(self.local("--json", "status", check=False))
        self.pids = {}
        for node in status["nodes"]:
            number = node["node"]
            self.names[number] = node["name"]
            self.numbers[node["name"]] = number
            self.logs.setdefault(number, Log(node["log"], number))
            if node["pid"]:
                self.pids[number] = node["pid"]

    @property
    def id(self):
        with open(os.path.join(self.directory, "cluster"), encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file)["id"]

    # ---- what happens at an exact moment: each returns when ------------------------------------

    def start(self, number, state="state"):
        """The node's process; local.sh knows it afterwards."""
        name = self.names[number]
        host, port = name.rsplit(":", 1)
        peers = os.path.join(self.directory, "peers.txt")
        folder = os.path.join(self.directory, str(number))
        arguments = [self.program, peers, port, *self.options, "--advertise", name,
                     "--listen", host, "--state-dir", os.path.join(folder, state)]
        os.makedirs(os.path.join(folder, state), exist_ok=True)
        if not self.loopback_port:
            arguments = ["nsenter", f"--net=/run/netns/dht-{self.id}-{number}", *arguments]
        with open(os.path.join(folder, "log"), "ab") as log:
            at = time.time()
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        # Not waited for: as the process of a shell that has gone.
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
            start = file.read().rsplit(") ", 1)[1].split()[19]
        with open(os.path.join(folder, "process"), "w", encoding="utf-8") as file:
            file.write(f"{process.pid} {start}\n")
        self.pids[number] = process.pid
        return at

    def signal(self, numbers, which):
        pids = [self.pids[number] for number in numbers]
        at = time.time()
        for pid in pids:
            os.kill(pid, which)
        return at

    def kill(self, *numbers):
        at = self.signal(numbers, signal.SIGKILL)
        for number in numbers:
            self.wait_end(number)
            del self.pids[number]
        return at

    def leave(self, number):
        """Returns when it was told and when its process had ended."""
        pidfd = os.pidfd_open(self.pids[number])
        at = self.signal([number], signal.SIGTERM)
        ready, _, _ = select.select([pidfd], [], [], 40)
        ended = time.time()
        os.close(pidfd)
        if not ready:
            raise RuntimeError(f"{self.names[number]} does not end")
        self.wait_end(number)
        del self.pids[number]
        return at, ended

    def wait_end(self, number):
        """Takes the process's last word if it is ours, else waits until it is gone."""
        pid = self.pids[number]
        while True:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    return
            except ChildProcessError:
                try:
                    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                        if file.read().rsplit(") ", 1)[1][0] in "ZX":
                            return
                except OSError:
                    return
            time.sleep(0.002)

    def link(self, number, how):
        at = time.time()
        subprocess.run(["ip", "link", "set", f"d{self.id}-{number}", how], check=True)
        return at

    # ---- what they log ---------------------------------------------------------------------------

    def read(self):
        """Takes in what was logged since."""
        fresh = []
        for log in self.logs.values():
            fresh += log.read()
        fresh.sort(key=lambda event: event.at)
        for event in fresh:
            self.take(event)
        if fresh:
            self.logged_at = time.time()

    def take(self, event):
        view = self.view.setdefault(event.observer, {})
        if event.kind == "listening":
            view.clear()
            self.joined.discard(event.observer)
            self.listening[event.observer] = event.at
        elif event.kind == "joined":
            self.joined.add(event.observer)
            for name, (state, _) in view.items():
                if state == "expected":
                    view[name] = ("alive", event.at)
        elif event.kind == "member-expected" and event.observer not in self.joined:
            # It was a member before, and has this one from its state file: nobody has said so yet.
            view[event.member] = ("expected", event.at)
        elif event.kind in STATE_AFTER:
            view[event.member] = (STATE_AFTER[event.kind], event.at)
            self.events.append(event)
        elif event.kind in OWN_EVENTS:
            self.events.append(event)

    def state(self, observer, member):
        return self.view.get(observer, {}).get(member, ("unknown", 0))[0]

    def watch(self, seconds):
        """Lets time pass; returns all that was logged in it."""
        end = time.time() + seconds
        mark = len(self.events)
        while time.time() < end:
            time.sleep(min(POLL_S, max(0.0, end - time.time())))
            self.read()
        return self.events[mark:]

    def wait(self, limit, condition):
        """Until condition() holds, at most limit seconds; whether it does."""
        end = time.time() + limit
        while True:
            self.read()
            if condition():
                return True
            if time.time() >= end:
                return False
            time.sleep(POLL_S)

    def rest(self, quiet_s=5, limit=120):
        """Until no node has logged anything for so long: the views that the last event led to, and the copies
        that they moved, are done with."""
        self.logged_at = time.time()
        return self.wait(limit, lambda: time.time() >= self.logged_at + quiet_s)

    def times(self, kinds, member, since):
        """When each observer first logged one of these events about member, from since on. The log's
        time is cut to the millisecond, and that of the loop's turn."""
        found = {}
        for event in reversed(self.events):
            if event.at < since - 0.05:
                break
            if event.kind in kinds and event.member == member and event.at >= since - 0.005:
                found[event.observer] = event.at
        return found

    def own(self, kind, observer, since):
        """When that node first logged this event about itself, from since on; nothing if it has not."""
        self.read()
        return next((event.at for event in self.events if event.kind == kind and event.observer == observer
                     and event.at >= since - 0.005), None)

    def await_all(self, limit, kinds, member, since, observers):
        """As times, after waiting until every observer has logged it."""
        self.wait(limit, lambda: self.times(kinds, member, since).keys() >= set(observers))
        found = self.times(kinds, member, since)
        return {observer: at for observer, at in found.items() if observer in observers}

    def unsettled(self):
        """Pairs (observer, member) of running nodes that do not see each other alive, and members
        that do not run and are seen."""
        wrong = []
        running = {self.names[number] for number in self.pids}
        for observer in self.pids:
            view = self.view.get(observer, {})
            for name in running:
                if name != self.names[observer] and view.get(name, ("unknown",))[0] != "alive":
                    wrong.append((observer, name))
            wrong += [(observer, name) for name, (state, _) in view.items()
                      if name not in running and state in ("alive", "suspect")]
        return wrong

    def settle(self, limit=60):
        """Until all running nodes see exactly each other."""
        if not self.wait(limit, lambda: not self.unsettled()):
            wrong = self.unsettled()
            raise RuntimeError(f"not settled after {limit} s: {len(wrong)} pairs, such as {wrong[:5]}")

    # ---- what they cost --------------------------------------------------------------------------

    def cost(self):
        """A Cost for each running node."""
        return {number: self.cost_of(pid) for number, pid in self.pids.items()}

    @staticmethod
    def cost_of(pid):
        processor = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as file:
                processor += int(file.read().split()[0])
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            memory = dict(line.split()[:2] for line in file if line.startswith(("VmRSS:", "RssAnon:")))
        with open(f"/proc/{pid}/net/dev", encoding="utf-8") as file:
            words = next(line for line in file if "eth0:" in line).split(":")[1].split()
        return Cost(time.time(), processor / 1e9, int(memory["VmRSS:"]), int(memory["RssAnon:"]),
                    int(words[8]), int(words[9]), int(words[0]))
