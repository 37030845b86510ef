"""The rows of bench/run about sql-sink: the same records as rows of
PostgreSQL, through the connector, and as INSERT statements of 1,000 rows that
psql sends, each in a transaction of its own.

    bench/sql.py [RECORDS]     that alone
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ours import BIN, ROOT, Server, cpu_s

sys.path.insert(0, os.path.join(ROOT, "tests", "programs"))
import postgres  # noqa: E402

TEXT = "a line of text that is neither long nor short, as many are"
TABLE = ("CREATE TABLE %s (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, "
         "value DOUBLE PRECISION, at TIMESTAMP, txt TEXT)")
BATCH = 1000


def values(i):
    return (i, i % 97, f"{i / 8}", f"2026-01-31 {i % 24:02}:{i % 60:02}:00",
            f"{TEXT} {i}")


def record(table, i):
    names = (("id", "Int"), ("device", "Int"), ("value", "DoublePrecision"),
             ("at", "Timestamp"), ("txt", "Text"))
    cells = ",".join(
        f'{{"column":"{name}","raw_value":"{value}","type":"{kind}"}}'
        for (name, kind), value in zip(names, values(i)))
    return f'{{"Insert":{{"table":"{table}","values":[{cells}]}}}}\n'


def statements(path, table, count):
    with open(path, "w") as f:
        for start in range(0, count, BATCH):
            rows = ",".join("(%d,%d,%s,'%s','%s')" % values(i)
                            for i in range(start, min(start + BATCH, count)))
            f.write(f"INSERT INTO {table} (id,device,value,at,txt) "
                    f"VALUES {rows};\n")


def wait_count(pg, table, count):
    """The connector's own table tells without counting."""
    while True:
        got = pg.psql("SELECT coalesce(max(next_offset), 0) FROM "
                      f"fluvio_position WHERE topic = '{table}'").strip()
        if int(got) >= count:
            return
        time.sleep(0.05)


def pss_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def through_sink(pg, address, table, count):
    env = {**os.environ, "FLV_PROFILE_PATH": "/nonexistent"}
    sink = subprocess.Popen(
        [os.path.join(BIN, "fluvio-connect-sql-sink"), f"--url={pg.url}",
         f"--fluvio-topic={table}", f"--cluster={address}"], env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begin = time.monotonic()
    while pg.psql("SELECT to_regclass('fluvio_position')").strip() == "":
        time.sleep(0.005)
    wait_count(pg, table, count)
    took = time.monotonic() - begin
    memory, cpu = pss_mb(sink.pid), cpu_s(sink.pid)
    sink.send_signal(signal.SIGTERM)
    sink.wait()
    return count / took, memory, cpu / count * 1e6


def measure(address, folder, row, count=200000):
    """address: of a fluvio-server; folder: on the disk to be measured."""
    if postgres.find() is None:
        return
    work = tempfile.mkdtemp(prefix="bench-pg.", dir=folder)
    pg = postgres.Postgres(os.path.join(work, "pg"))
    env = {**os.environ, "FLV_PROFILE_PATH": "/nonexistent"}
    fluvio = [os.path.join(BIN, "fluvio"), "-c", address]
    table = "rowssink"
    try:
        pg.start()
        for name in (table, "rowsplain"):
            pg.psql(TABLE % name)
        subprocess.run([*fluvio, "topic", "create", table], check=True,
                       env=env, stdout=subprocess.DEVNULL)
        path = os.path.join(work, "records")
        with open(path, "w") as f:
            f.writelines(record(table, i) for i in range(count))
        subprocess.run([*fluvio, "produce", table, "-f", path], check=True,
                       env=env, stdout=subprocess.DEVNULL)
        statements(os.path.join(work, "plain.sql"), "rowsplain", count)
        os.chmod(work, 0o755)
        begin = time.monotonic()
        subprocess.run([pg.tool("psql"), "-qX", "-d", pg.url, "-f",
                        os.path.join(work, "plain.sql")], check=True)
        plain = count / (time.monotonic() - begin)
        ours, memory, cpu = through_sink(pg, address, table, count)
        same = pg.psql(f"SELECT count(*) FROM (SELECT * FROM {table} EXCEPT "
                       "SELECT * FROM rowsplain) d").strip()
        if same != "0":
            raise SystemExit(f"bench: {same} rows differ")
        subprocess.run([*fluvio, "topic", "delete", table], check=True,
                       env=env, stdout=subprocess.DEVNULL)
        row["PostgreSQL: INSERT of 1,000 rows each, 1,000 rows/s"] = (
            plain / 1000, None, "")
        row["sql-sink to PostgreSQL, 1,000 rows/s"] = (
            ours / 1000, ours / plain, f"of INSERT; PSS {memory:.0f} MB; "
            f"{cpu:.1f} us of CPU a row")
    finally:
        pg.stop()
        shutil.rmtree(work, ignore_errors=True)


def alone(rows):
    """Prints what rows(address, row) puts into row, with a server of its
    own."""
    data = tempfile.mkdtemp(prefix="bench-data.",
                            dir=os.path.join(ROOT, "build"))
    server = Server(data)
    row = {}
    try:
        rows(server.address, row)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    for title, (value, ratio, note) in row.items():
        print(f"{title}: {value:.1f} {'' if ratio is None else f'{ratio:.2f}'}"
              f" {note}")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200000
    alone(lambda address, row: measure(
        address, os.path.join(ROOT, "build"), row, count))


if __name__ == "__main__":
    main()
