#!/usr/bin/env python3
"""kill -9 of fluvio-server under load: nothing acknowledged may be missing.

    kill9.py BIN_DIR PYTHON [ROUNDS]

Two producers run at once against one server, each on a topic of its own:

  real    the PyPI client (PYTHON is an interpreter that has it), a new process
          each round; what it saw acknowledged has to be readable at its offset
  ours    tests' load program on libfluvio, one process through all rounds; it
          has to come back by itself, and each of its records has to be there
          exactly once and in order
  cached  the same on a page-cache topic of small segments, so that kills meet
          segments that were begun and not synced: the end of the process takes
          nothing that was acknowledged from it, either

Each round waits until all have had acknowledgements, waits a random moment
more, kills the server, starts it again and reads what is new. The end reads
everything once more. Prints TAP.
"""
import glob
import os
import random
import select
import sys
import time

import rig
from rig import Load, contiguous, read_topic, report

PYTHON = sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 100
HERE = os.path.dirname(os.path.abspath(__file__))
SEGMENT = 128 << 10
PAD = "x" * 200


def check(name, rows, acked):
    """Every acknowledged (offset, value) is among the rows read."""
    have = dict(rows)
    missing = [a for a in acked if have.get(a[0]) != a[1]]
    if missing:
        raise AssertionError(f"{name}: {len(missing)} acknowledged records "
                             f"missing or different, first {missing[0]}, "
                             f"read {have.get(missing[0][0])!r}")


class Cached:
    """The page-cache topic and its producer; what is read is forgotten."""

    def __init__(self):
        rig.create_topic("cached", "--durability", "page-cache",
                         "--segment-size", str(SEGMENT))
        self.load = Load([os.path.join(rig.BIN, "kill9-load"), "cached", PAD,
                          ""], "cached.log")
        self.read = self.acked = self.nexts = 0

    def killed(self):
        self.nexts += len(glob.glob(os.path.join(rig.data, "**", "*.next"),
                                    recursive=True))

    def verify(self):
        self.load.drain()
        acked, self.load.acked = self.load.acked, []
        self.acked += len(acked)
        rows = read_topic("cached", self.read)
        contiguous("cached", rows, self.read)
        for offset, text in rows:
            if text != PAD + str(offset):
                raise AssertionError(f"cached: offset {offset} is {text!r}")
        self.read += len(rows)
        if acked and acked[-1][0] >= self.read:
            raise AssertionError(f"cached: offset {acked[-1][0]} was "
                                 f"acknowledged, the end is {self.read}")


def main():
    random.seed(rig.SEED)
    print(f"# seed {rig.SEED}, {ROUNDS} rounds")
    server = rig.Server()
    server.start()
    for topic in ("real", "ours"):
        rig.create_topic(topic)
    ours = Load([os.path.join(rig.BIN, "kill9-load"), "ours"], "ours.log")
    cached = Cached()
    real_acked, verified = [], 0
    for number in range(ROUNDS):
        real = Load([PYTHON, os.path.join(HERE, "kill9_pypi.py"), "real",
                     str(number)], "real.log")
        real.wait_acks(1)
        ours.wait_acks(1)
        cached.load.wait_acks(1)
        end = time.monotonic() + random.uniform(0.0, 0.25)
        while time.monotonic() < end:
            select.select([real.child.stdout, ours.child.stdout,
                           cached.load.child.stdout], [], [], 0.01)
            real.drain()
            ours.drain()
            cached.load.drain()
        server.kill()
        real.stop()
        cached.killed()
        real_acked += real.acked
        server.start()
        rows = read_topic("real", verified)
        contiguous("real", rows, verified)
        check("real", rows, real.acked)
        verified += len(rows)
        cached.verify()
    report(True, f"{ROUNDS} kills: all {len(real_acked)} records that the PyPI "
           f"client saw acknowledged are readable at their offsets")
    # The load program stops at the end of its input, after its last record
    # is acknowledged.
    code = ours.finish()
    report(code == 0, "our producer comes back by itself through every kill "
           "and ends well", f"exit {code}")
    rows = read_topic("ours", 0)
    contiguous("ours", rows, 0)
    check("ours", rows, ours.acked)
    values = [int(v) for _, v in rows]
    report(values == list(range(len(ours.acked))),
           f"each of our {len(values)} records is there exactly once, in order",
           f"{len(values)} read, {len(ours.acked)} acknowledged, first "
           "difference at " + str(next((i for i, v in enumerate(values)
                                        if v != i), len(values))))
    code = cached.load.finish()
    cached.verify()
    report(code == 0 and cached.read == cached.acked,
           f"each of {cached.read} records of the page-cache topic is there "
           "exactly once, in order",
           f"exit {code}, {cached.acked} acknowledged")
    report(cached.nexts > 0, f"{cached.nexts} kills met a segment that was "
           "begun and not synced")
    rows = read_topic("real", 0)
    contiguous("real", rows, 0)
    check("real", rows, real_acked)
    report(True, "the whole topic of the PyPI client reads well at the end")
    ready = sorted(server.ready_ms)
    print(f"# restart to ready: median {ready[len(ready) // 2]:.0f} ms, "
          f"longest {ready[-1]:.0f} ms")
    report(server.stop() == 0, "SIGTERM ends the server with 0")


rig.run(main, "kill -9 under load")
