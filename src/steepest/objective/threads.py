"""Work shared out to threads, where that is measured to pay.

What to use when: `Crew` for pieces that do not wait for each other, `Team` for steps that several
threads take together. A crew's results come back in the order of the work, whichever thread did
what, so that sums over them have the same bits for any number of threads. A second thread doubles
the pace on an idle machine and can cost many times more than it gives on a busy one: so each way is
timed, on the work itself, and looked at again from time to time.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from steepest.objective.cores import Helper, Waiting, move_away_from, this_core, usable_cores

__all__ = ["Crew", "Team", "shared", "together"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Sum = TypeVar("Sum")

WORTH = 1.1
"""A second thread must be so many times as fast as one alone."""
SECONDS_BETWEEN = 5.0
"""After so long the threads are timed again, or sooner where that costs little."""
FEWEST = 8
"""Pieces of work that are shared, and steps that are timed where there are as many."""
TRIAL = 0.002
"""Seconds for which each way is timed, at least."""
LOOKING = 0.01
"""The share of the time that may be spent on timing."""
DOUBTING = 0.1
"""The same after a change of mind, which a moment's disturbance may have made."""
SLOWER = 1.5
"""Threads that take so many times as long as before are timed again at once."""


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
        quarter, began_all = len(items) // 4, time.monotonic()
        pace, results = {}, []
        for threads, part in ((1, items[:quarter]), (self.most, items[quarter : 2 * quarter])):
            began = time.perf_counter()
            results += shared(work, part, threads)
            pace[threads] = quarter / (time.perf_counter() - began)
        self.chosen = self.most if pace[self.most] > WORTH * pace[1] else 1
        self._next_look = _next_look(began_all)
        return results + shared(work, items[2 * quarter :], self.chosen)


class Team:
    """Threads that take steps together: `most`, or one where that was faster when last timed.

    Parameters
    ----------
    most
        As many as can work at once on what is to be done.
    """

    def __init__(self, most: int) -> None:
        self.most = self.chosen = min(most, usable_cores())
        self._pace: dict[int, float] = {}  # seconds a step, by members, when last timed
        self._awake = 0  # members of the last call: others must be made or woken up first
        self._next_look = 0.0

    def run(
        self, steps: int, take: Callable[[Sum, int, int, int], tuple[int, Sum]], total: Sum
    ) -> tuple[int, Sum]:
        """Take steps by ``take(total, first, count, members)``, which gives the new total.

        It also gives how many steps it took; after fewer than it was asked for it is not called
        again. Returned are how many were taken, and the last total.

        Examples
        --------
        >>> Team(most=1).run(10, lambda total, first, count, members: (count, total + count), 0)
        (10, 10)
        """
        done, trial, began = 0, self._trial(steps), time.monotonic()
        if trial:
            other = 1 if self.chosen > 1 else self.most
            done, total, self._pace[other] = _timed(take, total, 0, trial, other)
            if done < trial:
                return done, total
            before = self.chosen
            self.chosen = self.most if WORTH * self._pace[self.most] < self._pace[1] else 1
            self._next_look = _next_look(began, LOOKING if self.chosen == before else DOUBTING)
        taken, total, pace = _timed(take, total, done, steps - done, self.chosen)
        if pace * taken >= TRIAL and (taken >= FEWEST or self._awake == self.chosen):
            if pace > SLOWER * self._pace.get(self.chosen, pace):
                self._next_look = 0.0
            self._pace[self.chosen] = pace
        self._awake = self.chosen
        return done + taken, total

    def _trial(self, steps: int) -> int:
        """How many of the steps are to be timed the other way; none if that is not due."""
        pace = self._pace.get(self.chosen)
        if self.most == 1 or pace is None or time.monotonic() < self._next_look:
            return 0
        trial = math.ceil(2 * TRIAL / pace)
        return min(max(trial, FEWEST), max(1, steps // 2)) if trial <= steps else 0


def _timed(
    take: Callable[[Sum, int, int, int], tuple[int, Sum]],
    total: Sum,
    first: int,
    count: int,
    members: int,
) -> tuple[int, Sum, float]:
    """How many steps were taken, the new total, and the seconds of each."""
    began = time.perf_counter()
    taken, total = take(total, first, count, members)
    return taken, total, (time.perf_counter() - began) / max(taken, 1)


def _next_look(began: float, share: float = LOOKING) -> float:
    """When to time again, after a timing that began then, for it to take that share of the time."""
    now = time.monotonic()
    return now + min(SECONDS_BETWEEN, (now - began) / share)


def together(
    work: Callable[[int], Result],
    members: int,
    failed: Callable[[], None],
    at: Waiting | None = None,
) -> Result:
    """Call ``work(member)`` on so many threads at once; return what it gives for member 0.

    `failed` is called when one raises, so that the others stop to wait for it. Helpers wait `at`
    some place for their next call, if one is given; the work calls those who wait there.

    Examples
    --------
    >>> together(lambda member: member + 1, members=2, failed=lambda: None)
    1
    """
    errors: list[BaseException] = []
    core = this_core()

    def other(member: int) -> None:
        try:
            move_away_from(core, member)
            work(member)
        except BaseException as error:
            errors.append(error)
            failed()

    helpers = [Helper.call(partial(other, member), at) for member in range(1, members)]
    try:
        result = work(0)
    except BaseException:
        failed()
        raise
    finally:
        for helper in helpers:
            helper.join()
    if errors:
        raise errors[0]
    return result


def shared(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Do the work with so many threads, this one among them; what one raises is raised here.

    Of several errors, that of the first item that has one, for any number of threads.

    Examples
    --------
    >>> shared(str, [1, 2, 3], threads=2)
    ['1', '2', '3']
    """
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    turns, core = itertools.count(), this_core()

    def take_turns(number: int) -> None:
        turn = -1
        try:
            if number:
                move_away_from(core, number)
            while not errors and (turn := next(turns)) < len(items):
                results[turn] = work(items[turn])
        except BaseException as error:
            errors[turn] = error

    helpers = [Helper.call(partial(take_turns, number)) for number in range(1, threads)]
    take_turns(0)
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[min(errors)]
    return [results[turn] for turn in range(len(items))]
