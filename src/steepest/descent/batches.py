"""Which events each step takes: all, some, or one; and how they are shuffled.

Batch, mini-batch and stochastic gradient descent are one loop with another batch size. The order
of the events in epoch e depends on (seed, e) alone, so that a run resumed at any step goes on with
the very batches that the uninterrupted run takes.

Shuffling has two levels, so that events on disk are read in pieces. Up to `WINDOW` events are one
random permutation. More of them are cut into chunks of `CHUNK` consecutive events; an epoch takes
the chunks in random order, `WINDOW` events at a time, and permutes the events within each such
window. The order is the same whether the events lie in memory or on disk.

The chunks of a window are from all over the sample: one from each of as many equal spans as a
window has chunks. Of many ranks each holds some of the spans, and so its part of every window.

Of many ranks each takes those events of a batch that it holds, so that the batches of all together
are those of one rank. Beyond `RANKS` ranks a window is larger, for each rank to have its part.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np

from steepest.ranks import Share

_ORDER_STREAM, _WINDOW_STREAM = 1, 2
"""Keep the orders' random numbers apart from those of the initialisation (stream 0)."""
CHUNK = 1_024
"""Consecutive events that stay in one window."""
WINDOW = 262_144
"""Events that are permuted together."""
RANKS = 32
"""So many ranks have eight chunks each in a window."""


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
    share, ranks
        Of many ranks: which of the events this one holds, and how many ranks there are. `events`
        and `batch_size` are those of all ranks; rows are those of this one.

    Examples
    --------
    >>> batches = Batches(events=5, batch_size=2, seed=0)
    >>> batches.per_epoch, [len(batches.rows(step)) for step in range(3)]
    (3, [2, 2, 1])

    The second of two ranks has the last two events, and takes them when their turn comes:

    >>> own = Batches(events=5, batch_size=2, seed=0, share=Share(5, ((3, 5),)), ranks=2)
    >>> [batches.rows(step).tolist() for step in range(3)]
    [[1, 4], [3, 0], [2]]
    >>> [own.rows(step).tolist() for step in range(3)]
    [[1], [0], []]
    """

    def __init__(
        self,
        events: int,
        batch_size: int,
        seed: int,
        first_step: int = 0,
        first_epoch: int = 0,
        share: Share | None = None,
        ranks: int = 1,
    ) -> None:
        self.share, self._window_chunks = share, WINDOW // CHUNK * max(1, -(-ranks // RANKS))
        self.events = events
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = first_step
        self.first_epoch = first_epoch
        self.per_epoch = -(-events // batch_size)
        self._epoch = -1
        self._chunks = np.empty((0, 0), dtype=np.int64)
        self._starts = [0]
        self._windows: dict[int, tuple[np.ndarray | None, np.ndarray]] = {}

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
            places.append((epoch, window, self._slice(epoch, window, start - first, end - first)))
            start = end
        return places

    def counts(self, step: int, end: int) -> np.ndarray | None:
        """How many rows each of these steps has, where this rank has a share of the events."""
        if self.share is None:
            return None
        steps = (self.places(number) for number in range(step, end))
        return np.array([sum(s.stop - s.start for _, _, s in places) for places in steps])

    def _slice(self, epoch: int, window: int, start: int, stop: int) -> slice:
        """Those of the rows of a window that this rank has, between two places of the window."""
        if self.share is None:
            return slice(start, stop)
        self.window(epoch, window)
        places = self._windows[window][0]
        assert places is not None  # there is a share
        begin, end = places.searchsorted([start, stop]).tolist()
        return slice(begin, end)

    def order(self, epoch: int) -> np.ndarray:
        """The order of all events in that epoch, int64; of many ranks, of this one's."""
        self._begin(epoch)
        windows = pairwise(self._starts)
        places = [(epoch, w, self._slice(epoch, w, 0, b - a)) for w, (a, b) in enumerate(windows)]
        return self._copied(places)

    def _copied(self, places: list[tuple[int, int, slice]]) -> np.ndarray:
        return np.concatenate([self.window(epoch, window)[part] for epoch, window, part in places])

    def window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of one window of an epoch, in the order in which they are taken."""
        self._begin(epoch)
        if window not in self._windows:
            kept = {w: rows for w, rows in self._windows.items() if w == window - 1}
            numbers = self._permuted(epoch, window)
            own = (None, numbers) if self.share is None else self.share.own(numbers)
            self._windows = {**kept, window: own}
        return self._windows[window][1]

    def _permuted(self, epoch: int, window: int) -> np.ndarray:
        if self.events <= WINDOW:
            return self._rng(_ORDER_STREAM, epoch).permutation(self.events)
        chunks = self._chunks[:, window]
        rows = (CHUNK * chunks[chunks >= 0, None] + np.arange(CHUNK)).reshape(-1)
        return self._rng(_WINDOW_STREAM, epoch, window).permutation(rows[rows < self.events])

    def _begin(self, epoch: int) -> None:
        """Draw the chunks of each window, ``(spans, windows)``, and where each window starts."""
        if epoch == self._epoch:
            return
        self._windows, self._epoch = {}, epoch
        if self.events <= WINDOW:
            self._starts = [0, self.events]
            return
        count = -(-self.events // CHUNK)
        windows = -(-count // self._window_chunks)
        chunks = np.full((-(-count // windows), windows), -1)
        chunks.ravel()[:count] = np.arange(count)
        self._chunks = self._rng(_ORDER_STREAM, epoch).permuted(chunks, axis=1)
        sizes = np.clip(self.events - CHUNK * self._chunks, 0, CHUNK)
        sizes[self._chunks < 0] = 0
        self._starts = [0, *np.cumsum(sizes.sum(axis=0)).tolist()]

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, *stream])))
