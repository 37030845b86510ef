#!/usr/bin/env python3
"""Numbers published through mosquitto while connector, server and broker are
killed: what a publisher saw acknowledged is in the topic.

    mqtt.py BIN_DIR PYTHON [ROUNDS]

PYTHON is an interpreter that has paho-mqtt. One publisher of QoS 1 and one of
QoS 2, one connector for both; each round waits for acknowledgements, and a
random moment more, then kills one program (kill -9) and starts it again. A
third of the rounds each kills

  servers     the server alone: no number repeats, because the connector lives
  connectors  the connector, or the server: at most a receive maximum of
              numbers repeats for each connector that was killed
  brokers     any of the three; the broker keeps its sessions on disk. It
              acknowledges before it saves, so that no setting keeps it from
              losing what it acknowledged last: it is killed while its clients
              stand still, with what was under way between them unsettled,
              after it has saved

Throughout, every number that was acknowledged to a publisher is in the topic,
and first occurrences are in order, per publisher. After the death of a broker
that sends its window again, order is that broker's business.
"""
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time

import rig
from rig import (BIN, Load, await_true, free_port, listens, read_topic,
                 report, spawn)

PYTHON = sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 60
HERE = os.path.dirname(os.path.abspath(__file__))
# Not to be full: mosquitto 2.0.11 sends out of order what had to wait for room
# in its window. Publishers are slow enough that it takes seconds without a
# server to fill; where nobody counts on it as a bound it is as large as it can
# be, for machines on which a start takes longer.
RECEIVE_MAX = 1000
WIDEST = 65535


class Broker:
    def __init__(self):
        self.port = free_port()
        self.child = None
        self.seen = None
        self.folder = os.path.join(rig.work, "mosquitto")
        os.mkdir(self.folder)
        self.conf = os.path.join(rig.work, "mosquitto.conf")

    def configure(self, durable):
        """durable: every change is saved at once; slow, and what a kill of
        the broker needs."""
        user = "user root\n" if os.geteuid() == 0 else ""
        saving = "autosave_on_changes true\nautosave_interval 1\n"
        with open(self.conf, "w") as f:
            f.write(f"{user}listener {self.port} 127.0.0.1\n"
                    f"allow_anonymous true\npersistence true\n"
                    f"persistence_location {self.folder}/\n"
                    f"{saving if durable else ''}max_queued_messages 0\n"
                    f"max_inflight_messages {WIDEST}\n")

    def start(self):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.child = spawn([program, "-c", self.conf], "mosquitto.log")
        await_true("the broker listens", lambda: listens(self.port),
                   detail=lambda: rig.tail("mosquitto.log"))

    def saved_ns(self):
        """When its file was last written; it is renamed into place."""
        try:
            return os.stat(
                os.path.join(self.folder, "mosquitto.db")).st_mtime_ns
        except FileNotFoundError:
            return 0

    def is_idle(self):
        """It has slept, and used no processor, since it was last asked."""
        with open(f"/proc/{self.child.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        now = (fields[0], fields[11], fields[12])
        idle = now[0] == "S" and now == self.seen
        self.seen = now
        return idle

    def kill_when_saved(self, clients):
        for c in clients:
            c.send_signal(signal.SIGSTOP)
        calm = [0]

        def is_calm():
            calm[0] = calm[0] + 1 if self.is_idle() else 0
            return calm[0] >= 5
        await_true("the broker has read what was sent to it", is_calm)
        # It saves behind the second change: two that are for nobody.
        before = self.saved_ns()
        for text in ("one", "two"):
            subprocess.run(
                ["mosquitto_pub", "-p", str(self.port), "-q", "1", "-r", "-t",
                 "nobody/asks", "-m", text], check=True, timeout=rig.WAIT_S)
        await_true("the broker saves", lambda: self.saved_ns() > before)
        await_true("the broker is done", self.is_idle)
        rig.kill(self.child)
        for c in clients:
            c.send_signal(signal.SIGCONT)

    def stop(self):
        self.child.terminate()
        self.child.wait(rig.WAIT_S)
        rig.children.remove(self.child)


class Connector:
    def __init__(self, name, port, receive_max):
        self.log = f"connector-{name}.log"
        self.argv = [
            os.path.join(BIN, "fluvio-connect-mqtt"),
            f"--mqtt-url=127.0.0.1:{port}", f"--mqtt-topic={name}/+",
            f"--fluvio-topic={name}", "--output=raw", "--qos=2",
            f"--receive-max={receive_max}", "--timeout=5",
            "--reconnect-min=20ms", "--reconnect-max=100ms",
        ]
        self.child = None

    def start(self):
        self.child = spawn(self.argv, self.log)

    def await_subscribed(self):
        """The broker has to know the session before anything is published."""
        await_true("the connector subscribes",
                   lambda: "msg=subscribed" in rig.tail(self.log, 50),
                   detail=lambda: rig.tail(self.log))

    def kill(self):
        rig.kill(self.child)

    def stop(self):
        self.child.terminate()
        return self.child.wait(rig.WAIT_S)


class Phase:
    """A topic, a connector and two publishers of their own."""

    def __init__(self, name, server, broker):
        self.name, self.broker = name, broker
        rig.create_topic(name)
        self.connector = Connector(
            name, broker.port, WIDEST if name == "servers" else RECEIVE_MAX)
        self.connector.start()
        self.connector.await_subscribed()
        self.victims = [server]
        self.publishers = {
            str(qos): Load([PYTHON, os.path.join(HERE, "mqtt_pub.py"),
                            str(broker.port), f"{name}/{qos}", str(qos)],
                           f"publisher-{name}-{qos}.log")
            for qos in (1, 2)}
        self.killed = []

    def round(self):
        loads = self.publishers.values()
        for p in loads:
            p.wait_acks(1)
        end = time.monotonic() + random.uniform(0.0, 0.2)
        while time.monotonic() < end:
            select.select([p.child.stdout for p in loads], [], [], 0.01)
            for p in loads:
                p.drain()
        victim = random.choice(self.victims)
        if victim is self.broker:
            victim.kill_when_saved([p.child for p in loads] +
                                   [self.connector.child])
        else:
            victim.kill()
        victim.start()
        self.killed.append(victim)

    def numbers(self):
        """Per publisher, in the order of the topic."""
        found = {qos: [] for qos in self.publishers}
        for _, text in read_topic(self.name, 0, "{{key}} {{value}}"):
            key, _, value = text.partition(" ")
            found[key.rpartition("/")[2]].append(int(value))
        return found

    def missing(self, qos):
        have = set(self.numbers()[qos])
        return [n for n, _ in self.publishers[qos].acked if n not in have]

    def finish(self):
        """Ends the publishers and waits for what they saw acknowledged."""
        for qos, p in self.publishers.items():
            code = p.finish()
            report(code == 0, f"{self.name}: the publisher of QoS {qos} ends "
                   "well", f"exit {code}")
        try:
            await_true("everything arrives",
                       lambda: not any(map(self.missing, self.publishers)))
        except RuntimeError as late:
            print(f"# {late}")
        for qos, p in self.publishers.items():
            missing = self.missing(qos)
            report(not missing, f"{self.name}: all {len(p.acked)} numbers "
                   f"acknowledged at QoS {qos} are in the topic",
                   f"{len(missing)} missing, first {missing[:5]}")
        code = self.connector.stop()
        report(code == 0, f"{self.name}: SIGTERM ends the connector with 0",
               rig.tail(self.connector.log))

    def check_order(self):
        for qos, numbers in self.numbers().items():
            firsts = list(dict.fromkeys(numbers))
            wrong = [b for a, b in zip(firsts, firsts[1:]) if b < a]
            report(not wrong, f"{self.name}: first occurrences at QoS {qos} "
                   "are in order", f"{len(wrong)} are not: {wrong[:5]}")

    def check_repeats(self):
        connectors = self.killed.count(self.connector)
        found = sum(len(n) - len(set(n)) for n in self.numbers().values())
        report(found <= connectors * RECEIVE_MAX,
               f"{self.name}: {found} numbers repeat after the death of "
               f"{connectors} connectors", f"receive maximum {RECEIVE_MAX}")


def main():
    random.seed(rig.SEED)
    print(f"# seed {rig.SEED}, {ROUNDS} rounds")
    server, broker = rig.Server(), Broker()
    server.start()
    for name in ("servers", "connectors", "brokers"):
        broker.configure(durable=name == "brokers")
        broker.start()
        phase = Phase(name, server, broker)
        if name != "servers":
            phase.victims.append(phase.connector)
        if name == "brokers":
            phase.victims.append(broker)
        for _ in range(ROUNDS // 3):
            phase.round()
        phase.finish()
        if name != "brokers":
            phase.check_order()
            phase.check_repeats()
        broker.stop()
    report(server.stop() == 0, "SIGTERM ends the server with 0")


rig.run(main, "MQTT under kills")
