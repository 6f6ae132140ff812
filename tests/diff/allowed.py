"""What may differ from memcached 1.6.18, one entry each with its reason.

The generator drops every command an entry here matches, so whatever is still generated has to be
answered byte for byte alike. proto.md lists the same entries under "differences from memcached".
An entry that never matches anything generated is reported at the end of a run: a stale excuse.
"""

import base64
import re

VALUE_BYTES_MAX = 1 << 20        # -I of both sides
NEAR_LIMIT_BYTES = 1024          # memcached counts its own header and the key into -I
KEY_BYTES_MAX = 250
SHORT_TIME_S = 3600              # longer than any run
LINE_BYTES_MAX = 1024            # a longer line's fate depends on how its packets arrive
ABSENT_KEY = b"absent"           # nothing is ever stored under it


class Allowed:
    """One deliberate difference: matches(line, body) says whether a command touches it."""

    def __init__(self, name, reason, matches):
        self.name = name
        self.reason = reason
        self.matches = matches
        self.hits = 0


def _first_word(line):
    words = line.split(None, 1)
    return words[0] if words else b""


def _may_be_long(line):
    """memcached waits for the end of a line of these two however long it gets."""
    return line.startswith((b"get ", b"gets "))


def announced_bytes(line):
    """The value length a storage line announces, as a server reads it, or None: of what fits 64 bits
    the low 32."""
    words = [word for word in line.split(b"\0", 1)[0].split(b" ") if word]
    if not words:
        return None
    at = {b"ms": 2}.get(words[0], 4 if words[0] in STORAGE else None)
    if at is None or len(words) <= at:
        return None
    number = re.match(rb"[+-]?\d+", words[at])
    if not number:
        return None
    length = int(number.group())
    return (length + (1 << 31)) % (1 << 32) - (1 << 31) if -1 << 63 <= length < 1 << 63 else length


STORAGE = {b"set", b"add", b"replace", b"append", b"prepend", b"cas"}
OUR_WORDS = {b"put", b"remove", b"hello", b"config", b"get_membership_list", b"return_port",
             b"ring", b"leave"}
THEIR_WORDS = {b"watch", b"lru", b"lru_crawler", b"slabs", b"cache_memlimit", b"extstore",
               b"refresh_certs", b"misbehave", b"debugtime", b"flush_regex", b"bget"}
NEWER_FLAGS = re.compile(rb" *(?:(?:ms|md|ma|mg) .*? (?:E\d|x|S)|ms .* s)")
CAS_BETWEEN = re.compile(rb" *m[sda] [^\0]* C0*[1-9]\d{0,17}(?!\d)", re.DOTALL)
STATS_SHARED = (b"settings", b"items", b"slabs", b"reset", b"foo", b"noreply")


def _upper(line, _body):
    word = _first_word(line)
    return word != word.lower()


def _stats_other(line, _body):
    words = line.split(b"\0", 1)[0].split()
    return words[:1] == [b"stats"] and len(words) > 1 and words[1] not in STATS_SHARED


def _value_near_limit(line, _body):
    announced = announced_bytes(line)
    return announced is not None and \
        VALUE_BYTES_MAX - NEAR_LIMIT_BYTES < announced <= VALUE_BYTES_MAX


def _bare_lf(line, body):
    announced = announced_bytes(line)
    return announced is not None and 0 <= announced < len(body) and \
        body[announced:announced + 1] == b"\n"


def _late_bad_key(line, _body):
    words = [word for word in line.split(b"\0", 1)[0].split(b" ") if word]
    keys = words[2:] if words[:1] in ([b"gat"], [b"gats"]) else words[1:]
    return words[:1] in ([b"get"], [b"gets"], [b"gat"], [b"gats"]) and \
        any(len(key) > KEY_BYTES_MAX for key in keys[1:])


def _canonical_base64(word):
    try:
        return base64.b64encode(base64.b64decode(word, validate=True)) == word
    except ValueError:
        return False


def _loose_base64(line, _body):
    words = [word for word in line.split(b"\0", 1)[0].split(b" ") if word]
    return len(words) > 2 and words[0] in (b"mg", b"ms", b"md", b"ma", b"me") and \
        any(word[:1] == b"b" for word in words[2:]) and \
        len(words[1]) >= 4 and not _canonical_base64(words[1])


def _arithmetic_ttl(line, _body):
    line = line.split(b"\0", 1)[0]
    return re.match(rb" *ma (?!.* M[Dd-]).* T", line, re.DOTALL) is not None


def _late_opaque_error(line, _body):
    return re.match(rb" *m[ga] (?!%s ).* O[^ ]{32}" % ABSENT_KEY, line) is not None


def _short_time(line, _body):
    words = [word for word in line.split(b"\0", 1)[0].split(b" ") if word]
    first = words[0] if words else b""
    at = {b"gat": 1, b"gats": 1, b"touch": 2}.get(first, 3 if first in STORAGE else None)
    times = words[at:at + 1] if at else []
    if first in (b"mg", b"ms", b"md", b"ma"):
        times = [word[1:] for word in words[2:] if word[:1] in (b"T", b"N")]
    numbers = [re.match(rb"\s*\+?(\d+)", time) for time in times]
    return any(number and 0 < int(number.group(1)) % (1 << 32) < SHORT_TIME_S for number in numbers)


ALLOWED = [
    Allowed("upper-case-words", "command words are accepted in either case; memcached: ERROR", _upper),
    Allowed("our-words", "put, remove and the cluster's own commands exist; memcached: ERROR",
            lambda line, _: _first_word(line) in OUR_WORDS),
    Allowed("their-words", "memcached's administration commands are not offered",
            lambda line, _: _first_word(line) in THEIR_WORDS),
    Allowed("newer-flags", "meta flags newer than 1.6.18 follow proto.md",
            lambda line, _: NEWER_FLAGS.match(line) is not None),
    Allowed("stats-other", "stats shows other groups (cachedump, sizes, detail, conns)", _stats_other),
    Allowed("value-limit", "-I is compared with the value alone; memcached adds header and key",
            _value_near_limit),
    Allowed("bare-lf-data", "a bare LF ends a data block where byte n is LF; memcached: bad data chunk",
            _bare_lf),
    Allowed("late-bad-key", "a retrieval line with a key too long does nothing; memcached has already touched"
            " and marked the keys before it", _late_bad_key),
    Allowed("loose-base64", "base64 no encoder writes is refused; memcached takes what it can of it; both refuse"
            " less than a group", _loose_base64),
    Allowed("flush-delay", "flush_all with a delay: memcached fires one of 1 or 2 seconds at once, and a new"
            " delay brings back what an earlier flush hid; the end to end tests look at delays",
            lambda line, _: re.match(rb" *flush_all +\+?0*[1-9]", line) is not None),
    Allowed("arithmetic-ttl", "ma's T holds; memcached loses it where the number gets longer,"
            " thus never when counting down", _arithmetic_ttl),
    Allowed("late-opaque-error", "an opaque that is too long is refused before anything is done; memcached's mg"
            " and ma have done it, unless there is no item", _late_opaque_error),
    Allowed("cas-order", "a C between memcached's cas uniques and ours is newer to one, older to the other; those"
            " seen, 0 and the largest are sent", lambda line, _: CAS_BETWEEN.match(line) is not None),
    Allowed("short-times", "an item that expires while the run lasts does so by two clocks; the end to end tests"
            " look at expiry", _short_time),
    Allowed("long-lines", "over a KiB without newline memcached's answer depends on the packets",
            lambda line, _: len(line) > LINE_BYTES_MAX and not _may_be_long(line)),
]


def is_allowed(line, body):
    """Whether a command (line without its end, everything sent after it) may differ."""
    for entry in ALLOWED:
        if entry.matches(line, body):
            entry.hits += 1
            return True
    return False

# What the generator never makes, because memcached's answer to it is luck: name and reason.
AVOIDED = [
    ("unsent-padding", "memcached pads a number that gets shorter, but not while an answer of mg to the same"
     " client is unsent; ours always does: no arithmetic in one batch behind an mg of its key"),
    ("unsent-errors", "memcached's answer to a key too long takes the unsent answers before it along; ours"
     " keeps them: such a line begins a batch"),
    ("white-numbers", "a value of white space only is no number; memcached reads on into whatever lies behind"
     " it: none is stored"),
    ("huge-numbers", "a number from 2^63 on is one; to memcached it is none if a minus sign happens to lie"
     " behind it in memory: none is stored"),
]

# What the comparison itself takes for alike (answers.py): name and reason.
ACCEPTED = [
    ("cas-values", "cas uniques are other numbers; they must be alike and different where memcached's are"),
    ("times", "t, l, exp and la by two seconds: two clocks; and memcached does not note each access"),
    ("expired-ttl", "t of an item already expired: 0; memcached's difference wraps to about 2^32"),
    ("debug-sizes", "cls and size of me describe memcached's slabs"),
    ("stats-lines", "stats: only its end; the lines are the server's own"),
    ("version", "VERSION with a major of at least 1"),
    ("shown-key", "k and me show a base64 key by the request's b flag; memcached by how the item was created"),
]
