"""Lists, one for each event: elementwise operations, elements, filters and reductions.

A column of lists is kept as its flat values and the length of each list (the layout of Arrow and of
Awkward). An operation on elements is the operation on single values, applied to the flat values, so
that both have the same rules; a single value beside a list is spread over its elements.

A list that is null makes the result null. What has no answer is null too: an element beyond the
end, and the largest, smallest or mean element of an empty list. Null elements make a reduction null
(NaN makes it NaN); ``any`` and ``all`` are null only if the null elements leave them open.

Sums run from the first element to the last in float64, whatever is read beside them, so that a
row's value is the same to the bit in any batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.types import Condition, Float, Short, Typed, Wide
from steepest.events.words import counted

__all__ = [
    "REDUCTIONS",
    "Mismatch",
    "Place",
    "Reduction",
    "element",
    "filtered",
    "lifted",
    "reduced",
    "refuse_mismatch",
]


@dataclass(frozen=True)
class Mismatch:
    """Lists that are combined differ in length at a row of the data frame.

    It is noted while Polars evaluates, which carries no exception of ours out faithfully, and
    raised by `refuse_mismatch` afterwards, where it is known which file the row is of.
    """

    what: str
    place: str
    row: int
    lengths: tuple[int, ...]

    def located(self, where: str) -> EventsError:
        """Return the error, with where the event lies."""
        sizes = sorted(set(self.lengths))
        elements = " and ".join([*map(str, sizes[:-1]), counted(sizes[-1], "element")])
        return EventsError(
            f"{self.what}: lists of different lengths meet {where}.\n{self.place}",
            expected="lists of one length in each event",
            found=elements,
            cause="the lists are of different objects",
            do="combine lists of the same objects, or reduce one to a number: x[0], sum(x)",
        )


@dataclass(frozen=True)
class Place:
    """Where in which expression lists are combined, and where it is noted if they do not fit."""

    what: str
    place: str
    mismatches: list[Mismatch]


def refuse_mismatch(mismatches: Sequence[Mismatch], locate: Callable[[int], str]) -> None:
    """Raise EventsError for the first of the rows in which lists do not fit, if there is one."""
    if mismatches:
        first = min(mismatches, key=lambda mismatch: mismatch.row)
        raise first.located(locate(first.row))


@dataclass(frozen=True)
class _Jagged:
    """The lists of a column: flat values, (events,) lengths, and which lists are null."""

    values: pl.Series
    lengths: np.ndarray
    null: np.ndarray

    @staticmethod
    def of(series: pl.Series, count: int) -> _Jagged:
        arrow = _spread(series, count).to_arrow()
        if isinstance(arrow, pa.ChunkedArray):
            arrow = arrow.combine_chunks()
        lengths = arrow.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        dtype = series.dtype.inner if isinstance(series.dtype, pl.List) else None
        values = pl.Series(arrow.flatten(), dtype=dtype)
        null = arrow.is_null().to_numpy(zero_copy_only=False)
        return _Jagged(values, lengths.astype(np.int64), null)

    @property
    def starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths

    @property
    def events(self) -> np.ndarray:
        """The event to which each value belongs."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def nested(self, values: pl.Series) -> pl.Series:
        """Return other flat values as lists of these lengths."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        mask = pa.array(self.null) if self.null.any() else None
        flat = values.to_arrow()
        arrow = pa.LargeListArray.from_arrays(pa.array(offsets), flat, mask=mask)
        return pl.Series(arrow, dtype=pl.List(values.dtype))

    def without(self, absent: np.ndarray) -> _Jagged:
        """Return the lists with those of some events made null."""
        if not (absent & ~self.null).any():
            return self
        kept = pl.Series(~np.repeat(absent, self.lengths), dtype=pl.Boolean)
        lengths = np.where(absent, 0, self.lengths)
        return _Jagged(self.values.filter(kept), lengths, self.null | absent)


def _spread(series: pl.Series, count: int) -> pl.Series:
    """Return a column of one row, such as a constant's, over so many rows; others as they are."""
    return series if len(series) == count else series.new_from_index(0, count)


def _mapped(
    call: Callable[[int, Sequence[pl.Series]], pl.Series],
    dtype: pl.DataType,
    arguments: Sequence[pl.Expr],
) -> pl.Expr:
    """Return an expression that calls a function with the number of rows and the columns."""
    rows = pl.repeat(0, pl.len(), dtype=pl.Int8)

    def evaluate(series: Sequence[pl.Series]) -> pl.Series:
        with np.errstate(all="ignore"):
            return call(len(series[0]), series[1:])

    return pl.map_batches([rows, *arguments], evaluate, return_dtype=dtype)


# --- elementwise --------------------------------------------------------------------------------


def lifted(build: Callable[..., Typed], operands: Sequence[Typed], place: Place) -> Typed:
    """Return an operation on single values, elementwise where an operand is a list.

    Parameters
    ----------
    build
        The operation: typed single values in, one out.
    operands
        Single values or lists; lists must have one length in each event.
    place
        Where the operation stands.
    """
    if not any(operand.is_list for operand in operands):
        return build(*operands)
    columns = [i for i, operand in enumerate(operands) if operand.value is None]
    flat = list(operands)
    for i in columns:
        flat[i] = Typed(pl.col(str(i)), operands[i].element)
    inner = build(*flat)
    if inner.dtype == Wide:  # Arrow has no integers of 128 bits
        inner = Typed(inner.real, Float)
    lists = [operands[i].is_list for i in columns]

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        layouts = [
            _Jagged.of(s, count) for s, is_list in zip(series, lists, strict=True) if is_list
        ]
        layouts = _aligned(layouts, place)
        events, remaining = pl.Series(layouts[0].events), iter(layouts)
        rows = {
            str(i): next(remaining).values if is_list else _spread(s, count).gather(events)
            for i, s, is_list in zip(columns, series, lists, strict=True)
        }
        frame = pl.DataFrame(rows)
        values = frame.select(inner.expr.alias("value"))["value"]
        return layouts[0].nested(_spread(values, frame.height))

    dtype = pl.List(inner.dtype)
    return Typed(_mapped(call, dtype, [operands[i].expr for i in columns]), dtype)


def _aligned(layouts: list[_Jagged], place: Place) -> list[_Jagged]:
    """Return lists with the same ones null; where others differ in length, note it."""
    absent = np.logical_or.reduce([layout.null for layout in layouts])
    lengths = np.array([layout.lengths for layout in layouts])  # (operands, events)
    differ = (lengths != lengths[0]).any(axis=0) & ~absent
    if differ.any():
        row = int(np.argmax(differ))
        found = tuple(lengths[:, row].tolist())
        place.mismatches.append(Mismatch(place.what, place.place, row, found))
    return [layout.without(absent | differ) for layout in layouts]


# --- elements and filters -----------------------------------------------------------------------


def element(operand: Typed, index: Typed) -> Typed:
    """Return the element at an integer index, from the end where it is negative; else null."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists = _Jagged.of(series[0], count)
        at = _spread(series[1], count).cast(pl.Int64, strict=False)
        place = at.fill_null(-(2**62)).to_numpy()
        place = np.where(place < 0, place + lists.lengths, place)
        inside = (place >= 0) & (place < lists.lengths)
        chosen = pa.array(np.where(inside, lists.starts + place, 0), mask=~inside)
        return lists.values.gather(pl.Series(chosen))

    return Typed(_mapped(call, operand.element, [operand.expr, index.expr]), operand.element)


def filtered(operand: Typed, condition: Typed, place: Place) -> Typed:
    """Return the elements for which a list of conditions holds; where it is null, it does not."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists, conditions = _aligned([_Jagged.of(s, count) for s in series], place)
        kept = conditions.values.fill_null(False)
        lengths = np.bincount(lists.events[kept.to_numpy()], minlength=count)
        return _Jagged(lists.values, lengths, lists.null).nested(lists.values.filter(kept))

    return Typed(_mapped(call, operand.dtype, [operand.expr, condition.expr]), operand.dtype)


# --- reductions ---------------------------------------------------------------------------------

Reduce = Callable[[_Jagged, pl.Series], np.ndarray]
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


def _sum(lists: _Jagged, values: pl.Series) -> np.ndarray:
    numbers = values.cast(pl.Float64).to_numpy()
    # bincount adds in order; reduceat adds in pairs, in an order that the length decides.
    return np.bincount(lists.events, numbers, minlength=len(lists.lengths))


def _mean(lists: _Jagged, values: pl.Series) -> np.ndarray:
    return _sum(lists, values) / lists.lengths


def _extreme(pick: np.ufunc) -> Reduce:
    def reduce(lists: _Jagged, values: pl.Series) -> np.ndarray:
        numbers = values.to_numpy()
        result = np.zeros(len(lists.lengths), dtype=numbers.dtype)
        filled = lists.lengths > 0
        if filled.any():  # between the starts of lists that have elements lies nothing else
            result[filled] = pick.reduceat(numbers, lists.starts[filled])
        return result

    return reduce


def _place(pick: np.ufunc) -> Reduce:
    def reduce(lists: _Jagged, values: pl.Series) -> np.ndarray:
        events = lists.events
        best, numbers = _extreme(pick)(lists, values)[events], values.to_numpy()
        hits = np.flatnonzero((numbers == best) | (numbers != numbers))
        filled, first = np.unique(events[hits], return_index=True)
        result = np.zeros(len(lists.lengths), dtype=np.int64)
        result[filled] = hits[first] - lists.starts[filled]
        return result

    return reduce


def _any(lists: _Jagged, values: pl.Series) -> np.ndarray:
    return np.bincount(lists.events[values.to_numpy()], minlength=len(lists.lengths)) > 0


def _all(lists: _Jagged, values: pl.Series) -> np.ndarray:
    return ~_any(lists, ~values)


def _count(lists: _Jagged, values: pl.Series) -> np.ndarray:
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

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists = _Jagged.of(series[0], count)
        result, undecided = _reduced(name, reduction, lists)
        absent = lists.null | undecided
        if not reduction.of_empty:
            absent |= lists.lengths == 0
        values = pl.Series(result, dtype=dtype)
        return values.set(pl.Series(absent), None) if absent.any() else values

    return Typed(_mapped(call, dtype, [operand.expr]), dtype)


def _reduced(name: str, reduction: Reduction, lists: _Jagged) -> tuple[np.ndarray, np.ndarray]:
    """Return the result for each event, and whether null elements leave it open."""
    if reduction.takes == "elements" or not lists.values.null_count():
        return reduction.reduce(lists, lists.values), np.zeros(len(lists.lengths), dtype=bool)
    # A null that is true decides nothing in `all`, one that is false nothing in `any`.
    filler = name == "all" if reduction.takes == "conditions" else 0
    result = reduction.reduce(lists, lists.values.fill_null(filler))
    with_null = lists.events[lists.values.is_null().to_numpy()]
    undecided = np.bincount(with_null, minlength=len(lists.lengths)) > 0
    if reduction.takes == "conditions":
        undecided &= result == filler
    return result, undecided
