"""Many steps of a linear model with one output in one compiled call, and its batch gradient.

    z = X w + b;  J = 1/m Σ v ℓ(z, y) + (λ/2) ‖w‖²;  d = v/m ∂ℓ/∂z
    ∂J/∂w = Xᵀ d + λ w,  ∂J/∂b = 1ᵀ d;  θ = (w, b)

with event weights v. The events go by in blocks of rows that stay in the processor's cache, so
that X is read from memory once for both products. A block's sums are taken in the dtype of θ,
those over the blocks in float64. Steps of single events are in `steepest.kernels.single`.

The NumPy twin is `steepest.kernels.dense` without a hidden layer, with `steepest.losses` and
`steepest.kernels.rules`.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import entry, inlined, part, sums
from steepest.kernels.groups import add_group, lanes_of
from steepest.kernels.pointwise import differentiate, narrowed, numbers
from steepest.kernels.rows import add_products, dots
from steepest.kernels.steps import copy, record, square, update_part
from steepest.kernels.vector import prefetch, view

__all__ = ["BLOCK", "accumulate", "gather", "take_steps"]

BLOCK = 256
"""Rows that are worked on together."""
AHEAD_BYTES = 16384
AHEAD = 12
"""Rows that are asked for before they are needed, so that the waits for memory overlap."""


@sums
def _total(values):
    total = values.dtype.type(0.0)
    for i in range(len(values)):
        total += values[i]
    return total


@part
def _add_block(loss, rows, start, count, n, targets, weights, at, theta, scale, memory, sums,
               gradient, ahead):  # fmt: skip
    """Add a block's gradient ``(n + 1,)``; return Σ v ℓ. `ahead` of what is read more is asked for.

    `memory` has room for four blocks, `sums` for a float64 number a lane.
    """
    lanes = lanes_of(rows)
    whole, more = count - count % lanes, len(weights) > 0
    ones, memory_of_d = view(memory, 3 * BLOCK, BLOCK), view(memory, BLOCK, 2 * lanes)
    of_weights = view(weights, at, count) if more else ones
    of_targets = view(targets, at, count)
    for j in range(lanes):
        memory_of_d[lanes + j] = 0.0
        sums[j] = 0.0
    for i in range(0, whole, lanes):
        add_group(loss, rows, start + i * n, n, theta, of_targets, i, of_weights, i, scale,
                  gradient, memory_of_d, sums, start + i * n + ahead)  # fmt: skip
    gradient[n] += _total(view(memory_of_d, lanes, lanes))
    total = _total(view(sums, 0, lanes))
    if whole < count:
        total += _add_rest(loss, rows, start + whole * n, count - whole, n,
                           view(of_targets, whole, count - whole),
                           view(of_weights, whole, count - whole), theta, scale, memory, gradient)  # fmt: skip
    return total


@part
def _add_rest(loss, rows, start, count, n, targets, weights, theta, scale, memory, gradient):
    """The same for events that are fewer than a vector has lanes."""
    z, d, values = (view(memory, 0, count), view(memory, BLOCK, count),
                    view(memory, 2 * BLOCK, count))  # fmt: skip
    dots(rows, start, count, n, theta, theta[n], z)
    total = differentiate(loss, z, 1, targets, weights, scale, d, values)
    add_products(rows, start, count, n, d, gradient)
    gradient[n] += _total(d)
    return total


@part
def _workspace(like):
    """Logits, upstream, losses, and ones for events without weights."""
    memory = np.zeros(4 * BLOCK, dtype=like.dtype)
    for i in range(3 * BLOCK, 4 * BLOCK):
        memory[i] = 1.0
    return memory


@inlined
def gather(inputs, targets, weights, rows, first, count, n, width, block, of_targets, of_weights):
    """Copy the rows' events side by side; ask for those `AHEAD` meanwhile."""
    line = 64 // inputs.itemsize
    lines = n // line + 1
    for i in range(count):
        if first + i + AHEAD < len(rows):
            later = rows[first + i + AHEAD]
            for j in range(lines):
                prefetch(inputs, later * n + j * line)
            prefetch(targets, later)
        row = rows[first + i]
        copy(block, i * width, inputs, row * n, n)
        of_targets[i] = targets[row]
        if len(weights):
            of_weights[i] = weights[row]


@entry
def accumulate(loss, theta, inputs, targets, weights, scale, gradient):
    """Add a block of events, in their order, to a float64 gradient ``(n + 1,)``; return Σ v ℓ.

    `inputs` is flat; `scale` is 1/m.
    """
    memory, part_of_sum, n, total = _workspace(theta), np.zeros_like(theta), len(theta) - 1, 0.0
    sums = np.zeros(lanes_of(theta))
    for first in range(0, len(targets), BLOCK):
        count = min(BLOCK, len(targets) - first)
        total += _add_block(loss, inputs, first * n, count, n, targets, weights, first, theta,
                            scale, memory, sums, part_of_sum, AHEAD_BYTES // inputs.itemsize)  # fmt: skip
        for j in range(n + 1):
            gradient[j] += part_of_sum[j]
            part_of_sum[j] = 0.0
    return total


@part
def _penalise(theta, n, l2, gradient):
    """Add λ w to the gradient; return (λ/2) ‖w‖²."""
    factor = theta.dtype.type(l2)
    for j in range(n):
        gradient[j] += factor * theta[j]
    return 0.5 * l2 * square(view(theta, 0, n))


@entry
def take_steps(loss, rule, rule_of_bias, inputs, targets, weights, rows, batch_size, theta, slots,
               rates, first_step, recorded, values, followed, path, l2, limit,
               loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number.
    """
    n, events = len(theta) - 1, len(rows) if len(rows) else len(targets)
    memory, gradient, before = _workspace(theta), np.zeros_like(theta), np.empty_like(theta)
    part_of_sum, total, row, point = np.zeros_like(theta), np.zeros(n + 1), 0, 0
    sums = np.zeros(lanes_of(theta))
    block = np.empty(BLOCK * n if len(rows) else 0, dtype=theta.dtype)
    of_targets = np.empty(BLOCK, dtype=targets.dtype)
    of_weights = np.empty(BLOCK if len(weights) else 0, dtype=theta.dtype)
    for index in range(len(rates)):
        first = (index * batch_size) % events  # each step may take all
        last = min(first + batch_size, events)
        scale, value = theta.dtype.type(1.0 / (last - first)), 0.0
        for start in range(first, last, BLOCK):
            count = min(BLOCK, last - start)
            if len(rows):
                gather(inputs, targets, weights, rows, start, count, n, n, block, of_targets,
                       of_weights)  # fmt: skip
                value += _add_block(loss, block, 0, count, n, of_targets, of_weights, 0, theta,
                                    scale, memory, sums, part_of_sum, 0)  # fmt: skip
            else:
                value += _add_block(loss, inputs, start * n, count, n, targets, weights, start,
                                    theta, scale, memory, sums, part_of_sum,
                                    AHEAD_BYTES // inputs.itemsize)  # fmt: skip
            for j in range(n + 1):
                total[j] += part_of_sum[j]
                part_of_sum[j] = 0.0
        for j in range(n + 1):
            gradient[j], total[j] = total[j], 0.0
        value /= last - first
        if l2 != 0.0:
            value += _penalise(theta, n, l2, gradient)
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        if recorded[index]:
            copy(before, 0, theta, 0, n + 1)
        step, zero = np.float64(first_step + index + 1), theta.dtype.type(0.0)
        of_weight = narrowed(numbers(rule, rates[index], step), zero)
        of_bias = narrowed(numbers(rule_of_bias, rates[index], step), zero)
        update_part(rule, of_weight, theta, gradient, slots, 0, n)
        update_part(rule, of_bias, theta, gradient, slots, n, 1)
        if recorded[index]:
            record(values[row], value, rates[index], gradient, before, theta)
            row += 1
        if followed[index]:
            copy(path[point], 0, theta, 0, len(theta))
            point += 1
    return len(rates), loss_sum
