"""Lists, one for each event: elementwise operations, elements and filters.

An operation on elements is the operation on single values, applied to the flat values of the lists
(`steepest.events.expressions.jagged`), so that both have the same rules; a single value beside a
list is spread over its elements.

A list that is null makes the result null. What has no answer is null too: an element beyond the
end. Lists become single values in `steepest.events.expressions.reductions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.jagged import Jagged, mapped, spread
from steepest.events.expressions.types import Float, Typed, Wide
from steepest.events.words import counted

__all__ = ["Mismatch", "Place", "element", "filtered", "lifted", "refuse_mismatch"]


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
        layouts = [Jagged.of(s, count) for s, is_list in zip(series, lists, strict=True) if is_list]
        layouts = _aligned(layouts, place)
        events, remaining = pl.Series(layouts[0].events), iter(layouts)
        rows = {
            str(i): next(remaining).values if is_list else spread(s, count).gather(events)
            for i, s, is_list in zip(columns, series, lists, strict=True)
        }
        frame = pl.DataFrame(rows)
        values = frame.select(inner.expr.alias("value"))["value"]
        return layouts[0].nested(spread(values, frame.height))

    dtype = pl.List(inner.dtype)
    return Typed(mapped(call, dtype, [operands[i].expr for i in columns]), dtype)


def _aligned(layouts: list[Jagged], place: Place) -> list[Jagged]:
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
        lists = Jagged.of(series[0], count)
        at = spread(series[1], count).cast(pl.Int64, strict=False)
        place = at.fill_null(-(2**62)).to_numpy()
        place = np.where(place < 0, place + lists.lengths, place)
        inside = (place >= 0) & (place < lists.lengths)
        chosen = pa.array(np.where(inside, lists.starts + place, 0), mask=~inside)
        return lists.values.gather(pl.Series(chosen))

    return Typed(mapped(call, operand.element, [operand.expr, index.expr]), operand.element)


def filtered(operand: Typed, condition: Typed, place: Place) -> Typed:
    """Return the elements for which a list of conditions holds; where it is null, it does not."""

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        lists, conditions = _aligned([Jagged.of(s, count) for s in series], place)
        kept = conditions.values.fill_null(False)
        lengths = np.bincount(lists.events[kept.to_numpy()], minlength=count)
        return Jagged(lists.values, lengths, lists.null).nested(lists.values.filter(kept))

    return Typed(mapped(call, operand.dtype, [operand.expr, condition.expr]), operand.dtype)
