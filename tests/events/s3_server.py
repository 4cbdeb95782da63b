"""A small S3 server on the loopback address, with buckets that anybody may read."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class S3Server(str):
    """The server's address; `sent` has (key, bytes, whether a range) of each GET of an object.

    `keys` has the access key that each request was signed with, or None.
    """

    def __init__(self, _: str) -> None:
        self.sent: list[tuple[str, int, bool]] = []
        self.failed: list[str] = []
        self.keys: set[str | None] = set()

    @property
    def bytes(self) -> int:
        return sum(size for _, size, _ in self.sent)


@contextmanager
def s3_server(objects: dict[str, bytes]) -> Iterator[S3Server]:
    """Serve objects named ``bucket/key``; yield the address.

    The first GET of each range is told 503 in the bucket ``busy`` and ends in its middle in
    ``cut``; ``secret`` may not be read.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *_) -> None:
            pass

        def answer(self, status: int, body: bytes, stop: int | None = None, **headers) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:stop])
            if stop is not None:
                self.close_connection = True

        def refuse(self, status: int, code: str) -> None:
            body = f"<Error><Code>{code}</Code><Message>{code}, says the server</Message></Error>"
            self.answer(status, body.encode(), Content_Type="application/xml")

        def respond(self) -> None:
            signed = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization") or "")
            server.keys.add(signed and signed[1])
            place, asked = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
            bucket, _, key = unquote(place.path).lstrip("/").partition("/")
            name = f"{bucket}/{key}"
            if bucket == "secret":
                self.refuse(403, "AccessDenied")
            elif not any(each.startswith(f"{bucket}/") for each in objects):
                self.refuse(404, "NoSuchBucket")
            elif not key and "list-type" in asked:
                self.list(bucket, asked)
            elif not key:
                self.answer(200, b"")
            elif name not in objects:
                self.refuse(404, "NoSuchKey")
            else:
                self.content(bucket, name)

        def content(self, bucket: str, name: str) -> None:
            content, size, headers, status = objects[name], len(objects[name]), {}, 200
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if asked is not None:
                first, last = int(asked[1]), min(int(asked[2]), size - 1)
                content, status = content[first : last + 1], 206
                headers["Content_Range"] = f"bytes {first}-{last}/{size}"
            if self.command == "GET" and bucket in ("busy", "cut"):
                fault = f"{name} {self.headers.get('Range')}"
                if fault not in server.failed:
                    server.failed.append(fault)
                    if bucket == "busy":
                        self.refuse(503, "SlowDown")
                    else:
                        self.answer(status, content, len(content) // 2, **headers)
                    return
            if self.command == "GET":
                server.sent.append((name, len(content), asked is not None))
            self.answer(status, content, **headers)

        def list(self, bucket: str, asked: dict[str, list[str]]) -> None:
            prefix = asked.get("prefix", [""])[0]
            keys = [
                name.partition("/")[2] for name in sorted(objects) if name.startswith(f"{bucket}/")
            ]
            keys = [key for key in keys if key.startswith(prefix)][: int(asked["max-keys"][0])]
            rests = {key: key[len(prefix) :].partition("/") for key in keys}
            folders = {f"{prefix}{rest[0]}/" for rest in rests.values() if rest[1]}
            if "delimiter" in asked:
                keys = [key for key in keys if not rests[key][1]]
            else:
                folders = set()
            body = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[f'{bucket}/{key}'])}</Size>"
                "<LastModified>2026-11-30T00:00:00.000Z</LastModified></Contents>"
                for key in keys
            )
            body += "".join(
                f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
                for each in sorted(folders)
            )
            body += f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>"
            answer = f'<?xml version="1.0"?><ListBucketResult>{body}</ListBucketResult>'
            self.answer(200, answer.encode(), Content_Type="application/xml")

        do_GET = do_HEAD = respond  # noqa: N815

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = S3Server(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
