"""Who stands between clients and a service of Fluvio: frames are passed on, one
by one, until either side ends or something raises.
"""
import socket
import struct
import threading


def frame(conn):
    """What follows a frame's size."""
    size = conn.recv(4, socket.MSG_WAITALL)
    if len(size) < 4:
        raise EOFError
    return conn.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)


def send(conn, body):
    conn.sendall(struct.pack(">i", len(body)) + body)


def _run(change, source, target):
    try:
        while True:
            send(target, change(frame(source)))
    except (OSError, EOFError):
        pass
    for conn in (source, target):
        try:
            conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, port, link):
    """Passes on to 127.0.0.1:PORT, for ever. link() is asked for each
    connection: (request -> request, answer -> answer)."""
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        requests, answers = link()
        for way in ((requests, client, server), (answers, server, client)):
            threading.Thread(target=_run, args=way, daemon=True).start()
