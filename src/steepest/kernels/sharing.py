"""What the parts of a batch leave is added up, and a step is taken, on shares of θ.

    ∇J = Σ of the parts' gradients, in their order, + λ W;  θ, slots ← rule(θ, ∇J, slots)

A share is a range of entries of θ. The NumPy twins are sums over the parts and
`steepest.compiled.rules`.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import part
from steepest.kernels.layout import GRADIENT, KP, NP, THETA, K, N
from steepest.kernels.steps import square, update_part
from steepest.kernels.vector import view

__all__ = [
    "LOSS",
    "NUMBERS",
    "OF_CHANGE",
    "OF_GRADIENT",
    "OF_THETA",
    "PENALTY",
    "add_gradient",
    "add_parts",
    "column",
    "penalty",
    "record",
    "share",
    "update",
]

_LINE = 32
"""Entries of θ on one line of the cache or two, which no two threads write."""
LOSS, PENALTY, OF_THETA, OF_GRADIENT, OF_CHANGE = range(5)
"""What a part says of itself: Σ w ℓ, (λ/2) ‖W‖², and the squares of θ, ∇J and Δθ."""
NUMBERS = 16
"""Room for what a part says: two lines of the cache, which no other part writes on."""


@part
def share(number, parts, size):
    """Which entries of θ a part has: first and end, in whole lines of the cache."""
    first, end = number * size // parts, (number + 1) * size // parts
    return first - first % _LINE, end if end == size else end - end % _LINE


@part
def _layer_ranges(table, layer, first, last):
    """Which of the entries first … last − 1 are a layer's weights and biases: two ranges."""
    start, n = table[layer, THETA], table[layer, N]
    middle, end = start + table[layer, K] * n, start + (table[layer, K] + 1) * n
    return (min(max(first, start), middle), min(max(last, start), middle),
            min(max(first, middle), end), min(max(last, middle), end))  # fmt: skip


@part
def penalty(table, theta, l2, first, last):
    """(λ/2) ‖W‖² over the weights among the entries first … last − 1."""
    total = 0.0
    for layer in range(len(table)):
        begin, end, _, _ = _layer_ranges(table, layer, first, last)
        total += square(view(theta, begin, end - begin))
    return 0.5 * l2 * total


@part
def update(table, rule, of_weights, of_biases, l2, theta, gradient, slots, first, last):
    """Add the penalty's gradient, and take the rule's step, on the entries first … last − 1."""
    factor = theta.dtype.type(l2)
    for layer in range(len(table)):
        begin, end, begin_of_biases, end_of_biases = _layer_ranges(table, layer, first, last)
        if l2 != 0.0:
            weights, target = view(theta, begin, end - begin), view(gradient, begin, end - begin)
            for i in range(end - begin):
                target[i] += factor * weights[i]
        update_part(rule, of_weights, theta, gradient, slots, begin, end - begin)
        update_part(rule, of_biases, theta, gradient, slots, begin_of_biases,
                    end_of_biases - begin_of_biases)  # fmt: skip


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
def _join_gradients(table, memory, parts, distance, first, last, gradient):
    """Write the sum of the parts' gradients to the entries first … last − 1 of a flat vector."""
    for layer in range(len(table)):
        k, n, np_ = table[layer, K], table[layer, N], table[layer, NP]
        start, to = table[layer, GRADIENT], table[layer, THETA]
        rows, width = (1, k * n) if n == np_ else (k, n)  # weights without gaps are one row
        for p in range(max(0, (first - to) // width), rows + 1):  # the biases' come last
            row, size = (p, width) if p < rows else (table[layer, KP], n)
            begin, end = max(first, to + p * width), min(last, to + p * width + size)
            if begin < end:
                _join(memory, start + row * np_ + begin - (to + p * width), parts, distance,
                      view(gradient, begin, end - begin))  # fmt: skip


@part
def add_gradient(table, memory, shift, first, last, gradient):
    """Add a part's gradients to the entries first … last − 1 of a flat vector."""
    for layer in range(len(table)):
        k, n, np_ = table[layer, K], table[layer, N], table[layer, NP]
        start, to = table[layer, GRADIENT] + shift, table[layer, THETA]
        for p in range(max(0, (first - to) // n), min(k + 1, -(-(last - to) // n))):
            begin, end = max(first, to + p * n), min(last, to + (p + 1) * n)
            row = start + (p if p < k else table[layer, KP]) * np_  # the biases' come last
            target = view(gradient, begin, end - begin)
            source = view(memory, row + begin - (to + p * n), end - begin)
            for j in range(end - begin):
                target[j] += source[j]


@part
def add_parts(table, memory, distance, chunks, first, last, gradient):
    """∇J of the batch, on the entries first … last − 1: the parts' in their order."""
    target = view(gradient, first, last - first)
    if chunks.shape[1] == 0:
        _join_gradients(table, memory, len(chunks), distance, first, last, gradient)
        return
    for i in range(last - first):
        total = 0.0
        for number in range(len(chunks)):
            total += chunks[number, first + i]
        target[i] = total


@part
def column(table, number):
    """The sum of one of the parts' numbers, in their order."""
    total = 0.0
    for index in range(len(table)):
        total += table[index, number]
    return total


@part
def record(row, value, rate, said):
    """Write loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ to a row of the history."""
    size, change = np.sqrt(column(said, OF_THETA)), np.sqrt(column(said, OF_CHANGE))
    row[0], row[1], row[2] = value, rate, np.sqrt(column(said, OF_GRADIENT))
    row[3] = change / size if size > 0.0 else np.inf
