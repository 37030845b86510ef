"""The rows of bench/run about the MQTT source: the same messages of QoS 1
from a session of mosquitto that they waited in, for mosquitto_sub and for the
source with a synced topic; and from a broker that does nothing but send
(flv-bench-mqtt).

    bench/mqtt.py     that alone
"""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import sql
from ours import BIN, ROOT, cpu_s, free_port

BYTES = 256
# With max_inflight_messages 0 mosquitto 2.0 stalls beyond 65,535 that wait.
WAITING = 60000
LOAD = 1000000
# The source's default receive-max.
WINDOW = 1000


def tool(name):
    return shutil.which(name) or next(
        (p for p in ("/usr/sbin/" + name, "/usr/bin/" + name)
         if os.path.exists(p)), None)


class Mosquitto:
    def __init__(self, folder):
        self.port = free_port()
        self.conf = os.path.join(folder, "mosquitto.conf")
        with open(self.conf, "w") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                    "max_inflight_messages 0\nmax_queued_messages 0\n"
                    + ("user root\n" if os.geteuid() == 0 else ""))
        self.child = subprocess.Popen([tool("mosquitto"), "-c", self.conf],
                                      stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > end:
                raise SystemExit("bench: mosquitto does not start")
            time.sleep(0.02)

    def subscriber(self, client, *options):
        return [tool("mosquitto_sub"), "-p", str(self.port), "-c", "-i",
                client, "-q", "1", "-t", "bench", *options]

    def fill(self, clients):
        """As many messages wait for each of them."""
        for client in clients:
            subprocess.run(self.subscriber(client, "-E"), check=True)
        subprocess.run([tool("mosquitto_pub"), "-p", str(self.port), "-q",
                        "1", "-t", "bench", "-l"], check=True,
                       input=(b"x" * BYTES + b"\n") * WAITING)

    def drain(self, client):
        begin = time.monotonic()
        subprocess.run(self.subscriber(client, "-C", str(WAITING)),
                       check=True, stdout=subprocess.DEVNULL)
        return WAITING / (time.monotonic() - begin)

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Source:
    """The connector, into a topic of the same name that is synced."""

    def __init__(self, address, topic, port, *options):
        self.env = {**os.environ, "FLV_PROFILE_PATH": "/nonexistent"}
        self.fluvio = [os.path.join(BIN, "fluvio"), "-c", address]
        self.topic, self.pss = topic, 0.0
        self.run("topic", "create", topic, "--durability", "disk")
        self.argv = [os.path.join(BIN, "fluvio-connect-mqtt"),
                     f"--cluster={address}", f"--fluvio-topic={topic}",
                     f"--mqtt-url=127.0.0.1:{port}", "--output=raw",
                     *options]

    def run(self, *argv):
        subprocess.run([*self.fluvio, *argv], check=True, env=self.env,
                       stdout=subprocess.DEVNULL)

    def start(self):
        self.child = subprocess.Popen(self.argv, env=self.env,
                                      stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)

    def watch(self, other):
        """Its memory while that program runs."""
        while other.poll() is None:
            if self.child.poll() is not None:
                raise SystemExit("bench: the MQTT source ended")
            self.pss = max(self.pss, sql.pss_mb(self.child.pid))
            time.sleep(0.05)
        if other.returncode != 0:
            raise SystemExit(f"bench: {other.args[0]} failed")

    def stop(self):
        self.cpu = cpu_s(self.child.pid)
        self.child.terminate()
        self.child.wait()
        self.run("topic", "delete", self.topic)


def from_mosquitto(address, folder, row):
    work = tempfile.mkdtemp(prefix="bench-mqtt.", dir=folder)
    broker = Mosquitto(work)
    try:
        broker.fill(("before", "source", "after"))
        source = Source(address, "mqttbench", broker.port,
                        "--mqtt-topic=bench", "--client-id=source")
        before = broker.drain("before")
        reader = subprocess.Popen(
            [*source.fluvio, "consume", source.topic, "-B", "--end",
             str(WAITING - 1)], env=source.env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        source.start()
        source.watch(reader)
        ours = WAITING / (time.monotonic() - begin)
        source.stop()
        plain = (before + broker.drain("after")) / 2
        row[f"mosquitto_sub, QoS 1, {BYTES} B, 1,000 messages/s"] = (
            plain / 1000, None, "from mosquitto")
        row["MQTT source from mosquitto, disk, 1,000 messages/s"] = (
            ours / 1000, ours / plain,
            f"of mosquitto_sub; PSS {source.pss:.0f} MB")
    finally:
        broker.stop()
        shutil.rmtree(work)


def from_stand_in(address, row):
    load = subprocess.Popen(
        [os.path.join(BIN, "flv-bench-mqtt"), str(LOAD), str(BYTES),
         str(WINDOW)], stdout=subprocess.PIPE, text=True)
    port = int(load.stdout.readline().split("=")[1])
    source = Source(address, "mqttload", port, "--mqtt-topic=bench/#")
    source.start()
    source.watch(load)
    per_s = float(load.stdout.read().split("=")[1])
    source.stop()
    row["MQTT source from a broker that only sends, disk, "
        "1,000 messages/s"] = (
        per_s / 1000, None, f"PSS {source.pss:.0f} MB; "
        f"{source.cpu / LOAD * 1e6:.1f} us of CPU a message")


def measure(address, folder, row):
    """address: of a fluvio-server; folder: on the disk to be measured."""
    from_stand_in(address, row)
    if tool("mosquitto") and tool("mosquitto_sub"):
        from_mosquitto(address, folder, row)


def main():
    sql.alone(lambda address, row: measure(
        address, os.path.join(ROOT, "build"), row))


if __name__ == "__main__":
    main()
