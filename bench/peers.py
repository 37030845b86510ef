"""The rows of bench/run --peers: NATS JetStream and Kafka on the same disk, at
the same size of record, each measured with its own tools.

They are installed below ~/.cache/fluvio-c by version, from the registries of
their languages: `go install`, `mvn dependency:copy-dependencies`. What is
missing for that is said, and the rows are left out.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid

from ours import Server, bench, cpu_s, free_port

NATS_SERVER = "github.com/nats-io/nats-server/v2@v2.15.2"
NATS_TOOL = "github.com/nats-io/natscli/nats@v0.5.0"
KAFKA = "3.9.1"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache"), "fluvio-c")
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>bench</groupId>
<artifactId>kafka</artifactId><version>1</version><dependencies>
{"".join(f'''<dependency><groupId>org.apache.kafka</groupId>
<artifactId>{name}</artifactId><version>{KAFKA}</version></dependency>'''
         for name in ("kafka_2.13", "kafka-tools"))}
</dependencies></project>"""


class Missing(Exception):
    """A peer cannot be had here; says what it needs."""


def await_port(child, port, what, log):
    end = time.monotonic() + 60
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if child.poll() is not None or time.monotonic() > end:
            with open(log, errors="replace") as f:
                raise Missing(f"{what} does not start: {f.read()[-500:]}")
        time.sleep(0.05)


def run(argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=1800, **options)
    if done.returncode != 0:
        raise Missing(f"{' '.join(argv[:4])} ... failed: "
                      f"{done.stdout.strip()[-500:]}")
    return done.stdout


def installed(name, needs, make):
    """A folder of the cache, made aside and renamed when it is whole."""
    folder = os.path.join(CACHE, name)
    if os.path.isdir(folder):
        return folder
    for program, package in needs:
        if not shutil.which(program):
            raise Missing(f"{name} needs {program} (apt-get install "
                          f"{package})")
    os.makedirs(CACHE, exist_ok=True)
    print(f"bench: installing {name}, this takes minutes", file=sys.stderr)
    aside = tempfile.mkdtemp(prefix=f".{name}-", dir=CACHE)
    try:
        make(aside)
        os.rename(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


class Peer:
    """A server in a folder of its own, with a port of its own."""

    def __init__(self, folder, argv, port, env=None):
        self.folder, self.port = folder, port
        log = os.path.join(folder, "log")
        with open(log, "wb") as out:
            self.child = subprocess.Popen(argv, cwd=folder, stdout=out,
                                          stderr=out, env=env)
        await_port(self.child, port, os.path.basename(argv[0]), log)

    def cpu_s(self):
        return cpu_s(self.child.pid)

    def stop(self):
        self.child.kill()
        self.child.wait()


# ----------------------------------------------------------------- NATS

def nats_programs():
    def make(folder):
        env = {**os.environ, "GOBIN": folder, "GOFLAGS": "-buildvcs=false"}
        for what in (NATS_SERVER, NATS_TOOL):
            run(["go", "install", what], env=env)
    version = NATS_SERVER.rsplit("@", 1)[1]
    return installed(f"nats-{version}", [("go", "golang, 1.21 or newer")],
                     make)


def nats(folder, records):
    """Records a second of 1 KiB, each synced before it is acknowledged: the
    better of its two ways to publish with 16 clients."""
    programs = nats_programs()
    port = free_port()
    conf = os.path.join(folder, "nats.conf")
    with open(conf, "w") as f:
        f.write(f'listen: "127.0.0.1:{port}"\n'
                f'jetstream {{ store_dir: "{folder}/jetstream"\n'
                'sync_interval: always }\n')
    server = Peer(folder, [f"{programs}/nats-server", "-c", conf], port)
    try:
        best, why = 0.0, None
        for way in (("sync",), ("async", "--batch", "16")):
            try:
                said = run([f"{programs}/nats", "--server",
                            f"nats://127.0.0.1:{port}", "bench", "js", "pub",
                            way[0], "bench.x", *way[1:], "--create",
                            "--purge", "--storage", "file", "--no-progress",
                            "--clients", "16", "--msgs", str(records),
                            "--size", "1024"],
                           env={**os.environ, "HOME": folder})
            except Missing as e:  # it gives up where acknowledgements are late
                why = e
                continue
            # "... aggregated stats: 2,213 msgs/sec ~ 2.2 MiB/sec ..."
            found = re.findall(r"([\d,]+) msgs/sec", said)
            if found:
                best = max(best, float(found[-1].replace(",", "")))
        if best == 0:
            raise why or Missing("nats bench says no rate")
        return best
    finally:
        server.stop()


# ---------------------------------------------------------------- Kafka

def kafka_jars():
    def make(folder):
        pom = os.path.join(folder, "pom.xml")
        with open(pom, "w") as f:
            f.write(POM)
        run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={folder}/lib"])
    return installed(f"kafka-{KAFKA}", [("mvn", "maven"),
                                        ("java", "default-jre-headless")],
                     make)


class Kafka(Peer):
    def __init__(self, folder):
        self.java = ["java", "-Xmx1g", "-cp", f"{kafka_jars()}/lib/*",
                     "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
        port, controller = free_port(), free_port()
        conf = os.path.join(folder, "server.properties")
        with open(conf, "w") as f:
            f.write(f"""process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
group.initial.rebalance.delay.ms=0
""")
        run([*self.java, "kafka.tools.StorageTool", "format", "-t",
             "MkU3OEVBNTcwNTJENDM2Qg", "-c", conf])
        super().__init__(folder, [*self.java, "kafka.Kafka", conf], port)
        self.address = f"127.0.0.1:{port}"

    def tool(self, name, *argv):
        return run([*self.java, f"org.apache.kafka.tools.{name}", *argv])

    def topic(self, name):
        self.tool("TopicCommand", "--bootstrap-server", self.address,
                  "--create", "--topic", name, "--partitions", "1")

    def produce(self, topic, record, records):
        """Megabytes for each CPU second of the broker."""
        before = self.cpu_s()
        self.tool("ProducerPerformance", "--topic", topic, "--num-records",
                  str(records), "--record-size", str(record), "--throughput",
                  "-1", "--producer-props",
                  f"bootstrap.servers={self.address}", "acks=1",
                  "batch.size=16384", "linger.ms=5")
        return records * record / 1e6 / (self.cpu_s() - before)

    def consume(self, topic, record, records):
        before = self.cpu_s()
        self.tool("ConsumerPerformance", "--bootstrap-server", self.address,
                  "--topic", topic, "--messages", str(records), "--group",
                  uuid.uuid4().hex, "--timeout", "60000")
        return records * record / 1e6 / (self.cpu_s() - before)


def kafka(folder, records):
    """Megabytes for each CPU second of the broker: 5 KiB in, 1 KiB out; warm,
    and what is read is in memory."""
    broker = Kafka(folder)
    try:
        broker.topic("in")
        broker.topic("out")
        broker.produce("in", 5120, records // 5)
        broker.produce("out", 1024, records)
        broker.consume("out", 1024, records)
        return (broker.produce("in", 5120, records // 5),
                broker.consume("out", 1024, records))
    finally:
        broker.stop()


# ----------------------------------------------------------------- ours

def ours_synced(server, seconds):
    server.topic("synced", "disk")
    got = bench("produce", server.address, "synced", 16, 1024, 16384, 8,
                seconds)
    server.drop("synced")
    return got["records_per_s"]


def ours_cpu(server, seconds):
    """As kafka()."""
    server.topic("in", "page-cache")
    server.topic("out", "page-cache")
    before = server.cpu_s()
    got = bench("produce", server.address, "in", 1, 5120, 16384, 8, seconds)
    taken = got["records"] * 5120 / 1e6 / (server.cpu_s() - before)
    got = bench("produce", server.address, "out", 16, 1024, 16384, 8, seconds)
    records = int(min(got["records"], 1000000))
    bench("consume", server.address, "out", records)
    before = server.cpu_s()
    times = 5  # one reading is too short for the clock that counts CPU
    for _ in range(times):
        bench("consume", server.address, "out", records)
    given = times * records * 1024 / 1e6 / (server.cpu_s() - before)
    server.drop("in")
    server.drop("out")
    return taken, given


def in_folder(folder, work):
    data = tempfile.mkdtemp(prefix="bench-peer.", dir=folder)
    try:
        return work(data)
    finally:
        shutil.rmtree(data)


def measure(folder, seconds):
    row = {}
    data = tempfile.mkdtemp(prefix="bench-data.", dir=folder)
    server = Server(data)
    try:
        try:
            theirs = in_folder(folder, lambda f: nats(f, 10000))
            rate = ours_synced(server, seconds)
            row["NATS JetStream, 16 publishers, sync always, records/s"] = (
                theirs, "", None)
            row["produce 1 KiB, 16 producers, disk, records/s"] = (
                rate, "at least 10 times that", rate >= 10 * theirs)
        except Missing as e:
            print(f"bench: without NATS: {e}", file=sys.stderr)
        try:
            their_in, their_out = in_folder(folder,
                                            lambda f: kafka(f, 500000))
            taken, given = ours_cpu(server, seconds)
            row["Kafka: produce 5 KiB, MB for a CPU second"] = (
                their_in, "", None)
            row["produce 5 KiB, page-cache, MB for a CPU second"] = (
                taken, "at least twice that", taken >= 2 * their_in)
            row["Kafka: consume 1 KiB, MB for a CPU second"] = (
                their_out, "", None)
            row["consume 1 KiB, MB for a CPU second"] = (
                given, "at least 3 times that", given >= 3 * their_out)
        except Missing as e:
            print(f"bench: without Kafka: {e}", file=sys.stderr)
    finally:
        server.stop()
        shutil.rmtree(data)
    return row
