"""What stands between visitors and the lab: Host, Origin, token, policy, bounds.

The lab listens on 127.0.0.1. A page elsewhere can still make a browser send requests there
(cross-site posts), or point a name of its own at 127.0.0.1 (DNS rebinding); so Host and Origin are
checked. Where the lab listens on other addresses, every request needs the token.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from steepest.lab.connections import Connections

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
COOKIE = "steepest-lab"
MOST_BYTES = 64 * 1024
"""Of a request's body."""
SECONDS = 10.0
"""In which a request's body must have come, and a visitor's turn."""
PIECE = 64 * 1024
"""Of an answer's body, sent when the one before was taken."""


class Bounds:
    """How much one visitor, an address, and all together may take at once.

    Requests beyond the bound wait for their turn: people in a classroom may share an address.
    """

    def __init__(self, requests: int = 16, streams: int = 32, all_streams: int = 256) -> None:
        self.requests, self.streams, self.all_streams = requests, streams, all_streams
        self.open_streams: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._present: Counter[str] = Counter()

    @asynccontextmanager
    async def request(self, visitor: str) -> AsyncIterator[None]:
        """Hold one of a visitor's turns; TooManyError if none comes within ten seconds."""
        turns = self._turns.setdefault(visitor, asyncio.Semaphore(self.requests))
        self._present[visitor] += 1
        try:
            try:
                async with asyncio.timeout(SECONDS):
                    await turns.acquire()
            except TimeoutError:
                raise TooManyError from None
            try:
                yield
            finally:
                turns.release()
        finally:
            self._present[visitor] -= 1
            if not self._present[visitor]:
                del self._present[visitor], self._turns[visitor]

    @asynccontextmanager
    async def stream(self, visitor: str) -> AsyncIterator[None]:
        """Hold one of the streams; TooManyError if there is none left."""
        if (
            self.open_streams[visitor] >= self.streams
            or self.open_streams.total() >= self.all_streams
        ):
            raise TooManyError
        self.open_streams[visitor] += 1
        try:
            yield
        finally:
            self.open_streams[visitor] -= 1
            if not self.open_streams[visitor]:
                del self.open_streams[visitor]


class TooManyError(Exception):
    """A visitor has as much in progress as one may."""


class Guard:
    """ASGI middleware that refuses what is not from this page or its token's owner.

    Parameters
    ----------
    app
        What answers.
    hosts
        Values of Host, with the port, that are this server's.
    token
        None on 127.0.0.1; else what each request must carry: as ``?token=`` once, then as a cookie.
    """

    def __init__(self, app: App, hosts: frozenset[str], token: str | None = None) -> None:
        self.app = app
        self.hosts = hosts
        self.token = token
        self.bounds = Bounds()
        self.connections = Connections()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with a sentence."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = self._refusal(scope)
        if refused:
            await _answer(send, *refused)
            return
        host, port = (scope.get("client") or ("", 0))[:2]
        hold = self.bounds.stream if scope["path"].endswith("/live") else self.bounds.request
        self.connections.began((host, port))
        try:
            async with hold(host):
                await self._pass_on(scope, receive, send)
        except TooManyError:
            await _answer(send, 429, "Too many requests at once from this address.")
        finally:
            self.connections.ended((host, port))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = _headers(scope)
        host = headers.get("host", "")
        if self.token is None and host not in self.hosts:
            return 403, "This server answers only to its own address, such as http://127.0.0.1."
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "Only GET, HEAD and POST are known here."
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return 403, "The request comes from another page than the lab's."
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        navigates = scope["method"] != "POST" and headers.get("sec-fetch-mode") == "navigate"
        if foreign and not navigates:
            return 403, "The request comes from another page than the lab's."
        if scope["method"] == "POST" and headers.get("content-type") != "application/json":
            return 415, "A request to change something must be application/json."
        if self.token is not None and not self._has_token(scope, headers):
            return (
                401,
                "The token is missing or wrong: open the address that `steepest lab` printed.",
            )
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        assert self.token is not None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        cookie: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookie.load(headers.get("cookie", ""))
        if COOKIE in cookie:
            given.append(cookie[COOKIE].value)
        return any(hmac.compare_digest(one.encode(), self.token.encode()) for one in given)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        extra = list(HEADERS)
        if self.token is not None:
            value = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            extra.append((b"set-cookie", value.encode()))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *extra]
            await _in_pieces(message, send)

        await self.app(scope, receive, with_headers)


async def body_of(receive: Receive) -> bytes:
    """Return a request's body.

    Raises
    ------
    ValueError
        It is larger than 64 KiB.
    TimeoutError
        It has not come within ten seconds.
    """
    parts: list[bytes] = []
    async with asyncio.timeout(SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""
            parts.append(message.get("body", b""))
            if sum(map(len, parts)) > MOST_BYTES:
                raise ValueError(f"The request has more than {MOST_BYTES // 1024} KiB.")
            if not message.get("more_body"):
                return b"".join(parts)


async def _in_pieces(message: Message, send: Send) -> None:
    """Send a body piece by piece: what a slow reader has not read yet is not kept in memory."""
    body, start = message.get("body", b""), 0
    while len(body) - start > PIECE:
        await send({**message, "body": body[start : start + PIECE], "more_body": True})
        start += PIECE
    await send({**message, "body": body[start:]} if body else message)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [*HEADERS, (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (sentence + "\n").encode()})
