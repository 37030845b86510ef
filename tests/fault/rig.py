"""What the scripts that kill whole programs share: a folder of their own, a
real fluvio-server on fixed ports, the fluvio command, TAP.

Importing it makes the folder; finish() prints the plan, ends what is left,
removes the folder when all was good, and returns the exit status.
"""
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "programs"))
from ports import free_ports  # noqa: E402

BIN = os.path.abspath(sys.argv[1])
SEED = int(os.environ.get("FLV_SEED", time.time_ns() % 1_000_000))
WAIT_S = 30

work = tempfile.mkdtemp(prefix="fluvio-fault.")
data = os.path.join(work, "data")
profile = os.path.join(work, "config")
env = {**os.environ, "HOME": work, "FLV_PROFILE_PATH": profile}
tests = []
children = []


def report(good, name, detail=""):
    tests.append(good)
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}", flush=True)
    if detail and not good:
        print("# " + detail.replace("\n", "\n# "), flush=True)


def spawn(argv, log, **options):
    """A child of ours whose stderr (and stdout, unless given) is a log."""
    with open(os.path.join(work, log), "ab") as out:
        options.setdefault("stdout", out)
        child = subprocess.Popen(argv, env=env, stderr=out, **options)
    children.append(child)
    return child


def free_port():
    return free_ports(1)[0]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    children.remove(child)


def tail(log="server.log", lines=15):
    try:
        with open(os.path.join(work, log), errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError as err:
        return str(err)


def await_true(what, condition, seconds=WAIT_S, detail=lambda: ""):
    """Asks again until it holds; what it waits for is another process."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s; {detail()}")
        select.select([], [], [], 0.02)


class Server:
    """One fluvio-server on fixed ports; start() returns when it is ready."""

    def __init__(self):
        self.sc_port, self.spu_port = free_ports(2)
        self.child = None
        self.ready_ms = []
        with open(profile, "w") as f:
            f.write('version = "2.0"\ncurrent_profile = "t"\n[profile.t]\n'
                    'cluster = "t"\n[cluster.t]\n'
                    f'endpoint = "127.0.0.1:{self.sc_port}"\n')

    def start(self):
        read_end, write_end = os.pipe()
        begin = time.monotonic()
        self.child = spawn(
            [os.path.join(BIN, "fluvio-server"), "--data-dir", data,
             "--sc-port", str(self.sc_port), "--spu-port", str(self.spu_port),
             "--ready-fd", str(write_end)], "server.log",
            pass_fds=[write_end])
        os.close(write_end)
        ready, _, _ = select.select([read_end], [], [], WAIT_S)
        said = os.read(read_end, 4096) if ready else b""
        os.close(read_end)
        if not said:
            raise RuntimeError("server did not become ready: " + tail())
        self.ready_ms.append((time.monotonic() - begin) * 1000)

    def kill(self):
        kill(self.child)

    def stop(self):
        """The exit status after SIGTERM."""
        self.child.terminate()
        return self.child.wait(WAIT_S)


def fluvio(*argv):
    return subprocess.run([os.path.join(BIN, "fluvio"), *argv], env=env,
                          capture_output=True, timeout=WAIT_S * 4)


def create_topic(name, *options):
    made = fluvio("topic", "create", name, *options)
    if made.returncode != 0:
        raise RuntimeError(made.stderr.decode() + tail())


def read_topic(topic, start, form="{{value}}"):
    """[(offset, text)] from `start` to the current end."""
    out = fluvio("consume", topic, "--start", str(start), "-d", "-F",
                 "{{offset}} " + form)
    if out.returncode != 0:
        raise RuntimeError(f"consume {topic} from {start}: "
                           + out.stderr.decode() + tail())
    rows = []
    for line in out.stdout.decode().splitlines():
        offset, _, text = line.partition(" ")
        rows.append((int(offset), text))
    return rows


class Load:
    """A child that prints `ACK offset value` for each acknowledged record."""

    def __init__(self, argv, log):
        self.acked = []
        self.left = b""
        self.child = spawn(argv, log, stdout=subprocess.PIPE,
                           stdin=subprocess.PIPE)
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

    def finish(self):
        """Ends its input and waits for what it still has to say."""
        self.child.stdin.close()
        end = time.monotonic() + WAIT_S * 4
        while self.child.poll() is None:
            if time.monotonic() > end:
                raise RuntimeError(f"{self.child.args[0]} does not end")
            select.select([self.child.stdout], [], [], 0.2)
            self.drain()
        self.drain()
        return self.child.returncode

    def stop(self):
        kill(self.child)
        self.drain()


def contiguous(name, rows, start):
    for i, (offset, _) in enumerate(rows):
        if offset != start + i:
            raise AssertionError(f"{name}: offset {offset} follows "
                                 f"{start + i - 1}")


def run(main, name):
    """The whole script: main(), the plan, tidying up, the exit status."""
    try:
        main()
    except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
        report(False, name, str(error))
    print(f"1..{len(tests)}")
    for child in list(children):
        if child.poll() is None:
            child.kill()
            child.wait()
    if all(tests):
        shutil.rmtree(work, ignore_errors=True)
    else:
        print(f"# kept {work}")
    sys.exit(0 if all(tests) else 1)
