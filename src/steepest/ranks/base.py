"""What one of many processes asks the others.

Every rank holds its own events and takes its own part of each batch; θ is the same on all. What
must be the same on all ranks comes from one object: sums, what all ranks hold together, and each
decision that a clock or a user makes. The main rank alone writes.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from steepest.compiled.clock import clock

T = TypeVar("T")


class Ranks:
    """One process, or the base class of many.

    A rank of another kind overrides `sum`, `gather`, `to_main` and `from_main`. All ranks make the
    same calls in the same order.

    Attributes
    ----------
    rank, size : int
        This process's number, and how many there are.
    local_size : int
        How many of them share this machine.

    Examples
    --------
    >>> ranks = Ranks()
    >>> ranks.is_main, ranks.total(1000.0), ranks.gather("mine")
    (True, 1000.0, ['mine'])
    """

    rank = 0
    size = 1
    local_size = 1

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum of the values over the ranks, with the same bits on each."""
        return values

    def sum_tensor(self, values: T) -> T:
        """As `sum`, of a tensor of PyTorch, where it lies; it may be changed."""
        raise NotImplementedError

    def gather(self, value: T) -> list[T]:
        """What each rank has, in their order, on every rank."""
        return [value]

    def to_main(self, value: T) -> list[T]:
        """What each rank has, in their order, on the main rank; an empty list on others."""
        return [value]

    def from_main(self, value: T) -> T:
        """The main rank's value, on every rank."""
        return value

    @property
    def is_main(self) -> bool:
        """Whether this process writes: folders, locks, checkpoints, progress."""
        return self.rank == 0

    def total(self, value: float) -> float:
        """Σ over the ranks, for a denominator: a number of events, or a sum of weights."""
        return value if self.size == 1 else float(self.sum(np.array([value], np.float64))[0])

    def mean(self, value: float, events: int) -> float:
        """The mean of a value that this rank has for so many events."""
        if self.size == 1:
            return value
        total, count = self.sum(np.array([value * events if events else 0.0, float(events)]))
        return float(total / count)

    def any(self, condition: bool) -> bool:
        """Whether the condition holds on some rank."""
        return condition if self.size == 1 else self.total(float(condition)) > 0.0

    def clock(self) -> float:
        """Seconds of a monotonic clock that stops while kernels are compiled: the main rank's."""
        return self.from_main(clock())
