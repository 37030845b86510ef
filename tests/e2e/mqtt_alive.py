"""A broker (MQTT 5) that asks for a keep-alive of one second.

Writes its port into FILE. Says "idle" into FILE.said when an idle client has
asked three times in a row in time, then floods it without a word in between,
and says "pressed" when it asks three times while it takes nothing.
"""
import select
import socket
import sys
import time

CONNACK = bytes([0x20, 6, 0, 0, 3, 0x13, 0, 1])
PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
TOPIC = b"\x00\x01t"
PAYLOAD = bytes(50000)
REST = len(TOPIC) + 1 + len(PAYLOAD)
MESSAGE = bytes([0x30, REST & 0x7F | 0x80, REST >> 7 & 0x7F | 0x80,
                 REST >> 14]) + TOPIC + b"\x00" + PAYLOAD


def await_pings(conn, count, answer):
    """Within twice one and a half keep-alives: the machine may be slow."""
    conn.settimeout(3)
    for _ in range(count):
        if conn.recv(2, socket.MSG_WAITALL) != PINGREQ:
            sys.exit("no ping in time")
        if answer:
            conn.sendall(PINGRESP)


def flood(conn):
    """Until the client takes nothing for a second."""
    conn.setblocking(False)
    rest = b""
    while select.select([], [conn], [], 1)[1]:
        rest = rest or MESSAGE
        rest = rest[conn.send(rest):]


def say(word):
    with open(sys.argv[1] + ".said", "a", encoding="ascii") as f:
        f.write(word + "\n")


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write(str(listener.getsockname()[1]))
    conn, _ = listener.accept()
    conn.recv(4096)
    conn.sendall(CONNACK)
    subscribe = conn.recv(4096)
    conn.sendall(bytes([0x90, 4]) + subscribe[2:4] + b"\x00\x01")
    await_pings(conn, 3, True)
    say("idle")
    flood(conn)
    await_pings(conn, 3, False)
    say("pressed")
    time.sleep(60)


main()
