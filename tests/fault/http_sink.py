#!/usr/bin/env python3
"""Records go through http-sink and nginx to an endpoint while connector, server
and endpoint are killed: what the endpoint has on disk is the topic.

    http_sink.py BIN_DIR [ROUNDS]

The endpoint (http_end.py) stores what it takes under its Idempotency-Key before
it answers, and is moody: some requests are answered with 500 or 429, some late,
some not at all after they were stored. nginx in front of it answers 502 while it
is away. Each round waits for records to arrive, and a random moment more, then
kills one program (kill -9) and starts it again.

  records   one request for each record, three partitions, several in flight
  batches   NDJSON, of which the key names the first and the last offset

Throughout, the set of keys is that of the records in the topic, with the values
that are there, and of each partition first occurrences are in order, because
records without a key keep theirs.
"""
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import time

import rig
from rig import BIN, await_true, free_port, listens, report, spawn

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 60
HERE = os.path.dirname(os.path.abspath(__file__))
KEY = re.compile(r"^([a-z]+)/(\d+)/(\d+)(?:-(\d+))?$")


class Nginx:
    """In front of the endpoint; lives throughout."""

    def __init__(self, behind):
        self.port = free_port()
        folder = os.path.join(rig.work, "nginx")
        os.mkdir(folder)
        self.conf = os.path.join(folder, "nginx.conf")
        with open(self.conf, "w") as f:
            f.write(f"""daemon off; master_process off; error_log error.log;
pid nginx.pid; events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;
fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
keepalive_requests 1000000;
upstream end {{ server 127.0.0.1:{behind} max_fails=0; keepalive 32; }}
server {{ listen 127.0.0.1:{self.port}; client_max_body_size 16m;
location / {{ proxy_pass http://end; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_next_upstream off; }} }} }}
""")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.child = spawn([program, "-p", folder, "-e", "error.log", "-c",
                            self.conf], "nginx.log")
        await_true("nginx listens", lambda: listens(self.port),
                   detail=lambda: rig.tail("nginx.log"))


class Endpoint:
    def __init__(self):
        self.port = free_port()
        self.file = None
        self.child = None

    def start(self):
        self.child = spawn([sys.executable, os.path.join(HERE, "http_end.py"),
                            str(self.port), self.file, "moody"], "end.log")
        await_true("the endpoint listens", lambda: listens(self.port),
                   detail=lambda: rig.tail("end.log"))

    def kill(self):
        rig.kill(self.child)

    def size(self):
        return os.path.getsize(self.file) if os.path.exists(self.file) else 0

    def lines(self):
        try:
            with open(self.file) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []


class Connector:
    def __init__(self, name, port, *options):
        self.log = f"connector-{name}.log"
        self.argv = [
            os.path.join(BIN, "fluvio-connect-http-sink"),
            f"--fluvio-topic={name}", f"--consumer={name}",
            f"--endpoint=http://127.0.0.1:{port}/in", "--backoff-min=10ms",
            "--backoff-max=100ms", "--http-request-timeout=5s", *options]
        self.child = None

    def start(self):
        self.child = spawn(self.argv, self.log)

    def revive(self):
        """One that was started while the server was down has said so and
        ended, as every connector does; a supervisor starts it again."""
        code = self.child.poll()
        if code is not None:
            if "no Fluvio cluster answers" not in rig.tail(self.log, 3):
                raise RuntimeError(f"the connector ends with {code}: "
                                   + rig.tail(self.log))
            rig.children.remove(self.child)
            self.start()

    def kill(self):
        rig.kill(self.child)

    def stop(self):
        self.child.terminate()
        return self.child.wait(rig.WAIT_S)


class Phase:
    def __init__(self, name, server, end, nginx, *options):
        self.name, self.server, self.end = name, server, end
        made = rig.fluvio("topic", "create", name, "-p", "3")
        if made.returncode != 0:
            raise RuntimeError(made.stderr.decode() + rig.tail())
        end.file = os.path.join(rig.work, name + ".keys")
        end.start()
        self.connector = Connector(name, nginx.port, *options)
        self.connector.start()
        self.made = 0
        self.killed = []

    def produce(self, count):
        lines = "".join(f"{self.made + i}\n" for i in range(count))
        self.made += count
        done = subprocess.run(
            [os.path.join(BIN, "fluvio"), "produce", self.name],
            input=lines.encode(), env=rig.env, capture_output=True,
            timeout=rig.WAIT_S * 4)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode() + rig.tail())

    def round(self):
        before = self.end.size()
        self.produce(random.randint(5, 60))

        def arrives():
            self.connector.revive()
            return self.end.size() > before
        await_true("records arrive", arrives,
                   detail=lambda: rig.tail(self.connector.log))
        time.sleep(random.uniform(0.0, 0.15))  # the moment is the test
        victim = random.choice([self.connector, self.server, self.end])
        victim.kill()
        victim.start()
        self.killed.append(victim)

    def topic(self):
        out = rig.fluvio("consume", self.name, "-B", "-d", "-F",
                         "{{partition}} {{offset}} {{value}}")
        if out.returncode != 0:
            raise RuntimeError(out.stderr.decode() + rig.tail())
        rows = {}
        for line in out.stdout.decode().splitlines():
            partition, offset, value = line.split(" ", 2)
            rows[int(partition), int(offset)] = value
        return rows

    def taken(self):
        """((partition, offset), value) in the order of the endpoint, and how
        many requests it had had before."""
        found, again = [], 0
        for line in self.end.lines():
            key, _, body = line.partition(" ")
            if key == "again":
                again += 1
                continue
            name, partition, first, last = KEY.match(key).groups()
            if name != self.name:
                raise AssertionError(f"{key} is not of {self.name}")
            values = body.rstrip("|").split("|") if last else [body.rstrip("|")]
            offsets = range(int(first), int(last or first) + 1)
            if len(values) != len(offsets):
                raise AssertionError(f"{key} has {len(values)} values")
            found += [((int(partition), o), v)
                      for o, v in zip(offsets, values)]
        return found, again

    def finish(self):
        rows = self.topic()
        report(len(rows) == self.made,
               f"{self.name}: all {self.made} records are in the topic",
               f"{len(rows)} are")

        def all_here():
            self.connector.revive()
            return {place for place, _ in self.taken()[0]} >= set(rows)
        try:
            # As long as it goes on: what waits is more after more rounds.
            behind = -1
            while behind < self.end.size():
                behind = self.end.size()
                select.select([], [], [], 0 if all_here() else 1)
            await_true("everything arrives", all_here)
            # The last one may be about to start, and ask for it all again.
            await_true("the positions reach the ends",
                       lambda: self.connector.revive() or
                       self.positions() == self.ends(rows))
        except RuntimeError as late:
            print(f"# {late}")
        taken, again = self.taken()
        print(f"# {self.name}: {len(rows)} records, {again} requests known, "
              f"{len(taken) - len(rows)} records in other batches, killed "
              f"{sum(v is self.connector for v in self.killed)} connectors, "
              f"{sum(v is self.server for v in self.killed)} servers, "
              f"{sum(v is self.end for v in self.killed)} endpoints")
        places = {place for place, _ in taken}
        report(places == set(rows), f"{self.name}: the keys are the topic",
               f"{len(set(rows) - places)} missing, "
               f"{len(places - set(rows))} of nowhere, e.g. "
               f"{sorted(places ^ set(rows))[:5]}")
        wrong = [p for p, v in taken if rows.get(p, v) != v]
        report(not wrong, f"{self.name}: every value is the record's",
               str(wrong[:5]))
        self.check_order(taken)
        code = self.connector.stop()
        report(code == 0, f"{self.name}: SIGTERM ends the connector with 0",
               rig.tail(self.connector.log))
        kept, ends = self.positions(), self.ends(rows)
        report(kept == ends, f"{self.name}: the positions are the ends",
               f"{kept} and {ends}")
        self.end.kill()

    def check_order(self, taken):
        seen, highest, wrong = set(), {}, []
        for place, _ in taken:
            if place in seen:
                continue
            seen.add(place)
            partition, offset = place
            if offset < highest.get(partition, 0):
                wrong.append(place)
            highest[partition] = offset
        report(not wrong, f"{self.name}: first occurrences are in order",
               str(wrong[:5]))

    def positions(self):
        out = rig.fluvio("consumer", "list", "-O", "json").stdout
        return {c["partition"]: c["offset"] for c in json.loads(out)
                if c["topic"] == self.name}

    @staticmethod
    def ends(rows):
        return {p: o for p, o in sorted(rows)}


def main():
    random.seed(rig.SEED)
    print(f"# seed {rig.SEED}, {ROUNDS} rounds")
    server, end = rig.Server(), Endpoint()
    server.start()
    nginx = Nginx(end.port)
    for name, options in (("records", ["--in-flight=8"]),
                          ("batches", ["--format=ndjson",
                                       "--batch-records=50"])):
        phase = Phase(name, server, end, nginx, *options)
        for _ in range(ROUNDS // 2):
            phase.round()
        phase.finish()
    report(server.stop() == 0, "SIGTERM ends the server with 0")


rig.run(main, "HTTP sink under kills")
