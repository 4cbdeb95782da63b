"""Connections of visitors: how many an address may have, and how long one may do nothing.

Uvicorn bounds all connections together, and waits for a request or a reader for ever: one visitor
could take them all. So each connection is watched on its way to Uvicorn's own protocol.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

MOST = 200
"""Connections of one address: a browser opens six, and a classroom may share an address."""
IDLE = 20.0
"""Seconds in which a connection must have begun a request."""
STALLED, READ = 30.0, 64 * 1024
"""Seconds in which a visitor must have read so many bytes of what was sent, if more is left."""
LOOK = 1.0

Client = tuple[str, int]


class Connections:
    """The connections that are open, by address, and those with a request in progress."""

    def __init__(self, most: int = MOST, idle: float = IDLE, stalled: float = STALLED) -> None:
        self.most, self.idle, self.stalled = most, idle, stalled
        self.by_address: Counter[str] = Counter()
        self.busy: Counter[Client] = Counter()
        self.open: dict[Client, Watched] = {}

    def began(self, client: Client) -> None:
        """A request of a connection has begun."""
        self.busy[client] += 1

    def ended(self, client: Client) -> None:
        """A request of a connection has ended."""
        self.busy[client] -= 1
        if not self.busy[client]:
            del self.busy[client]
        if client in self.open:
            self.open[client].quiet_since = time.monotonic()

    def protocol(self, inner: type[asyncio.Protocol]) -> Any:
        """Return what makes a watched protocol, as Uvicorn makes its own."""
        return lambda *given, **named: Watched(self, inner(*given, **named))


class Watched(asyncio.Protocol):
    """A connection that is ended if it is one too many, does nothing, or is not read from."""

    def __init__(self, connections: Connections, inner: Any) -> None:
        self.connections, self.inner = connections, inner
        self.quiet_since = time.monotonic()
        self.unread: tuple[int, float] | None = None
        self.client: Client | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Refuse the connection if its address has too many."""
        client = (transport.get_extra_info("peername") or ("", 0))[:2]
        if self.connections.by_address[client[0]] >= self.connections.most:
            transport.abort()
            return
        self.connections.by_address[client[0]] += 1
        self.connections.open[client] = self
        self.client, self.transport = client, transport
        self.inner.connection_made(transport)
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        assert self.client is not None
        assert self.transport is not None
        now, idle = time.monotonic(), self.client not in self.connections.busy
        if self.unread is not None:
            left = self.transport.get_write_buffer_size()
            if left < self.unread[0] - READ:
                self.unread = left, now
        stalled = self.unread is not None and now - self.unread[1] > self.connections.stalled
        if stalled or (idle and now - self.quiet_since > self.connections.idle):
            self.transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.client is None:
            return
        self._timer.cancel()
        self.connections.by_address[self.client[0]] -= 1
        if not self.connections.by_address[self.client[0]]:
            del self.connections.by_address[self.client[0]]
        self.connections.open.pop(self.client, None)
        self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        if self.client is not None:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self.inner.eof_received() if self.client is not None else None

    def pause_writing(self) -> None:
        """The visitor reads more slowly than is sent."""
        assert self.transport is not None
        self.unread = self.transport.get_write_buffer_size(), time.monotonic()
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """The visitor has read."""
        self.unread = None
        self.inner.resume_writing()
