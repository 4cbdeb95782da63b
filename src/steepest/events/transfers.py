"""Counts of downloaded bytes, reported to whoever observes them: the progress of a command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["observe", "received", "requested"]

Report = Callable[[int, int], object]
"""Called with the bytes received and the bytes requested so far."""


class _Counter:
    def __init__(self, report: Report) -> None:
        self._report, self._lock = report, threading.Lock()
        self._received = self._requested = 0

    def add(self, received: int, requested: int) -> None:
        with self._lock:
            self._received += received
            self._requested += requested
            self._report(self._received, self._requested)


_COUNTERS: list[_Counter] = []


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
    counter = _Counter(report)
    _COUNTERS.append(counter)
    try:
        yield
    finally:
        _COUNTERS.remove(counter)


def requested(count: int) -> None:
    """Add to the bytes requested, from any thread; a negative count takes back what failed."""
    for counter in _COUNTERS:
        counter.add(0, count)


def received(count: int) -> None:
    """Add to the bytes received, from any thread."""
    for counter in _COUNTERS:
        counter.add(count, 0)
