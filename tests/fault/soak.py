#!/usr/bin/env python3
"""Everything at once, for long: what a server holds does not grow.

    soak.py BIN_DIR SECONDS

Four workers do, one thing after the other and at random: produce to a synced
and to a page-cache topic with eight partitions, both with a size that they are
kept to; read them from the beginning, through a SmartModule, as a named
consumer; make, fill and delete topics and SmartModules; list; connect and say
nothing, nonsense, or half a request. Consumers that wait at the end and silent
connections stay throughout.

Twice a second the server's memory, descriptors and threads are read. Their
medians in the last third of the time are those of the second third, and what
was produced can be read.
"""
import os
import random
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

import rig
from rig import BIN, report, spawn

SECONDS = float(sys.argv[2])
WORKERS = 4
TAILS = 4
SILENT = 20
PARTITIONS = 8
KEPT = 8 << 20  # bytes of each partition: soon reached
LINES = 3000
MB = 1e6

over = threading.Event()
failures = []


class Soak:
    def __init__(self, server):
        self.server = server
        self.done = {}
        self.lock = threading.Lock()
        self.lines = os.path.join(rig.work, "lines")
        with open(self.lines, "w") as f:
            for i in range(LINES):
                f.write(f'{{"n":{i},"text":"{"x" * (i % 700)}"}}\n')
        self.wasm = os.path.join(BIN, "..", "smartmodules", "contains.wasm")
        self.actions = [self.produce, self.produce, self.read, self.named,
                        self.topics, self.lists, self.odd, self.filtered,
                        self.modules]

    def fluvio(self, *argv, stdin=None, okay=(0,)):
        done = subprocess.run([os.path.join(BIN, "fluvio"), *argv],
                              env=rig.env, capture_output=True, stdin=stdin,
                              timeout=rig.WAIT_S * 8)
        if done.returncode not in okay:
            raise RuntimeError(f"fluvio {' '.join(argv)}: "
                               f"{done.stderr.decode()[-300:]}")
        return done.stdout

    # ---- what the workers do

    def produce(self, rand):
        self.fluvio("produce", rand.choice(["synced", "cached"]), "-f",
                    self.lines)

    def read(self, rand):
        self.fluvio("consume", "cached", "-p", str(rand.randrange(PARTITIONS)),
                    "-T", "5000", "-d")

    def named(self, rand):
        name = f"reader-{rand.randrange(5)}"
        self.fluvio("consume", "synced", "-c", name, "-d", okay=(0, 1))
        if rand.random() < 0.2:
            self.fluvio("consumer", "delete", name, okay=(0, 1))

    def filtered(self, rand):
        self.fluvio("consume", "cached", "-p", str(rand.randrange(PARTITIONS)),
                    "-T", "2000", "-d", "--smartmodule-path", self.wasm, "-e",
                    f"text={rand.randrange(10)}")

    def topics(self, rand):
        name = f"t{rand.randrange(10 ** 9)}"
        self.fluvio("topic", "create", name, "-p", "4")
        self.fluvio("produce", name, "-f", self.lines)
        self.fluvio("topic", "delete", name)

    def modules(self, rand):
        name = f"m{rand.randrange(10 ** 9)}"
        self.fluvio("smartmodule", "create", name, "--wasm-file", self.wasm)
        self.fluvio("smartmodule", "delete", name)

    def lists(self, rand):
        self.fluvio(*rand.choice([("topic", "list"), ("partition", "list"),
                                  ("cluster", "status"),
                                  ("consumer", "list")]))

    def odd(self, rand):
        port = rand.choice([self.server.sc_port, self.server.spu_port])
        with socket.create_connection(("127.0.0.1", port), rig.WAIT_S) as s:
            s.sendall(rand.choice([
                b"", b"\0\0", b"GET / HTTP/1.1\r\n\r\n",
                b"\0\0\0\x40" + rand.randbytes(rand.randrange(64)),
                b"\0\0\0\x20" + rand.randbytes(32)]))

    def work(self, seed):
        rand = random.Random(seed)
        while not over.is_set():
            action = rand.choice(self.actions)
            try:
                action(rand)
            except (RuntimeError, OSError,
                    subprocess.TimeoutExpired) as err:
                failures.append(f"{action.__name__}: {err}")
            with self.lock:
                name = action.__name__
                self.done[name] = self.done.get(name, 0) + 1

    # ---- what is looked at

    def sample(self):
        pid = self.server.child.pid
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.split(":", 1) for line in f)
        return (int(status["VmRSS"].split()[0]) * 1024,
                len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]))


def held_open(server):
    """Stay until the end: consumers at the end of a topic, silent peers."""
    for i in range(TAILS):
        with open(os.devnull, "wb") as nowhere:
            spawn([os.path.join(BIN, "fluvio"), "consume",
                   ("synced", "cached")[i % 2], "-A"], "tails.log",
                  stdout=nowhere, stdin=subprocess.DEVNULL)
    return [socket.create_connection(
        ("127.0.0.1", (server.sc_port, server.spu_port)[i % 2]))
        for i in range(SILENT)]


def flat(name, values, slack, unit=1.0):
    """The medians of the second and of the last third."""
    third = len(values) // 3
    before = statistics.median(values[third:2 * third])
    after = statistics.median(values[2 * third:])
    report(after <= before + slack(before),
           f"{name} stays: {before / unit:,.1f}, then {after / unit:,.1f}",
           f"most {max(values) / unit:,.1f}")


def main():
    random.seed(rig.SEED)
    print(f"# seed {rig.SEED}, {SECONDS:g} s")
    server = rig.Server()
    server.start()
    soak = Soak(server)
    kept = ("--max-partition-size", str(KEPT), "--segment-size",
            str(KEPT // 8))
    soak.fluvio("topic", "create", "synced", *kept)
    soak.fluvio("topic", "create", "cached", "-p", str(PARTITIONS),
                "--durability", "page-cache", *kept)
    soak.fluvio("produce", "synced", "-f", soak.lines)
    silent = held_open(server)
    workers = [threading.Thread(target=soak.work, args=(random.random(),))
               for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    samples = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.child.poll() is None:
        samples.append(soak.sample())
        select.select([], [], [], 0.5)  # the interval of the samples
    over.set()
    for worker in workers:
        worker.join()
    print(f"# {', '.join(f'{n} {c}' for n, c in sorted(soak.done.items()))}")
    report(server.child.poll() is None, "the server lives", rig.tail())
    report(not failures, f"all of {sum(soak.done.values())} things were done",
           "\n".join(failures[:5]))
    memory, descriptors, threads = zip(*samples)
    # A short run is not yet level: caches fill, segments begin.
    long = SECONDS >= 600
    flat("memory in MB", memory,
         lambda was: was * (0.05 if long else 0.5) + 2 * MB, MB)
    flat("descriptors", descriptors, lambda was: 10 if long else 60)
    flat("threads", threads, lambda was: 0 if long else 16)
    report(max(memory) <= 128 * MB, "memory is below 128 MB at any time",
           f"{max(memory) / MB:.1f}")
    rows = rig.fluvio("consume", "synced", "-T", str(LINES), "-d").stdout
    report(rows.count(b"\n") == LINES, "what was produced can be read")
    for s in silent:
        s.close()
    for child in list(rig.children):
        if child is not server.child:
            rig.kill(child)
    report(server.stop() == 0, "SIGTERM ends the server with 0")


rig.run(main, "soak")
