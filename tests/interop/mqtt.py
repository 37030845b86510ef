#!/usr/bin/env python3
"""The MQTT source against a broker that nobody here knows: npm's aedes.

    FLV_AEDES=FOLDER mqtt.py BIN_DIR [GROUP]

It speaks 3.1.1 only and says so, where mosquitto (tests/e2e, tests/fault)
speaks both. It sends some messages of QoS 2 again that were complete, as new
ones, when a client comes back to its session. Publishers are Debian's mosquitto_pub, which end when all they
sent was acknowledged.
"""
import os
import select
import signal
import subprocess
import sys

import harness
from harness import Server, check, equal, eventually, free_ports, group

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT_S = 20
URL_USER = "mqtt://ada:secret%3A1@127.0.0.1:"

server = None
broker = None


class Broker:
    def __init__(self):
        self.port, = free_ports(1)
        self.child = None

    def start(self):
        """On the same port each time; forgets what it knew."""
        self.child = subprocess.Popen(
            ["node", os.path.join(HERE, "broker.cjs"), str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        ready, _, _ = select.select([self.child.stdout], [], [], WAIT_S)
        said = self.child.stdout.readline().split() if ready else []
        if len(said) != 2:
            raise RuntimeError("aedes does not start")

    def cut(self):
        self.child.send_signal(signal.SIGUSR2)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def publish(self, topic, lines, qos):
        """Every line is a message; returns when all are acknowledged."""
        subprocess.run(self.publisher(topic, qos), check=True, timeout=WAIT_S,
                       input="".join(f"{x}\n" for x in lines).encode())

    def publisher(self, topic, qos):
        return ["mosquitto_pub", "-p", str(self.port), "-t", topic, "-q",
                str(qos), "-l"]


class Connector:
    """Reads TOPIC/# (unless told otherwise) into the topic of that name."""

    def __init__(self, topic, *options, url=None):
        self.topic, self.options = topic, options
        self.url = url or f"127.0.0.1:{broker.port}"
        if not any(o.startswith("--mqtt-topic") for o in options):
            self.options += (f"--mqtt-topic={topic}/#",)
        self.log = os.path.join(server.work, topic + ".log")
        self.child = None
        server.cli("topic", "create", topic)

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [os.path.join(server.bin, "fluvio-connect-mqtt"),
                 f"--mqtt-url={self.url}", f"--fluvio-topic={self.topic}",
                 "--output=raw", "--reconnect-min=20ms",
                 "--reconnect-max=100ms", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=server.env)
        return self

    def said(self, words):
        with open(self.log) as f:
            return sum(words in line for line in f)

    def await_said(self, words, times=1):
        if not eventually(lambda: self.said(words) >= times, WAIT_S):
            raise RuntimeError(f"{self.topic}: not said: {words}\n"
                               + self.tail())
        return self

    def tail(self):
        with open(self.log) as f:
            return "".join(f.readlines()[-8:])

    def ready(self, times=1):
        return self.await_said("msg=subscribed", times)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        self.child.terminate()
        return equal(self.child.wait(WAIT_S), 0,
                     f"{self.topic}: SIGTERM ends the connector with 0")


def values(topic):
    return server.cli("consume", topic, "-B", "-d").decode().splitlines()


def arrives(topic, wanted, claim, once=True):
    """Exactly that, in that order; or first occurrences are."""
    eventually(lambda: set(wanted) <= set(values(topic)), WAIT_S)
    got = values(topic)
    return equal(got if once else list(dict.fromkeys(got)), wanted, claim)


def numbers(first, last):
    return [str(n) for n in range(first, last)]


def qualities():
    for qos in (0, 1, 2):
        topic = f"qos{qos}"
        c = Connector(topic, f"--qos={qos}").start().ready()
        broker.publish(topic + "/a/b", numbers(0, 2000), qos)
        arrives(topic, numbers(0, 2000),
                f"2,000 messages of QoS {qos} arrive once, in order")
        check(c.said("retry_ms") == 1 and c.said("unacceptable protocol"),
              f"{topic}: a broker without MQTT 5 is asked once", c.tail())
        c.stop()


def wildcards():
    c = Connector("wild", "--mqtt-topic=wild/+/x", "--mqtt-topic=other/#",
                  "--mqtt-topic=one").start().ready()
    for topic in ("wild/a/x", "wild/a/y", "other", "other/b/c", "wild/x",
                  "one", "one/two", "wild/b/x"):
        broker.publish(topic, [topic], 1)
    arrives("wild", ["wild/a/x", "other", "other/b/c", "one", "wild/b/x"],
            "several filters with + and # get what they match, nothing else")
    c.stop()


def away():
    for qos in (1, 2):
        topic = f"away{qos}"
        c = Connector(topic, f"--qos={qos}").start().ready()
        broker.publish(topic + "/t", numbers(0, 100), qos)
        arrives(topic, numbers(0, 100), f"{topic}: what comes first arrives")
        c.stop()
        broker.publish(topic + "/t", numbers(100, 600), qos)
        c.start().ready(2)
        arrives(topic, numbers(0, 600), f"QoS {qos}: a kept session brings "
                "what came while the connector was away, in order",
                once=qos == 1)
        c.kill()
        broker.publish(topic + "/t", numbers(600, 900), qos)
        c.start().ready(3)
        arrives(topic, numbers(0, 900), f"QoS {qos}: after kill -9, too",
                once=False)
        c.stop()


def under_load(topic, qos, harm):
    """Publishes 6,000 while harm(connector) happens twice; what arrived."""
    count = 6000
    c = Connector(topic, f"--qos={qos}").start().ready()
    pub = subprocess.Popen(broker.publisher(topic + "/t", qos),
                           stdin=subprocess.PIPE)
    for part in range(3):
        lines = numbers(part * count // 3, (part + 1) * count // 3)
        pub.stdin.write("".join(x + "\n" for x in lines).encode())
        pub.stdin.flush()
        have = part * count // 3
        eventually(lambda: len(set(values(topic))) > have, WAIT_S)
        if part < 2:
            harm(c)
    pub.stdin.close()
    equal(pub.wait(WAIT_S), 0, f"{topic}: the broker takes all of it")
    wanted = set(numbers(0, count))
    eventually(lambda: wanted <= set(values(topic)), WAIT_S)
    got = values(topic)
    equal(sorted(wanted - set(got), key=int), [],
          f"{topic}: all {count} are in the topic")
    harness.note(f"{topic}: {len(got) - len(set(got))} repeated")
    c.stop()
    return got


def kills():
    def harm(c):
        c.kill()
        c.start()
    for qos in (1, 2):
        under_load(f"kill{qos}", qos, harm)


def broker_gone():
    """Its publishers would be gone with it: it is idle."""
    c = Connector("gone", "--qos=1").start().ready()
    broker.publish("gone/t", numbers(0, 100), 1)
    arrives("gone", numbers(0, 100), "gone: what comes first arrives")
    broker.cut()
    c.await_said("msg=\"no broker, trying again\"", 2).ready(2)
    broker.publish("gone/t", numbers(100, 200), 1)
    arrives("gone", numbers(0, 200), "a cut connection is made again",
            once=False)
    broker.kill()
    c.await_said("cannot connect")
    broker.start()
    c.ready(3)
    broker.publish("gone/t", numbers(200, 300), 1)
    arrives("gone", numbers(0, 300), "a broker that comes back with nothing "
            "gets the subscription again", once=False)
    c.stop()


def refusals():
    url = f"{URL_USER}{broker.port}"
    c = Connector("user", url=url).start().ready()
    broker.publish("user/a", ["in"], 1)
    arrives("user", ["in"], "user and password are accepted")
    c.stop()
    c = Connector("wrong", url=url.replace("secret", "hidden")).start()
    c.await_said("not authorized", 2)
    check(not c.said("hidden"), "a wrong password is refused, said, tried "
          "again, and not shown", c.tail())
    c.stop()
    c = Connector("no", "--mqtt-topic=forbidden/#").start()
    c.await_said('rejects the topic filter', 2)
    check(c.said("forbidden/#"), "a rejected filter is named", c.tail())
    c.stop()


GROUPS = (("qualities", qualities), ("wildcards", wildcards), ("away", away),
          ("kills", kills), ("refusals", refusals),
          ("broker_gone", broker_gone))


def with_broker(run):
    """A broker of the group's own: it is killed with the group."""
    def both():
        broker.start()
        run()
    return both


def main():
    global server, broker
    wanted = sys.argv[2:] or [name for name, _ in GROUPS]
    server, broker = Server(sys.argv[1]).start(), Broker()
    try:
        for name, run in GROUPS:
            if name in wanted:
                group("aedes " + name, with_broker(run), 60)
    finally:
        server.close()
    harness.finish()


main()
