"""Any dense network at many points of a surface: the layers above the first, for chunks of events.

The first layer's sums are linear in a point's coordinates c, Z(c) = Z(θ₀) + Σₖ cₖ Z(dₖ), and are
given k + 1 times instead of once for every point. The other layers' weights are mixed in the same
way at each point and multiplied by BLAS. Arrays are feature-major: ``(units, events)``.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel
from steepest.compiled.pointwise import RELU, activate, weighted_loss

FEW = 4
"""Outputs of a layer from which on BLAS multiplies."""


@helper
def _relu(z, out):
    zero = type(z[0])(0.0)
    for i in range(len(z)):  # in place this would be a conditional store, which is slow on AVX2
        out[i] = zero if z[i] <= zero else z[i]


@helper
def _apply(kind, z, out):
    """Write a(z) to `out`; z is lost."""
    if kind == RELU:
        _relu(z, out)
    else:
        out[:] = z
        activate(kind, out, z)


@helper
def _mix(rows, shares, out):
    """Σₖ shareₖ rowₖ, the first share being one."""
    if len(shares) == 3:
        start, one, two, a, b = rows[0], rows[1], rows[2], shares[1], shares[2]
        for i in range(len(out)):
            out[i] = start[i] + a * one[i] + b * two[i]
        return
    out[:] = rows[0]
    for k in range(1, len(shares)):
        row, share = rows[k], shares[k]
        for i in range(len(out)):
            out[i] += share * row[i]


@helper
def _few_outputs(weights, values, out):
    """Multiply where BLAS would be slow: ``weightsᵀ values`` for a few columns of weights."""
    units = len(weights)
    for j in range(len(out)):
        row = out[j]
        row[:] = 0.0
        for k in range(0, units - units % 4, 4):
            w0, w1, w2, w3 = weights[k, j], weights[k + 1, j], weights[k + 2, j], weights[k + 3, j]
            a0, a1, a2, a3 = values[k], values[k + 1], values[k + 2], values[k + 3]
            for i in range(len(row)):
                row[i] += w0 * a0[i] + w1 * a1[i] + w2 * a2[i] + w3 * a3[i]
        for k in range(units - units % 4, units):
            w, a = weights[k, j], values[k]
            for i in range(len(row)):
                row[i] += w * a[i]


@helper
def _add_biases(z, biases):
    for j in range(len(biases)):
        row, bias = z[j], biases[j]
        for i in range(len(row)):
            row[i] += bias


@kernel
def add_losses(activation, loss, widths, first, upper, shares, targets, weights, totals):
    """Write Σ w ℓ of a chunk of events at each point to `totals`.

    `first` ``(k + 1, units · events)`` has the first layer's sums at θ₀, d₁, …, feature-major;
    `upper` ``(k + 1, numbers)`` the entries of each above the first layer, in their order in θ;
    `widths` the units of each layer from the first on; `shares` ``(points, k + 1)`` 1 and the
    coordinates of each point; `totals` ``(points,)`` is float64.
    """
    kind, events, most, outputs = first.dtype, len(targets), np.max(widths), widths[-1]
    theta, sums = np.empty(upper.shape[1], kind), np.empty(most * events, kind)
    values = np.empty(most * events, kind)
    upstream, work = np.empty((outputs, events), kind), np.empty((3, events), kind)
    for point in range(len(shares)):
        _mix(first, shares[point], sums[: widths[0] * events])
        _mix(upper, shares[point], theta)
        at = 0
        for layer in range(1, len(widths)):
            below, units = widths[layer - 1], widths[layer]
            _apply(activation, sums[: below * events], values[: below * events])
            inputs = values[: below * events].reshape(below, events)
            out = sums[: units * events].reshape(units, events)
            matrix = theta[at : at + below * units].reshape(below, units)
            at += below * units
            if units < FEW:
                _few_outputs(matrix, inputs, out)
            else:
                np.dot(matrix.T, inputs, out)
            _add_biases(out, theta[at : at + units])
            at += units
        logits = sums[: outputs * events].reshape(outputs, events)
        totals[point] = weighted_loss(loss, logits, targets, weights, upstream, work)
