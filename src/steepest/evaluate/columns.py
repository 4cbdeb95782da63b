"""Sums over columns of events, and sorting by one of them: the same bits in memory and on disk.

A column is an array of shape (events,), or rows on disk (`steepest.storage`). Both are processed in
blocks of `storage.BLOCK` rows, so that the order of the sums is the same. NumPy's pairwise sums are
used instead of BLAS, whose order depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.storage import (
    AnyArray,
    Column,
    DiskArray,
    RowsOnDisk,
    blocks,
    in_memory,
    on_disk,
    slices,
    thinned,
)

RUN = 262_144
"""Number of events that are sorted in memory."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of weighted events: their number, Σ w, Σ w² and Σ |w|."""

    events: int = 0
    weight: float = 0.0
    squares: float = 0.0
    absolute: float = 0.0

    @property
    def effective(self) -> float:
        """(Σ w)² / Σ w², the effective number of events."""
        return self.weight**2 / self.squares if self.squares > 0 else 0.0

    @property
    def positive(self) -> bool:
        """Whether Σ w is above zero by more than rounding."""
        return self.weight > 1e-12 * self.absolute


def contiguous(*columns: AnyArray) -> Iterator[tuple[Any, ...]]:
    """Yield corresponding blocks of the columns, made contiguous so that sums have one order."""
    for block in blocks(*columns):
        yield tuple(np.ascontiguousarray(rows) for rows in block)


def dot(first: AnyArray, second: AnyArray) -> float:
    """Return the scalar product of two columns of float64."""
    return float(sum(float((one * two).sum()) for one, two in contiguous(first, second)))


def sums_of(weights: AnyArray, *masks: AnyArray) -> Sums:
    """Return the sums of the events for which all masks are true.

    Examples
    --------
    >>> sums_of(np.array([2.0, 2.0, -1.0]), np.array([True, True, False])).effective
    2.0
    """
    events, weight, squares, absolute = 0, 0.0, 0.0, 0.0
    for rows, *inside in contiguous(weights, *masks):
        chosen = rows[np.logical_and.reduce(inside)] if inside else rows
        events += len(chosen)
        weight += float(chosen.sum())
        squares += float(np.square(chosen).sum())
        absolute += float(np.abs(chosen).sum())
    return Sums(events, weight, squares, absolute)


def extent(column: AnyArray) -> tuple[float, float]:
    """Return the smallest and the largest number of a column."""
    ends = np.array([(rows.min(), rows.max()) for (rows,) in blocks(column)])
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def total_of(column: AnyArray) -> float:
    """Return the last number of a column of cumulative sums."""
    return float(column[len(column) - 1 :][0])


def columns_beside(array: AnyArray, count: int) -> list[Column]:
    """Return empty columns, in memory or on disk like the array."""
    columns = [Column() for _ in range(count)]
    if isinstance(array, RowsOnDisk):
        for column in columns:
            column.spill(array.folder)
    return columns


def _gathered(beside: AnyArray, pieces: Iterable[np.ndarray]) -> AnyArray:
    (column,) = columns_beside(beside, 1)
    for piece in pieces:
        column.append(piece)
    return column.finish()


def joined(*columns: AnyArray) -> AnyArray:
    """Return the columns concatenated; on disk if any of them is."""
    beside = next((column for column in columns if isinstance(column, RowsOnDisk)), columns[0])
    return _gathered(beside, (rows for column in columns for (rows,) in blocks(column)))


def numbered(column: AnyArray) -> AnyArray:
    """Return the row numbers 0, 1, … of a column, in memory or on disk like the column."""
    return _gathered(column, (np.arange(rows.start, rows.stop) for rows in slices(len(column))))


def running(column: AnyArray, from_zero: bool = True) -> AnyArray:
    """Return the cumulative sums of a column, preceded by a 0 if `from_zero`."""

    def pieces() -> Iterator[np.ndarray]:
        reached = np.zeros(1, dtype=column.dtype)
        if from_zero:
            yield reached
        for (rows,) in blocks(column):
            sums = np.cumsum(np.concatenate([reached, rows]))[1:]
            yield sums
            reached = sums[-1:] if len(sums) else reached

    return _gathered(column, pieces())


def first_reaching(column: AnyArray, wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first row that reaches each wanted value, or the last row if none does.

    Examples
    --------
    >>> first_reaching(np.array([0.0, 0.5, 0.4, 1.0]), np.array([0.3, 0.6, 2.0]))
    array([1, 3, 3])
    """
    order = np.argsort(wanted, kind="stable")
    found = np.full(len(wanted), len(column) - 1, dtype=np.intp)
    pending, highest = 0, -np.inf
    for rows in slices(len(column)):
        rising = np.maximum(np.maximum.accumulate(column[rows]), highest)
        highest = rising[-1]
        until = pending + int(np.searchsorted(wanted[order[pending:]], highest, side="right"))
        met = order[pending:until]
        found[met] = rows.start + np.searchsorted(rising, wanted[met], side="left")
        pending = until
    return found


def evenly_spaced(column: AnyArray, points: int) -> NDArray[np.intp]:
    """Return the rows at which a rising column reaches evenly spaced values, and both ends.

    Examples
    --------
    >>> evenly_spaced(np.array([0.0, 0.1, 0.2, 0.9, 1.0]), 3)
    array([0, 3, 4])
    """
    size = len(column)
    if size <= points:
        return np.arange(size)
    # up to the largest value, because negative weights may make the column fall
    wanted = np.linspace(float(column[:1][0]), extent(column)[1], points)
    return np.unique(np.concatenate([[0], first_reaching(column, wanted), [size - 1]]))


def sorted_together(key: AnyArray, *columns: AnyArray) -> tuple[AnyArray, ...]:
    """Return key and columns in ascending order of the key; equal keys keep their order.

    On disk, runs of `RUN` events are sorted in memory and cut at quantiles of the key; then the
    pieces of all runs between two cuts are sorted together. Keys equal to a cut are in order
    already, so that ties never have to fit into memory.

    Examples
    --------
    >>> sorted_together(np.array([2.0, 1.0, 1.0]), np.array([0, 1, 2]))
    (array([1., 1., 2.]), array([1, 2, 0]))
    """
    whole = (key, *columns)
    if not on_disk(*whole):
        order = np.argsort(np.asarray(key), kind="stable")
        return tuple(np.asarray(column)[order] for column in whole)
    beside = next(column for column in whole if isinstance(column, RowsOnDisk))
    runs, result = (
        [DiskArray(beside.folder, column.dtype, column.shape[1:]) for column in whole]
        for _ in range(2)
    )
    sample = np.sort(thinned(key))
    cuts = np.unique(sample[:: max(1, len(sample) * RUN // len(key))])
    bounds = []  # of the pieces of each run: below, at and above each cut
    for start in range(0, len(key), RUN):
        rows = [column[start : start + RUN] for column in whole]
        _append_sorted(runs, rows)
        keys = np.sort(rows[0])
        at_cuts = [np.searchsorted(keys, cuts, side=side) for side in ("left", "right")]
        bounds.append(start + np.concatenate([[0], np.ravel(at_cuts, order="F"), [len(keys)]]))
    ends = np.array(bounds).T
    for bucket, (first, last) in enumerate(pairwise(ends)):
        pieces = [
            [run[start:stop] for run in runs]
            for start, stop in zip(first, last, strict=True)
            if start < stop
        ]
        if bucket % 2 == 0 and pieces:  # between two cuts
            pieces = [[np.concatenate(parts) for parts in zip(*pieces, strict=True)]]
        for rows in pieces:
            _append_sorted(result, rows)
    return tuple(result)


def _append_sorted(arrays: list[DiskArray], rows: list[np.ndarray]) -> None:
    order = np.argsort(rows[0], kind="stable")
    for array, block in zip(arrays, rows, strict=True):
        array.append(block[order])


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
