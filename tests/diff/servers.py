"""Starts and ends the servers compared, and talks to a pair of them."""

import os
import select
import socket
import subprocess
import tempfile
import time

from allowed import VALUE_BYTES_MAX

START_LIMIT_S = 10
ANSWER_LIMIT_S = 10
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DHT_SERVER = os.environ.get("DHT_SERVER", os.path.join(REPOSITORY, "dht-server"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process; its log is kept, and ended with it."""

    def __init__(self, argv, port):
        self.port = port
        self.argv = argv
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                    client.sendall(b"stats\r\n")
                    answer = b""
                    while not answer.endswith(b"END\r\n"):
                        chunk = client.recv(65536)
                        if not chunk:
                            break
                        answer += chunk
                if b"STAT pid %d\r\n" % self.process.pid in answer:
                    return
                raise RuntimeError("port %d belongs to another process" % self.port)
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("%s does not serve: %s" % (" ".join(self.argv), self.log_text()))

    def log_text(self):
        self.log.seek(0)
        return self.log.read()[-4000:].decode("utf-8", "replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Memcached:
    """The reference, and in the self-test also what is judged."""
    name = "memcached"

    def __init__(self):
        port = free_port()
        argv = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-t", "1", "-m", "1024",
                "-I", str(VALUE_BYTES_MAX), "-o", "no_lru_crawler,no_lru_maintainer"]
        if os.geteuid() == 0:
            argv += ["-u", "root"]
        self.servers = [Server(argv, port)]
        self.ports = [port]

    def close(self):
        for server in self.servers:
            server.close()

    def logs(self):
        return "\n".join("--- %s\n%s" % (" ".join(s.argv), s.log_text()) for s in self.servers)


class Dht(Memcached):
    """dht-server: one node, or several of one peers.txt."""
    name = "dht-server"

    def __init__(self, node_count):
        self.directory = tempfile.TemporaryDirectory(prefix="dht-diff.")
        self.ports = [free_port() for _ in range(node_count)]
        peers = os.path.join(self.directory.name, "peers.txt")
        with open(peers, "w") as file:
            file.writelines("127.0.0.1:%d\n" % port for port in self.ports)
        self.servers = []
        for port in self.ports:
            self.servers.append(Server([DHT_SERVER, peers, str(port), "-m", "1024",
                                        "--state-dir", os.path.join(self.directory.name, str(port)),
                                        "-I", str(VALUE_BYTES_MAX)], port))

    def close(self):
        super().close()
        self.directory.cleanup()


class Line:
    """One connection to a server, sending and receiving without ever blocking on either."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = []
        self.tail = b""
        self.closed = False

    def start(self, pieces, until):
        """Will send the pieces, one send each, and collect answers up to the bytes until."""
        self.pieces = [memoryview(p) for p in pieces]
        self.until = until
        self.received = []
        self.tail = b""

    @property
    def done(self):
        return self.closed or (not self.pieces and self.tail.endswith(self.until))

    def write(self):
        try:
            sent = self.socket.send(self.pieces[0])
        except BlockingIOError:
            return
        except OSError:
            self.pieces = []
            return
        if sent == len(self.pieces[0]):
            self.pieces.pop(0)
        else:
            self.pieces[0] = self.pieces[0][sent:]

    def read(self):
        try:
            chunk = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.closed = True
            self.received.append(b"<connection closed>")
            return
        self.received.append(chunk)
        self.tail = (self.tail + chunk)[-len(self.until):]

    def close(self):
        self.socket.close()


def exchange(lines, limit_s=ANSWER_LIMIT_S):
    """Runs all lines until each is done; returns their answers. A line that is silent for too long
    gets "<no answer>" appended."""
    deadline = time.monotonic() + limit_s
    while True:
        waiting = [line for line in lines if not line.done]
        if not waiting:
            break
        if time.monotonic() > deadline:
            for line in waiting:
                line.received.append(b"<no answer>")
                line.closed = True
            break
        readable, writable, _ = select.select([l.socket for l in waiting],
                                              [l.socket for l in waiting if l.pieces], [], 0.2)
        for line in waiting:
            if line.socket in writable:
                line.write()
            if line.socket in readable:
                line.read()
        if readable:
            deadline = time.monotonic() + limit_s
    return [b"".join(line.received) for line in lines]
