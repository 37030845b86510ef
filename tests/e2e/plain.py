#!/usr/bin/env python3
"""A metadata service of plain Fluvio in front of that of fluvio-server.

    plain.py PORT

Prints its own port. It passes everything on, but names none of the requests
that fluvio-server adds to the protocol (keys from 30000 on) when a client asks
what there is, and hangs up on one that sends one nevertheless.
"""
import socket
import struct
import sys
import threading

VERSIONS, OWN = 18, 30000


def frame(conn):
    size = conn.recv(4, socket.MSG_WAITALL)
    if len(size) < 4:
        raise EOFError
    body = conn.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)
    return body


def send(conn, body):
    conn.sendall(struct.pack(">i", len(body)) + body)


def without_own(body):
    """correlation i32, error i16, count i32, (key, min, max i16)..., rest"""
    count, = struct.unpack_from(">i", body, 6)
    end = 10 + 6 * count
    kept = [body[at:at + 6] for at in range(10, end, 6)
            if struct.unpack_from(">h", body, at)[0] < OWN]
    assert len(kept) < count, "nothing to hide"
    return body[:6] + struct.pack(">i", len(kept)) + b"".join(kept) + body[end:]


def requests(client, server, asked):
    while True:
        body = frame(client)
        key, _, correlation = struct.unpack_from(">hhi", body)
        if key >= OWN:
            raise EOFError
        if key == VERSIONS:
            asked.add(correlation)
        send(server, body)


def answers(client, server, asked):
    while True:
        body = frame(server)
        correlation, = struct.unpack_from(">i", body)
        if correlation in asked:
            asked.remove(correlation)
            body = without_own(body)
        send(client, body)


def run(what, client, server, asked):
    try:
        what(client, server, asked)
    except (OSError, EOFError):
        pass
    for conn in (client, server):
        try:
            conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        asked = set()
        for what in (requests, answers):
            threading.Thread(target=run, args=(what, client, server, asked),
                             daemon=True).start()


main()
