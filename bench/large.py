"""The rows of bench/run --large: a thousand partitions, ten gigabytes.
"""
import shutil
import signal
import statistics
import tempfile

from ours import Server, bench

PARTITIONS = 1000
RECORD = 1024
BURST = 15


def spread(server, topic, partitions, seconds):
    """Bytes, and microseconds of the server's CPU for each record."""
    before = server.cpu_s()
    got = bench("spread", server.address, topic, 4, RECORD, BURST, partitions,
                seconds)
    return (got["records"] * RECORD,
            (server.cpu_s() - before) * 1e6 / got["records"])


def limit(folder, seconds):
    """What the shortest program pays for so many files. Before anything else
    is written: writeback would be in it."""
    ratios = []
    for _ in range(6):
        shared, alone = (
            bench("intake", folder, 16384, group, files, seconds)["cpu_us"]
            for group, files in ((4, 1), (1, PARTITIONS)))
        ratios.append(alone / shared)
    return statistics.median(ratios[1:])  # the first finds no memory in use


def measure(folder, seconds, gigabytes):
    row = {}
    shortest = limit(folder, seconds)
    data = tempfile.mkdtemp(prefix="bench-data.", dir=folder)
    server = Server(data)
    try:
        server.topic("one", "page-cache")
        server.topic("many", "page-cache", PARTITIONS)
        # Not measured: every partition has its first segment.
        written = spread(server, "many", PARTITIONS, seconds)[0]
        rounds = []
        for _ in range(5):
            one = spread(server, "one", 1, seconds)[1]
            got, many = spread(server, "many", PARTITIONS, seconds)
            written += got
            rounds.append((many / one, one, many))
        ratio, one, many = sorted(rounds)[2]
        row["server CPU for a record, 1 partition, us"] = (one, "", None)
        row[f"the same, {PARTITIONS:,} partitions, us"] = (
            many, "at most 1.3 times that", ratio <= 1.3)
        row[f"the shortest program of that shape, {PARTITIONS:,} files "
            "against 1"] = (shortest, "", None)
        server.drop("one")
        while written < gigabytes * 1e9:
            written += spread(server, "many", PARTITIONS, 5)[0]
        row[f"RSS after {gigabytes} GB, MB"] = (
            server.memory_mb(), "at most 32", server.memory_mb() <= 32)
        starts = []
        for _ in range(5):
            # Something is under way in every life that is ended.
            spread(server, "many", PARTITIONS, 1)
            server.child.send_signal(signal.SIGKILL)
            server.child.wait()
            server = Server(data)
            starts.append(server.start_ms)
        start = statistics.median(starts)
        row[f"start to ready after a kill, {PARTITIONS:,} partitions, "
            f"{gigabytes} GB, ms"] = (start, "at most 200", start <= 200)
    finally:
        server.stop()
        shutil.rmtree(data)
    return row
