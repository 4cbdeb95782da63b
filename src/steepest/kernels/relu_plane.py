"""Networks of two hidden ReLU layers on the lines of a plane, for chunks of events.

At a point with coordinates a along a line and b across the lines, with first-layer sums
z₀ + a z₁ + b z₂ and second-layer weights V₀ + a V₁ + b V₂, the second layer's sums are

    s = Σ_{j on} (z₀ + a z₁ + b z₂)ⱼ (V₀ + a V₁ + b V₂)ⱼ + biases
      = e₀₀ + a e₁₀ + b e₀₁ + a² e₂₀ + ab e₁₁ + b² e₀₂ + biases

The six vectors e are kept for each event, for the units that are on at the beginning of the line,
and change where a unit goes on or off from one line's beginning to the next one's. From there
`steepest.kernels.relu_line` goes along the line. For n₁ and n₂ units a point costs about 3 n₂
multiplications and each change before it 4 n₂, instead of n₁ n₂.

Sums are changed in the dtype of θ: each time that a unit goes on or off leaves a rounding error.
The NumPy twin is `steepest.objective.plane.losses_one_by_one`.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.kernels.compiled import entry, part
from steepest.kernels.plane_losses import GROUP, add_event, fold
from steepest.kernels.relu_line import LINE_BYTES, WORD, first_bit, signs, walk
from steepest.kernels.steps import copy
from steepest.kernels.vector import view

__all__ = ["LINE_BYTES", "WORD", "add_losses"]


@part
def _mix(one, two, share, out):
    for i in range(len(out)):
        out[i] = one[i] + share * two[i]


@part
def _powers(array):
    """The three rows of an array that the caller keeps alive."""
    flat, size = array.reshape(-1), array.size // 3
    return view(flat, 0, size), view(flat, size, size), view(flat, 2 * size, size)


@part
def _begin_line(weights, above, row, a, b, v, u, out, padded):
    """Second-layer weights of a line, less what goes with a; the third layer at its points."""
    _mix(weights[0], weights[2], b, v)
    start = np.empty(row + 1, dtype=v.dtype)
    _mix(above[0], above[2], b, start)
    for i in range(len(a)):
        _mix(view(start, 0, row), view(above[1], 0, row), a[i], view(u, i * row, row))
        out[i] = start[row] + a[i] * above[1][row]
    for event in range(1, GROUP):
        copy(out, event * padded, out, 0, len(a))


@part
def _change_beginning(x0, x1, x2, w0, w1, w2, e):
    """Add a unit of the first layer to the six vectors."""
    n = len(w0)
    e00, e10, e01 = view(e, 0, n), view(e, n, n), view(e, 2 * n, n)
    e20, e11, e02 = view(e, 3 * n, n), view(e, 4 * n, n), view(e, 5 * n, n)
    for k in range(n):
        e00[k] += x0 * w0[k]
        e10[k] += x1 * w0[k] + x0 * w1[k]
        e01[k] += x2 * w0[k] + x0 * w2[k]
        e20[k] += x1 * w1[k]
        e11[k] += x1 * w2[k] + x2 * w1[k]
        e02[k] += x2 * w2[k]


@part
def _move_beginning(changed, before, first, z0, z1, z2, weights, row, e):
    """Take the units of a word that go on or off between two beginnings into the vectors."""
    while changed != np.uint64(0):
        bit = first_bit(changed)
        changed &= changed - np.uint64(1)
        unit = first + bit
        sign = type(z0[0])(-1.0 if (before >> np.uint64(bit)) & np.uint64(1) else 1.0)
        at = unit * row
        _change_beginning(
            sign * z0[unit], sign * z1[unit], sign * z2[unit], view(weights[0], at, row),
            view(weights[1], at, row), view(weights[2], at, row), e,
        )  # fmt: skip


@part
def _coefficients(e, biases, row, b, c):
    """c₀, c₁ and c₂ at a line's beginning."""
    c0, c1, c2 = view(c, 0, row), view(c, row, row), view(c, 2 * row, row)
    e00, e10, e01 = view(e, 0, row), view(e, row, row), view(e, 2 * row, row)
    e20, e11, e02 = view(e, 3 * row, row), view(e, 4 * row, row), view(e, 5 * row, row)
    b0, b1, b2 = biases
    for k in range(row):
        c0[k] = (e00[k] + b0[k]) + b * ((e01[k] + b2[k]) + b * e02[k])
        c1[k] = (e10[k] + b1[k]) + b * e11[k]
        c2[k] = e20[k]


@part
def _place(at, inverse, a):
    """The first of the ascending coordinates that is not below `at`: from 1 to the last one."""
    last = len(a) - 1
    if inverse != 0.0:  # evenly spaced
        steps = math.ceil(min((at - a[0]) * inverse, type(at)(last)))
        return max(int(steps), 1)
    low, high = 1, last
    while low < high:
        middle = (low + high) // 2
        if a[middle] < at:
            low = middle + 1
        else:
            high = middle
    return low


@part
def _list_changes(changed, before, first, p, q, a, inverse, lists, found):
    """Put the units of a word that go on or off along a line into the lists of their points."""
    heads, following, units, values, rises = lists
    while changed != np.uint64(0):
        bit = first_bit(changed)
        changed &= changed - np.uint64(1)
        unit = first + bit
        at = _place(-p[unit] / q[unit], inverse, a)
        sign = type(p[0])(-1.0 if (before >> np.uint64(bit)) & np.uint64(1) else 1.0)
        values[found], rises[found], units[found] = sign * p[unit], sign * q[unit], unit
        following[found], heads[at] = heads[at], found
        found += 1
    return found


@part
def _along(z0, z1, z2, weights, biases, row, a, b, inverse, v, u, p, on, e, c, lists, out):
    """Add z of an event at each point of a line to `out`."""
    heads, following, units, values, rises = lists
    _mix(z0, z2, b, p)
    for i in range(len(a)):
        heads[i] = -1
    found = 0
    for word in range(len(on)):
        first = word * WORD
        before, after = signs(p, z1, first, a[0]), signs(p, z1, first, a[len(a) - 1])
        _move_beginning(before ^ on[word], on[word], first, z0, z1, z2, weights, row, e)
        on[word] = before
        found = _list_changes(before ^ after, before, first, p, z1, a, inverse, lists, found)
    _coefficients(e, biases, row, b, c)
    walk(row, c, v, weights[1], u, values, rises, a, out, heads, following, units)


@entry
def add_losses(loss, sums, weights, biases, above, along, across, inverses, starts, targets,
               event_weights, chunk, totals):  # fmt: skip
    """Add Σ w ℓ of each chunk of events at each point to `totals`.

    Parameters
    ----------
    loss
        Of `steepest.kernels.pointwise.LOSSES`, with one output.
    sums
        z₀, z₁ and z₂, ``(3, events, units)``, with zeros up to whole words of 64 units.
    weights, biases
        Of the second layer, ``(3, units · row)`` and ``(3, row)``, with zeros up to whole vectors.
    above
        Weights and bias of the third layer, ``(3, row + 1)``.
    along
        a of all points, line by line, ascending within a line.
    across, inverses
        b of each line, and 1 / (a₁ − a₀) where its points are evenly spaced, else 0.
    starts
        Where each line begins in `along`, and the end.
    targets, event_weights
        ``(events,)``, in the dtype of the sums; no weights are an empty array.
    chunk : int
        Events of a chunk; the last one may have fewer.
    totals
        ``(chunks, points)`` float64.
    """
    kind, row, units = sums.dtype, biases.shape[1], sums.shape[2]
    longest, words, size = np.max(starts[1:] - starts[:-1]), units // WORD, 6 * row
    padded = WORD * -(-longest // WORD)  # losses are taken in whole vectors
    v, u, p = np.empty(weights.shape[1], kind), np.empty(longest * row, kind), np.empty(units, kind)
    c, out = np.empty(3 * row, kind), np.zeros(GROUP * padded, kind)
    lines, products = np.empty(padded, kind), np.empty(padded, kind)
    e, on = np.empty(GROUP * size, kind), np.empty(GROUP * words, np.uint64)
    lists = (np.empty(longest, np.int64), np.empty(units, np.int64), np.empty(units, np.int64),
             np.empty(units, kind), np.empty(units, kind))  # fmt: skip
    z0, z1, z2 = _powers(sums)
    weights_of, biases_of, above_of = _powers(weights), _powers(biases), _powers(above)
    for index in range(len(totals)):
        last = min((index + 1) * chunk, len(targets))
        for start in range(index * chunk, last, GROUP):
            count = min(GROUP, last - start)
            e[:], on[:] = 0.0, 0
            for line in range(len(across)):
                begin, length = starts[line], starts[line + 1] - starts[line]
                a, b = view(along, begin, length), across[line]
                _begin_line(weights_of, above_of, row, a, b, v, u, out, padded)
                lines[:], products[:] = 0.0, 0.0
                for i in range(count):
                    at, values = (start + i) * units, view(out, i * padded, padded)
                    _along(view(z0, at, units), view(z1, at, units), view(z2, at, units),
                           weights_of, biases_of, row, a, b, inverses[line], v, u, p,
                           view(on, i * words, words), view(e, i * size, size), c, lists,
                           values)  # fmt: skip
                    add_event(loss, values, targets[start + i], event_weights, start + i, lines,
                              products)  # fmt: skip
                fold(loss, lines, products, view(totals[index], begin, length))
