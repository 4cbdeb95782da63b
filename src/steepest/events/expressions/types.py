"""The types of expressions: what a value is, and how it is called in messages.

A type is a Polars data type: ``Float64``, ``Int64``, ``UInt64``, ``Int128``, ``Boolean`` or
``String`` for one value an event, or a ``List`` of one of these (but ``Int128``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

Float, Condition, String = pl.Float64(), pl.Boolean(), pl.String()
Short, Unsigned, Wide = pl.Int64(), pl.UInt64(), pl.Int128()
INTEGERS = (Short, Unsigned, Wide)
WORDS = {Float: "a number", Condition: "a condition", String: "text"}
LIST_WORDS = {Condition: "a list of conditions", String: "a list of texts"}


@dataclass(frozen=True)
class Typed:
    """A Polars expression and the type of its values; `value` where it is a literal number.

    While it is evaluated, `mismatches` is told of lists whose lengths do not fit; see
    `steepest.events.expressions.lists`.
    """

    expr: pl.Expr
    dtype: pl.DataType
    value: int | float | None = None
    mismatches: list[Any] = field(default_factory=list, compare=False)

    @property
    def is_list(self) -> bool:
        """Whether there is a list of values for each event."""
        return isinstance(self.dtype, pl.List)

    @property
    def element(self) -> pl.DataType:
        """The type of a list's elements; of one value an event, the type itself."""
        if isinstance(self.dtype, pl.List):
            inner = self.dtype.inner
            return inner if isinstance(inner, pl.DataType) else inner()
        return self.dtype

    @property
    def is_integer(self) -> bool:
        """Whether the values are integers that are exact."""
        return self.dtype in INTEGERS

    @property
    def is_number(self) -> bool:
        """Whether there is one number for each event."""
        return self.is_integer or self.dtype == Float

    @property
    def words(self) -> str:
        """The type as it is called in messages."""
        if self.is_list:
            return LIST_WORDS.get(self.element, "a list of numbers")
        return WORDS.get(self.dtype, "a number")

    @property
    def element_words(self) -> str:
        """The type of one element, or of the one value, as it is called in messages."""
        return WORDS.get(self.element, "a number")

    @property
    def real(self) -> pl.Expr:
        """The values as float64."""
        if self.value is not None:
            return pl.lit(float(self.value), dtype=pl.Float64)
        return self.expr if self.dtype == Float else self.expr.cast(pl.Float64)


def literal(value: int | float) -> Typed:
    """Return a literal number: an integer where it has room, else a float64.

    Examples
    --------
    >>> literal(3).dtype, literal(2**63).dtype, literal(0.5).dtype
    (Int64, UInt64, Float64)
    """
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        dtype = Short if value < 2**63 else Unsigned
        return Typed(pl.lit(value, dtype=dtype), dtype, value)
    return Typed(pl.lit(float(value), dtype=pl.Float64), Float, float(value))


def column_type(arrow: pa.DataType) -> pl.DataType | None:
    """Return the type that a column of this Arrow type has in an expression; None if it has none.

    Examples
    --------
    >>> column_type(pa.int8()), column_type(pa.float16()), column_type(pa.list_(pa.float32()))
    (Int64, Float64, List(Float64))
    >>> column_type(pa.date32()), column_type(pa.list_(pa.list_(pa.int8())))
    (None, None)
    """
    if is_list(arrow):
        inner = None if is_list(arrow.value_type) else column_type(arrow.value_type)
        return None if inner is None else pl.List(inner)
    if pa.types.is_dictionary(arrow):
        arrow = arrow.value_type
    if pa.types.is_boolean(arrow):
        return Condition
    if pa.types.is_integer(arrow):
        return Unsigned if arrow == pa.uint64() else Short
    if pa.types.is_floating(arrow) or pa.types.is_decimal(arrow):
        return Float
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or arrow == pa.string_view():
        return String
    return None


def is_nested(arrow: pa.DataType) -> bool:
    """Whether a column of this Arrow type holds lists of lists.

    Examples
    --------
    >>> is_nested(pa.list_(pa.list_(pa.int8()))), is_nested(pa.list_(pa.int8()))
    (True, False)
    """
    return is_list(arrow) and is_list(arrow.value_type)


def is_list(arrow: pa.DataType) -> bool:
    """Whether a column of this Arrow type holds a list for each event."""
    types = pa.types
    return types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow)
