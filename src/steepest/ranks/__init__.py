"""The processes that descend together, as ``torchrun`` starts them; one alone by default.

>>> from steepest.ranks import current
>>> current().size
1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from steepest.ranks.base import Ranks
from steepest.ranks.share import Share

__all__ = ["Ranks", "Share", "alone", "current", "use"]

_ALONE = Ranks()
_CURRENT: ContextVar[Ranks] = ContextVar("ranks")


def current() -> Ranks:
    """The ranks of which this process is one; of threads, the main one asks."""
    return _CURRENT.get(_ALONE)


@contextmanager
def use(ranks: Ranks) -> Iterator[Ranks]:
    """Let `current` be these."""
    token = _CURRENT.set(ranks)
    try:
        yield ranks
    finally:
        _CURRENT.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work on its own for a while, without the others."""
    with use(_ALONE):
        yield
