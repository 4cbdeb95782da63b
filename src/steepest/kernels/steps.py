"""What the steps of all compiled models share: sums of squares, copies, records.

The NumPy twins are ``np.sum(values**2)``, ``np.sum((one - two)**2)`` and slices.
"""

from __future__ import annotations

import numpy as np

from steepest.kernels.compiled import inlined, part, sums
from steepest.kernels.updates import update, window
from steepest.kernels.vector import view

__all__ = ["copy", "record", "square", "squared_distance", "update_part"]


@inlined
def copy(target, to, source, start, count):
    """``target[to : to + count] = source[start : start + count]``."""
    target, source = view(target, to, count), view(source, start, count)
    for i in range(count):
        target[i] = source[i]


@sums
def square(values):
    """Σ v², in float64."""
    total = 0.0
    for i in range(len(values)):
        total += np.float64(values[i]) * np.float64(values[i])
    return total


@sums
def squared_distance(one, two):
    """Σ (v − u)², in float64."""
    total = 0.0
    for i in range(len(one)):
        difference = np.float64(one[i]) - np.float64(two[i])
        total += difference * difference
    return total


@part
def record(row, value, rate, gradient, before, theta):
    """Write loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ to a row of the history."""
    size, change = np.sqrt(square(before)), np.sqrt(squared_distance(theta, before))
    row[0], row[1], row[2] = value, rate, np.sqrt(square(gradient))
    row[3] = change / size if size > 0.0 else np.inf


@part
def update_part(rule, constants, theta, gradient, slots, start, size):
    """Take a rule's step on the entries from `start` on."""
    update(rule, constants, view(theta, start, size), view(gradient, start, size),
           window(slots, start, size))  # fmt: skip
