"""Which events each step takes: all, some, or one; and how they are shuffled.

Batch, mini-batch and stochastic gradient descent are one loop with another batch size. The order
of the events in epoch e depends on (seed, e) alone, so that a run resumed at any step goes on with
the very batches that the uninterrupted run takes.

Shuffling has two levels, so that events on disk are read in pieces. Up to `WINDOW` events are one
random permutation. More of them are cut into chunks of `CHUNK` consecutive events; an epoch takes
the chunks in random order, `WINDOW` events at a time, and permutes the events within each such
window. The order is the same whether the events lie in memory or on disk.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np

__all__ = ["Batches"]

_ORDER_STREAM, _WINDOW_STREAM = 1, 2
"""Keep the orders' random numbers apart from those of the initialisation (stream 0)."""
CHUNK = 1_024
"""Consecutive events that stay in one window."""
WINDOW = 262_144
"""Events that are permuted together."""


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
        self._chunks = np.empty(0, dtype=np.int64)
        self._starts = [0]
        self._windows: dict[int, np.ndarray] = {}

    @property
    def whole(self) -> bool:
        """Whether each step takes all events, in their own order."""
        return self.batch_size == self.events

    def epochs(self, step: int) -> float:
        """How many epochs are done after so many steps."""
        return self.first_epoch + (step - self.first_step) / self.per_epoch

    def rows(self, step: int, end: int | None = None) -> np.ndarray:
        """The rows that step number `step` (from 0) takes, or all of one epoch's up to `end`."""
        return self._copied(self.places(step, end))

    def places(self, step: int, end: int | None = None) -> list[tuple[int, int, slice]]:
        """Where the rows are of a step, or of the steps of one epoch from `step` up to `end`.

        Epoch, window of the epoch, and slice of the window.
        """
        epoch, position = divmod(step - self.first_step, self.per_epoch)
        epoch += self.first_epoch
        self._begin(epoch)
        start = position * self.batch_size
        steps = 1 if end is None else end - step
        stop = min(start + steps * self.batch_size, self.events)
        places = []
        while start < stop:
            window = bisect_right(self._starts, start) - 1
            first, last = self._starts[window], self._starts[window + 1]
            end = min(stop, last)
            places.append((epoch, window, slice(start - first, end - first)))
            start = end
        return places

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of all events in that epoch, int64 ``(events,)``."""
        self._begin(epoch)
        windows = pairwise(self._starts)
        return self._copied([(epoch, w, slice(0, b - a)) for w, (a, b) in enumerate(windows)])

    def _copied(self, places: list[tuple[int, int, slice]]) -> np.ndarray:
        return np.concatenate([self.window(epoch, window)[part] for epoch, window, part in places])

    def window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of one window of an epoch, in the order in which they are taken."""
        self._begin(epoch)
        if window not in self._windows:
            kept = {w: rows for w, rows in self._windows.items() if w == window - 1}
            self._windows = {**kept, window: self._permuted(epoch, window)}
        return self._windows[window]

    def _permuted(self, epoch: int, window: int) -> np.ndarray:
        if self.events <= WINDOW:
            return self._rng(_ORDER_STREAM, epoch).permutation(self.events)
        per_window = WINDOW // CHUNK
        chunks = self._chunks[window * per_window : (window + 1) * per_window]
        rows = (CHUNK * chunks[:, None] + np.arange(CHUNK)).reshape(-1)
        if CHUNK * (chunks.max() + 1) > self.events:  # the last chunk is not full
            rows = rows[rows < self.events]
        return self._rng(_WINDOW_STREAM, epoch, window).permutation(rows)

    def _begin(self, epoch: int) -> None:
        """Draw the order of the chunks, and where each window starts."""
        if epoch == self._epoch:
            return
        self._windows, self._epoch = {}, epoch
        if self.events <= WINDOW:
            self._starts = [0, self.events]
            return
        count = -(-self.events // CHUNK)
        self._chunks = self._rng(_ORDER_STREAM, epoch).permutation(count)
        sizes = np.minimum(CHUNK, self.events - CHUNK * self._chunks)
        per_window = WINDOW // CHUNK
        sums = np.add.reduceat(sizes, np.arange(0, count, per_window))
        self._starts = [0, *np.cumsum(sums).tolist()]

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, *stream])))
