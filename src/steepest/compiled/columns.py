"""What is asked of features before a descent: are they finite, how far do they reach, scale them.

Of the rows of a C-ordered matrix X ``(m, n)``, given flat, float32 or float64, on one read of it:

=====================================  =============================================================
`all_finite(values)`                   whether every number is finite, since 0 · x is 0 then alone
`extend(values, low, high)`            ``low = min(low, min X)``, ``high = max(high, max X)``
`add_about(values, weights, c, s, q)`  ``s += Σ w (x − c)``, ``q += Σ w (x − c)²``
`shift_and_scale(values, c, d, out)`   ``out = (X − c) / d``
=====================================  =============================================================

All but the first go by columns; the arithmetic is float64. Sums are taken over `BLOCK` rows first.
The NumPy twins are `numpy.isfinite`, `min`, `max`, and the formulas as they stand. NaN is for
`all_finite` to find: in `extend` it is skipped.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import entry, inlined, sums
from steepest.kernels.vector import view

__all__ = ["add_about", "all_finite", "extend", "shift_and_scale"]

BLOCK = 256
"""Rows whose sums are taken before they are added to the others'."""


@sums
def _zero_times(values):
    total, zero = values.dtype.type(0.0), values.dtype.type(0.0)
    for i in range(len(values)):
        total += zero * values[i]
    return total


@entry
def all_finite(values):
    """Whether no number of a flat array is NaN or infinite."""
    for first in range(0, len(values), 4096):
        count = min(4096, len(values) - first)
        if _zero_times(view(values, first, count)) != values.dtype.type(0.0):
            return False
    return True


@inlined
def _extend_row(row, low, high):
    for j in range(len(low)):
        low[j] = row[j] if row[j] < low[j] else low[j]
        high[j] = row[j] if row[j] > high[j] else high[j]


@entry
def extend(values, low, high):
    """Take the rows' extremes into `low` and `high` ``(n,)``, which are of the values' dtype."""
    n = len(low)
    for start in range(0, len(values), n):
        _extend_row(view(values, start, n), low, high)


@inlined
def _add_row(row, weight, centre, first, second):
    for j in range(len(centre)):
        distance = np.float64(row[j]) - centre[j]
        first[j] += weight * distance
        second[j] += weight * (distance * distance)


@inlined
def _move(total, block):
    for j in range(len(total)):
        total[j] += block[j]
        block[j] = 0.0


@entry
def add_about(values, weights, centre, first, second):
    """Add Σ w (x − c) and Σ w (x − c)² to `first` and `second` ``(n,)``, float64."""
    n, rows = len(centre), len(weights)
    of_first, of_second = np.zeros(n), np.zeros(n)
    for start in range(0, rows, BLOCK):
        for i in range(start, min(start + BLOCK, rows)):
            _add_row(view(values, i * n, n), weights[i], centre, of_first, of_second)
        _move(first, of_first)
        _move(second, of_second)


@inlined
def _scale_row(row, shift, width, out):
    for j in range(len(shift)):
        out[j] = (np.float64(row[j]) - shift[j]) / width[j]


@entry
def shift_and_scale(values, shift, width, out):
    """Write (X − c) / d, in float64 and then in the dtype of `out`."""
    n = len(shift)
    for start in range(0, len(values), n):
        _scale_row(view(values, start, n), shift, width, view(out, start, n))
