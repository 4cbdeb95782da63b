"""A column of lists as flat values and the length of each list, as Arrow and Awkward have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

__all__ = ["Jagged", "mapped", "spread"]


@dataclass(frozen=True)
class Jagged:
    """The lists of a column: flat values, (events,) lengths, and which lists are null."""

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
