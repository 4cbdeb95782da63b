"""Counts of downloaded bytes, reported to whoever observes them: the progress of a command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], object]
"""Called with the bytes received and the bytes requested so far."""


_LOCK = threading.Lock()
_COUNTS: dict[Report, list[int]] = {}


@contextmanager
def observe(report: Report) -> Iterator[None]:
    """Report all downloads of this process until the context ends.

    Examples
    --------
    >>> with observe(lambda received, requested: print(f"{received} of {requested}")):
    ...     requested(10)
    ...     received(4)
    0 of 10
    4 of 10
    """
    _COUNTS[report] = [0, 0]
    try:
        yield
    finally:
        del _COUNTS[report]


def requested(count: int) -> None:
    """Add to the bytes requested, from any thread; a negative count takes back what failed."""
    _add(0, count)


def received(count: int) -> None:
    """Add to the bytes received, from any thread."""
    _add(count, 0)


def _add(received: int, requested: int) -> None:
    with _LOCK:
        for report, counts in _COUNTS.items():
            counts[:] = counts[0] + received, counts[1] + requested
            report(*counts)
