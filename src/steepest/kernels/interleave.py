"""Columns side by side, ``(n, count)``, as rows ``(count, n)``: rows[i, j] = columns[j, i].

The NumPy twin is ``rows[...] = columns[:, :count].T``. Sixteen rows at a time take four columns at
a time: so each line of the cache is read and written once, while it is in the first level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steepest.kernels.compiled import entry

__all__ = ["interleaved"]

_BYTES = 2**19
"""Of the columns' pieces that are copied side by side, so that they stay in the second level."""
_LONGEST, _PADDING = 8_192, 16
"""Rows of a piece; the padding keeps columns from falling into the same lines of the cache."""
_TILE = 16


@entry
def _interleave(columns, count, rows):
    """``rows[i, j] = columns[j, i]`` for i below `count`."""
    n = rows.shape[1]
    fours, tiles = n - n % 4, count - count % _TILE
    for start in range(0, tiles, _TILE):
        for j in range(0, fours, 4):
            a, b, c, d = columns[j], columns[j + 1], columns[j + 2], columns[j + 3]
            for i in range(start, start + _TILE):
                row = rows[i]
                row[j], row[j + 1], row[j + 2], row[j + 3] = a[i], b[i], c[i], d[i]
        for j in range(fours, n):
            for i in range(start, start + _TILE):
                rows[i, j] = columns[j, i]
    for i in range(tiles, count):
        for j in range(n):
            rows[i, j] = columns[j, i]


def interleaved(columns: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    """Return columns of any types, at least one and of one length, as the columns of a matrix.

    Returns
    -------
    numpy.ndarray
        ``(rows, columns)`` of the dtype, float32 or float64, C order.

    Examples
    --------
    >>> interleaved([np.array([1, 2]), np.array([0.5, 0.25])], np.float32)
    array([[1.  , 0.5 ],
           [2.  , 0.25]], dtype=float32)
    """
    rows = np.empty((len(columns[0]), len(columns)), dtype)
    longest = min(max(_BYTES // (len(columns) * rows.itemsize), _TILE), _LONGEST)
    pieces = np.empty((len(columns), longest + _PADDING), dtype)
    for start in range(0, len(rows), longest):
        part = rows[start : start + longest]
        for piece, column in zip(pieces, columns, strict=True):
            piece[: len(part)] = column[start : start + longest]
        _interleave(pieces, len(part), part)
    return rows
