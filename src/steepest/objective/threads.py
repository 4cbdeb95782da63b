"""Work shared out to threads, where that is measured to pay.

The results come back in the order of the work, whichever thread did what, so that sums over them
have the same bits for any number of threads. A second thread doubles the pace on an idle machine
and can cost many times more than it gives on a busy one: so each way is timed, on the work itself,
and looked at again from time to time.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["Crew", "usable_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH = 1.1
"""A second thread must be so many times as fast as one alone."""
SECONDS_BETWEEN = 5.0
"""After so long the threads are timed again."""
FEWEST = 8
"""Pieces of work that are shared at least."""


class Crew:
    """One thread, or one for each core up to `most`: whichever was faster when last timed.

    Examples
    --------
    >>> Crew(most=2).map(lambda number: number**2, range(5))
    [0, 1, 4, 9, 16]
    """

    def __init__(self, most: int = 2) -> None:
        self.most = min(most, usable_cores())
        self.chosen = 1
        self._next_look = 0.0

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do the work on each item; return the results in the items' order."""
        if self.most == 1 or len(items) < FEWEST:
            return [work(item) for item in items]
        if time.monotonic() < self._next_look:
            return shared(work, items, self.chosen)
        quarter = len(items) // 4
        pace, results = {}, []
        for threads, part in ((1, items[:quarter]), (self.most, items[quarter : 2 * quarter])):
            began = time.perf_counter()
            results += shared(work, part, threads)
            pace[threads] = quarter / (time.perf_counter() - began)
        self.chosen = self.most if pace[self.most] > WORTH * pace[1] else 1
        self._next_look = time.monotonic() + SECONDS_BETWEEN
        return results + shared(work, items[2 * quarter :], self.chosen)


def shared(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Do the work with so many threads, this one among them; what one raises is raised here.

    Examples
    --------
    >>> shared(str, [1, 2, 3], threads=2)
    ['1', '2', '3']
    """
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    turns = itertools.count()

    def take_turns() -> None:
        try:
            while not errors and (turn := next(turns)) < len(items):
                results[turn] = work(items[turn])
        except BaseException as error:
            errors.append(error)

    others = [threading.Thread(target=take_turns) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    take_turns()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
    return [results[turn] for turn in range(len(items))]


def usable_cores() -> int:
    """The number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
