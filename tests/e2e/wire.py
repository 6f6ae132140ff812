"""Clients that no ready-made tool is: slow, greedy, silent or huge. Used by the bats files.

    wire.py SCENARIO PORT [ARGUMENT…]    exit 0 if what the scenario's sentence says is so
"""

import os
import random
import socket
import struct
import sys
import threading
import time

LIMIT_S = 20


def connect(port):
    client = socket.create_connection(("127.0.0.1", int(port)), LIMIT_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_to_end(client):
    received = []
    try:
        while chunk := client.recv(1 << 20):
            received.append(chunk)
    except ConnectionResetError:
        received.append(b"<reset>")
    return b"".join(received)


def read_until(client, ending):
    received = b""
    while not received.endswith(ending):
        chunk = client.recv(1 << 20)
        if not chunk:
            raise AssertionError("closed after %r" % received[-200:])
        received += chunk
    return received


def exchange(port, request):
    """Sends all while reading, closes the sending side; returns everything answered."""
    with connect(port) as client:
        def send():
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        sender = threading.Thread(target=send)
        sender.start()
        answer = read_to_end(client)
        sender.join()
    return answer


def stat(port, name):
    for line in exchange(port, b"stats\r\n").split(b"\r\n"):
        words = line.split(b" ", 2)
        if len(words) == 3 and words[1] == name.encode():
            return int(words[2])
    raise AssertionError("no stat %s" % name)


def resident_bytes(pid):
    with open("/proc/%s/status" % pid) as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def equal(got, expected):
    assert got == expected, "expected %r, got %r" % (expected[:500], got[:500])


def at_most(what, value, limit):
    print("%s: %d, limit %d" % (what, value, limit))
    assert value <= limit, "%s: %d is more than %d" % (what, value, limit)


# ---- ways of sending ------------------------------------------------------------------------------


def bytewise(port):
    """Standard input sent byte by byte is answered as in one piece."""
    request = sys.stdin.buffer.read()
    with connect(port) as client:
        for byte in request:
            client.sendall(bytes((byte,)))
        client.shutdown(socket.SHUT_WR)
        answer = read_to_end(client)
    sys.stdout.buffer.write(answer)


def pipeline(port, count):
    """COUNT commands in one send are answered in order."""
    count = int(count)
    request = b"".join(b"set p%d 0 0 %d\r\n%d\r\nget p%d\r\n" % (i, len(str(i)), i, i) for i in range(count // 2))
    expected = b"".join(b"STORED\r\nVALUE p%d 0 %d\r\n%d\r\nEND\r\n" % (i, len(str(i)), i) for i in range(count // 2))
    equal(exchange(port, request), expected)


def multiget(port, count):
    """A get of COUNT keys, every third stored, gives the values in the request's order."""
    count = int(count)
    equal(exchange(port, b"".join(b"set key%d 7 0 5 noreply\r\n%05d\r\n" % (i, i) for i in range(0, count, 3)) +
                   b"mn\r\n"), b"MN\r\n")
    order = list(range(count))
    random.Random(1).shuffle(order)
    line = b"get " + b" ".join(b"key%d" % i for i in order) + b"\r\n"
    expected = b"".join(b"VALUE key%d 7 5\r\n%05d\r\n" % (i, i) for i in order if i % 3 == 0) + b"END\r\n"
    equal(exchange(port, line), expected)


def value(port, size, count=1):
    """A value of SIZE bytes comes back unchanged, COUNT times."""
    data = random.Random(2).randbytes(min(int(size), 1 << 20)) * (int(size) // (1 << 20) + 1)
    data = data[:int(size)]
    equal(exchange(port, b"set large 3 0 %d\r\n" % len(data) + data + b"\r\n"), b"STORED\r\n")
    for _ in range(int(count)):
        answer = exchange(port, b"get large\r\n")
        assert answer == b"VALUE large 3 %d\r\n" % len(data) + data + b"\r\nEND\r\n", \
            "got %d bytes: %r…" % (len(answer), answer[:100])


def too_large(port, size):
    """A value over the limit is swallowed whole and the connection goes on."""
    size = int(size)
    equal(exchange(port, b"set big 0 0 %d\r\n" % size + b"x" * size + b"\r\nmn\r\n"),
          b"SERVER_ERROR object too large for cache\r\nMN\r\n")


def half_close(port, count):
    """COUNT gets of a large value and then a half-close: everything received is still answered."""
    count, data = int(count), b"h" * 100000
    equal(exchange(port, b"set half 0 0 %d\r\n%s\r\n" % (len(data), data)), b"STORED\r\n")
    expected = b"VALUE half 0 %d\r\n%s\r\nEND\r\n" % (len(data), data)
    with connect(port) as client:
        client.sendall(b"get half\r\n" * count)
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == expected * count, "not everything was answered"


# ---- clients that misbehave -----------------------------------------------------------------------


def no_newline(port, pid, size):
    """SIZE bytes without a newline: an error or none, then the end of the connection."""
    before = resident_bytes(pid)
    with connect(port) as client:
        try:
            client.sendall(b"x" * int(size))
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = read_to_end(client)
    at_most("growth in bytes", resident_bytes(pid) - before, 4 << 20)
    assert b"STORED" not in answer
    if answer not in (b"", b"<reset>"):
        assert answer.replace(b"<reset>", b"").rstrip(b"\r\n").split(b"\r\n")[-1].startswith(
            (b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR")), answer[:200]
    equal(exchange(port, b"mn\r\n"), b"MN\r\n")


def half_command(port):
    """Half a command and silence holds up nobody else."""
    with connect(port) as silent:
        silent.sendall(b"set half 0 0 10\r\nabc")
        equal(exchange(port, b"set other 0 0 1\r\n1\r\nget half\r\n"), b"STORED\r\nEND\r\n")
        silent.sendall(b"defghij\r\n")
        equal(read_until(silent, b"\r\n"), b"STORED\r\n")


def never_reads(port, pid, limit_mib, count):
    """COUNT clients that ask for GiBs and never read stay within the memory limit; others are served."""
    data = b"v" * (1 << 20)
    equal(exchange(port, b"set v 0 0 %d\r\n%s\r\n" % (len(data), data)), b"STORED\r\n")
    greedy = [connect(port) for _ in range(int(count))]
    for client in greedy:
        client.setblocking(False)
        request, sent = b"get v\r\n" * 4096, 0
        deadline = time.monotonic() + 0.2
        while sent < len(request) and time.monotonic() < deadline:
            try:
                sent += client.send(request[sent:])
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        equal(exchange(port, b"mn\r\n"), b"MN\r\n")
    at_most("resident bytes", resident_bytes(pid), (int(limit_mib) << 20) * 11 // 10 + (16 << 20))
    equal(exchange(port, b"set small 0 0 1\r\n1\r\nget small\r\n"), b"STORED\r\nVALUE small 0 1\r\n1\r\nEND\r\n")
    for client in greedy:
        client.close()
    equal(exchange(port, b"mn\r\n"), b"MN\r\n")


def announced_only(port, pid, count):
    """COUNT clients that announce a MiB each and send none of it: nothing is set aside for them."""
    before = resident_bytes(pid)
    clients = [connect(port) for _ in range(int(count))]
    for client in clients:
        client.sendall(b"set announced 0 0 1048576\r\n")
    for client in clients:
        client.sendall(b"x")
    equal(exchange(port, b"mn\r\n"), b"MN\r\n")
    at_most("growth in bytes", resident_bytes(pid) - before, int(count) * 64 * 1024)
    for client in clients:
        client.close()


def slow_clients(port, count):
    """COUNT clients that send a command a byte at a time; another is served meanwhile, they at last too."""
    clients = [connect(port) for _ in range(int(count))]
    for byte in b"get slow\r\n":
        for client in clients:
            client.sendall(bytes((byte,)))
        started = time.monotonic()
        equal(exchange(port, b"mn\r\n"), b"MN\r\n")
        assert time.monotonic() - started < 2
    for client in clients:
        equal(read_until(client, b"\r\n"), b"END\r\n")
        client.close()


def drips(port, limit):
    """A client that sends a byte now and then but never a whole command is closed within LIMIT seconds."""
    deadline = time.monotonic() + float(limit)
    with connect(port) as client:
        client.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                client.sendall(b"x")
                if client.recv(100) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    raise AssertionError("still open")


def idle(port, limit):
    """A silent client is closed within LIMIT seconds."""
    with connect(port) as client:
        client.settimeout(float(limit))
        client.sendall(b"mn\r\n")
        equal(read_until(client, b"\r\n"), b"MN\r\n")
        equal(read_to_end(client), b"")


def connection_limit(port, limit):
    """Of more connections than LIMIT the next is told so; when one ends, another is served."""
    clients = []
    while len(clients) < int(limit):
        clients.append(connect(port))
        clients[-1].sendall(b"mn\r\n")
        equal(read_until(clients[-1], b"\r\n"), b"MN\r\n")
    with connect(port) as refused:
        answer = read_to_end(refused).replace(b"<reset>", b"")
        assert answer.startswith(b"SERVER_ERROR busy, retry in ") and answer.endswith(b" ms\r\n"), answer
    clients.pop().close()
    deadline = time.monotonic() + 5
    while exchange(port, b"mn\r\n") != b"MN\r\n":
        assert time.monotonic() < deadline, "no place became free"
    for client in clients:
        equal_after(client)
        client.close()


def equal_after(client):
    client.sendall(b"mn\r\n")
    equal(read_until(client, b"\r\n"), b"MN\r\n")


def descriptors(port, count):
    """COUNT connections against a process with fewer descriptors: those served stay served."""
    first = connect(port)
    equal_after(first)
    clients = []
    for _ in range(int(count)):
        clients.append(connect(port))
    equal_after(first)
    for client in clients:
        client.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            if exchange(port, b"mn\r\n") == b"MN\r\n":
                break
        except OSError:
            pass
        assert time.monotonic() < deadline, "does not serve again"
    equal_after(first)
    first.close()


# ---- memory ---------------------------------------------------------------------------------------


def write_batches(port, requests, expected_words):
    """Sends requests, counts answers by first words; at most 1,000 at a time."""
    counts = {}
    with connect(port) as client:
        for at in range(0, len(requests), 1000):
            batch = requests[at:at + 1000]
            client.sendall(b"".join(batch))
            answers = b""
            while answers.count(b"\r\n") < len(batch):
                chunk = client.recv(1 << 20)
                assert chunk, "closed"
                answers += chunk
            for line in answers.split(b"\r\n")[:-1]:
                assert line in expected_words, line
                counts[line] = counts.get(line, 0) + 1
                yield line
    print(counts)


FULL = b"SERVER_ERROR out of memory storing object"


def fill(port, limit_mib):
    """A full store refuses and keeps everything acknowledged."""
    count = int(limit_mib) * 1100
    keys = [b"fill%07d" % i for i in range(count)]
    results = list(write_batches(port, [b"set %s 0 0 1000\r\n%s\r\n" % (k, (k * 100)[:1000]) for k in keys],
                                 (b"STORED", FULL)))
    stored = [k for k, result in zip(keys, results) if result == b"STORED"]
    assert len(stored) < count, "never full"
    assert len(stored) > count // 2, "full after %d of %d" % (len(stored), count)
    for at in range(0, len(stored), 1000):
        part = stored[at:at + 1000]
        answer = exchange(port, b"get " + b" ".join(part) + b"\r\n")
        assert answer == b"".join(b"VALUE %s 0 1000\r\n%s\r\n" % (k, (k * 100)[:1000]) for k in part) + b"END\r\n", \
            "something acknowledged is gone"
    freed = 128  # a size class gets memory by the page: one item's room is not yet another's
    equal(exchange(port, b"".join(b"delete %s\r\n" % k for k in stored[:freed])), b"DELETED\r\n" * freed)
    equal(exchange(port, b"set same 0 0 1000\r\n%s\r\nset small 0 0 10\r\n0123456789\r\n" % (b"x" * 1000)),
          b"STORED\r\n" * 2)


def overwrite(port, pid, limit_mib):
    """After random overwriting with 8 to 3,000 bytes resident memory is at most 1.1 × -m + 16 MiB."""
    rng, limit = random.Random(3), int(limit_mib) << 20
    data = bytes(3000)
    for share in (0.5, 2):
        key_count = int(limit * share / 1600)
        keys = rng.choices(range(key_count), k=key_count * 4)
        requests = [b"set over%d 0 0 %d\r\n%s\r\n" % (k, size, data[:size])
                    for k, size in zip(keys, rng.choices(range(8, 3001), k=len(keys)))]
        results = list(write_batches(port, requests, (b"STORED", FULL)))
        assert results.count(b"STORED") > len(results) // 4
        at_most("resident bytes", resident_bytes(pid), limit * 11 // 10 + (16 << 20))


def expire(port, count):
    """Expired items give their memory back without being asked for."""
    count = int(count)
    requests = [b"set gone%d 0 1 1000\r\n%s\r\n" % (i, b"x" * 1000) for i in range(count)]
    assert list(write_batches(port, requests, (b"STORED",))).count(b"STORED") == count
    assert stat(port, "bytes") > 0
    deadline = time.monotonic() + 20
    while stat(port, "curr_items") > 0 or stat(port, "bytes") > 0:
        assert time.monotonic() < deadline, "still %d items" % stat(port, "curr_items")
        time.sleep(0.1)


def next_second(port):
    """Until the server's clock shows another second."""
    second = stat(port, "uptime")
    while stat(port, "uptime") == second:
        time.sleep(0.05)


def evict(port, limit_mib):
    """With --evict everything is stored, old items go, what is used stays."""
    # Recency is kept in seconds: what is used is used in another second than the parts before and behind it are
    # written in. Of a sample of 16 items then hardly ever all others are newer.
    part = int(limit_mib) * 300
    count = 8 * part
    for begin in range(0, count, part):
        requests = [b"set evict%d 0 0 1000\r\n%s\r\n" % (i, b"e" * 1000) for i in range(begin, begin + part)]
        results = list(write_batches(port, requests, (b"STORED",)))
        assert results.count(b"STORED") == part
        next_second(port)
        assert exchange(port, b"get evict0\r\n").startswith(b"VALUE"), "what was used is gone"
        next_second(port)
    assert stat(port, "evictions") > 0
    assert 0 < stat(port, "curr_items") < count
    assert exchange(port, b"get evict%d\r\n" % (count - 1)).startswith(b"VALUE")
    equal(exchange(port, b"get evict1\r\n"), b"END\r\n")


# ---- ending ---------------------------------------------------------------------------------------


def terminate(port, pid, count):
    """COUNT gets of a large value received before SIGTERM are answered in full, then the end."""
    count, data = int(count), b"t" * 50000
    equal(exchange(port, b"set t 0 0 %d\r\n%s\r\n" % (len(data), data)), b"STORED\r\n")
    with connect(port) as client:
        client.sendall(b"get t\r\n" * count)
        first = client.recv(1)
        os.kill(int(pid), 15)
        answer = first + read_to_end(client)
    assert answer == (b"VALUE t 0 %d\r\n%s\r\nEND\r\n" % (len(data), data)) * count, \
        "%d of %d bytes" % (len(answer), (len(data) + 30) * count)


# ---- clusters -------------------------------------------------------------------------------------


def owners(port, *arguments):
    """owners PORT PORT… -- KEY…: prints each key and the port of the one node that holds it."""
    at = arguments.index("--")
    ports, keys = [port, *arguments[:at]], arguments[at + 1:]
    for key in keys:
        exchange(port, b"delete %s\r\n" % key.encode())
        before = [stat(p, "curr_items") for p in ports]
        equal(exchange(port, b"set %s 0 0 1\r\n1\r\n" % key.encode()), b"STORED\r\n")
        holders = [p for p, n in zip(ports, before) if stat(p, "curr_items") == n + 1]
        assert len(holders) == 1, "%s is held by %s" % (key, holders)
        print(key, holders[0])


def timed(port, limit, request, *expected):
    """The request is answered within LIMIT seconds, by a line that begins with one of EXPECTED."""
    started = time.monotonic()
    with connect(port) as client:
        client.settimeout(float(limit) + 1)
        client.sendall(request.encode().decode("unicode_escape").encode("latin-1"))
        answer = read_until(client, b"\r\n")
    seconds = time.monotonic() - started
    print("%.2f s: %s" % (seconds, answer.decode("latin-1")[:300]))
    assert seconds <= float(limit), "took %.1f s" % seconds
    assert answer.startswith(tuple(e.encode() for e in expected)), "got %r" % answer[:300]


def bulk(port, seconds, value_bytes):
    """Writes and reads large values of many keys, back to back, for a while."""
    value, end = b"b" * int(value_bytes), time.monotonic() + float(seconds)
    number = 0
    while time.monotonic() < end:
        keys = [b"bulk%d" % (number + i) for i in range(8)]
        number = (number + 8) % 64
        answer = exchange(port, b"".join(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value) for key in keys))
        assert answer == b"STORED\r\n" * len(keys), answer[:200]
        answer = exchange(port, b"get " + b" ".join(keys) + b"\r\n")
        assert answer.count(b"VALUE ") == len(keys) and answer.endswith(b"END\r\n"), answer[:200]


def pass_on(port, target, damage):
    """Passes everything that comes to PORT on to TARGET and back, through damage; runs until killed."""
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)

    def pump(source, sink):
        try:
            while chunk := source.recv(1 << 16):
                sink.sendall(damage(chunk))
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    while True:
        client, _ = listener.accept()
        try:
            server = connect(target)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            continue
        server.settimeout(None)
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        threading.Thread(target=pump, args=(server, client), daemon=True).start()


def flip_proxy(port, target, marker):
    """Passes everything on to TARGET, but flips a bit of each MARKER that comes by; runs until killed."""
    def damage(chunk):
        at = chunk.find(marker.encode())
        return chunk if at < 0 else chunk[:at] + bytes((chunk[at] ^ 1,)) + chunk[at + 1:]

    pass_on(port, target, damage)


def noise_proxy(port, target, every, seed, switch):
    """Passes everything on to TARGET, but while the file SWITCH exists flips one bit of about each
    EVERYth chunk, anywhere in it; runs until killed."""
    chance = random.Random(int(seed))

    def damage(chunk):
        if chance.randrange(int(every)) or not os.path.exists(switch):
            return chunk
        at, bit = chance.randrange(len(chunk)), 1 << chance.randrange(8)
        return chunk[:at] + bytes((chunk[at] ^ bit,)) + chunk[at + 1:]

    pass_on(port, target, damage)


CRC_TABLE = []
for remainder in range(256):
    for _ in range(8):
        remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
    CRC_TABLE.append(remainder)


def frame(header, body=b""):
    """A frame between nodes, of proto.md."""
    head = b"%s %d " % (header.encode(), len(body))
    crc = 0xFFFFFFFF
    for byte in head + body:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    return head + b"%08x\r\n" % (crc ^ 0xFFFFFFFF) + body + b"\r\n"


def greet(port, name, kind="control"):
    """A connection that the node takes for another node's."""
    client = connect(port)
    client.sendall(frame("HELLO 4 4 %s dht random %s %016x %d 127.0.0.1:%s %016x %016x 0"
                         % (kind, name, 7, int(time.time() * 1000), port, 0, 0)))
    assert client.recv(4096).startswith(b"WELCOME "), "not welcome"
    return client


def send_unread(client, data, limit_s=1):
    """Sends as much as the other end takes within the time; reads nothing."""
    client.settimeout(limit_s)
    try:
        client.sendall(data)
    except OSError:
        pass


def flooding_peer(port, pid, limit_mib):
    """Another node that tells of names without end, asks and takes no answer, and finishes no frame."""
    before, limit = resident_bytes(pid), int(limit_mib) << 20
    for number in range(2000):
        greet(port, "127.1.%d.%d:9" % divmod(number, 256)).close()
    at_most("bytes after 2,000 nodes", resident_bytes(pid) - before, limit)
    kept = [greet(port, "127.2.0.1:9")]
    for number in range(20):
        kept[0].sendall(frame("NEWS 0 1", b"".join(
            b"ALIVE 127.%d.%d.%d:9 %d %016x 0 1 0 1 0\n" % (number + 3, *divmod(name, 256), 1 + name, name)
            for name in range(900))))
    at_most("bytes after 18,000 members", resident_bytes(pid) - before, limit)
    for kind, message in (("control", frame("GET_MEMBERSHIP_LIST 1 5 0 1 0 %016x 0" % 1)),
                          ("control", frame("GET_VIEWS 0 0")), ("control", frame("PING 1 0")),
                          ("control", frame("PROBE 1 127.9.9.9:9 5")),
                          ("data", frame("FORWARD 1 192.0.2.1:5 60000 %040x 1 - 7" % 1, b"get a\r\n"))):
        kept.append(greet(port, "127.2.0.%d:9" % (1 + len(kept)), kind))
        send_unread(kept[-1], message * ((16 << 20) // len(message)))
        at_most("bytes after 16 MiB of %s" % message[:12], resident_bytes(pid) - before, limit)
    for number in range(100):
        kept.append(greet(port, "127.2.1.%d:9" % number))
        kept[-1].sendall(b"NEWS 1 1 65000 00000000\r\n" + bytes(64000))
    time.sleep(0.2)
    at_most("bytes after 100 halves of frames", resident_bytes(pid) - before, limit)
    for client in kept:
        client.close()
    equal(exchange(port, b"set k 0 0 1\r\n1\r\nget k\r\n"), b"STORED\r\nVALUE k 0 1\r\n1\r\nEND\r\n")


def name_server(port, address):
    """Every name has that address, and no other."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", int(port)))
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        is_known = query[end - 4:end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 1, 4) + socket.inet_aton(address)
        server.sendto(query[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", is_known, 0, 0) + query[12:end]
                      + answer * is_known, client)


def replay(port, *files):
    """The session blocks of proto.md: lines "> " are sent, lines "< " expected, <words> match anything."""
    import re
    blocks = []
    for name in files:
        with open(name) as file:
            blocks += re.findall(r"^```session\n(.*?)^```", file.read(), re.M | re.S)
    assert blocks, "no session blocks"
    failed = 0
    for block in blocks:
        sent = b"".join(line[2:].encode() + b"\r\n" for line in block.splitlines() if line.startswith("> "))
        expected = [line[2:] for line in block.splitlines() if line.startswith("< ")]
        got = exchange(port, b"flush_all noreply\r\n" + sent).decode("latin-1").split("\r\n")[:-1]
        patterns = [re.sub(r"<[^<>]+>", ".+", re.escape(line).replace(r"\<", "<").replace(r"\>", ">"))
                    for line in expected]
        if len(got) != len(patterns) or not all(re.fullmatch(p, g) for p, g in zip(patterns, got)):
            failed += 1
            print("session\n%sgot\n%s\n" % (block, "\n".join(got)))
    print("%d sessions, %d unlike" % (len(blocks), failed))
    assert not failed


def main():
    name, *arguments = sys.argv[1:]
    globals()[name.replace("-", "_")](*arguments)


if __name__ == "__main__":
    main()
