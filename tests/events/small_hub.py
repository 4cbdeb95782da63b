"""A Hub of one public and one private dataset, on the loopback address."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_test"


@contextmanager
def small_hub(files: dict[str, bytes]) -> Iterator[str]:
    """Serve `files` as the datasets o/public, o/private (for TOKEN) and o/broken; yield the URL.

    Answers for o/broken stop in the middle.
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
                stops = "/o/broken/" in self.path and status == 200 and "/api/" not in self.path
                self.wfile.write(body[: len(body) // 2] if stops else body)
                self.close_connection = True

        def respond(self) -> None:
            path = unquote(urlsplit(self.path).path)
            dataset = next((d for d in ("public", "private", "broken") if f"/o/{d}" in path), "")
            trusted = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if not dataset or (dataset == "private" and not trusted):
                self.answer(401, X_Error_Code="RepoNotFound")
            elif path.startswith("/api/"):
                self.listing(path, f"o/{dataset}")
            else:
                self.file(path.split("/resolve/", 1)[1])

        def listing(self, path: str, dataset: str) -> None:
            if "/tree/" in path:
                answer = [
                    {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for n, c in files.items()
                ]
            else:
                siblings = [{"rfilename": name} for name in files]
                answer = {"id": dataset, "sha": COMMIT, "siblings": siblings}
            self.answer(200, json.dumps(answer).encode(), Content_Type="application/json")

        def file(self, place: str) -> None:
            revision, _, name = place.partition("/")
            if revision not in ("main", COMMIT):
                self.answer(404, X_Error_Code="RevisionNotFound")
            elif name not in files:
                self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            else:
                content = files[name]
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                self.answer(200, content, ETag=etag, X_Repo_Commit=COMMIT)

        do_GET = do_HEAD = respond  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
