"""Hostile bytes against fluvio-server, from plain sockets; prints TAP.

    python3 hostile.py BIN_DIR

After each attack the same server must still be there, serve a new client
within a second and hold no more memory than its bounds allow.
"""
import contextlib
import os
import random
import resource
import select
import socket
import struct
import sys
import time

import harness
from harness import (CREATE, DELETE, FETCH_OFFSETS, LIST, PRODUCE, SC_V, SPU_V,
                     STREAM_FETCH, UPDATE_OFFSETS, WATCH, Closed, Machine, Raw,
                     Server, batch, check, equal, note, text)

FRAME_MAX = 32 * 1024 * 1024 + 64 * 1024
BATCH_MAX = 32 * 1024 * 1024
# Above what the server began with: --memory-max, and as much again for what
# the allocator, or a sanitizer, keeps.
MEMORY_MAX = 80 << 20
GROWTH_MB = 160
TOPIC = "hostile"

server = None


def fresh(claim):
    """A client that comes now produces and reads back within a second."""
    seen = "nothing"
    with Machine(server.work) as machine:
        watch = machine.watch()
        try:
            with Raw(server.spu) as raw:
                base = raw.offsets(TOPIC, 0)[3]
                value = b"%d" % base
                answer = raw.produce(TOPIC, [(0, batch([value]))])
                # What somebody else sent before may be stored in between.
                at = answer[0][2]
                got = raw.read(TOPIC, 0, at, at + 1)
                seen = harness.values_of(got[0][3])[:1]
                good = answer == [(0, 0, at)] and at >= base and \
                    seen == [value]
            with Raw(server.sc) as raw:
                raw.ask(LIST, SC_V, topic_list())
        except (Closed, OSError, ValueError) as err:
            good, seen = False, repr(err)
        took = watch()
    alive = server.alive()
    rss = server.rss_mb() if alive else 0
    check(alive and good and took < 1 and rss < server.rss_before + GROWTH_MB,
          f"hostile: {claim}: the server serves on, and has not grown",
          f"alive {alive}, read {seen}, {took:.2f} s, {rss:.0f} MB")
    note(f"after {claim}: {rss:.1f} MB resident, {took * 1000:.0f} ms, "
         f"{server.fds() if alive else 0} descriptors")


def topic_list():
    body = struct.pack(">I", 0) + b"\0\0"
    return text("Topic") + struct.pack(">I", len(body)) + body


def ends(raw, how):
    """True when `how(raw)` leads to an error answer or a close."""
    try:
        how(raw)
        return raw.closes()
    except Closed:
        return True


def both():
    return (("SC", server.sc), ("SPU", server.spu))


# --- bytes that are no frames --------------------------------------------------------


def random_bytes():
    rng = random.Random(11)
    for name, port in both():
        open_after = 0
        for _ in range(60):
            with Raw(port, hello=rng.random() < 0.5) as raw, \
                    contextlib.suppress(Closed, OSError):
                raw.write(rng.randbytes(rng.randrange(1, 4000)))
                raw.sock.shutdown(socket.SHUT_WR)
                open_after += not raw.closes()
        equal(open_after, 0, f"hostile: {name}: random bytes end in a close")
    fresh("random bytes")


def random_bodies():
    """Valid headers, so that the decoders see the noise."""
    rng = random.Random(12)
    for name, port in both():
        hung = 0
        apis = (CREATE, DELETE, LIST, WATCH) if name == "SC" else (
            PRODUCE, FETCH_OFFSETS, STREAM_FETCH, UPDATE_OFFSETS, 1, 1006,
            1007, 1008)
        for n in range(300):
            with Raw(port, limit_s=3) as raw:
                body = rng.randbytes(rng.randrange(0, 300))
                if name == "SC" and n % 2:
                    label = rng.choice(("Topic", "Partition", "SPU"))
                    body = text(label) + struct.pack(">I", len(body)) + body
                elif n % 2:
                    body = bytearray(harness.produce_body(
                        TOPIC, [(0, batch([b"x"]))]) if n % 4 == 1 else
                        harness.stream_body(TOPIC, 0, 0))
                    for _ in range(rng.randrange(1, 4)):
                        body[rng.randrange(len(body))] = rng.randrange(256)
                with contextlib.suppress(Closed):
                    raw.write(raw.frame(rng.choice(apis), rng.randrange(0, 26),
                                        bytes(body)))
                    raw.sock.shutdown(socket.SHUT_WR)
                    hung += not raw.closes()
        equal(hung, 0, f"hostile: {name}: random bodies end in an answer "
              "or a close")
    fresh("random bodies")


def lengths():
    for name, port in both():
        for size in (-1, -2147483648, 2147483647, FRAME_MAX + 1, 0, 1, 7):
            with Raw(port) as raw:
                check(ends(raw, lambda r: r.write(struct.pack(">i", size) +
                                                  b"\0" * max(0, min(size, 9)))),
                      f"hostile: {name}: a frame of {size} bytes is refused")
        for count in (0x7fffffff, 0xffffffff, 0x10000):
            with Raw(port) as raw:
                body = struct.pack(">I", count)
                if name == "SC":
                    body = text("Topic") + struct.pack(">I", 4) + body
                    how = raw.frame(LIST, SC_V, body)
                else:
                    how = raw.frame(FETCH_OFFSETS, SPU_V, body)
                check(ends(raw, lambda r: r.write(how)),
                      f"hostile: {name}: a list of {count} missing entries "
                      "is refused")
    fresh("lying lengths")


def cut_frames():
    with Raw(server.spu) as raw:
        whole = raw.frame(PRODUCE, SPU_V, harness.produce_body(
            TOPIC, [(0, batch([b"cut"]))]))
        before = raw.offsets(TOPIC, 0)[3]
    hung = 0
    for size in range(len(whole)):
        with Raw(server.spu, hello=size % 2 == 0) as raw:
            raw.write(whole[:size])
            raw.sock.shutdown(socket.SHUT_WR)
            hung += not raw.closes()
    equal(hung, 0, "hostile: a frame cut at every length ends in a close")
    # Cut inside, with a length that fits: the decoder meets the end.
    answered = 0
    for size in range(15, len(whole) - 4):
        with Raw(server.spu) as raw:
            raw.write(struct.pack(">i", size) + whole[4:4 + size])
            raw.sock.shutdown(socket.SHUT_WR)
            try:
                made = harness.Take(raw.answer()[1]).produced()
                answered += any(code == 0 for _, code, _ in made)
            except (Closed, ValueError):
                pass
    equal(answered, 0, "hostile: a request cut at every length is not accepted")
    with Raw(server.spu) as raw:
        equal(raw.offsets(TOPIC, 0)[3], before,
              "hostile: nothing of a cut request is kept")
    fresh("cut frames")


def unknown_requests():
    for name, port in both():
        for api in (2, 17, 19, 999, 1099, 0x7fff, 0x8000, 0xffff):
            with Raw(port) as raw:
                check(ends(raw, lambda r: r.write(r.frame(api, 1, b"abc"))),
                      f"hostile: {name}: api key {api} is refused")
        apis = (CREATE, DELETE, LIST, WATCH) if name == "SC" else (
            PRODUCE, FETCH_OFFSETS, STREAM_FETCH, UPDATE_OFFSETS)
        for version in (-1, -32768, 32767, 1000):
            left = [api for api in apis if not _ends_with(port, api, version)]
            equal(left, [], f"hostile: {name}: version {version} is refused")
    fresh("unknown keys and versions")


def _ends_with(port, api, version):
    with Raw(port) as raw:
        raw.write(raw.frame(api, version, b""))
        raw.sock.shutdown(socket.SHUT_WR)
        return raw.closes()


def garbage_behind():
    answers = 0
    with Raw(server.spu) as raw:
        start = raw.offsets(TOPIC, 0)[3]
        many = b"".join(raw.frame(PRODUCE, SPU_V, harness.produce_body(
            TOPIC, [(0, batch([b"pipelined"]))])) for _ in range(20))
        raw.write(many + b"\xff" * 64)
        try:
            while True:
                raw.answer()
                answers += 1
        except Closed:
            pass
    with Raw(server.spu) as raw:
        kept = raw.offsets(TOPIC, 0)[3] - start
    # Each answer stands for a record; a record may lack its answer.
    check(answers <= kept <= 20,
          "hostile: garbage behind requests takes back no answer",
          f"{answers} answers, {kept} records")
    fresh("garbage behind requests")


# --- batches that lie ------------------------------------------------------------------


def lying_batches():
    three = [b"a", b"b", b"c"]
    section = struct.pack(">I", 3) + b"".join(
        harness.record(v, i) for i, v in enumerate(three))
    lies = {
        "more records than it holds": batch(three, count=4, last_delta=3),
        "fewer records than it holds": batch(three, count=2, last_delta=1),
        "2,147,483,648 records": batch(three, count=1 << 31),
        "no record": batch([], count=0, last_delta=-1),
        "a last offset delta above its count": batch(three, last_delta=9),
        "a last offset delta below its count": batch(three, last_delta=0),
        "a negative last offset delta": batch(three, last_delta=-5),
        "the largest last offset delta": batch(three, last_delta=0x7fffffff),
        "a wrong checksum": batch(three, crc=12345),
        "a length above what is there": batch(three, length=5000),
        "a length below what is there": batch(three, length=50),
        "a negative length": batch(three, length=-1),
        "the largest length": batch(three, length=0x7fffffff),
        "another magic": batch(three, magic=1),
        "an unknown codec": batch(three, attributes=7),
        "gzip that is none": batch(three, attributes=1),
        "snappy that is none": batch(three, attributes=2),
        "lz4 that is none": batch(three, attributes=3),
        "zstd that is none": batch(three, attributes=4),
        "bytes behind its records": batch(three, section=section + b"trailer"),
        "a record that is longer than the batch": batch(
            three, section=struct.pack(">I", 3) + b"\xfe\xff\x7f" + b"x" * 40),
        "a varint without end": batch(
            three, section=struct.pack(">I", 3) + b"\xff" * 40),
        "half a header": batch(three)[:30],
        "nothing but zeros": bytes(200),
    }
    with Raw(server.spu) as raw:
        before = raw.offsets(TOPIC, 0)[3]
    # A reference consumer counts offsets by last delta: an accepted lie would
    # shift every later record. No lie may change where the log ends.
    for what, raw_batch in lies.items():
        with Raw(server.spu) as raw:
            try:
                seen = raw.produce(TOPIC, [(0, raw_batch)])
            except (Closed, ValueError) as err:
                seen = type(err).__name__
        with Raw(server.spu) as raw:
            end = raw.offsets(TOPIC, 0)[3]
        # An empty batch is a success that writes nothing, as in Fluvio.
        empty = seen == [(0, 0, 0)] and what in (
            "no record", "a negative last offset delta")
        refused = seen == "Closed" or (isinstance(seen, list) and seen and
                                       seen[0][1] != 0)
        check(end == before and (refused or empty),
              f"hostile: a batch with {what} is refused",
              f"answer {seen}, the log ends at {end}, was {before}")
        before = end
    with Raw(server.spu) as raw:
        good, bad = batch([b"good"]), batch([b"bad"], crc=1)
        seen = raw.produce(TOPIC, [(0, good), (0, bad), (0, good), (99, good)])
        equal([(p, code != 0) for p, code, _ in seen],
              [(0, False), (0, True), (0, False), (99, True)],
              "hostile: a bad entry fails alone, in its place")
        equal(raw.produce(TOPIC, []), [],
              "hostile: a request without entries is answered")
        seen = raw.produce(TOPIC, [(0, b"")])
        check(len(seen) == 1 and seen[0][:2] == (0, 0),
              "hostile: an entry without batches is answered", seen)
        values = []
        end = raw.offsets(TOPIC, 0)[3]
        for _, _, _, one in raw.read(TOPIC, 0, 0, end):
            values += harness.values_of(one)
        equal(len(values), end, "hostile: what is kept can be read throughout")
    fresh("lying batches")


def too_large():
    with Raw(server.spu, limit_s=20) as raw:
        big = bytes(BATCH_MAX + 4096)
        seen = raw.produce(TOPIC, [(0, batch([big], crc=0))])
        equal(seen[0][1], 10, "hostile: a batch above the limit is too large")
    body = bytes(40 << 20)
    with Raw(server.spu, limit_s=20) as raw:
        check(ends(raw, lambda r: r.write(r.frame(
            PRODUCE, SPU_V, harness.produce_body(TOPIC, [(0, body)])))),
            "hostile: a record of 40 MB ends in an answer or a close")
    fresh("a record of 40 MB")
    # As many bytes as a frame may have, on more connections than memory holds.
    with contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(Raw(server.spu, limit_s=1))
                  for _ in range(12)]
        top = 0
        chunk = bytes(1 << 20)
        left = {}
        for raw in greedy:
            raw.write(struct.pack(">i", FRAME_MAX - 1))
            raw.sock.setblocking(False)
            left[raw.sock] = 31
        quiet = time.monotonic()
        while left and time.monotonic() - quiet < 1:
            _, ready, _ = select.select([], list(left), [], 0.2)
            for sock in ready:
                try:
                    sock.send(chunk)
                    left[sock] -= 1
                except OSError:
                    left[sock] = 0
                if left[sock] <= 0:
                    del left[sock]
                quiet = time.monotonic()
            top = max(top, server.rss_mb())
        note(f"12 clients with unfinished frames of 32 MB: {top:.0f} MB")
        check(top < server.rss_before + GROWTH_MB,
              "hostile: unfinished large frames stay within --memory-max",
              f"{top:.0f} MB resident, began with {server.rss_before:.0f}")
        with Raw(server.spu) as raw:
            check(raw.offsets(TOPIC, 0)[0] == 0,
                  "hostile: meanwhile a small request is answered")
    fresh("unfinished large frames")


# --- clients that take their time -------------------------------------------------------


def crowd():
    """2,000 idle connections, twenty of them halfway through a frame."""
    room = harness.raise_fd_limit(4096)
    count = 2000 if room >= 2200 else room - 200
    before = server.rss_mb()
    idle = []
    try:
        for n in range(count):
            raw = Raw(server.spu if n % 2 else server.sc, hello=n % 100 == 0)
            if n % 100 == 1:
                raw.write(b"\0\0\1\0" + b"x" * 10)
            idle.append(raw)
        slow = []
        with Machine(server.work) as machine:
            for _ in range(50):
                watch = machine.watch()
                with Raw(server.spu) as raw:
                    raw.produce(TOPIC, [(0, batch([b"in the crowd"]))])
                slow.append(watch())
        slow.sort()
        after = server.rss_mb()
        note(f"{count} idle connections: {before:.1f} -> {after:.1f} MB, "
             f"connect and produce p50 {slow[25] * 1000:.1f} ms, "
             f"max {slow[-1] * 1000:.1f} ms")
        check(server.fds() > count, f"hostile: {count} idle connections are held",
              f"{server.fds()} descriptors of {count} clients")
        check(slow[25] < 0.1 and slow[-1] < 1,
              "hostile: a client among them is served without delay", slow)
        check(after - before < 100,
              "hostile: they cost little memory", f"{after - before:.0f} MB")
        fresh("2,000 idle connections")
    finally:
        for raw in idle:
            raw.sock.close()
    check(harness.eventually(lambda: server.fds() < 200, 5),
          "hostile: and are forgotten when they leave", server.fds())


def half_open():
    """Clients that left without a word, some with requests under way."""
    for n in range(200):
        raw = Raw(server.spu)
        if n % 2:
            raw.write(raw.frame(STREAM_FETCH, SPU_V, harness.stream_body(
                TOPIC, 0, 1 << 40 if n % 4 == 1 else 0)))
        # Closing with a reset: no FIN, answers find nobody.
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        raw.sock.close()
    check(harness.eventually(lambda: server.fds() < 200, 5),
          "hostile: reset connections are forgotten", server.fds())
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            raw = stack.enter_context(Raw(server.spu))
            raw.sock.shutdown(socket.SHUT_WR)
        check(harness.eventually(lambda: server.fds() < 200, 5),
              "hostile: connections closed on one side are closed",
              server.fds())
    fresh("half-open connections")


def slow_readers():
    """Readers of a large topic that never read their answers."""
    with Raw(server.sc) as raw:
        raw.create_topic("hostile-large")
    value = os.urandom(1 << 16)
    one = batch([value] * 15)
    with Raw(server.spu) as raw:
        for _ in range(40):
            raw.produce("hostile-large", [(0, one)])
    top = 0
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            raw = stack.enter_context(Raw(server.spu))
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # Many streams, so that one frame under way each is not the limit.
            for n in range(20):
                raw.write(raw.frame(STREAM_FETCH, SPU_V, harness.stream_body(
                    "hostile-large", 0, 0, max_bytes=8 << 20)))
        with Raw(server.spu) as raw:
            start = time.monotonic()
            while time.monotonic() - start < 2:
                raw.produce(TOPIC, [(0, batch([b"beside slow readers"]))])
                top = max(top, server.rss_mb())
        note(f"40 clients with 20 unread streams of 8 MB each: {top:.0f} MB")
        check(top < server.rss_before + GROWTH_MB,
              "hostile: answers that nobody reads stay within --memory-max",
              f"{top:.0f} MB resident, began with {server.rss_before:.0f}")
        fresh("readers that never read")


def drip():
    """Clients that send one byte a second, beside one that is served."""
    with contextlib.ExitStack() as stack:
        slow = []
        for n in range(30):
            raw = stack.enter_context(Raw(server.spu))
            slow.append((raw, raw.frame(PRODUCE, SPU_V, harness.produce_body(
                TOPIC, [(0, batch([b"drip"]))]))))
        worst = 0
        machine = stack.enter_context(Machine(server.work))
        for step in range(4):
            for raw, frame in slow:
                raw.write(frame[step:step + 1])
            tick = time.monotonic() + 1
            while time.monotonic() < tick:
                watch = machine.watch()
                with Raw(server.spu) as raw:
                    raw.produce(TOPIC, [(0, batch([b"beside drips"]))])
                worst = max(worst, watch())
        check(worst < 0.5, "hostile: one byte a second holds up nobody else",
              f"{worst:.2f} s")
        # Its time limits (30 s of silence, 5 min a frame) have no option and
        # are tested where the clock can be turned; here, it may finish late.
        raw, frame = slow[0]
        raw.write(frame[4:])
        equal(harness.Take(raw.answer()[1]).produced()[0][1], 0,
              "hostile: a client that was slow is answered when it is done")
    fresh("one byte a second")


def floods():
    """More under way on one connection than anybody needs."""
    with Raw(server.spu, limit_s=3) as raw:
        ask = b"".join(raw.frame(FETCH_OFFSETS, SPU_V, struct.pack(
            ">I", 1) + text(TOPIC) + struct.pack(">II", 1, 0))
            for _ in range(5000))
        raw.sock.setblocking(False)
        sent = got = 0
        end = time.monotonic() + 10
        answers = bytearray()
        while got < 5000 and time.monotonic() < end:
            r, w, _ = select.select([raw.sock],
                                    [raw.sock] if sent < len(ask) else [],
                                    [], 1)
            if w:
                sent += raw.sock.send(ask[sent:sent + 65536])
            if r:
                more = raw.sock.recv(1 << 16)
                if not more:
                    break
                answers += more
                while len(answers) >= 4:
                    size, = struct.unpack(">i", answers[:4])
                    if len(answers) < 4 + size:
                        break
                    del answers[:4 + size]
                    got += 1
        equal(got, 5000, "hostile: 5,000 requests at once are all answered")
    with Raw(server.spu) as raw, contextlib.suppress(Closed):
        for _ in range(3000):
            raw.write(raw.frame(STREAM_FETCH, SPU_V, harness.stream_body(
                TOPIC, 0, 1 << 30)))
    with Raw(server.sc) as raw, contextlib.suppress(Closed, OSError):
        raw.sock.settimeout(1)
        body = struct.pack(">q", 0) + b"\0"
        for _ in range(2000):
            raw.write(raw.frame(WATCH, SC_V, text("Topic") + struct.pack(
                ">I", len(body)) + body))
    fresh("floods of requests")


def main():
    global server
    # The limit that most systems start a service with: raising it is the
    # server's own affair.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    # Freed memory that a sanitizer keeps aside is not the server's growth.
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, (
        os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=8")))
    server = Server(sys.argv[1], "--memory-max", str(MEMORY_MAX)).start()
    wanted = set(sys.argv[2:])
    try:
        with Raw(server.sc) as raw:
            raw.create_topic(TOPIC)
        server.rss_before = server.rss_mb()
        note(f"fluvio-server begins with {server.rss_before:.1f} MB")
        fresh("nothing yet")
        pid = server.child.pid
        for run, limit_s in (
                (random_bytes, 30), (random_bodies, 40), (lengths, 60),
                (cut_frames, 40), (unknown_requests, 60), (garbage_behind, 20),
                (lying_batches, 40), (too_large, 60), (crowd, 40),
                (half_open, 20), (slow_readers, 40), (drip, 30), (floods, 40)):
            if not wanted or run.__name__ in wanted:
                harness.group("hostile: " + run.__name__.replace("_", " "),
                              run, limit_s)
        check(server.alive() and server.child.pid == pid,
              "hostile: the server outlives all of it")
        equal(server.stop(), 0, "hostile: the server ends with exit status 0")
        equal(server.verify(), (0, ""), "hostile: its data directory is whole")
    finally:
        server.close()
    harness.finish()


if __name__ == "__main__":
    main()
