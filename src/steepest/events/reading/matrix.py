"""Columns side by side, as the columns of one matrix: rows[:, j] = columns[j].

Written one number at a time, a column of a matrix that is kept row by row touches every line of the
cache for four bytes. So columns are first laid beside each other in groups of 16 bytes, in a piece
that stays in the cache, and then written group by group; a group is moved as if it were one complex
number, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["matrix"]

_GROUP = np.dtype(np.complex128)
_PIECE = 32_768
"""Rows of a piece."""


def matrix(columns: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    """Return columns of numbers, at least one and of one length, as a matrix.

    Parameters
    ----------
    columns
        ``(rows,)`` each, of any type.
    dtype
        Of the matrix: float32 or float64.

    Returns
    -------
    numpy.ndarray
        ``(rows, columns)``, C order.

    Examples
    --------
    >>> matrix([np.array([1, 2]), np.array([0.5, 0.25])], np.float32)
    array([[1.  , 0.5 ],
           [2.  , 0.25]], dtype=float32)
    """
    rows = np.empty((len(columns[0]), len(columns)), dtype)
    for start in range(0, len(rows), _PIECE):
        piece = slice(start, start + _PIECE)
        _fill(rows[piece], [column[piece] for column in columns])
    return rows


def _fill(rows: np.ndarray, columns: Sequence[np.ndarray]) -> None:
    """Set ``rows[:, j] = columns[j]``; the rows follow each other in memory."""
    count, width = rows.shape
    together = _GROUP.itemsize // rows.itemsize
    whole = width - width % together
    beside = np.empty((count, together), rows.dtype)
    group = beside.view(_GROUP)[:, 0]
    for first in range(0, whole, together):
        for place in range(together):
            beside[:, place] = columns[first + place]
        target = np.ndarray(count, _GROUP, rows, first * rows.itemsize, (width * rows.itemsize,))
        target[...] = group
    for place in range(whole, width):
        rows[:, place] = columns[place]
