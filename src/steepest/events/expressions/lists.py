"""Lists, one for each event: elementwise operations, elements, filters, and reductions.

An operation on elements is the operation on single values, applied to the flat values of the lists,
so that both have the same rules; a single value beside a list is spread over its elements.

A list that is null makes the result null. What has no answer is null too: an element beyond the
end; the largest, smallest or mean element of an empty list. Null elements make a reduction null
(NaN makes it NaN); ``any`` and ``all`` are null only if the null elements leave them open. Sums run
from the first element to the last in float64, so that a row's value is the same to the bit in any
batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.types import Condition, Float, Short, Typed, Wide
from steepest.events.words import counted


@dataclass(frozen=True)
class Jagged:
    """The lists of a column as Arrow has them: flat values, (events,) lengths, which are null."""

    values: pl.Series
    lengths: np.ndarray
    null: np.ndarray

    @staticmethod
    def of(series: pl.Series, count: int) -> Jagged:
        """Return the lists of a column, spread over `count` events where it has one row."""
        arrow = spread(series, count).to_arrow()
        if isinstance(arrow, pa.ChunkedArray):
            arrow = arrow.combine_chunks()
        lengths = arrow.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        dtype = series.dtype.inner if isinstance(series.dtype, pl.List) else None
        values = pl.Series(arrow.flatten(), dtype=dtype)
        null = arrow.is_null().to_numpy(zero_copy_only=False)
        return Jagged(values, lengths.astype(np.int64), null)

    @property
    def starts(self) -> np.ndarray:
        """Where in the values each list begins."""
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

    def without(self, absent: np.ndarray) -> Jagged:
        """Return the lists with those of some events made null."""
        if not (absent & ~self.null).any():
            return self
        kept = pl.Series(~np.repeat(absent, self.lengths), dtype=pl.Boolean)
        lengths = np.where(absent, 0, self.lengths)
        return Jagged(self.values.filter(kept), lengths, self.null | absent)


def spread(series: pl.Series, count: int) -> pl.Series:
    """Return a column of one row, such as a constant's, over so many rows; others as they are."""
    return series if len(series) == count else series.new_from_index(0, count)


def mapped(
    call: Callable[[int, Sequence[pl.Series]], pl.Series], dtype: pl.DataType, *arguments: pl.Expr
) -> Typed:
    """Return what a function makes of the number of rows and the columns."""
    rows = pl.repeat(0, pl.len(), dtype=pl.Int8)  # so that constants are spread over all rows

    def evaluate(series: Sequence[pl.Series]) -> pl.Series:
        with np.errstate(all="ignore"):  # 1 / 0 is inf, as IEEE 754 says
            return call(len(series[0]), series[1:])

    return Typed(pl.map_batches([rows, *arguments], evaluate, return_dtype=dtype), dtype)


# --- lists that do not fit ----------------------------------------------------------------------


@dataclass(frozen=True)
class Mismatch:
    """Lists that are combined differ in length at a row of the data frame, or have too many pairs.

    It is noted while Polars evaluates, which carries no exception of ours out faithfully, and
    raised by `refuse_mismatch` afterwards, where it is known which file the row is of.
    """

    role: str
    place: str
    row: int
    lengths: tuple[int, ...]
    pairs: int = 0


Note = Callable[[int, tuple[int, ...]], object]
"""Called with the first row in which lists differ in length, and their lengths."""


def refuse_mismatch(mismatches: Sequence[Mismatch], locate: Callable[[int], str]) -> None:
    """Raise EventsError for the first of the rows in which lists do not fit, if there is one."""
    if not mismatches:
        return
    first = min(mismatches, key=lambda mismatch: mismatch.row)
    if first.pairs:
        raise EventsError(
            f"{first.role}: too many pairs {locate(first.row)}.\n{first.place}",
            expected=f"at most {MOST_PAIRS:,} pairs in an event, which take 1 GB",
            found=f"{first.pairs:,} pairs",
            cause="lists of hundreds or thousands of elements, such as particles or cells",
            do="select elements first: pairs(p4(PF)[PF_pt > 5])",
        )
    sizes = sorted(set(first.lengths))
    raise EventsError(
        f"{first.role}: lists of different lengths meet {locate(first.row)}.\n{first.place}",
        expected="lists of one length in each event",
        found=" and ".join([*map(str, sizes[:-1]), counted(sizes[-1], "element")]),
        cause="the lists are of different objects",
        do="combine lists of the same objects, or reduce one to a number: x[0], sum(x)",
    )


def _aligned(lists: list[Jagged], note: Note) -> list[Jagged]:
    """Return lists with the same ones null; where others differ in length, note it."""
    absent = np.logical_or.reduce([one.null for one in lists])
    lengths = np.array([one.lengths for one in lists])  # (operands, events)
    differ = (lengths != lengths[0]).any(axis=0) & ~absent
    if differ.any():
        row = int(np.argmax(differ))
        note(row, tuple(lengths[:, row].tolist()))
    return [one.without(absent | differ) for one in lists]


# --- operations ---------------------------------------------------------------------------------


def lifted(build: Callable[..., Typed], operands: Sequence[Typed], note: Note) -> Typed:
    """Return an operation on single values, elementwise where an operand is a list.

    Parameters
    ----------
    build
        The operation: typed single values in, one out.
    operands
        Single values or lists; lists must have one length in each event.
    note
        Told where they have not.
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
    are_lists = [operands[i].is_list for i in columns]

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists = [
            Jagged.of(s, count) for s, is_list in zip(series, are_lists, strict=True) if is_list
        ]
        lists = _aligned(lists, note)
        events, remaining = pl.Series(lists[0].events), iter(lists)
        rows = {
            str(i): next(remaining).values if is_list else spread(s, count).gather(events)
            for i, s, is_list in zip(columns, series, are_lists, strict=True)
        }
        frame = pl.DataFrame(rows)
        values = frame.select(inner.expr.alias("value"))["value"]
        return lists[0].nested(spread(values, frame.height))

    return mapped(call, pl.List(inner.dtype), *[operands[i].expr for i in columns])


def element(operand: Typed, index: Typed) -> Typed:
    """Return the element at an integer index, from the end where it is negative; else null."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists = Jagged.of(series[0], count)
        at = spread(series[1], count).cast(pl.Int64, strict=False)
        place = at.fill_null(-(2**62)).to_numpy()
        place = np.where(place < 0, place + lists.lengths, place)
        inside = (place >= 0) & (place < lists.lengths)
        chosen = pa.array(np.where(inside, lists.starts + place, 0), mask=~inside)
        return lists.values.gather(pl.Series(chosen))

    return mapped(call, operand.element, operand.expr, index.expr)


def ordered(operand: Typed, by: Typed, note: Note) -> Typed:
    """Return the elements of lists in falling order of others; NaN and null come last."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists, keys = _aligned([Jagged.of(s, count) for s in series], note)
        falling = -keys.values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        places = np.lexsort((falling, lists.events))  # stable; NaN is sorted to the end
        return lists.nested(lists.values.gather(pl.Series(places)))

    return mapped(call, operand.dtype, operand.expr, by.expr)


MOST_PAIRS = 2**24
"""Of one event."""
PAIRS_AT_ONCE = 2**23
"""Elements squared, of the events that are evaluated at once."""
_USES_PAIRS = re.compile(r"\b(pairs|first|second)\s*\(")


def in_pieces(table: pl.DataFrame, texts: Iterable[str]) -> list[slice]:
    """Return rows that are evaluated at once, few where an expression pairs long lists.

    Examples
    --------
    >>> table = pl.DataFrame({"pt": [[0.0] * 2000, [0.0] * 2500, [0.0]]})
    >>> in_pieces(table, ["max(pairs(p4(pt, pt, pt, pt)).mass)"]), in_pieces(table, ["sum(pt)"])
    ([slice(0, 1, None), slice(1, 3, None)], [slice(0, 3, None)])
    """
    lists = [name for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
    if not lists or not any(map(_USES_PAIRS.search, texts)):
        return [slice(0, table.height)]
    lengths = [table[name].list.len().fill_null(0).to_numpy().astype(np.float64) for name in lists]
    reached = np.cumsum(np.maximum.reduce(lengths) ** 2) // PAIRS_AT_ONCE
    starts = [0, *(np.flatnonzero(np.diff(reached)) + 1).tolist()]
    return list(map(slice, starts, [*starts[1:], table.height]))


def paired(side: int, lists: Sequence[Typed], note: Callable[[int, int], object]) -> Typed:
    """Return one member of each pair: of each two elements of a list, or of one of each of two.

    Pairs come in the order of their first member, then of the second; `side` is 0 for the first.
    `note` is called with the first row that has more than `MOST_PAIRS`, and with their number.
    """

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        first, second = Jagged.of(series[0], count), Jagged.of(series[-1], count)
        n = first.lengths
        too_many = (n * (n - 1) // 2 if len(lists) == 1 else n * second.lengths) > MOST_PAIRS
        if too_many.any():
            row = int(np.argmax(too_many))
            pairs = n[row] * (n[row] - 1) // 2 if len(lists) == 1 else n[row] * second.lengths[row]
            note(row, int(pairs))
            first, second = first.without(too_many), second.without(too_many)
        place = np.arange(len(first.values)) - first.starts[first.events]
        if len(lists) == 1:  # with each element after it
            partners, begin = first.lengths[first.events] - 1 - place, np.arange(len(place)) + 1
        else:
            partners, begin = second.lengths[first.events], second.starts[first.events]
        chosen = np.repeat(np.arange(len(place)), partners)
        events = first.events[chosen]
        if side == 1:
            runs = np.cumsum(partners) - partners
            chosen = begin[chosen] + np.arange(len(chosen)) - runs[chosen]
        values = (first, second)[side].values.gather(pl.Series(chosen))
        absent = first.null | second.null
        lengths = np.bincount(events, minlength=count)
        return Jagged(values, lengths, absent).without(absent).nested(values)

    return mapped(call, lists[side if len(lists) > 1 else 0].dtype, *(one.expr for one in lists))


def filtered(operand: Typed, condition: Typed, note: Note) -> Typed:
    """Return the elements for which a list of conditions holds; where it is null, it does not."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists, conditions = _aligned([Jagged.of(s, count) for s in series], note)
        kept = conditions.values.fill_null(False)
        lengths = np.bincount(lists.events[kept.to_numpy()], minlength=count)
        return Jagged(lists.values, lengths, lists.null).nested(lists.values.filter(kept))

    return mapped(call, operand.dtype, operand.expr, condition.expr)


# --- reductions ---------------------------------------------------------------------------------


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
