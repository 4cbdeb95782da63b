"""The events of every step: taken from memory, laid side by side by a helper, or read from disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from steepest.descent.ahead import SLOTS, Ahead
from steepest.descent.batches import Batches
from steepest.objective import TOGETHER, Batch

__all__ = ["Feed", "Run"]

PIECE, PIECE_BYTES = 32_768, 8 * 2**20
"""Single events, and bytes of them, that are laid side by side together, at most."""
LARGE = 16 * 2**20
"""Bytes of inputs that no core's own cache holds: their shuffled rows come slowly."""


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
                yield from self._in_memory(step, stop)
            else:
                stop = self._within_window(step, stop)
                yield self._run_of(self._joined(batches.places(step, stop)), stop - step)
            step = stop

    def _in_memory(self, step: int, stop: int) -> Iterator[Run]:
        """Yield steps of one epoch: those of many single events in pieces, if a helper pays."""
        many = self.batches.batch_size == 1 and self.events.inputs.nbytes >= LARGE
        if many and stop - step >= PIECE and self._pieces.ahead.pays:
            yield from self._pieces.runs(step, stop)
        else:
            yield Run(self.events, self.batches.rows(step, stop), stop - step)

    @cached_property
    def _pieces(self) -> _Pieces:
        return _Pieces(self.events, self.batches)

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
        return Batch.joined(pieces)

    def _window(self, epoch: int, window: int) -> Batch:
        """One window in memory: of the one before only what a step still takes is kept, by it."""
        key = epoch, window
        if key not in self._windows:
            self._windows = {}
            self._windows[key] = self.events.take(self.batches.window(epoch, window))
        return self._windows[key]


class _Pieces:
    """Steps of single events in memory, piece by piece: as the events lie, or laid side by side."""

    def __init__(self, events: Batch, batches: Batches) -> None:
        self.events, self.batches = events, batches
        least = PIECE_BYTES // events.inputs[:1].nbytes
        self.size = max(TOGETHER, min(least, PIECE) // TOGETHER * TOGETHER)
        self.ahead = Ahead(self._laid, self._plain)
        self._steps = 0, 0

    def runs(self, step: int, stop: int) -> Iterator[Run]:
        """Yield the steps in runs; each serves until the next one is asked for."""
        self._steps = step, stop
        return self.ahead.pieces(-(-stop // self.size) - step // self.size)

    def _rows(self, number: int) -> np.ndarray:
        step, stop = self._steps
        first = (step // self.size + number) * self.size
        return self.batches.rows(max(first, step), min(first + self.size, stop))

    def _plain(self, number: int) -> Run:
        rows = self._rows(number)
        return Run(self.events, rows, len(rows))

    def _laid(self, number: int, slot: int) -> Run:
        from steepest.kernels.gathering import gather_rows

        rows, events = self._rows(number), self.events
        room = self._slots[slot].take(slice(len(rows)))
        n = events.inputs.shape[1]
        gather_rows(events.inputs.reshape(-1), n, rows, room.inputs.reshape(-1))
        events.targets.take(rows, out=room.targets, mode="clip")
        if events.weights is not None:
            events.weights.take(rows, out=room.weights, mode="clip")
        return Run(room, self._in_order[: len(rows)], len(rows))

    @cached_property
    def _slots(self) -> list[Batch]:
        """Rooms for pieces: new memory each time would cost as much as the copies."""
        return [_room_for(self.events, self.size) for _ in range(SLOTS)]

    @cached_property
    def _in_order(self) -> np.ndarray:
        return np.arange(self.size)


def _room_for(events: Batch, count: int) -> Batch:
    columns = events.inputs, events.targets, events.weights
    return Batch(
        *(None if c is None else np.empty((count, *c.shape[1:]), c.dtype) for c in columns)
    )
