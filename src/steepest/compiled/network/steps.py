"""Many mini-batch steps of a dense network in one compiled call, by one thread or by several.

A batch is cut into parts by its size alone. A step of a `BarrierGroup` has two halves:

    gradient   each member takes parts of the batch: Σ w ℓ and Σ w ∂ℓ/∂θ of each
    update     each member takes shares of θ: ∇J = Σ of the parts, in their order, + λ W;
               θ, state ← rule(θ, ∇J, state)

and after either half all wait for each other. The shares are as many as the parts, so that the bits
depend on the number of parts, not on how many threads they were shared out to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from steepest.compiled.barrier import meet
from steepest.compiled.jit import helper, kernel
from steepest.compiled.network.layers import (
    backward,
    forward,
    gather,
    signal_of_block,
    transpose,
)
from steepest.compiled.network.layout import BIASES, SCRATCH, WEIGHTS, K, N
from steepest.compiled.updates import (
    CONSTANTS,
    copy,
    record,
    square,
    squared_distance,
    update,
    write_constants,
)

Array = np.ndarray

_LOSS, _PENALTY, _OF_THETA, _OF_GRADIENT, _OF_CHANGE = range(5)
"""What a part writes down: Σ w ℓ, (λ/2) ‖W‖², and the squares of θ, ∇J and Δθ."""
NUMBERS = 16
"""Numbers of a part: two cache lines, on which no other part writes."""


class Rule(NamedTuple):
    """An update rule: its code, and its options for weights and for biases."""

    code: int
    of_weights: Array
    of_biases: Array


class State(NamedTuple):
    """What a step changes: θ, and the two vectors of the optimiser, empty where it has none."""

    theta: Array
    first: Array
    second: Array


class Shared(NamedTuple):
    """What members write for each other: all but the last four entries are vectors like θ."""

    gradient: Array
    before: Array
    gradients: Array
    """``(parts, size)``."""
    numbers: Array
    """``(parts, NUMBERS)`` float64."""
    values: Array
    """Where the recorded loss, η, ‖g‖, ‖Δθ‖/‖θ‖ go, ``(rows, 4)``."""
    path: Array
    """Where θ goes on its path, ``(points, size)``."""


class Group(NamedTuple):
    """A member of a `BarrierGroup`: its number, how many there are, what they wait by."""

    member: int
    members: int
    words: Array
    calls: tuple


class Steps(NamedTuple):
    """Consecutive steps, as `steepest.objective.StepBlock` has them."""

    batch_size: int
    rates: Array
    first_step: int
    recorded: Array
    on_path: Array
    l2: float
    loss_limit: float
    loss_sum: float


@helper
def _gradient_of(network, theta, memory, events, first, last, scale, gradient):
    """Write `scale` Σ w ∂ℓ/∂θ over events first … last − 1 to `gradient`; return Σ w ℓ."""
    total = 0.0
    block = memory[network.places[SCRATCH] : network.places[SCRATCH] + len(gradient)]
    for start in range(first, last, network.rows):
        count = min(network.rows, last - start)
        gather(network, memory, events, start, count)
        forward(network, theta, memory, count)
        total += signal_of_block(network, memory, count, scale)
        if start == first:
            backward(network, theta, memory, count, gradient)
        else:
            backward(network, theta, memory, count, block)
            for i in range(len(gradient)):
                gradient[i] += block[i]
    if first == last:
        for i in range(len(gradient)):
            gradient[i] = 0.0
    return total


@helper
def _column(numbers, column):
    """The sum of one of the parts' numbers, in their order."""
    total = 0.0
    for part in range(len(numbers)):
        total += numbers[part, column]
    return total


@helper
def _update_range(rule, constants, l2, state, shared, part, start, stop, recorded):
    """Sum the parts' gradients, and take the step, on entries start … stop − 1."""
    theta, gradient = state.theta[start:stop], shared.gradient[start:stop]
    factor = type(theta[0])(l2)
    one = shared.gradients[0, start:stop]
    for i in range(len(theta)):
        gradient[i] = one[i] + factor * theta[i]
    for other in range(1, len(shared.gradients)):
        one = shared.gradients[other, start:stop]
        for i in range(len(theta)):
            gradient[i] += one[i]
    # A run on several ranks would sum `gradient` over them here; it takes the Python path instead.
    old = shared.before[start:stop]
    if recorded:
        copy(theta, len(theta), old)
    update(rule, constants, state.theta, shared.gradient, state.first, state.second, start, stop)
    if recorded:
        numbers = shared.numbers[part]
        numbers[_OF_THETA] += square(old)
        numbers[_OF_CHANGE] += squared_distance(theta, old)
        numbers[_OF_GRADIENT] += square(gradient)


@helper
def _update_share(network, rule, of_weights, of_biases, l2, state, shared, part, recorded):
    """Take the step on a part's share of each layer's weights and biases."""
    table, parts = network.table, len(shared.numbers)
    for number in range(_OF_THETA, _OF_CHANGE + 1):
        shared.numbers[part, number] = 0.0
    for layer in range(len(table)):
        k, n = table[layer, K], table[layer, N]
        for kind in range(2):  # the weights, then the biases
            rows, width = (k, n) if kind == 0 else (n, 1)
            start = table[layer, WEIGHTS] if kind == 0 else table[layer, BIASES]
            _update_range(
                rule.code, of_weights if kind == 0 else of_biases, l2 if kind == 0 else 0.0, state,
                shared, part, start + part * rows // parts * width,
                start + (part + 1) * rows // parts * width, recorded,
            )  # fmt: skip


@helper
def _penalty(network, theta, part, parts):
    """‖W‖² over a part's share of the weights."""
    table, total = network.table, 0.0
    for layer in range(len(table)):
        k, n, start = table[layer, K], table[layer, N], table[layer, WEIGHTS]
        first, end = part * k // parts, (part + 1) * k // parts
        total += square(theta[start + first * n : start + end * n])
    return total


@kernel
def run(network, rule, group, events, state, steps, shared, memory):
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number.
    """
    theta, numbers, parts = state.theta, shared.numbers, len(shared.numbers)
    total = len(events.selected) if len(events.selected) else len(events.targets)
    loss_sum, row, point = steps.loss_sum, 0, 0
    of_weights, of_biases = np.empty(CONSTANTS, theta.dtype), np.empty(CONSTANTS, theta.dtype)
    for index in range(len(steps.rates)):
        first = (index * steps.batch_size) % total  # each step may take all
        count = min(steps.batch_size, total - first)
        scale = type(theta[0])(1.0 / count)
        transpose(network, theta, memory)
        for part in range(group.member, parts, group.members):
            numbers[part, _LOSS] = _gradient_of(
                network, theta, memory, events, first + part * count // parts,
                first + (part + 1) * count // parts, scale, shared.gradients[part],
            )  # fmt: skip
            if steps.l2 != 0.0:
                numbers[part, _PENALTY] = 0.5 * steps.l2 * _penalty(network, theta, part, parts)
        if not meet(group.calls, group.words, group.members):
            return index, loss_sum
        loss = _column(numbers, _LOSS) / count + _column(numbers, _PENALTY)
        if not abs(loss) <= steps.loss_limit:
            return index, loss_sum
        loss_sum += loss
        step, recorded = np.float64(steps.first_step + index + 1), steps.recorded[index]
        write_constants(rule.code, rule.of_weights, steps.rates[index], step, of_weights)
        write_constants(rule.code, rule.of_biases, steps.rates[index], step, of_biases)
        for part in range(group.member, parts, group.members):
            _update_share(network, rule, of_weights, of_biases, steps.l2, state, shared, part,
                          recorded)  # fmt: skip
        if not meet(group.calls, group.words, group.members):
            return index, loss_sum
        if group.member == 0 and recorded:
            record(shared.values[row], loss, steps.rates[index], _column(numbers, _OF_GRADIENT),
                   _column(numbers, _OF_CHANGE), _column(numbers, _OF_THETA))  # fmt: skip
            row += 1
        if group.member == 0 and steps.on_path[index]:
            copy(theta, len(theta), shared.path[point])
            point += 1
    return len(steps.rates), loss_sum


@kernel
def write_gradient(network, theta, memory, events, scale, out):
    """Write `scale` Σ w ∂ℓ/∂θ of events to `out` ``(size,)``; return Σ w ℓ.

    Gradients are summed in the dtype of θ: call it for some thousand events at most.
    """
    transpose(network, theta, memory)
    return _gradient_of(network, theta, memory, events, 0, len(events.targets), scale, out)


@kernel
def losses(network, theta, memory, events):
    """Return Σ w ℓ of events, in their order, in float64."""
    total, last = 0.0, len(events.targets)
    for start in range(0, last, network.rows):
        count = min(network.rows, last - start)
        gather(network, memory, events, start, count)
        forward(network, theta, memory, count)
        total += signal_of_block(network, memory, count, type(theta[0])(1.0))
    return total
