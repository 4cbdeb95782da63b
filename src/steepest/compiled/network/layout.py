"""Where the arrays of a dense network lie: its parameters in θ, a block of events in `memory`.

Kernels take networks of any depth with one machine code, so all arrays of a block are parts of one
flat array. A table has a row for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from steepest.compiled.jit import helper

Array = np.ndarray

K, N, WEIGHTS, BIASES, INPUT, OUTPUT, SLOPES, SIGNAL = range(8)
"""Columns of the table: fan in, fan out; where weights and biases begin in θ; where the layer's
input, its output, the slopes a′ of that output and the signal D begin in `memory`."""
TARGETS, WEIGHT, WORK, LOGITS, UPSTREAM, SCRATCH, TRANSPOSED = range(7)
"""Places in `memory`: the events' targets and weights; room for `pointwise.differentiate`; logits
and signal, feature-major; the gradient of a block; Wᵀ of small layers, where W is in θ."""

_LARGEST_PRODUCT = 600_000
"""Multiplications of a product: up to a million, OpenBLAS takes its quick way for small ones."""
_ROWS = 128, 256
"""Events of a block, at least and at most."""


class Network(NamedTuple):
    """A network as kernels take it: numbers of `steepest.compiled.pointwise`, and its layout."""

    activation: int
    loss: int
    table: Array
    places: Array
    rows: int
    ones: Array
    """``(rows,)``, in the dtype of θ."""


class Events(NamedTuple):
    """Events as kernels take them; no weights, and no selection, are empty arrays."""

    inputs: Array
    targets: Array
    weights: Array
    selected: Array


class Layout:
    """The table and places of a network for blocks of `rows` events.

    Examples
    --------
    >>> layout = Layout((3, 4, 1))
    >>> layout.table[:, :4].tolist(), layout.rows
    ([[3, 4, 0, 12], [4, 1, 16, 20]], 256)
    """

    def __init__(self, widths: Sequence[int]) -> None:
        largest = max(fan_in * fan_out for fan_in, fan_out in pairwise(widths))
        self.rows = min(max(_LARGEST_PRODUCT // largest // 32 * 32, _ROWS[0]), _ROWS[1])
        self._used = 0
        outputs, start = widths[-1], 0
        values = [self._take(width) for width in widths]
        signals = [self._take(max(widths[1:])) for _ in range(2)]
        table = []
        for layer, (k, n) in enumerate(pairwise(widths)):
            slopes = self._take(n)
            table.append(
                (k, n, start, start + k * n, values[layer], values[layer + 1], slopes,
                 signals[layer % 2])
            )  # fmt: skip
            start += (k + 1) * n
        self.table = np.array(table)
        self.size = start
        places = [self._take(width) for width in (1, 1, 3, outputs, outputs)]
        transposed = self._used + -(-self.size // 32) * 32
        self.places = np.array([*places, self._used, transposed])
        self.memory_size = transposed + self.size
        """Entries of `memory`, for one thread."""

    def _take(self, width: int) -> int:
        """Where `width` columns for a block of events begin, on a cache line."""
        start, self._used = self._used, self._used + -(-self.rows * width // 32) * 32
        return start


@helper
def matrix(memory, start, rows, columns):
    """A part of a flat array as ``(rows, columns)``."""
    return memory[start : start + rows * columns].reshape((rows, columns))
