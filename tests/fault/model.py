#!/usr/bin/env python3
"""Random verbs and faults against the real manager and a model of it.

    model.py BIN_DIR STEPS [SEED]

Each step is one verb (create, update, pause, resume, restart, delete) or one
fault (kill a connector, stop it with SIGSTOP, kill the manager, kill the
server, fill the disk). A small reference says which states each connector may
be in; the manager has to agree within a second, each time. After every step: no
name runs twice, nothing deleted lives, nothing is lost, no counter has fallen.

The second is one of a machine that has time for us: what a thread of this
script that does nothing but sleep overslept meanwhile does not count. Nothing
else is excluded; these states are wider than one word, because what
lies between them is shorter than a question and its answer:
  - one that ends at once and is started again is Retrying or Running;
  - without the server, or on a full disk, a connector is Retrying or Stalled,
    by what it had under way; one that has to start just then (a new process,
    `restart: never`) may have Failed, and stays so;
  - a finite source that is disturbed is wherever it had come to.

The disk is filled where the data can be on a small file system of its own:
FLV_MODEL_DISK, which model.sh makes where it may.
"""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "programs"))
from ports import free_ports  # noqa: E402

BIN = os.path.abspath(sys.argv[1])
STEPS = int(sys.argv[2])
SEED = sys.argv[3] if len(sys.argv) > 3 and sys.argv[3] else \
    str(random.SystemRandom().randrange(10 ** 9))
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = float(os.environ.get("FLV_AGREE_S", "1"))
DISK = os.environ.get("FLV_MODEL_DISK", "")
# A machine that does other things, too, may be late; once.
GRACE = float(os.environ.get("FLV_GRACE_S", "20"))
NAMES = ["c0", "c1", "c2", "c3", "c4", "c5"]
KINDS = ["flow", "flow", "flow", "count", "hang", "deaf", "exit0", "exit3",
         "flood", "orphan"]
COUNTERS = ["in", "passed", "out", "acked"]

rand = random.Random(SEED)
work = tempfile.mkdtemp(prefix="fluvio-model.",
                        dir=DISK or os.environ.get("TMPDIR"))
data = os.path.join(work, ".fluvio", "data")
managers = os.path.join(data, "manager")
types = os.path.join(work, "types")
late = 0


class Wrong(Exception):
    """The manager and the model disagree."""


# ---- The outside ------------------------------------------------------------

class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.path.join(managers, "manager.sock"))


def call(method, route, body=None, limit=30):
    """Status and document; a manager that is just coming back is waited for."""
    end = time.monotonic() + limit
    while True:
        conn = Unix("manager", timeout=limit)
        try:
            conn.request(method, route, body)
            answer = conn.getresponse()
            text = answer.read().decode()
            status = answer.status
        except (OSError, http.client.HTTPException):
            status = 503
            text = ""
        finally:
            conn.close()
        if status != 503 or time.monotonic() > end:
            kind = answer.getheader("Content-Type", "") if text else ""
            return status, json.loads(text) if "json" in kind else text
        time.sleep(0.02)


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Wrong(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout}")


def lock_pid(path):
    try:
        with open(path) as f:
            return int(f.readline() or 0)
    except (OSError, ValueError):
        return 0


def connector_pid(name):
    return lock_pid(os.path.join(managers, "run", name + ".lock"))


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def gone(pid):
    """Waits until the kernel has buried it; it holds its locks until then."""
    end = time.monotonic() + GRACE
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        time.sleep(0.01)


def processes():
    """pid -> (name of the connector, session) of all that belong to one."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            session = os.getsid(int(entry))
        except (OSError, ProcessLookupError):
            continue
        for word in words:
            text = word.decode(errors="replace")
            if text.startswith(os.path.join(managers, "run") + "/") and \
                    text.endswith(".yml"):
                found[int(entry)] = (os.path.basename(text)[:-4], session)
    return found


def holders(name):
    """Everybody who has the lock of a connector open."""
    path = os.path.join(managers, "run", name + ".lock")
    try:
        want = os.stat(path)
    except OSError:
        return set()
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            for fd in os.listdir(f"/proc/{entry}/fd"):
                st = os.stat(f"/proc/{entry}/fd/{fd}")
                if (st.st_dev, st.st_ino) == (want.st_dev, want.st_ino):
                    found.add(int(entry))
        except OSError:
            continue
    return found


class Sleeper(threading.Thread):
    """Sleeps all the time, and sums up how much longer than it wanted."""
    NAP = 0.005

    def __init__(self):
        super().__init__(daemon=True)
        self.overslept = 0.0

    def run(self):
        while True:
            start = time.monotonic()
            time.sleep(self.NAP)
            self.overslept += max(0, time.monotonic() - start - self.NAP)


sleeper = Sleeper()


# ---- The model --------------------------------------------------------------

class Connector:
    def __init__(self, name, kind, restart):
        self.name, self.kind, self.restart = name, kind, restart
        self.paused = self.frozen = self.over = False
        self.generation = 1
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.restarts = 0

    def file(self):
        mode = f"  mode: {self.kind}\n"
        type = "odd"
        if self.kind in ("flow", "count"):
            type = "test-connector"
            mode = "  timeout: 20ms\n"
            if self.kind == "count":
                mode += "  count: 3\n"
        return (f"version: latest\nname: {self.name}\ntype: {type}\n"
                f"topic: {self.name}\ncreate_topic: true\n"
                f"restart: {self.restart}\nparameters:\n{mode}"
                f"# generation {self.generation}\n")

    def ends(self):
        """How a run of it ends by itself: True well, False badly, None not."""
        return {"count": True, "exit0": True, "exit3": False,
                "orphan": False}.get(self.kind)

    def may_be(self, server_up, disk_full=False):
        if self.over:
            return self.over
        if self.paused:
            # One that has ended for good before the pause came stays so.
            return {"Paused"} if not self.frozen else {"Paused", "Stalled"}
        if self.frozen:
            return {"Stalled"}
        end = self.ends()
        if disk_full:
            return self.on_full_disk()
        if self.kind == "count" and not server_up:
            return {"Retrying", "Stalled", "Completed", "Creating", "Running",
                    "Failed"}
        if end is None:
            if self.kind == "flow" and not server_up:
                return {"Retrying", "Stalled"} if self.restart != "never" \
                    else {"Retrying", "Stalled", "Failed"}
            return {"Running"}
        if self.restart == "always":
            # Between two starts, or for a moment in one.
            return {"Retrying", "Running"}
        if end:
            return {"Completed"}
        return {"Failed"} if self.restart == "never" else \
            {"Retrying", "Running"}


    def on_full_disk(self):
        """A record may still fit; a process that lives goes on; a start that
        comes just then fails."""
        if self.kind in ("hang", "deaf", "flood"):
            return {"Running", "Retrying", "Failed"}
        if self.kind == "flow" and self.restart != "never":
            return {"Running", "Retrying", "Stalled"}
        return {"Running", "Retrying", "Stalled", "Completed", "Failed",
                "Creating"}


class World:
    def __init__(self):
        self.all = {}
        self.server_up = True
        self.disk_full = False
        self.verbs = {}

    # ---- Verbs

    def expect(self, got, *wanted):
        if got[0] not in wanted:
            raise Wrong(f"answered {got}, not {wanted}")

    def create(self, name):
        c = Connector(name, rand.choice(KINDS),
                      rand.choice(["on-failure", "on-failure", "always",
                                   "never"]))
        got = call("POST", "/connectors", c.file())
        if name in self.all:
            self.expect(got, 409)
        else:
            self.expect(got, 201)
            self.all[name] = c

    def update(self, name):
        old = self.all.get(name)
        c = Connector(name, rand.choice(KINDS), "on-failure")
        c.generation = old.generation + 1 if old else 1
        got = call("PUT", f"/connectors/{name}/config?create=false", c.file())
        if old is None:
            self.expect(got, 404)
            return
        self.expect(got, 200)
        c.paused, c.counters, c.restarts = old.paused, old.counters, old.restarts
        self.all[name] = c

    def pause(self, name):
        got = call("PUT", f"/connectors/{name}/pause")
        self.expect(got, 202 if name in self.all else 404)
        if name in self.all:
            self.paused(self.all[name], True)

    def paused(self, c, paused):
        """Its pause, or the end of it, was accepted."""
        state = self.state(c.name)
        if c.paused and not paused:
            c.over = False
        elif paused and state in ("Completed", "Failed"):
            c.over = {state}
        c.paused = paused

    def resume(self, name):
        got = call("PUT", f"/connectors/{name}/resume")
        self.expect(got, 202 if name in self.all else 404)
        if name in self.all:
            self.paused(self.all[name], False)

    def restart(self, name):
        got = call("POST", f"/connectors/{name}/restart")
        self.expect(got, 204 if name in self.all else 404)
        if name in self.all:
            c = self.all[name]
            c.frozen = c.over = False

    def delete(self, name):
        got = call("DELETE", f"/connectors/{name}")
        self.expect(got, 204 if name in self.all else 404)
        self.all.pop(name, None)

    # ---- Faults

    def kill_connector(self, name):
        c = self.all.get(name)
        pid = connector_pid(name)
        if c is None or pid == 0 or name not in \
                {n for n, _ in processes().values()}:
            return
        kill(pid, signal.SIGKILL)
        c.frozen = False
        if c.restart == "never" and not c.paused:
            c.over = {"Failed", "Completed"}

    def freeze_connector(self, name):
        c = self.all.get(name)
        if c is None or c.kind != "flow" or c.paused or c.over or \
                not self.server_up or self.state(name) != "Running":
            return
        kill(connector_pid(name), signal.SIGSTOP)
        c.frozen = True

    def thaw_connector(self, name):
        c = self.all.get(name)
        if c is not None and c.frozen:
            kill(connector_pid(name), signal.SIGCONT)
            c.frozen = False

    def kill_manager(self, _):
        with open(os.path.join(managers, "manager.json")) as f:
            kill(json.load(f)["pid"], signal.SIGKILL)

    def kill_server(self, _):
        """With its guard, which would bring it back at once."""
        pid = lock_pid(os.path.join(data, "lock"))
        with open(os.path.join(data, "server.json")) as f:
            guard = json.load(f).get("guard", 0)
        if guard:
            kill(guard, signal.SIGKILL)
        kill(pid, signal.SIGKILL)
        gone(pid)
        self.server_up = False
        self.settle()
        run("fluvio", "cluster", "start")
        self.server_up = True
        self.note_failed()
        self.settle()

    def note_failed(self):
        """Those that had to start just then and must not be started again."""
        for c in self.all.values():
            if c.restart == "never" and not c.paused and \
                    self.state(c.name) == "Failed":
                c.over = {"Failed"}

    def fill_disk(self, name):
        """Fills it, tries a verb or two, and makes room again."""
        filler = os.path.join(work, "filler")
        with open(filler, "wb", buffering=0) as f:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    continue
        self.disk_full = True
        self.settle()
        # Refused and nothing changed; or a page that was there had room.
        c = self.all.get(name)
        if c is None:
            new = Connector(name, "hang", "always")
            got = call("POST", "/connectors", new.file(), limit=1)
            self.expect(got, 507, 201, 400, 503)
            if got[0] == 201:
                self.all[name] = new
        else:
            verb = "resume" if c.paused else "pause"
            got = call("PUT", f"/connectors/{name}/{verb}")
            self.expect(got, 507, 202)
            if got[0] == 202:
                self.paused(c, not c.paused)
        with open(filler, "r+b") as f:
            f.truncate(0)
        os.unlink(filler)
        self.disk_full = False
        self.note_failed()
        self.settle()

    # ---- What has to hold

    def state(self, name):
        status, doc = call("GET", f"/connectors/{name}/status")
        return doc["state"] if status == 200 else status

    def differences(self):
        status, doc = call("GET", "/connectors?expand=status")
        if status != 200:
            return [f"GET /connectors: {status}"]
        wrong = []
        if set(doc) != set(self.all):
            wrong.append(f"there are {sorted(doc)}, not {sorted(self.all)}")
        for name in set(doc) & set(self.all):
            s, c = doc[name]["status"], self.all[name]
            may = c.may_be(self.server_up, self.disk_full)
            if s["state"] not in may:
                wrong.append(f"{name} ({c.kind}, {c.restart}"
                             f"{', paused' if c.paused else ''}) is "
                             f"{s['state']} ({s['reason']}), not {may}")
            for k in COUNTERS:
                if s["counters"][k] < c.counters[k]:
                    raise Wrong(f"{name}: {k} fell from {c.counters[k]} to "
                                f"{s['counters'][k]}")
                c.counters[k] = s["counters"][k]
            if s["restarts"] < c.restarts:
                raise Wrong(f"{name}: restarts fell from {c.restarts} to "
                            f"{s['restarts']}")
            c.restarts = s["restarts"]
        return wrong

    def settle(self):
        global late
        start, lost = time.monotonic(), sleeper.overslept
        wrong = last = self.differences()
        while wrong:
            time.sleep(0.02)
            last = wrong
            wrong = self.differences()
            if time.monotonic() - start > GRACE:
                raise Wrong("; ".join(wrong))
        took = time.monotonic() - start
        lost = sleeper.overslept - lost
        if took > LIMIT:
            late += took - lost > LIMIT
            print(f"# {self.last}: agreed after {took:.2f} s, {lost:.2f} s of "
                  f"them the machine's; at last: {'; '.join(last)}", flush=True)

    def check_processes(self):
        by_name = {}
        for pid, (name, session) in processes().items():
            by_name.setdefault(name, set()).add(session)
        for name, sessions in by_name.items():
            if len(sessions) > 1:
                # One that is being replaced may be seen for a moment.
                time.sleep(0.2)
                again = {s for n, s in processes().values() if n == name}
                if len(again & sessions) > 1:
                    raise Wrong(f"{name} runs twice: sessions {again}")
            if name not in self.all:
                raise Wrong(f"{name} lives although it was deleted")

    def step(self, number):
        verbs = [(6, self.create), (3, self.update), (3, self.pause),
                 (4, self.resume), (3, self.restart), (3, self.delete),
                 (4, self.kill_connector), (2, self.freeze_connector),
                 (2, self.thaw_connector), (2, self.kill_manager),
                 (1, self.kill_server)] + \
            ([(1, self.fill_disk)] if DISK else [])
        verb = rand.choices([v for _, v in verbs], [w for w, _ in verbs])[0]
        name = rand.choice(NAMES)
        self.last = f"step {number}: {verb.__name__} {name}"
        if os.environ.get("FLV_VERBOSE"):
            print("#", self.last, flush=True)
        self.verbs[verb.__name__] = self.verbs.get(verb.__name__, 0) + 1
        verb(name)
        self.settle()
        self.check_processes()


def prepare():
    os.mkdir(types)
    os.symlink(os.path.join(HERE, "..", "programs", "odd.sh"),
               os.path.join(types, "fluvio-connect-odd"))
    os.environ.update(HOME=work, PATH=f"{types}:{BIN}:{os.environ['PATH']}",
                      FLV_MANAGER_OPTIONS="--backoff-min 20ms --backoff-max "
                      "150ms --healthy-after 2s --drain-max 300ms --term-max "
                      "200ms --ping 100ms --silence-max 400ms --log-max 64KiB "
                      "--log-files 2 --no-tcp")
    for name in ("RUST_LOG", "FLV_PROFILE_PATH", "FLUVIO_CLIENT_ID"):
        os.environ.pop(name, None)
    # A server that comes back does so where it was.
    sc, spu = free_ports(2)
    os.environ.update(FLV_SC_PORT=str(sc), FLV_SPU_PORT=str(spu))
    run("fluvio", "cluster", "start")


def finish(world):
    names = sorted(world.all)
    for name in names:
        world.delete(name)
    world.check_processes()
    left = [f for f in os.listdir(os.path.join(managers, "run"))
            if f != "profile"]
    left += os.listdir(os.path.join(managers, "log"))
    if left:
        raise Wrong(f"left behind: {left}")


def keep():
    """Where to look afterwards: a disk of our own is gone with us."""
    if not DISK:
        return work
    kept = tempfile.mkdtemp(prefix="fluvio-model.")
    subprocess.run(["cp", "-a", os.path.join(data, "manager"),
                    os.path.join(work, ".fluvio", "log"), kept],
                   stderr=subprocess.DEVNULL)
    return kept


def main():
    print("1..3", flush=True)
    print(f"# seed {SEED}, {STEPS} steps"
          f"{', disk of its own' if DISK else ''}", flush=True)
    world = World()
    world.last = "start"
    ok = False
    start = time.monotonic()
    sleeper.start()
    try:
        prepare()
        for number in range(1, STEPS + 1):
            world.step(number)
        ok = True
        print(f"ok 1 - manager and model agree over {STEPS} random steps")
        print(f"# {time.monotonic() - start:.0f} s; " + ", ".join(
            f"{v} {n}" for n, v in sorted(world.verbs.items())))
        print(f"{'ok' if late == 0 else 'not ok'} 2 - they agree within "
              f"{LIMIT:g} s, each time (late: {late})")
        if not DISK:
            print("# the disk was not filled: no small file system can be "
                  "mounted here (neither root nor user namespaces)")
        finish(world)
        print("ok 3 - nothing of a deleted connector is left")
    except Wrong as wrong:
        print(f"not ok - {world.last}: {wrong}")
        print(f"# repeat with FLV_SEED={SEED}; kept {keep()}")
        ok = False
    finally:
        subprocess.run(["fluvio", "cluster", "shutdown"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for pid, (name, _) in processes().items():
            kill(pid, signal.SIGKILL)
    if ok:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
