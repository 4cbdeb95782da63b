"""Where the working arrays of a dense network lie: all of them in one array.

Each array begins on a line of the cache of its own; rows are whole vectors.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from steepest.kernels.vector import VECTOR_BYTES, aligned

__all__ = [
    "BACK", "BIAS", "BLOCK", "GRADIENT", "INPUT", "KP", "NP", "ONE", "PANELS", "SAME_SETS",
    "SIGNAL", "SUMS", "THETA", "K", "Layout", "N",
]  # fmt: skip

Array = np.ndarray
BLOCK = 64
"""Rows that go through the network together."""
SAME_SETS = 512
"""Rows of so many bytes (or twice, …) share a few sets of the cache: they are set apart."""

K, N, KP, NP, THETA, PANELS, BACK, BIAS, GRADIENT, INPUT, SUMS, SIGNAL, ONE = range(13)
"""Columns of the table: fan in and out, the lengths of the rows that hold them, where each array of
a layer begins, and where a one is."""


class Layout:
    """Where everything lies in `memory`, for a network's widths.

    The gradients of several parts of a batch lie side by side: the table has the place of the
    first, `gradients` their distance. The rest belongs to a member of a team, see `table_of`.

    Parameters
    ----------
    widths
        Numbers of features, hidden units and logits.
    dtype
        float32 or float64.
    """

    def __init__(self, widths: tuple[int, ...], dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        lanes = VECTOR_BYTES // self.dtype.itemsize
        self.table = np.zeros((len(widths) - 1, 13), dtype=np.int64)
        rows = [_row(width, lanes, self.dtype.itemsize) for width in widths]
        rows[-1] = 1 if widths[-1] == 1 else rows[-1]
        self._one = max(rows)  # after the zeros that sums start from
        self._zeros = self._end = self._one + 16
        theta = 0
        for row, (k, n), (kp, np_) in zip(
            self.table, pairwise(widths), pairwise(rows), strict=True
        ):
            row[:5] = k, n, kp, np_, theta
            theta += (k + 1) * n
            row[PANELS] = self._take(max(k, kp) * np_)
            row[BACK] = self._take(max(n, np_) * kp)
            row[BIAS] = self._take(np_)
            row[INPUT] = self._take(BLOCK * kp)
            row[SUMS], row[ONE] = self._take(BLOCK * np_), self._one
        self.table[:-1, SIGNAL] = self.table[1:, INPUT]
        self.table[-1, SIGNAL] = self._take(BLOCK * rows[-1])
        self.weights, self.values = self._take(BLOCK), self._take(BLOCK)
        self.places = np.array([self.weights, self.values], dtype=np.int64)
        self._own = self._end
        for row in self.table:
            row[GRADIENT] = self._take((row[KP] + 1) * row[NP])
        self.gradients = self._end - self._own

    def memory(self, members: int = 1, parts: int = 1, more: int = 0) -> Array:
        """The working arrays of a team whose batches have so many parts: zeros, and a one.

        And so many numbers more, at the end.
        """
        size = self._zeros + members * (self._own - self._zeros) + parts * self.gradients + more
        memory = aligned(size, self.dtype)
        memory[self._one] = 1
        return memory

    def panels_and_biases(self) -> list[list[tuple[int, int]]]:
        """Where each layer's forward panels and its biases begin, and how many numbers they are."""
        return [
            [(row[PANELS], max(row[K], row[KP]) * row[NP]), (row[BIAS], row[NP])]
            for row in self.table.tolist()
        ]

    def table_of(self, member: int, members: int) -> tuple[Array, Array]:
        """The table and places of one member of a team."""
        own = self._own - self._zeros
        table, places = (aligned(a.shape, a.dtype) for a in (self.table, self.places))
        table[...], places[...] = self.table, self.places + member * own
        table[:, [PANELS, BACK, BIAS, INPUT, SUMS, SIGNAL]] += member * own
        table[:, GRADIENT] += (members - 1) * own
        return table, places

    def _take(self, size: int) -> int:
        start = self._end
        self._end += 16 * -(-size // 16) + 48  # no two arrays on the same lines of the cache
        return start


def _row(width: int, lanes: int, itemsize: int) -> int:
    """The length of a row: whole vectors, and no two rows nearby on the same sets of the cache."""
    length = lanes * -(-width // lanes)
    return length + lanes if length * itemsize % SAME_SETS == 0 else length
