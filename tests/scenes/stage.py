"""What a scene stands on: a cluster of real nodes, clients that ask and check, and the judge.

The nodes are tests/forty's (deploy/local.sh); as root each has a network namespace, else they are ports of
127.0.0.1 and what needs a link of one's own is left out.
"""

import glob
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "forty"))

from cluster import Cluster  # noqa: E402

LOAD = os.path.join(ROOT, "build", "oracle", "load")
GROUPS = os.path.join(ROOT, "build", "oracle", "groups")
JUDGE = os.path.join(ROOT, "build", "oracle", "judge")
ANSWER_LIMIT_S = 1.2    # within which every request is answered, --op-timeout being 1 s
WELL_LIMIT_S = 60


class Wrong(Exception):
    """What the scene's sentence says is not so."""


class Skipped(Exception):
    """The scene cannot be played here."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


class Load:
    """The checking client at work."""

    def __init__(self, stage, name, arguments, prefix=()):
        self.stage = stage
        self.name = name
        self.history = os.path.join(stage.folder, f"{name}.history")
        self.totals = None
        self.process = subprocess.Popen(
            [*prefix, LOAD, "--history", self.history, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """Its totals."""
        if self.totals is None:
            if self.process.poll() is None:
                self.process.terminate()
            out, _ = self.process.communicate(timeout=60)
            self.totals = json.loads(out)
            expect(self.process.returncode == 0, f"load {self.name}: an answer is none: {self.totals['complaint']}")
        return self.totals


class Stage:
    def __init__(self, chosen, say):
        self.folder = chosen.dir
        self.random = random.Random(chosen.seed)
        self.seed = chosen.seed
        self.scale = chosen.scale
        self.nodes = chosen.nodes
        self.is_loopback = chosen.loopback or os.geteuid() != 0
        self.kvcli = os.path.join(os.path.dirname(os.path.abspath(chosen.program)), "kvcli")
        self.program = chosen.program
        self.subnet = chosen.subnet
        self.say = say
        self.cluster = None
        self.loads = []
        self.mute = set()       # nodes that run and cannot answer: stopped, or their link is down
        os.makedirs(self.folder, exist_ok=True)

    # ---- the cluster ---------------------------------------------------------------------------

    def begin(self, count, *options, seeds=None):
        """A new cluster, founded and fully replicated."""
        self.end()
        self.loads.clear()
        self.mute.clear()
        port = self.random.randrange(10000, 30000) if self.is_loopback else None
        self.cluster = Cluster(os.path.join(self.folder, "nodes"), self.subnet, self.program, options,
                               loopback_port=port, seeds=seeds)
        self.cluster.down()
        for name in os.listdir(self.folder):
            if name.endswith(".history"):
                os.unlink(os.path.join(self.folder, name))
        self.cluster.up(count)
        self.wait_well(count)

    def end(self):
        for load in self.loads:
            if load.process.poll() is None:
                load.process.kill()
                load.process.wait()
        if self.cluster:
            self.cluster.down()

    def needs_links(self):
        if self.is_loopback:
            raise Skipped("needs root, for network namespaces")

    def numbers(self):
        """Of the nodes that run and can answer."""
        return sorted(self.cluster.pids.keys() - self.mute)

    def name(self, number):
        return self.cluster.names[number]

    def number(self, name):
        return self.cluster.numbers[name]

    def all_names(self):
        return ",".join(self.name(number) for number in self.numbers())

    def start(self, *numbers):
        for number in numbers:
            self.cluster.start(number)

    def restart(self, number, which=signal.SIGTERM):
        """Ends a node's process and starts it again."""
        self.stop(number, which)
        self.start(number)

    def stop(self, number, which=signal.SIGTERM):
        if which == signal.SIGKILL:
            self.cluster.kill(number)
        else:
            self.cluster.leave(number)

    def pause(self, *numbers):
        self.mute |= set(numbers)
        return self.cluster.signal(numbers, signal.SIGSTOP)

    def resume(self, *numbers):
        self.mute -= set(numbers)
        return self.cluster.signal(numbers, signal.SIGCONT)

    def off(self, *numbers):
        """Takes their links down, as if the machines were off; when."""
        self.mute |= set(numbers)
        return min(self.cluster.link(number, "down") for number in numbers)

    def on(self, *numbers):
        self.mute -= set(numbers)
        for number in numbers:
            self.cluster.link(number, "up")

    def join(self, count):
        """The cluster has count nodes afterwards."""
        self.cluster.up(count)

    # ---- what it says of itself -----------------------------------------------------------------

    def tell(self, *words, servers=None, check=True):
        """kvcli --json: (exit code, what it printed)."""
        done = subprocess.run([self.kvcli, "--json", "-s", servers or self.all_names(), "--timeout", "3000ms", *words],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60)
        try:
            return done.returncode, json.loads(done.stdout)
        except json.JSONDecodeError:
            if check:
                raise Wrong(f"kvcli {' '.join(words)}: exit {done.returncode}, {done.stderr.strip()} "
                            f"{done.stdout[:200]}") from None
            return done.returncode, None

    def status(self, check=True):
        return self.tell("status", check=check)[1]

    def where(self, key, servers=None):
        """The copies of a key: of each what `kvcli where` says."""
        return self.tell("where", key, servers=servers)[1]["copies"]

    def holders(self, key):
        """Numbers of the nodes that hold an item of the key."""
        return sorted(self.number(copy["node"]) for copy in self.where(key) if copy.get("state") == "item")

    def group(self, key):
        """Numbers of the nodes of the key's group, its primary first."""
        copies = sorted(self.where(key), key=lambda copy: copy.get("role") != "primary")
        return [self.number(copy["node"]) for copy in copies]

    def wait(self, limit, condition, what):
        """Until condition() holds; seconds that took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit:
                raise Wrong(f"{what}: not within {limit} s")
            time.sleep(0.05)
        return time.monotonic() - began

    def is_replicated(self, members):
        """Whether every slot has all its copies, on so many full members that are up, and nothing moves."""
        status = self.status(check=False)
        if status is None or "nodes" not in status:
            return False        # nobody answers yet
        if status["under_replicated"] or status["unavailable"]:
            return False
        settled = [node for node in status["nodes"]
                   if node["role"] == "full" and node["standing"] == "up" and not node["leaving"]]
        return len(settled) == members and len(status["nodes"]) == members and \
            sum(node.get("led") or 0 for node in settled) == 16384

    def wait_well(self, members=None, limit=WELL_LIMIT_S):
        members = members or len(self.numbers())
        try:
            return self.wait(limit, lambda: self.is_replicated(members), f"{members} members, fully replicated")
        except Wrong as wrong:
            status = self.status(check=False) or {}
            brief = {key: value for key, value in status.items() if key != "nodes"}
            nodes = [(node["name"], node["role"], node["standing"]) for node in status.get("nodes", [])]
            raise Wrong(f"{wrong}: {json.dumps(brief)[:600]} nodes {nodes}") from None

    def items(self):
        """Held in all copies together."""
        return sum(node["items"] for node in self.status()["nodes"])

    def logged(self, number, event):
        """How often a node, all its processes together, has logged this."""
        with open(self.cluster.logs[number].path, encoding="utf-8", errors="replace") as log:
            return sum(f" {event} " in line for line in log)

    # ---- asking ----------------------------------------------------------------------------------

    def any_node(self, besides=()):
        return self.random.choice([number for number in self.numbers() if number not in besides])

    def ask(self, number, request, limit=5.0):
        """Sends a request to a node; (answer up to its last line, seconds). Empty: none in time, or cut off."""
        host, port = self.name(number).rsplit(":", 1)
        if isinstance(request, str):
            request = request.encode()
        began = time.monotonic()
        answer = b""
        try:
            with socket.create_connection((host, int(port)), timeout=limit) as client:
                client.sendall(request + b"mn\r\n")
                while not answer.endswith(b"MN\r\n"):
                    client.settimeout(max(0.01, limit - (time.monotonic() - began)))
                    chunk = client.recv(1 << 16)
                    if not chunk:
                        break
                    answer += chunk
        except OSError:
            pass
        return answer.removesuffix(b"MN\r\n").decode(), time.monotonic() - began

    def set(self, number, key, value, verb="set"):
        return self.ask(number, f"{verb} {key} 0 0 {len(value)}\r\n{value}\r\n")

    def get(self, number, key):
        """The value, None for a miss; anything else is wrong."""
        answer, _ = self.ask(number, f"get {key}\r\n")
        if answer == "END\r\n":
            return None
        head, _, rest = answer.partition("\r\n")
        expect(head.startswith(f"VALUE {key} ") and rest.endswith("\r\nEND\r\n"), f"get {key}: {answer!r}")
        return rest.removesuffix("\r\nEND\r\n")

    def groups_of(self, keys):
        """Of each key the numbers of the nodes of its group, as the view has them now."""
        members = [node["name"] for node in self.status()["nodes"] if node["role"] == "full"]
        peers = os.path.join(self.folder, "members.txt")
        with open(peers, "w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in members))
        done = subprocess.run([GROUPS, peers], input="".join(f"{key}\n" for key in keys), capture_output=True,
                              text=True, check=True)
        groups = {}
        for line in done.stdout.splitlines():
            key, *names = line.split(" ")
            groups[key] = {self.number(name) for name in names}
        return groups

    def set_many(self, values, limit=60):
        """Stores a dictionary through nodes drawn at random, each until it is acknowledged."""
        end = time.monotonic() + limit
        left = dict(values)
        while left:
            batch = list(left)[:500]
            request = "".join(f"set {key} 0 0 {len(left[key])}\r\n{left[key]}\r\n" for key in batch)
            answers = self.ask(self.any_node(), request, limit=10)[0].split("\r\n")
            for key, answer in zip(batch, answers):
                if answer == "STORED":
                    del left[key]
            expect(time.monotonic() < end, f"{len(left)} keys cannot be stored: {answers[0]}")

    def get_many(self, keys, number=None, limit=60):
        """What is there of keys, asked through one node in batches until every answer is one."""
        end = time.monotonic() + limit
        found = {}
        for first in range(0, len(keys), 500):
            batch = keys[first:first + 500]
            while True:
                answer, _ = self.ask(number or self.any_node(), "get " + " ".join(batch) + "\r\n", limit=10)
                if answer.endswith("END\r\n"):
                    break
                expect(time.monotonic() < end, f"get: {answer[-200:]!r}")
                time.sleep(0.05)
            lines = answer.split("\r\n")
            for at in range(0, len(lines) - 2, 2):
                found[lines[at].split(" ")[1]] = lines[at + 1]
        return found

    # ---- the checking client -----------------------------------------------------------------------

    def load(self, name, *arguments, nodes=None, prefix=()):
        """Starts it; nodes: numbers, all that there are by default."""
        names = ",".join(self.name(number) for number in nodes or sorted(self.cluster.names))
        load = Load(self, name, ["--seed", self.seed % 1000 + len(self.loads), *arguments, names], prefix)
        self.loads.append(load)
        return load

    def sweep(self, *keys):
        """Reads every key of a load once; keys: the options that say which."""
        sweep = self.load(f"sweep{len(self.loads)}", "--sweep", "--clients", "32", *keys, nodes=self.numbers())
        sweep.process.wait(timeout=120)
        totals = sweep.stop()
        expect(totals["NOT_DONE"] == 0, f"{totals['NOT_DONE']} keys cannot be read: {totals['refusals']}")
        return totals

    def judge(self):
        """All that this cluster's clients were told; findings."""
        histories = sorted({load.history for load in self.loads})
        for load in self.loads:
            load.stop()
        done = subprocess.run([JUDGE, *histories], capture_output=True, text=True, check=False, timeout=600)
        expect(done.returncode in (0, 1), f"judge: {done.stderr.strip()}")
        findings = json.loads(done.stdout)
        kept = os.path.join(self.folder, "judge.txt")
        with open(kept, "w", encoding="utf-8") as file:
            file.write(done.stderr)
        expect(findings["wrong"] == 0, f"{json.dumps(findings)}; {kept}: {done.stderr[:600]}")
        return findings

    def keep_all(self, scene):
        """A copy of what is there to look at later."""
        kept = f"{self.folder}-{scene}"
        shutil.rmtree(kept, ignore_errors=True)
        os.makedirs(kept)
        for path in glob.glob(os.path.join(self.folder, "*.history")) + [os.path.join(self.folder, "judge.txt")]:
            if os.path.exists(path):
                shutil.copy(path, kept)
        for log in glob.glob(os.path.join(self.folder, "nodes", "*", "log")):
            shutil.copy(log, os.path.join(kept, f"{os.path.basename(os.path.dirname(log))}.log"))
        return kept

    def await_end(self, pid, limit):
        """Whether a process ends within limit seconds."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        ready, _, _ = select.select([pidfd], [], [], limit)
        os.close(pidfd)
        return bool(ready)
