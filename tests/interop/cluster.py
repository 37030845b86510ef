#!/usr/bin/env python3
"""Our `fluvio` command against a cluster of Fluvio's own server; prints TAP.

    FLV_REAL_FLUVIO=FOLDER cluster.py BIN_DIR [GROUP]

FOLDER holds fluvio-run, see scripts/real-fluvio. What a cluster of Fluvio does
otherwise than fluvio-server is in docs/compatibility.md.
"""
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent import futures

import harness
from harness import check, equal, eventually, group
from real import Cluster

WAIT_S = 30
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
MODULES = os.environ.get("FLV_SMARTMODULES",
                         os.path.join(sys.argv[1], "..", "smartmodules"))

cluster = None


def numbers(first, last):
    return [str(n) for n in range(first, last)]


class Background:
    """`fluvio ...` with a pipe to it and what it prints in a file."""

    def __init__(self, *args, env=None):
        self.path = os.path.join(cluster.work, f"out{id(self)}")
        with open(self.path, "wb") as out, \
                open(self.path + ".err", "wb") as err:
            self.child = subprocess.Popen(
                [os.path.join(cluster.bin, "fluvio"), *args], stdout=out,
                stderr=err, stdin=subprocess.PIPE, env=cluster.env)

    def write(self, values):
        self.child.stdin.write("".join(f"{v}\n" for v in values).encode())
        self.child.stdin.flush()

    def lines(self):
        with open(self.path) as file:
            return file.read().splitlines()

    def errors(self):
        with open(self.path + ".err") as file:
            return file.read()

    def end(self, how=None):
        """The exit status; of itself, or after a signal."""
        self.child.stdin.close()
        if how is not None:
            self.child.send_signal(how)
        return self.child.wait(WAIT_S * 4)


# --- administration ----------------------------------------------------------


def topics():
    cluster.topic("plain")
    cluster.topic("full", "-p", "3", "--retention-time", "2h",
                  "--segment-size", "2mb", "--max-partition-size", "10mb",
                  "--compression-type", "gzip")
    # What the SC has taken in it does by and by.
    eventually(lambda: len(cluster.listed("topic", "list")) == 2, WAIT_S)
    found = {t["name"]: t for t in cluster.listed("topic", "list")}
    equal(sorted(found), ["full", "plain"],
          "cluster: topics are created and listed")
    equal(found["full"]["spec"], {
        "replicas": {"computed": {"partitions": 3, "replicationFactor": 1,
                                  "ignoreRackAssignment": False}},
        "cleanupPolicy": {"segment": {"timeInSeconds": 7200}},
        "storage": {"segmentSize": 2000000, "maxPartitionSize": 10000000},
        "compressionType": "Gzip", "system": False},
        "cluster: partitions, retention, sizes and codec are as asked for")
    check("Partition Count:3" in cluster.ok("topic", "describe", "full"),
          "cluster: a topic is described")
    check(eventually(lambda: cluster.ok("partition", "list").count(
        "  full ") == 3, WAIT_S), "cluster: its partitions are listed",
          cluster.ok("partition", "list"))
    for what, words, *args in (
            ("a second topic of the name", "already exists",
             "topic", "create", "plain"),
            ("deleting a missing topic", "not found",
             "topic", "delete", "missing"),
            ("producing to a missing topic", "not found",
             "produce", "missing"),
            ("consuming a missing topic", "not found",
             "consume", "missing", "-B", "-d")):
        cluster.refused(f"cluster: {what} is refused", words, *args,
                        stdin=b"x\n")
    cluster.ok("topic", "add-partition", "plain", "-c", "2")
    check(eventually(lambda: cluster.ok("partition", "list").count(
        "  plain ") == 3, WAIT_S), "cluster: a topic gets more partitions",
          cluster.ok("partition", "list"))
    # What the SPU says of a topic that is gone breaks its link to the SC
    # (docs/compatibility.md): it has said all when they are online.
    check(eventually(lambda: cluster.ok("partition", "list").count(
        " Online ") == 6, WAIT_S), "cluster: all partitions come online",
          cluster.ok("partition", "list"))
    for name in ("plain", "full"):
        cluster.ok("topic", "delete", name)
    check(eventually(lambda: cluster.listed("topic", "list") == [], WAIT_S),
          "cluster: deleted topics are gone from the list",
          cluster.ok("topic", "list"))
    check(eventually(lambda: cluster.folders("plain") == [], WAIT_S),
          "cluster: and from the disk of the SPU",
          str(cluster.folders("plain")))
    cluster.topic("plain")
    cluster.produce("plain", ["again"])
    equal(cluster.consume("plain"), ["again"],
          "cluster: a topic that was made again is empty and takes records")


def formats():
    def formats_listed():
        return cluster.ok("table-format", "list")
    path = os.path.join(cluster.work, "tf.yml")
    with open(path, "w") as file:
        file.write("name: prices\ninputFormat: JSON\ncolumns:\n"
                   "  - keyPath: item\n    headerLabel: Item\n"
                   "    primaryKey: true\n  - keyPath: price\n")
    cluster.ok("table-format", "create", "--config", path)
    check(eventually(lambda: "prices" in formats_listed(), WAIT_S),
          "cluster: a table format is created and listed")
    name = cluster.topic("priced")
    cluster.produce(name, ['{"item":"apple","price":2}',
                           '{"item":"pear","price":3}'])
    out = cluster.ok("consume", name, "-B", "-d", "--table-format", "prices")
    check(all(w in out for w in ("Item", "apple", "pear")),
          "cluster: a table format makes the table", out)
    cluster.ok("table-format", "delete", "prices")
    check(eventually(lambda: "prices" not in formats_listed(), WAIT_S),
          "cluster: a table format is deleted")


# --- records -------------------------------------------------------------------


def forms():
    name = cluster.topic("forms")
    cluster.ok("produce", name, "--key-separator", ":",
               stdin=b"a:one\nb:two\n")
    cluster.ok("produce", name, "--key", "c", stdin=b"three\n")
    cluster.produce(name, ["four", "", "six"])
    equal(cluster.consume(name, "-B", "-F",
                          "{{offset}} {{partition}} {{key}}={{value}}"),
          ["0 0 a=one", "1 0 b=two", "2 0 c=three", "3 0 null=four",
           "4 0 null=", "5 0 null=six"],
          "cluster: keys, values and offsets come back as they were sent")
    lines = ["one", "two", "three", "four", "", "six"]
    for options, wanted, what in (
            (("-B",), lines, "-B"),
            (("-H", "2"), lines[2:], "-H 2"),
            (("-T", "2"), lines[4:], "-T 2"),
            (("--tail", "3"), lines[3:], "--tail 3"),
            (("--start", "1", "--end", "3"), lines[1:4], "--start, --end"),
            (("--start", "4"), lines[4:], "--start 4")):
        equal(cluster.consume(name, *options), wanted,
              f"cluster: consume {what}")
    path = os.path.join(cluster.work, "lines")
    with open(path, "w") as file:
        file.write("".join(f"{n}\n" for n in range(10000)))
    many = cluster.topic("many")
    cluster.ok("produce", many, "--file", path)
    equal(cluster.consume(many), numbers(0, 10000),
          "cluster: 10,000 lines of a file come out as they went in")
    for isolation in ("read_committed", "read_uncommitted"):
        for delivery in ("at-most-once", "at-least-once"):
            name = cluster.topic("iso" + isolation[5:6] + delivery[3:4])
            cluster.produce(name, ["x"], "--isolation", isolation,
                            "--delivery-semantic", delivery)
            check(eventually(lambda: cluster.consume(
                name, "-B", "--isolation", isolation) == ["x"], WAIT_S),
                f"cluster: {isolation}, {delivery}")


def codecs():
    lines = [f"{n} " + "abc" * (n % 50) for n in range(3000)]
    for codec in CODECS:
        name = cluster.topic("codec-" + codec)
        cluster.produce(name, lines, "--compression", codec)
        equal(cluster.consume(name), lines,
              f"cluster: 3,000 records in {codec}")
        if codec != "none":
            own = cluster.topic("own-" + codec, "--compression-type", codec)
            cluster.produce(own, lines)
            equal(cluster.consume(own), lines,
                  f"cluster: a topic's own codec {codec} is used unasked")
    cluster.refused("cluster: a codec that is not the topic's is refused",
                    "gzip", "produce", "own-gzip", "--compression", "zstd",
                    stdin=b"x\n")


def large():
    dice = random.Random(7)
    for size, codec in ((1 << 20, "none"), (5 << 20, "none"),
                        (20 << 20, "none"), (20 << 20, "zstd"),
                        (20 << 20, "gzip")):
        name = cluster.topic(f"large-{size >> 20}-{codec}")
        value = dice.randbytes(size)
        path = os.path.join(cluster.work, "large")
        with open(path, "wb") as file:
            file.write(value)
        cluster.ok("produce", name, "--raw", "--file", path,
                   "--compression", codec)
        cluster.produce(name, ["behind"])
        got = cluster.fluvio("consume", name, "-B", "-d", "-O", "raw")
        equal(hashlib.sha256(got.stdout).hexdigest(),
              hashlib.sha256(value + b"behind").hexdigest(),
              f"cluster: a record of {size >> 20} MiB, {codec}, "
              f"and one behind it ({got.stderr[-200:]})")


def partitions():
    name = cluster.topic("parts", "-p", "4")
    cluster.produce(name, [f"k{n}:{n}" for n in range(400)],
                    "--key-separator", ":")
    equal(sorted(map(int, cluster.consume(name))), list(range(400)),
          "cluster: all partitions are read")
    where = {}
    for line in cluster.consume(name, "-B", "-F", "{{partition}} {{key}}"):
        part, key = line.split()
        where[key] = part
    check(len(set(where.values())) == 4, "cluster: keys are spread", where)
    cluster.produce(name, [f"k{n}:again" for n in range(400)],
                    "--key-separator", ":")
    check(all(where[k] == p for p, k in map(str.split, cluster.consume(
        name, "-B", "-F", "{{partition}} {{key}}"))),
        "cluster: a key stays in its partition")
    some = cluster.consume(name, "-B", "-p", "1", "-p", "2", "-F",
                           "{{partition}}")
    equal(sorted(set(some)), ["1", "2"], "cluster: -p reads what it names")
    cluster.produce(name, ["to three"], "-p", "3")
    equal(cluster.consume(name, "-T", "1", "-p", "3"), ["to three"],
          "cluster: produce -p")


def consumers():
    name = cluster.topic("named", "-p", "2")
    cluster.produce(name, numbers(0, 20))

    def offsets():
        return {c["partition"]: c["offset"] for c in
                cluster.listed("consumer", "list") if c["consumer_id"] == "c1"}
    equal(len(cluster.consume(name, "-B", "--consumer", "c1")), 20,
          "cluster: a named consumer reads everything")
    equal(sum(offsets().values()) + len(offsets()), 20,
          "cluster: its offsets are stored and listed")
    cluster.produce(name, ["20"])
    equal(cluster.consume(name, "-B", "--consumer", "c1"), ["20"],
          "cluster: it goes on behind its offset")
    cluster.ok("consumer", "delete", "c1", "-t", name)
    equal(offsets(), {}, "cluster: its offsets are deleted")
    equal(len(cluster.consume(name, "-B", "--consumer", "c1")), 21,
          "cluster: then it begins anew")


# --- SmartModules ----------------------------------------------------------------


def modules():
    def modules_listed():
        return cluster.ok("smartmodule", "list")
    file = os.path.join(MODULES, "contains.wasm")
    cluster.ok("smartmodule", "create", "contains", "--wasm-file", file)
    check(eventually(lambda: "contains" in modules_listed(), WAIT_S),
          "cluster: a SmartModule is created and listed")
    name = cluster.topic("filtered")
    cluster.produce(name, ["a cat", "a dog", "two cats"])
    for how in (("--smartmodule", "contains"), ("--smartmodule-path", file)):
        equal(cluster.consume(name, "-B", *how, "-e", "text=cat"),
              ["a cat", "two cats"], f"cluster: it filters, {how[0]}")
    cluster.produce(name, ["cat " + "x" * 3000000])
    equal([len(v) for v in cluster.consume(name, "-B", "--smartmodule-path",
                                           file, "-e", "text=cat")],
          [5, 8, 3000004], "cluster: it makes records larger than a frame")
    name = cluster.topic("failing")
    cluster.produce(name, ['["fine"]', "poison", '["behind"]'])
    done = cluster.fluvio("consume", name, "-B", "-d", "--smartmodule-path",
                          os.path.join(MODULES, "json-array-split.wasm"))
    check(done.returncode == 1 and b"at offset 1" in done.stderr and
          b"behind" not in done.stdout,
          "cluster: a record on which a SmartModule fails is named",
          f"{done.returncode} {done.stdout} {done.stderr}")
    cluster.ok("smartmodule", "download", "contains", "--output",
               os.path.join(cluster.work, "back.wasm"))
    with open(file, "rb") as a, \
            open(os.path.join(cluster.work, "back.wasm"), "rb") as b:
        check(a.read() == b.read(), "cluster: it comes back as it was")
    cluster.refused("cluster: a SmartModule that is not there is named",
                    "nowhere", "consume", name, "-B", "-d", "--smartmodule",
                    "nowhere")
    cluster.ok("smartmodule", "delete", "contains")
    check(eventually(lambda: "contains" not in modules_listed(), WAIT_S),
          "cluster: it is deleted")


# --- trouble ---------------------------------------------------------------------


def blocked():
    """Side by side, for each waits for all of its time."""
    words = (f"127.0.0.1:{cluster.sc} accepted the connection but did not "
             "answer within 10000 ms")
    asked = ("topic list", "produce x", "consume x -B -d", "consumer list",
             "dead-letter list", "cluster status")
    cluster.sc_child.send_signal(signal.SIGSTOP)
    try:
        with futures.ThreadPoolExecutor(len(asked)) as pool:
            ended = pool.map(lambda args: cluster.fluvio(*args.split()), asked)
            for args, done in zip(asked, ended):
                said = done.stderr.decode(errors="replace")
                check(done.returncode == 1 and words in said,
                      f"cluster: {args}: an SC that is blocked is named",
                      f"exit {done.returncode}: {said}")
    finally:
        cluster.sc_child.send_signal(signal.SIGCONT)


def restarts():
    blocked()
    name = cluster.topic("restart")
    reader = Background("consume", name, "-B")
    writer = Background("produce", name)
    sent = 0
    for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        writer.write(numbers(sent, sent + 100))
        sent += 100
        eventually(lambda: len(reader.lines()) >= sent, WAIT_S)
        cluster.stop(how)
        writer.write(numbers(sent, sent + 100))
        sent += 100
        cluster.start()
    equal(writer.end(), 0, "cluster: a producer outlives its SPU")
    eventually(lambda: len(set(reader.lines())) >= sent, WAIT_S)
    equal(reader.end(signal.SIGTERM), 0, "cluster: a consumer outlives it")
    equal(list(dict.fromkeys(reader.lines())), numbers(0, sent),
          "cluster: over three restarts of it nothing is lost, in order")
    equal(cluster.consume(name), reader.lines(),
          "cluster: who followed saw what is there")


def letters():
    """Of topics some of which nobody can read."""
    name = cluster.topic("letters")
    cluster.topic("no-letters")
    cluster.produce(name, [json.dumps({
        "version": 1, "time": "2026-01-01T12:00:00.000Z",
        "connector": {"name": "c", "type": "http", "topic": "to"},
        "stage": 1, "module": {"name": "m", "sha256": "9f", "kind": "map"},
        "error": {"cause": "user-error", "text": "bad", "hint": "bad"},
        "source": {"number": 1}, "record": {"value": "YQ=="}})])
    # The SC answers when a topic is ready, which this one never is.
    with harness.Raw(cluster.sc, limit_s=1) as raw, \
            contextlib.suppress(socket.timeout):
        raw.create_topic("unplaced", replication=2)
    check(eventually(lambda: "insufficient" in cluster.ok("topic", "list"),
                     WAIT_S), "cluster: a topic without a place is listed")
    start = time.monotonic()
    done = cluster.fluvio("dead-letter", "list", "-O", "json")
    took = time.monotonic() - start
    equal([e["topic"] for e in json.loads(done.stdout or "[]")], [name],
          "cluster: topics of letters are found beside it")
    check(done.returncode == 1 and
          b"Topic unplaced cannot be read, it has no place" in done.stderr,
          "cluster: it is named", f"{done.returncode} {done.stderr}")
    check(took < 10, "cluster: within 10 s", f"{took:.1f} s")
    cluster.ok("topic", "delete", "unplaced")


def tls():
    """Of another cluster, whose servers ask for certificates."""
    secured = Cluster(cluster.bin, os.environ["FLV_REAL_FLUVIO"], tls=True)
    try:
        secured.start()
        name = secured.topic("secret")
        secured.produce(name, ["one", "two"])
        equal(secured.consume(name), ["one", "two"],
              "cluster: records go over TLS with certificates of both sides")
        secured.write_profile(who="mallory")
        check(secured.fluvio("topic", "list").returncode == 1,
              "cluster: a certificate that nobody trusts is turned away")
    finally:
        secured.close()


GROUPS = [("topics", topics, 120), ("formats", formats, 120),
          ("forms", forms, 180), ("codecs", codecs, 180),
          ("large", large, 300), ("partitions", partitions, 120),
          ("consumers", consumers, 120), ("modules", modules, 120),
          ("letters", letters, 120), ("tls", tls, 120), ("restarts", restarts, 300)]


def main():
    global cluster
    run = os.environ.get("FLV_REAL_FLUVIO", "")
    cluster = Cluster(sys.argv[1], run)
    try:
        cluster.start()
        for title, what, limit_s in GROUPS:
            if sys.argv[2:] and title not in sys.argv[2:]:
                continue
            if title == "restarts":
                what()  # starts and stops what this process started
            else:
                group("cluster " + title, what, limit_s)
    finally:
        cluster.close()
    harness.finish()


main()
