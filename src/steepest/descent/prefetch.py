"""Items that are needed one after the other: the next one is made while one is in use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Items by number, made by one thread ahead of their use, or when they are asked for.

    Parameters
    ----------
    make
        ``make(number)`` makes an item. It is never called by two threads at once, and may write
        into memory of item ``number - 2``.
    end
        The number after the last one.
    threaded
        Whether a thread makes items ahead.

    Examples
    --------
    >>> squares = Prefetcher(lambda number: number**2, end=3, threaded=True)
    >>> squares.get(1), squares.get(2)
    (1, 4)
    """

    def __init__(self, make: Callable[[int], Item], end: int, threaded: bool) -> None:
        self._make, self._end = make, end
        self._current: tuple[int, Item] | None = None
        self._next: tuple[int, Future[Item]] | None = None
        self._executor = ThreadPoolExecutor(1, "prefetch") if threaded else None

    def get(self, number: int) -> Item:
        """The item; it serves until another one is asked for."""
        if self._current is not None and self._current[0] == number:
            return self._current[1]
        self._current = None
        item = self._taken(number)
        self._current = number, item
        if self._executor is not None and number + 1 < self._end:
            self._next = number + 1, self._executor.submit(self._make, number + 1)
        return item

    def _taken(self, number: int) -> Item:
        """The item that was made ahead, or one made now."""
        ahead, self._next = self._next, None
        if ahead is not None:
            if ahead[0] == number:
                return ahead[1].result()
            ahead[1].cancel()
            if not ahead[1].cancelled():
                ahead[1].exception()  # wait for it
        return self._make(number)
