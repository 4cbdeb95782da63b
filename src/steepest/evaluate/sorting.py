"""Stable sorting of columns of events by one of them, in memory or on disk.

On disk it is an external merge sort: runs of `RUN` events are sorted in memory and written; then up
to `FAN` neighbouring runs at a time are merged into a longer one, until one is left. Memory holds
`RUN` events, whatever the size of the sample. Both sorts are stable, so the results are the same.
(The streaming sorts of Polars and Arrow hold all rows in memory.)

D. E. Knuth, The Art of Computer Programming, vol. 3, 2nd ed. (Addison-Wesley, 1998), section 5.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from steepest.storage import AnyArray, DiskArray, RowsOnDisk, in_memory, on_disk

__all__ = ["back_in_order", "sorted_together"]

RUN = 262_144
"""Number of events that are sorted in memory."""
FAN = 32
"""Number of runs that are merged at once."""

_Rows = list[np.ndarray]


def sorted_together(key: AnyArray, *columns: AnyArray) -> tuple[AnyArray, ...]:
    """Return key and columns in ascending order of the key; equal keys keep their order.

    Examples
    --------
    >>> sorted_together(np.array([2.0, 1.0, 1.0]), np.array([0, 1, 2]))
    (array([1., 1., 2.]), array([1, 2, 0]))
    """
    whole = (key, *columns)
    if not on_disk(*whole):
        order = np.argsort(np.asarray(key), kind="stable")
        return tuple(np.asarray(column)[order] for column in whole)
    folder = next(column.folder for column in whole if isinstance(column, RowsOnDisk))
    sorted_runs = _empty(folder, whole)
    ends = [*range(RUN, len(key), RUN), len(key)]
    for start, stop in _runs(ends):
        rows = [column[start:stop] for column in whole]
        order = np.argsort(rows[0], kind="stable")
        _append(sorted_runs, [column[order] for column in rows])
    while len(ends) > 1:
        merged, new_ends, runs = _empty(folder, whole), [], list(_runs(ends))
        for first in range(0, len(runs), FAN):
            group = runs[first : first + FAN]
            _merge(sorted_runs, group, merged)
            new_ends.append(group[-1][1])
        sorted_runs, ends = merged, new_ends
    return tuple(sorted_runs)


def back_in_order(rows: AnyArray, values: AnyArray) -> AnyArray:
    """Return the values in ascending order of the rows, which are 0 … n − 1.

    Examples
    --------
    >>> back_in_order(np.array([2, 0, 1]), np.array([30.0, 10.0, 20.0]))
    array([10., 20., 30.])
    """
    if on_disk(rows, values):
        return sorted_together(rows, values)[1]
    result = np.empty(values.shape, dtype=values.dtype)
    result[in_memory(rows)] = values
    return result


def _empty(folder: Path, columns: Sequence[AnyArray]) -> list[DiskArray]:
    return [DiskArray(folder, column.dtype, column.shape[1:]) for column in columns]


def _append(arrays: Sequence[DiskArray], rows: _Rows) -> None:
    for array, block in zip(arrays, rows, strict=True):
        array.append(block)


def _runs(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip([0, *ends[:-1]], ends, strict=True)


class _Run:
    """A sorted run that is read in pieces; `rows` are the rows read but not yet merged."""

    def __init__(self, arrays: Sequence[DiskArray], start: int, stop: int) -> None:
        self._arrays, self._next, self._stop = arrays, start, stop
        self.rows: _Rows = []
        self.refill()

    @property
    def has_more(self) -> bool:
        return self._next < self._stop

    def refill(self) -> None:
        """Read the next piece if the last one is used up."""
        if (self.rows and len(self.rows[0])) or not self.has_more:
            return
        until = min(self._next + max(RUN // FAN, 1), self._stop)
        self.rows = [array[self._next : until] for array in self._arrays]
        self._next = until

    def take(self, limit: float | None, side: str) -> _Rows:
        """Take the rows below the limit (up to it for side "right"), or all rows for None."""
        key = self.rows[0]
        count = len(key) if limit is None else int(np.searchsorted(key, limit, side=side))  # type: ignore[call-overload]
        taken = [column[:count] for column in self.rows]
        self.rows = [column[count:] for column in self.rows]
        self.refill()
        return taken


def _merge(source: Sequence[DiskArray], bounds: Sequence[tuple[int, int]], into: list) -> None:
    """Merge neighbouring runs: rows up to the smallest of the last keys read can be written."""
    runs = [_Run(source, start, stop) for start, stop in bounds]
    while any(len(run.rows[0]) for run in runs):
        lasts = [run.rows[0][-1] if run.has_more else None for run in runs]
        known = [last for last in lasts if last is not None]
        limit = min(known) if known else None
        # for stability, equal keys of earlier runs come first; the run that sets the limit may have
        # more of them, so those of later runs must wait
        setting = lasts.index(limit) if known else len(runs)
        pieces = [
            run.take(limit, "right" if place <= setting else "left")
            for place, run in enumerate(runs)
        ]
        rows = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        order = np.argsort(rows[0], kind="stable")
        _append(into, [column[order] for column in rows])
