#!/usr/bin/env python3
"""kill -9 of fluvio-server under load: nothing acknowledged may be missing.

    kill9.py BIN_DIR PYTHON [ROUNDS]

Two producers run at once against one server, each on a topic of its own:

  real    the PyPI client (PYTHON is an interpreter that has it), a new process
          each round; what it saw acknowledged has to be readable at its offset
  ours    tests' load program on libfluvio, one process through all rounds; it
          has to come back by itself, and each of its records has to be there
          exactly once and in order

Each round waits until both have had acknowledgements, waits a random moment
more, kills the server, starts it again and reads what is new. The end reads
everything once more. Prints TAP.
"""
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = os.path.abspath(sys.argv[1])
PYTHON = sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 100
HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("FLV_SEED", time.time_ns() % 1_000_000))
WAIT_S = 30

work = tempfile.mkdtemp(prefix="fluvio-kill9.")
data = os.path.join(work, "data")
profile = os.path.join(work, "config")
env = {**os.environ, "HOME": work, "FLV_PROFILE_PATH": profile}
tests = []


def report(good, name, detail=""):
    tests.append(good)
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}", flush=True)
    if detail and not good:
        print("# " + detail.replace("\n", "\n# "), flush=True)


class Server:
    """One fluvio-server on fixed ports; start() returns when it is ready."""

    def __init__(self):
        self.sc_port, self.spu_port = 0, 0
        self.child = None
        self.ready_ms = []

    def start(self):
        read_end, write_end = os.pipe()
        begin = time.monotonic()
        with open(os.path.join(work, "server.log"), "ab") as log:
            self.child = subprocess.Popen(
                [os.path.join(BIN, "fluvio-server"), "--data-dir", data,
                 "--sc-port", str(self.sc_port),
                 "--spu-port", str(self.spu_port),
                 "--ready-fd", str(write_end)], env=env, stderr=log,
                stdout=log, pass_fds=[write_end])
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], WAIT_S)
        said = os.read(read_end, 4096) if ready else b""
        os.close(read_end)
        if not said:
            raise RuntimeError("server did not become ready: " + tail())
        self.ready_ms.append((time.monotonic() - begin) * 1000)
        with open(os.path.join(data, "server.json")) as f:
            ports = json.load(f)
        self.sc_port, self.spu_port = ports["sc_port"], ports["spu_port"]

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def tail():
    with open(os.path.join(work, "server.log"), errors="replace") as f:
        return "".join(f.readlines()[-15:])


def fluvio(*argv):
    return subprocess.run([os.path.join(BIN, "fluvio"), *argv], env=env,
                          capture_output=True, timeout=WAIT_S * 4)


def read_topic(topic, start):
    """[(offset, value)] from `start` to the current end."""
    out = fluvio("consume", topic, "--start", str(start), "-d", "-F",
                 "{{offset}} {{value}}")
    if out.returncode != 0:
        raise RuntimeError(f"consume {topic} from {start}: "
                           + out.stderr.decode() + tail())
    rows = []
    for line in out.stdout.decode().splitlines():
        offset, _, value = line.partition(" ")
        rows.append((int(offset), value))
    return rows


class Load:
    """A child that prints `ACK offset value` for each acknowledged record."""

    def __init__(self, argv, log):
        self.acked = []
        self.left = b""
        self.log = open(os.path.join(work, log), "ab")
        self.child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE,
                                      stdin=subprocess.PIPE, stderr=self.log)
        os.set_blocking(self.child.stdout.fileno(), False)

    def drain(self):
        try:
            data = self.child.stdout.read() or b""
        except BlockingIOError:
            data = b""
        lines = (self.left + data).split(b"\n")
        self.left = lines.pop()
        for line in lines:
            word, offset, value = line.decode().split(" ", 2)
            if word == "ACK":
                self.acked.append((int(offset), value))

    def wait_acks(self, more):
        want = len(self.acked) + more
        end = time.monotonic() + WAIT_S
        while len(self.acked) < want:
            if time.monotonic() > end or self.child.poll() is not None:
                self.drain()
                if len(self.acked) >= want:
                    return
                raise RuntimeError(
                    f"{self.child.args[0]}: only {len(self.acked)} of {want} "
                    f"acknowledgements, exit {self.child.poll()}; " + tail())
            select.select([self.child.stdout], [], [], 0.2)
            self.drain()

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.drain()


def check(name, rows, acked):
    """Every acknowledged (offset, value) is among the rows read."""
    have = dict(rows)
    missing = [a for a in acked if have.get(a[0]) != a[1]]
    if missing:
        raise AssertionError(f"{name}: {len(missing)} acknowledged records "
                             f"missing or different, first {missing[0]}, "
                             f"read {have.get(missing[0][0])!r}")


def contiguous(name, rows, start):
    for i, (offset, _) in enumerate(rows):
        if offset != start + i:
            raise AssertionError(f"{name}: offset {offset} follows "
                                 f"{start + i - 1}")


def main():
    random.seed(SEED)
    print(f"# seed {SEED}, {ROUNDS} rounds")
    server = Server()
    server.start()
    with open(profile, "w") as f:
        f.write('version = "2.0"\ncurrent_profile = "t"\n[profile.t]\n'
                'cluster = "t"\n[cluster.t]\n'
                f'endpoint = "127.0.0.1:{server.sc_port}"\n')
    for topic in ("real", "ours"):
        made = fluvio("topic", "create", topic)
        if made.returncode != 0:
            raise RuntimeError(made.stderr.decode() + tail())
    ours = Load([os.path.join(BIN, "kill9-load"), "ours"], "ours.log")
    real_acked, verified = [], 0
    for number in range(ROUNDS):
        real = Load([PYTHON, os.path.join(HERE, "kill9_pypi.py"), "real",
                     str(number)], "real.log")
        real.wait_acks(1)
        ours.wait_acks(1)
        end = time.monotonic() + random.uniform(0.0, 0.25)
        while time.monotonic() < end:
            select.select([real.child.stdout, ours.child.stdout], [], [], 0.01)
            real.drain()
            ours.drain()
        server.kill()
        real.stop()
        real_acked += real.acked
        server.start()
        rows = read_topic("real", verified)
        contiguous("real", rows, verified)
        check("real", rows, real.acked)
        verified += len(rows)
    report(True, f"{ROUNDS} kills: all {len(real_acked)} records that the PyPI "
           f"client saw acknowledged are readable at their offsets")
    # The load program stops at the end of its input, after its last record
    # is acknowledged.
    ours.child.stdin.close()
    while ours.child.poll() is None:
        select.select([ours.child.stdout], [], [], 0.2)
        ours.drain()
    ours.drain()
    report(ours.child.returncode == 0, "our producer comes back by itself "
           "through every kill and ends well", f"exit {ours.child.returncode}")
    rows = read_topic("ours", 0)
    contiguous("ours", rows, 0)
    check("ours", rows, ours.acked)
    values = [int(v) for _, v in rows]
    report(values == list(range(len(ours.acked))),
           f"each of our {len(values)} records is there exactly once, in order",
           f"{len(values)} read, {len(ours.acked)} acknowledged, first "
           "difference at " + str(next((i for i, v in enumerate(values)
                                        if v != i), len(values))))
    rows = read_topic("real", 0)
    contiguous("real", rows, 0)
    check("real", rows, real_acked)
    report(True, "the whole topic of the PyPI client reads well at the end")
    print(f"# restart to ready: median {sorted(server.ready_ms)[len(server.ready_ms) // 2]:.0f}"
          f" ms, longest {max(server.ready_ms):.0f} ms")
    server.child.terminate()
    report(server.child.wait(WAIT_S) == 0, "SIGTERM ends the server with 0")


try:
    main()
except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
    report(False, "kill -9 under load", str(error))
print(f"1..{len(tests)}")
good = all(tests)
if good:
    shutil.rmtree(work, ignore_errors=True)
else:
    print(f"# kept {work}")
subprocess.run(["pkill", "-9", "-f", data], check=False)
sys.exit(0 if good else 1)
