"""PyPI clients of former releases against fluvio-server; prints TAP.

    python old.py BIN_DIR

FLV_OLD_CLIENTS is the folder that holds one folder per release. Together with
the clients of pypi.py and node.mjs they send every kind of metadata message
from Fluvio 0.10.0 on.
"""
import json
import os
import subprocess
import sys

import harness
from harness import Server, check, equal

# Release, what it sends to the SC and (Produce, the rest) to the SPU.
CLIENTS = [("0.14.0", 10, (7, 16)), ("0.15.3", 11, (8, 19)), ("0.16.0", 12, (22, 22)),
           ("0.16.1", 14, (23, 23)), ("0.16.5", 17, (23, 23)),
           ("0.20.0", 18, (23, 23))]
VALUES = ["one", "two", "three", "four"]


# --- inside a process with the old client ------------------------------------


def texts(stream, count):
    """That many records: offset, key, value."""
    out = []
    for record in stream:
        out.append([record.offset(), bytes(record.key()).decode(),
                    record.value_string()])
        if len(out) == count:
            return out


def shaped(consumer, path):
    """The records through a SmartModule; None before 0.15, which has none."""
    import fluvio
    if not hasattr(fluvio, "ConsumerConfig"):
        return None
    config = fluvio.ConsumerConfig()
    config.smartmodule(path=path)
    start = fluvio.Offset.beginning()
    return texts(consumer.stream_with_config(start, config), len(VALUES))


def said(run):
    try:
        run()
        return ""
    except Exception as err:
        return str(err)


def administer(name):
    """What its own administration can do; none before 0.16.1."""
    import fluvio
    if not hasattr(fluvio, "FluvioAdmin"):
        return None
    admin = fluvio.FluvioAdmin.connect()
    out = {"missing": said(lambda: admin.delete_topic("nothing"))}
    try:
        admin.create_topic(name + "-own")
        admin.delete_topic(name + "-own")
    except TypeError:  # 0.16.1 wants arguments that it does not let make
        pass
    out["listed"] = len(admin.list_topics([name]))
    return out


def client(name, module):
    """Prints what it saw as JSON."""
    import fluvio
    flv = fluvio.Fluvio.connect()
    producer = flv.topic_producer(name)
    for number, value in enumerate(VALUES):
        producer.send(f"k{number}".encode(), value.encode())
    producer.flush()
    consumer = flv.partition_consumer(name, 0)
    at = fluvio.Offset
    print(json.dumps({
        "all": texts(consumer.stream(at.beginning()), 4),
        "behind": texts(consumer.stream(at.absolute(2)), 2),
        "tail": texts(consumer.stream(at.from_end(1)), 1),
        "shaped": shaped(consumer, module),
        "nowhere": said(lambda: flv.topic_producer("nothing")),
        "admin": administer(name)}))


# --- outside -----------------------------------------------------------------


def run_client(server, release, name):
    module = os.path.join(os.environ["FLV_RUST_SMARTMODULES"], "rust_map.wasm")
    folder = os.path.join(os.environ["FLV_OLD_CLIENTS"], release)
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__), "--client", name, module],
        env={**server.env, "PYTHONPATH": folder}, timeout=60, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def try_client(server, release, sc, spu):
    who = f"old: PyPI {release}, SC {sc}, SPU {spu[0]} and {spu[1]}"
    name = "old-" + release.replace(".", "-")
    subprocess.run([os.path.join(server.bin, "fluvio"), "topic", "create",
                    name], check=True, env=server.env,
                   stdout=subprocess.DEVNULL)
    seen = run_client(server, release, name)
    if not check(isinstance(seen, dict), f"{who}: runs to its end", seen):
        return
    stored = [[i, f"k{i}", value] for i, value in enumerate(VALUES)]
    equal(seen["all"], stored, f"{who}: reads what it produced")
    equal(seen["behind"], stored[2:], f"{who}: begins at an offset")
    equal(seen["tail"], stored[3:], f"{who}: begins in front of the end")
    if seen["shaped"] is not None:
        equal(seen["shaped"], [[i, k, v.upper()] for i, k, v in stored],
              f"{who}: sends a SmartModule along")
    check("Topic not found: nothing" in seen["nowhere"],
          f"{who}: is told of a missing topic", seen["nowhere"])
    if seen["admin"] is None:
        return
    equal(seen["admin"]["listed"], 1, f"{who}: lists topics")
    check("not found" in seen["admin"]["missing"],
          f"{who}: is told that there is nothing to delete", seen["admin"])


def main():
    server = Server(sys.argv[1]).start()
    try:
        for release, sc, spu in CLIENTS:
            try_client(server, release, sc, spu)
        equal(server.stop(), 0, "old: the server ends with exit status 0")
    finally:
        server.close()
    harness.finish()


if __name__ == "__main__":
    if sys.argv[1] == "--client":
        client(*sys.argv[2:])
    else:
        main()
