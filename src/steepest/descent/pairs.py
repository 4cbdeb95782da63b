"""Numbers as unevaluated sums high + low of two float64, with some 32 digits.

Error-free transformations: what a sum or a product rounds away is itself a float64, and is
computed here.

References
----------
T. J. Dekker, "A floating-point technique for extending the available precision", Numerische
Mathematik 18 (1971) 224, doi:10.1007/BF01397083.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["sum_of_pairs", "two_product", "two_sum"]

Floats = NDArray[np.float64]


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
