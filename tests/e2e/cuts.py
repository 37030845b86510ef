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

from between import serve

FETCH_CONSUMER_OFFSETS = 1008
asked = itertools.count()


def request(body):
    key, = struct.unpack_from(">h", body)
    if key == FETCH_CONSUMER_OFFSETS and next(asked) % 2 == 0:
        print("cut", flush=True)
        raise EOFError
    return body


def link():
    return request, lambda answer: answer


def main():
    port = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.2", port))
    print("ready", flush=True)
    threading.Thread(target=serve, args=(listener, port, link),
                     daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
