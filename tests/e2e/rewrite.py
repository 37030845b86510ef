#!/usr/bin/env python3
"""A metadata service that says to terminals what it should not.

    rewrite.py PORT TEXT...

Prints its own port. It passes everything on to the one at PORT, and in what
comes back puts commands for a terminal in the place of each TEXT.
"""
import os
import socket
import sys
import threading


def spell(text):
    """As long as the text, so that the frames stay whole."""
    word = b"\x1b[2J\xc2\x9b"
    return word + b"!" * (len(text) - len(word))


def carry(source, sink, words):
    """Until the end; what may be the beginning of a word waits for more."""
    longest = max(map(len, words)) - 1 if words else 0
    held = b""
    while True:
        data = source.recv(65536)
        held += data
        for word, other in words.items():
            held = held.replace(word, other)
        keep = max((n for n in range(1, longest + 1) for word in words
                    if held.endswith(word[:n])), default=0) if data else 0
        try:
            sink.sendall(held[:len(held) - keep])
            held = held[len(held) - keep:]
            if not data:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
        if not data:
            return


def meet(client, port, words):
    server = socket.create_connection(("127.0.0.1", port))
    threading.Thread(target=carry, args=(client, server, {}),
                     daemon=True).start()
    carry(server, client, words)


def main():
    port = int(sys.argv[1])
    words = {text.encode(): spell(text) for text in sys.argv[2:]}
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def greet():
        while True:
            client = listener.accept()[0]
            threading.Thread(target=meet, args=(client, port, words),
                             daemon=True).start()
    threading.Thread(target=greet, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
