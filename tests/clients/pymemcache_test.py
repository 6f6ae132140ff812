"""Every method of pymemcache's Client, its pooled and hashed clients, against the port given."""

import json
import sys
import time

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError, MemcacheServerError

ADDRESS = ("127.0.0.1", int(sys.argv[1]))
OPTIONS = {"connect_timeout": 5, "timeout": 10}


def raises(kind, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except kind:
        return
    raise AssertionError("%s did not raise %s" % (function, kind))


def storing(client):
    client.delete("added", noreply=False)
    assert client.set("k", b"v", noreply=False) is True
    assert client.get("k") == b"v"
    assert client.get("none") is None
    assert client.get("none", default=5) == 5
    assert client.add("k", b"w", noreply=False) is False
    assert client.add("added", b"w", noreply=False) is True
    assert client.replace("k", b"r", noreply=False) is True
    assert client.replace("none", b"r", noreply=False) is False
    assert client.append("k", b"a", noreply=False) is True
    assert client.append("none", b"a", noreply=False) is False
    assert client.prepend("k", b"p", noreply=False) is True
    assert client.prepend("none", b"p", noreply=False) is False
    assert client.get("k") == b"pra"
    assert client.delete("k", noreply=False) is True
    assert client.delete("k", noreply=False) is False


def without_replies(client):
    client.set("n", b"1", noreply=True)
    client.add("n", b"2", noreply=True)
    client.append("n", b"0", noreply=True)
    client.prepend("n", b"2", noreply=True)
    client.incr("n", 5, noreply=True)
    client.decr("n", 3, noreply=True)
    client.touch("n", 100, noreply=True)
    client.cas("n", b"x", b"1", noreply=True)
    assert client.get("n") == b"212"
    client.delete("n", noreply=True)
    assert client.get("n") is None


def comparing(client):
    client.set("c", b"1", noreply=False)
    value, unique = client.gets("c")
    assert value == b"1"
    assert client.cas("c", b"2", unique, noreply=False) is True
    assert client.cas("c", b"3", unique, noreply=False) is False
    assert client.cas("none", b"3", unique, noreply=False) is None
    assert client.gets("none") == (None, None)


def counting(client):
    client.set("i", b"10", noreply=False)
    assert client.incr("i", 5) == 15
    assert client.decr("i", 20) == 0
    assert client.incr("none", 1) is None
    assert client.decr("none", 1) is None
    client.set("text", b"abc", noreply=False)
    raises(MemcacheClientError, client.incr, "text", 1)


def many(client):
    values = {"many%d" % i: b"%d" % i for i in range(500)}
    assert client.set_many(values, noreply=False) == []
    assert client.set_multi(values, noreply=False) == []
    assert client.get_many(list(values)) == values
    assert client.get_multi([*values, "none"]) == values
    assert {k: v for k, (v, _) in client.gets_many(list(values)).items()} == values
    assert client.delete_many(list(values), noreply=False) is True
    assert client.get_many(list(values)) == {}
    assert client.delete_multi(["none"], noreply=False) is True
    assert client.get_many([]) == {}


def times(client):
    assert client.set("t", b"v", expire=1, noreply=False) is True
    assert client.touch("t", 1000, noreply=False) is True
    assert client.touch("none", 1000, noreply=False) is False
    client.set("short", b"v", expire=1, noreply=False)
    deadline = time.monotonic() + 5
    while client.get("short") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.get("t") == b"v"
    client.set("gone", b"v", expire=-1, noreply=False)
    assert client.get("gone") is None


def bounds(client):
    raises(MemcacheIllegalInputError, client.set, "k" * 251, b"v")
    raises(MemcacheServerError, client.set, "big", b"x" * (2 << 20), noreply=False)
    large = bytes(range(256)) * 4000
    assert client.set("large", large, noreply=False) is True
    assert client.get("large") == large
    assert client.set("empty", b"", noreply=False) is True
    assert client.get("empty") == b""
    assert client.set("k" * 250, b"v", noreply=False) is True
    assert client.get("k" * 250) == b"v"


def administration(client):
    assert client.version().startswith(b"1.")
    assert int(client.stats()[b"curr_items"]) > 0
    client.stats("settings")
    assert client.cache_memlimit is not None
    assert client.flush_all(noreply=False) is True
    assert client.get("large") is None


def flags():
    with_json = Client(ADDRESS, serializer=lambda key, value: (json.dumps(value).encode(), 4242),
                       deserializer=lambda key, value, flag: (json.loads(value), flag), **OPTIONS)
    with_json.set("j", {"a": [1, 2]}, noreply=False)
    assert with_json.get("j") == ({"a": [1, 2]}, 4242)
    with_json.close()
    pickled = Client(ADDRESS, serde=serde.pickle_serde, **OPTIONS)
    for value in (1, "text", b"bytes", [1, {"a": None}], 1 << 70):
        pickled.set("p", value, noreply=False)
        assert pickled.get("p") == value
    pickled.close()


def whole(client):
    for part in (storing, without_replies, comparing, counting, many, times, bounds):
        part(client)
        print("ok", type(client).__name__, part.__name__)


def main():
    client = Client(ADDRESS, **OPTIONS)
    whole(client)
    administration(client)
    raw = client.raw_command(b"get none", b"END\r\n") if hasattr(client, "raw_command") else b""
    assert raw in (b"", b"END"), raw
    client.quit()
    client = Client(ADDRESS, key_prefix=b"prefix:", **OPTIONS)
    storing(client)
    client.set("x", b"1", noreply=False)
    assert Client(ADDRESS, **OPTIONS).get("prefix:x") == b"1"
    client.close()
    whole(PooledClient(ADDRESS, max_pool_size=4, **OPTIONS))
    hashed = HashClient([ADDRESS], use_pooling=True, **OPTIONS)
    storing(hashed)
    counting(hashed)
    hashed.close()
    flags()
    print("all of pymemcache")


main()
