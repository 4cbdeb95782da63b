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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steepest.objective import TOGETHER, Batch

__all__ = ["Batches", "Feed", "Run"]

_ORDER_STREAM, _WINDOW_STREAM = 1, 2
"""Keep the orders' random numbers apart from those of the initialisation (stream 0)."""
CHUNK = 1_024
"""Consecutive events that stay in one window."""
WINDOW = 262_144
"""Events that are permuted together."""
FEWEST = 2_048
"""Events from which on compiled code draws their order."""


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
        self.compiled = False  # or compiled code may draw the orders: the same, sooner
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
        pieces = [self.window(*place[:2])[place[2]] for place in self.places(step, end)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

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
        return np.concatenate([self.window(epoch, w) for w in range(len(self._starts) - 1)])

    def window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of one window of an epoch, in the order in which they are taken."""
        self._begin(epoch)
        if window not in self._windows:
            self._windows = {k: v for k, v in self._windows.items() if k == window - 1}
            self._windows[window] = self._permuted(epoch, window)
        return self._windows[window]

    def _permuted(self, epoch: int, window: int) -> np.ndarray:
        if self.events <= WINDOW:
            rng = self._rng(_ORDER_STREAM, epoch)
            if not self.compiled or self.events < FEWEST:
                return rng.permutation(self.events)
            from steepest.kernels.orders import permutation

            return permutation(rng, self.events)
        per_window = WINDOW // CHUNK
        chunks = self._chunks[window * per_window : (window + 1) * per_window]
        rows = (CHUNK * chunks[:, None] + np.arange(CHUNK)).ravel()
        rows = rows[rows < self.events]
        from steepest.kernels.shuffling import shuffle  # so many events are worth the compiler

        shuffle(rows, self._rng(_WINDOW_STREAM, epoch, window).random(len(rows)))
        return rows

    def _begin(self, epoch: int) -> None:
        """Draw the order of the chunks, and where each window starts."""
        if epoch == self._epoch:
            return
        self._epoch, self._windows = epoch, {}
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


@dataclass(frozen=True)
class Run:
    """Steps over one array of events in memory.

    Parameters
    ----------
    events
        The array.
    rows
        Those that the steps take, one step's after the other's; None where each takes all.
    steps
        How many steps.
    """

    events: Batch
    rows: np.ndarray | None
    steps: int


class Feed:
    """The events of every step: taken from memory, or window by window from disk.

    Parameters
    ----------
    events
        The sample.
    batches
        Which of its rows each step takes.
    """

    def __init__(self, events: Batch, batches: Batches) -> None:
        self.events = events
        self.batches = batches
        self._windows: dict[tuple[int, int], Batch] = {}

    def batch(self, step: int) -> Batch:
        """The events of a step; all of them, unread, where each step takes all."""
        if self.batches.whole:
            return self.events
        if not self.events.on_disk:
            return self.events.take(self.batches.rows(step))
        return self._joined(self.batches.places(step))

    def runs(self, step: int, end: int) -> Iterator[Run]:
        """Yield the steps from `step` to `end` in runs, each over one array of events in memory."""
        batches = self.batches
        if batches.whole:
            yield Run(self.events.take(slice(None)), None, end - step)
            return
        while step < end:
            epoch_end = step + batches.per_epoch - (step - batches.first_step) % batches.per_epoch
            stop = min(end, epoch_end)
            if not self.events.on_disk:
                yield Run(self.events, batches.rows(step, stop), stop - step)
            else:
                stop = self._within_window(step, stop)
                yield self._run_of(self._joined(batches.places(step, stop)), stop - step)
            step = stop

    @staticmethod
    def _run_of(events: Batch, steps: int) -> Run:
        return Run(events, np.arange(len(events)), steps)

    def _within_window(self, step: int, stop: int) -> int:
        """The end of the steps that take events of one window; one step may take those of several.

        They lie in the first step's last window. Single events' steps end where `TOGETHER` says.
        """
        unit = TOGETHER if self.batches.batch_size == 1 else 1
        least = min(stop, step + unit - step % unit)
        if len(self.batches.places(step, least)) > 1:
            return least
        while len(self.batches.places(step, stop)) > 1:
            half = step + (stop - step) // 2
            stop = max(least, half - half % unit)
        return stop

    def _joined(self, places: list[tuple[int, int, slice]]) -> Batch:
        pieces = [self._window(*place[:2]).take(place[2]) for place in places]
        return pieces[0] if len(pieces) == 1 else _joined(pieces)

    def _window(self, epoch: int, window: int) -> Batch:
        """One window in memory: of the one before only what a step still takes is kept, by it."""
        key = epoch, window
        if key not in self._windows:
            self._windows = {}
            self._windows[key] = self.events.take(self.batches.window(epoch, window))
        return self._windows[key]


def _joined(pieces: list[Batch]) -> Batch:
    columns = ([getattr(p, name) for p in pieces] for name in ("inputs", "targets", "weights"))
    return Batch(*(None if c[0] is None else np.concatenate(c) for c in columns))
