"""Cuts a stream of answers into answers, and compares two of them.

An answer is (line, data): data None where the answer has none. What may differ by itself (times,
cas uniques, sizes in me) is normalised here and nowhere else.
"""

import base64
import re

TIME_SLACK_S = 2  # two servers' clocks tick at different moments
ME = re.compile(rb"ME (.+) exp=(-?\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=\S+ size=\d+$")
TIME_FLAG = re.compile(rb" ([tl])(-?\d+)(?= |$)")
CAS_FLAG = re.compile(rb" c(\d+)(?= |$)")
KEY_FLAG = re.compile(rb" k([^ ]+)")  # a tab belongs to the key
BASE64_KEY = re.compile(rb" k([A-Za-z0-9+/]+=*) b(?= |$)")
META = {b"HD", b"VA", b"EN", b"NF", b"NS", b"EX"}


def split(stream):
    """All answers of a stream; what is left of an unfinished one comes as a last (line, data)."""
    answers = []
    at, end = 0, len(stream)
    while at < end:
        eol = stream.find(b"\r\n", at)
        if eol < 0:
            answers.append((stream[at:] + b" <unfinished>", None))
            break
        line = stream[at:eol]
        at = eol + 2
        data = None
        size = _data_bytes(line)
        if size is not None:
            data = stream[at:at + size + 2]
            at += size + 2
        if not line.startswith(b"STAT "):
            answers.append((line, data))
    return answers


def _data_bytes(line):
    words = line.split(b" ")
    if words[0] == b"VALUE" and len(words) >= 4 and words[3].isdigit():
        return int(words[3])
    if words[0] == b"VA" and len(words) >= 2 and words[1].isdigit():
        return int(words[1])
    return None


def outcome(line):
    """What kind of answer this is, for the statistics."""
    word = line.split(b" ", 1)[0].decode("latin-1")
    if word in ("CLIENT_ERROR", "SERVER_ERROR"):
        return line.decode("latin-1")
    if word.isdigit():
        return "number"
    return word


class Comparer:
    """Compares the two sides' answers; holds which cas uniques mean the same write.

    Side 0's cas unique (memcached's, never used twice) names a write; side 1 must show one and the
    same number for it, and a different one for each other write to the same key."""

    def __init__(self):
        self.write_cas = {}   # side 0's cas -> side 1's
        self.cas_write = {}   # (key, side 1's cas) -> side 0's
        self.seen = {}        # key -> [(side 0's, side 1's)], a few, the latest last
        self.fresh = []       # seen since the last publish()

    def same(self, left, right):
        """Whether two answers mean the same; learns the cas uniques in them."""
        if left[1] != right[1]:
            return False
        a, b = left[0], right[0]
        word = a.split(b" ", 1)[0]
        if word == b"VALUE":
            return self._same_value(a, b)
        if word in META:
            return self._same_meta(a, b)
        if word == b"ME":
            return self._same_debug(a, b)
        if word == b"VERSION":
            return re.match(rb"VERSION [1-9]\d*\.\d+\.\d+", b) is not None
        return a == b

    def publish(self):
        """Makes the cas uniques learnt so far known to cas_of: called between batches only, so that
        a command's bytes do not depend on when answers come."""
        for key, pair in self.fresh:
            pairs = self.seen.setdefault(key, [])
            if not pairs or pairs[-1] != pair:
                pairs.append(pair)
                del pairs[:-3]
        self.fresh.clear()

    def cas_of(self, ref, side, bogus):
        pairs = self.seen.get(ref.key)
        if ref.which == "bogus" or not pairs:
            return bogus
        return pairs[-1 if ref.which == "last" else 0][side]

    def _same_cas(self, key, a, b):
        if self.write_cas.setdefault(a, b) != b:
            return False
        if key is None or a == b"0":
            return True
        self.fresh.append((key, (a, b)))
        return self.cas_write.setdefault((key, b), a) == a

    def _same_value(self, a, b):
        words_a, words_b = a.split(b" "), b.split(b" ")
        if words_a[:4] != words_b[:4] or len(words_a) != len(words_b):
            return False
        return len(words_a) == 4 or self._same_cas(words_a[1], words_a[4], words_b[4])

    def _same_meta(self, a, b):
        if a == b and b" c" not in a:
            return True
        cas_a, cas_b = CAS_FLAG.findall(a), CAS_FLAG.findall(b)
        if len(cas_a) != len(cas_b):
            return False
        keys = KEY_FLAG.findall(a)
        key = keys[0] if len(keys) == 1 and a == _plain_key(a) else None
        if not all(self._same_cas(key, x, y) for x, y in zip(cas_a, cas_b)):
            return False
        times_a, times_b = TIME_FLAG.findall(a), TIME_FLAG.findall(b)
        if len(times_a) != len(times_b) or \
                not all(_near(x[1], y[1]) or _expired(x[1], y[1]) for x, y in zip(times_a, times_b)):
            return False
        a, b = _without(a), _without(b)
        return a == b or _plain_key(a) == _plain_key(b)

    def _same_debug(self, a, b):
        left, right = ME.match(a), ME.match(b)
        if not left or not right:
            return False
        return _same_key(left[1], right[1]) and left[5] == right[5] and _near(left[2], right[2]) and \
            _near(left[3], right[3]) and self._same_cas(None, left[4], right[4])


def _same_key(a, b):
    """memcached's me shows a key as base64 if that's how the item was created; also accepted is what
    a server does that goes by the request (the same b flag mg's k goes by)."""
    return a == b or base64.b64encode(a) == b or base64.b64encode(b) == a


def _plain_key(line):
    """A meta answer with a base64 key shown as it is: memcached goes by how the item was created."""
    found = BASE64_KEY.search(line)
    if not found:
        return line
    return line[:found.start()] + b" k" + base64.b64decode(found[1]) + line[found.end():]


def _near(a, b):
    """Times alike up to the clocks' slack; -1 (never) only equals itself."""
    return a == b or (b"-1" not in (a, b) and abs(int(a) - int(b)) <= TIME_SLACK_S)


def _expired(a, b):
    return int(a) >= 1 << 31 and (b == b"0" or int(b) >= 1 << 31)


def _without(line):
    return CAS_FLAG.sub(b" c", TIME_FLAG.sub(rb" \1", line))
