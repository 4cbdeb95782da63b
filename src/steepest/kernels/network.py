"""Many mini-batch steps of a dense network in one compiled call.

One step on a batch of m events, taken in blocks of rows that stay in the processor's cache:

    forward    Zₗ = Aₗ₋₁ Wₗ + bₗ,  Aₗ = a(Zₗ)
    loss       J = 1/m Σ w ℓ + (λ/2) ‖W‖²;  D_L = w/m ∂ℓ/∂z
    backward   ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ,  ∂J/∂bₗ = 1ᵀ Dₗ,  Dₗ₋₁ = (Dₗ Wₗᵀ) ∘ a′(Zₗ₋₁)
    step       θ, slots ← rule(θ, ∇J, slots)

The NumPy twin is `steepest.kernels.dense` with `steepest.losses` and `steepest.kernels.rules`.
All working arrays lie in one array, `memory`, laid out by `Layout`: rows padded to whole vectors,
weights copied once a step into panels, as they are (forward) and transposed (backward), so that no
product needs a transposed copy of events. The slope a′ takes the place of Z.

Gradients are summed in the dtype of θ over at most `CHUNK` events, then in float64.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from steepest.kernels.compiled import entry, part, sums
from steepest.kernels.pointwise import activate, differentiate, narrowed, numbers
from steepest.kernels.steps import copy, record, square, update_part
from steepest.kernels.vector import PANEL_BYTES, product, view

__all__ = ["BLOCK", "CHUNK", "COLUMNS", "Layout", "accumulate", "forward", "pack", "take_steps"]

Array = np.ndarray
BLOCK = 64
"""Rows that go through the network together."""
CHUNK = 4096
"""Events over which a gradient is summed in the dtype of θ."""

_K, _N, _KP, _NP, _THETA, _PANELS, _BACK, _BIAS, _GRADIENT, _INPUT, _SUMS, _SIGNAL = range(12)
"""Columns of the table: fan in and out, both padded, and where each array of a layer begins."""
COLUMNS = {"n": _N, "padded_n": _NP, "sums": _SUMS, "input": _INPUT, "signal": _SIGNAL}
"""Those that other kernels need, by name."""


class Layout:
    """Where everything lies in `memory`, for a network's widths.

    Parameters
    ----------
    widths
        Numbers of features, hidden units and logits.
    dtype
        float32 or float64.
    """

    def __init__(self, widths: tuple[int, ...], dtype: Any) -> None:
        panel = PANEL_BYTES // np.dtype(dtype).itemsize
        self.dtype = np.dtype(dtype)
        self.table = np.zeros((len(widths) - 1, 12), dtype=np.int64)
        padded = [panel * -(-width // panel) for width in widths]
        single = widths[-1] == 1
        padded[-1] = 1 if single else padded[-1]
        self._end = max(padded)  # the zeros that sums start from
        theta = 0
        for row, (k, n), (kp, np_) in zip(
            self.table, pairwise(widths), pairwise(padded), strict=True
        ):
            row[:5] = k, n, kp, np_, theta
            theta += (k + 1) * n
            row[_PANELS], row[_BACK] = self._take(kp * np_), self._take(kp * np_)
            row[_BIAS] = self._take(np_)
            row[_GRADIENT] = self._take((kp + 1) * np_)
            row[_INPUT] = self._take(BLOCK * kp)
            row[_SUMS], row[_SIGNAL] = self._take(BLOCK * np_), self._take(BLOCK * np_)
        self.weights, self.values = self._take(BLOCK), self._take(BLOCK)
        self.places = np.array([self.weights, self.values], dtype=np.int64)

    def memory(self) -> Array:
        """The working arrays, all zero."""
        return np.zeros(self._end, dtype=self.dtype)

    def _take(self, size: int) -> int:
        start = self._end
        self._end += 16 * -(-size // 16) + 48  # no two arrays on the same lines of the cache
        return start


@part
def pack(theta, table, memory):
    """Copy weights into panels, for both directions, and biases."""
    panel = PANEL_BYTES // memory.itemsize
    for layer in range(len(table)):
        k, n, t = table[layer, _K], table[layer, _N], table[layer, _THETA]
        copy(memory, table[layer, _BIAS], theta, t + k * n, n)
        if table[layer, _NP] == 1:
            copy(memory, table[layer, _PANELS], theta, t, k)
            continue
        for j in range(0, n, panel):
            width, to = min(panel, n - j), table[layer, _PANELS] + j * k
            for p in range(k):
                copy(memory, to + p * panel, theta, t + p * n + j, width)
        if layer > 0:
            for j in range(0, k, panel):
                height, to = min(panel, k - j), table[layer, _BACK] + j * n
                for p in range(n):
                    for i in range(height):
                        memory[to + p * panel + i] = theta[t + (j + i) * n + p]


@part
def _gather(inputs, targets, weights, rows, first, count, table, places, memory, block_targets):
    """Copy a block's events; without `rows`, those that lie there."""
    k, stride, to = table[0, _K], table[0, _KP], table[0, _INPUT]
    for i in range(count):
        row = rows[first + i] if len(rows) else first + i
        target = view(memory, to + i * stride, k)
        for j in range(k):
            target[j] = inputs[row, j]
        block_targets[i] = targets[row]
        memory[places[0] + i] = weights[row] if len(weights) else memory.dtype.type(1.0)


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
    """Z and A of a block from layer `lowest` on, whose input is there."""
    last, rows, panel = len(table) - 1, 4 * -(-count // 4), PANEL_BYTES // memory.itemsize
    for layer in range(lowest, last + 1):
        k, kp, np_ = table[layer, _K], table[layer, _KP], table[layer, _NP]
        inputs, out, bias = table[layer, _INPUT], table[layer, _SUMS], table[layer, _BIAS]
        panels = table[layer, _PANELS]
        if np_ == 1:
            _single_logits(
                view(memory, inputs, count * kp), kp, view(memory, panels, kp),
                memory[bias], view(memory, out, count),
            )  # fmt: skip
            continue
        product(memory, rows, np_, k, inputs, kp, 1, panels, k, panel, out, np_, bias, 0)
        if layer < last:
            above = table[layer + 1, _INPUT]
            activate(activation, view(memory, out, count * np_), view(memory, above, count * np_))


@part
def _add_rows(factors, values, width, gradient):
    """Add dᵀ A, for one output."""
    for i in range(len(factors)):
        d, row = factors[i], view(values, i * width, width)
        for j in range(width):
            gradient[j] += d * row[j]


@part
def _outer(factors, weights, width, signal):
    """D = d wᵀ, for one output."""
    for i in range(len(factors)):
        d, row = factors[i], view(signal, i * width, width)
        for j in range(width):
            row[j] = d * weights[j]


@part
def _finish_signal(signal, slopes, width, scaled, biases):
    """D ← D ∘ a′ (where there is an activation), and add its sums over events to the biases'."""
    for i in range(len(signal) // width):
        row = view(signal, i * width, width)
        if scaled:
            slope = view(slopes, i * width, width)
            for j in range(width):
                row[j] *= slope[j]
        for j in range(width):
            biases[j] += row[j]


@part
def _backward(table, memory, count):
    """Add the block's gradients, from the signal of the last layer."""
    panel, rows, last = PANEL_BYTES // memory.itemsize, 4 * -(-count // 4), len(table) - 1
    for layer in range(last, -1, -1):
        k, n, kp, np_ = table[layer, _K], table[layer, _N], table[layer, _KP], table[layer, _NP]
        inputs, gradient = table[layer, _INPUT], table[layer, _GRADIENT]
        signal, slopes = table[layer, _SIGNAL], table[layer, _SUMS]
        _finish_signal(
            view(memory, signal, count * np_), view(memory, slopes, count * np_), np_,
            layer < last, view(memory, gradient + kp * np_, np_),
        )  # fmt: skip
        if np_ == 1:
            _add_rows(view(memory, signal, count), view(memory, inputs, count * kp), kp,
                      view(memory, gradient, kp))  # fmt: skip
        else:
            fan_in = 4 * -(-k // 4)
            product(memory, fan_in, np_, count, inputs, 1, kp, signal, 1, np_,
                    gradient, np_, gradient, np_)  # fmt: skip
        if layer == 0:
            break
        below = table[layer - 1, _SIGNAL]
        if np_ == 1:
            weights = view(memory, table[layer, _PANELS], kp)
            _outer(view(memory, signal, count), weights, kp, view(memory, below, count * kp))
        else:
            back = table[layer, _BACK]
            product(memory, rows, kp, n, signal, np_, 1, back, n, panel, below, kp, 0, 0)


@part
def _unpack(table, memory, gradient):
    """Add the gradients of all layers to a flat vector, and clear them."""
    for layer in range(len(table)):
        k, n, np_ = table[layer, _K], table[layer, _N], table[layer, _NP]
        start, to = table[layer, _GRADIENT], table[layer, _THETA]
        for p in range(k + 1):  # the biases' follow after the padded weights'
            row = start + (p if p < k else table[layer, _KP]) * np_
            target, source = view(gradient, to + p * n, n), view(memory, row, n)
            for j in range(n):
                target[j] += source[j]
        padded = view(memory, start, (table[layer, _KP] + 1) * np_)
        for i in range(len(padded)):
            padded[i] = 0


@part
def _add_chunk(activation, loss, table, places, memory, block_targets, inputs, targets, weights,
               rows, first, last, scale):  # fmt: skip
    """Add events first … last − 1 to the gradients in `memory`; return Σ w ℓ."""
    total, output = 0.0, len(table) - 1
    logits, signal = table[output, _SUMS], table[output, _SIGNAL]
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        size = count * table[output, _NP]
        _gather(inputs, targets, weights, rows, start, count, table, places, memory,
                block_targets)  # fmt: skip
        forward(activation, table, memory, count, 0)
        total += differentiate(
            loss, view(memory, logits, size), table[output, _N], view(block_targets, 0, count),
            view(memory, places[0], count), scale, view(memory, signal, size),
            view(memory, places[1], count),
        )  # fmt: skip
        _backward(table, memory, count)
    return total


@part
def _penalise(table, theta, l2, gradient):
    """Add λ W to the gradient; return (λ/2) ‖W‖²."""
    total, factor = 0.0, theta.dtype.type(l2)
    for layer in range(len(table)):
        start = table[layer, _THETA]
        size = table[layer, _K] * table[layer, _N]
        weights, target = view(theta, start, size), view(gradient, start, size)
        total += square(weights)
        for i in range(size):
            target[i] += factor * weights[i]
    return 0.5 * l2 * total


@part
def _update_layers(table, rule, of_weights, of_biases, theta, gradient, slots):
    for layer in range(len(table)):
        start, n = table[layer, _THETA], table[layer, _N]
        weights = table[layer, _K] * n
        update_part(rule, of_weights, theta, gradient, slots, start, weights)
        update_part(rule, of_biases, theta, gradient, slots, start + weights, n)


@entry
def accumulate(activation, loss, table, places, memory, block_targets, theta, inputs, targets,
               weights, scale, gradient):  # fmt: skip
    """Add a block of events, in their order, to a float64 gradient ``(size,)``; return Σ w ℓ."""
    pack(theta, table, memory)
    rows, total = np.empty(0, dtype=np.int64), 0.0
    for first in range(0, len(inputs), CHUNK):
        total += _add_chunk(activation, loss, table, places, memory, block_targets, inputs,
            targets, weights, rows, first, min(first + CHUNK, len(inputs)), scale)  # fmt: skip
        _unpack(table, memory, gradient)
    return total


@entry
def take_steps(activation, loss, rule, rule_of_biases, table, places, memory, block_targets,
               inputs, targets, weights, rows, batch_size, theta, slots, rates, first_step,
               recorded, values, followed, path, l2, limit, loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number.
    """
    events = len(rows) if len(rows) else len(inputs)
    gradient, sums_of_chunks = np.zeros_like(theta), np.zeros(len(theta), dtype=np.float64)
    before, row, point = np.empty_like(theta), 0, 0
    for index in range(len(rates)):
        first = (index * batch_size) % events  # each step may take all
        last = min(first + batch_size, events)
        scale = theta.dtype.type(1.0 / (last - first))
        pack(theta, table, memory)
        gradient[:] = 0
        value = 0.0
        for chunk in range(first, last, CHUNK):
            value += _add_chunk(activation, loss, table, places, memory, block_targets, inputs,
                targets, weights, rows, chunk, min(chunk + CHUNK, last), scale)  # fmt: skip
            if last - first > CHUNK:
                _unpack(table, memory, sums_of_chunks)
        if last - first > CHUNK:
            for i in range(len(theta)):
                gradient[i], sums_of_chunks[i] = sums_of_chunks[i], 0.0
        else:
            _unpack(table, memory, gradient)
        value /= last - first
        if l2 != 0.0:
            value += _penalise(table, theta, l2, gradient)
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        step = np.float64(first_step + index + 1)
        if recorded[index]:
            copy(before, 0, theta, 0, len(theta))
        zero = theta.dtype.type(0.0)
        of_weights = narrowed(numbers(rule, rates[index], step), zero)
        of_biases = narrowed(numbers(rule_of_biases, rates[index], step), zero)
        _update_layers(table, rule, of_weights, of_biases, theta, gradient, slots)
        if recorded[index]:
            record(values[row], value, rates[index], gradient, before, theta)
            row += 1
        if followed[index]:
            copy(path[point], 0, theta, 0, len(theta))
            point += 1
    return len(rates), loss_sum
