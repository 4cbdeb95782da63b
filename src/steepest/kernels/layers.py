"""A block of events through a dense network and back, in compiled code.

    forward    Zₗ = Aₗ₋₁ Wₗ + bₗ,  Aₗ = a(Zₗ)
    backward   ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ,  ∂J/∂bₗ = 1ᵀ Dₗ,  Dₗ₋₁ = (Dₗ Wₗᵀ) ∘ a′(Zₗ₋₁)

The NumPy twin is `steepest.kernels.dense`. All working arrays lie in one array, `memory`, laid out
by `Layout`: weights copied once a step into panels, as they are (forward) and transposed
(backward), so that no product needs a transposed copy of events. The slope a′ takes the place of Z,
and Dₗ that of Aₗ, once nothing needs that any more: what is used together fits the first cache. For
ReLU a′ is known by A, so that Z is not kept.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from steepest.kernels.compiled import part, sums
from steepest.kernels.pointwise import activate, rectifies
from steepest.kernels.product import (
    KEPT,
    PANEL,
    PLAIN,
    RECTIFIED,
    copy_vectors,
    product,
    transpose_square,
)
from steepest.kernels.steps import copy
from steepest.kernels.vector import VECTOR_BYTES, aligned, view

__all__ = [
    "BLOCK",
    "COLUMNS",
    "Layout",
    "add_gradient",
    "backward",
    "clear",
    "forward",
    "join_gradients",
    "pack",
    "pack_forward",
]

Array = np.ndarray
BLOCK = 64
"""Rows that go through the network together."""
_SAME_SETS = 512
"""Rows of so many bytes (or twice, …) share a few sets of the cache: they are set apart."""

_K, _N, _KP, _NP, _THETA, _PANELS, _BACK, _BIAS, _GRADIENT, _INPUT, _SUMS, _SIGNAL, _ONE = range(13)
"""Columns of the table: fan in and out, the lengths of the rows that hold them, where each array of
a layer begins, and where a one is."""
COLUMNS = {
    "k": _K, "n": _N, "padded_k": _KP, "padded_n": _NP, "theta": _THETA, "panels": _PANELS,
    "bias": _BIAS, "input": _INPUT, "sums": _SUMS, "signal": _SIGNAL,
}  # fmt: skip
"""Those that other kernels need, by name."""


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
            row[_PANELS] = self._take(max(k, kp) * np_)
            row[_BACK] = self._take(max(n, np_) * kp)
            row[_BIAS] = self._take(np_)
            row[_INPUT] = self._take(BLOCK * kp)
            row[_SUMS], row[_ONE] = self._take(BLOCK * np_), self._one
        self.table[:-1, _SIGNAL] = self.table[1:, _INPUT]
        self.table[-1, _SIGNAL] = self._take(BLOCK * rows[-1])
        self.weights, self.values = self._take(BLOCK), self._take(BLOCK)
        self.places = np.array([self.weights, self.values], dtype=np.int64)
        self._own = self._end
        for row in self.table:
            row[_GRADIENT] = self._take((row[_KP] + 1) * row[_NP])
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
            [(row[_PANELS], max(row[_K], row[_KP]) * row[_NP]), (row[_BIAS], row[_NP])]
            for row in self.table.tolist()
        ]

    def table_of(self, member: int, members: int) -> tuple[Array, Array]:
        """The table and places of one member of a team."""
        own = self._own - self._zeros
        table, places = (aligned(a.shape, a.dtype) for a in (self.table, self.places))
        table[...], places[...] = self.table, self.places + member * own
        table[:, [_PANELS, _BACK, _BIAS, _INPUT, _SUMS, _SIGNAL]] += member * own
        table[:, _GRADIENT] += (members - 1) * own
        return table, places

    def _take(self, size: int) -> int:
        start = self._end
        self._end += 16 * -(-size // 16) + 48  # no two arrays on the same lines of the cache
        return start


def _row(width: int, lanes: int, itemsize: int) -> int:
    """The length of a row: whole vectors, and no two rows nearby on the same sets of the cache."""
    length = lanes * -(-width // lanes)
    return length + lanes if length * itemsize % _SAME_SETS == 0 else length


@part
def _columns(width, like):
    """A width in whole vectors."""
    lanes = VECTOR_BYTES // like.itemsize
    return lanes * -(-width // lanes)


@part
def pack(theta, table, memory):
    """Copy weights into panels, for both directions, and biases."""
    pack_forward(theta, table, memory)
    for layer in range(1, len(table)):
        if table[layer, _NP] > 1:
            k, n, t = table[layer, _K], table[layer, _N], table[layer, _THETA]
            _pack_backward(theta, t, k, n, memory, table[layer, _BACK])


@part
def pack_forward(theta, table, memory):
    """Copy weights into panels for the forward pass alone, and biases."""
    for layer in range(len(table)):
        k, n, t = table[layer, _K], table[layer, _N], table[layer, _THETA]
        copy(memory, table[layer, _BIAS], theta, t + k * n, n)
        if table[layer, _NP] == 1:
            copy(memory, table[layer, _PANELS], theta, t, k)
        else:
            _pack_columns(theta, t, k, n, memory, table[layer, _PANELS])


@part
def _pack_columns(theta, t, k, n, memory, panels):
    """Panels of W's columns."""
    lanes = VECTOR_BYTES // memory.itemsize
    for j in range(0, n, PANEL * lanes):
        vectors = min(PANEL, -(-(n - j) // lanes))
        width, to = vectors * lanes, panels + j * k
        whole = vectors if j + width <= n else vectors - 1
        for p in range(k):
            row, place = to + p * width, t + p * n + j
            copy_vectors(memory, row, theta, place, whole)
            if whole < vectors:
                copy(memory, row + whole * lanes, theta, place + whole * lanes,
                     n - j - whole * lanes)  # fmt: skip


@part
def _pack_backward(theta, t, k, n, memory, panels):
    """Panels of W's rows, which are the columns of its transpose."""
    lanes = VECTOR_BYTES // memory.itemsize
    squares = n - n % lanes
    for j in range(0, k, PANEL * lanes):
        vectors = min(PANEL, -(-(k - j) // lanes))
        width, to = vectors * lanes, panels + j * n
        for v in range(vectors):
            i = j + v * lanes
            height, done = min(lanes, k - i), 0
            if height == lanes:
                for p in range(0, squares, lanes):
                    transpose_square(memory, to + p * width + v * lanes, width, theta,
                                     t + i * n + p, n)  # fmt: skip
                done = squares
            for p in range(done, n):
                for q in range(height):
                    memory[to + p * width + v * lanes + q] = theta[t + (i + q) * n + p]


@sums
def _single_logits(values, width, weights, bias, logits):
    """Z = A w + b, for one output."""
    for i in range(len(logits)):
        total = bias
        row = view(values, i * width, width)
        for j in range(width):
            total += row[j] * weights[j]
        logits[i] = total


@part
def forward(activation, table, memory, count, lowest):
    """A of a block from layer `lowest` on, whose input is there, and Z of the last layer.

    And a′ in the place of Z, where A alone does not tell it.
    """
    last, rows = len(table) - 1, 4 * -(-count // 4)
    for layer in range(lowest, last + 1):
        k, kp, np_ = table[layer, _K], table[layer, _KP], table[layer, _NP]
        inputs, out, bias = table[layer, _INPUT], table[layer, _SUMS], table[layer, _BIAS]
        panels, end = table[layer, _PANELS], PLAIN
        if np_ == 1:
            _single_logits(
                view(memory, inputs, count * kp), kp, view(memory, panels, kp),
                memory[bias], view(memory, out, count),
            )  # fmt: skip
            continue
        if layer < last and rectifies(activation):
            out, end = table[layer + 1, _INPUT], RECTIFIED
        product(memory, rows, _columns(table[layer, _N], memory), k, inputs, kp, 1, panels, k, 0,
                out, np_, bias, 0, end)  # fmt: skip
        if layer < last and not rectifies(activation):
            above = table[layer + 1, _INPUT]
            activate(activation, view(memory, out, count * np_), view(memory, above, count * np_))


@part
def _multiply(signal, slopes):
    """D ← D ∘ a′."""
    for i in range(len(signal)):
        signal[i] *= slopes[i]


@part
def _add_biases(table, layer, memory, count, gradient, fresh):
    """Add the sums of D over events to the gradients of the biases."""
    n, np_, signal = table[layer, _N], table[layer, _NP], table[layer, _SIGNAL]
    if np_ == 1:
        total = memory.dtype.type(0.0) if fresh else memory[gradient]
        for i in range(count):
            total += memory[signal + i]
        memory[gradient] = total
        return
    start = 0 if fresh else gradient
    product(memory, 1, _columns(n, memory), count, table[layer, _ONE], 0, 0, signal, 1, np_,
            gradient, 0, start, 0, PLAIN)  # fmt: skip


@part
def clear(table, memory, shift):
    """Set the gradients of a part of a batch to zero."""
    for layer in range(len(table)):
        size = (table[layer, _KP] + 1) * table[layer, _NP]
        values = view(memory, table[layer, _GRADIENT] + shift, size)
        for i in range(size):
            values[i] = 0


@part
def backward(activation, table, memory, count, shift, fresh):
    """Add the block's gradients, from the signal of the last layer, to those of a part.

    A `fresh` part has none yet: what lies there is written over.
    """
    last = len(table) - 1
    end = KEPT if rectifies(activation) else PLAIN
    for layer in range(last, -1, -1):
        k, n, kp, np_ = table[layer, _K], table[layer, _N], table[layer, _KP], table[layer, _NP]
        inputs, gradient = table[layer, _INPUT], table[layer, _GRADIENT] + shift
        signal, size = table[layer, _SIGNAL], count * np_
        if layer < last and not rectifies(activation):
            _multiply(view(memory, signal, size), view(memory, table[layer, _SUMS], size))
        _add_biases(table, layer, memory, count, gradient + kp * np_, fresh)
        start, row = (0, 0) if fresh else (gradient, np_)
        rows, fan_in = 4 * -(-count // 4), _columns(k, memory)
        if np_ == 1:
            product(memory, 1, fan_in, count, signal, 0, 1, inputs, 1, kp, gradient, 0, start, 0,
                    PLAIN)  # fmt: skip
        else:
            product(memory, 4 * -(-k // 4), _columns(n, memory), count, inputs, 1, kp, signal, 1,
                    np_, gradient, np_, start, row, PLAIN)  # fmt: skip
        if layer == 0:
            break
        panels, panel = (table[layer, _PANELS], 1) if np_ == 1 else (table[layer, _BACK], n)
        below = table[layer - 1, _SIGNAL]
        product(memory, rows, fan_in, n, signal, np_, 1, panels, panel, 0, below, kp, 0, 0,
                end)  # fmt: skip


@part
def _join(memory, first, parts, distance, target):
    """The sum of as many vectors, `distance` apart, in their order."""
    one = view(memory, first, len(target))
    if parts == 1:
        for j in range(len(target)):
            target[j] = one[j]
        return
    two = view(memory, first + distance, len(target))
    for j in range(len(target)):
        target[j] = one[j] + two[j]
    for number in range(2, parts):
        other = view(memory, first + number * distance, len(target))
        for j in range(len(target)):
            target[j] += other[j]


@part
def join_gradients(table, memory, parts, distance, first, last, gradient):
    """Write the sum of the parts' gradients to the entries first … last − 1 of a flat vector."""
    for layer in range(len(table)):
        k, n, np_ = table[layer, _K], table[layer, _N], table[layer, _NP]
        start, to = table[layer, _GRADIENT], table[layer, _THETA]
        rows, width = (1, k * n) if n == np_ else (k, n)  # weights without gaps are one row
        for p in range(max(0, (first - to) // width), rows + 1):  # the biases' come last
            row, size = (p, width) if p < rows else (table[layer, _KP], n)
            begin, end = max(first, to + p * width), min(last, to + p * width + size)
            if begin < end:
                _join(memory, start + row * np_ + begin - (to + p * width), parts, distance,
                      view(gradient, begin, end - begin))  # fmt: skip


@part
def add_gradient(table, memory, shift, first, last, gradient):
    """Add a part's gradients to the entries first … last − 1 of a flat vector."""
    for layer in range(len(table)):
        k, n, np_ = table[layer, _K], table[layer, _N], table[layer, _NP]
        start, to = table[layer, _GRADIENT] + shift, table[layer, _THETA]
        for p in range(max(0, (first - to) // n), min(k + 1, -(-(last - to) // n))):
            begin, end = max(first, to + p * n), min(last, to + (p + 1) * n)
            row = start + (p if p < k else table[layer, _KP]) * np_  # the biases' come last
            target = view(gradient, begin, end - begin)
            source = view(memory, row + begin - (to + p * n), end - begin)
            for j in range(end - begin):
                target[j] += source[j]
