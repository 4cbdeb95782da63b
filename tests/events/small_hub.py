"""A Hub of some public and one private dataset, on the loopback address."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "89abcdef0123456789abcdef0123456789abcdef"
TOKEN = "hf_test"
NAMES = "public private broken busy down deaf fickle moving gated limited"
DATASETS = tuple(NAMES.split())


class Url(str):
    """The Hub's address, what it has sent, and what it has refused.

    `sent` has (dataset, file, bytes, whether it was a part) of every answer to GET with content.
    """

    def __init__(self, _: str) -> None:
        self.sent: list[tuple[str, str, int, bool]] = []
        self.refused: list[str] = []
        self.moved = False

    def bytes(self, dataset: str) -> int:
        """Return the bytes of files of a dataset that were sent."""
        return sum(size for name, _, size, _ in self.sent if name == dataset)


@contextmanager
def small_hub(files: dict[str, bytes], later: dict[str, bytes] | None = None) -> Iterator[Url]:
    """Serve `files` as the datasets o/public, o/private (for TOKEN) and others; yield the URL.

    Answers for o/broken stop in the middle. o/busy says 504 once to each request, o/down to every
    one for content. o/gated shows its files and refuses content, o/limited says 429. o/deaf sends
    whole files for parts, o/fickle for all but the last part. After GET /move, main of o/moving is
    another commit, with the files `later`.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                stops = "/o/broken/" in self.path and status < 300 and "/api/" not in self.path
                self.wfile.write(body[: len(body) // 2] if stops else body)
                self.close_connection = True

        def respond(self) -> None:
            path = unquote(urlsplit(self.path).path)
            self.dataset = next((d for d in DATASETS if f"/o/{d}" in path), "")
            trusted = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if path == "/move":
                url.moved = True
                self.answer(200)
            elif not self.dataset or (self.dataset == "private" and not trusted):
                self.answer(401, X_Error_Code="RepoNotFound")
            elif self.dataset == "gated" and not path.startswith("/api/"):
                self.answer(403, X_Error_Code="GatedRepo")
            elif self.dataset == "limited":
                self.answer(429)
            elif self.unwilling():
                url.refused.append(self.dataset)
                self.answer(504)
            elif path.startswith("/api/"):
                self.listing(path, f"o/{self.dataset}")
            else:
                self.file(path.split("/resolve/", 1)[1])

        def unwilling(self) -> bool:
            asked = f"{self.command} {self.path} {self.headers.get('Range')}"
            if self.dataset == "busy" and asked not in tried:
                tried.add(asked)
                return True
            return self.dataset == "down" and self.command == "GET" and "/api/" not in self.path

        def listing(self, path: str, dataset: str) -> None:
            commit = next((c for c in (COMMIT, LATER) if c in path), self.main())
            there = {COMMIT: files, LATER: later or {}}[commit]
            if "/tree/" in path:
                answer = [
                    {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for n, c in there.items()
                ]
            elif "/revision/" in path and not path.endswith(("/revision/main", commit)):
                self.answer(404, X_Error_Code="RevisionNotFound")
                return
            else:
                siblings = [
                    {"rfilename": n, "size": len(c), "blobId": hashlib.sha1(c).hexdigest()}
                    for n, c in there.items()
                ]
                answer = {"id": dataset, "sha": commit, "siblings": siblings}
            self.answer(200, json.dumps(answer).encode(), Content_Type="application/json")

        def main(self) -> str:
            return LATER if self.dataset == "moving" and url.moved else COMMIT

        def file(self, place: str) -> None:
            revision, _, name = place.partition("/")
            commit = self.main() if revision == "main" else revision
            there = {COMMIT: files, LATER: later or {}}.get(commit)
            if there is None:
                self.answer(404, X_Error_Code="RevisionNotFound")
            elif name not in there:
                self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            else:
                content = there[name]
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                self.content(name, content, ETag=etag, X_Repo_Commit=commit)

        def content(self, name: str, content: bytes, **headers: str) -> None:
            size = len(content)
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if part is not None and not self.ignores(int(part[2]) + 1 == size):
                first, last = int(part[1]), min(int(part[2]), size - 1)
                headers["Content_Range"] = f"bytes {first}-{last}/{size}"
                status, content = 206, content[first : last + 1]
            else:
                status = 200
            if self.command == "GET":
                url.sent.append((self.dataset, name, len(content), status == 206))
            self.answer(status, content, **headers)

        def ignores(self, is_last: bool) -> bool:
            return self.dataset == "deaf" or (self.dataset == "fickle" and not is_last)

        do_GET = do_HEAD = respond  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url, tried = Url(f"http://127.0.0.1:{server.server_port}"), set[str]()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
