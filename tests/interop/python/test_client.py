"""The PyPI client, unmodified, against fluvio-server. Prints TAP."""

import contextlib
import os
import select
import subprocess
import sys
import threading
import traceback

from fluvio import (Compression, ConsumerConfigExtBuilder, Fluvio, FluvioAdmin,
                    Isolation, Offset, OffsetManagementStrategy,
                    TopicProducerConfigBuilder, TopicSpec)

SERVER = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "server.sh")
# Key and its partition among 16, as every Fluvio client computes it.
KEYS = {"k": 10, "hello": 2, "key 0": 12, "abcdefghi": 14}


@contextlib.contextmanager
def helper(*args):
    """help_ARG() in a process of its own: while the client waits for data,
    it lets no other thread of its process run."""
    child = subprocess.Popen([sys.executable, __file__, "--help-with", *args],
                             stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def server(*commands):
    for command in commands:
        subprocess.run([SERVER, command], check=True)


def create(name, partitions=1):
    FluvioAdmin.connect().create_topic(
        name, TopicSpec.create().with_partitions(partitions).build())


def produce(topic, values, client=None):
    producer = (client or Fluvio.connect()).topic_producer(topic)
    sent = [producer.send(b"", v.encode()) for v in values]
    producer.flush()
    return [s.wait().offset() for s in sent]


def take(stream, count):
    return [next(stream).value_string() for _ in range(count)]


def consume(topic, offset, count, partition=0):
    stream = Fluvio.connect().partition_consumer(topic, partition)
    return take(stream.stream(offset), count)


def raises(call, *words):
    try:
        call()
    except Exception as error:  # the client has no class of its own for these
        text = str(error)
        assert any(w.lower() in text.lower() for w in words), text
        return
    raise AssertionError("no error")


def numbers(count):
    return [f"v{i}" for i in range(count)]


# ---- the tests, in this order ----


def admin_creates_lists_and_deletes_topics():
    create("py-admin", 3)
    admin = FluvioAdmin.connect()
    assert "py-admin" in [t.name() for t in admin.all_topics()]
    names = [p.name() for p in admin.list_partitions(["py-admin"])]
    assert {f"py-admin-{i}" for i in range(3)} <= set(names), names
    admin.delete_topic("py-admin")
    assert admin.list_topics(["py-admin"]) == []


def topic_options_are_accepted():
    FluvioAdmin.connect().create_topic(
        "py-options", TopicSpec.create().with_retention_time(3600)
        .with_segment_size("10M").with_max_partition_size("50M").build())


def existing_topic_is_an_error():
    create("py-twice")
    raises(lambda: create("py-twice"), "already exists")


def missing_topic_is_an_error():
    raises(lambda: FluvioAdmin.connect().delete_topic("py-none"), "not found")
    raises(lambda: produce("py-none", ["x"]), "not found", "TopicNotFound")


def bad_topic_name_is_an_error():
    raises(lambda: create("Not_A_Name"), "name")


def smartmodules_are_refused_with_a_sentence():
    path = os.path.join(os.environ["FLV_INTEROP"], "module.wasm")
    with open(path, "wb") as module:
        module.write(b"\0asm\1\0\0\0")
    admin = FluvioAdmin.connect()
    raises(lambda: admin.create_smartmodule("py-module", path, False),
           "not supported", "SmartModule")
    assert admin.list_smartmodules([]) == []


def watch_reports_a_new_topic():
    with helper("watch", "py-watched") as child:
        assert child.stdout.readline() == b"watching\n"
        create("py-watched")
        assert child.stdout.readline() == b"py-watched\n"


def help_watch(name):
    for update in FluvioAdmin.connect().watch_topic():
        names = [t.name() for t in update.all()]
        names += [c.metadata_topic_spec().name() for c in update.changes()]
        print(name if name in names else "watching", flush=True)
        if name in names:
            return


def keys_choose_the_same_partition_as_everywhere():
    create("keys", 16)
    producer = Fluvio.connect().topic_producer("keys")
    for key, partition in KEYS.items():
        sent = producer.send(key.encode(), b"py " + key.encode())
        producer.flush()
        meta = sent.wait()
        assert meta.partition_id() == partition, (key, meta.partition_id())
    for key, partition in KEYS.items():
        assert consume("keys", Offset.beginning(), 1, partition) == [
            "py " + key]


def codec(name):
    def test():
        topic = f"py-{name}".lower().replace("_", "")
        create(topic)
        config = (TopicProducerConfigBuilder()
                  .compression(getattr(Compression, name)).linger(50).build())
        producer = Fluvio.connect().topic_producer_with_config(topic, config)
        values = [f"value {i} " + "x" * 100 for i in range(200)]
        for value in values:
            producer.send(b"k", value.encode())
        producer.flush()
        assert consume(topic, Offset.beginning(), 200) == values
    test.__name__ = f"codec_{name.lower().strip('_')}_survives_the_way"
    return test


def every_kind_of_start():
    create("py-starts")
    produce("py-starts", numbers(10))
    assert consume("py-starts", Offset.beginning(), 10) == numbers(10)
    assert consume("py-starts", Offset.absolute(3), 2) == ["v3", "v4"]
    assert consume("py-starts", Offset.from_beginning(8), 2) == ["v8", "v9"]
    assert consume("py-starts", Offset.from_end(3), 3) == ["v7", "v8", "v9"]
    with helper("end", "py-starts") as child:
        # The stream may begin before or behind any one of these.
        for i in range(100):
            produce("py-starts", [f"late {i}"])
            if select.select([child.stdout], [], [], 0.1)[0]:
                break
        assert child.stdout.readline().startswith(b"late")


def help_end(topic):
    print(consume(topic, Offset.end(), 1)[0], flush=True)


def several_partitions_keep_their_order():
    create("py-many", 4)
    producer = Fluvio.connect().topic_producer("py-many")
    for i in range(200):
        producer.send(f"key {i % 20}".encode(), str(i).encode())
    producer.flush()
    stream = Fluvio.connect().multi_partition_consumer("py-many").stream(
        Offset.beginning())
    by_key = {}
    for _ in range(200):
        record = next(stream)
        by_key.setdefault(bytes(record.key()), []).append(
            int(record.value_string()))
    assert sum(map(len, by_key.values())) == 200
    assert all(v == sorted(v) for v in by_key.values())
    stream = Fluvio.connect().multi_topic_partition_consumer(
        [("py-many", 0), ("py-many", 3)]).stream(Offset.beginning())
    assert next(stream) is not None


def offsets_of(name):
    return [(o.topic, o.partition, o.offset)
            for o in Fluvio.connect().consumer_offsets()
            if o.consumer_id == name]


def named(topic, name):
    builder = ConsumerConfigExtBuilder(topic)
    builder.offset_start(Offset.beginning())
    builder.offset_consumer(name)
    builder.offset_strategy(OffsetManagementStrategy.MANUAL)
    return Fluvio.connect().consumer_with_config(builder.build())


def consumer_offsets_are_kept_and_resumed():
    create("py-offsets")
    produce("py-offsets", numbers(10))
    stream = named("py-offsets", "py-c")
    assert take(stream, 4) == numbers(4)
    stream.offset_commit()
    stream.offset_flush()
    assert offsets_of("py-c") == [("py-offsets", 0, 3)], offsets_of("py-c")
    server("kill", "start")
    assert offsets_of("py-c") == [("py-offsets", 0, 3)]
    assert take(named("py-offsets", "py-c"), 2) == ["v4", "v5"]
    Fluvio.connect().delete_consumer_offset("py-c", "py-offsets", 0)
    assert offsets_of("py-c") == []
    assert take(named("py-offsets", "py-c"), 1) == ["v0"]


def recreated_topic_inherits_nothing():
    create("py-again")
    produce("py-again", numbers(3))
    stream = named("py-again", "py-a")
    take(stream, 2)
    stream.offset_commit()
    stream.offset_flush()
    FluvioAdmin.connect().delete_topic("py-again")
    create("py-again")
    assert offsets_of("py-a") == []
    assert produce("py-again", ["new"]) == [0]
    assert consume("py-again", Offset.beginning(), 1) == ["new"]


def read_committed_producers_are_answered():
    create("py-committed")
    config = TopicProducerConfigBuilder().isolation(
        Isolation.ReadCommitted).build()
    producer = Fluvio.connect().topic_producer_with_config(
        "py-committed", config)
    assert producer.send(b"", b"x").wait().offset() == 0


def big(size, limit=67108864):
    config = (TopicProducerConfigBuilder().max_request_size(limit)
              .batch_size(limit).build())
    producer = Fluvio.connect().topic_producer_with_config("py-big", config)
    sent = producer.send(b"", b"x" * size)
    producer.flush()
    return sent.wait()


def large_records_pass_up_to_the_limit():
    create("py-big")
    assert big(2_000_000).offset() == 0
    raises(lambda: big(3_000_000), "large")
    raises(lambda: big(40_000_000), "")
    assert big(1_000).offset() == 1
    assert len(consume("py-big", Offset.beginning(), 2)[0]) == 2_000_000


def clients_come_back_after_a_restart():
    create("py-restart")
    client = Fluvio.connect()
    acknowledged = produce("py-restart", numbers(20), client)
    assert acknowledged == list(range(20))
    server("stop", "start")
    assert produce("py-restart", ["after"]) == [20]
    assert consume("py-restart", Offset.beginning(), 21) == numbers(20) + [
        "after"]


def acknowledged_records_survive_a_kill():
    create("py-kill", 2)
    producer = Fluvio.connect().topic_producer("py-kill")
    acknowledged = []
    for i in range(300):
        meta = producer.send(str(i).encode(), str(i).encode()).wait()
        acknowledged.append((meta.partition_id(), meta.offset(), str(i)))
        if i == 250:
            server("kill", "start")
            producer = Fluvio.connect().topic_producer("py-kill")
    for partition in (0, 1):
        want = [(o, v) for p, o, v in acknowledged if p == partition]
        stream = Fluvio.connect().partition_consumer(
            "py-kill", partition).stream(Offset.beginning())
        got = {}
        for record in stream:
            got[record.offset()] = record.value_string()
            if record.offset() == want[-1][0]:
                break
        assert all(got.get(o) == v for o, v in want)


TESTS = [
    admin_creates_lists_and_deletes_topics,
    topic_options_are_accepted,
    existing_topic_is_an_error,
    missing_topic_is_an_error,
    bad_topic_name_is_an_error,
    smartmodules_are_refused_with_a_sentence,
    watch_reports_a_new_topic,
    keys_choose_the_same_partition_as_everywhere,
    codec("None_"), codec("Gzip"), codec("Snappy"), codec("Lz4"),
    codec("Zstd"),
    every_kind_of_start,
    several_partitions_keep_their_order,
    consumer_offsets_are_kept_and_resumed,
    recreated_topic_inherits_nothing,
    read_committed_producers_are_answered,
    large_records_pass_up_to_the_limit,
    clients_come_back_after_a_restart,
    acknowledged_records_survive_a_kill,
]


def main():
    failed = 0
    wanted = sys.argv[1:]
    for number, test in enumerate(TESTS, 1):
        if wanted and test.__name__ not in wanted:
            continue
        name = "PyPI: " + test.__name__.replace("_", " ")
        # The client's calls cannot be interrupted: a thread can be left.
        outcome = []

        def run():
            try:
                test()
                outcome.append(None)
            except BaseException:
                outcome.append(traceback.format_exc())

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(60)
        problem = outcome[0] if outcome else "still running after 60 s"
        print(f"{'ok' if problem is None else 'not ok'} {number} - {name}")
        if problem is not None:
            failed += 1
            print("".join(f"# {line}\n" for line in problem.splitlines()),
                  end="")
        sys.stdout.flush()
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # without waiting for threads left behind


if __name__ == "__main__":
    if sys.argv[1:2] == ["--help-with"]:
        globals()["help_" + sys.argv[2]](*sys.argv[3:])
    else:
        main()
