"""Counts visits in Redis and shows them on a page that is read for every request."""

import http.server
import os
import pathlib
import signal
import socket
import sys


def count_visit() -> int:
    """INCR in the protocol of Redis, which is text."""
    with socket.create_connection((os.environ["CACHE"], 6379), timeout=5) as cache:
        cache.sendall(b"INCR visits\r\n")
        return int(cache.makefile().readline().strip().removeprefix(":"))


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = pathlib.Path("page.html").read_text().format(count=count_visit())
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
