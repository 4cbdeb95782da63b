"""A Hub that keeps what is uploaded, on the loopback address, and fails when it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_writetokenABCDEF"
READ_ONLY = "hf_readtokenABCDEF"


@dataclass
class Repo:
    """A repository: its commits, each with all its files."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    proposed: dict[str, bytes] | None = None

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def commit(self, files: dict[str, bytes]) -> str:
        known = json.dumps([sorted(files), len(self.commits), self.private]).encode()
        sha = hashlib.sha1(known + b"".join(files.values())).hexdigest()
        self.commits.append((sha, files))
        return sha


@dataclass
class Fault:
    """The next `times` requests that match are answered otherwise."""

    method: str
    path: str
    how: (
        int | str
    )  # a status, "broken" in the middle of the answer, "slow", or "lost": done, untold
    times: int = 1


class Hub:
    """What is on the Hub, what it was asked, and how it will fail."""

    def __init__(self) -> None:
        self.url = ""
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.faults: list[Fault] = []

    def add(self, name: str, files: dict[str, bytes], private: bool = False) -> Repo:
        repo = self.repos[name] = Repo(private)
        repo.commit({".gitattributes": b"", **files})
        return repo

    def fault(self, method: str, path: str) -> Fault | None:
        for one in self.faults:
            if one.times and one.method == method and re.search(one.path, path):
                one.times -= 1
                return one
        return None

    def uploads(self) -> int:
        return sum(line.startswith("PUT ") for line in self.asked)


@contextmanager
def loopback_hub() -> Iterator[Hub]:
    """Serve an empty Hub."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def serve(self) -> None:
        parts = urlsplit(self.path)
        self.where, self.query = unquote(parts.path), parse_qs(parts.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{self.command} {self.where}")
        self.hub.agents.add(self.headers.get("User-Agent", ""))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.trusted, self.writes = token in (TOKEN, READ_ONLY), token == TOKEN
        self.broken = self.lost = False
        fault = self.hub.fault(self.command, self.where)
        if fault is not None and isinstance(fault.how, int):
            headers = {"Retry-After": "0"} if fault.how == 429 else {}
            self.answer(fault.how, b"<html>no</html>", **headers)
            return
        if fault is not None:
            self.broken, self.lost = fault.how == "broken", fault.how == "lost"
            time.sleep(0.3 if fault.how == "slow" else 0)
        self.route()

    def route(self) -> None:
        where = self.where
        if where == "/api/repos/create":
            self.create(json.loads(self.body))
        elif where == "/api/validate-yaml":
            self.json({"errors": [], "warnings": []})
        elif where.startswith("/lfs/"):
            self.store(where.removeprefix("/lfs/"))
        elif found := re.fullmatch(r"/(?:datasets/)?(.+/.+)\.git/info/lfs/objects/batch", where):
            if self.allowed(found[1], writing=True):
                self.batch(json.loads(self.body))
        elif found := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(/.*)?", where):
            self.api(found[1], found[2] or "/revision/main")
        elif found := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", where):
            if self.allowed(found[1]):
                self.file(self.hub.repos[found[1]], found[2], found[3])
        else:
            self.answer(404)

    def allowed(self, name: str, writing: bool = False) -> bool:
        """Whether this request may see, or write to, a repository; answers if not."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self.trusted):
            self.answer(404 if self.trusted else 401, X_Error_Code="RepoNotFound")
            return False
        if writing and not self.writes:
            self.answer(403 if self.trusted else 401)
            return False
        return True

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if not self.writes:
            self.answer(403 if self.trusted else 401)
        elif name in self.hub.repos:
            self.json({"error": "exists"}, 409)
        else:
            self.hub.add(name, {}, asked.get("visibility") == "private")
            kind = "datasets/" if asked.get("type") == "dataset" else ""
            self.json({"url": f"{self.hub.url}/{kind}{name}", "id": name})

    def api(self, name: str, rest: str) -> None:
        _, verb, *more = rest.split("/")
        if not self.allowed(name, verb in ("preupload", "commit")):
            return
        repo = self.hub.repos[name]
        if verb == "preupload":
            self.json({"files": [self.mode(repo, file) for file in json.loads(self.body)["files"]]})
        elif verb == "commit":
            self.commit(name, repo)
        elif (at := self.at(repo, more[0])) is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
        elif verb == "tree":
            self.json(
                [{"type": "file", "path": n, **self.ids(n, c, "oid")} for n, c in at[1].items()]
            )
        else:
            siblings = [{"rfilename": n, **self.ids(n, c, "blobId")} for n, c in at[1].items()]
            self.json({"id": name, "sha": at[0], "private": repo.private, "siblings": siblings})

    def at(self, repo: Repo, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return repo.commits[-1]
        return next((one for one in repo.commits if one[0] == revision), None)

    @staticmethod
    def is_large(name: str) -> bool:
        return name.endswith((".safetensors", ".parquet", ".png"))

    def ids(self, name: str, content: bytes, key: str) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        found: dict[str, Any] = {key: blob, "size": len(content)}
        if self.is_large(name):
            sha = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"oid": sha, "sha256": sha, "size": len(content), "pointerSize": 130}
        return found

    def mode(self, repo: Repo, file: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if self.is_large(file["path"]) else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def batch(self, asked: dict[str, Any]) -> None:
        def one(entry: dict[str, Any]) -> dict[str, Any]:
            if entry["oid"] in self.hub.stored:
                return entry
            return {**entry, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{entry['oid']}"}}}

        objects = [one(entry) for entry in asked["objects"]]
        self.json({"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            self.answer(400)
        else:
            self.hub.stored[oid] = self.body
            self.answer(200)

    def commit(self, name: str, repo: Repo) -> None:
        files = dict(repo.files)
        header, *operations = (json.loads(line) for line in self.body.splitlines())
        parent = header["value"].get("parentCommit")
        if parent is not None and parent != repo.head:
            self.json({"error": "the branch has moved"}, 412)
            return
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
            else:
                files[value["path"]] = self.hub.stored[value["oid"]]
        pull, kind = None, "datasets/" if self.where.startswith("/api/datasets/") else ""
        if "create_pr" in self.query:
            repo.proposed, sha = files, "e" * 40
            pull = f"{self.hub.url}/{kind}{name}/discussions/1"
        else:
            sha = repo.commit(files)
        url = f"{self.hub.url}/{kind}{name}/commit/{sha}"
        self.json({"commitUrl": url, "commitOid": sha, "pullRequestUrl": pull})

    def file(self, repo: Repo, revision: str, name: str) -> None:
        at = self.at(repo, revision)
        if at is None:
            self.answer(404, X_Error_Code="RevisionNotFound")
        elif name not in at[1]:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=at[0])
        else:
            content = at[1][name]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self.answer(200, content, ETag=etag, X_Repo_Commit=at[0])

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.lost:  # what was asked is done, and nobody is told
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if self.broken else body)
        if self.broken:
            self.close_connection = True
