"""The distinct values of a label, counted block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from steepest.events.words import counted, listed

__all__ = ["MOST_CLASSES", "LabelCounts", "shown"]

MOST_CLASSES = 1_000


class LabelCounts:
    """The distinct values of a label, counted block by block, up to `MOST_CLASSES` and one more.

    Examples
    --------
    >>> label_counts = LabelCounts()
    >>> label_counts.add(pl.Series(["top", "qcd", "top"]))
    array([0., 1., 0.])
    >>> label_counts.distinct, label_counts.names
    (['qcd', 'top'], ('qcd', 'top'))
    """

    def __init__(self) -> None:
        self._known: dict[Any, list[int]] = {}  # value: [how often, index of the first]
        self._texts: dict[str, int] = {}
        self.events = 0

    def add(self, values: pl.Series) -> np.ndarray:
        """Count a block; return it as float64: numbers as they are, text by its first appearance.

        Null is NaN; so is text beyond `MOST_CLASSES` values, which is refused later.
        """
        if values.dtype.is_float():
            values = values + 0.0  # -0.0 and 0.0 are one value
        is_text = not (values.dtype.is_numeric() or values.dtype == pl.Boolean)
        if is_text:
            values = values.cast(pl.String)
        if not self.many:
            self._count(values)
        self.events += len(values)
        if not is_text:
            return values.cast(pl.Float64).to_numpy()
        for text in self._known:
            self._texts.setdefault(text, len(self._texts))
        codes = values.replace_strict(self._texts, default=None, return_dtype=pl.Float64)
        return codes.to_numpy()

    def _count(self, values: pl.Series) -> None:
        for value, count, first in _few(values) or _groups(values):
            if value is None or value != value:
                continue
            if value in self._known:
                self._known[value][0] += count
            elif self.many:
                break
            else:
                self._known[value] = [count, self.events + first]

    @property
    def many(self) -> bool:
        """Whether there are more than `MOST_CLASSES`, so that not all are known."""
        return len(self._known) > MOST_CLASSES

    @property
    def distinct(self) -> list[Any]:
        """The values, sorted."""
        return sorted(self._known)

    @property
    def how_many(self) -> str:
        """Their number, in words."""
        return f"more than {MOST_CLASSES:,}" if self.many else str(len(self._known))

    @property
    def counts(self) -> str:
        """The values with their numbers of events."""
        pairs = ((value, self._known[value][0]) for value in self.distinct)
        return listed((f"{shown(value)}: {counted(n, 'event')}" for value, n in pairs), 5)

    @property
    def names(self) -> tuple[str, ...]:
        """The values as names of classes."""
        return tuple(
            value if isinstance(value, str) else str(int(value)) for value in self.distinct
        )

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return isinstance(next(iter(self._known)), str)

    @property
    def is_binary(self) -> bool:
        """Whether each value is 0 or 1."""
        return not self.is_text and set(self._known) <= {0, 1}

    @property
    def is_integral(self) -> bool:
        """Whether all values are numbers without a fraction."""
        return not self.is_text and all(v == int(v) for v in self._known)

    def first(self, value: Any) -> int:
        """The index of the first event with that value."""
        return self._known[value][1]

    def coded(self, codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return what turns the numbers of `add` into codes, given for each distinct value."""
        if self.is_text:
            by_appearance = np.empty(len(codes), dtype=np.int64)
            by_appearance[[self._texts[text] for text in self.distinct]] = codes
            return lambda numbers: by_appearance[numbers.astype(np.int64)]
        values = np.array(self.distinct, dtype=np.float64)
        if np.array_equal(values, codes):
            return lambda numbers: numbers.astype(np.int64)
        return lambda numbers: codes[np.searchsorted(values, numbers)]


Group = tuple[Any, int, int]
"""A value, how often it is there, and the index of the first."""


def _groups(values: pl.Series) -> Iterable[Group]:
    """Return each distinct value, in the order of the first ones."""
    table = pl.DataFrame({"value": values}).with_row_index("first")
    groups = table.group_by("value", maintain_order=True).agg(pl.len(), pl.first("first"))
    return groups.iter_rows()


def _few(values: pl.Series) -> list[Group]:
    """Return what `_groups` does, fast, of integers close to each other; of others nothing."""
    if values.null_count() or not (values.dtype.is_integer() or values.dtype == pl.Boolean):
        return []
    numbers = values.to_numpy()
    low, high = int(numbers.min()), int(numbers.max())
    if high - low >= MOST_CLASSES or high > np.iinfo(np.int64).max:
        return []
    is_boolean = values.dtype == pl.Boolean
    counts = np.bincount(numbers.astype(np.int64) - low)
    found = [
        (int(np.argmax(numbers == low + place)), low + place, int(counts[place]))
        for place in np.flatnonzero(counts).tolist()
    ]
    return [
        (bool(value) if is_boolean else value, count, first)
        for first, value, count in sorted(found)
    ]


def shown(value: Any) -> str:
    """Return a value as it is written in an expression."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else f"{value:.15g}"
