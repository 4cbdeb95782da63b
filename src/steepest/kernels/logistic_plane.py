"""Logistic regression at many points of a plane: Σ w (log(1 + eᶻ) − y z), for chunks of events.

z is linear in a point's coordinates (a, b), and given three times for each event::

    z = z₀ + a z₁ + b z₂,   log(1 + eᶻ) − y z = max(z, 0) − y z + log(1 + t),   t = e^(−|z|)

Points lie in the lanes of vectors, events go by one after the other, two at a time; the sums are
those of `steepest.kernels.plane_losses`. The NumPy twin is `steepest.losses.BinaryCrossEntropy` on
z.
"""

from __future__ import annotations

from steepest.kernels.compiled import entry, part
from steepest.kernels.elementary import exp_below, log1p_unit
from steepest.kernels.plane_losses import GROUP, fold, positive_part
from steepest.kernels.pointwise import LOSSES
from steepest.kernels.vector import view

__all__ = ["add_losses"]

POINTS = 512
"""Points whose sums are held at once, in the nearest cache."""
_ENTROPY = LOSSES["binary-cross-entropy"]


@part
def _logit(first, second, third, a, b):
    return first + a * second + b * third


@part
def _add_pairs(z0, z1, z2, targets, a, b, lines, products):
    """Add max(z, 0) − y z to `lines`, and take 1 + t into `products`, two events at a time."""
    for i in range(0, len(z0) - 1, 2):
        p0, p1, p2, y = z0[i], z1[i], z2[i], targets[i]
        r0, r1, r2, x = z0[i + 1], z1[i + 1], z2[i + 1], targets[i + 1]
        for j in range(len(a)):
            z, v = _logit(p0, p1, p2, a[j], b[j]), _logit(r0, r1, r2, a[j], b[j])
            lines[j] += positive_part(z, y) + positive_part(v, x)
            t, s = exp_below(-abs(z)), exp_below(-abs(v))
            t = t + s + t * s
            products[j] += t + products[j] * t
    if len(z0) % 2:
        i = len(z0) - 1
        p0, p1, p2, y = z0[i], z1[i], z2[i], targets[i]
        for j in range(len(a)):
            z = _logit(p0, p1, p2, a[j], b[j])
            lines[j] += positive_part(z, y)
            t = exp_below(-abs(z))
            products[j] += t + products[j] * t


@part
def _add_weighted(z0, z1, z2, targets, weights, a, b, lines):
    """Add w (log(1 + eᶻ) − y z)."""
    for i in range(len(z0)):
        p0, p1, p2, y, w = z0[i], z1[i], z2[i], targets[i], weights[i]
        for j in range(len(a)):
            z = _logit(p0, p1, p2, a[j], b[j])
            lines[j] += w * (positive_part(z, y) + log1p_unit(exp_below(-abs(z))))


@entry
def add_losses(sums, targets, weights, mix, chunk, memory, totals):
    """Add Σ w ℓ of each chunk of events at each point to `totals`.

    Parameters
    ----------
    sums
        z₀, z₁ and z₂, ``(3, events)``.
    targets, weights
        ``(events,)``, in the dtype of the sums; no weights are an empty array.
    mix
        a and b of the points, ``(2, points)``.
    chunk : int
        Events of a chunk; the last one may have fewer.
    memory
        Room for ``2 * POINTS``.
    totals
        ``(chunks, points)`` float64.
    """
    for first in range(0, mix.shape[1], POINTS):
        points = min(POINTS, mix.shape[1] - first)
        a, b = view(mix[0], first, points), view(mix[1], first, points)
        lines, products = view(memory, 0, points), view(memory, POINTS, points)
        for index in range(len(totals)):
            last = min((index + 1) * chunk, len(targets))
            total = view(totals[index], first, points)
            for start in range(index * chunk, last, GROUP):
                count = min(GROUP, last - start)
                lines[:], products[:] = 0.0, 0.0
                z0, z1 = view(sums[0], start, count), view(sums[1], start, count)
                z2, y = view(sums[2], start, count), view(targets, start, count)
                if len(weights):
                    w = view(weights, start, count)
                    _add_weighted(z0, z1, z2, y, w, a, b, lines)
                else:
                    _add_pairs(z0, z1, z2, y, a, b, lines, products)
                fold(_ENTROPY, lines, products, total)
