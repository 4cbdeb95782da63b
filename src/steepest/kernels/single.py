"""Many steps of single events of a linear model with one output, in one compiled call.

    z = ⟨x, w⟩ + b;  J = v ℓ(z, y) + (λ/2) ‖w‖²;  ∇J = v ∂ℓ/∂z (x, 1) + λ (w, 0);  θ = (w, b)

with event weights v. Each event is copied beside a last input of one, so that b is one more weight,
and asked for before it is needed, so that the waits for memory overlap.

`take_single_steps` takes them one after the other, by any rule. `take_plain_steps` is for θ ← θ − η
∇J without λ: it takes the steps of `steepest.kernels.lanes` together. Which these are is counted
from the first step of all, so that the bits do not depend on how many steps a call takes as long as
it begins and ends between them.

The NumPy twin is `steepest.kernels.dense` without a hidden layer, on batches of one.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels import lanes
from steepest.kernels.compiled import entry, inlined, part
from steepest.kernels.linear import BLOCK, gather
from steepest.kernels.pointwise import loss_and_slope
from steepest.kernels.rows import dot
from steepest.kernels.steps import copy, record, square
from steepest.kernels.updates import narrowed, numbers, update
from steepest.kernels.vector import view

__all__ = ["take_plain_steps", "take_single_steps"]


@inlined
def _add_penalty(gradient, theta, l2):
    for j in range(len(gradient)):
        gradient[j] += l2[j] * theta[j]


@inlined
def _scaled(factor, event, gradient):
    for j in range(len(gradient)):
        gradient[j] = factor * event[j]


@entry
def take_single_steps(loss, rule, n, inputs, targets, weights, rows, theta, slots, rates,
                      first_step, recorded, values, followed, path, l2, limit,
                      loss_sum):  # fmt: skip
    """Take a step on each single event, as `run_steps` does.

    θ and the slots are padded to whole vectors with zeros; `l2` has λ for each entry of θ, zero
    for the bias and what follows.
    """
    width, row, point, penalised = len(theta), 0, 0, l2[0] != 0.0
    block, gradient = np.zeros(BLOCK * width, dtype=theta.dtype), np.empty_like(theta)
    of_targets, before = np.empty(BLOCK, dtype=targets.dtype), np.empty_like(theta)
    of_weights, zero = np.ones(BLOCK, dtype=theta.dtype), theta.dtype.type(0.0)
    for i in range(BLOCK):
        block[i * width + n] = 1.0
    for index in range(len(rates)):
        place = index % BLOCK
        if place == 0:
            count = min(BLOCK, len(rates) - index)
            gather(inputs, targets, weights, rows, index, count, n, width, block, of_targets,
                   of_weights)  # fmt: skip
        event, weight = view(block, place * width, width), of_weights[place]
        each, slope = loss_and_slope(loss, dot(theta, event), of_targets[place])
        value = np.float64(each) * np.float64(weight)
        if penalised:
            value += 0.5 * np.float64(l2[0]) * square(view(theta, 0, n))
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        _scaled(slope * weight, event, gradient)
        if penalised:
            _add_penalty(gradient, theta, l2)
        if recorded[index]:
            copy(before, 0, theta, 0, width)
        step = np.float64(first_step + index + 1)
        update(rule, narrowed(numbers(rule, rates[index], step), zero), theta, gradient, slots)
        if recorded[index]:
            record(values[row], value, rates[index], gradient, before, theta)
            row += 1
        if followed[index]:
            copy(path[point], 0, theta, 0, len(theta))
            point += 1
    return len(rates), loss_sum


@part
def _none_marked(recorded, followed, first, count):
    marked = False
    for i in range(first, first + count):
        marked |= recorded[i] | followed[i]
    return not marked


@part
def _summed(values, of_weights, limit, loss_sum):
    """Add the losses to their sum; return it, and whether each is within the limit."""
    within = True
    for i in range(len(of_weights)):
        value = np.float64(values[i]) * np.float64(of_weights[i])
        within &= abs(value) <= limit
        loss_sum += value
    return within, loss_sum


@entry
def take_plain_steps(loss, n, inputs, targets, weights, rows, theta, rates, first_step, recorded,
                     values, followed, path, limit, loss_sum):  # fmt: skip
    """Take the steps of plain gradient descent, as `take_single_steps` does; `weights` may be None.

    Where a loss of several steps is not within the limit, they are taken again one by one.
    """
    width, kind, several = len(theta), theta.dtype, lanes.VECTOR // theta.itemsize
    events, gram = np.zeros(3 * several * width, dtype=kind), np.zeros(2 * several**2, dtype=kind)
    of_targets, of_weights = np.zeros(3 * several, dtype=kind), np.zeros(3 * several, dtype=kind)
    scales, logits = np.zeros(3 * several, dtype=kind), np.zeros(several, dtype=kind)
    factors, losses = np.zeros(several, dtype=kind), np.zeros(several, dtype=kind)
    gradient, both = np.zeros(width, dtype=kind), np.zeros(2 * width, dtype=kind)
    copy(both, 0, theta, 0, width)
    index, careful, ready, row, point, block, turn = 0, 0, -1, 0, 0, 0, 0
    while index < len(rates):
        count = several
        if (first_step + index) % several or index + several > len(rates) or index < careful:
            count, ready, block = 1, -1, 0
            lanes.fetch(inputs, targets, weights, rows, rates, n, index, events, width, of_targets,
                        of_weights, scales, 0)  # fmt: skip
            logits[0] = dot(view(both, 0, width), view(events, 0, width))
            losses[0], slope = loss_and_slope(loss, logits[0], of_targets[0])
            factors[0] = slope * scales[0]
        else:
            if ready != index:
                block, turn = 0, 0
                for i in range(2 * several):
                    lanes.fetch(inputs, targets, weights, rows, rates, n, index + i, events, width,
                                of_targets, of_weights, scales, i)  # fmt: skip
                lanes.add_products(events, width, 0, gram, 0)
            lanes.take_together(
                loss, inputs, targets, weights, rows, rates, n, index + 2 * several, events, width,
                of_targets, of_weights, scales, (block, (block + 1) % 3, (block + 2) % 3), gram,
                turn, both, logits, factors, losses,
            )  # fmt: skip
        first = block * several
        within, total = _summed(losses, view(of_weights, first, count), limit, loss_sum)
        if not within:
            if count == 1:
                copy(theta, 0, both, 0, width)
                return index, loss_sum
            careful = index + several
            continue
        loss_sum = total
        if count > 1 and _none_marked(recorded, followed, index, count):
            copy(both, 0, both, width, width)
            index += count
        else:
            for i in range(count):
                copy(both, width, both, 0, width)
                event = view(events, (first + i) * width, width)
                lanes.descend(both, event, width, view(factors, i, 1), 0, 1)
                if recorded[index]:
                    _, slope = loss_and_slope(loss, logits[i], of_targets[first + i])
                    _scaled(slope * of_weights[first + i], event, gradient)
                    value = np.float64(losses[i]) * np.float64(of_weights[first + i])
                    record(values[row], value, rates[index], gradient, view(both, width, width),
                           view(both, 0, width))  # fmt: skip
                    row += 1
                if followed[index]:
                    copy(path[point], 0, both, 0, width)
                    point += 1
                index += 1
        if count > 1:
            ready, block, turn = index, (block + 1) % 3, 1 - turn
    copy(theta, 0, both, 0, width)
    return len(rates), loss_sum
