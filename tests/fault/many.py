#!/usr/bin/env python3
"""Many connectors under one manager: what they cost and how long things take.

    many.py BIN_DIR COUNT

Prints each measurement; fails where a bound does not hold. The bounds of time
are generous: other programs may be at work on the same machine.
"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.path.abspath(sys.argv[1])
COUNT = int(sys.argv[2])
SLACK = float(os.environ.get("FLV_SLACK", "3"))

work = tempfile.mkdtemp(prefix="fluvio-many.", dir=os.environ.get("TMPDIR"))
managers = os.path.join(work, ".fluvio", "data", "manager")
tests = failed = 0


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(os.path.join(managers, "manager.sock"))


def call(method, route, body=None):
    conn = Unix("manager")
    try:
        conn.request(method, route, body)
        answer = conn.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text[:1] in ("[", "{") else text
    finally:
        conn.close()


def check(name, value, bound, unit):
    global tests, failed
    tests += 1
    ok = value <= bound
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {tests} - {name}: {value:.2f} {unit}"
          f" (at most {bound:g})", flush=True)


def state(name):
    return call("GET", f"/connectors/{name}/status")[1]


def until(name, wanted, pid_not=0):
    """Waits for the state without making the machine busy."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        s = state(name)
        if s["state"] == wanted and s["pid"] not in (0, pid_not):
            return s
        time.sleep(0.003)
    raise SystemExit(f"not ok - {name} is {s}, not {wanted}")


def file(name, pause):
    return (f"version: latest\nname: {name}\ntype: test-connector\n"
            f"topic: shared\ncreate_topic: true\nparameters:\n"
            f"  timeout: {pause}\n  topic: shared\n")


def memory(pid, key):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
    return 0


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def best(function, times):
    return min(function(i) for i in range(times))


def create_to_running(i):
    start = time.monotonic()
    status, doc = call("POST", "/connectors", file(f"quick{i}", "20ms"))
    if status != 201:
        raise SystemExit(f"not ok - create: {status} {doc}")
    until(f"quick{i}", "Running")
    return (time.monotonic() - start) * 1000


def kill_to_running(i):
    before = state(f"quick{i}")["pid"]
    start = time.monotonic()
    os.kill(before, signal.SIGKILL)
    until(f"quick{i}", "Running", pid_not=before)
    return (time.monotonic() - start) * 1000


def listing(_):
    start = time.monotonic()
    status, doc = call("GET", "/connectors?expand=status")
    if status != 200 or len(doc) < COUNT:
        raise SystemExit(f"not ok - list: {status}")
    return (time.monotonic() - start) * 1000


def fill():
    for i in range(COUNT):
        status, doc = call("POST", "/connectors", file(f"idle{i}", "1h"))
        if status != 201:
            raise SystemExit(f"not ok - create: {status} {doc}")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        doc = call("GET", "/connectors?expand=status")[1]
        if all(v["status"]["state"] == "Running" for v in doc.values()):
            return doc
        time.sleep(0.1)
    raise SystemExit("not ok - not all are running: " + str(
        [n for n, v in doc.items() if v["status"]["state"] != "Running"][:5]))


def main():
    global tests
    os.environ.update(HOME=work, PATH=f"{BIN}:{os.environ['PATH']}",
                      FLV_SC_PORT="0", FLV_SPU_PORT="0",
                      FLV_MANAGER_OPTIONS="--no-tcp")
    for name in ("RUST_LOG", "FLV_PROFILE_PATH", "FLUVIO_CLIENT_ID"):
        os.environ.pop(name, None)
    subprocess.run(["fluvio", "cluster", "start"], check=True,
                   stdout=subprocess.DEVNULL)
    try:
        check("create to Running, best of 5", best(create_to_running, 5),
              200 * SLACK, "ms")
        check("kill -9 of a connector to Running, best of 5",
              best(kill_to_running, 5), 300 * SLACK, "ms")
        for i in range(5):
            call("DELETE", f"/connectors/quick{i}")
        start = time.monotonic()
        doc = fill()
        print(f"# {COUNT} connectors in {time.monotonic() - start:.1f} s")
        check("list, best of 5", best(listing, 5), 100 * SLACK, "ms")
        with open(os.path.join(managers, "manager.json")) as f:
            manager = json.load(f)["pid"]
        time.sleep(2)
        used, start = cpu(manager), time.monotonic()
        time.sleep(5)
        share = (cpu(manager) - used) / (time.monotonic() - start) * 100
        check("manager, idle", share, 2, "% of a core")
        check("manager, memory", memory(manager, "Pss"), 20, "MB PSS")
        pids = [v["status"]["pid"] for v in doc.values()]
        check("a connector, the largest", max(memory(p, "Pss") for p in pids),
              5, "MB PSS")
        start = time.monotonic()
        subprocess.run(["fluvio", "cluster", "shutdown"], check=True,
                       stdout=subprocess.DEVNULL)
        check("shutdown of all", time.monotonic() - start, 10 * SLACK, "s")
        left = sum(os.path.exists(f"/proc/{p}") for p in pids)
        check("connectors that outlive it", left, 0, "")
    finally:
        subprocess.run(["fluvio", "cluster", "delete", "--force"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)
    print(f"1..{tests}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
