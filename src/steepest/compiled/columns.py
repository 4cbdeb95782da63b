"""What is asked of features before a descent: are they finite, how far do they reach, scale them.

Of the rows of a C-ordered matrix X ``(m, n)``, given flat, float32 or float64, on one read of it:

=====================================  =============================================================
`all_finite(values)`                   whether every number is finite, since 0 · x is 0 then alone
`extend(values, low, high)`            ``low = min(low, min X)``, ``high = max(high, max X)``
`add_about(values, weights, c, s, q)`  ``s += Σ w (x − c)``, ``q += Σ w (x − c)²``
`shift_and_scale(values, c, d, out)`   ``out = (X − c) / d``
=====================================  =============================================================

All but the first go by columns, `_ROWS` rows at a time, so that loops are long enough for vector
registers; the arithmetic is float64. The NumPy twins are `numpy.isfinite`, `min`, `max`, and the
formulas as they stand. NaN is for `all_finite` to find: in `extend` it is skipped.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel, reduction

_ROWS = 16
"""Rows at a time."""


@reduction
def _zero_times(values):
    total, zero = values.dtype.type(0.0), values.dtype.type(0.0)
    for i in range(len(values)):
        total += zero * values[i]
    return total


@kernel
def all_finite(values):
    """Whether no number of a flat array is NaN or infinite."""
    for first in range(0, len(values), 4096):
        if _zero_times(values[first : first + 4096]) != values.dtype.type(0.0):
            return False
    return True


@helper
def _tiled(row, kind):
    """A row `_ROWS` times, one behind the other."""
    tile = np.empty(_ROWS * len(row), kind)
    for k in range(len(tile)):
        tile[k] = row[k % len(row)]
    return tile


@kernel
def extend(values, low, high):
    """Take the rows' extremes into `low` and `high` ``(n,)``, which are of the values' dtype."""
    n = len(low)
    lows, highs = _tiled(low, values.dtype), _tiled(high, values.dtype)
    for first in range(0, len(values), len(lows)):
        rows = values[first : first + len(lows)]
        for k in range(len(rows)):
            lows[k] = rows[k] if rows[k] < lows[k] else lows[k]
            highs[k] = rows[k] if rows[k] > highs[k] else highs[k]
    for k in range(len(lows)):
        low[k % n] = min(low[k % n], lows[k])
        high[k % n] = max(high[k % n], highs[k])


@helper
def _write_weights(weights, n, tile):
    """Write each row's weight to its columns."""
    for r in range(len(weights)):
        for k in range(r * n, (r + 1) * n):
            tile[k] = weights[r]


@kernel
def add_about(values, weights, centre, first, second):
    """Add Σ w (x − c) and Σ w (x − c)² to `first` and `second` ``(n,)``, float64."""
    n, alike = len(centre), (weights == weights[0]).all() if len(weights) else True
    centres, of_weights = _tiled(centre, np.float64), _tiled(centre, np.float64)
    of_first, of_second = np.zeros_like(centres), np.zeros_like(centres)
    for i in range(0, len(weights), _ROWS):
        rows = values[i * n : (i + _ROWS) * n]
        if i == 0 or not alike:
            _write_weights(weights[i : i + _ROWS], n, of_weights)
        for k in range(len(rows)):
            distance = np.float64(rows[k]) - centres[k]
            of_first[k] += of_weights[k] * distance
            of_second[k] += of_weights[k] * (distance * distance)
    for k in range(len(centres)):
        first[k % n] += of_first[k]
        second[k % n] += of_second[k]


@kernel
def shift_and_scale(values, shift, width, out):
    """Write (X − c) / d, in float64 and then in the dtype of `out`."""
    shifts, widths = _tiled(shift, np.float64), _tiled(width, np.float64)
    for first in range(0, len(values), len(shifts)):
        rows, scaled = values[first : first + len(shifts)], out[first : first + len(shifts)]
        for k in range(len(rows)):
            scaled[k] = (np.float64(rows[k]) - shifts[k]) / widths[k]
