"""A PostgreSQL server of a script's own: initdb and postgres in a folder,
reachable over a unix socket. It refuses to run as root: then it runs as the
user postgres. find() says whether its programs are here.
"""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

WAIT_S = 60


def find():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else None


class Postgres:
    def __init__(self, folder, *settings):
        """folder is made; settings are as behind `postgres -c`."""
        self.bin, self.folder = find(), folder
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "log")
        self.settings = [word for s in settings for word in ("-c", s)]
        self.child, self.as_user = None, {}
        os.makedirs(folder, exist_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid,
                            "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.open_way(os.path.dirname(folder))
        self.url = f"postgres://pg@/postgres?host={folder}"
        subprocess.run([self.tool("initdb"), "-D", self.data, "-U", "pg", "-A",
                        "trust", "-E", "UTF8", "-N", "--locale=C"], check=True,
                       stdout=subprocess.DEVNULL, **self.as_user)

    @staticmethod
    def open_way(folder):
        """mkdtemp's folders are for their owner alone: let others through."""
        while folder not in ("/", "/tmp"):
            if os.stat(folder).st_uid == os.geteuid():
                os.chmod(folder, os.stat(folder).st_mode | 0o011)
            folder = os.path.dirname(folder)

    def tool(self, name):
        return os.path.join(self.bin, name)

    def is_ready(self):
        return subprocess.run([self.tool("pg_isready"), "-q", "-h",
                               self.folder]).returncode == 0

    def start(self):
        """After a kill the old server's memory may still be in use: again."""
        end = time.monotonic() + WAIT_S
        with open(self.log, "ab") as log:
            while True:
                if self.child is None:
                    self.child = subprocess.Popen(
                        [self.tool("postgres"), "-D", self.data, "-k",
                         self.folder, "-c", "listen_addresses=",
                         *self.settings], stdout=log, stderr=log,
                        **self.as_user)
                if self.is_ready():
                    return
                if self.child.poll() is not None:
                    self.child = None
                if time.monotonic() > end:
                    raise RuntimeError(f"postgres is not ready: {self.log}")
                time.sleep(0.02)

    def kill(self):
        """kill -9 of the server and of all its processes."""
        pids = [self.child.pid]
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat) as f:
                    fields = f.read().rpartition(")")[2].split()
                if int(fields[1]) == self.child.pid:
                    pids.append(int(stat.split("/")[2]))
            except (OSError, ValueError):
                continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()
        self.child = None

    def stop(self):
        if self.child is not None:
            self.child.send_signal(signal.SIGQUIT)
            self.child.wait()
            self.child = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, sql, *options):
        out = subprocess.run(
            [self.tool("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", *options,
             "-d", self.url, "-c", sql], capture_output=True, text=True,
            timeout=WAIT_S * 2)
        if out.returncode != 0:
            raise RuntimeError(f"psql: {sql}: {out.stderr}")
        return out.stdout
