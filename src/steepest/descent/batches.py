"""Which events each step takes: all, some, or one; how they are shuffled, and loaded.

Batch, mini-batch and stochastic gradient descent are one loop with another batch size. The order
of the events in epoch e depends on (seed, e) alone, so that a run resumed at any step goes on with
the very batches that the uninterrupted run takes.

Shuffling has two levels, so that events on disk are read in pieces. Up to `WINDOW` events are one
random permutation. More of them are cut into chunks of `CHUNK` consecutive events; an epoch takes
the chunks in random order, `WINDOW` events at a time, and permutes the events within each such
window. The order is the same whether the events lie in memory or on disk.

A step on a few events takes less time than their rows take to come from memory, where the order is
random. So for objectives that want it, and for events on disk, a thread copies the events of the
next steps side by side while one piece's steps are taken: with it, an epoch of single events is
1.7 times as fast.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from steepest.compiled.threads import usable_cores
from steepest.objective import Batch

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


PIECE, PIECE_BYTES = 32_768, 8 * 2**20
"""Events, and bytes of them, that are copied side by side together, at most; but a whole batch."""
THREADED_BYTES = 2**20
"""Bytes of a piece from which on calling a thread costs little beside it."""


@dataclass(frozen=True)
class Run:
    """Steps over one array of events in memory."""

    events: Batch
    rows: np.ndarray | None  # of each step, one after the other's; None: the events in their order
    steps: int  # how many


class BatchLoader:
    """The events of every step.

    Parameters
    ----------
    events
        The sample, in memory or on disk.
    batches
        Which of its rows each step takes.
    in_order
        Whether steps are to find their events side by side; those on disk do in any case.
    last_step
        After the last step; None is that of the first epoch.

    Examples
    --------
    >>> events = Batch(np.eye(3), np.arange(3.0))
    >>> loader = BatchLoader(events, Batches(events=3, batch_size=2, seed=0), in_order=True)
    >>> [(run.rows, run.steps, len(run.events)) for run in loader.runs(0, 2)]
    [(None, 2, 3)]
    """

    def __init__(
        self, events: Batch, batches: Batches, in_order: bool = False, last_step: int | None = None
    ) -> None:
        self.events, self.batches = events, batches
        self.in_order = in_order or events.on_disk
        self.last_step = batches.first_step + batches.per_epoch if last_step is None else last_step
        self._windows: dict[tuple[int, int], Batch] = {}

    def batch(self, step: int) -> Batch:
        """The events of a step; all of them, unread, where each step takes all."""
        if self.batches.whole:
            return self.events
        return self._copied(step, step + 1)

    def runs(self, step: int, end: int) -> Iterator[Run]:
        """Yield the steps from `step` to `end` in runs, each over one array of events in memory.

        The events of a run serve until the next one is asked for.
        """
        batches = self.batches
        if batches.whole:
            yield Run(self.events.take(slice(None)), None, end - step)
            return
        while step < end:
            number = self._piece_at(step)
            begin, stop = self._steps_of(number)
            stop = min(stop, end)
            if self.in_order:
                first, last = ((s - begin) * batches.batch_size for s in (step, stop))
                events = self._pieces.get(number).take(slice(first, last))
                yield Run(events, None, stop - step)
            else:
                yield Run(self.events, batches.rows(step, stop), stop - step)
            step = stop

    @cached_property
    def _piece_steps(self) -> int:
        """Steps of a piece: an epoch's at most."""
        if not self.in_order:
            return self.batches.per_epoch
        events = min(PIECE, max(1, PIECE_BYTES // self._event_bytes))
        return min(max(1, events // self.batches.batch_size), self.batches.per_epoch)

    @property
    def _event_bytes(self) -> int:
        """Bytes of an event's inputs, about."""
        return max(1, self.events.take(slice(1)).inputs.nbytes)

    def _piece_at(self, step: int) -> int:
        """The number of the piece that a step is in; pieces end with their epoch."""
        epoch, position = divmod(step - self.batches.first_step, self.batches.per_epoch)
        return epoch * self._pieces_per_epoch + position // self._piece_steps

    def _steps_of(self, number: int) -> tuple[int, int]:
        """The first step of a piece, and the one after the last."""
        epoch, position = divmod(number, self._pieces_per_epoch)
        start = self.batches.first_step + epoch * self.batches.per_epoch
        first = position * self._piece_steps
        return start + first, start + min(first + self._piece_steps, self.batches.per_epoch)

    @property
    def _pieces_per_epoch(self) -> int:
        return -(-self.batches.per_epoch // self._piece_steps)

    @cached_property
    def _pieces(self) -> Prefetcher[Batch]:
        end = self._piece_at(self.last_step - 1) + 1
        piece_bytes = self._piece_steps * self.batches.batch_size * self._event_bytes
        large = piece_bytes >= THREADED_BYTES
        return Prefetcher(self._piece, end, large and usable_cores() > 1)

    def _piece(self, number: int) -> Batch:
        begin, stop = self._steps_of(number)
        return self._copied(begin, stop, self._buffers[number % 2])

    def _copied(self, step: int, stop: int, buffer: Batch | None = None) -> Batch:
        """The events of the steps of one epoch, side by side."""
        if self.events.on_disk:
            places = self.batches.places(step, stop)
            return Batch.joined([self._window(*place[:2]).take(place[2]) for place in places])
        rows = self.batches.rows(step, stop)
        if buffer is None:
            return self.events.take(rows)
        buffer = buffer.take(slice(len(rows)))
        for source, target in zip(_columns(self.events), _columns(buffer), strict=True):
            source.take(rows, axis=0, out=target, mode="clip")
        return buffer

    @cached_property
    def _buffers(self) -> list[Batch | None]:
        """Memory of two pieces: new memory each time would cost as much as the copies."""
        if self.events.on_disk:
            return [None, None]
        count = self._piece_steps * self.batches.batch_size
        columns = _columns(self.events)
        return [Batch(*(np.zeros((count, *c.shape[1:]), c.dtype) for c in columns)) for _ in "12"]

    def _window(self, epoch: int, window: int) -> Batch:
        """One window in memory; the one before is kept, for the step that takes from both."""
        key = epoch, window
        if key not in self._windows:
            self._windows = {k: v for k, v in self._windows.items() if k == (epoch, window - 1)}
            self._windows[key] = self.events.take(self.batches.window(epoch, window))
        return self._windows[key]


def _columns(events: Batch) -> list[np.ndarray]:
    columns = events.inputs, events.targets, events.weights
    return [column for column in columns if column is not None]


Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Items by number up to `end`, made by a thread ahead of their use or when they are asked for.

    ``make(number)`` is never called by two threads at once, and may write into the memory of item
    ``number - 2``.

    Examples
    --------
    >>> squares = Prefetcher(lambda number: number**2, end=3, threaded=True)
    >>> squares.get(1), squares.get(2)
    (1, 4)
    """

    def __init__(self, make: Callable[[int], Item], end: int, threaded: bool) -> None:
        self._make, self._end = make, end
        self._current: tuple[int, Item] | None = None
        self._next: tuple[int, Future[Item]] | None = None
        self._executor = ThreadPoolExecutor(1, "prefetch") if threaded else None

    def get(self, number: int) -> Item:
        """The item; it serves until another one is asked for."""
        if self._current is not None and self._current[0] == number:
            return self._current[1]
        self._current = None
        item = self._taken(number)
        self._current = number, item
        if self._executor is not None and number + 1 < self._end:
            self._next = number + 1, self._executor.submit(self._make, number + 1)
        return item

    def _taken(self, number: int) -> Item:
        """The item that was made ahead, or one made now."""
        ahead, self._next = self._next, None
        if ahead is not None:
            if ahead[0] == number:
                return ahead[1].result()
            ahead[1].cancel()
            if not ahead[1].cancelled():
                ahead[1].exception()  # wait for it
        return self._make(number)
