"""Many steps of a linear model with one output in one compiled call, and its batch gradient.

    z = X w + b;  J = 1/m Σ v ℓ(z, y) + (λ/2) ‖w‖²;  d = v/m ∂ℓ/∂z
    ∂J/∂w = Xᵀ d + λ w,  ∂J/∂b = 1ᵀ d;  θ = (w, b)

with event weights v. The events go by in groups of as many as a vector has lanes, a few at a time,
so that X is read from memory once for both products. A block's sums are taken in the dtype of θ,
those over the blocks in float64. Steps of single events are in `steepest.kernels.single`.

The NumPy twin is `steepest.kernels.dense` without a hidden layer, with `steepest.losses` and
`steepest.compiled.rules`.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import entry, inlined, part, sums
from steepest.kernels.groups import add_group, dots_of_group, lanes_of, slopes_of_group
from steepest.kernels.pointwise import differentiate
from steepest.kernels.rows import add_products, dots
from steepest.kernels.steps import copy, record, square, update_part
from steepest.kernels.updates import narrowed, numbers
from steepest.kernels.vector import prefetch, view

__all__ = ["BLOCK", "accumulate", "gather", "run_steps"]

BLOCK, LONG_BLOCK = 256, 512
"""Rows whose sums are taken in the dtype of θ: by steps, and by gradients of many events."""
TOGETHER = 32
"""Rows that go through each step together: several groups, yet few, so that memory never waits."""
AHEAD = 12
"""Rows that are asked for before they are needed, so that the waits for memory overlap."""
BYTES_AHEAD = 32768
"""The same where rows lie one after the other: an eighth of it into the first cache."""


@sums
def _total(values):
    total = values.dtype.type(0.0)
    for i in range(len(values)):
        total += values[i]
    return total


@part
def _add_block(loss, rows, start, count, n, targets, weights, at, theta, scale, memory,
               sums, gradient, block, ahead):  # fmt: skip
    """Add a block's gradient to a float64 one ``(n + 1,)``; return Σ v ℓ.

    The memory is for `block` rows. What lies `ahead` numbers behind the rows is asked for.
    """
    lanes, half, near = lanes_of(rows), n * lanes_of(rows) // 2, ahead // 8
    ones, width = view(memory, block, block), len(memory) - 2 * block - lanes
    products = view(memory, 2 * block, width)
    upstream = view(memory, 2 * block + width, lanes)
    targets = view(targets, at, count)
    weights = view(weights, at, count) if len(weights) > 0 else view(ones, 0, count)
    for j in range(len(products)):
        products[j] = 0.0
    for j in range(lanes):
        upstream[j], sums[j] = 0.0, 0.0
    whole = count - count % lanes
    for first in range(0, whole, TOGETHER):
        last = min(first + TOGETHER, whole)
        for i in range(first, last, lanes):
            place = start + i * n
            dots_of_group(rows, place, n, place + near, place + ahead, theta, memory, i)
        for i in range(first, last, lanes):
            slopes_of_group(loss, memory, targets, weights, scale, i, upstream, sums)
        for i in range(first, last, lanes):
            place = start + i * n
            add_group(rows, place, n, place + near + half, place + ahead + half, memory, i,
                      products)  # fmt: skip
    total, bias = _total(sums), _total(upstream)
    if 2 * n <= lanes:
        for j in range(n):
            products[j] += products[lanes // 2 + j]
    if whole < count:
        left = count - whole
        z, d, values = view(memory, 0, left), view(memory, left, left), view(memory, 2 * left, left)
        dots(rows, start + whole * n, left, n, theta, theta[n], z)
        total += differentiate(loss, z, 1, view(targets, whole, left), view(weights, whole, left),
                               scale, d, values)  # fmt: skip
        add_products(rows, start + whole * n, left, n, d, products)
        bias += _total(d)
    for j in range(n):
        gradient[j] += products[j]
    gradient[n] += bias
    return total


@part
def _room(theta, block):
    """Numbers of a block's memory: logits, ones, then Xᵀ d and d, both in whole vectors."""
    lanes = lanes_of(theta)
    return 2 * block + (len(theta) + lanes - 1) // lanes * lanes + lanes


@part
def _with_ones(memory, block):
    """Write the weights of events without weights."""
    for i in range(block, 2 * block):
        memory[i] = 1.0


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
    memory, sums = np.zeros(_room(theta, LONG_BLOCK), dtype=theta.dtype), np.zeros(lanes_of(theta))
    n, total = len(theta) - 1, 0.0
    _with_ones(memory, LONG_BLOCK)
    for first in range(0, len(targets), LONG_BLOCK):
        count = min(LONG_BLOCK, len(targets) - first)
        total += _add_block(loss, inputs, first * n, count, n, targets, weights, first, theta,
                            scale, memory, sums, gradient, LONG_BLOCK,
                            BYTES_AHEAD // inputs.itemsize)  # fmt: skip
    return total


@part
def _penalise(theta, n, l2, gradient):
    """Add λ w to the gradient; return (λ/2) ‖w‖²."""
    factor = theta.dtype.type(l2)
    for j in range(n):
        gradient[j] += factor * theta[j]
    return 0.5 * l2 * square(view(theta, 0, n))


@entry
def run_steps(loss, rule, rule_of_bias, inputs, targets, weights, rows, batch_size, theta, slots,
               rates, first_step, recorded, values, followed, path, l2, limit,
               loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number.
    """
    n, events = len(theta) - 1, len(rows) if len(rows) else len(targets)
    memory, sums = np.zeros(_room(theta, BLOCK), dtype=theta.dtype), np.zeros(lanes_of(theta))
    gradient, before = np.zeros_like(theta), np.empty_like(theta)
    total, row, point = np.zeros(n + 1), 0, 0
    block = np.empty(BLOCK * n if len(rows) else 0, dtype=theta.dtype)
    of_targets = np.empty(BLOCK, dtype=targets.dtype)
    of_weights = np.empty(BLOCK if len(weights) else 0, dtype=theta.dtype)
    _with_ones(memory, BLOCK)
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
                                    scale, memory, sums, total, BLOCK, 0)  # fmt: skip
            else:
                value += _add_block(loss, inputs, start * n, count, n, targets, weights, start,
                                    theta, scale, memory, sums, total, BLOCK,
                                    BYTES_AHEAD // inputs.itemsize)  # fmt: skip
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
