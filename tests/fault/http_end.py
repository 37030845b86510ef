#!/usr/bin/env python3
"""An HTTP endpoint that remembers what it took, for the tests of http-sink.

    http_end.py PORT FILE [MOOD]

A request that it takes is a line `KEY BODY` of FILE, synced before the answer
is sent; one whose key is there already is answered the same way and not stored
again, a line `again KEY` says so. MOOD "moody": some are answered with 500,
some with 429, some late, and of some the connection is closed when they have
been stored; "busy": the first is answered with 500, the second with 429 and
Retry-After: 1; "slow": the first is answered when another has been; "stuck":
those from partition 0 are answered with 500. A body that begins with "poison",
or has it in quotes, is answered with 422, unless MOOD is "mended".

With END_CERT and END_KEY in the environment it speaks TLS.
"""
import http.server
import itertools
import os
import random
import socketserver
import ssl
import sys
import threading
import time

port, path = int(sys.argv[1]), sys.argv[2]
mood = sys.argv[3] if len(sys.argv) > 3 else ""
requests = itertools.count(1)
lock = threading.Lock()
known = set()
another = threading.Event()


def load(file):
    """A line that a kill has cut was never answered for: it goes."""
    data = file.read()
    whole = data.rpartition(b"\n")[0]
    whole += b"\n" if whole else b""
    file.truncate(len(whole))
    file.seek(0, os.SEEK_END)
    for line in whole.decode().splitlines():
        word = line.split(" ", 1)[0]
        if word != "again":
            known.add(word)


log = open(path, "a+b", buffering=0)
log.seek(0)
load(log)


def store(key, body):
    with lock:
        if key in known:
            log.write(f"again {key}\n".encode())
        else:
            log.write(f"{key} ".encode() + body.replace(b"\n", b"|") + b"\n")
            known.add(key)
        os.fdatasync(log.fileno())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_OPTIONS(self):
        self.answer(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chance = random.random() if mood == "moody" else 1
        number = next(requests)
        if mood == "busy" and number == 2:
            self.answer(429, Retry_After="1")
            return
        if mood == "busy" and number == 1:
            chance = 0
        if mood == "slow" and number == 1:
            another.wait()
        if mood == "stuck" and \
                self.headers["Idempotency-Key"].split("/")[1] == "0":
            chance = 0
        poison = body.startswith(b"poison") or b'"poison"' in body
        if poison and mood != "mended":
            self.answer(422, b"it is poison")
        elif chance < 0.005:
            self.answer(500, b"not now")
        elif chance < 0.008:
            self.answer(429, Retry_After="0")
        else:
            if chance < 0.012:
                time.sleep(random.uniform(0, 0.1))
            store(self.headers["Idempotency-Key"], body)
            if chance < 0.016:
                self.close_connection = True
                self.connection.close()
            else:
                self.answer(200)
            if number > 1:
                another.set()

    do_PUT = do_POST

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ValueError, OSError):
            pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True


server = Server(("127.0.0.1", port), Handler)
if "END_CERT" in os.environ:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.environ["END_CERT"], os.environ["END_KEY"])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
