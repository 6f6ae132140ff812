"""The servers of the benchmark: started on their processor, asked until they answer, ended."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

KVCLI = os.environ.get("KVCLI", "./kvcli")
DHT_SERVER = os.environ.get("DHT_SERVER", "./dht-server")

MEMORY_MIB = "4096"
CONNECTIONS_MAX = "20000"
SERVER_CPU = 0
START_LIMIT_S = 10
ECHO = os.environ.get("ECHO", "build/bench/echo")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def owns_port(pid, port):
    """Whether the process listens on the port: another server must not be measured by mistake."""
    inodes = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and int(words[1].split(":")[1], 16) == port:
            inodes.add(f"socket:[{words[9]}]")
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(entry) in inodes:
                return True
    return False


MEMCACHED_ASK = (b"get ready\r\n", b"")
REDIS_ASK = (b"PING\r\n", b"+PONG")
ETCD_ASK = (b"GET /health HTTP/1.0\r\n\r\n", b"HTTP/1.0 200")


class Server:
    """One server process; name says which. Its output goes to a file shown if it fails.

    question  what is asked until it is answered so
    is_pinned  runs on SERVER_CPU
    is_killed  ended without farewell: a node of a cluster would see to its keys first
    """

    def __init__(self, name, command, port, folder, question=MEMCACHED_ASK, is_pinned=True, is_killed=False):
        self.name, self.port, self.question, self.is_killed = name, port, question, is_killed
        self.is_resp = question is REDIS_ASK
        self.log = pathlib.Path(folder, f"{name}-{port}.log")
        pin = [SERVER_CPU] if is_pinned and os.cpu_count() > 1 else None
        began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: pin and os.sched_setaffinity(0, pin))
        try:
            self.await_answer(began + START_LIMIT_S)
            self.start_ms = (time.monotonic() - began) * 1000
            if question and not owns_port(self.process.pid, port):
                raise RuntimeError(f"port {port} belongs to another process")
        except BaseException:
            self.stop()
            raise

    def await_answer(self, deadline):
        if self.question is None:
            return
        question, answer = self.question
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                    client.sendall(question)
                    got = client.recv(4096)
                    if got and got.startswith(answer):
                        return
            time.sleep(0.0005)
        raise RuntimeError(f"{self.name} does not answer: {self.log.read_text(errors='replace')}")

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} is gone")

    def stop(self):
        if self.is_killed:
            self.process.kill()
        self.process.terminate()
        try:
            self.process.wait(START_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_dht(folder, port=None, peers=None, is_pinned=True):
    """One of several, if there are peers: then nobody is waited for (wait_founded does)."""
    port = port or free_port()
    path = pathlib.Path(folder, f"peers-{port}.txt")
    path.write_text("".join(f"127.0.0.1:{peer}\n" for peer in peers or [port]))
    return Server("dht", [DHT_SERVER, str(path), str(port), "-m", MEMORY_MIB, "-c", CONNECTIONS_MAX,
                          "--state-dir", str(pathlib.Path(folder, f"state-{port}"))], port, folder,
                  None if peers else MEMCACHED_ASK, is_pinned=is_pinned, is_killed=peers is not None)


def wait_founded(servers, limit_s=START_LIMIT_S):
    """Until these nodes are one cluster, fully replicated."""
    names = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        told = subprocess.run([KVCLI, "-s", names, "--json", "status"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        if told.returncode == 0 and len(json.loads(told.stdout)["nodes"]) == len(servers):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no cluster of {len(servers)} nodes after {limit_s} s")


def start_memcached(folder):
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    return Server("memcached", ["memcached", *user, "-t", "1", "-m", MEMORY_MIB, "-c",
                                CONNECTIONS_MAX, "-l", "127.0.0.1", "-p", str(port)], port, folder)


def start_redis(folder):
    port = free_port()
    return Server("redis", ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
                            "--appendonly", "no", "--maxclients", "15000", "--dir", folder],
                  port, folder, REDIS_ASK)


def start_echo(folder, value_bytes):
    port = free_port()
    return Server("echo", [ECHO, str(port), str(value_bytes)], port, folder)


def start_nutcracker(folder, backend_port):
    port = free_port()
    config = pathlib.Path(folder, f"nutcracker-{port}.yml")
    config.write_text(f"pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n"
                      f"  distribution: ketama\n  servers:\n   - 127.0.0.1:{backend_port}:1\n")
    return Server("nutcracker", [shutil.which("nutcracker") or "/usr/sbin/nutcracker", "-c",
                                 str(config), "-a", "127.0.0.1", "-s", str(free_port())], port,
                  folder)


def start_redis_node(folder):
    """A node of a Redis Cluster still to be made."""
    port = free_port()
    own = pathlib.Path(folder, f"redis-{port}")
    own.mkdir()
    return Server("redis-cluster", [
        "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--cluster-enabled", "yes", "--cluster-port",
        str(free_port()), "--save", "", "--appendonly", "no", "--dir", str(own)], port, folder, REDIS_ASK)


def make_redis_cluster(nodes, masters):
    """The first nodes become masters, of a third of the slots each; the others their replicas."""
    names = [f"127.0.0.1:{node.port}" for node in nodes]
    subprocess.run(["redis-cli", "--cluster", "create", *names, "--cluster-replicas",
                    str(len(nodes) // masters - 1), "--cluster-yes"], stdout=subprocess.DEVNULL, check=True)
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        told = [subprocess.run(["redis-cli", "-p", str(node.port), "info", "replication"], stdout=subprocess.PIPE,
                               check=False).stdout.decode() for node in nodes[:masters]]
        if all(f"connected_slaves:{len(nodes) // masters - 1}" in text and "state=wait" not in text for text in told):
            return
        time.sleep(0.1)
    raise RuntimeError("the Redis Cluster does not come together")


def start_etcd(folder, count):
    """Functions that start a member each; the first of them waits for nobody."""
    ports = [(free_port(), free_port()) for _ in range(count)]
    cluster = ",".join(f"m{peer}=http://127.0.0.1:{peer}" for _, peer in ports)

    def start(client, peer):
        return Server("etcd", [
            "etcd", "--name", f"m{peer}", "--data-dir", str(pathlib.Path(folder, f"etcd-{peer}")),
            "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls", f"http://127.0.0.1:{client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "error"],
            client, folder, ETCD_ASK if peer == ports[-1][1] else None)
    return [lambda pair=pair: start(*pair) for pair in ports]


def etcd_leader(members):
    """The member that leads: the one to ask, as every other passes writes on to it."""
    names = ",".join(f"127.0.0.1:{member.port}" for member in members)
    told = subprocess.run(["etcdctl", "--endpoints", names, "endpoint", "status"], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "ETCDCTL_API": "3"}).stdout.decode()
    for member, line in zip(members, told.splitlines()):
        if line.split(", ")[4] == "true":
            return member
    raise RuntimeError(f"etcd has no leader: {told}")


@contextlib.contextmanager
def running(*starts):
    """Starts servers one after the other; ends them all, and only them."""
    with contextlib.ExitStack() as stack:
        servers = []
        for start in starts:
            server = start()
            stack.callback(server.stop)
            servers.append(server)
        yield servers
