"""Generates command sequences: the same seed gives the same sequence, on any machine.

A command is self-contained: whatever a wrong length makes a server swallow beyond its own data is
covered by a filler of its own, never by the next command. Times are such that nothing expires or
starts to matter while the run lasts: 0, negative, hours, or long past. What else is not generated because
memcached's answer would be luck: AVOIDED in allowed.py.
"""

import base64
import random

from allowed import ABSENT_KEY, VALUE_BYTES_MAX, NEAR_LIMIT_BYTES, announced_bytes, is_allowed

CAS_BOGUS = b"9223372036854775000"  # no item will ever have it, and it is newer than any
CAS_HUGE = b"C18446744073709551615"
FILLER = b"mn\r\n" * 20              # what a too large announced length may swallow
SWALLOW_BYTES_MAX = 60
DOUBTFUL_BYTES_MAX = 900             # longer data comes with a sound line only: a refused line's data is
                                     # read as a line, and one so long closes the connection

BINARY_KEYS = [b"\x00\x01bin", b"two words", b"\xff" * 100, b"nul\0tab\t"]
KEYS = [b"a", b"k2", b"counter", b"n2", b"key:with:colons", b"k\xc3\xa9y", b"7", b"m_1",
        b"L" * 250, b"noreply", b"x" * 100, b"0"]
NUMBER_KEYS = [b"counter", b"n2", b"7"]
BAD_KEYS = [b"L" * 251, b"M" * 300, b"k\x01", b"k\tt", b"k\x7f", b"", b"k\rr"]
BAD_BASE64 = [b"YQ", b"###", b"YQ=", b"YQ==x", b"=", b"Y", b"YWJj!", b"L" * 252]
TTLS = [b"0"] * 12 + [b"3600"] * 4 + [b"7200", b"100000", b"2592000", b"2592001", b"-1", b"-1",
                                     b"-2147483648", b"2000000000", b"2147483647", b"1000000000"]
TTLS_BAD = [b"x", b"", b"1.5", b"99999999999999999999", b"0x10", b"12abc", b"--1"]
FLAGS = [b"0"] * 6 + [b"1", b"32", b"65535", b"65536", b"4294967295", b"007"]
FLAGS_BAD = [b"-1", b"4294967296", b"x", b"1e3", b"99999999999999999999", b"18446744073709551616"]
DELTAS = [b"0", b"1", b"1", b"1", b"5", b"9", b"10", b"99", b"1000", b"1000000"]
DELTAS_DOWN = DELTAS + [b"9223372036854775808", b"18446744073709551615"]
DELTAS_BAD = [b"-1", b"x", b"18446744073709551616", b"1.5", b"", b"99999999999999999999999", b"1 2"]
NUMBERS = [b"0", b"1", b"9", b"10", b"99", b"100", b"999", b"18446744073709551616", b"007", b"12 ", b" 12",
           b"12abc", b"1.5", b"00000000000000000000001", b""]
LENGTHS_BAD = [b"-1", b"-5", b"x", b"2147483647", b"2147483648", b"4294967296", b"1.5",
               b"99999999999999999999", b"-2147483648", b"", b"0x3", b"3x"]
BAD_VERBS = [b"", b" ", b"g", b"ge", b"getx", b"sett", b"gett a", b"mx a", b"m", b"mgx a", b"xyzzy",
             b"set", b"get", b"gets", b"gat", b"gats", b"gat 0", b"delete", b"incr", b"incr a", b"touch",
             b"touch a", b"cas", b"mg", b"ms", b"md", b"ma", b"me", b"ms a", b"verbosity", b"\x01\x02",
             b"a b c d e f g h", b"set a 0 0", b"add a", b"append a 0", b"set a", b"12345", b"quitx",
             b"versionx", b"flush_allx", b"END", b"STORED", b"\xff\xfe", b"-", b"mn1", b"me ", b"mg  "]

META_VALID = b"cfhklqstuv"           # no argument, 1.6.18 takes them on every meta command
META_INVALID = b"aegijwyABGHKUVWXYZ159_-"
OPAQUES = [b"1", b"abc", b"x" * 32, b"x" * 33, b"", b"O", b"7f"]


class CasRef:
    """Stands for a cas unique in a command: each side gets its own value.

    which: "last" or "older" of those seen for key, "bogus" when none was."""
    __slots__ = ("key", "which")

    def __init__(self, key, which):
        self.key = key
        self.which = which


class Command:
    """kind: what its share is counted under; parts: bytes and CasRefs; key: whose history it is in;
    ends_batch: nothing is pipelined behind it, so that its cas unique is known to the next one."""
    __slots__ = ("kind", "parts", "key", "ends_batch")

    def __init__(self, kind, parts, key=None, ends_batch=False):
        self.kind = kind
        self.parts = parts if isinstance(parts, tuple) else (parts,)
        self.key = key
        self.ends_batch = ends_batch

    def render(self, cas_of):
        """The bytes to send; cas_of(CasRef) gives the side's value."""
        if len(self.parts) == 1:
            return self.parts[0]
        return b"".join(p if isinstance(p, bytes) else cas_of(p) for p in self.parts)

    def text(self):
        """The bytes with names in place of cas uniques: for people and for looking at words."""
        return self.render(lambda ref: b"<cas:%s of %s>" % (ref.which.encode(), ref.key[:20]))


KIND_WEIGHTS = {
    "set": 12, "add": 4, "replace": 4, "append": 4, "prepend": 4, "cas": 5, "get": 8, "gets": 5,
    "multiget": 3, "gat": 3, "gats": 3, "delete": 4, "incr": 6, "decr": 6, "touch": 4, "mg": 13,
    "ms": 11, "md": 5, "ma": 7, "me": 2, "mn": 1, "flush_all": 0.15, "stats": 0.1, "version": 0.2,
    "verbosity": 0.2, "bad verb": 2, "wrong length": 1.5, "big value": 0.03,
}


class Generator:
    """Iterates over Commands without end."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.makers = {kind: getattr(self, "make_" + kind.replace(" ", "_"), None)
                       for kind in KIND_WEIGHTS}
        for kind in ("set", "add", "replace", "append", "prepend"):
            self.makers[kind] = lambda k=kind.encode(): self.storage(k)
        for kind in ("gat", "gats"):
            self.makers[kind] = lambda k=kind.encode(): self.retouch(k)
        for kind in ("incr", "decr"):
            self.makers[kind] = lambda k=kind.encode(): self.arith(k)
        for kind in ("get", "gets"):
            self.makers[kind] = lambda k=kind.encode(): (k + b" " + self.key(), b"")

    def __iter__(self):
        kinds, weights = list(KIND_WEIGHTS), list(KIND_WEIGHTS.values())
        while True:
            for kind in self.rng.choices(kinds, weights, k=1000):
                yield from self.commands(kind)

    def commands(self, kind):
        """One command, or the few of a scenario."""
        if kind == "cas":
            yield from self.cas_scenario()
            return
        made = self.makers[kind]()
        if made is None:
            return
        if isinstance(made, Command):
            yield made
            return
        line, body = made
        if len(body) < DOUBTFUL_BYTES_MAX and self.rng.random() < 0.06:
            line = self.mutate(line)
        yield from self.finish(kind, line, body)

    def finish(self, kind, line, body, ends_batch=False):
        """Adds line end and filler; drops what may differ or would swallow too much."""
        end = b"\n" if self.rng.random() < 0.03 else b"\r\n"
        announced = announced_bytes(line)
        if announced is not None and announced != len(body) - 2:
            if len(body) - 2 > 4000:
                return
            if announced > len(body) + SWALLOW_BYTES_MAX and announced < 2147483646:
                return
            body += FILLER
        if line.split(b"\0", 1)[0].split()[:1] != [b"quit"] and not is_allowed(line, body):
            words = line.split(None, 2)
            key = words[1] if len(words) > 1 else None
            yield Command(kind, line + end + body, key, ends_batch)

    # -- arguments ---------------------------------------------------------------------------------

    def key(self):
        rng = self.rng
        return rng.choice(KEYS) if rng.random() < 0.985 else rng.choice(BAD_KEYS)

    def pick(self, good, bad):
        return self.rng.choice(good) if self.rng.random() < 0.97 else self.rng.choice(bad)

    def value(self, key=None):
        """A value: mostly a number for the keys that arithmetic prefers."""
        rng = self.rng
        dice = rng.random()
        if key in NUMBER_KEYS and dice < 0.85:
            return rng.choice(NUMBERS) if dice < 0.3 else b"%d" % rng.getrandbits(rng.choice((4, 10, 30)))
        if dice < 0.20:
            return rng.choice(NUMBERS)
        if dice < 0.75:
            size = rng.randrange(0, 32)
        elif dice < 0.90:
            size = rng.randrange(32, 300)
        elif dice < 0.985:
            size = rng.randrange(300, 3000)
        else:
            size = rng.choice((4096, 16383, 16384, 16385, 20000, 65536))
        if size > len(b"\r\n") and rng.random() < 0.05:
            return (b"\r\nEND\r\nVALUE a 0 1\r\n\0" * (size // 20 + 1))[:size]
        return (b"v%x" % rng.getrandbits(32) * (size // 2 + 1))[:size]

    def noreply(self):
        dice = self.rng.random()
        return b" noreply" if dice < 0.12 else b" noreplyx" if dice < 0.125 else b""

    # -- classic commands --------------------------------------------------------------------------

    def storage(self, word, key=None):
        key = key or self.key()
        value = self.value(key)
        if word in (b"append", b"prepend"):
            value = short_number(value)
        if len(value) < DOUBTFUL_BYTES_MAX:
            flags, ttl = self.pick(FLAGS, FLAGS_BAD), self.pick(TTLS, TTLS_BAD)
        else:
            key = key if 1 <= len(key) <= 250 else b"a"
            flags, ttl = self.rng.choice(FLAGS), self.rng.choice(TTLS)
        line = b"%s %s %s %s %d%s" % (word, key, flags, ttl, len(value), self.noreply())
        return line, value + b"\r\n"

    def cas_scenario(self):
        """gets, then cas with the value seen, an older one, or one nobody has; sometimes a write between."""
        rng = self.rng
        key = rng.choice(KEYS)
        yield Command("gets", rng.choice((b"gets %s\r\n", b"mg %s k c v\r\n", b"gats 3600 %s\r\n")) % key,
                      key, True)
        if rng.random() < 0.3:
            yield from self.finish("set", *self.storage(b"set", key))
        ref = CasRef(key, rng.choice(("last", "last", "last", "older", "bogus")))
        value = self.value(key)
        dice = rng.random()
        if dice < 0.04 and len(value) < DOUBTFUL_BYTES_MAX:
            bad = rng.choice((b"x", b"-1", b"18446744073709551616", b"", b"1.5"))
            yield from self.finish("cas", b"cas %s 0 0 %d %s" % (key, len(value), bad), value + b"\r\n")
        elif dice < 0.5:
            head = b"cas %s %s %s %d " % (key, rng.choice(FLAGS), rng.choice(TTLS), len(value))
            yield Command("cas", (head, ref, self.noreply() + b"\r\n" + value + b"\r\n"), key)
        else:
            yield self.meta_with_cas(key, ref, value)

    def make_multiget(self):
        rng = self.rng
        count = rng.choice((2, 2, 3, 5, 10, 23, 24, 25, 30, 60, 200))
        word = rng.choice((b"get", b"gets", b"gat 0", b"gats 3600"))
        keys = [rng.choice(KEYS) for _ in range(count)]
        if rng.random() < 0.05:
            keys[rng.choice((0, rng.randrange(count)))] = rng.choice(BAD_KEYS)
        return word + b" " + b" ".join(keys), b""

    def retouch(self, word):
        return b"%s %s %s" % (word, self.pick(TTLS, TTLS_BAD), self.key()), b""

    def make_delete(self):
        extra = self.rng.choice((b"",) * 12 + (b" noreply", b" noreply", b" 0", b" 0 noreply", b" 5",
                                               b" x", b" 0 0", b" 1 2 3", b" noreply 0"))
        return b"delete " + self.key() + extra, b""

    def arith(self, word):
        key = self.rng.choice(NUMBER_KEYS) if self.rng.random() < 0.7 else self.key()
        deltas = DELTAS if word == b"incr" else DELTAS_DOWN
        return b"%s %s %s%s" % (word, key, self.pick(deltas, DELTAS_BAD), self.noreply()), b""

    def make_touch(self):
        return b"touch %s %s%s" % (self.key(), self.pick(TTLS, TTLS_BAD), self.noreply()), b""

    def make_flush_all(self):
        return self.rng.choice((b"flush_all", b"flush_all", b"flush_all 0", b"flush_all noreply", b"flush_all -1",
                                b"flush_all 0 noreply", b"flush_all x", b"flush_all 0 x")), b""

    def make_stats(self):
        return self.rng.choice((b"stats", b"stats settings", b"stats items", b"stats slabs",
                                b"stats foo")), b""

    def make_version(self):
        return self.rng.choice((b"version", b"version x")), b""

    def make_verbosity(self):
        return self.rng.choice((b"verbosity 1", b"verbosity 0", b"verbosity", b"verbosity x", b"verbosity 1 noreply",
                                b"verbosity noreply", b"verbosity 1 2 3 4 5 6", b"verbosity -1",
                                b"verbosity 1 2", b"verbosity 4294967296")), b""

    # -- meta commands -----------------------------------------------------------------------------

    def meta_key(self):
        """(key as sent, "b" flag or nothing)"""
        rng = self.rng
        dice = rng.random()
        if dice < 0.80:
            return self.key(), []
        if dice < 0.97:
            key = rng.choice(BINARY_KEYS) if dice < 0.90 else rng.choice(KEYS[:8])
            return base64.b64encode(key), [b"b"]
        return rng.choice(BAD_BASE64), [b"b"]

    def meta_flags(self, specific, base):
        """A few flags in any order: the command's own, those all take, rarely a wrong one."""
        rng = self.rng
        flags = list(base)
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 5))):
            dice = rng.random()
            if dice < 0.45 and specific:
                flag = rng.choice(specific)
                flags.append(flag() if callable(flag) else flag)
            elif dice < 0.965:
                flag = META_VALID[rng.randrange(len(META_VALID))]
                flags.append(bytes((flag,)))
            elif dice < 0.985:
                flags.append(b"O" + rng.choice(OPAQUES))
            else:
                flags.append(bytes((META_INVALID[rng.randrange(len(META_INVALID))],)))
        if rng.random() < 0.97:
            flags = list({flag[:1]: flag for flag in flags}.values())
        rng.shuffle(flags)
        return b"".join(b" " + flag for flag in flags)

    def ttl_flag(self, letter):
        return letter + self.pick(TTLS, TTLS_BAD)

    def recache_flag(self):
        return b"R" + self.pick((b"30", b"0", b"10000", b"-1", b"5000", b"1000000"), TTLS_BAD)

    def opaque_flag(self):
        return b"O" + self.rng.choice(OPAQUES[:3])

    def with_opaque(self, word):
        """An opaque that may be too long, for an item that is never there: memcached acts, then errs."""
        return b"%s %s O%s" % (word, ABSENT_KEY, self.rng.choice(OPAQUES)), b""

    def make_mg(self):
        if self.rng.random() < 0.01:
            return self.with_opaque(b"mg")
        key, base = self.meta_key()
        specific = (lambda: self.ttl_flag(b"N"), lambda: self.ttl_flag(b"T"), self.recache_flag,
                    self.opaque_flag, b"v", b"v", b"k", b"t")
        return b"mg " + key + self.meta_flags(specific, base), b""

    def mode_flag(self):
        return b"M" + self.rng.choice((b"S", b"s", b"A", b"a", b"P", b"p", b"R", b"r", b"E", b"e", b"E",
                                       b"set", b"append", b"X", b"", b"I"))

    def make_ms(self):
        key, base = self.meta_key()
        value = self.value(key)
        if len(value) >= DOUBTFUL_BYTES_MAX:
            return b"ms %s %d T3600 F7 c" % (self.rng.choice(KEYS), len(value)), value + b"\r\n"
        specific = (lambda: self.ttl_flag(b"T"), lambda: b"F" + self.pick(FLAGS, FLAGS_BAD),
                    self.mode_flag, self.mode_flag, b"I", self.opaque_flag, b"C0", CAS_HUGE, b"Cx")
        flags = self.meta_flags(specific, base)
        if b" M" in flags:
            value = short_number(value)
        return b"ms %s %d%s" % (key, len(value), flags), value + b"\r\n"

    def make_md(self):
        key, base = self.meta_key()
        specific = (b"I", b"I", lambda: self.ttl_flag(b"T"), self.opaque_flag, b"C0", CAS_HUGE, b"q", b"Cx")
        return b"md " + key + self.meta_flags(specific, base), b""

    def make_ma(self):
        rng = self.rng
        dice = rng.random()
        if dice < 0.01:
            return self.with_opaque(b"ma")
        if dice < 0.03:
            return b"ma %s MD v D%s" % (rng.choice(NUMBER_KEYS), rng.choice(DELTAS_DOWN[-2:])), b""
        if rng.random() < 0.6:
            key, base = rng.choice(NUMBER_KEYS), []
        else:
            key, base = self.meta_key()
        specific = (lambda: self.ttl_flag(b"N"), lambda: b"J" + self.pick(DELTAS, DELTAS_BAD),
                    lambda: b"D" + self.pick(DELTAS, DELTAS_BAD), lambda: self.ttl_flag(b"T"),
                    lambda: b"M" + rng.choice((b"I", b"i", b"D", b"d", b"+", b"-", b"incr", b"X", b"")),
                    self.opaque_flag, b"C0", b"N0", b"v", b"v")
        return b"ma " + key + self.meta_flags(specific, base), b""

    def make_me(self):
        key, base = self.meta_key()
        return b"me " + key + b"".join(b" " + flag for flag in base), b""

    def make_mn(self):
        return b"mn", b""

    def meta_with_cas(self, key, ref, value):
        rng = self.rng
        flags = self.meta_flags((b"I", b"T3600", b"q", b"c", b"k"), ()) \
            if len(value) < DOUBTFUL_BYTES_MAX else b" c k"
        flags = b"".join(b" " + f for f in flags.split() if f[:1] not in b"CMNOs")
        kind = rng.choice(("ms", "ms", "md", "ma"))
        if kind == "ms":
            mode = rng.choice((b"", b"", b" MA", b" ME", b" MR", b" MP"))
            value = short_number(value)
            return Command("ms", (b"ms %s %d C" % (key, len(value)), ref,
                                  mode + flags + b"\r\n" + value + b"\r\n"), key)
        if kind == "ma" and b" T" in flags:
            flags += b" MD"  # arithmetic-ttl in allowed.py
        return Command(kind, (b"%s %s C" % (kind.encode(), key), ref, flags + b"\r\n"), key)

    # -- what a client should never send -----------------------------------------------------------

    def make_bad_verb(self):
        rng = self.rng
        if rng.random() < 0.8:
            return rng.choice(BAD_VERBS), b""
        return bytes(rng.choice(b"abcdefghijklmnoprsuvwxyz0123456789 \t._-+*/\\\"'\x01\x7f\xf0")
                     for _ in range(rng.randrange(1, 40))), b""

    def make_wrong_length(self):
        """A length that isn't that of the data, or no length at all."""
        rng = self.rng
        data = b"%x" % rng.getrandbits(rng.choice((8, 40, 160))) + b"\r\n"
        if rng.random() < 0.3:
            length = rng.choice(LENGTHS_BAD)
        else:
            length = b"%d" % max(0, len(data) - 2 + rng.choice((-9, -3, -2, -1, 1, 2, 3, 9, 30)))
        if rng.random() < 0.25:
            return b"ms %s %s%s" % (self.key(), length, rng.choice((b"", b" q", b" T0 c", b" O9 k"))), data
        word = rng.choice((b"set", b"add", b"replace", b"append", b"prepend"))
        return b"%s %s 0 0 %s%s" % (word, self.key(), length, self.noreply()), data

    def make_big_value(self):
        """Values around the limit, on a key of their own; too large ones must be swallowed whole."""
        rng = self.rng
        size = rng.choice((VALUE_BYTES_MAX - NEAR_LIMIT_BYTES - 1, 500000, VALUE_BYTES_MAX + 1,
                           VALUE_BYTES_MAX + 100000, 600000))
        word = rng.choice((b"set", b"set", b"add", b"replace", b"append", b"prepend", b"ms"))
        key = rng.choice((b"big", b"a"))
        if size < 600000 and word in (b"append", b"prepend"):
            key = b"big"
        data = (b"%x" % rng.getrandbits(64)) * (size // 8 + 1)
        head = b"ms %s %d" % (key, size) if word == b"ms" else \
            b"%s %s 0 0 %d%s" % (word, key, size, self.noreply())
        return head, data[:size] + b"\r\n"

    def mutate(self, line):
        """Breaks a line in one way."""
        rng = self.rng
        words = line.split(b" ")
        at = rng.randrange(len(words))
        how = rng.randrange(9)
        if how == 0:
            words[at] += b" "
        elif how == 1:
            words.append(b"")
        elif how == 2:
            words.insert(0, b"")
        elif how == 3 and len(words) > 1:
            del words[at]
        elif how == 4:
            words.insert(at, rng.choice((b"0", b"1", b"x", b"noreply", b"a")))
        elif how == 5:
            words[at] = rng.choice((b"-1" if at != 1 else b"y", b"x", b"99999999999999999999", b"+1", b"007", b"4294967296"))
        elif how == 6:
            cut = rng.randrange(len(line) + 1)
            return line[:cut] + b"\0" + line[cut:]
        elif how == 7:
            words += [b"w%d" % i for i in range(rng.choice((1, 3, 10, 30)))]
        else:
            words[at] += rng.choice((b"\t", b"\r", b"x", b"\x01"))
        return b" ".join(words)


def short_number(value):
    """What is appended or prepended has one digit if it is a number: else it would make huge ones."""
    return value.strip()[:1] if value.strip().isdigit() else value


def keys_of(command):
    """(keys a retrieval line asks for, those whose item its unsent answer holds, those whose number it
    may change). Only mg holds: a retrieval sends what is unsent, all others copy what they show."""
    line = command.text().split(b"\n", 1)[0].removesuffix(b"\r").split(b"\0", 1)[0]
    word, *words = [word for word in line.split(b" ") if word] or [b""]
    if word in (b"get", b"gets"):
        return words, (), ()
    if word in (b"gat", b"gats"):
        return words[1:], (), ()
    if word in (b"incr", b"decr"):
        return (), (), words[:1]
    if word not in (b"mg", b"ma") or not words:
        return (), (), ()
    key, *flags = words
    if any(flag.startswith(b"b") for flag in flags):
        try:
            key = base64.b64decode(key)
        except ValueError:
            return (), (), ()
    return ((), (key,), ()) if word == b"mg" else ((), (), (key,))
