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

from between import serve

VERSIONS, OWN = 18, 30000


def without_own(body):
    """correlation i32, error i16, count i32, (key, min, max i16)..., rest"""
    count, = struct.unpack_from(">i", body, 6)
    end = 10 + 6 * count
    kept = [body[at:at + 6] for at in range(10, end, 6)
            if struct.unpack_from(">h", body, at)[0] < OWN]
    assert len(kept) < count, "nothing to hide"
    return body[:6] + struct.pack(">i", len(kept)) + b"".join(kept) + body[end:]


def link():
    asked = set()

    def request(body):
        key, _, correlation = struct.unpack_from(">hhi", body)
        if key >= OWN:
            raise EOFError
        if key == VERSIONS:
            asked.add(correlation)
        return body

    def answer(body):
        correlation, = struct.unpack_from(">i", body)
        if correlation in asked:
            asked.remove(correlation)
            body = without_own(body)
        return body

    return request, answer


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    serve(listener, int(sys.argv[1]), link)


main()
