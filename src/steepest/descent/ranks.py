"""The processes that descend together: here one alone.

Every rank holds its own events and takes its own batches; θ is the same on all. What must be the
same on all ranks comes from one object: the gradient of a step, the denominators (events and sums
of weights), and each decision that a clock or a user makes. The main rank alone writes.

A rank of another kind, for instance of ``torch.distributed``, overrides `sum` and `from_main`.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from steepest.compiled.clock import clock

T = TypeVar("T")


class Ranks:
    """One process, or the base class of many.

    Attributes
    ----------
    rank, size : int
        This process's number, and how many there are.

    Examples
    --------
    >>> ranks = Ranks()
    >>> ranks.is_main, ranks.total(1000.0)
    (True, 1000.0)
    >>> ranks.mean_gradient(0.5, np.array([1.0, 2.0]), events=8)
    (0.5, array([1., 2.]))
    """

    rank = 0
    size = 1

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum of the values over the ranks, with the same bits on each."""
        return values

    def from_main(self, value: T) -> T:
        """The main rank's value, on every rank."""
        return value

    @property
    def is_main(self) -> bool:
        """Whether this process writes: folders, locks, checkpoints, progress."""
        return self.rank == 0

    def mean_gradient(
        self, loss: float, gradient: np.ndarray, events: int
    ) -> tuple[float, np.ndarray]:
        """J and ∇J over the batches of all ranks, from those of this rank's batch.

        J = Σᵣ mᵣ Jᵣ / Σᵣ mᵣ with mᵣ the events of rank r's batch, and ∇J likewise. One sum is
        taken over all ranks, in float64.
        """
        if self.size == 1:
            return loss, gradient
        packed = np.empty(len(gradient) + 2)
        packed[:-2], packed[-2] = gradient, loss
        packed[:-1] *= events
        packed[-1] = events
        packed = self.sum(packed)
        packed[:-1] /= packed[-1]
        return float(packed[-2]), packed[:-2].astype(gradient.dtype)

    def total(self, value: float) -> float:
        """Σ over the ranks, for a denominator: a number of events, or a sum of weights."""
        return value if self.size == 1 else float(self.sum(np.array([value]))[0])

    def mean(self, value: float, events: int) -> float:
        """The mean of a value that this rank has for so many events."""
        if self.size == 1:
            return value
        total, count = self.sum(np.array([value * events, float(events)]))
        return float(total / count)

    def any(self, condition: bool) -> bool:
        """Whether the condition holds on some rank."""
        return condition if self.size == 1 else self.total(float(condition)) > 0.0

    def clock(self) -> float:
        """Seconds of a monotonic clock that stops while kernels are compiled: the main rank's."""
        return self.from_main(clock())
