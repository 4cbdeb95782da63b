"""Functions of a whole list: its sum, its mean, its largest element, how many there are.

What has no answer is null: the largest, smallest or mean element of an empty list. Null elements
make a reduction null (NaN makes it NaN); ``any`` and ``all`` are null only if the null elements
leave them open.

Sums run from the first element to the last in float64, whatever is read beside them, so that a
row's value is the same to the bit in any batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from steepest.events.expressions.lists import Jagged, mapped
from steepest.events.expressions.types import Condition, Float, Short, Typed

__all__ = ["REDUCTIONS", "Reduction", "reduced"]


Reduce = Callable[[Jagged, pl.Series], np.ndarray]
"""From lists and their values without nulls to one value for each event."""


@dataclass(frozen=True)
class Reduction:
    """A function of one list: its result for each event, and where it has none."""

    reduce: Reduce
    takes: str = "numbers"
    dtype: pl.DataType | None = Float
    """Of the result; None for that of the elements."""
    of_empty: bool = True
    """Whether an empty list has a result."""


def _sum(lists: Jagged, values: pl.Series) -> np.ndarray:
    numbers = values.cast(pl.Float64).to_numpy()
    # bincount adds in order; reduceat adds in pairs, in an order that the length decides.
    return np.bincount(lists.events, numbers, minlength=len(lists.lengths))


def _mean(lists: Jagged, values: pl.Series) -> np.ndarray:
    return _sum(lists, values) / lists.lengths


def _extreme(pick: np.ufunc) -> Reduce:
    def reduce(lists: Jagged, values: pl.Series) -> np.ndarray:
        numbers = values.to_numpy()
        result = np.zeros(len(lists.lengths), dtype=numbers.dtype)
        filled = lists.lengths > 0
        if filled.any():  # between the starts of lists that have elements lies nothing else
            result[filled] = pick.reduceat(numbers, lists.starts[filled])
        return result

    return reduce


def _place(pick: np.ufunc) -> Reduce:
    def reduce(lists: Jagged, values: pl.Series) -> np.ndarray:
        events = lists.events
        best, numbers = _extreme(pick)(lists, values)[events], values.to_numpy()
        hits = np.flatnonzero((numbers == best) | (numbers != numbers))
        filled, first = np.unique(events[hits], return_index=True)
        result = np.zeros(len(lists.lengths), dtype=np.int64)
        result[filled] = hits[first] - lists.starts[filled]
        return result

    return reduce


def _any(lists: Jagged, values: pl.Series) -> np.ndarray:
    return np.bincount(lists.events[values.to_numpy()], minlength=len(lists.lengths)) > 0


def _all(lists: Jagged, values: pl.Series) -> np.ndarray:
    return ~_any(lists, ~values)


def _count(lists: Jagged, values: pl.Series) -> np.ndarray:
    return lists.lengths


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction(_sum),
    "mean": Reduction(_mean, of_empty=False),
    "max": Reduction(_extreme(np.maximum), dtype=None, of_empty=False),
    "min": Reduction(_extreme(np.minimum), dtype=None, of_empty=False),
    "argmax": Reduction(_place(np.maximum), dtype=Short, of_empty=False),
    "argmin": Reduction(_place(np.minimum), dtype=Short, of_empty=False),
    "count": Reduction(_count, "elements", Short),
    "len": Reduction(_count, "elements", Short),
    "any": Reduction(_any, "conditions", Condition),
    "all": Reduction(_all, "conditions", Condition),
}


def reduced(name: str, operand: Typed) -> Typed:
    """Return the reduction of that name of a list."""
    reduction = REDUCTIONS[name]
    dtype = reduction.dtype if reduction.dtype is not None else operand.element
    # A null that is true decides nothing in `all`, one that is false nothing in `any`.
    filler = name == "all" if reduction.takes == "conditions" else 0

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists = Jagged.of(series[0], count)
        values, absent = lists.values, lists.null
        if not reduction.of_empty:
            absent = absent | (lists.lengths == 0)
        if reduction.takes == "elements" or not values.null_count():
            result = reduction.reduce(lists, values)
        else:
            result = reduction.reduce(lists, values.fill_null(filler))
            with_null = lists.events[values.is_null().to_numpy()]
            undecided = np.bincount(with_null, minlength=count) > 0
            if reduction.takes == "conditions":
                undecided &= result == filler
            absent = absent | undecided
        reduced = pl.Series(result, dtype=dtype)
        return reduced.set(pl.Series(absent), None) if absent.any() else reduced

    return mapped(call, dtype, operand.expr)
