"""A block of events through a dense network and back, in compiled code.

    forward    Zₗ = Aₗ₋₁ Wₗ + bₗ,  Aₗ = a(Zₗ)
    backward   ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ,  ∂J/∂bₗ = 1ᵀ Dₗ,  Dₗ₋₁ = (Dₗ Wₗᵀ) ∘ a′(Zₗ₋₁)

The NumPy twin is `steepest.kernels.dense`. All working arrays lie in one array, `memory`, see
`steepest.kernels.layout`: weights copied once a step into panels, as they are (forward) and
transposed (backward), so that no product needs a transposed copy of events. The slope a′ takes the
place of Z, and Dₗ that of Aₗ, once nothing needs that any more: what is used together fits the
first cache. For ReLU a′ is known by A, so that Z is not kept.
"""

from __future__ import annotations

from steepest.kernels.compiled import part, sums
from steepest.kernels.layout import (
    BACK,
    BIAS,
    GRADIENT,
    INPUT,
    KP,
    NP,
    ONE,
    PANELS,
    SAME_SETS,
    SIGNAL,
    SUMS,
    THETA,
    K,
    N,
)
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
from steepest.kernels.vector import VECTOR_BYTES, view

__all__ = ["backward", "clear", "forward", "pack_backward", "pack_forward"]


@part
def _columns(width, like):
    """A width in whole vectors."""
    lanes = VECTOR_BYTES // like.itemsize
    return lanes * -(-width // lanes)


@part
def _lies_ready(table, layer, like):
    """Whether W in θ is as good as panels: rows of whole vectors, not all on the same sets."""
    n = table[layer, N]
    return n == table[layer, NP] and n > 1 and n * like.itemsize < SAME_SETS


@part
def pack_backward(theta, table, memory):
    """Copy weights into panels for the backward pass."""
    for layer in range(1, len(table)):
        if table[layer, NP] > 1:
            k, n, t = table[layer, K], table[layer, N], table[layer, THETA]
            _pack_backward(theta, t, k, n, memory, table[layer, BACK])


@part
def pack_forward(theta, table, memory, whole):
    """Copy biases, and weights into panels for the forward pass: all, or those not ready in θ."""
    for layer in range(len(table)):
        k, n, t = table[layer, K], table[layer, N], table[layer, THETA]
        copy(memory, table[layer, BIAS], theta, t + k * n, n)
        if table[layer, NP] == 1:
            copy(memory, table[layer, PANELS], theta, t, k)
        elif whole or not _lies_ready(table, layer, memory):
            _pack_columns(theta, t, k, n, memory, table[layer, PANELS])


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
def forward(activation, table, memory, theta, count, lowest):
    """A of a block from layer `lowest` on, whose input is there, and Z of the last layer.

    And a′ in the place of Z, where A alone does not tell it. Weights are taken from `theta` where
    they lie ready there, and from the panels; without `theta` from these alone.
    """
    last, rows = len(table) - 1, 4 * -(-count // 4)
    for layer in range(lowest, last + 1):
        k, kp, np_ = table[layer, K], table[layer, KP], table[layer, NP]
        inputs, out, bias = table[layer, INPUT], table[layer, SUMS], table[layer, BIAS]
        panels, size, end = table[layer, PANELS], k * np_, PLAIN
        if np_ == 1:
            _single_logits(
                view(memory, inputs, count * kp), kp, view(memory, panels, kp),
                memory[bias], view(memory, out, count),
            )  # fmt: skip
            continue
        if layer < last and rectifies(activation):
            out, end = table[layer + 1, INPUT], RECTIFIED
        ready = len(theta) > 0 and _lies_ready(table, layer, memory)
        weights = view(theta, table[layer, THETA], size) if ready else view(memory, panels, size)
        product(memory, rows, _columns(table[layer, N], memory), k, inputs, kp, 1, weights, 0,
                1 if ready else k, np_, out, np_, bias, 0, end)  # fmt: skip
        if layer < last and not rectifies(activation):
            above = table[layer + 1, INPUT]
            activate(activation, view(memory, out, count * np_), view(memory, above, count * np_))


@part
def _multiply(signal, slopes):
    """D ← D ∘ a′."""
    for i in range(len(signal)):
        signal[i] *= slopes[i]


@part
def _add_biases(table, layer, memory, count, gradient, fresh):
    """Add the sums of D over events to the gradients of the biases."""
    n, np_, signal = table[layer, N], table[layer, NP], table[layer, SIGNAL]
    if np_ == 1:
        total = memory.dtype.type(0.0) if fresh else memory[gradient]
        for i in range(count):
            total += memory[signal + i]
        memory[gradient] = total
        return
    start = 0 if fresh else gradient
    product(memory, 1, _columns(n, memory), count, table[layer, ONE], 0, 0, memory, signal, 1, np_,
            gradient, 0, start, 0, PLAIN)  # fmt: skip


@part
def clear(table, memory, shift):
    """Set the gradients of a part of a batch to zero."""
    for layer in range(len(table)):
        size = (table[layer, KP] + 1) * table[layer, NP]
        values = view(memory, table[layer, GRADIENT] + shift, size)
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
        k, n, kp, np_ = table[layer, K], table[layer, N], table[layer, KP], table[layer, NP]
        inputs, gradient = table[layer, INPUT], table[layer, GRADIENT] + shift
        signal, size = table[layer, SIGNAL], count * np_
        if layer < last and not rectifies(activation):
            _multiply(view(memory, signal, size), view(memory, table[layer, SUMS], size))
        _add_biases(table, layer, memory, count, gradient + kp * np_, fresh)
        start, row = (0, 0) if fresh else (gradient, np_)
        rows, fan_in = 4 * -(-count // 4), _columns(k, memory)
        if np_ == 1:
            product(memory, 1, fan_in, count, signal, 0, 1, memory, inputs, 1, kp, gradient, 0,
                    start, 0, PLAIN)  # fmt: skip
        else:
            product(memory, 4 * -(-k // 4), _columns(n, memory), count, inputs, 1, kp, memory,
                    signal, 1, np_, gradient, np_, start, row, PLAIN)  # fmt: skip
        if layer == 0:
            break
        panels, panel = (table[layer, PANELS], 1) if np_ == 1 else (table[layer, BACK], n)
        below = table[layer - 1, SIGNAL]
        product(memory, rows, fan_in, n, signal, np_, 1, memory, panels, panel, 0, below, kp, 0, 0,
                end)  # fmt: skip
