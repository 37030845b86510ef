#!/usr/bin/env python3
"""Replays of dead letters that are killed, and run again until they are done.

    letters.py BIN_DIR ROUNDS

Each round fills a topic with letters and replays it while the command, the
server or both are killed at random. In the end the destination has to hold
each letter's record exactly once, in order: of all letters where it has one
partition, of each key where it has three.
"""
import base64
import json
import os
import random
import select
import sys
import time

import rig
from rig import BIN, SEED, await_true, fluvio, kill, report, spawn

ROUNDS = int(sys.argv[2])
LETTERS = 3000
FILLER = 3000  # bytes: a step of a replay is about half a MiB
KILLS = 6
MODULE = os.path.join(BIN, "..", "smartmodules", "json-field.wasm")

rng = random.Random(SEED)
server = rig.Server()
span = 1.0  # seconds that a replay of all letters takes here


def letter(topic, n):
    value = json.dumps({"v": f"{n} " + "x" * rng.randrange(FILLER)})
    record = {"value": base64.b64encode(value.encode()).decode()}
    if n % 3:
        record["key"] = base64.b64encode(b"k%d" % (n % 7)).decode()
    return json.dumps({
        "version": 1, "time": "2026-01-01T12:00:00.000Z",
        "connector": {"name": "c", "type": "http", "topic": topic},
        "stage": 1,
        "module": {"name": "m.wasm", "sha256": "00", "kind": "map"},
        "error": {"cause": "user-error", "text": "bad"},
        "source": {"number": n + 1}, "record": record})


def produce(topic, lines):
    path = os.path.join(rig.work, "lines")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    made = fluvio("produce", topic, "-f", path)
    assert made.returncode == 0, made.stderr.decode()


def wait_a_moment(child):
    """About as long as a replay takes at most; shorter when it ended."""
    global span
    begin = time.monotonic()
    fd = os.pidfd_open(child.pid)
    ended, _, _ = select.select([fd], [], [], rng.uniform(0.4, 1) * span)
    os.close(fd)
    # Most kills are to hit, here and on a slower machine.
    span = max(0.1, time.monotonic() - begin) if ended else span * 1.1


def finished_others():
    """How many runs so far found a step that another had left half done."""
    with open(os.path.join(rig.work, "replay.log")) as f:
        return f.read().count("finished an interrupted replay")


def replay_under_fire(argv):
    """Kills and runs again; the last run is left alone. How many it took."""
    runs = 0
    for _ in range(KILLS):
        child = spawn([os.path.join(BIN, "fluvio"), *argv], "replay.log")
        runs += 1
        what = rng.choice(("command", "command", "server", "both"))
        wait_a_moment(child)
        if what == "both":
            server.kill()
            kill(child)
            server.start()
        elif what == "server":
            server.kill()
            server.start()
            await_true("replay behind a kill of the server",
                       lambda: child.poll() is not None, 90,
                       lambda: rig.tail("replay.log"))
            rig.children.remove(child)
        else:
            kill(child)
        if child.returncode == 0:
            return runs
        # One that begins without a server says so at once.
        said = rig.tail("replay.log", 1)
        assert child.returncode == -9 or "no cluster answers" in said, (
            f"exit {child.returncode}: " + rig.tail("replay.log"))
    child = spawn([os.path.join(BIN, "fluvio"), *argv], "replay.log")
    assert child.wait(rig.WAIT_S * 4) == 0, rig.tail("replay.log") + rig.tail()
    rig.children.remove(child)
    return runs + 1


def read_all(topic):
    out = fluvio("consume", topic, "-B", "-d", "-F",
                 "{{partition}} {{key}} {{value}}")
    assert out.returncode == 0, out.stderr.decode()
    rows = []
    for line in out.stdout.decode().splitlines():
        partition, key, value = line.split(" ", 2)
        text = json.loads(value)["v"] if value[0] == "{" else value
        rows.append((int(partition), key, int(text.split(" ")[0])))
    return rows


def check(rows, partitions):
    seen = sorted(n for _, _, n in rows)
    twice = [n for a, n in zip(seen, seen[1:]) if a == n]
    lost = sorted(set(range(LETTERS)) - set(seen))
    assert not twice, f"more than once: {twice[:10]}"
    assert not lost, f"lost: {lost[:10]}"
    if partitions == 1:
        order = [n for _, _, n in rows]
        assert order == list(range(LETTERS)), "out of order"
        return
    last = {}
    for partition, key, n in rows:
        where = (partition, key)
        assert last.get(where, -1) < n, f"out of order: {where} {n}"
        last[where] = n
    homes = {}
    for partition, key, n in rows:
        if n % 3:
            assert homes.setdefault(key, partition) == partition, \
                f"key {key} in two partitions"


def one_round(i):
    topic, letters = f"t{i}", f"letters{i}"
    partitions = rng.choice((1, 1, 3))
    made = fluvio("topic", "create", topic, "-p", str(partitions))
    assert made.returncode == 0, made.stderr.decode()
    rig.create_topic(letters)
    produce(letters, [letter(topic, n) for n in range(LETTERS)])
    argv = ["dead-letter", "replay", letters]
    if rng.random() < 0.5:
        argv += ["--with", MODULE, "--params", "field=v"]
    runs = replay_under_fire(argv)
    check(read_all(topic), partitions)
    left = fluvio("dead-letter", "list", letters, "--count")
    assert left.stdout == b"0\n", left.stdout + left.stderr
    for name in (topic, letters):
        fluvio("topic", "delete", name)
    return runs


def main():
    server.start()
    runs = sum(one_round(i) for i in range(ROUNDS))
    report(True, f"{ROUNDS} replays of {LETTERS} letters, run {runs} times "
           f"because of kills, {finished_others()} of them in the middle of a "
           "step: each once, in order")
    report(server.stop() == 0, "the server ends cleanly")


print(f"# FLV_SEED={SEED}", flush=True)
rig.run(main, "replays under fire")
