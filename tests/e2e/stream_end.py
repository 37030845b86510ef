#!/usr/bin/env python3
"""An HTTP server that streams, and everything that can go wrong with one.

    stream_end.py PORT LOG

Prints the port once it listens (0: any). Each request is a line of LOG:
`GET /path Last-Event-ID`. Lines and events are numbered over all connections
of the process and go on where the last connection ended; only events can be
asked for again.

    /lines?count=N&end=E    N lines, then E: clean (the body ends as HTTP says),
                            cut (half a line, then the body ends), abort (half a
                            line, then the connection breaks), stall (silence),
                            open (a line every 20 ms)
    /events?count=N&end=E   events with ids, from Last-Event-ID on
    /takes_back?id=I        an event with the id I (or none), and one that takes
                            back whatever id there was
    /refuse?times=N&code=C  answers C the first N times, then as /lines
    /redirect               to /lines
    /big?bytes=N            a line of N bytes between two small ones, then stalls
    /flood?bytes=N          lines of 1,000 bytes as fast as they are taken; the
                            number that was written is in LOG at the end
    /gzip                   says that it is compressed
    /garbage                no HTTP
    /silent                 no answer

With END_CERT and END_KEY in the environment it speaks TLS.
"""
import http.server
import os
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

log = open(sys.argv[2], "ab", buffering=0)
lock = threading.Lock()
numbers = {"line": 0, "event": 0, "refused": 0}


def say(text):
    log.write(text.encode() + b"\n")


def take(kind):
    with lock:
        numbers[kind] += 1
        return numbers[kind]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def start(self, kind="text/plain", **more):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def finish_as(self, end, next_piece):
        if end == "clean":
            self.wfile.write(b"0\r\n\r\n")
            return
        if end == "cut":
            self.chunk(b"half")
            self.wfile.write(b"0\r\n\r\n")
            return
        if end == "abort":
            self.wfile.write(b"100\r\nhalf")
            self.close_connection = True
            return
        while end == "open":
            time.sleep(0.02)
            self.chunk(next_piece())
        while True:
            time.sleep(1)

    def lines(self, query):
        def line():
            return b"line %d\n" % take("line")

        self.start()
        for _ in range(int(query.get("count", 3))):
            self.chunk(line())
        self.finish_as(query.get("end", "clean"), line)

    def events(self, query):
        at = int(self.headers.get("Last-Event-ID") or 0)

        def event():
            nonlocal at
            at += 1
            return (b"id: %d\nevent: tick\ndata: event %d\n\n" % (at, at))

        self.start("text/event-stream; charset=utf-8")
        self.chunk(b": hello\nretry: 20\n\n")
        for _ in range(int(query.get("count", 3))):
            self.chunk(event())
        self.finish_as(query.get("end", "clean"), event)

    def takes_back(self, query):
        self.start("text/event-stream")
        if "id" in query:
            self.chunk(b"id: %s\ndata: named\n\n" % query["id"].encode())
        self.chunk(b"id\ndata: nameless\n\n")
        self.finish_as("stall", None)

    def refuse(self, query):
        if take("refused") > int(query.get("times", 1)):
            self.lines(query)
            return
        self.send_response(int(query.get("code", 401)))
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"go off")

    def redirect(self, query):
        self.send_response(307)
        self.send_header("Location", "/lines?end=stall")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def big(self, query):
        self.start()
        self.chunk(b"before\n")
        left = int(query["bytes"])
        while left > 0:
            self.chunk(b"x" * min(left, 50000))
            left -= 50000
        self.chunk(b"\nafter\n")
        self.finish_as("stall", None)

    def flood(self, query):
        self.start()
        left = int(query["bytes"])
        while left > 0:
            self.chunk((b"%09d" % take("line")).ljust(999, b".") + b"\n")
            left -= 1000
            with lock:
                self.server.flooded = numbers["line"]
        self.finish_as("stall", None)

    def flooded(self, query):
        body = b"%d" % self.server.flooded
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def gzip(self, query):
        self.start(Content_Encoding="gzip")
        self.finish_as("stall", None)

    def garbage(self, query):
        self.wfile.write(b"\x00\x01 no HTTP at all \xff" * 100)
        self.close_connection = True

    def silent(self, query):
        self.finish_as("stall", None)

    def do_GET(self):
        where = urllib.parse.urlsplit(self.path)
        say(f"GET {self.path} {self.headers.get('Last-Event-ID', '')}")
        query = dict(urllib.parse.parse_qsl(where.query))
        try:
            getattr(self, where.path.strip("/"))(query)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    flooded = 0

    def finish_request(self, request, address):
        if "END_CERT" in os.environ:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(os.environ["END_CERT"],
                                    os.environ["END_KEY"])
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, address)

    def handle_error(self, request, address):
        pass  # a client that does not like the certificate, or is gone


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
