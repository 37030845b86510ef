"""What the measurements share: our programs, and a fluvio-server of their own.
"""
import json
import os
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build", "bin")


def words(program, *argv):
    out = subprocess.run([os.path.join(BIN, program), *map(str, argv)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return {k: float(v) for k, v in (w.split("=") for w in out.split())}


def bench(*argv):
    return words("flv-bench", *argv)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_s(pid):
    """User and system, of all threads."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    def __init__(self, data):
        read_end, write_end = os.pipe()
        begin = time.monotonic()
        self.child = subprocess.Popen(
            [os.path.join(BIN, "fluvio-server"), "--data-dir", data,
             "--sc-port", "0", "--spu-port", "0", "--ready-fd",
             str(write_end)], pass_fds=[write_end], stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL)
        os.close(write_end)
        if not os.read(read_end, 4096):
            raise SystemExit("bench: the server did not start")
        self.start_ms = (time.monotonic() - begin) * 1000
        os.close(read_end)
        with open(os.path.join(data, "server.json")) as f:
            ports = json.load(f)
        self.address = f"127.0.0.1:{ports['sc_port']}"
        self.spu_port = ports["spu_port"]
        self.env = {**os.environ, "FLV_PROFILE_PATH": "/nonexistent"}

    def topic(self, name, durability, partitions=1):
        subprocess.run([os.path.join(BIN, "fluvio"), "-c", self.address,
                        "topic", "create", name, "--durability", durability,
                        "--partitions", str(partitions)], check=True,
                       stdout=subprocess.DEVNULL, env=self.env)

    def drop(self, name):
        subprocess.run([os.path.join(BIN, "fluvio"), "-c", self.address,
                        "topic", "delete", name], check=True, env=self.env,
                       stdout=subprocess.DEVNULL)

    def memory_mb(self, field="VmRSS"):
        with open(f"/proc/{self.child.pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024 / 1e6

    def cpu_s(self):
        return cpu_s(self.child.pid)

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()
