"""A proxy that falsifies a server's answers now and then: proof that the comparison sees it."""

import socket
import threading

EVERY = 50  # chunks of answers


def _flip(chunk):
    """Changes the first data byte of the first value."""
    at = chunk.find(b"VALUE ")
    eol = chunk.find(b"\r\n", at)
    if at < 0 or eol < 0 or eol + 2 >= len(chunk) or chunk[eol + 2:eol + 3] == b"\r":
        return None
    return chunk[:eol + 2] + bytes((chunk[eol + 2] ^ 1,)) + chunk[eol + 3:]


def _replace(old, new):
    return lambda chunk: chunk.replace(old, new, 1) if old in chunk else None


WAYS = {
    "value": _flip,
    "outcome": _replace(b"\r\nNOT_STORED\r\n", b"\r\nSTORED\r\n"),
    "error": _replace(b"CLIENT_ERROR bad data chunk\r\n", b"ERROR\r\n"),
    "lost": _replace(b"\r\nSTORED\r\n", b"\r\n"),
    "extra": _replace(b"\r\nEND\r\n", b"\r\nEND\r\nEND\r\n"),
    "stale": _replace(b" W\r\n", b"\r\n"),
    "cas": lambda chunk: _cas(chunk),
    "ttl": _replace(b" t3600", b" t3500"),
    "flags": _replace(b" 4294967295 ", b" 65535 "),
}


def _cas(chunk):
    """Gives gets a cas unique of another write."""
    at = chunk.find(b"VALUE counter ")
    eol = chunk.find(b"\r\n", at)
    if at < 0 or eol < 0 or len(chunk[at:eol].split(b" ")) != 5:
        return None
    return chunk[:eol] + b"1" + chunk[eol:]


class Tampered:
    """A server behind the proxy; looks like a server to the test."""
    name = "tampered"

    def __init__(self, behind, way):
        self.behind = behind
        self.falsify = WAYS[way]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ports = [self.listener.getsockname()[1]]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.behind.ports[0]))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, target, tampers):
        count = 0
        try:
            while chunk := source.recv(1 << 18):
                count += 1
                falsified = self.falsify(chunk) if tampers and count > EVERY else None
                if falsified is not None:
                    chunk = falsified
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            target.close()

    def close(self):
        self.listener.close()
        self.behind.close()
