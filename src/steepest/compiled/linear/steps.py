"""Many steps of a linear model with one output in one compiled call, on batches of events.

    θ ← θ − η ∇J(θ) or another rule of `steepest.compiled.rules`;  J = 1/m Σ v ℓ + (λ/2) ‖w‖²

The NumPy twin is the loop of `steepest.descent.steps.one_by_one` over `DenseObjective`.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import kernel
from steepest.compiled.linear.gradient import add_batch, new_buffers
from steepest.compiled.updates import (
    CONSTANTS,
    copy,
    record,
    square,
    squared_distance,
    update,
    write_constants,
)

__all__ = ["run_steps"]


@kernel
def run_steps(loss, rule, options, inputs, targets, weights, batch_size, theta, first_state,
              second_state, rates, first_step, recorded, values, on_path, path, l2, limit,
              loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number. The
    steps take the events in their order, `batch_size` each, and after the last the first again.
    Numbers and shapes are those of `steepest.compiled.linear.gradient.add_gradient` and
    `steepest.compiled.updates`, with options for the weights and for the bias. Of `values` there
    is a row for each step that is recorded, of `path` one for each step that is on it.
    """
    n, events, kind = len(theta) - 1, len(targets), theta.dtype.type
    buffers, total = new_buffers(theta), np.zeros(n + 1)
    gradient, before = np.zeros_like(theta), np.empty_like(theta)
    constants = np.empty(CONSTANTS, theta.dtype)
    row, point, last = 0, 0, 0
    for index in range(len(rates)):
        first = last % events
        last = min(first + batch_size, events)
        scale = kind(1.0 / (last - first))
        value = add_batch(loss, theta, inputs[first * n :], targets[first:last],
                          weights[first:last], scale, total, buffers)  # fmt: skip
        for j in range(n + 1):
            gradient[j], total[j] = kind(total[j]), 0.0
        value /= last - first
        if l2 != 0.0:
            for j in range(n):
                gradient[j] += kind(l2) * theta[j]
            value += 0.5 * l2 * square(theta[:n])
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        if recorded[index]:
            copy(theta, n + 1, before)
        for part in range(2):  # the weights, and the bias
            step = np.float64(first_step + index + 1)
            write_constants(rule, options[part], rates[index], step, constants)
            update(rule, constants, theta, gradient, first_state, second_state, part * n, n + part)
        if recorded[index]:
            record(values[row], value, rates[index], square(gradient),
                   squared_distance(theta, before), square(before))  # fmt: skip
            row += 1
        if on_path[index]:
            copy(theta, n + 1, path[point])
            point += 1
    return len(rates), loss_sum
