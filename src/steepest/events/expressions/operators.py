"""Arithmetic, comparisons and choices of values that are each one for an event, typed.

Only bare integer columns and literals, ``%`` of two integers and ``where`` of two integers are
integers; they compare exactly, beyond 2⁵³ too. All other arithmetic is float64.

Comparisons follow IEEE 754, as NumPy's do: NaN compares false, and ``!=`` true. (Polars alone takes
NaN as equal to NaN and larger than every number.) A null operand makes the result null.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from steepest.events.expressions.functions import elementwise
from steepest.events.expressions.types import Condition, Float, Short, Typed, Wide, literal

__all__ = ["all_of", "any_of", "chosen", "common", "compared", "operated"]

Build = Callable[[pl.Expr, pl.Expr], pl.Expr]
OPERATIONS: dict[str, Build] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: elementwise(np.divide, x, y),
    "%": lambda x, y: elementwise(np.mod, x, y),
    "**": lambda x, y: elementwise(np.power, x, y),
}
COMPARISONS: dict[str, Build] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}


def operated(operator: str, left: Typed, right: Typed) -> Typed:
    """Return ``left operator right`` of two numbers."""
    if operator == "%" and left.is_integer and right.is_integer:
        dtype = Short if left.dtype == right.dtype == Short else Wide
        return Typed(left.expr.cast(dtype) % right.expr.cast(dtype), dtype)
    return Typed(OPERATIONS[operator](left.real, right.real), Float)


def compared(operator: str, left: Typed, right: Typed) -> Typed:
    """Return the condition ``left operator right`` of two values of one type."""
    return Typed(_compared(operator, left, right), Condition)


def _compared(operator: str, left: Typed, right: Typed) -> pl.Expr:
    left, right = _exact(left, right), _exact(right, left)
    compare = COMPARISONS[operator]
    if not left.is_number:
        return compare(left.expr, right.expr)
    if left.is_integer and right.is_integer:
        dtype = Short if left.dtype == right.dtype == Short else Wide
        return compare(left.expr.cast(dtype), right.expr.cast(dtype))
    plain = compare(left.real, right.real)
    # Where Polars' NaN, equal to itself and above all, would answer otherwise than IEEE's.
    guarded = right if operator in ("<", "<=") else left
    if guarded.is_integer or guarded.value is not None:
        return plain
    if operator == "!=":
        return plain | guarded.real.is_nan()
    return plain & guarded.real.is_not_nan()


def _exact(number: Typed, other: Typed) -> Typed:
    """Return a literal such as 1e3 as an integer where it meets integers; else as it is."""
    if other.is_integer and isinstance(number.value, float) and number.value.is_integer():
        return literal(int(number.value))
    return number


def common(left: Typed, right: Typed) -> tuple[pl.Expr, pl.Expr, pl.DataType]:
    """Return two values of one kind as values of one data type, and that type."""
    if left.dtype == right.dtype:
        return left.expr, right.expr, left.dtype
    if left.is_integer and right.is_integer:
        return left.expr.cast(Wide), right.expr.cast(Wide), Wide
    return left.real, right.real, Float


def all_of(*conditions: Typed) -> Typed:
    """Return whether all conditions hold."""
    return Typed(pl.all_horizontal([condition.expr for condition in conditions]), Condition)


def any_of(*conditions: Typed) -> Typed:
    """Return whether one of the conditions holds, or more."""
    return Typed(pl.any_horizontal([condition.expr for condition in conditions]), Condition)


def chosen(condition: Typed, then: Typed, otherwise: Typed) -> Typed:
    """Return one of two values of one kind; null where the condition is."""
    first, second, dtype = common(then, otherwise)
    met = condition.expr
    # Polars takes a null condition as false; here nothing follows from it.
    return Typed(pl.when(met).then(first).when(~met).then(second).otherwise(None), dtype)
