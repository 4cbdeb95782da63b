"""Work shared out to threads, where that is measured to pay.

What to use when: `Crew` for pieces that do not wait for each other, `Team` for steps that several
threads take together. A crew's results come back in the order of the work, whichever thread did
what, so that sums over them have the same bits for any number of threads. A second thread doubles
the pace on an idle machine and can cost many times more than it gives on a busy one. So what it
gives is timed, on the work itself, and looked at again from time to time: a crew's in every call,
a team's by turns (see `steepest.objective.trial`), since its threads wait for each other.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from steepest.objective.cores import Helper, Waiting, move_away_from, this_core, usable_cores
from steepest.objective.trial import TURN, WORTH, Trial, steps_of

__all__ = ["Crew", "Team", "shared", "together"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Sum = TypeVar("Sum")

SECONDS_BETWEEN = 5.0
"""After so long the threads are timed again, or sooner where that costs little."""
POOR = 2
"""Calls in a row in which more threads were of no use, after which a crew gives them up."""
FEWEST = 8
"""Pieces of work that are shared, at least; steps for which threads that wake up are not timed."""
LOOKING = 0.01
"""The share of the time that may be spent on timing."""
DOUBTING = 0.5
"""The same after a change of mind; half of it after each trial that agrees."""
WATCHED = 0.05
"""Seconds for which several threads work until their pace is looked at."""
REST, WARMING = 0.01, 0.05
"""After a pause of so many seconds, several threads are not timed for so many seconds of work:
cores that have rested are slow for some milliseconds, above all those of a virtual machine."""
SLOWER = 1.5
"""Threads that take so many times as long as when they were timed are timed again soon."""


class Crew:
    """One thread for each core up to `most`, or one where the others were of no use lately.

    A thread takes the next piece when it is done with one, so that one on a busy core takes few
    and costs no more than the wait for its last. So no work is done in another way to find out: a
    call says itself how many times as fast it was as its caller alone would have been, at the pace
    of the pieces that the caller took.

    Examples
    --------
    >>> Crew(most=2).map(lambda number: number**2, range(5))
    [0, 1, 4, 9, 16]
    """

    def __init__(self, most: int = 2) -> None:
        self.most = self.chosen = most
        self._poor = 0  # calls in a row in which the others were of no use
        self._next_look = 0.0

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], fewest: int = FEWEST
    ) -> list[Result]:
        """Do the work on each item; return the results in the items' order.

        Fewer than `fewest` items are not worth calling another thread.
        """
        most = min(self.most, usable_cores())  # now: the caller may have been given fewer
        given_up = self.chosen == 1 and time.monotonic() < self._next_look
        if most == 1 or given_up or len(items) < fewest:
            return [work(item) for item in items]
        began = time.monotonic()
        results, gain = _shared(work, items, most)
        self._note(gain, time.monotonic() - began)
        return results

    def _note(self, gain: float, seconds: float) -> None:
        """Choose by what the threads have given; one disturbed call changes nothing."""
        self._poor = self._poor + 1 if gain < WORTH else 0
        if not self._poor:
            self.chosen = self.most
        elif self._poor >= POOR:
            self.chosen, self._next_look = 1, _next_look(seconds)


class Team:
    """Threads that take steps together: `most`, or one where that was faster when last timed.

    Parameters
    ----------
    most
        As many as can work at once on what is to be done.
    """

    def __init__(self, most: int) -> None:
        self.most = self.chosen = min(most, usable_cores())
        self._awake = 0  # members of the last call: others must be made or woken up first
        self._latest = 0.0  # and the seconds of each of its steps
        self._pace = math.inf  # the same of those chosen, when last timed
        self._trial: Trial | None = None
        self._worked = self._interval = 0.0  # seconds since the last trial, and until the next
        self._since_pause, self._ended = WARMING, math.inf  # seconds of work, and when it ended
        self._next_look = self._soonest = 0.0
        self._share = LOOKING

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
        done = 0
        if time.monotonic() - self._ended > REST:
            self._since_pause = 0.0
        while done < steps:
            members, count = self._next(steps - done)
            began = time.perf_counter()
            taken, total = take(total, done, count, members)
            self._note(members, taken, time.perf_counter() - began)
            done += taken
            if taken < count:
                break
        self._ended = time.monotonic()
        return done, total

    def _next(self, left: int) -> tuple[int, int]:
        """How many threads are to take how many of the steps that are left."""
        if self.most == 1:
            return 1, left
        trial = self._trial
        if trial is None and self._due():
            trial = self._trial = Trial(self.most, self.chosen)
        members = self.chosen if trial is None else trial.members
        if members != self._awake:
            return members, min(left, FEWEST, steps_of(TURN / 4, self._pace))
        if trial is not None:
            return members, min(left, trial.wanted(self._latest))
        return members, left if members == 1 else min(left, steps_of(WATCHED, self._latest))

    def _due(self) -> bool:
        """Whether to time again: several threads, whose pace is known, after so much work only."""
        if self.chosen > 1:
            return self._worked >= self._interval and self._warm
        return time.monotonic() >= self._next_look

    @property
    def _warm(self) -> bool:
        """Whether the cores have worked for a while."""
        return self._since_pause >= WARMING

    def _note(self, members: int, taken: int, seconds: float) -> None:
        """Remember how long they took."""
        self._worked += seconds
        self._since_pause += seconds
        awake, trial, pace = self._awake, self._trial, seconds / max(taken, 1)
        self._awake, self._latest = members, pace
        if trial is not None:
            trial.add(members, taken, seconds, counted=members == awake)
            self._decide(trial)
        elif members == awake and seconds >= TURN and pace > SLOWER * self._pace and self._warm:
            self._next_look = self._soonest
            self._interval = 0.0 if time.monotonic() >= self._soonest else self._interval

    def _decide(self, trial: Trial) -> None:
        """Choose, if the trial has come to an end, and when to make the next."""
        verdict = trial.verdict
        if verdict is None:
            return
        self._share = max(LOOKING, self._share / 2) if verdict == self.chosen else DOUBTING
        self.chosen, self._pace, self._trial = verdict, trial.pace(verdict), None
        self._next_look = _next_look(trial.seconds, self._share)
        self._soonest = _next_look(trial.seconds, DOUBTING)
        self._worked, self._interval = 0.0, self._next_look - time.monotonic()


def _next_look(seconds: float, share: float = LOOKING) -> float:
    """When to time again, after a timing that took so long, for it to take that share of all."""
    return time.monotonic() + min(SECONDS_BETWEEN, seconds / share)


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

    helpers = [
        Helper.call(partial(other, member), at, beside=(core, member))
        for member in range(1, members)
    ]
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
    return _shared(work, items, threads)[0]


def _shared(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> tuple[list[Result], float]:
    """The results, and how many times as long this thread would have taken alone."""
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    turns, taken = itertools.count(), [0] * threads
    core, began = this_core(), time.perf_counter()

    def take_turns(number: int) -> None:
        turn = -1
        try:
            while not errors and (turn := next(turns)) < len(items):
                results[turn] = work(items[turn])
                taken[number] += 1
        except BaseException as error:
            errors[turn] = error

    helpers = [
        Helper.call(partial(take_turns, number), beside=(core, number))
        for number in range(1, threads)
    ]
    take_turns(0)
    own = time.perf_counter() - began
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[min(errors)]
    gain = own / max(taken[0], 1) * len(items) / max(time.perf_counter() - began, 1e-9)
    return [results[turn] for turn in range(len(items))], gain
