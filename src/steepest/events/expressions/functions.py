"""The functions that expressions know: name, number of arguments, result, Polars expression.

Arguments are float64; a null among them makes the result null, but for ``isfinite`` and ``isnan``.
``where`` takes a condition and is typed in `steepest.events.expressions.typed`; functions of a
whole list are in `steepest.events.expressions.reductions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl

__all__ = ["FUNCTIONS", "Function", "delta_phi", "delta_r", "elementwise"]


@dataclass(frozen=True)
class Function:
    """A function of numbers."""

    build: Callable[..., pl.Expr]
    least: int = 1
    most: int | None = 1
    condition: bool = False
    """Whether the result is a condition, not a number."""

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.most is None:
            return f"{self.least} or more arguments"
        return "1 argument" if self.most == 1 else f"{self.most} arguments"


def elementwise(function: Callable[..., np.ndarray], *arguments: pl.Expr) -> pl.Expr:
    """Return a NumPy function of float64 expressions as an expression; null in, null out.

    For what Polars rounds otherwise: it divides by a constant through its reciprocal (3 / 10 is
    then 0.30000000000000004), takes log10 through log, and a column of one row as a constant, so
    that the result of a row would depend on how many rows are read with it.
    """
    rows = pl.repeat(0, pl.len(), dtype=pl.Int8)  # so that constants are spread over all rows

    def call(series: Sequence[pl.Series]) -> pl.Series:
        count = len(series[0])
        values = [np.broadcast_to(s.to_numpy(), count) for s in series[1:]]
        nulls = [np.broadcast_to(s.is_null().to_numpy(), count) for s in series if s.null_count()]
        with np.errstate(all="ignore"):  # 1 / 0 is inf, as IEEE 754 says
            result = pl.Series(function(*values), dtype=pl.Float64)
        return result.set(pl.Series(np.any(nulls, axis=0)), None) if nulls else result

    return pl.map_batches([rows, *arguments], call, return_dtype=pl.Float64)


def _numpy(function: Callable[..., np.ndarray]) -> Callable[..., pl.Expr]:
    return lambda *arguments: elementwise(function, *arguments)


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


FUNCTIONS: dict[str, Function] = {
    "abs": Function(pl.Expr.abs),
    "sqrt": Function(pl.Expr.sqrt),
    "exp": Function(pl.Expr.exp),
    "log": Function(pl.Expr.log),
    "log10": Function(_numpy(np.log10)),
    "log1p": Function(pl.Expr.log1p),
    "sin": Function(pl.Expr.sin),
    "cos": Function(pl.Expr.cos),
    "tan": Function(pl.Expr.tan),
    "arcsin": Function(pl.Expr.arcsin),
    "arccos": Function(pl.Expr.arccos),
    "arctan": Function(pl.Expr.arctan),
    "sinh": Function(pl.Expr.sinh),
    "cosh": Function(pl.Expr.cosh),
    "tanh": Function(pl.Expr.tanh),
    "arcsinh": Function(pl.Expr.arcsinh),
    "arccosh": Function(pl.Expr.arccosh),
    "arctanh": Function(pl.Expr.arctanh),
    "atan2": Function(pl.arctan2, 2, 2),
    "hypot": Function(_numpy(np.hypot), 2, 2),
    "delta_phi": Function(_numpy(delta_phi), 2, 2),
    "delta_r": Function(_numpy(delta_r), 4, 4),
    "min": Function(_numpy(lambda *x: reduce(np.minimum, x)), 2, None),
    "max": Function(_numpy(lambda *x: reduce(np.maximum, x)), 2, None),
    "floor": Function(pl.Expr.floor),
    "ceil": Function(pl.Expr.ceil),
    "round": Function(_numpy(np.rint)),
    "sign": Function(pl.Expr.sign),
    "isfinite": Function(lambda x: x.is_finite().fill_null(False), condition=True),
    "isnan": Function(lambda x: x.is_nan().fill_null(True), condition=True),
}
