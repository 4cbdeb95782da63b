"""What a card tells of events: of a split its size; of a column its type, unit, range and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from steepest.events.expressions.expression import column
from steepest.events.units import units_of

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers


@dataclass
class ColumnSummary:
    """A column of events.

    Attributes
    ----------
    name, type
        Its name, and its type in Arrow.
    title, unit
        As the file says them; empty where it does not.
    low, high
        The smallest and the largest number, of lists of any element; None for texts.
    missing
        Rows without a value, or with NaN.
    """

    name: str
    type: pa.DataType
    title: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    missing: int = 0

    def add(self, values: pa.ChunkedArray) -> None:
        """Take in more rows."""
        self.missing += values.null_count
        while pa.types.is_nested(values.type):
            if pa.types.is_struct(values.type):
                return
            values = pc.list_flatten(values)
        if pa.types.is_floating(values.type):
            nan = pc.is_nan(values)
            if not pa.types.is_nested(self.type):
                self.missing += pc.sum(nan).as_py() or 0
            values = values.filter(pc.invert(nan))
        elif not pa.types.is_integer(values.type):
            return
        ends = pc.min_max(values).as_py()
        if ends["min"] is not None:
            self.low = ends["min"] if self.low is None else min(self.low, ends["min"])
            self.high = ends["max"] if self.high is None else max(self.high, ends["max"])

    def with_more(self, other: ColumnSummary) -> ColumnSummary:
        """The column in both."""
        lows = [s.low for s in (self, other) if s.low is not None]
        highs = [s.high for s in (self, other) if s.high is not None]
        return ColumnSummary(
            self.name,
            self.type,
            self.title,
            self.unit,
            min(lows, default=None),
            max(highs, default=None),
            self.missing + other.missing,
        )


@dataclass(frozen=True)
class Split:
    """One split of the events.

    Attributes
    ----------
    name
        Such as "train".
    rows
        The number of events.
    sizes
        The bytes of each file, by its path in the repository.
    nbytes
        The bytes of the events in memory.
    columns
        What is known of each column.
    """

    name: str
    rows: int
    sizes: dict[str, int]
    nbytes: int
    columns: tuple[ColumnSummary, ...]


def summaries_of(schema: pa.Schema) -> list[ColumnSummary]:
    """Return an empty summary of each column.

    Examples
    --------
    >>> pt = pa.field("pt", pa.float32(), metadata={"unit": "GeV"})
    >>> (summary,) = summaries_of(pa.schema([pt]))
    >>> summary.add(pa.chunked_array([[30.0, 50.0, None]]))
    >>> summary.unit, summary.low, summary.high, summary.missing
    ('GeV', 30.0, 50.0, 1)
    """
    named = {name: column(name, name) for name in schema.names}
    units = units_of(None, schema, named)

    def of_field(field: pa.Field) -> ColumnSummary:
        found = units.get(field.name, {})
        meaning = (field.metadata or {}).get(b"meaning", b"").decode()  # of `steepest simulate`
        title = found.get("title") or meaning
        return ColumnSummary(field.name, field.type, title, found.get("unit", ""))

    return [of_field(field) for field in schema]


def feature_of(kind: pa.DataType) -> Any:
    """Return a type as a card's metadata write it, for the Hub's viewer.

    Examples
    --------
    >>> feature_of(pa.float64()), feature_of(pa.list_(pa.float32()))
    ({'dtype': 'float64'}, {'list': 'float32'})
    """
    if pa.types.is_struct(kind):
        return {"struct": [{"name": f.name, **feature_of(f.type)} for f in kind]}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inside = feature_of(kind.value_type)
        return {"list": inside.get("dtype", inside)}
    if pa.types.is_fixed_size_list(kind):
        inside = feature_of(kind.value_type)
        return {"list": inside.get("dtype", inside), "length": kind.list_size}
    names = {"float": "float32", "double": "float64", "halffloat": "float16"}
    return {"dtype": names.get(str(kind), str(kind))}
