"""Any dense network at many points of a surface: the layers above the first, for chunks of events.

The first layer's sums are linear in a point's coordinates c, Z(c) = Z(θ₀) + Σₖ cₖ Z(dₖ), and are
given k + 1 times instead of once for every point. The other layers' weights are mixed in the same
way at each point and multiplied by BLAS. Arrays are feature-major: ``(units, events)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from steepest.compiled.jit import helper, kernel
from steepest.compiled.pointwise import ACTIVATIONS, RELU, activate, weighted_loss

FEW = 4
"""Outputs of a layer from which on BLAS multiplies."""
_TANH = ACTIVATIONS["tanh"]
_EDGE = np.float32(8.32)
_OVER = tuple(np.float32(c) for c in (
    0.9999999904563893, 0.13424617210083564, 0.0035476636907331906, 2.1482780429791814e-05,
    1.4610072489805025e-08,
))  # fmt: skip
_UNDER = tuple(np.float32(c) for c in (
    1.0, 0.4675794184940373, 0.026074268773565615, 0.00033714518291509123, 8.280070009346798e-07
))  # fmt: skip


@helper
def _relu(z, out):
    zero = type(z[0])(0.0)
    for i in range(len(z)):  # in place this would be a conditional store, which is slow on AVX2
        out[i] = zero if z[i] <= zero else z[i]


@helper
def tanh_float32(z, out):
    """Write z P(z²)/Q(z²) = tanh z to `out`, between ±8.32, where it is one; within 3·10⁻⁷.

    The coefficients are those with the smallest largest relative error, 10⁻⁸ before rounding. It
    takes half the time of an exponential.
    """
    p, q = _OVER, _UNDER
    for i in range(len(z)):
        x = z[i]
        x = -_EDGE if x < -_EDGE else x
        x = _EDGE if x > _EDGE else x
        s = x * x
        over = x * (p[0] + s * (p[1] + s * (p[2] + s * (p[3] + s * p[4]))))
        out[i] = over / (q[0] + s * (q[1] + s * (q[2] + s * (q[3] + s * q[4]))))


def _tanh(z: Any, out: Any) -> None:
    raise NotImplementedError  # compiled only


@overload(_tanh)
def _tanh_of(z, out):
    def in_float32(z, out):
        tanh_float32(z, out)

    def in_float64(z, out):
        out[:] = z
        activate(_TANH, out, z)

    return in_float32 if z.dtype == types.float32 else in_float64


@helper
def _apply(kind, z, out):
    """Write a(z) to `out`; z is lost."""
    if kind == RELU:
        _relu(z, out)
    elif kind == _TANH:
        _tanh(z, out)
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
