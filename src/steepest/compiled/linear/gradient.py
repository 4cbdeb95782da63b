"""The gradient of a linear model with one output over many events.

    z = X w + b;  J = 1/m Σ v ℓ(z, y);  d = v/m ∂ℓ/∂z;  ∂J/∂w = Xᵀ d,  ∂J/∂b = 1ᵀ d;  θ = (w, b)

with event weights v. The events go by in blocks of 64, which stay in the first cache between the
two products, so that X is read from memory once. Sums over 512 events are taken in the dtype of θ,
and those over all in float64.

The NumPy twin is `DenseObjective` on fewer events than it has compiled code for.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel, reduction
from steepest.compiled.linear.products import ROWS, add_products, logits, width_of
from steepest.compiled.pointwise import differentiate
from steepest.compiled.updates import copy

__all__ = ["BLOCK", "add_batch", "add_gradient", "new_buffers"]

BLOCK, BLOCKS = 64, 8
"""Events of a block, and blocks whose sums are taken in the dtype of θ."""


@helper
def new_buffers(theta):
    """Buffers of `add_batch`: a block's rows, the weights of θ, sums of Xᵀ d; z, d, ones and ℓ."""
    n = len(theta) - 1
    width = width_of(n, theta.itemsize)
    rows, w = np.zeros(BLOCK * n + width, theta.dtype), np.zeros(width, theta.dtype)
    return rows, w, np.zeros(width, theta.dtype), np.ones((4, BLOCK), theta.dtype)


@reduction
def _sum(values, count):
    total = values.dtype.type(0.0)
    for i in range(count):
        total += values[i]
    return total


@helper
def _add_block(loss, rows, n, targets, weights, bias, scale, w, sums, vectors):
    """Add Xᵀ d of a block's events to `sums`; return Σ v ℓ and 1ᵀ d."""
    count, z, d = len(targets), vectors[0], vectors[1]
    whole = (count + ROWS - 1) // ROWS * ROWS
    v = weights if len(weights) else vectors[2, :count]
    logits(rows, whole, n, w, bias, z)
    total = differentiate(loss, vectors[:1], targets, v, scale, vectors[1:2], vectors[3:])
    d[count:whole] = 0.0
    add_products(rows, whole, n, d, sums)
    return total, _sum(d, count)


@helper
def add_batch(loss, theta, inputs, targets, weights, scale, gradient, buffers):
    """Add `scale` times the events' gradient to a float64 one ``(n + 1,)``; return Σ v ℓ.

    `inputs` is flat; of the weights none are an empty array.
    """
    rows, w, sums, vectors = buffers
    n, events, total = len(theta) - 1, len(targets), 0.0
    copy(theta, n, w)
    for first in range(0, events, BLOCK):
        last = min(first + BLOCK, events)
        x, y, v = inputs[first * n :], targets[first:last], weights[first:last]
        if len(x) >= BLOCK * n + len(w):
            value, slopes = _add_block(loss, x, n, y, v, theta[n], scale, w, sums, vectors)
        else:  # what is behind the last row must be finite
            copy(x, (last - first) * n, rows)
            value, slopes = _add_block(loss, rows, n, y, v, theta[n], scale, w, sums, vectors)
        total += value
        gradient[n] += slopes
        if last == events or first // BLOCK % BLOCKS == BLOCKS - 1:
            for j in range(n):
                gradient[j] += np.float64(sums[j])
            sums[:] = 0.0
    return total


@kernel
def add_gradient(loss, theta, inputs, targets, weights, scale, gradient):
    """Add `scale` times the events' gradient to a float64 one ``(n + 1,)``; return Σ v ℓ.

    `inputs` ``(events * n,)``, targets and weights (none are an empty array) are of the dtype of θ.
    """
    buffers = new_buffers(theta)
    return add_batch(loss, theta, inputs, targets, weights, scale, gradient, buffers)
