"""A web server of some files, which may fail, on the loopback address."""

from __future__ import annotations

import re
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

    /cut/ closes the connection in the middle of the first answer to each GET; /busy/ says 500 to
    the first of each request; /deaf/ knows no ranges; /secret/ says 401.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_) -> None:
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
            elif kind == "busy" and is_first:
                server.failed.append(asked)
                self.answer(500)
            else:
                self.content(kind, files[name], None if kind == "deaf" else part, is_first)

        def content(self, kind, content, part, is_first) -> None:
            size, headers = len(content), {}
            if part is not None:
                first, last = int(part[1]), min(int(part[2]), size - 1)
                headers["Content_Range"] = f"bytes {first}-{last}/{size}"
                content = content[first : last + 1]
            cut = kind == "cut" and is_first and self.command == "GET"
            if cut:
                server.failed.append(self.path)
            elif self.command == "GET":
                server.sent.append((self.path, len(content), part is not None))
            headers["Accept_Ranges"] = "none" if kind == "deaf" else "bytes"
            stop = len(content) // 2 if cut else None
            self.answer(206 if part else 200, content, stop, **headers)

        do_GET = do_HEAD = respond  # noqa: N815

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
