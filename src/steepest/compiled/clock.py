"""A clock that stops while kernels are compiled, which is no part of the work that is timed.

Machine code is kept on disk: the first run on a machine compiles for seconds, later ones do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Compilation:
    """What this process has spent on compilation; one within another counts once."""

    def __init__(self) -> None:
        self.depth, self.began, self.seconds = 0, 0.0, 0.0
        self.told: list[Callable[[], None]] = []


_COMPILATION = _Compilation()


def compilation_started() -> None:
    """Stop the clock, and tell who wants to know."""
    _COMPILATION.depth += 1
    if _COMPILATION.depth == 1:
        _COMPILATION.began = time.monotonic()
        for begins in _COMPILATION.told:
            begins()


def compilation_ended() -> None:
    """Let the clock go on."""
    _COMPILATION.depth -= 1
    if not _COMPILATION.depth:
        _COMPILATION.seconds += time.monotonic() - _COMPILATION.began


def clock() -> float:
    """Return the seconds of a monotonic clock, less those of compilation.

    Examples
    --------
    >>> began = clock()
    >>> clock() >= began
    True
    """
    return time.monotonic() - _COMPILATION.seconds


@contextmanager
def tell_compilation(begins: Callable[[], None]) -> Iterator[None]:
    """Call `begins` whenever a compilation begins within the context."""
    _COMPILATION.told.append(begins)
    try:
        yield
    finally:
        _COMPILATION.told.remove(begins)
