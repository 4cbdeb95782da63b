"""Sums over columns of events, in blocks: the same bits in memory and on disk.

- `summed`, `dot`, `sums_of`: Σ x, Σ x y, and the sums of a set of weighted events;
- `contiguous`: iteration over several columns at once;
- `running`: cumulative sums;
- `first_reaching`: the first row at which a column reaches given values.

A column is an array of shape (events,), or rows on disk (`steepest.storage`). Both are processed in
blocks of `storage.BLOCK` rows, so that the order of the sums is the same. NumPy's pairwise sums are
used instead of BLAS, whose order depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.storage import AnyArray, Column, RowsOnDisk, blocks, slices
from steepest.storage import total as summed

__all__ = [
    "Sums",
    "columns_beside",
    "contiguous",
    "dot",
    "extent",
    "first_reaching",
    "joined",
    "numbered",
    "running",
    "summed",
    "sums_of",
    "total_of",
]


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
    """Return the scalar product of two columns of float64.

    Examples
    --------
    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
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


def joined(*columns: AnyArray) -> AnyArray:
    """Return the columns concatenated; on disk if any of them is.

    Examples
    --------
    >>> joined(np.array([1.0]), np.array([2.0, 3.0]))
    array([1., 2., 3.])
    """
    beside = next((column for column in columns if isinstance(column, RowsOnDisk)), columns[0])
    (whole,) = columns_beside(beside, 1)
    for column in columns:
        for rows in slices(len(column)):
            whole.append(column[rows])
    return whole.finish()


def numbered(column: AnyArray) -> AnyArray:
    """Return the row numbers 0, 1, … of a column, in memory or on disk like the column."""
    (numbers,) = columns_beside(column, 1)
    for rows in slices(len(column)):
        numbers.append(np.arange(rows.start, rows.stop))
    return numbers.finish()


def running(column: AnyArray, from_zero: bool = True) -> AnyArray:
    """Return the cumulative sums of a column, preceded by a 0 if `from_zero`.

    Examples
    --------
    >>> running(np.array([1.0, 2.0]))
    array([0., 1., 3.])
    """
    (result,) = columns_beside(column, 1)
    reached = np.zeros(1, dtype=column.dtype)
    if from_zero:
        result.append(reached)
    for rows in slices(len(column)):
        sums = np.cumsum(np.concatenate([reached, column[rows]]))[1:]
        result.append(sums)
        reached = sums[-1:] if len(sums) else reached
    return result.finish()


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
