"""What the programs of this folder share: TAP lines, a server, raw frames.

Needs nothing but Python's own library.
"""
import contextlib
import glob
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "programs"))
from ports import free_ports  # noqa: E402

READY_S = 20
STOP_S = 10


# --- TAP ---------------------------------------------------------------------

failed = False


def check(holds, claim, detail=""):
    """One TAP line: the claim, and what was seen if it does not hold."""
    global failed
    print(("ok - " if holds else "not ok - ") + claim, flush=True)
    if not holds:
        failed = True
        for line in str(detail).splitlines():
            print("# " + line, flush=True)
    return holds


def equal(seen, wanted, claim):
    return check(seen == wanted, claim,
                 f"seen   {short(seen)}\nwanted {short(wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + f"... ({len(text)})"


def note(text):
    print("# " + text, flush=True)


def group(title, run, limit_s):
    """Run one group of claims in a process of its own, with a time limit.

    A native client that blocks for ever, or crashes, costs its group alone.
    """
    global failed
    sys.stdout.flush()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(limit_s)
            os.setpgid(0, 0)
            run()
            code = 1 if failed else 0
        except BaseException:
            print(f"not ok - {title}: ended by an exception")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        sys.stdout.flush()
        os._exit(code)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        end = os.WTERMSIG(status)
        check(False, f"{title}: runs to its end",
              f"still running after {limit_s} s" if end == signal.SIGALRM
              else f"ended by signal {end}")
    elif status != 0:
        failed = True
    note(f"{title}: {time.monotonic() - start:.1f} s")


def finish():
    sys.exit(1 if failed else 0)


def eventually(test, limit_s):
    """Poll what cannot be awaited; the last value of test()."""
    end = time.monotonic() + limit_s
    while True:
        value = test()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.01)


class Machine(threading.Thread):
    """What the machine takes from everybody, and is not the server's fault.

    Naps and syncs a byte on the server's disk, again and again: what takes
    longer than it ever should is time that nobody had.
    """
    NAP_S, SHOULD_S = 0.02, 0.07

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.path = os.path.join(folder, "machine")
        self.began, self.lost, self.ended = time.monotonic(), 0.0, False

    def run(self):
        with open(self.path, "wb", buffering=0) as file:
            while not self.ended:
                time.sleep(self.NAP_S)
                os.pwrite(file.fileno(), b"x", 0)
                os.fdatasync(file.fileno())
                late, now = self.late(), time.monotonic()
                self.lost, self.began = self.lost + late, now

    def late(self):
        return max(0.0, time.monotonic() - self.began - self.SHOULD_S)

    def watch(self):
        """A function: the seconds since now that the machine had for us."""
        start, lost = time.monotonic(), self.lost + self.late()
        return lambda: time.monotonic() - start - max(
            0.0, self.lost + self.late() - lost)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join()


# --- the server ----------------------------------------------------------------


class Home:
    """A folder with a profile for a server in it, and our `fluvio` there.

    With tls there are certificates, and the profile has alice's. Whoever
    starts the server says where its SC is and keeps its process in `child`.
    """

    def __init__(self, bin_dir, kind, tls=False):
        self.bin = os.path.abspath(bin_dir)
        self.work = tempfile.mkdtemp(prefix=f"fluvio-{kind}.")
        self.data = os.path.join(self.work, "data")
        self.profile = os.path.join(self.work, "config")
        self.child = None
        self.pki = os.path.join(self.work, "pki") if tls else None
        if tls:
            here = os.path.dirname(os.path.abspath(__file__))
            subprocess.run([os.path.join(here, "..", "pki.sh"), self.pki],
                           check=True)
        self.env = {**os.environ, "HOME": self.work,
                    "FLV_PROFILE_PATH": self.profile}

    def write_profile(self, who="alice", ca="ca"):
        with open(self.profile, "w") as file:
            file.write(f'version = "2.0"\ncurrent_profile = "t"\n'
                       f'[profile.t]\ncluster = "t"\n[cluster.t]\n'
                       f'endpoint = "127.0.0.1:{self.sc}"\n')
            if self.pki:
                file.write(f'[cluster.t.tls]\ntls_policy = "verified"\n'
                           f'tls_source = "files"\n[cluster.t.tls.certs]\n'
                           f'domain = "fluvio.test"\n'
                           f'cert = "{self.pki}/{who}.crt"\n'
                           f'key = "{self.pki}/{who}.key"\n'
                           f'ca_cert = "{self.pki}/{ca}.crt"\n')

    def stop(self, how=signal.SIGTERM):
        """The exit status, negative for a signal; None: it had to be shot."""
        if self.child is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(how)
        try:
            code = self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            code = None
        self.child = None
        return code

    def fluvio(self, *args, stdin=b"", limit_s=15):
        """Our own `fluvio` with this profile, run to its end."""
        return subprocess.run([os.path.join(self.bin, "fluvio"), *args],
                              input=stdin, env=self.env, timeout=limit_s,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def cli(self, *args, stdin=b"", limit_s=15):
        """The same where it has to succeed; stdout as bytes."""
        done = self.fluvio(*args, stdin=stdin, limit_s=limit_s)
        if done.returncode != 0:
            raise RuntimeError(f"fluvio {' '.join(args)}: exit "
                               f"{done.returncode}: "
                               f"{done.stderr.decode(errors='replace')}")
        return done.stdout


class Server(Home):
    """One fluvio-server with its own data, home and profile.

    With tls it asks for certificates.
    """

    def __init__(self, bin_dir, *options, tls=False):
        super().__init__(bin_dir, "interop", tls)
        self.options = options
        self.log = os.path.join(self.work, "server.log")
        self.sc, self.spu = free_ports(2)
        if tls:
            self.options += ("--tls-cert", self.pki + "/server.crt",
                             "--tls-key", self.pki + "/server.key",
                             "--tls-client-ca", self.pki + "/ca.crt")

    def start(self):
        """Ready when it returns; on the same ports each time."""
        rd, wr = os.pipe()
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [os.path.join(self.bin, "fluvio-server"),
                 "--data-dir", self.data, "--sc-port", str(self.sc),
                 "--spu-port", str(self.spu), "--ready-fd", str(wr),
                 *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[wr], env=self.env)
        os.close(wr)
        ready, _, _ = select.select([rd], [], [], READY_S)
        got = os.read(rd, 64) if ready else b""
        os.close(rd)
        if not got:
            raise RuntimeError("fluvio-server did not start:\n" + self.tail())
        self.write_profile()
        os.environ["HOME"] = self.work
        os.environ["FLV_PROFILE_PATH"] = self.profile
        return self

    def alive(self):
        """Also true in a forked group, whose child the server is not."""
        try:
            with open(f"/proc/{self.child.pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (AttributeError, FileNotFoundError):
            return False

    def restart(self, how=signal.SIGTERM):
        code = self.stop(how)
        self.start()
        return code

    def close(self):
        self.stop(signal.SIGKILL)
        if failed:
            note(f"server log, last lines:\n# " +
                 self.tail().replace("\n", "\n# "))
        shutil.rmtree(self.work, ignore_errors=True)

    def verify(self):
        """(0, "") when --check finds the stopped server's data whole."""
        done = subprocess.run(
            [os.path.join(self.bin, "fluvio-server"), "--check", self.data],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.env, timeout=60)
        return done.returncode, "" if done.returncode == 0 else \
            done.stdout.decode(errors="replace")

    def tail(self, lines=8):
        with open(self.log, errors="replace") as file:
            return "\n".join(file.read().splitlines()[-lines:])

    def status_kb(self, field):
        with open(f"/proc/{self.child.pid}/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        return 0

    def rss_mb(self):
        return self.status_kb("VmRSS") / 1024

    def fds(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def files(self, pattern):
        return glob.glob(os.path.join(self.data, pattern), recursive=True)

    def has_cli(self):
        return os.access(os.path.join(self.bin, "fluvio"), os.X_OK)


def raise_fd_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# --- frames by hand -------------------------------------------------------------

PRODUCE, FETCH_OFFSETS, STREAM_FETCH, UPDATE_OFFSETS = 0, 1002, 1003, 1005
CREATE, DELETE, LIST, WATCH, API_VERSIONS = 1001, 1002, 1003, 1004, 18
SC_V, SPU_V = 19, 25


def text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


CRC32C = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    CRC32C.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(value, index=0, key=None):
    body = b"\0" + varint(0) + varint(index)
    body += b"\0" if key is None else b"\1" + varint(len(key)) + key
    body += varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(values, *, count=None, last_delta=None, length=None, crc=None,
          attributes=0, magic=2, section=None):
    """A record batch; every field that can lie takes a lie."""
    if section is None:
        section = struct.pack(">I", len(values) if count is None else count)
        section += b"".join(record(v, i) for i, v in enumerate(values))
    now = int(time.time() * 1000)
    covered = struct.pack(
        ">hiqqqhi", attributes,
        len(values) - 1 if last_delta is None else last_delta, now, now,
        -1, -1, -1) + section
    head = struct.pack(">iBI", -1, magic,
                       crc32c(covered) if crc is None else crc)
    size = len(head) + len(covered) if length is None else length
    return struct.pack(">qi", 0, size) + head + covered


def produce_body(topic, entries, acks=1, timeout_ms=1500):
    """entries: (partition, bytes of a record set)."""
    body = b"\0" + struct.pack(">hi", acks, timeout_ms)
    body += struct.pack(">I", 1) + text(topic) + struct.pack(">I", len(entries))
    for partition, raw in entries:
        body += struct.pack(">Ii", partition, len(raw)) + raw
    return body + struct.pack(">I", 0)


def stream_body(topic, partition, offset, max_bytes=1 << 20, isolation=0):
    return text(topic) + struct.pack(
        ">IqiB", partition, offset, max_bytes, isolation) + \
        struct.pack(">I", 0) + b"\0"


class Closed(Exception):
    """The server closed the connection."""


class Raw:
    """One connection that says exactly what it is told to say."""

    def __init__(self, port, limit_s=5, hello=True):
        self.sock = socket.create_connection(("127.0.0.1", port), limit_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_id = 1
        if hello:
            self.ask(API_VERSIONS, 2,
                     text("0.14.9") + text("linux") + text("x86_64"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def write(self, raw):
        try:
            self.sock.sendall(raw)
        except (BrokenPipeError, ConnectionResetError) as err:
            raise Closed() from err

    def frame(self, api, version, body, size=None):
        raw = struct.pack(">Hhi", api & 0xFFFF, version, self.next_id)
        raw += text("interop") + body
        self.next_id += 1
        return struct.pack(">i", len(raw) if size is None else size) + raw

    def ask(self, api, version, body):
        """Send one request and return the body of the next frame."""
        self.write(self.frame(api, version, body))
        return self.answer()[1]

    def exactly(self, size):
        out = bytearray()
        while len(out) < size:
            try:
                got = self.sock.recv(min(size - len(out), 1 << 16))
            except ConnectionResetError as err:
                raise Closed() from err
            if not got:
                raise Closed()
            out += got
        return bytes(out)

    def answer(self):
        size, = struct.unpack(">i", self.exactly(4))
        raw = self.exactly(size)
        return struct.unpack(">i", raw[:4])[0], raw[4:]

    def closes(self):
        """True when the server closes within the socket's time limit."""
        try:
            while True:
                self.answer()
        except Closed:
            return True
        except socket.timeout:
            return False

    def create_topic(self, name, partitions=1, compression=4, replication=1):
        spec = b"\1" + struct.pack(">II", partitions, replication) + b"\0"
        spec += b"\0\0" + bytes([compression]) + b"\0\0"
        body = text(name) + b"\0\0" + spec
        return Take(self.ask(CREATE, SC_V, text("Topic") + struct.pack(
            ">I", len(body)) + body)).status()

    def produce(self, topic, entries, version=SPU_V):
        """[(partition, error, base offset)] of the answer."""
        return Take(self.ask(PRODUCE, version,
                             produce_body(topic, entries))).produced()

    def offsets(self, topic, partition):
        take = Take(self.ask(FETCH_OFFSETS, SPU_V, struct.pack(">I", 1) + text(
            topic) + struct.pack(">II", 1, partition)))
        take.u32(), take.text(), take.u32()
        return take.i16(), take.u32(), take.i64(), take.i64()

    def read(self, topic, partition, offset=0, until=None, max_bytes=1 << 20):
        """Batches [(base, attributes, last delta, raw)] up to `until`."""
        out = []
        self.write(self.frame(STREAM_FETCH, SPU_V, stream_body(
            topic, partition, offset, max_bytes)))
        end = offset
        while until is None or end < until:
            stream, got = Take(self.answer()[1]).fetched()
            out += got
            if not got:
                break
            end = got[-1][0] + got[-1][2] + 1
            if until is None or end >= until:
                break
            self.ask(UPDATE_OFFSETS, 0,
                     struct.pack(">IqI", 1, end, stream))
        return out


class Take:
    """Reads an answer front to back."""

    def __init__(self, raw):
        self.raw, self.pos = raw, 0

    def some(self, size):
        self.pos += size
        if self.pos > len(self.raw):
            raise ValueError("answer is too short")
        return self.raw[self.pos - size:self.pos]

    def number(self, form):
        return struct.unpack(form, self.some(struct.calcsize(form)))[0]

    def u8(self): return self.number(">B")

    def i16(self): return self.number(">h")

    def u32(self): return self.number(">I")

    def i32(self): return self.number(">i")

    def i64(self): return self.number(">q")

    def text(self): return self.some(max(0, self.i16())).decode()

    def error(self):
        """(code, text) of an error; only the payloads that occur here."""
        code = self.i16()
        if code in (2, 3003):
            return code, self.text()
        if code == 72:
            return code, f"{self.text()}-{self.u32()}"
        if code == 71:
            return code, f"{self.i64()} {self.i64()}"
        if code == 7:
            return code, f"{self.i64()} {self.u8()}"
        return code, ""

    def status(self):
        self.text()
        return self.error()[0]

    def produced(self):
        out = []
        for _ in range(self.u32()):
            self.text()
            for _ in range(self.u32()):
                partition, error = self.u32(), self.error()
                base = self.i64()
                self.i64(), self.i64()
                out.append((partition, error[0], base))
        return out

    def fetched(self):
        self.text()
        stream = self.u32()
        self.u32()
        code, why = self.error()
        if code:
            raise ValueError(f"stream answers error {code} {why}")
        self.i64(), self.i64(), self.i64()
        if self.u8():
            raise ValueError("aborted transactions in an answer")
        raw, out = self.some(self.i32()), []
        while raw:
            base, size = struct.unpack(">qi", raw[:12])
            attributes, last = struct.unpack(">hi", raw[21:27])
            if len(raw) < 12 + size:
                raise ValueError("a cut batch in an answer")
            out.append((base, attributes, last, raw[:12 + size]))
            raw = raw[12 + size:]
        return stream, out


def values_of(raw):
    """The values of an uncompressed batch."""
    def unzig(pos):
        n = shift = 0
        while True:
            n |= (raw[pos] & 0x7f) << shift
            shift += 7
            pos += 1
            if not raw[pos - 1] & 0x80:
                return (n >> 1) ^ -(n & 1), pos
    count, = struct.unpack(">I", raw[57:61])
    pos, out = 61, []
    for _ in range(count):
        size, pos = unzig(pos)
        end, pos = pos + size, pos + 1
        _, pos = unzig(pos)
        _, pos = unzig(pos)
        pos += 1
        if raw[pos - 1]:
            size, pos = unzig(pos)
            pos += size
        size, pos = unzig(pos)
        out.append(raw[pos:pos + size])
        pos = end
    return out
