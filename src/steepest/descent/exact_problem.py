"""Least squares as it is solved: centred columns as exact pairs, ridge rows, powers of two.

A pair is a number as an unevaluated sum high + low of two float64, with some 32 digits. What a sum
or a product rounds away is itself a float64, and is computed here: T. J. Dekker, Numerische
Mathematik 18 (1971) 224, doi:10.1007/BF01397083.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Problem", "original", "posed", "sum_of_pairs", "two_product", "two_sum"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """Minimise Σ w (y − (high + low) z)² over M rows, those of the ridge included.

    Column 0 is the intercept, column j + 1 is (x_j − centre_j) 2^(−exponents_j).
    All scales are powers of two, so nothing is rounded on the way here.
    """

    high: Floats  # (M, n + 1)
    low: Floats  # (M, n + 1)
    y: Floats  # (M,) times 2^(−y_exponent)
    w: Floats  # (M,) times 2^(−w_exponent)
    centre: Floats  # (n,)
    exponents: NDArray[np.int64]  # (n,)
    y_exponent: int
    w_exponent: int


def posed(X: Floats, y: Floats, w: Floats, ridge: float) -> Problem:
    """Return the problem of events, without those of no weight, and with the ridge's rows."""
    used = w != 0
    X, y, w = X[used], y[used], w[used]
    high, low, centre, exponents = _centred(X, np.abs(w))
    n = X.shape[1]
    if ridge:
        w = np.append(w, np.full(n, ridge))
        y = np.append(y, np.zeros(n))
        high, low = np.vstack([high, np.eye(n + 1)[1:]]), np.vstack([low, np.zeros((n, n + 1))])
        high[-n:, 1:] = np.diag(np.ldexp(1.0, -exponents))
    w_exponent, y_exponent = int(_exponent(w)), int(_exponent(y))
    w, y = np.ldexp(w, -w_exponent), np.ldexp(y, -y_exponent)
    columns = _exponent(np.sqrt(np.abs(w))[:, None] * high)
    high, low = np.ldexp(high, -columns), np.ldexp(low, -columns)
    order = np.argsort(-np.sqrt(np.abs(w)) * np.abs(high).max(axis=1), kind="stable")
    return Problem(
        high=high[order],
        low=low[order],
        y=y[order],
        w=w[order],
        centre=centre,
        exponents=np.append(0, exponents) + columns,
        y_exponent=y_exponent,
        w_exponent=w_exponent,
    )


def _centred(X: Floats, size: Floats) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """[1, x − centre] as high + low, exactly, in units of 2^exponents; centre is near the mean."""
    exponents = _exponent(X)
    X = np.ldexp(X, -exponents)
    first = X[0]
    centre = first + (size @ (X - first)) / size.sum()
    high, low = two_sum(X, -centre)
    ones, zeros = np.ones((len(X), 1)), np.zeros((len(X), 1))
    return np.hstack([ones, high]), np.hstack([zeros, low]), np.ldexp(centre, exponents), exponents


def _exponent(values: Floats) -> NDArray[np.int64]:
    """The power of two just above the largest magnitude of each column; 0 for a column of zeros."""
    return np.frexp(np.abs(values).max(axis=0, initial=0.0))[1].astype(np.int64)


def original(problem: Problem, z: Floats, low: Floats) -> tuple[Floats, float]:
    """θ and b from the scaled solution z + low, rounded once; b = z₀ − Σ θ_j centre_j of that θ."""
    exponents = problem.y_exponent - problem.exponents
    unscaled, rest = two_sum(np.ldexp(z, exponents), np.ldexp(low, exponents))
    theta = unscaled[1:]
    product, error = two_product(theta, -problem.centre)
    return theta, math.fsum([unscaled[0], rest[0], *product, *error])


def two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """A + b = s + e exactly (Knuth)."""
    s = a + b
    kept = s - a
    return s, (a - (s - kept)) + (b - kept)


def two_product(a: Floats, b: Floats | float) -> tuple[Floats, Floats]:
    """A · b = p + e exactly (Dekker, Veltkamp)."""
    p = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def _upper_half(a: Floats | float) -> Floats | float:
    shifted = 134217729.0 * a  # 2²⁷ + 1
    return shifted - (shifted - a)


def sum_of_pairs(values: Floats, errors: Floats) -> float:
    """Σ (values + errors), pairwise and exact to twice the working precision."""
    while len(values) > 1:
        half = (len(values) + 1) // 2
        odd = np.zeros(2 * half - len(values))
        values, carry = two_sum(values[:half], np.append(values[half:], odd))
        errors = errors[:half] + np.append(errors[half:], odd) + carry
    return float(values[0] + errors[0])
