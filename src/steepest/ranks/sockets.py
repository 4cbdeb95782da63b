"""Small sums over the ranks of one machine, by sockets between each two of them.

A batch normalisation over ranks waits for two sums of a few numbers in every pass, and nothing
else can be computed meanwhile. Gloo hands each sum to threads of its own, which take some 0.5 ms of
CPU time in every process; here the rank's own thread writes to the others and reads from them.
"""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from steepest.ranks.base import Ranks

LARGEST = 2**15
"""Bytes of a message at most. Two of them fit into a socket's buffer: no rank waits to write."""
MOST = 16
"""Ranks at most: each of them writes to all others."""


class Sockets:
    """A rank's connections to all others.

    Parameters
    ----------
    connections
        By rank; None in this rank's own place.
    timeout
        Seconds that a rank waits for the others.
    """

    def __init__(self, connections: list[socket.socket | None], timeout: float) -> None:
        self._connections = connections
        self._buffers = [memoryview(bytearray(LARGEST)) for _ in connections]
        limit = struct.pack("ll", int(timeout), 0)
        for connection in filter(None, connections):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def gather(self, message: memoryview) -> list[memoryview]:
        """What each rank has, in their order: as many bytes of each, until the next call.

        Raises
        ------
        OSError
            A rank has ended, or does not answer.
        """
        for connection in filter(None, self._connections):
            connection.sendall(message)
        parts = []
        for connection, buffer in zip(self._connections, self._buffers, strict=True):
            parts.append(message if connection is None else buffer[: len(message)])
            received = 0
            while connection is not None and received < len(message):
                count = connection.recv_into(parts[-1][received:])
                if not count:
                    raise ConnectionError("Connection closed by peer")
                received += count
        return parts

    def close(self) -> None:
        """End; the other ranks see it."""
        for connection in filter(None, self._connections):
            connection.close()


def connected(ranks: Ranks, timeout: float) -> Sockets | None:
    """The rank's connections to all others, or None on all ranks where they cannot be made."""
    if not (1 < ranks.size == ranks.local_size <= MOST and hasattr(socket, "AF_UNIX")):
        return None
    folder = Path(ranks.from_main(tempfile.mkdtemp() if ranks.is_main else ""))
    with ExitStack() as opened:
        own, *lower = (opened.enter_context(_new()) for _ in range(ranks.rank + 1))

        def listen() -> None:
            own.bind(str(folder / str(ranks.rank)))
            own.listen(MOST)

        def call() -> None:
            for number, connection in enumerate(lower):
                connection.connect(str(folder / str(number)))
                connection.sendall(bytes([ranks.rank]))

        missing = ranks.any(_fails(listen)) or ranks.any(_fails(call))
        if ranks.is_main:
            shutil.rmtree(folder, ignore_errors=True)
        if missing:
            return None
        higher = {}
        for _ in range(ranks.rank + 1, ranks.size):
            connection = opened.enter_context(own.accept()[0])
            higher[connection.recv(1)[0]] = connection
        own.close()
        opened.pop_all()
    return Sockets([*lower, None, *(higher[number] for number in sorted(higher))], timeout)


def _new() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        made.setsockopt(socket.SOL_SOCKET, option, 4 * LARGEST)
    return made


def _fails(action: Callable[[], None]) -> bool:
    """Whether the system refuses it: a path too long, or another rank's folder is not seen."""
    try:
        action()
    except OSError:
        return True
    return False
