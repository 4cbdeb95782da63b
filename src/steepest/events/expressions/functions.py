"""Operators and functions of values that are each one for an event, as Polars expressions.

Only bare integer columns and literals, ``&``, ``%`` of two integers and ``where`` of two integers
are integers; they compare exactly, beyond 2⁵³ too. All other arithmetic is float64.

Comparisons follow IEEE 754, as NumPy's do: NaN compares false, and ``!=`` true. (Polars alone takes
NaN as equal to NaN and larger than every number.) A null operand makes the result null, but for
``isfinite`` and ``isnan``. Functions of a whole list are in
`steepest.events.expressions.lists`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import numpy as np
import polars as pl

from steepest.events.expressions.lists import mapped
from steepest.events.expressions.types import (
    Condition,
    Float,
    Short,
    Typed,
    Unsigned,
    Wide,
    literal,
)
from steepest.events.words import counted


def elementwise(function: Callable[..., np.ndarray], *arguments: pl.Expr) -> pl.Expr:
    """Return a NumPy function of float64 expressions as an expression; null in, null out.

    For what Polars rounds otherwise: it divides by a constant through its reciprocal (3 / 10 is
    then 0.30000000000000004), takes log10 through log, and a column of one row as a constant, so
    that the result of a row would depend on how many rows are read with it.
    """

    def call(count: int, series: Sequence[pl.Series]) -> pl.Series:
        values = [np.broadcast_to(s.to_numpy(), count) for s in series]
        nulls = [np.broadcast_to(s.is_null().to_numpy(), count) for s in series if s.null_count()]
        result = pl.Series(function(*values), dtype=pl.Float64)
        return result.set(pl.Series(np.any(nulls, axis=0)), None) if nulls else result

    return mapped(call, Float, *arguments).expr


# --- operators ----------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda x, y: elementwise(np.divide, x, y),
    "%": lambda x, y: elementwise(np.mod, x, y),
    "**": lambda x, y: elementwise(np.power, x, y),
}
COMPARISONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def operated(symbol: str, left: Typed, right: Typed) -> Typed:
    """Return ``left symbol right`` of two numbers, for ``&`` and ``|`` of two integers."""
    if symbol in ("&", "|"):
        combine = operator.and_ if symbol == "&" else operator.or_
        first, second, dtype = _common(left, right)
        if Unsigned in (left.dtype, right.dtype):  # negative ones extend by ones: no bit is lost
            return Typed(_unsigned(combine(first, second)), Unsigned)
        return Typed(combine(first, second), dtype)
    if symbol == "%" and left.is_integer and right.is_integer:
        dtype = Short if left.dtype == right.dtype == Short else Wide
        return Typed(left.expr.cast(dtype) % right.expr.cast(dtype), dtype)
    return Typed(OPERATIONS[symbol](left.real, right.real), Float)


def _unsigned(wide: pl.Expr) -> pl.Expr:
    """Return the lowest 64 bits of integers of 128 bits, of which none is lost."""
    return pl.when(wide < 0).then(wide + 2**64).otherwise(wide).cast(Unsigned)


def compared(symbol: str, left: Typed, right: Typed) -> Typed:
    """Return the condition ``left symbol right`` of two values of one type."""
    left, right = _exact(left, right), _exact(right, left)
    compare = COMPARISONS[symbol]
    if not left.is_number:
        return Typed(compare(left.expr, right.expr), Condition)
    if left.is_integer and right.is_integer:
        first, second, _ = _common(left, right)
        return Typed(compare(first, second), Condition)
    plain = compare(left.real, right.real)
    # Where Polars' NaN, equal to itself and above all, would answer otherwise than IEEE's.
    guarded = right if symbol in ("<", "<=") else left
    if guarded.is_integer or guarded.value is not None:
        return Typed(plain, Condition)
    if symbol == "!=":
        return Typed(plain | guarded.real.is_nan(), Condition)
    return Typed(plain & guarded.real.is_not_nan(), Condition)


def _exact(number: Typed, other: Typed) -> Typed:
    """Return a literal such as 1e3 as an integer where it meets integers; else as it is."""
    if other.is_integer and isinstance(number.value, float) and number.value.is_integer():
        return literal(int(number.value))
    return number


def _common(left: Typed, right: Typed) -> tuple[pl.Expr, pl.Expr, pl.DataType]:
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
    first, second, dtype = _common(then, otherwise)
    met = condition.expr
    # Polars takes a null condition as false; here nothing follows from it.
    return Typed(pl.when(met).then(first).when(~met).then(second).otherwise(None), dtype)


# --- functions ----------------------------------------------------------------------------------


POLARS = [
    "abs", "sqrt", "exp", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh",
    "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "sign",
]  # fmt: skip
"""Methods of Polars expressions that round as NumPy does, or nearly so."""


@dataclass(frozen=True)
class Function:
    """A function of single values, and how many it takes."""

    build: Callable[..., Typed]
    least: int = 1
    most: int | None = 1
    usage: str = ""

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.most is None:
            return f"{self.least} or more arguments"
        return counted(self.most, "argument") + (f": {self.usage}" if self.usage else "")


def bit(number: Typed, place: Typed) -> Typed:
    """Return whether a bit of an integer is set; bit 0 is the lowest, bit 63 the highest."""
    mask = literal(1 << int(place.value or 0))
    return compared("!=", operated("&", number, mask), literal(0))


def delta_phi(phi1: np.ndarray, phi2: np.ndarray) -> np.ndarray:
    """Return φ₁ − φ₂, wrapped to (−π, π].

    It is the float64 difference less a multiple of the float64 2π, without a rounding: the
    remainder is exact, and so is the shift of what lies beyond half of it (Sterbenz's lemma).

    Examples
    --------
    >>> delta_phi(np.array([3.0, -3.0, np.pi]), np.array([-3.0, 3.0, 0.0]))
    array([-0.28318531,  0.28318531,  3.14159265])
    """
    turned = np.fmod(phi1 - phi2, 2 * np.pi)
    turned = np.where(turned > np.pi, turned - 2 * np.pi, turned)
    return np.where(turned <= -np.pi, turned + 2 * np.pi, turned)


def delta_r(eta1: np.ndarray, phi1: np.ndarray, eta2: np.ndarray, phi2: np.ndarray) -> np.ndarray:
    """Return ΔR = √(Δη² + Δφ²) between two directions.

    Examples
    --------
    >>> delta_r(np.array([1.0]), np.array([3.0]), np.array([1.5]), np.array([-3.0])).round(6)
    array([0.574625])
    """
    return np.hypot(eta1 - eta2, delta_phi(phi1, phi2))


def _polars(
    build: Callable[..., pl.Expr], arguments: int = 1, dtype: pl.DataType = Float
) -> Function:
    """Return a function of float64 numbers, from one of Polars expressions."""
    return Function(
        lambda *numbers: Typed(build(*(number.real for number in numbers)), dtype),
        arguments,
        arguments,
    )


def _numpy(function: Callable[..., np.ndarray], arguments: int = 1) -> Function:
    """Return a function of float64 numbers, from one of arrays."""
    return _polars(partial(elementwise, function), arguments)


_DELTA_PHI = replace(_numpy(delta_phi, 2), usage="phi1, phi2, or 2 four-vectors")
_DELTA_R = replace(_numpy(delta_r, 4), usage="eta1, phi1, eta2, phi2, or 2 four-vectors")

FUNCTIONS: dict[str, Function] = {
    **{name: _polars(getattr(pl.Expr, name)) for name in POLARS},
    "log10": _numpy(np.log10),
    "round": _numpy(np.rint),
    "pow": _numpy(np.power, 2),
    "hypot": _numpy(np.hypot, 2),
    "atan2": _polars(pl.arctan2, 2),
    **dict.fromkeys(("delta_phi", "deltaPhi"), _DELTA_PHI),
    **dict.fromkeys(("delta_r", "deltaR"), _DELTA_R),
    "min": replace(_numpy(lambda *numbers: reduce(np.minimum, numbers), 2), most=None),
    "max": replace(_numpy(lambda *numbers: reduce(np.maximum, numbers), 2), most=None),
    "isfinite": _polars(lambda x: x.is_finite().fill_null(False), dtype=Condition),
    "isnan": _polars(lambda x: x.is_nan().fill_null(True), dtype=Condition),
    "bit": Function(bit, 2, 2, "bit(flags, 3)"),
    "where": Function(chosen, 3, 3, "where(condition, a, b)"),
}
