"""Many mini-batch steps of a dense network in one compiled call, by one thread or by several.

One step on a batch of m events, taken in blocks of rows that stay in the processor's cache:

    forward, backward     see `steepest.kernels.layers`
    loss       J = 1/m Σ w ℓ + (λ/2) ‖W‖²;  D_L = w/m ∂ℓ/∂z
    step       θ, slots ← rule(θ, ∇J, slots)

The NumPy twin is `steepest.kernels.dense` with `steepest.losses` and `steepest.compiled.rules`.

A batch is cut into `parts`, and so is θ. A member of the team takes its parts of the batch (each
has a gradient of its own); when all are done it adds these up, in their order, over its parts of θ
and takes the step there; when all are done the next step begins. So the bits depend on the number
of parts and not on how many threads they were shared out to.

Gradients are summed in the dtype of θ over at most `CHUNK` events, then in float64.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import entry, part
from steepest.kernels.layers import backward, clear, forward, pack_backward, pack_forward
from steepest.kernels.layout import BLOCK, INPUT, KP, NP, SIGNAL, SUMS, K, N
from steepest.kernels.pointwise import add_up, differentiate
from steepest.kernels.sharing import (
    LOSS,
    OF_CHANGE,
    OF_GRADIENT,
    OF_THETA,
    PENALTY,
    add_gradient,
    add_parts,
    column,
    penalty,
    record,
    share,
    update,
)
from steepest.kernels.steps import copy, square, squared_distance
from steepest.kernels.team import begin, leave, wait
from steepest.kernels.updates import narrowed, numbers
from steepest.kernels.vector import claim, prefetch, view

__all__ = ["CHUNK", "accumulate", "logits", "losses", "run_steps"]

CHUNK = 4096
"""Events over which a gradient is summed in the dtype of θ."""


@part
def _gather(inputs, targets, weights, rows, first, count, following, table, places, memory,
            block_targets):  # fmt: skip
    """Copy a block's events; without `rows`, those that lie there. Ask for the next meanwhile."""
    k, stride, to = table[0, K], table[0, KP], table[0, INPUT]
    line = 64 // inputs.itemsize
    for i in range(count):
        if following + i < len(rows):
            row = rows[following + i]
            prefetch(targets, row)
            for j in range(0, k, line):
                prefetch(inputs, row * k + j)
        row = rows[first + i] if len(rows) else first + i
        copy(memory, to + i * stride, inputs, row * k, k)
        block_targets[i] = targets[row]
        memory[places[0] + i] = weights[row] if len(weights) else memory.dtype.type(1.0)


@part
def _add_chunk(activation, loss, table, places, memory, shift, block_targets, inputs, targets,
               weights, rows, first, last, then, theta, unpacked, scale):  # fmt: skip
    """The gradients of events first … last − 1 as those of a part; return Σ w ℓ.

    `then` is where the next events lie that this thread will take; `unpacked` says that the panels
    for the backward pass are still to be written.
    """
    total, output = 0.0, len(table) - 1
    logits, signal = table[output, SUMS], table[output, SIGNAL]
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        size = count * table[output, NP]
        following = start + count if start + count < last else then
        _gather(inputs, targets, weights, rows, start, count, following, table, places, memory,
                block_targets)  # fmt: skip
        forward(activation, table, memory, theta, count, 0)
        if unpacked and start == first:
            pack_backward(theta, table, memory)
        total += differentiate(
            loss, view(memory, logits, size), table[output, N], view(block_targets, 0, count),
            view(memory, places[0], count), scale, view(memory, signal, size),
            view(memory, places[1], count),
        )  # fmt: skip
        backward(activation, table, memory, count, shift, start == first)
    return total


@entry
def accumulate(activation, loss, table, places, memory, block_targets, theta, inputs, targets,
               weights, scale, gradient):  # fmt: skip
    """Add a block of events, in their order, to a float64 gradient ``(size,)``; return Σ w ℓ.

    `inputs` is flat.
    """
    pack_forward(theta, table, memory, False)
    rows, total = np.empty(0, dtype=np.int64), 0.0
    for first in range(0, len(targets), CHUNK):
        total += _add_chunk(activation, loss, table, places, memory, 0, block_targets, inputs,
            targets, weights, rows, first, min(first + CHUNK, len(targets)), 0, theta, first == 0,
            scale)  # fmt: skip
        add_gradient(table, memory, 0, 0, len(theta), gradient)
    return total


@entry
def losses(activation, loss, table, places, memory, theta, inputs, targets, weights):
    """Return Σ w ℓ of events, in their order, in float64; `inputs` is flat."""
    pack_forward(theta, table, memory, False)
    k, output, total = table[0, K], len(table) - 1, 0.0
    for first in range(0, len(targets), BLOCK):
        count = min(BLOCK, len(targets) - first)
        size = count * table[output, NP]
        for i in range(count):
            copy(memory, table[0, INPUT] + i * table[0, KP], inputs, (first + i) * k, k)
            memory[places[0] + i] = weights[first + i] if len(weights) else memory.dtype.type(1.0)
        forward(activation, table, memory, theta, count, 0)
        total += add_up(
            loss, view(memory, table[output, SUMS], size), table[output, N],
            view(targets, first, count), view(memory, places[0], count),
            view(memory, table[output, SIGNAL], size), view(memory, places[1], count),
        )  # fmt: skip
    return total


@entry
def logits(activation, table, memory, theta, inputs, out):
    """Write the logits of events; both flat. An event's bits do not depend on the others.

    A BLAS takes rows at the edges of a matrix in another order than those in its middle.
    """
    pack_forward(theta, table, memory, False)
    k, n, last = table[0, K], table[len(table) - 1, N], len(table) - 1
    events = len(out) // n
    for first in range(0, events, BLOCK):
        count = min(BLOCK, events - first)
        for i in range(count):
            copy(memory, table[0, INPUT] + i * table[0, KP], inputs, (first + i) * k, k)
        forward(activation, table, memory, theta, count, 0)
        for i in range(count):
            row = view(memory, table[last, SUMS] + i * table[last, NP], n)
            copy(out, (first + i) * n, row, 0, n)
    return events


@part
def _add_part(activation, loss, table, places, memory, shift, block_targets, inputs, targets,
              weights, rows, first, last, then, theta, unpacked, scale, chunks):  # fmt: skip
    """The gradient of a part of a batch: in `memory`, or in float64 `chunks` where these are."""
    total = 0.0
    if len(chunks) == 0:
        if first == last:
            clear(table, memory, shift)
        return _add_chunk(activation, loss, table, places, memory, shift, block_targets, inputs,
                          targets, weights, rows, first, last, then, theta, unpacked,
                          scale)  # fmt: skip
    for i in range(len(chunks)):
        chunks[i] = 0.0
    for start in range(first, last, CHUNK):
        total += _add_chunk(activation, loss, table, places, memory, shift, block_targets, inputs,
            targets, weights, rows, start, min(start + CHUNK, last), start + CHUNK, theta,
            unpacked and start == first, scale)  # fmt: skip
        add_gradient(table, memory, shift, 0, len(theta), chunks)
    return total


@entry
def run_steps(activation, loss, rule, rule_of_biases, member, members, words, table, places,
               distance, memory, block_targets, said, chunks, gradient, inputs, targets, weights,
               rows, batch_size, theta, slots, rates, first_step, recorded, values, followed,
               path, l2, limit, loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number.

    Parameters
    ----------
    member, members, words
        Which of the team this is, of how many, and what they wait by.
    table, places, distance
        The member's layout, and how far apart the gradients of two parts are.
    memory, said, chunks, gradient
        Shared: working arrays; `NUMBERS` of each part; ``(parts, size or 0)`` float64 sums over
        chunks; ``(size,)``.
    inputs
        Features, flat.
    """
    begin(words, member)
    taken, loss_sum = _walk(activation, loss, rule, rule_of_biases, member, members, words, table,
        places, distance, memory, block_targets, said, chunks, gradient, inputs, targets, weights,
        rows, batch_size, theta, slots, rates, first_step, recorded, values, followed, path, l2,
        limit, loss_sum, np.empty_like(theta))  # fmt: skip
    leave(words, member, members)
    return taken, loss_sum


@part
def _walk(activation, loss, rule, rule_of_biases, member, members, words, table, places, distance,
          memory, block_targets, said, chunks, gradient, inputs, targets, weights, rows, batch_size,
          theta, slots, rates, first_step, recorded, values, followed, path, l2, limit, loss_sum,
          before):  # fmt: skip
    """The steps of one member, see `run_steps`; `before` has room for θ."""
    events, parts = len(rows) if len(rows) else len(targets), len(said)
    row, point = 0, 0
    for index in range(len(rates)):
        first = (index * batch_size) % events  # each step may take all
        last = min(first + batch_size, events)
        scale = theta.dtype.type(1.0 / (last - first))
        pack_forward(theta, table, memory, False)
        unpacked = True
        for number in range(member, parts, members):
            begin, end = number * (last - first) // parts, (number + 1) * (last - first) // parts
            said[number, LOSS] = _add_part(activation, loss, table, places, memory,
                number * distance, block_targets, inputs, targets, weights, rows, first + begin,
                first + end, first + begin + batch_size, theta, unpacked, scale,
                chunks[number])  # fmt: skip
            unpacked = unpacked and begin == end
            begin, end = share(number, parts, len(theta))
            for place in range(begin, end, 64 // theta.itemsize):
                claim(theta, place)  # the others have read it; there is time until all are done
            said[number, PENALTY] = penalty(table, theta, l2, begin, end) if l2 != 0.0 else 0.0
        if not wait(words, members):
            return index, loss_sum
        value = column(said, LOSS) / (last - first) + column(said, PENALTY)
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        step, zero = np.float64(first_step + index + 1), theta.dtype.type(0.0)
        of_weights = narrowed(numbers(rule, rates[index], step), zero)
        of_biases = narrowed(numbers(rule_of_biases, rates[index], step), zero)
        for number in range(member, parts, members):
            begin, end = share(number, parts, len(theta))
            size = end - begin
            if recorded[index]:
                copy(before, begin, theta, begin, size)
            add_parts(table, memory, distance, chunks, begin, end, gradient)
            update(table, rule, of_weights, of_biases, l2, theta, gradient, slots, begin, end)
            if recorded[index]:
                old, new = view(before, begin, size), view(theta, begin, size)
                said[number, OF_THETA] = square(old)
                said[number, OF_CHANGE] = squared_distance(new, old)
                said[number, OF_GRADIENT] = square(view(gradient, begin, size))
            if followed[index]:
                copy(path[point], begin, theta, begin, size)
        point += followed[index]
        if not wait(words, members):
            return index, loss_sum
        if member == 0 and recorded[index]:
            record(values[row], value, rates[index], said)
            row += 1
    return len(rates), loss_sum
