"""Differential test: the same generated commands to memcached and to what is judged.

Commands go out in pipelined batches, each ended by a sentinel whose opaque is used once. The first
differing batch is repeated one command at a time on fresh servers, then the history is cut down to
what is needed, and the difference is printed with the command line that repeats it.
Exit: 0 no difference, 1 a difference, 2 it could not be run.
"""

import argparse
import collections
import itertools
import random
import re
import sys
import time

import allowed
import answers
import servers
import tamper
from commands import CAS_BOGUS, Generator, keys_of

BATCH_MAX = 200
KEY_BYTES_MAX = 250


class Difference(Exception):
    def __init__(self, left, right):
        super().__init__("the answers differ")
        self.left = left
        self.right = right


class Pair:
    """The reference and the judged, freshly started, with one open connection to each node."""

    def __init__(self, make_judged, cuts_seed):
        self.sides = [servers.Memcached(), make_judged()]
        self.left = servers.Line(self.sides[0].ports[0])
        self.rights = [servers.Line(port) for port in self.sides[1].ports]
        self.comparer = answers.Comparer()
        self.sentinel = 0
        self.cuts = random.Random(cuts_seed)

    def run(self, commands, node=0, cut=False):
        """Sends commands to both; returns the answers, or raises Difference."""
        self.sentinel += 1
        token = b"HD Oend%d\r\n" % self.sentinel
        ending = b"ms <end> 1 Oend%d\r\n.\r\n" % self.sentinel
        streams = [b"".join(c.render(lambda ref, side=side: self.comparer.cas_of(ref, side, CAS_BOGUS))
                            for c in commands) + ending for side in (0, 1)]
        right_line = self.rights[node % len(self.rights)]
        self.left.start([streams[0]], token)
        right_line.start(self.chop(streams[1]) if cut else [streams[1]], token)
        left, right = servers.exchange([self.left, right_line])
        left, right = answers.split(left), answers.split(right)
        for a, b in itertools.zip_longest(left, right):
            if a is None or b is None or not self.comparer.same(a, b):
                raise Difference(left, right)
        if self.left.closed:  # nothing generated may close a connection: all later answers would be alike
            raise Difference(left, right)
        return left

    def chop(self, stream):
        """The stream in random pieces, many of them small."""
        pieces, at = [], 0
        while at < len(stream):
            size = self.cuts.choice((1, 2, 3, 7, 50, 1000, 4096, 65536))
            pieces.append(stream[at:at + size])
            at += size
        return pieces

    def close(self):
        for line in [self.left, *self.rights]:
            line.close()
        for side in self.sides:
            side.close()


def batches(generator, count, seed):
    """Cuts the first count commands into batches of random sizes: (index of the first, commands).

    Two of memcached's answers depend on which answers are still unsent, so some commands start a
    batch (AVOIDED in allowed.py: unsent-padding, unsent-errors)."""
    rng = random.Random(seed + 1)
    batch, held, size, first = [], set(), rng.randrange(1, BATCH_MAX), 0
    for index, command in enumerate(itertools.islice(generator, count)):
        asks, holds, changes = keys_of(command)
        if len(batch) >= size or not held.isdisjoint(changes) or (batch and batch[-1].ends_batch) or \
                any(len(key) > KEY_BYTES_MAX for key in asks):
            if batch:
                yield first, batch
            batch, held, size, first = [], set(), rng.randrange(1, BATCH_MAX), index
        batch.append(command)
        held.update(holds)
    if batch:
        yield first, batch


def compare(options, make_judged):
    """The whole run; returns how many differences were reported."""
    kinds, outcomes = collections.Counter(), collections.Counter()
    pair, history = Pair(make_judged, options.seed), []
    reported = set()
    started = time.monotonic()
    generated = batches(Generator(options.seed), options.count, options.seed)
    try:
        for number, (first, batch) in enumerate(generated):
            history += [(number, command) for command in batch]
            try:
                left = pair.run(batch, number, cut=number % 16 == 5)
            except Difference as difference:
                pair.close()
                report(options, make_judged, first, history, difference, reported)
                if len(reported) >= options.keep_going:
                    return len(reported)
                pair, history = Pair(make_judged, options.seed), []
                continue
            pair.comparer.publish()
            kinds.update(command.kind for command in batch)
            outcomes.update(answers.outcome(line) for line, _ in left)
    finally:
        pair.close()
    seconds = time.monotonic() - started
    done = sum(kinds.values())
    print_statistics(kinds, outcomes)
    if not reported:
        print("%d commands, seed %d, %s: no difference (%.1f s, %.0f commands/s)" %
              (done, options.seed, describe(options), seconds, done / seconds))
    return len(reported)


def describe(options):
    return "memcached against memcached" if options.self else "%d node(s)" % options.nodes


def print_statistics(kinds, outcomes):
    total = sum(kinds.values())
    print("share of each command:")
    print("  " + "  ".join("%s %.2f%%" % (kind, 100 * n / total) for kind, n in kinds.most_common()))
    groups = {"hits": ("VALUE", "VA", "HD", "STORED", "DELETED", "TOUCHED", "number", "ME"),
              "misses": ("EN", "NF", "NOT_FOUND"), "refusals": ("NS", "EX", "NOT_STORED", "EXISTS"),
              "errors": tuple(o for o in outcomes if "ERROR" in o)}
    print("answers: " + ", ".join("%s %d" % (name, sum(outcomes[o] for o in members))
                                  for name, members in groups.items()))
    for name, n in outcomes.most_common():
        print("  %8d %s" % (n, name[:100]))
    print("not sent, as allowed to differ: " + ", ".join("%s %d" % (entry.name, entry.hits)
                                                         for entry in allowed.ALLOWED))


# ---- after a difference -----------------------------------------------------------------------------


def differs(make_judged, history):
    """Repeats history, [(batch number, command)], one command at a time on fresh servers.

    Returns (position, Difference) of the first differing command, or None."""
    pair = Pair(make_judged, 0)
    try:
        for number, group in itertools.groupby(enumerate(history), key=lambda entry: entry[1][0]):
            for position, (_, command) in group:
                try:
                    pair.run([command], number)
                except Difference as difference:
                    return position, difference
            pair.comparer.publish()
    finally:
        pair.close()
    return None


def concerns(command, keys):
    return command.key in keys or command.kind in ("flush_all", "multiget", "bad verb", "wrong length") \
        or any(key in command.text() for key in keys if key)


def shrink(make_judged, history, position, limit_s):
    """Cuts the history before the differing command to what still makes it differ."""
    limit = time.monotonic() + limit_s
    needed = history[:position + 1]
    words = needed[-1][1].text().split(b"\r\n")[0].split()
    near = [entry for entry in needed if concerns(entry[1], set(words[1:2]))]
    if near and near[-1] is needed[-1] and differs(make_judged, near):
        needed = near
    chunk = len(needed) // 2
    while chunk >= 1 and time.monotonic() < limit:
        at = 0
        while at < len(needed) - 1 and time.monotonic() < limit:
            tried = needed[:at] + needed[min(at + chunk, len(needed) - 1):]
            found = differs(make_judged, tried)
            if found and found[0] == len(tried) - 1:
                needed = tried
            else:
                at += chunk
        chunk //= 2
    return needed


def show(data, limit=400):
    text = repr(data)[2:-1]
    return text if len(text) <= limit else "%s… (%d bytes)" % (text[:limit], len(data))


def show_answers(name, found):
    print("  %s answers:" % name)
    for line, data in found[:40]:
        print("    %s%s" % (show(line), "" if data is None else " + " + show(data, 200)))


def show_parting(difference):
    """The answers around the first place where the two streams part."""
    both = list(itertools.zip_longest(difference.left, difference.right, fillvalue=(b"<nothing>", None)))
    at = next((i for i, (a, b) in enumerate(both) if a != b and not answers.Comparer().same(a, b)), len(both))
    for i in range(max(0, at - 3), min(len(both), at + 6)):
        a, b = both[i]
        print("  %4d memcached %-60s judged %s" % (i, show(a[0], 60), show(b[0], 60)))


def report(options, make_judged, first, history, difference, reported):
    """Finds the differing command and what it needs; prints it unless one like it was reported."""
    found = differs(make_judged, history)
    if not found:
        reported.add(first)
        print_head(options, first + BATCH_MAX)
        print("one command at a time the answers are alike: pipelining matters. The batch's answers part here:")
        show_parting(difference)
        for number, command in history:
            if number == history[-1][0]:
                print("    %s" % show(command.text(), 120))
        return
    position, difference = found
    command = history[position][1]
    likeness = (command.text().split(b" ", 1)[0], *(tuple(re.sub(rb"[0-9]+", b"", a[0])[:30] for a in found)
                                                    for found in (difference.left, difference.right)))
    if likeness in reported:
        return
    reported.add(likeness)
    print_head(options, first + BATCH_MAX)
    print("command: %s" % show(command.text()))
    show_answers("memcached", difference.left)
    show_answers("judged", difference.right)
    sys.stdout.flush()
    needed = shrink(make_judged, history, position, options.shrink)
    print("history needed (%d commands):" % len(needed))
    for _, command in needed[-30:]:
        print("    %s" % show(command.text()))
    sys.stdout.flush()


def print_head(options, count):
    print("DIFFERENCE with seed %d before command %d; repeat: tests/diff/run.sh %d %d%s" %
          (options.seed, count, count, options.seed, options_text(options)))


def options_text(options):
    return " --self" if options.self else " --nodes %d" % options.nodes if options.nodes != 1 else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--nodes", type=int, default=1, help="nodes of dht-server (1)")
    parser.add_argument("--self", action="store_true", help="judge memcached itself: proves the harness")
    parser.add_argument("--tamper", choices=sorted(tamper.WAYS), help="with --self: falsify answers this way")
    parser.add_argument("--keep-going", type=int, default=1, metavar="N",
                        help="start afresh after a difference until N unlike ones are found (1)")
    parser.add_argument("--shrink", type=float, default=30, metavar="SECONDS",
                        help="how long to look for a shorter history (30)")
    options = parser.parse_args()

    def make_judged():
        if options.tamper:
            return tamper.Tampered(servers.Memcached(), options.tamper)
        return servers.Memcached() if options.self else servers.Dht(options.nodes)

    try:
        found = compare(options, make_judged)
    except (RuntimeError, OSError) as error:
        print("cannot run: %s" % error, file=sys.stderr)
        return 2
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
