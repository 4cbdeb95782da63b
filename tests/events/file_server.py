"""A web server of some files, which may fail, on the loopback address."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Server(str):
    """The server's address; `sent` has (path, bytes, whether a range) of each answer to GET."""

    def __init__(self, _: str) -> None:
        self.sent: list[tuple[str, int, bool]] = []
        self.failed: list[str] = []
        self.tried: set[str] = set()

    @property
    def bytes(self) -> int:
        return sum(size for _, size, _ in self.sent)


@contextmanager
def file_server(files: dict[str, bytes]) -> Iterator[Server]:
    """Serve the files below /ok/ and, with a fault, below other folders; yield the address.

    The first answer to each GET ends in its middle below /cut/, with the connection reset below
    /reset/, and without an end below /stall/; below /short/ it is a shorter one. The first of each
    request is told the status below /500/, /503/ and /429/, the last of which asks for 3 s. /deaf/
    knows no ranges; /secret/ says 401; /down/ and /silent/ never answer to GET.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *_) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", stop=None, **headers) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:stop])
            if stop is not None:
                self.close_connection = True

        def respond(self) -> None:
            _, kind, name = urlsplit(self.path).path.split("/", 2)
            asked = f"{self.command} {self.path} {self.headers.get('Range')}"
            is_first = asked not in server.tried
            server.tried.add(asked)
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if kind == "secret":
                self.answer(401)
            elif name not in files:
                self.answer(404)
            elif kind.isdecimal() and is_first:
                server.failed.append(asked)
                self.answer(int(kind), b"", None, **({"Retry_After": "3"} if kind == "429" else {}))
            elif kind == "down" and self.command == "GET":
                server.failed.append(asked)
                self.answer(503, Retry_After="3600")
            elif kind == "silent" and self.command == "GET":
                server.failed.append(asked)
                released.wait(30)
            else:
                fault = kind if is_first and self.command == "GET" else ""
                self.content(fault, files[name], None if kind == "deaf" else part, kind != "deaf")

        def content(self, fault, content, part, knows_ranges) -> None:
            size, headers = len(content), {}
            if part is not None:
                first, last = int(part[1]), min(int(part[2]), size - 1)
                headers["Content_Range"] = f"bytes {first}-{last}/{size}"
                content = content[first : last + 1]
            stop = None
            if fault in ("cut", "reset", "stall", "short"):
                server.failed.append(self.path)
                stop = len(content) // 2
            elif self.command == "GET":
                server.sent.append((self.path, len(content), part is not None))
            if fault == "short":
                content, stop = content[:stop], None
            headers["Accept_Ranges"] = "bytes" if knows_ranges else "none"
            self.answer(206 if part else 200, content, stop, **headers)
            if fault == "stall":
                released.wait(30)
            if fault == "reset":  # what is not sent yet is dropped, and the client is told so
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()

        do_GET = do_HEAD = respond  # noqa: N815

    released = threading.Event()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        released.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
