"""The PyPI client `fluvio` 0.21.0 against fluvio-server; prints TAP.

    python pypi.py BIN_DIR

What the client does not offer, and is therefore not here: an isolation level
for consumers, the status of a partition, adding partitions to a topic, records
without a key (it sends an empty one, so nothing is ever spread in turn).
"""
import asyncio
import os
import random
import re
import signal
import sys
import time

import harness
from harness import Machine, Raw, Server, check, equal, group, note

CODECS = {"None_": 0, "Gzip": 1, "Snappy": 2, "Lz4": 3, "Zstd": 4}
BATCH_MAX = 32 * 1024 * 1024

server = None


def fluvio():
    """Imported late: its runtime does not outlive a fork."""
    import fluvio as module
    return module


def connect():
    return fluvio().Fluvio.connect()


def admin():
    return fluvio().FluvioAdmin.connect()


def topic(name, partitions=1, change=lambda spec: spec, codec=None):
    spec = fluvio().TopicSpec.create().with_partitions(partitions)
    spec = change(spec).build()
    if codec:
        # Its own with_compression() passes what its own build() rejects.
        spec.set_compression_type(getattr(fluvio().Compression, codec))
    admin().create_topic(name, spec)
    return name


def configured(client, name, **options):
    """A producer with the given options of its configuration builder."""
    config = fluvio().TopicProducerConfigBuilder()
    for option, value in options.items():
        config = getattr(config, option)(value)
    return client.topic_producer_with_config(name, config.build())


def send_all(producer, pairs):
    """Send (key, value) pairs; their (partition, offset), acknowledged."""
    handles = [producer.send(key, value) for key, value in pairs]
    producer.flush()
    done = [handle.wait() for handle in handles]
    return [(meta.partition_id(), meta.offset()) for meta in done]


def put(name, values, client=None):
    producer = (client or connect()).topic_producer(name)
    return send_all(producer, [(b"", v) for v in values])


def config_for(name, start=None, partitions=(), follow=False, consumer=None,
               strategy=None):
    builder = fluvio().ConsumerConfigExtBuilder(name)
    builder.offset_start(start or fluvio().Offset.beginning())
    for partition in partitions:
        builder.partition(partition)
    builder.disable_continuous(not follow)
    if consumer:
        builder.offset_consumer(consumer)
        builder.offset_strategy(strategy)
    return builder.build()


def drain(name, **options):
    """All records up to the end as it is when the consumer starts."""
    return list(connect().consumer_with_config(config_for(name, **options)))


def value(record):
    return bytes(record.value())


def key(record):
    raw = record.key()
    return None if raw is None else bytes(raw)


def values(records):
    return [value(record) for record in records]


def refusal(claim, pattern, run, limit_s=5):
    """run() fails soon, with a text that says why."""
    start = time.monotonic()
    try:
        run()
        return check(False, claim, "nothing failed")
    except Exception as err:
        took = time.monotonic() - start
        return check(re.search(pattern, str(err), re.I) and took < limit_s,
                     claim, f"after {took:.1f} s: {err!r}")


# --- administration ----------------------------------------------------------


def administration():
    flv, adm = fluvio(), admin()
    equal([t.name() for t in adm.all_topics()], [],
          "pypi: a new server lists no topics")
    topic("adm-one")
    topic("adm-three", 3)
    equal(sorted(t.name() for t in adm.all_topics()), ["adm-one", "adm-three"],
          "pypi: created topics are listed")
    equal([t.name() for t in adm.list_topics(["adm-three"])], ["adm-three"],
          "pypi: a topic is found by name")
    equal([t.name() for t in adm.list_topics_with_params(["adm-one"], True)],
          ["adm-one"], "pypi: a topic is found by name in a summary")
    equal(adm.list_topics(["no-such"]), [],
          "pypi: a name that does not exist finds nothing")
    equal(sorted(p.name() for p in adm.list_partitions([])),
          ["adm-one-0", "adm-three-0", "adm-three-1", "adm-three-2"],
          "pypi: every partition is listed")
    spec = flv.TopicSpec.create().build()
    # The wrapper of this call passes one argument too many to its own core.
    adm._inner.create_topic_with_config(
        flv.CommonCreateRequest.new("adm-dry", True, 0)._inner, spec)
    equal(adm.list_topics(["adm-dry"]), [],
          "pypi: a dry run creates no topic")
    full = flv.TopicSpec.create().with_retention_time(3600) \
        .with_segment_size("2M").with_max_partition_size("10M").build()
    full.set_compression_type(flv.Compression.Gzip)
    adm.create_topic("adm-full", full)
    equal([t.name() for t in adm.list_topics(["adm-full"])], ["adm-full"],
          "pypi: a topic with every setting is created")
    adm.delete_topic("adm-three")
    equal(sorted(t.name() for t in adm.all_topics()), ["adm-full", "adm-one"],
          "pypi: a deleted topic is gone from the list")
    equal(sorted(p.name() for p in adm.list_partitions([])),
          ["adm-full-0", "adm-one-0"],
          "pypi: its partitions are gone from the list")
    topic("adm-three", 2)
    equal(put("adm-three", [b"again"])[0][1], 0,
          "pypi: a topic created again starts at offset 0")
    for name in ("adm-one", "adm-full", "adm-three"):
        adm.delete_topic(name)


def assigned():
    flv, adm = fluvio(), admin()
    from fluvio import _fluvio_python as native
    maps = [native.PartitionMap.new(0, [5001]),
            native.PartitionMap.new(1, [5001])]
    adm.create_topic("adm-assigned", native.TopicSpec.new_assigned(maps))
    equal(sorted(p.name() for p in adm.list_partitions([])
                 if p.name().startswith("adm-assigned")),
          ["adm-assigned-0", "adm-assigned-1"],
          "pypi: a topic with assigned replicas gets its partitions")
    adm.delete_topic("adm-assigned")


def errors():
    adm = admin()
    topic("err-have")
    refusal("pypi: creating an existing topic says that it exists",
            "already exists", lambda: topic("err-have"))
    refusal("pypi: deleting a missing topic says that it is not found",
            "not found", lambda: adm.delete_topic("err-missing"))
    for name, what in (("Upper", "capital letters"), ("-dash", "a leading dash"),
                       ("x" * 64, "64 characters"), ("a_b", "an underscore"),
                       ("a/b", "a slash"), ("", "nothing")):
        refusal(f"pypi: a topic name with {what} is refused as invalid",
                "invalid", lambda: topic(name))
    refusal("pypi: a topic with 0 partitions is refused",
            "partition|invalid|greater", lambda: topic("err-zero", 0))
    refusal("pypi: a replication factor of 2 is refused on one server",
            "replica|spu|invalid",
            lambda: topic("err-two", 1, lambda s: s.with_replications(2)))
    refusal("pypi: a retention time of 1 s is refused",
            "retention|invalid|config",
            lambda: topic("err-short", 1,
                          lambda s: s.with_retention_time(1)))
    equal([t.name() for t in adm.all_topics()], ["err-have"],
          "pypi: refused topics leave nothing behind")
    refusal("pypi: producing to a missing topic fails at once",
            "not found", lambda: connect().topic_producer("err-missing"))
    # A client's own metadata copy decides this one, without an answer of ours.
    refusal("pypi: consuming a missing topic fails at once", "not found",
            lambda: drain("err-missing"))
    refusal("pypi: consuming a missing partition fails at once",
            "not found|partition", lambda: drain("err-have", partitions=[7]))
    adm.delete_topic("err-have")


def smartmodules():
    adm = admin()
    path = os.path.join(server.work, "module.wasm")

    def make(name, content, dry_run=False):
        with open(path, "wb") as module:
            module.write(content)
        adm.create_smartmodule(name, path, dry_run)

    def names(filters=()):
        return [m.name() for m in adm.list_smartmodules(list(filters))]

    equal(names(), [], "pypi: a new server lists no SmartModules")
    make("module", b"\0asm\1\0\0\0")
    make("empty", b"")
    make("large", os.urandom(3000000))
    make("dry", b"x", True)
    equal(names(), ["empty", "large", "module"],
          "pypi: created SmartModules are listed, of any size")
    equal(names(["module"]), ["module"], "pypi: a SmartModule is found by name")
    equal(names(["mod"]), [], "pypi: a part of a name finds no SmartModule")
    make("module", b"\0asm\1\0\0\0 again")
    equal(names(), ["empty", "large", "module"],
          "pypi: creating a SmartModule again replaces it")
    updates = adm.watch_smartmodule()
    first = next(updates)
    equal(sorted(m.name() for m in first.all()), ["empty", "large", "module"],
          "pypi: watch_smartmodule starts with the SmartModules that exist")

    def until(name, deleted):
        for update in updates:
            for change in update.changes():
                if change.metadata_smart_module_spec().name() == name and \
                        change.is_delete() == deleted:
                    return True

    make("new", b"\0asm")
    check(until("new", False), "pypi: watch_smartmodule tells of a new one")
    for name in ("module", "empty", "large", "new"):
        adm.delete_smartmodule(name)
    check(until("new", True), "pypi: watch_smartmodule tells of a deletion")
    equal(names(), [], "pypi: deleted SmartModules are gone")
    refusal("pypi: deleting a missing SmartModule says that it is not found",
            "not found", lambda: adm.delete_smartmodule("module"))
    refusal("pypi: a SmartModule needs a name", "smartmodule|name",
            lambda: make("", b"\0asm"))


def module_path(name):
    """An example module, built with the programs."""
    return os.path.join(sys.argv[1], "..", "smartmodules", name + ".wasm")


def sifted(topic_name, offset=0, follow=False, **module):
    """The records of a stream with a SmartModule, up to the end."""
    module["path"] = module_path(module["path"]) if "path" in module else None
    config = fluvio().ConsumerConfig()
    config.disable_continuous(not follow)
    config.smartmodule(**module)
    consumer = connect().partition_consumer(topic_name, 0)
    return consumer.stream_with_config(
        fluvio().Offset.absolute(offset), config)


def transformed():
    kinds = fluvio().SmartModuleKind
    adm = admin()
    words = [b"one", b"two", b"three", b"four", b"five"]
    topic("sm-words")
    put("sm-words", words)
    adm.create_smartmodule("has", module_path("contains"), False)

    def seen(records):
        return [(r.offset(), value(r)) for r in records]

    want = [(0, b"one"), (1, b"two"), (3, b"four")]
    o = {"text": "o"}
    equal(seen(sifted("sm-words", path="contains", params=o,
                      kind=kinds.Filter)), want,
          "pypi: a filter sent along passes exact offsets, and ends")
    equal(seen(sifted("sm-words", name="has", params=o)), want,
          "pypi: a stored filter does the same")
    for start in range(len(words)):
        equal(seen(sifted("sm-words", start, name="has", params=o)),
              [w for w in want if w[0] >= start],
              f"pypi: and so it does from offset {start}")
    equal(seen(sifted("sm-words", name="has", params={"text": "zzz"})), [],
          "pypi: a filter that drops everything ends at the end, too")
    refusal("pypi: a module that lacks its parameter says so",
            "needs the parameter text", lambda: list(
                sifted("sm-words", path="contains")))
    refusal("pypi: a module that is not stored is named", "missing",
            lambda: list(sifted("sm-words", name="missing")))
    # A filter whose memory has 20,000 pages from the start.
    with open(os.path.join(server.work, "large.wasm"), "wb") as f:
        f.write(bytes.fromhex(
            "0061736d01000000" "0112036002 7f7f00 60017f017f 60037f7f7f017f"
            "0214 01 03 656e76 0c 636f70795f7265636f726473 0000"
            "0303020102" "05050100a09c01"
            "071b 03 06 6d656d6f7279 0200 05 616c6c6f63 0001"
            "06 66696c746572 0002" "0a0b 02 0400 41080b 0400 41000b"))
    refusal("pypi: a module that wants too much memory says how much",
            "requested 1310720000.*268435456", lambda: list(
                sifted("sm-words", path=os.path.join(server.work, "large"))))
    topic("sm-json")
    put("sm-json", [b'{"a": 1}', b'{"a": "x"}', b"[1, 2]", b'{"a": 3}'])
    records = sifted("sm-json", path="json-field", kind=kinds.Map,
                     params={"field": "a"})
    got = []

    def read():
        for record in records:
            got.append((record.offset(), value(record)))

    refusal("pypi: a record on which a map fails ends the stream", "", read)
    equal(got, [(0, b"1"), (1, b"x")],
          "pypi: and the records before it came")
    topic("sm-arrays")
    put("sm-arrays", [b"[1, 2, 3]", b"[]", b'["a"]'])
    equal(seen(sifted("sm-arrays", path="json-array-split",
                      kind=kinds.ArrayMap)),
          [(0, b"1"), (0, b"2"), (0, b"3"), (2, b'"a"')],
          "pypi: outputs of an array_map have the offset of their record")
    topic("sm-sum")
    put("sm-sum", [b"1", b"2", b"3"])
    equal(seen(sifted("sm-sum", path="sum", kind=kinds.Aggregate,
                      aggregate=list(b"10"))),
          [(0, b"11"), (1, b"13"), (2, b"16")],
          "pypi: an aggregate begins with the value it is given")
    adm.delete_smartmodule("has")


def written_in_rust():
    """SmartModules of every kind from the public crate, sent along."""
    kinds = fluvio().SmartModuleKind
    folder = os.environ["FLV_RUST_SMARTMODULES"]
    topic("rust-words")
    put("rust-words", [b"apple", b"melon", b"pear"])
    topic("rust-numbers")
    put("rust-numbers", [b"4", b"3", b"10"])
    for module, topic_name, options, want in (
            ("filter", "rust-words", {}, [(0, b"apple"), (2, b"pear")]),
            ("filter_wasi", "rust-words", {}, [(0, b"apple"), (2, b"pear")]),
            ("filter_init", "rust-words", {"params": {"word": "el"}},
             [(1, b"melon")]),
            ("map", "rust-words", {"kind": kinds.Map},
             [(0, b"APPLE"), (1, b"MELON"), (2, b"PEAR")]),
            ("array_map", "rust-words", {"kind": kinds.ArrayMap},
             [(0, b"apple"), (1, b"melon"), (2, b"pear")]),
            ("filter_map", "rust-numbers", {"kind": kinds.FilterMap},
             [(0, b"2"), (2, b"5")]),
            ("aggregate", "rust-numbers",
             {"kind": kinds.Aggregate, "aggregate": list(b"100")},
             [(0, b"104"), (1, b"107"), (2, b"117")]),
            ("aggregate_init", "rust-words",
             {"kind": kinds.Aggregate, "params": {"glue": "+"}},
             [(0, b"apple"), (1, b"apple+melon"),
              (2, b"apple+melon+pear")])):
        got = sifted(topic_name, path=os.path.join(folder, "rust_" + module),
                     **options)
        equal([(r.offset(), value(r)) for r in got], want,
              f"pypi: {module} in Rust does what it says")
    refusal("pypi: init in Rust says which parameter it lacks",
            "the parameter word is missing", lambda: list(sifted(
                "rust-words", path=os.path.join(folder, "rust_filter_init"))))


def watching():
    adm = admin()
    topic("watch-old")
    updates = adm.watch_topic()
    first = next(updates)
    check("watch-old" in [t.name() for t in first.all()],
          "pypi: watch_topic starts with the topics that exist",
          [t.name() for t in first.all()])

    def until(name, deleted):
        for update in updates:
            for change in update.changes():
                if change.metadata_topic_spec().name() == name and \
                        change.is_delete() == deleted:
                    return True

    topic("watch-new")
    check(until("watch-new", False), "pypi: watch_topic tells of a new topic")
    adm.delete_topic("watch-new")
    check(until("watch-new", True), "pypi: watch_topic tells of a deletion")
    adm.delete_topic("watch-old")


# --- producing and consuming ----------------------------------------------------


def records():
    name = topic("rec")
    pairs = [(b"", b"no key"), (b"k", b"with key"), (b"k", b""),
             ("schl\u00fcssel".encode(), "w\u00e4rter \u2603".encode()),
             (bytes(range(256)), bytes(range(255, -1, -1)))]
    before = int(time.time() * 1000)
    equal(send_all(connect().topic_producer(name), pairs),
          [(0, n) for n in range(5)],
          "pypi: each record is acknowledged with its own offset")
    got = drain(name)
    equal([(key(r) or b"", value(r)) for r in got], pairs,
          "pypi: keys and values come back byte for byte")
    equal([r.offset() for r in got], list(range(5)),
          "pypi: records carry their offsets")
    check(all(before - 1000 <= r.timestamp() <= before + 60000 for r in got),
          "pypi: records carry their timestamps",
          [r.timestamp() - before for r in got])
    flv = fluvio()
    producer = connect().topic_producer(name)
    outs = producer.send_all([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")])
    producer.flush()
    equal([o.wait().offset() for o in outs], [5, 6, 7],
          "pypi: send_all is acknowledged in order")
    isolated = configured(connect(), name,
                          isolation=flv.Isolation.ReadCommitted)
    equal(send_all(isolated, [(b"", b"committed")]), [(0, 8)],
          "pypi: a producer that waits for commits is acknowledged")
    once = configured(connect(), name,
                      delivery_semantic=flv.DeliverySemantic.AtMostOnce)
    once.send(b"", b"at most once")
    once.flush()
    check(harness.eventually(lambda: len(drain(name)) == 10, 3),
          "pypi: at-most-once records arrive")


def starts():
    name = topic("start")
    put(name, [str(n).encode() for n in range(10)])
    offset = fluvio().Offset
    for claim, start, wanted in (
            ("beginning", offset.beginning(), 0),
            ("absolute 4", offset.absolute(4), 4),
            ("3 from the beginning", offset.from_beginning(3), 3),
            ("2 from the end", offset.from_end(2), 8),
            ("more from the end than there are", offset.from_end(50), 0)):
        equal(values(drain(name, start=start)),
              [str(n).encode() for n in range(wanted, 10)],
              f"pypi: consuming starts at: {claim}")
        stream = connect().partition_consumer(name, 0).stream(start)
        equal([next(stream).offset() for _ in range(10 - wanted)],
              list(range(wanted, 10)),
              f"pypi: a partition consumer starts at: {claim}")
    stream = connect().partition_consumer(name, 0).stream(offset.end())
    put(name, [b"late"])
    equal(value(next(stream)), b"late",
          "pypi: consuming from the end sees only what comes later")
    stream = connect().partition_consumer(name, 0).stream(
        offset.from_beginning(11))
    put(name, [b"later"])
    equal(next(stream).offset(), 11,
          "pypi: consuming from one behind the last waits for it")
    equal(drain(name, start=offset.end()), [],
          "pypi: reading up to the end from the end is empty, and ends")
    equal(drain(topic("start-empty")), [],
          "pypi: reading an empty topic up to its end ends")


def live():
    name = topic("live")

    async def run(machine):
        flv = fluvio()
        reader = connect().partition_consumer(name, 0)
        stream = await reader.async_stream(flv.Offset.end())
        producer = connect().topic_producer(name)
        slow, got = 0, []
        for n in range(20):
            await producer.async_send(b"", str(n).encode())
            await producer.async_flush()
            watch = machine.watch()
            got.append(value(await asyncio.wait_for(stream.__anext__(), 5)))
            slow = max(slow, watch())
        equal(got, [str(n).encode() for n in range(20)],
              "pypi: a waiting consumer gets each record as it is produced")
        check(slow < 0.5, "pypi: within half a second each", f"{slow:.3f} s")

    with Machine(server.work) as machine:
        asyncio.run(run(machine))


def two_at_once():
    name = topic("two", 1)

    async def one(tag, count):
        producer = connect().topic_producer(name)
        outs = [await producer.async_send(tag, f"{n}".encode())
                for n in range(count)]
        await producer.async_flush()
        return [(await out.async_wait()).offset() for out in outs]

    async def run():
        return await asyncio.gather(one(b"a", 300), one(b"b", 300))

    acks = asyncio.run(run())
    equal(sorted(acks[0] + acks[1]), list(range(600)),
          "pypi: two producers at once: every offset is given once")
    got = drain(name)
    for tag in (b"a", b"b"):
        equal([value(r) for r in got if key(r) == tag],
              [str(n).encode() for n in range(300)],
              f"pypi: two producers at once: {tag.decode()} keeps its order")


# --- partitions ---------------------------------------------------------------------


def siphash(data):
    """SipHash-2-4 with key 0 over length and bytes, as Fluvio hashes keys."""
    mask = (1 << 64) - 1
    v = [0x736f6d6570736575, 0x646f72616e646f6d,
         0x6c7967656e657261, 0x7465646279746573]

    def rol(x, n):
        return (x << n | x >> (64 - n)) & mask

    def rounds(count):
        for _ in range(count):
            v[0] = v[0] + v[1] & mask
            v[1] = rol(v[1], 13) ^ v[0]
            v[0] = rol(v[0], 32)
            v[2] = v[2] + v[3] & mask
            v[3] = rol(v[3], 16) ^ v[2]
            v[0] = v[0] + v[3] & mask
            v[3] = rol(v[3], 21) ^ v[0]
            v[2] = v[2] + v[1] & mask
            v[1] = rol(v[1], 17) ^ v[2]
            v[2] = rol(v[2], 32)

    data = len(data).to_bytes(8, "little") + data
    tail = data[len(data) // 8 * 8:].ljust(7, b"\0") + bytes([len(data) & 255])
    words = data[:len(data) // 8 * 8] + tail
    for pos in range(0, len(words), 8):
        word = int.from_bytes(words[pos:pos + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def partitions():
    equal([siphash(k) % 16 for k in (b"k", b"hello", b"key 0", b"abcdefghi")],
          [10, 2, 12, 14], "pypi: the check values of the partitioner hold")
    name = topic("part", 16)
    rng = random.Random(7)
    keys = [b"k", b"hello", b"key 0", b"abcdefghi"] + [
        bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz0123456789-", k=n % 40 + 1))
        for n in range(60)]
    acks = send_all(connect().topic_producer(name), [(k, k) for k in keys])
    wanted = [siphash(k) % 16 for k in keys]
    equal([partition for partition, _ in acks], wanted,
          "pypi: keyed records go to the partition of their hash")
    seen = {}
    for partition in range(16):
        for r in drain(name, partitions=[partition]):
            seen[key(r)] = partition
    equal(seen, dict(zip(keys, wanted)),
          "pypi: each record is read from its partition alone")
    if server.has_cli():
        ours = {}
        for partition in range(16):
            lines = server.cli("consume", name, "-B", "-d", "-p",
                               str(partition), "-F", "{{key}} {{partition}}")
            for line in lines.decode().splitlines():
                k, p = line.rsplit(" ", 1)
                ours[k.encode()] = int(p)
        equal(ours, dict(zip(keys, wanted)),
              "pypi: our consume -p sees the same keys in each partition")
        back = topic("part-ours", 16)
        server.cli("produce", back, "--key-separator", "=",
                   stdin=b"".join(k + b"=" + k + b"\n" for k in keys))
        seen = {}
        for partition in range(16):
            for r in drain(back, partitions=[partition]):
                seen[key(r)] = partition
        equal(seen, dict(zip(keys, wanted)),
              "pypi: keys produced by ours land where Fluvio's client puts them")
    flv = fluvio()
    stream = connect().multi_partition_consumer(name).stream(
        flv.Offset.beginning())
    got = {key(next(stream)) for _ in range(len(set(keys)))}
    equal(got, set(keys),
          "pypi: one consumer reads all partitions of a topic")
    equal({key(r) for r in drain(name)}, set(keys),
          "pypi: reading all partitions up to their ends ends")
    other = topic("part-other")
    put(other, [b"x", b"y"])
    stream = connect().multi_topic_partition_consumer(
        [(other, 0), (name, 10), (name, 2)]).stream(flv.Offset.beginning())
    chosen = [k for k, p in zip(keys, wanted) if p in (10, 2)]
    got = [value(next(stream)) for _ in range(2 + len(chosen))]
    equal(sorted(got), sorted([b"x", b"y"] + chosen),
          "pypi: one consumer reads chosen partitions of two topics")


# --- codecs -----------------------------------------------------------------------------


def stored_codecs(name):
    with Raw(server.spu) as raw:
        _, _, _, end = raw.offsets(name, 0)
        return {attributes & 7 for _, attributes, _, _ in
                raw.read(name, 0, 0, end)}


def codecs():
    flv = fluvio()
    lines = [f"line {n} ".encode() * 20 for n in range(200)]
    for codec, code in CODECS.items():
        label = codec.rstrip("_").lower()
        name = topic("codec-" + label)
        producer = configured(connect(), name, linger=20,
                              compression=getattr(flv.Compression, codec))
        equal([o for _, o in send_all(producer, [(b"", v) for v in lines])],
              list(range(200)), f"pypi: {label}: batches are acknowledged")
        equal(values(drain(name)), lines,
              f"pypi: {label}: records come back as they were")
        equal(stored_codecs(name), {code},
              f"pypi: {label}: batches are kept as the producer packed them")
        if not server.has_cli():
            continue
        equal(server.cli("consume", name, "-B", "-d").splitlines(),
              [v for v in lines], f"pypi: {label}: ours reads theirs")
        back = topic(f"codec-{label}-ours")
        server.cli("produce", back, "--compression", label,
                   stdin=b"\n".join(lines) + b"\n")
        equal(values(drain(back)), lines, f"pypi: {label}: theirs reads ours")
        equal(stored_codecs(back), {code},
              f"pypi: {label}: ours packs as it was told")


def topic_codecs():
    flv = fluvio()
    for codec, code in CODECS.items():
        label = codec.rstrip("_").lower()
        name = topic("fixed-" + label, codec=codec)
        put(name, [b"x" * 500] * 5)
        equal((values(drain(name)), stored_codecs(name)),
              ([b"x" * 500] * 5, {code}),
              f"pypi: a topic of codec {label} decides for its producers")
    refusal("pypi: a producer with another codec than the topic's is refused",
            "compression", lambda: send_all(
                configured(connect(), "fixed-gzip",
                           compression=flv.Compression.Lz4), [(b"", b"x")]))
    # The client itself refuses; a peer that does not is refused by the server.
    with Raw(server.spu) as raw:
        equal(raw.produce("fixed-gzip", [(0, harness.batch([b"x"]))])[0][1],
              9000, "pypi: the server refuses such a batch by itself")
        equal(raw.offsets("fixed-gzip", 0)[3], 5,
              "pypi: and keeps nothing of it")


# --- sizes -------------------------------------------------------------------------------


def big_producer(name, **more):
    return configured(connect(), name, max_request_size=BATCH_MAX,
                      timeout=10000, **more)


def sizes():
    name = topic("size-small")
    small = [bytes([n % 256]) for n in range(1000)]
    equal([o for _, o in put(name, small)], list(range(1000)),
          "pypi: 1,000 records of 1 byte are acknowledged")
    equal(values(drain(name)), small, "pypi: and come back in order")
    name = topic("size-large")
    rng = random.Random(1)
    large = [rng.randbytes(n) for n in
             (20 << 20, BATCH_MAX - 200, 100 << 10, 1 << 20, 1 << 10, 5)]
    acks = [send_all(big_producer(name), [(b"", v)])[0][1] for v in large]
    equal(acks, list(range(6)),
          "pypi: records up to Fluvio's own limit of 32 MiB are acknowledged")
    # More than one answer's worth by the client's default of 1,048,890 bytes.
    equal([hash(v) for v in values(drain(name))], [hash(v) for v in large],
          "pypi: records larger than a consumer's max_bytes are delivered")
    # hostile.py has what is above the server's limit.
    refusal("pypi: a record above the client's own ceiling is refused",
            "size", lambda: send_all(
                connect().topic_producer(name), [(b"", bytes(2 << 20))]))
    producer = big_producer(name, batch_size=1 << 20)
    equal(len(send_all(producer, [(b"", rng.randbytes(5000))] * 1000)), 1000,
          "pypi: 1,000 records of 5 KB are acknowledged")
    got = drain(name, start=fluvio().Offset.absolute(4))
    equal([r.offset() for r in got], list(range(4, 1006)),
          "pypi: refused records leave no hole")


# --- consumer offsets ---------------------------------------------------------------------


def offsets_of(name):
    return {(o.consumer_id, o.partition): o.offset
            for o in connect().consumer_offsets() if o.topic == name}


def consumer_offsets():
    flv = fluvio()
    manual, auto = (flv.OffsetManagementStrategy.MANUAL,
                    flv.OffsetManagementStrategy.AUTO)
    name = topic("offs")
    put(name, [str(n).encode() for n in range(10)])
    equal(offsets_of(name), {}, "pypi: a topic without consumers lists none")

    def reader(strategy=manual, who="c1", topic_name=name, **more):
        return connect().consumer_with_config(config_for(
            topic_name, follow=True, consumer=who, strategy=strategy, **more))

    stream = reader()
    got = [value(next(stream)) for _ in range(4)]
    stream.offset_commit()
    stream.offset_flush()
    equal(got, [b"0", b"1", b"2", b"3"],
          "pypi: a new named consumer begins where it is told")
    equal(offsets_of(name), {("c1", 0): 3},
          "pypi: a flushed offset is listed: the last record consumed")
    when = [o.modified_time for o in connect().consumer_offsets()
            if o.topic == name]
    check(abs(when[0] - time.time()) < 60,
          "pypi: with the time of its last change", when)
    stream = reader()
    equal(value(next(stream)), b"4",
          "pypi: a named consumer resumes behind its offset")
    stream.offset_commit()
    del stream
    equal(offsets_of(name), {("c1", 0): 3},
          "pypi: an offset that was not flushed does not move")
    stream = reader(who="c2", start=flv.Offset.absolute(7))
    equal(value(next(stream)), b"7",
          "pypi: another consumer has its own position")
    stream.offset_commit()
    stream.offset_flush()
    equal(offsets_of(name), {("c1", 0): 3, ("c2", 0): 7},
          "pypi: both positions are listed")
    connect().delete_consumer_offset("c1", name, 0)
    equal(offsets_of(name), {("c2", 0): 7}, "pypi: an offset can be deleted")
    equal(value(next(reader())), b"0",
          "pypi: a deleted consumer begins anew")
    refusal("pypi: manual calls on a stream without a name are refused",
            "", lambda: connect().consumer_with_config(
                config_for(name)).offset_flush())
    stream = reader(auto, "c3")
    for _ in range(6):
        next(stream)
    stream.offset_flush()
    check(harness.eventually(
        lambda: offsets_of(name).get(("c3", 0), -1) >= 4, 5),
        "pypi: automatic offsets are committed", offsets_of(name))
    many = topic("offs-many", 3)
    last = {}
    for partition, offset in send_all(connect().topic_producer(many),
                                      [(str(n).encode(), b"") for n in
                                       range(33)]):
        last[("wide", partition)] = offset
    stream = reader(topic_name=many, who="wide")
    for _ in range(33):
        next(stream)
    stream.offset_commit()
    stream.offset_flush()
    equal((len(last), offsets_of(many)), (3, last),
          "pypi: a consumer of three partitions has three positions")
    admin().delete_topic(name)
    equal(offsets_of(name), {}, "pypi: positions go with their topic")
    topic(name)
    put(name, [b"new"])
    equal(value(next(reader(who="c2"))), b"new",
          "pypi: a topic created again inherits no position")


# --- ours and theirs -----------------------------------------------------------------------


def with_ours():
    if not server.has_cli():
        note("no fluvio in BIN_DIR: nothing to compare with")
        return
    server.cli("topic", "create", "ours-topic", "-p", "2")
    equal([t.name() for t in admin().list_topics(["ours-topic"])],
          ["ours-topic"], "pypi: theirs lists a topic that ours created")
    put("ours-topic", [b"from theirs"] * 4)
    server.cli("produce", "ours-topic", stdin=b"from ours\n" * 4)
    equal(sorted(values(drain("ours-topic"))),
          [b"from ours"] * 4 + [b"from theirs"] * 4,
          "pypi: theirs reads both")
    lines = server.cli("consume", "ours-topic", "-B", "-d",
                       "--isolation", "read_committed").splitlines()
    equal(sorted(lines), [b"from ours"] * 4 + [b"from theirs"] * 4,
          "pypi: ours reads both, read_committed")
    admin().delete_topic("ours-topic")
    check(b"ours-topic" not in server.cli("topic", "list"),
          "pypi: ours no longer lists a topic that theirs deleted")


def deduplicated():
    if not server.has_cli():
        note("no fluvio in BIN_DIR: nothing makes such a topic")
        return
    path = os.path.join(server.work, "once.yaml")
    with open(path, "w") as file:
        file.write("meta: {name: once}\n"
                   "deduplication:\n"
                   "  bounds: {count: 100, age: 1h}\n"
                   "  filter: {transform: {uses: drop, with: {by: value}}}\n")
    server.cli("smartmodule", "create", "drop",
               "--wasm-file", module_path("dedup"))
    server.cli("topic", "create", "--config", path)
    equal([t.name() for t in admin().list_topics(["once"])], ["once"],
          "pypi: a topic with deduplication is listed")
    equal(put("once", [b"a", b"b", b"c"]), [(0, 0), (0, 1), (0, 2)],
          "pypi: what is new in it is stored")
    put("once", [b"b", b"d", b"a"])
    put("once", [b"d"])
    equal(values(drain("once")), [b"a", b"b", b"c", b"d"],
          "pypi: what it has had lately is not")
    server.cli("smartmodule", "delete", "drop")
    refusal("pypi: without its SmartModule a topic takes nothing", "drop",
            lambda: put("once", [b"e"]))
    admin().delete_topic("once")


# --- restarts --------------------------------------------------------------------------------


def secured():
    own = Server(server.bin, tls=True).start()
    try:
        name = topic("private", 2)
        sent = [f"{n}".encode() for n in range(1000)]
        put(name, sent)
        equal(sorted(values(drain(name))), sorted(sent),
              "pypi: over TLS with certificates records go both ways")
        large = b"x" * 900_000
        put(topic("large"), [large])
        equal(values(drain("large")), [large],
              "pypi: and large ones")
        own.write_profile(who="mallory")
        refusal("pypi: a certificate of another CA is refused",
                "certificate|closed|tls|ssl|alert|unknown|reset|broken|io",
                lambda: admin().all_topics())
        own.write_profile(ca="other-ca")
        refusal("pypi: it does not believe a server of another CA",
                "certificate|verify|tls|ssl", lambda: admin().all_topics())
        own.write_profile()
        if own.has_cli():
            equal(own.cli("consume", "large", "-B", "-d"), large + b"\n",
                  "pypi: our own client reads the same")
    finally:
        own.close()


def restarts():
    own = Server(server.bin).start()
    try:
        for how, label in ((signal.SIGTERM, "SIGTERM"),
                           (signal.SIGKILL, "kill -9")):
            restarted(own, how, label)
    finally:
        own.close()


def restarted(own, how, label):
    flv = fluvio()
    tag = label.strip("kill -").lower()
    name = topic("again-" + tag)
    client = connect()
    producer = client.topic_producer(name)
    acks = send_all(producer, [(b"", f"{n}".encode()) for n in range(50)])
    named = client.consumer_with_config(config_for(
        name, follow=True, consumer="keeper", partitions=[0],
        strategy=flv.OffsetManagementStrategy.MANUAL))
    for _ in range(5):
        next(named)
    named.offset_commit()
    named.offset_flush()
    reader = client.partition_consumer(name, 0)
    stream = reader.stream(flv.Offset.beginning())
    for _ in range(50):
        next(stream)
    code = own.restart(how)
    equal(code, 0 if how == signal.SIGTERM else -9,
          f"pypi: the server ends by {label}")
    got = drain(name)
    equal(values(got), [f"{n}".encode() for n in range(50)],
          f"pypi: after {label} a new client reads everything acknowledged")
    equal(offsets_of(name), {("keeper", 0): 4},
          f"pypi: after {label} consumer offsets are kept")
    more = put(name, [b"after"] * 2)
    equal(more, [(0, 50), (0, 51)],
          f"pypi: after {label} offsets go on where they ended")

    # The old objects. Fluvio's consumer does not reconnect: its stream ends.
    def ends():
        try:
            return next(stream, "end") == "end"
        except Exception as err:
            return re.search("closed|reset|socket|connection", str(err), re.I)

    check(ends(), f"pypi: after {label} a stream of before ends")
    # Its producer opens a new connection for what it sends next.
    try:
        again = send_all(producer, [(b"", b"old producer")] * 2)
        seen = sorted(again)
    except Exception as err:
        seen = str(err)
        again = None
    check(again is not None, f"pypi: after {label} a producer of before goes on",
          seen)
    try:
        fresh = client.partition_consumer(name, 0).stream(
            flv.Offset.absolute(50))
        seen = value(next(fresh))
    except Exception as err:
        seen = str(err)
    equal(seen, b"after",
          f"pypi: after {label} a client of before opens new streams")


def keep_sending(name, turn, out):
    """Print the offset and value of each acknowledged record, until killed."""
    producer = connect().topic_producer(name)
    for step in range(10000):
        sent = [f"{turn}-{step}-{n}".encode() for n in range(20)]
        handles = [producer.send(b"", v) for v in sent]
        producer.flush()
        for v, handle in zip(sent, handles):
            os.write(out, b"%d %s\n" % (handle.wait().offset(), v))


def killed_under_load():
    """kill -9 of the server while a client is sending.

    The client runs in a process of its own: with answers outstanding when the
    connection breaks, wait() of this client sometimes never returns, with no
    connection open and nothing to read.
    """
    own = Server(server.bin).start()
    try:
        # Made by hand: the client's runtime would not outlive the forks.
        name = "load"
        with Raw(own.sc) as raw:
            raw.create_topic(name)
        acked = {}
        for turn in range(3):
            rd, wr = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    keep_sending(name, turn, wr)
                finally:
                    os._exit(1)
            os.close(wr)
            lines = os.fdopen(rd, "rb")
            for _ in range(500):
                offset, v = lines.readline().split()
                acked[int(offset)] = v
            own.stop(signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for line in lines:
                if line.endswith(b"\n"):
                    acked[int(line.split()[0])] = line.split()[1]
            own.start()
        got = {r.offset(): value(r) for r in drain(name)}
        note(f"{len(acked)} acknowledged, {len(got)} kept, 3 kills")
        equal({o: v for o, v in acked.items() if got.get(o) != v}, {},
              "pypi: kill -9 under load loses nothing acknowledged")
        equal(sorted(got), list(range(len(got))), "pypi: and leaves no hole")
    finally:
        own.close()


def main():
    global server
    server = Server(sys.argv[1]).start()
    wanted = set(sys.argv[2:])
    try:
        for run, limit_s in (
                (administration, 20), (assigned, 10), (errors, 40),
                (smartmodules, 20), (transformed, 40), (written_in_rust, 120),
                (watching, 10), (records, 15), (starts, 30), (live, 15),
                (two_at_once, 15), (partitions, 30), (codecs, 30),
                (topic_codecs, 20), (sizes, 90), (consumer_offsets, 40),
                (with_ours, 15), (deduplicated, 20), (secured, 30), (restarts, 40), (killed_under_load, 40)):
            if not wanted or run.__name__ in wanted:
                group("pypi: " + run.__name__.replace("_", " "), run, limit_s)
        check(server.alive(), "pypi: the server is still the one that started")
        equal(server.stop(), 0, "pypi: the server ends with exit status 0")
        equal(server.verify(), (0, ""), "pypi: its data directory is whole")
    finally:
        server.close()
    harness.finish()


if __name__ == "__main__":
    main()
