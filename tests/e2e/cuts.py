#!/usr/bin/env python3
"""A partition service that hangs up on who asks for positions.

    cuts.py PORT

Listens on 127.0.0.2:PORT and passes everything on to 127.0.0.1:PORT, until its
input ends. The first request for the offsets of consumers, and every other one
after it, ends the connection in the place of an answer. A line "cut" says so.
"""
import itertools
import os
import socket
import struct
import sys
import threading

FETCH_CONSUMER_OFFSETS = 1008
asked = itertools.count()


def frame(conn):
    size = conn.recv(4, socket.MSG_WAITALL)
    if len(size) < 4:
        raise EOFError
    return size + conn.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)


def requests(client, server):
    while True:
        request = frame(client)
        key, = struct.unpack_from(">h", request, 4)
        if key == FETCH_CONSUMER_OFFSETS and next(asked) % 2 == 0:
            print("cut", flush=True)
            raise EOFError
        server.sendall(request)


def answers(client, server):
    while True:
        client.sendall(frame(server))


def run(what, client, server):
    try:
        what(client, server)
    except (OSError, EOFError):
        pass
    for conn in (client, server):
        try:
            conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def greet(listener, port):
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        for what in (requests, answers):
            threading.Thread(target=run, args=(what, client, server),
                             daemon=True).start()


def main():
    port = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.2", port))
    print("ready", flush=True)
    threading.Thread(target=greet, args=(listener, port), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
