"""Many steps of single events of a linear model with one output, in one compiled call.

    z = ⟨x, w⟩ + b;  J = v ℓ(z, y) + (λ/2) ‖w‖²;  ∇J = v ∂ℓ/∂z (x, 1) + λ (w, 0);  θ = (w, b)

with event weights v. Each step waits for the one before: for a product, a loss and an update of so
few numbers that the loops must consist of whole vectors. So they run over x̃ = (x, 1, 0, …), which
is read from the rows as they lie: the numbers behind x, which must be finite, are multiplied by
zero.

The NumPy twin is `steepest.descent.steps.one_by_one` on batches of one.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel, reduction
from steepest.compiled.linear.products import width_of
from steepest.compiled.pointwise import loss_and_slope
from steepest.compiled.rules import CODES, SGD
from steepest.compiled.updates import (
    CONSTANTS,
    copy,
    record,
    square,
    squared_distance,
    update,
    write_constants,
)

__all__ = ["run_single_steps"]

_SGD = CODES[SGD]


@reduction
def _dot(event, of_event, one, theta):
    total = theta.dtype.type(0.0)
    for j in range(len(theta)):
        total += (event[j] * of_event[j] + one[j]) * theta[j]
    return total


@helper
def _subtract(theta, factor, event, of_event, one):
    for j in range(len(theta)):
        theta[j] -= factor * (event[j] * of_event[j] + one[j])


@helper
def _write_gradient(gradient, factor, event, of_event, one, l2, theta):
    for j in range(len(theta)):
        gradient[j] = factor * (event[j] * of_event[j] + one[j]) + l2 * of_event[j] * theta[j]


@kernel
def run_single_steps(loss, rule, options, inputs, targets, weights, theta, first_state,
                     second_state, rates, first_step, recorded, values, on_path, path, l2, limit,
                     loss_sum):  # fmt: skip
    """Take a step on each event, as `steepest.compiled.linear.steps.run_steps` does on batches.

    The options for the weights serve for the bias too.
    """
    size, events, kind = len(theta), len(targets), theta.dtype.type
    n, width = size - 1, width_of(size, theta.itemsize)
    of_event, one = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    padded, before = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    gradient, spare = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    constants = np.empty(CONSTANTS, theta.dtype)
    of_event[:n], one[n] = 1.0, 1.0
    copy(theta, size, padded)
    first, second = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    copy(first_state, len(first_state), first)
    copy(second_state, len(second_state), second)
    row, point, taken = 0, 0, 0
    plain, weighted = rule == _SGD and l2 == 0.0, len(weights) > 0
    for index in range(len(rates)):
        place = index % events
        event = inputs[place * n :]
        if len(event) < width:
            copy(event, n, spare)
            event = spare
        weight = weights[place] if weighted else kind(1.0)
        each, slope = loss_and_slope(loss, _dot(event, of_event, one, padded), targets[place])
        slope *= weight
        value = np.float64(each * weight)
        if l2 != 0.0:
            value += 0.5 * l2 * square(padded[:n])
        if not abs(value) <= limit:
            break
        loss_sum += value
        if recorded[index]:
            copy(padded, width, before)
        if recorded[index] or not plain:
            _write_gradient(gradient, slope, event, of_event, one, kind(l2), padded)
        if plain:
            _subtract(padded, kind(rates[index]) * slope, event, of_event, one)
        else:
            step = np.float64(first_step + index + 1)
            write_constants(rule, options[0], rates[index], step, constants)
            update(rule, constants, padded, gradient, first, second, 0, width)
        if recorded[index]:
            record(values[row], value, rates[index], square(gradient),
                   squared_distance(padded, before), square(before))  # fmt: skip
            row += 1
        if on_path[index]:
            copy(padded, size, path[point])
            point += 1
        taken += 1
    copy(padded, size, theta)
    copy(first, len(first_state), first_state)
    copy(second, len(second_state), second_state)
    return taken, loss_sum
