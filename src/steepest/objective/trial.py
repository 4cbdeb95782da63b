"""Two ways to take the same steps, timed in turn on the work itself.

What else the machine does makes a turn longer, never shorter, and seldom two of three: so a way
that has been good is given up by the medians of three turns of each, and kept after one in which
it was the better.
"""

from __future__ import annotations

import math
import statistics

__all__ = ["TURN", "WORTH", "Trial", "better", "steps_of"]

WORTH = 1.1
"""A second thread must be so many times as fast as one alone."""
TURN = 0.003
"""Seconds of a turn, at least."""
_MORE = 1.25
"""More steps are asked for than seem missing: what is left over would be dear to call for."""
_TURNS = 3


def better(most: int, of_most: float, of_one: float) -> int:
    """How many threads, by the seconds that these and one take for the same.

    Examples
    --------
    >>> better(2, 0.6, 1.0), better(2, 0.95, 1.0)
    (2, 1)
    """
    return most if WORTH * of_most < of_one else 1


def steps_of(seconds: float, pace: float) -> int:
    """How many steps take that long; at least one.

    Examples
    --------
    >>> steps_of(0.002, pace=0.0008)
    3
    """
    return max(1, math.ceil(seconds / max(pace, 1e-9)))


class Trial:
    """Turns of one thread and of `most`, beginning with those that are `chosen`.

    Examples
    --------
    >>> trial = Trial(most=2, chosen=1)
    >>> trial.add(1, 10, 0.01)
    >>> trial.members, trial.verdict
    (2, None)
    >>> trial.add(2, 10, 0.02)
    >>> trial.verdict
    1
    """

    def __init__(self, most: int, chosen: int) -> None:
        self.most, self.chosen = most, chosen
        self.members = chosen  # whose turn it is
        self.seconds = 0.0  # of the trial
        self._paces: dict[int, list[float]] = {1: [], most: []}  # seconds a step, of each turn
        self._turn = 0, 0.0  # steps and seconds, until now

    def add(self, members: int, steps: int, seconds: float, counted: bool = True) -> None:
        """Add what so many threads have done: to their turn, if it is counted."""
        self.seconds += seconds
        if not counted or members != self.members:
            return
        steps, seconds = self._turn[0] + steps, self._turn[1] + seconds
        self._turn = steps, seconds
        if steps and seconds >= TURN:
            self._paces[members].append(seconds / steps)
            self.members, self._turn = (1 if members > 1 else self.most), (0, 0.0)

    def wanted(self, pace: float) -> int:
        """Steps that are missing to this turn, if each takes that many seconds."""
        return steps_of(_MORE * (TURN - self._turn[1]), pace)

    @property
    def verdict(self) -> int | None:
        """How many threads are to be chosen; None while that is open."""
        turns = min(len(paces) for paces in self._paces.values())
        if turns != 1 and turns < _TURNS:
            return None
        verdict = better(self.most, self.pace(self.most), self.pace(1))
        return verdict if turns >= _TURNS or verdict == self.chosen else None

    def pace(self, members: int) -> float:
        """The median of their turns, in seconds a step."""
        return statistics.median(self._paces[members])
