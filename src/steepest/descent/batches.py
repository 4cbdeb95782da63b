"""Which events each step takes: all, some, or one.

Batch, mini-batch and stochastic gradient descent are one loop with another batch size. The order
of the events in epoch e depends on (seed, e) alone, so that a run resumed at any step goes on with
the very batches that the uninterrupted run takes.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Batches"]

_ORDER_STREAM = 1
"""Keeps the orders' random numbers apart from those of the initialisation (stream 0)."""


class Batches:
    """The rows of every step.

    Parameters
    ----------
    events, batch_size
        Numbers of events in the sample and in a batch; the last batch of an epoch may be smaller.
    seed
        Of the orders.
    first_step, first_epoch
        The numbers of the sample's first step and epoch, where they go on after those of another.

    Examples
    --------
    >>> batches = Batches(events=5, batch_size=2, seed=0)
    >>> batches.per_epoch, [len(batches.rows(step)) for step in range(3)]
    (3, [2, 2, 1])
    """

    def __init__(
        self, events: int, batch_size: int, seed: int, first_step: int = 0, first_epoch: int = 0
    ) -> None:
        self.events = events
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = first_step
        self.first_epoch = first_epoch
        self.per_epoch = -(-events // batch_size)
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    @property
    def whole(self) -> bool:
        """Whether each step takes all events, in their own order."""
        return self.batch_size == self.events

    def epochs(self, step: int) -> float:
        """How many epochs are done after so many steps."""
        return self.first_epoch + (step - self.first_step) / self.per_epoch

    def rows(self, step: int) -> np.ndarray:
        """The rows that step number `step` (from 0) takes, int64."""
        epoch, position = divmod(step - self.first_step, self.per_epoch)
        start = position * self.batch_size
        return self.order(self.first_epoch + epoch)[start : start + self.batch_size]

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of all events in that epoch, int64 ``(events,)``."""
        if epoch != self._epoch:
            entropy = np.random.SeedSequence([self.seed, _ORDER_STREAM, epoch])
            self._order = np.random.Generator(np.random.PCG64(entropy)).permutation(self.events)
            self._epoch = epoch
        return self._order
