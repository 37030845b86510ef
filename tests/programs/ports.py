#!/usr/bin/env python3
"""Ports for programs that have to be told one; to be imported, or

    ports.py COUNT    prints so many in one line

They are free now, and below those that the kernel hands out by itself: between
the look and the use no connection and no server of anybody gets one of them.
"""
import errno
import random
import socket
import sys

FIRST = 16384


def first_of_the_kernel():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32768


def take(sock):
    """Binds it to a port that nobody has."""
    end = first_of_the_kernel()
    while end > FIRST:
        try:
            sock.bind(("127.0.0.1", random.randrange(FIRST, end)))
            return
        except OSError as err:
            if err.errno != errno.EADDRINUSE:
                raise
    sock.bind(("127.0.0.1", 0))


def free_ports(count):
    socks = [socket.socket() for _ in range(count)]
    for sock in socks:
        take(sock)
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
