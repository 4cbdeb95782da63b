"""Networks of two hidden ReLU layers along the lines of a grid of points, event by event.

At a point with coordinates a along a line and b across the lines, with first-layer sums
z = z₀ + a z₁ + b z₂ and second-layer weights V = V₀ + a V₁ + b V₂, the second layer's sums are ::

    s = Σ_{j active} (z₀ + a z₁ + b z₂)ⱼ (V₀ + a V₁ + b V₂)ⱼ + biases
      = e₀₀ + a e₁₀ + b e₀₁ + a² e₂₀ + ab e₁₁ + b² e₀₂ + biases

The coefficients e change only where a unit j of the first layer switches, at most once on a line.
They are kept for each event at the beginning of the current line, and updated from one line to the
next. Along a line b is fixed, and s = c₀ + a c₁ + a² c₂ with three coefficients. For n₁ and n₂
units a point costs about 3 n₂ multiplications, and each switch before it 4 n₂, instead of n₁ n₂:
on 51 × 51 points of 28→64→64→1 this is four times as fast as `steepest.compiled.surface.layers`.

Switches update the coefficients in the dtype of θ: each one leaves a rounding error.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.compiled.jit import helper, kernel, reduction
from steepest.compiled.pointwise import add_event

BLOCK = 64
"""Events whose coefficients are kept while the lines go by, and summed before float64."""
VECTOR = 16
"""Loops over points and over units of the second layer go over a multiple of this: they then run
in vector registers to their end."""


@helper
def _mix(base, slope, share, out):
    for i in range(len(out)):
        out[i] = base[i] + share * slope[i]


@helper
def _update_start(e, i, z, sign, w0, w1, w2):
    """Add a unit with first-layer sums ±z to the six coefficients of event i, or remove it."""
    x0, x1, x2 = sign * z[0], sign * z[1], sign * z[2]
    e00, e10, e01, e20, e11, e02 = e[i, 0], e[i, 1], e[i, 2], e[i, 3], e[i, 4], e[i, 5]
    for k in range(len(w0)):
        e00[k] += x0 * w0[k]
        e10[k] += x1 * w0[k] + x0 * w1[k]
        e01[k] += x2 * w0[k] + x0 * w2[k]
    for k in range(len(w0)):
        e20[k] += x1 * w1[k]
        e11[k] += x1 * w2[k] + x2 * w1[k]
        e02[k] += x2 * w2[k]


@helper
def _line_start(e, i, biases, b, c):
    """c₀, c₁ and c₂ of event i at a line's beginning."""
    e00, e10, e01, e20, e11, e02 = e[i, 0], e[i, 1], e[i, 2], e[i, 3], e[i, 4], e[i, 5]
    b0, b1, b2, c0, c1, c2 = biases[0], biases[1], biases[2], c[0], c[1], c[2]
    for k in range(len(c0)):
        c0[k] = (e00[k] + b0[k]) + b * ((e01[k] + b2[k]) + b * e02[k])
        c1[k] = (e10[k] + b1[k]) + b * e11[k]
        c2[k] = e20[k]


@helper
def _switches(p, q, active, a, units, first, following):
    """List the units that switch along a line, by the first point behind: linked lists."""
    last = len(a) - 1
    inverse = last / (a[last] - a[0])
    found = 0
    for j in range(len(p)):  # without a branch: which units switch cannot be predicted
        units[found] = j
        found += active[j] != (p[j] + a[last] * q[j] > 0)
    for i in range(len(a)):
        first[i] = -1
    for n in range(found):
        j = units[n]
        at = min(max(math.ceil((-p[j] / q[j] - a[0]) * inverse), 1.0), float(last))
        following[n], first[int(at)] = first[int(at)], n


@reduction
def _add_line(c, v, slope, u, p, q, active, a, units, first, following, z):
    """Add Σₖ max(sₖ, 0) uₖ at each point of a line to z."""
    c0, c1, c2 = c[0], c[1], c[2]
    for i in range(len(a)):
        n = first[i]
        while n >= 0:
            j = units[n]
            sign = a.dtype.type(-1.0 if active[j] else 1.0)
            x, y, vj, sj = sign * p[j], sign * q[j], v[j], slope[j]
            for k in range(len(c0)):
                vk, sk = vj[k], sj[k]
                c0[k] += x * vk
                c1[k] += x * sk + y * vk
                c2[k] += y * sk
            n = following[n]
        total, at, ui = a.dtype.type(0.0), a[i], u[i]
        for k in range(len(c0)):
            s = c0[k] + at * (c1[k] + at * c2[k])
            total += (a.dtype.type(0.0) if s < 0.0 else s) * ui[k]
        z[i] += total


@kernel
def add_losses(loss, sums, weights, biases, above, along, across, targets, event_weights, chunk,
               totals):  # fmt: skip
    """Add Σ w ℓ of each chunk of events at each point to `totals`.

    `sums` ``(events, 3, n₁)`` has z₀, z₁ and z₂; `weights` ``(3, n₁, n₂)`` and `biases` ``(3, n₂)``
    are the second layer's, with n₂ padded by zeros to a multiple of `VECTOR`; `above`
    ``(3, n₂ + 1)`` the third layer's weights and bias; `along` a of the points of a line, ascending
    and evenly spaced, two at least; `across` b of each line. `totals` ``(chunks, lines, points of a
    line)`` is float64. The last chunk may have fewer events.
    """
    kind, length, n1, n2 = sums.dtype, len(along), sums.shape[2], biases.shape[1]
    v, u = np.empty((n1, n2), kind), np.empty((length, n2), kind)
    start, p, c = np.empty(n2 + 1, kind), np.empty(n1, kind), np.empty((3, n2), kind)
    padded = VECTOR * -(-length // VECTOR)
    z, line, e = np.zeros(padded, kind), np.zeros(padded, kind), np.empty((BLOCK, 6, n2), kind)
    active = np.empty((BLOCK, n1), np.bool_)
    units, first = np.empty(n1 + 1, np.int64), np.empty(length, np.int64)
    following = np.empty(n1, np.int64)
    for number in range(len(totals)):
        end = min((number + 1) * chunk, len(targets))
        for begin in range(number * chunk, end, BLOCK):
            count = min(BLOCK, end - begin)
            e[:] = 0.0
            active[:] = False
            for row in range(len(across)):
                b = across[row]
                for j in range(n1):
                    _mix(weights[0, j], weights[2, j], b, v[j])
                _mix(above[0], above[2], b, start)
                for i in range(length):
                    _mix(start[:n2], above[1, :n2], along[i], u[i])
                line[:] = 0.0
                for i in range(count):
                    z0, z1, z2 = sums[begin + i, 0], sums[begin + i, 1], sums[begin + i, 2]
                    on = active[i]
                    _mix(z0, z2, b, p)
                    for j in range(n1):
                        now = p[j] + along[0] * z1[j] > 0
                        if now != on[j]:
                            sign = kind.type(1.0 if now else -1.0)
                            unit = z0[j], z1[j], z2[j]
                            _update_start(e, i, unit, sign, weights[0, j], weights[1, j],
                                          weights[2, j])  # fmt: skip
                            on[j] = now
                    _line_start(e, i, biases, b, c)
                    _switches(p, z1, on, along, units, first, following)
                    for k in range(length):
                        z[k] = start[n2] + along[k] * above[1, n2]
                    _add_line(c, v, weights[1], u, p, z1, on, along, units, first, following, z)
                    add_event(loss, z, targets[begin + i], event_weights[begin + i], line)
                for k in range(length):
                    totals[number, row, k] += line[k]
