#!/usr/bin/env python3
"""A WebSocket server (the websockets library), and what can go wrong with one.

    ws_end.py PORT LOG

Prints the port once it listens (0: any). LOG has a line `OPEN /path` for each
WebSocket, `GOT text` for each message, `CLOSED code` at its end. Messages are
numbered over all connections of the process.

    /messages?count=N&end=E  N messages, then E: close, abort (no close at all),
                             stall (silence), open (one every 20 ms)
    /fragments               a message in three fragments, a ping in between
    /binary                  bytes that are no text, then stalls
    /echo                    what it is told, and what headers it was asked with
    /big?bytes=N             a message of N bytes between two small ones
    /ping                    a message for each pong that answers a ping
    /raw?hex=H               these bytes instead of frames
    /deluge?then=T           the first time: pings until no more are taken, and
                             nothing is read; then abort, or silence; later as
                             /messages
    /flood                   messages of 1,000 bytes as fast as they are taken
    /flooded                 (HTTP) how many those were
    /auth                    401 without the right Authorization
    /refuse?times=N          503 the first N times, then as /messages
    /redirect                302
    /silent                  never answers the handshake

With END_CERT and END_KEY in the environment it speaks TLS.
"""
import asyncio
import http
import os
import ssl
import sys
import urllib.parse

import websockets

log = open(sys.argv[2], "ab", buffering=0)
numbers = {"message": 0, "refused": 0, "flooded": 0, "deluge": 0}


def say(text):
    log.write(text.encode() + b"\n")


def take(kind):
    numbers[kind] += 1
    return numbers[kind]


def query_of(path):
    where = urllib.parse.urlsplit(path)
    return where.path.strip("/"), dict(urllib.parse.parse_qsl(where.query))


async def listen(ws):
    async for message in ws:
        say(f"GOT {message}")


async def finish_as(ws, end):
    if end == "close":
        await ws.close(1001, "that is all")
        return
    if end == "abort":
        ws.transport.abort()
        return
    listening = asyncio.ensure_future(listen(ws))
    while end == "open":
        await asyncio.sleep(0.02)
        await ws.send(f"message {take('message')}")
    await listening


async def messages(ws, query):
    for _ in range(int(query.get("count", 3))):
        await ws.send(f"message {take('message')}")
    await finish_as(ws, query.get("end", "close"))


async def fragments(ws, query):
    async def parts():
        yield "one "
        await ws.ping(b"between")
        yield "two "
        yield "three"

    await ws.send(parts())
    await finish_as(ws, "stall")


async def binary(ws, query):
    await ws.send(b"\xff\x00\xfe")
    await finish_as(ws, "stall")


async def echo(ws, query):
    await ws.send(ws.request_headers.get("X-Test", "no X-Test"))
    await ws.send(ws.request_headers["User-Agent"])
    async for message in ws:
        await ws.send(message)


async def big(ws, query):
    await ws.send("before")
    await ws.send("x" * int(query["bytes"]))
    await ws.send("after")
    await finish_as(ws, "stall")


async def ping(ws, query):
    while True:
        await asyncio.wait_for(await ws.ping(), 5)
        await ws.send("pong")
        await asyncio.sleep(0.05)


async def raw(ws, query):
    ws.transport.write(bytes.fromhex(query["hex"]))
    await finish_as(ws, "stall")


async def flood(ws, query):
    while True:
        await ws.send(str(take("flooded")).ljust(1000, "."))


async def deluge(ws, query):
    if take("deluge") > 1:
        await messages(ws, query)
        return
    ws.transport.pause_reading()
    stuck = 0
    while stuck < 25:
        stuck = stuck + 1 if ws.transport.get_write_buffer_size() else 0
        if stuck == 0:
            ws.transport.write(b"\x89\x00" * 32768)
        await asyncio.sleep(0.02)
    say("STUCK")
    if query.get("then") == "abort":
        ws.transport.abort()
    else:
        await asyncio.sleep(3600)


async def handle(ws):
    name, query = query_of(ws.path)
    say(f"OPEN {ws.path}")
    try:
        await globals()["messages" if name in ("auth", "refuse") else name](
            ws, query)
    except websockets.ConnectionClosed:
        pass
    finally:
        await ws.wait_closed()
        say(f"CLOSED {ws.close_code}")


async def before(path, headers):
    name, query = query_of(path)
    if name == "flooded":
        return http.HTTPStatus(200), [], b"%d" % numbers["flooded"]
    good = "Basic YWRhOnNlY3JldA=="
    if name == "auth" and headers.get("Authorization") != good:
        return http.HTTPStatus(401), [], b"go off"
    if name == "refuse" and take("refused") <= int(query.get("times", 1)):
        return http.HTTPStatus(503), [("Retry-After", "0")], b"not now"
    if name == "redirect":
        return http.HTTPStatus(302), [("Location", "wss://u:p@elsewhere.example/x?key=1")], b""
    if name == "silent":
        await asyncio.sleep(3600)
    return None


async def main():
    tls = None
    if "END_CERT" in os.environ:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(os.environ["END_CERT"], os.environ["END_KEY"])
    server = await websockets.serve(
        handle, "127.0.0.1", int(sys.argv[1]), process_request=before, ssl=tls,
        ping_interval=None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


asyncio.run(main())
