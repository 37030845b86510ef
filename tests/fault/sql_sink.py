#!/usr/bin/env python3
"""Rows are the topic, exactly, whatever is killed.

    sql_sink.py BIN_DIR [ROUNDS]

A producer writes numbered inserts to a topic and never stops. Two connectors
apply them, to PostgreSQL and to SQLite: plain inserts into a table without a
key, so that a record that was applied twice would be there twice. Each round
waits until both have gone on, and a random moment more, then kills (kill -9)
one of: a connector, fluvio-server, PostgreSQL with all its processes, or a
connector and its database together.

Throughout, the rows are the numbers of the topic, each once. Then, as far as
this machine permits it: a database on a disk that is full goes on when there
is room again, and two connectors under one name apply nothing twice.
"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import rig
from rig import BIN, Load, await_true, report, spawn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "programs"))
import postgres  # noqa: E402

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 60
HEAD = ('{"Insert":{"table":"%s","values":[{"column":"n","raw_value":"')
TAIL = ('","type":"BigInt"},{"column":"t","raw_value":"text","type":"Text"}]}}')
COLUMNS = "(n BIGINT, t TEXT)"


class PostgresDb:
    name = "pg"

    def __init__(self):
        self.server = postgres.Postgres(os.path.join(rig.work, "pg"),
                                        "shared_buffers=16MB")
        self.server.start()
        self.url = self.server.url

    def ask(self, sql):
        return [line.split("|") for line in
                self.server.psql(sql).splitlines()]


class SqliteDb:
    name = "sqlite"

    def __init__(self, path=None):
        self.path = path or os.path.join(rig.work, "data.db")
        self.url = "sqlite://" + self.path
        sqlite3.connect(self.path).close()

    def ask(self, sql):
        db = sqlite3.connect(self.path, timeout=rig.WAIT_S)
        with db:
            rows = [list(map(str, r)) for r in db.execute(sql)]
        db.close()
        return rows


class Sink:
    def __init__(self, topic, db, *options, log=None):
        self.topic, self.db = topic, db
        self.log = log or f"sink-{db.name}.log"
        self.argv = [os.path.join(BIN, "fluvio-connect-sql-sink"),
                     f"--fluvio-topic={topic}", f"--url={db.url}",
                     f"--consumer={db.name}", "--backoff-min=20ms",
                     "--backoff-max=200ms", *options]
        self.child = None

    def start(self):
        self.child = spawn(self.argv, self.log)

    def kill(self):
        rig.kill(self.child)

    def revive(self):
        """Without a server to speak to at its start a connector ends."""
        if self.child.poll() is not None:
            rig.children.remove(self.child)
            self.start()

    def stop(self):
        self.child.terminate()
        return self.child.wait(rig.WAIT_S)

    def position(self):
        """-1: not known, the database may be away."""
        try:
            rows = self.db.ask("SELECT next_offset FROM fluvio_position "
                               f"WHERE consumer = '{self.db.name}' AND "
                               f"topic = '{self.topic}'")
        except (RuntimeError, sqlite3.Error):
            return -1
        return int(rows[0][0]) if rows else -1

    def has_moved(self, beyond):
        self.revive()
        return self.position() > beyond


def numbers(db, table):
    return [int(n) for n, in db.ask(f"SELECT n FROM {table} ORDER BY n")]


def judge(name, have, want):
    missing = len(want) - len(set(have))
    twice = len(have) - len(set(have))
    report(have == want, f"{name}: the {len(want)} rows are the topic, each "
           "once", f"{missing} missing, {twice} twice, of {len(have)}")


def produce(topic):
    return Load([os.path.join(BIN, "kill9-load"), topic,
                 HEAD % topic, TAIL], f"load-{topic}.log")


def flows(load):
    """A producer whose acknowledgements nobody takes would stand still."""
    load.drain()
    return True


def kill_at_random(server, dbs, sinks, load):
    """One round; returns what was killed."""
    pg, pair = dbs[0].server, dict(zip(("pg", "sqlite"), sinks))
    what = random.choice(("pg sink", "sqlite sink", "server", "postgres",
                          "postgres and its sink", "both sinks"))
    if what == "server":
        server.kill()
        server.start()
    if "postgres" in what:
        pg.kill()
    for name, sink in pair.items():
        if what in (f"{name} sink", "both sinks") or (
                name == "pg" and what == "postgres and its sink"):
            sink.revive()
            sink.kill()
            sink.start()
    if "postgres" in what:
        pg.start()
    load.drain()
    return what


def under_kills(server, dbs):
    for db in dbs:
        db.ask(f"CREATE TABLE kills {COLUMNS}")
    rig.create_topic("kills")
    load = produce("kills")
    sinks = [Sink("kills", db) for db in dbs]
    for sink in sinks:
        sink.start()
    killed = {}
    for _ in range(ROUNDS):
        before = [s.position() for s in sinks]
        load.wait_acks(1)
        for sink, was in zip(sinks, before):
            await_true(f"the sink to {sink.db.name} goes on",
                       lambda: sink.has_moved(was),
                       detail=lambda: rig.tail(sink.log))
        time.sleep(random.uniform(0.0, 0.15))
        what = kill_at_random(server, dbs, sinks, load)
        killed[what] = killed.get(what, 0) + 1
    code = load.finish()
    report(code == 0, "the producer ends well", f"exit {code}")
    print("# killed: " + ", ".join(f"{n} x {w}" for w, n in killed.items()))
    end = len(load.acked)
    for sink in sinks:
        await_true("everything is applied",
                   lambda: sink.has_moved(end - 1), rig.WAIT_S * 4,
                   detail=lambda: f"{sink.position()} of {end}; "
                   + rig.tail(sink.log))
        code = sink.stop()
        report(code == 0, f"{sink.db.name}: SIGTERM ends the connector with 0",
               rig.tail(sink.log))
        judge(f"{sink.db.name}, {ROUNDS} kills",
              numbers(sink.db, "kills"), list(range(end)))


def two_instances(dbs):
    """The one that came later goes on; the other is told and ends."""
    for db in dbs:
        topic = f"twins{db.name}"
        db.ask(f"CREATE TABLE {topic} {COLUMNS}")
        rig.create_topic(topic)
        load = produce(topic)
        first = Sink(topic, db, log=f"first-{db.name}.log")
        second = Sink(topic, db, log=f"second-{db.name}.log")
        first.start()
        await_true("the first goes on",
                   lambda: flows(load) and first.has_moved(0))
        second.start()
        await_true("the first ends", lambda: flows(load) and
                   first.child.poll() is not None,
                   detail=lambda: rig.tail(first.log))
        code = first.child.returncode
        rig.children.remove(first.child)
        report(code == 1 and "no longer this instance's" in
               rig.tail(first.log), f"{db.name}: an instance is told that a "
               "later one has its position", rig.tail(first.log))
        load.finish()
        await_true("the second goes on to the end",
                   lambda: second.has_moved(len(load.acked) - 1),
                   detail=lambda: rig.tail(second.log))
        second.stop()
        judge(f"{db.name}, two instances", numbers(db, topic),
              list(range(len(load.acked))))


def mount(folder, size):
    os.makedirs(folder)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                           "tmpfs", folder], capture_output=True,
                          check=False).returncode == 0


def skipped(name, why):
    rig.tests.append(True)
    print(f"ok {len(rig.tests)} - {name} # skip {why}")


def full_disk(pg):
    """A table of PostgreSQL on a small disk, then a whole database of SQLite."""
    names = [f"{db}: a full disk holds the sink, and room lets it go on"
             for db in ("pg", "sqlite")]
    for name, make in zip(names, (lambda f: small_table(pg, f), small_file)):
        folder = os.path.join(rig.work, "small-" + name.split(":")[0])
        if os.geteuid() != 0:
            skipped(name, "mounting needs root")
        elif not mount(folder, "8m"):
            skipped(name, "mounting is not permitted here")
        else:
            try:
                fill_and_clear(name, folder, *make(folder))
            finally:
                subprocess.run(["umount", "-l", folder], check=False)


def small_table(pg, folder):
    place = os.path.join(folder, "tablespace")
    os.mkdir(place)
    os.chown(place, pg.server.as_user["user"], pg.server.as_user["group"])
    pg.server.psql(f"CREATE TABLESPACE small LOCATION '{place}'")
    pg.ask(f"CREATE TABLE fullpg {COLUMNS} TABLESPACE small")
    return pg, "fullpg", "No space left on device"


def small_file(folder):
    db = SqliteDb(os.path.join(folder, "data.db"))
    db.ask(f"CREATE TABLE fullsqlite {COLUMNS}")
    return db, "fullsqlite", "full"


def fill_and_clear(name, folder, db, table, said):
    rig.create_topic(table)
    sink = Sink(table, db, log=table + ".log")
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb") as f:
        f.write(b"x" * (7 << 20))
    load = produce(table)
    sink.start()
    await_true("the disk is full",
               lambda: flows(load) and said in rig.tail(sink.log, 200),
               detail=lambda: rig.tail(sink.log))
    load.finish()
    os.unlink(ballast)
    subprocess.run(["mount", "-o", "remount,size=256m", folder], check=True)
    await_true("it goes on", lambda: sink.has_moved(len(load.acked) - 1),
               detail=lambda: rig.tail(sink.log))
    sink.stop()
    have = numbers(db, table)
    report(have == list(range(len(load.acked))), name,
           f"{len(have)} rows of {len(load.acked)}")
    if table == "fullpg":
        db.server.psql("DROP TABLE fullpg")
        db.server.psql("DROP TABLESPACE small")


def main():
    if postgres.find() is None:
        raise RuntimeError("PostgreSQL is not installed: scripts/bootstrap "
                           "test")
    random.seed(rig.SEED)
    print(f"# seed {rig.SEED}, {ROUNDS} rounds")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    server = rig.Server()
    server.start()
    dbs = [PostgresDb(), SqliteDb()]
    try:
        under_kills(server, dbs)
        two_instances(dbs)
        full_disk(dbs[0])
        report(server.stop() == 0, "SIGTERM ends the server with 0")
    finally:
        dbs[0].server.stop()


rig.run(main, "SQL sink under kills")
