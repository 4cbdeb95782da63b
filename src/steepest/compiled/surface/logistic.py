"""Logistic regression at many points of a surface: Σ w (log(1 + eᶻ) − y z), for chunks of events.

z is linear in a point's coordinates (a, b), and given three times for each event ::

    z = z₀ + a z₁ + b z₂,   log(1 + eᶻ) − y z = max(z, 0) − y z + log(1 + t),   t = e^(−|z|)

Points lie in vector registers, and events go by one after the other. Events of weight one share a
logarithm, Σ log(1 + tᵢ) = log Πᵢ (1 + tᵢ). The product is carried as q = Π (1 + tᵢ) − 1, which
keeps the digits of small t: q ← q + t + q t. The NumPy twin is `steepest.losses` on z.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel
from steepest.compiled.pointwise import (
    exp_nonpositive,
    log1p_nonnegative,
    log1p_unit,
    positive_part,
)

BLOCK = 64
"""Events that share a logarithm, and are summed before float64: 2⁶⁴ fits into float32."""
POINTS = 512
"""Points whose sums are held at once, in the nearest cache."""


@helper
def _add(z0, z1, z2, y, a, b, sums, products):
    """Add max(z, 0) − y z of two events to `sums`, and take 1 + t into `products`."""
    p0, p1, p2, p = z0[0], z1[0], z2[0], y[0]
    q0, q1, q2, q = z0[1], z1[1], z2[1], y[1]
    for j in range(len(a)):
        z, v = p0 + a[j] * p1 + b[j] * p2, q0 + a[j] * q1 + b[j] * q2
        sums[j] += positive_part(z, p) + positive_part(v, q)
        t, s = exp_nonpositive(-abs(z)), exp_nonpositive(-abs(v))
        t = t + s + t * s
        products[j] += t + products[j] * t


@helper
def _add_weighted(z0, z1, z2, y, weight, a, b, sums):
    """Add w (log(1 + eᶻ) − y z) of an event."""
    for j in range(len(a)):
        z = z0 + a[j] * z1 + b[j] * z2
        sums[j] += weight * (positive_part(z, y) + log1p_unit(exp_nonpositive(-abs(z))))


@helper
def _add_block(z0, z1, z2, y, weights, a, b, sums, products, totals):
    """Add Σ w ℓ of a block of events to the totals."""
    sums[:], products[:] = 0.0, 0.0
    one, paired = type(y[0])(1.0), 0 if len(weights) else len(y) - len(y) % 2
    for i in range(0, paired, 2):
        _add(z0[i:], z1[i:], z2[i:], y[i:], a, b, sums, products)
    for i in range(paired, len(y)):
        weight = weights[i] if len(weights) else one
        _add_weighted(z0[i], z1[i], z2[i], y[i], weight, a, b, sums)
    for j in range(len(a)):
        totals[j] += sums[j] + log1p_nonnegative(products[j])


@kernel
def add_losses(z, targets, weights, points, chunk, totals):
    """Add Σ w ℓ of each chunk of events at each point to `totals`.

    `z` ``(3, events)`` has z₀, z₁ and z₂, `points` ``(2, points)`` a and b, `totals` ``(chunks,
    points)`` float64. No weights are an empty array. The last chunk may have fewer events.
    """
    sums, products = np.empty(POINTS, z.dtype), np.empty(POINTS, z.dtype)
    for first in range(0, points.shape[1], POINTS):
        last = min(first + POINTS, points.shape[1])
        a, b, count = points[0, first:last], points[1, first:last], last - first
        for number in range(len(totals)):
            end = min((number + 1) * chunk, len(targets))
            for begin in range(number * chunk, end, BLOCK):
                stop = min(begin + BLOCK, end)
                _add_block(
                    z[0, begin:stop], z[1, begin:stop], z[2, begin:stop], targets[begin:stop],
                    weights[begin:stop], a, b, sums[:count], products[:count],
                    totals[number, first:last],
                )  # fmt: skip
