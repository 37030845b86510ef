"""A cluster of Fluvio's own server: an SC and one SPU of `fluvio-run`.

scripts/real-fluvio builds that program. To be imported; takes the place of
harness.Server, which starts ours, in the same Home.
"""
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess

from harness import CREATE, READY_S, SC_V, Closed, Home, Raw, Take, \
    check, eventually, free_ports, text

SPU_ID = 5001
SPU_ALREADY_EXISTS = 1004
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def spu_spec(public, private):
    """A custom SPU's id, its public and private address, no rack."""
    host = text("127.0.0.1")
    return struct.pack(">iHI", SPU_ID, public, 1) + b"\1" + host + b"\0\0" + \
        struct.pack(">H", private) + host + b"\0" + b"\0\0"


def die_with_us():
    """In a child: who is killed in the middle leaves no cluster behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Cluster(Home):
    """An SC and an SPU, which is the `child`.

    With tls both ask for certificates.
    """

    def __init__(self, bin_dir, run, tls=False):
        super().__init__(bin_dir, "real", tls)
        self.run = os.path.join(run, "fluvio-run")
        self.log = os.path.join(self.work, "spu.log")
        self.sc_log = os.path.join(self.work, "sc.log")
        self.sc, self.sc_private, self.sc_plain, self.spu, \
            self.spu_private, self.spu_plain = free_ports(6)
        self.sc_child = None
        self.write_profile()

    def tls_options(self, plain):
        """Fluvio's own proxy takes TLS and passes it on to that port."""
        if self.pki is None:
            return []
        return ["--tls", "--enable-client-cert",
                "--server-cert", self.pki + "/server.crt",
                "--server-key", self.pki + "/server.key",
                "--ca-cert", self.pki + "/ca.crt",
                "--bind-non-tls-public", f"127.0.0.1:{plain}"]

    def spawn(self, log, *argv):
        env = {**self.env, "RUST_LOG": os.environ.get("RUST_LOG", "warn"),
               "FLUVIO_METRIC_SPU": os.path.join(self.work, "metric.sock")}
        with open(log, "ab") as out:
            return subprocess.Popen([self.run, *argv], env=env, stdout=out,
                                    stderr=out, stdin=subprocess.DEVNULL,
                                    preexec_fn=die_with_us)

    def start(self):
        """Ready when it returns; with what it had, on the ports it had."""
        if self.sc_child is None:
            self.start_sc()
        self.start_spu()
        return self

    def start_sc(self):
        self.sc_child = self.spawn(
            self.sc_log, "sc", "--local", os.path.join(self.data, "metadata"),
            "--bind-public", f"127.0.0.1:{self.sc}",
            "--bind-private", f"127.0.0.1:{self.sc_private}",
            *self.tls_options(self.sc_plain))
        if not eventually(self.register, READY_S):
            raise RuntimeError("the SC did not start:\n" + self.tail())

    def register(self):
        """Tells the SC of the SPU; also true when it knew."""
        body = text(f"custom-spu-{SPU_ID}") + b"\0\0" + \
            spu_spec(self.spu, self.spu_private)
        try:
            with Raw(self.sc_plain if self.pki else self.sc) as raw:
                answer = raw.ask(CREATE, SC_V, text("CustomSpu") +
                                 struct.pack(">I", len(body)) + body)
                return Take(answer).status() in (0, SPU_ALREADY_EXISTS)
        except (OSError, Closed):
            return False

    def start_spu(self):
        self.child = self.spawn(
            self.log, "spu", "-i", str(SPU_ID),
            "-p", f"127.0.0.1:{self.spu}", "-v",
            f"127.0.0.1:{self.spu_private}",
            "--sc-addr", f"127.0.0.1:{self.sc_private}",
            "--log-base-dir", os.path.join(self.data, "spu"),
            *self.tls_options(self.spu_plain))
        if not eventually(self.online, READY_S):
            raise RuntimeError("the SPU did not come:\n" + self.tail())

    def folders(self, topic):
        """What the SPU has of a topic."""
        return glob.glob(os.path.join(self.data, "spu", "*", topic + "-*"))

    def forget_end(self, topic, end):
        """The SPU, killed, knows the end of partition 0 as it once was: it
        writes that down later than it acknowledges."""
        self.stop(signal.SIGKILL)
        path, = glob.glob(os.path.join(self.data, "spu", "*", topic + "-0",
                                       "replication.chk"))
        with open(path, "wb") as file:
            file.write(struct.pack(">q", end))
        self.start_spu()

    def online(self):
        """The SC says so, and it listens: what the SC says may be old."""
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", self.spu)) != 0:
                return False
        done = self.fluvio("cluster", "spu", "list", "-O", "json")
        return done.returncode == 0 and done.stdout[:1] == b"[" and [
            s["status"]["resolution"] for s in json.loads(done.stdout)
        ] == ["Online"]

    def tail(self, lines=8):
        out = ""
        for log in filter(os.path.exists, (self.sc_log, self.log)):
            with open(log, errors="replace") as file:
                out += "".join(file.readlines()[-lines:])
        return out

    # --- the command -----------------------------------------------------

    def fluvio(self, *args, stdin=b"", limit_s=60):
        return super().fluvio(*args, stdin=stdin, limit_s=limit_s)

    def cli(self, *args, stdin=b"", limit_s=60):
        return super().cli(*args, stdin=stdin, limit_s=limit_s)

    def ok(self, *args, stdin=b"", limit_s=60):
        return self.cli(*args, stdin=stdin, limit_s=limit_s).decode()

    def refused(self, claim, words, *args, stdin=b""):
        done = self.fluvio(*args, stdin=stdin)
        said = done.stderr.decode(errors="replace")
        return check(done.returncode == 1 and words in said, claim,
                     f"exit {done.returncode}: {said}")

    def topic(self, name, *options):
        self.ok("topic", "create", name, *options)
        return name

    def produce(self, topic, values, *options):
        self.ok("produce", topic, *options,
                stdin="".join(f"{v}\n" for v in values).encode())

    def consume(self, topic, *options):
        return self.ok("consume", topic, "-d",
                       *(options or ("-B",))).splitlines()

    def listed(self, *args):
        """The objects of a list, [] where there is none to print."""
        out = self.ok(*args, "-O", "json")
        return json.loads(out) if out[:1] == "[" else []

    def close(self):
        self.stop(signal.SIGKILL)
        if self.sc_child is not None:
            self.sc_child.kill()
            self.sc_child.wait()
        shutil.rmtree(self.work, ignore_errors=True)
