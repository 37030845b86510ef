#!/usr/bin/env python3
"""Connectors against a cluster of Fluvio's own server; prints TAP.

    FLV_REAL_FLUVIO=FOLDER cluster_connectors.py BIN_DIR [GROUP]

Each of them is killed (kill -9) and started again while records flow, and so
is the cluster's SPU, FLV_ROUNDS (6) times in all.
"""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

import harness
from harness import check, equal, eventually, free_ports
from real import Cluster

WAIT_S = 60
ROUNDS = int(os.environ.get("FLV_ROUNDS", "6"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MODULES = os.environ.get("FLV_SMARTMODULES",
                         os.path.join(sys.argv[1], "..", "smartmodules"))
FAST = ("--reconnect-min=20ms", "--reconnect-max=100ms")
SOON = ("--backoff-min=20ms", "--backoff-max=100ms")

cluster = None
dice = random.Random(int(os.environ.get("FLV_SEED", "1")))
children = []


def spawn(argv, log, **options):
    with open(os.path.join(cluster.work, log), "ab") as out:
        options.setdefault("stdout", out)
        child = subprocess.Popen(argv, stderr=out, stdin=subprocess.DEVNULL,
                                 env=cluster.env, **options)
    children.append(child)
    return child


def end(child, how=signal.SIGKILL):
    child.send_signal(how)
    children.remove(child)
    return child.wait(WAIT_S)


class Connector:
    def __init__(self, kind, topic, *options):
        self.argv = [os.path.join(cluster.bin, "fluvio-connect-" + kind),
                     f"--fluvio-topic={topic}", *options]
        self.log = topic + ".log"
        self.child = None

    def start(self):
        self.child = spawn(self.argv, self.log)

    def stop(self):
        return end(self.child, signal.SIGTERM)

    def kill(self):
        end(self.child)
        self.start()

    def revive(self):
        """Without a cluster to speak to at its start a connector ends."""
        if self.child.poll() is not None:
            children.remove(self.child)
            self.start()

    def tail(self):
        with open(os.path.join(cluster.work, self.log)) as file:
            return "".join(file.readlines()[-8:])


def far_side(program, log, *argv):
    """The port that a program of ours prints when it listens."""
    child = spawn([sys.executable, os.path.join(ROOT, *program), "0", *argv],
                  log, stdout=subprocess.PIPE)
    return child.stdout.readline().decode().strip()


def kill_spu():
    cluster.stop(signal.SIGKILL)
    cluster.start_spu()


def in_order(got, last):
    """What was seen first of each is all of them, in order."""
    return list(dict.fromkeys(got)) == [str(n) for n in range(1, last + 1)]


def rounds(c, count):
    """Kills the connector or the SPU, each when the count has gone on."""
    for n in range(ROUNDS):
        seen = count()
        if not eventually(lambda: c.revive() or count() >= seen + 20, WAIT_S):
            raise RuntimeError("nothing comes any more:\n" + c.tail())
        harness.time.sleep(dice.uniform(0, 0.3))
        (c.kill if n % 2 == 0 else kill_spu)()
    return count()


def http_events():
    """An HTTP source on a stream of numbered events."""
    topic = cluster.topic("events")
    seen = os.path.join(cluster.work, "events.seen")
    port = far_side(("tests", "e2e", "stream_end.py"), "end.log", seen)
    c = Connector("http", topic, f"--endpoint=http://127.0.0.1:{port}/events"
                  "?count=50&end=open", "--stream=events", *FAST,
                  "--position-file=" + os.path.join(cluster.work, "position"))
    c.start()

    def values():
        return [v.rsplit(" ", 1)[-1].rstrip('"}') for v in
                cluster.consume(topic)]
    last = rounds(c, lambda: len(set(values())))
    eventually(lambda: len(set(values())) >= last + 20, WAIT_S)
    equal(c.stop(), 0, "http source: SIGTERM ends it with 0")
    got = values()
    check(in_order(got, max(map(int, got))),
          "http source: events of the far side are in the topic, in order",
          f"{len(got)} {got[:3]} {got[-3:]}\n{c.tail()}")


def mqtt():
    topic = cluster.topic("mqtt")
    port, = free_ports(1)
    conf = os.path.join(cluster.work, "mosquitto.conf")
    with open(conf, "w") as file:
        file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\n"
                   "max_queued_messages 0\n")
    spawn([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", conf],
          "mosquitto.log")
    c = Connector("mqtt", topic, f"--mqtt-url=127.0.0.1:{port}",
                  "--mqtt-topic=a/#", "--qos=1", "--output=raw", *FAST,
                  "--client-id=real")
    c.start()
    eventually(lambda: "msg=subscribed" in c.tail(), WAIT_S)
    sent = 0
    publish = [shutil.which("mosquitto_pub"), "-p", str(port), "-t", "a/b",
               "-q", "1", "-l"]

    def count():
        nonlocal sent
        lines = "".join(f"{n}\n" for n in range(sent + 1, sent + 51))
        sent += 50
        subprocess.run(publish, input=lines.encode(), check=True,
                       timeout=WAIT_S)
        return len(set(cluster.consume(topic)))
    rounds(c, count)
    eventually(lambda: c.revive() or
               len(set(cluster.consume(topic))) >= sent, WAIT_S)
    equal(c.stop(), 0, "mqtt source: SIGTERM ends it with 0")
    check(in_order(cluster.consume(topic), sent),
          f"mqtt source: all {sent} messages of QoS 1 are in the topic",
          c.tail())


def http_sink():
    topic = cluster.topic("sunk")
    keys = os.path.join(cluster.work, "keys")
    port = far_side(("tests", "fault", "http_end.py"), "end.log", keys)
    c = Connector("http-sink", topic, "--consumer=s1", *SOON,
                  f"--endpoint=http://127.0.0.1:{port}/in")
    c.start()
    sent = 0

    def taken():
        with open(keys) as file:
            return [line.split() for line in file if line[:6] != "again "]

    def count():
        nonlocal sent
        cluster.produce(topic, range(sent, sent + 50))
        sent += 50
        return len(taken())
    rounds(c, count)
    eventually(lambda: c.revive() or len(taken()) >= sent, WAIT_S)
    equal(c.stop(), 0, "http sink: SIGTERM ends it with 0")
    equal(taken(), [[f"sunk/0/{n}", str(n)] for n in range(sent)],
          f"http sink: all {sent} records were taken, each under its own key")
    equal([x["offset"] for x in cluster.listed("consumer", "list")
           if x["consumer_id"] == "s1"], [sent - 1],
          "http sink: its position is an offset of the cluster's")
    cluster.forget_end(topic, sent - 10)
    c.start()
    eventually(lambda: "msg=reads" in c.tail(), WAIT_S)
    cluster.produce(topic, [sent])
    eventually(lambda: len(taken()) > sent, WAIT_S)
    equal(c.stop(), 0,
          "http sink: a position behind the end that a killed SPU tells holds")
    equal(taken()[sent:], [[f"sunk/0/{sent}", str(sent)]],
          "http sink: it goes on there when the next record comes")


def sql_sink():
    topic = cluster.topic("rows")
    path = os.path.join(cluster.work, "rows.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE n (n BIGINT)")
    c = Connector("sql-sink", topic, "--consumer=s2", f"--url=sqlite://{path}",
                  *SOON)
    c.start()
    sent = 0

    def rows():
        with sqlite3.connect(path, timeout=WAIT_S) as db:
            return [n for n, in db.execute("SELECT n FROM n ORDER BY rowid")]

    def count():
        nonlocal sent
        cluster.produce(topic, [
            '{"Insert":{"table":"n","values":[{"column":"n","raw_value":"%d",'
            '"type":"BigInt"}]}}' % n for n in range(sent, sent + 50)])
        sent += 50
        return len(rows())
    rounds(c, count)
    eventually(lambda: c.revive() or len(rows()) >= sent, WAIT_S)
    equal(c.stop(), 0, "sql sink: SIGTERM ends it with 0")
    equal(rows(), list(range(sent)),
          f"sql sink: the rows are the {sent} records, each once, in order")


def settings():
    """A file, a topic that it makes, a SmartModule of the cluster's."""
    cluster.ok("smartmodule", "create", "contains", "--wasm-file",
               os.path.join(MODULES, "contains.wasm"))
    conf = os.path.join(cluster.work, "connect.yml")
    with open(conf, "w") as file:
        file.write("apiVersion: 0.1.0\nmeta:\n  version: 0.1.0\n"
                   "  name: made\n  type: test-connector\n"
                   "  topic: made\n  producer: {compression: zstd}\n"
                   "custom: {count: 100, timeout: 1}\n"
                   "transforms:\n  - uses: contains\n    with: {text: '7'}\n")
    child = spawn([os.path.join(cluster.bin, "fluvio-connect-test-connector"),
                   "--config", conf], "made.log")
    eventually(lambda: child.poll() is not None, WAIT_S)
    with open(os.path.join(cluster.work, "made.log")) as file:
        said = file.read()
    equal(child.returncode, 0, f"connector: a file is enough {said[-500:]}")
    got = cluster.consume("made")
    check(got and all("7" in v for v in got),
          "connector: it makes the topic and runs the cluster's SmartModule",
          got)


def managed():
    """A manager of ours beside Fluvio's cluster, which restarts meanwhile."""
    port, = free_ports(1)
    folder = os.path.join(cluster.work, "manager")
    manager = spawn([os.path.join(cluster.bin, "fluvio-manager"),
                     "--cluster", f"127.0.0.1:{cluster.sc}", "--data-dir",
                     folder, "--port", str(port)], "manager.log",
                    stdout=subprocess.PIPE)
    manager.stdout.readline()
    with open(os.path.join(folder, "token")) as file:
        token = file.read().strip()

    def ask(path, doc=None):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/connectors{path}",
            json.dumps(doc).encode() if doc else None,
            {"Content-Type": "application/json",
             "Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(asked, timeout=WAIT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as err:
            return err.code, err.read().decode()
    status, said = ask("", {"name": "m1", "config": {
        "connector.class": "test-connector", "topic": "managed",
        "create_topic": "true", "count": "500", "timeout": "5"}})
    check(status == 201, "manager: takes a connector for the cluster",
          f"{status} {said}")

    def state():
        return ask("/m1/status")[1]["connector"]["state"]
    check(eventually(lambda: state() == "RUNNING", WAIT_S),
          "manager: the connector runs against it")
    kill_spu()
    wanted = [f"Hello, Fluvio! - {n}" for n in range(1, 501)]
    eventually(lambda: len(set(cluster.consume("managed"))) >= 500, WAIT_S)
    equal(list(dict.fromkeys(cluster.consume("managed"))), wanted,
          "manager: all its records are in the topic, in order")
    equal(end(manager, signal.SIGTERM), 0, "manager: SIGTERM ends it with 0")


GROUPS = {f.__name__: f for f in (http_events, mqtt, http_sink, sql_sink,
                                  settings, managed)}


def main():
    global cluster
    cluster = Cluster(sys.argv[1], os.environ.get("FLV_REAL_FLUVIO", ""))
    try:
        cluster.start()
        for title, run in GROUPS.items():
            if sys.argv[2:] and title not in sys.argv[2:]:
                continue
            try:
                run()
            except (RuntimeError, OSError, ValueError,
                    subprocess.SubprocessError) as err:
                check(False, title, err)
    finally:
        for child in children:
            child.kill()
        cluster.close()
    harness.finish()


main()
