"""Activations and losses on blocks of events, without branches in their loops.

The formulas, and the NumPy twins, are those of `steepest.models.layers` and
`steepest.losses`. Which one is meant is a number of `ACTIVATIONS` or `LOSSES`: so one machine code
serves all. Blocks are feature-major: logits ``(outputs, events)``, the rest ``(events,)``.

LLVM has no exponential in vector registers. Those here are loops over plain arithmetic:

==================  ==============================================================================
`exp_nonpositive`   eˣ = 2ᵏ (1 + q),  q = eʳ − 1,  r = x − k log 2, |r| ≤ ½ log 2, for x ≤ 0
`expm1_nonpositive` eˣ − 1 = 2ᵏ q + (2ᵏ − 1), without cancellation near zero, for x ≤ 0
`log1p_unit`        log(1 + t) = 2 Σⱼ s²ʲ⁺¹/(2j + 1),  s = t/(2 + t) ≤ 1/3, for 0 ≤ t ≤ 1
`log1p_nonnegative` log(1 + t) = k log 2 + log(1 + f),  1 + t = 2ᵏ (1 + f), for 0 ≤ t ≤ 10³⁰
==================  ==============================================================================

q is the Taylor polynomial, of degree 7 in float32 and 13 in float64; the series ends at j = 7 and
j = 16. The results are within two units in the last place (the logarithms within three). Below
x = −87 (float32) and −708 (float64), where eˣ is on the edge of what the type holds, it is taken at
that edge. NaN gives NaN. k is found by adding 3·2²² (float32) or 3·2⁵¹, whose last bit stands for
1: the sum's bits hold k.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from steepest.compiled.jit import helper, reduction

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "RELU",
    "activate",
    "differentiate",
    "exp_nonpositive",
    "expm1_nonpositive",
    "log1p_nonnegative",
    "log1p_unit",
    "loss_and_slope",
    "weighted_loss",
]

RELU, _TANH, _SIGMOID, _GELU = range(4)
ACTIVATIONS = {"relu": RELU, "tanh": _TANH, "sigmoid": _SIGMOID, "gelu": _GELU}
_SQUARED_ERROR, _BINARY_ENTROPY, _ENTROPY = range(3)
LOSSES = {
    "mean-squared-error": _SQUARED_ERROR,
    "binary-cross-entropy": _BINARY_ENTROPY,
    "cross-entropy": _ENTROPY,
}

_LOG2E, _LOG2 = 1.4426950408889634, 0.6931471805599453
_TAYLOR_32 = tuple(np.float32(1.0 / math.factorial(n)) for n in range(8))
_TAYLOR_64 = tuple(1.0 / math.factorial(n) for n in range(14))
_SERIES_32 = tuple(np.float32(2.0 / (2 * j + 1)) for j in range(8))
_SERIES_64 = tuple(2.0 / (2 * j + 1) for j in range(17))
_MAGIC_32, _MAGIC_64 = np.float32(3 * 2**22), float(3 * 2**51)
_LOG2E_32, _LOG2_32 = np.float32(_LOG2E), np.float32(_LOG2)
_HIGH_32 = np.float32(0.693359375)  # log 2 in so few bits that k times it is exact
_LOW_32 = np.float32(_LOG2 - 0.693359375)
_HIGH_64, _LOW_64 = 0.6931471803691238, 1.9082149292705877e-10
_LEAST_32, _LEAST_64 = np.float32(-87.0), -708.0
_ONE_32, _TWO_32 = np.float32(1.0), np.float32(2.0)


@helper
def _power_32(k):
    """2ᵏ of an integer."""
    return np.float32(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32))


@helper
def _power_64(k):
    return np.float64(np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64))


@helper
def _reduced_32(x):
    x = _LEAST_32 if x < _LEAST_32 else x
    shifted = np.float32(x * _LOG2E_32 + _MAGIC_32)
    k = shifted - _MAGIC_32
    r = (x - k * _HIGH_32) - k * _LOW_32
    c = _TAYLOR_32
    q = c[3] + r * (c[4] + r * (c[5] + r * (c[6] + r * c[7])))
    return r + r * r * (c[2] + r * q), _power_32(shifted.view(np.int32))


@helper
def _reduced_64(x):
    x = _LEAST_64 if x < _LEAST_64 else x
    shifted = np.float64(x * _LOG2E + _MAGIC_64)
    k = shifted - _MAGIC_64
    r = (x - k * _HIGH_64) - k * _LOW_64
    c = _TAYLOR_64
    q = c[10] + r * (c[11] + r * (c[12] + r * c[13]))
    q = c[6] + r * (c[7] + r * (c[8] + r * (c[9] + r * q)))
    q = c[3] + r * (c[4] + r * (c[5] + r * q))
    return r + r * r * (c[2] + r * q), _power_64(shifted.view(np.int64))


@helper
def _log1p_unit_32(t):
    s = t / (_TWO_32 + t)
    u = s * s
    c = _SERIES_32
    high = c[4] + u * (c[5] + u * (c[6] + u * c[7]))
    return s * (c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * high))))


@helper
def _log1p_unit_64(t):
    s = t / (2.0 + t)
    u = s * s
    c = _SERIES_64
    high = c[12] + u * (c[13] + u * (c[14] + u * (c[15] + u * c[16])))
    high = c[8] + u * (c[9] + u * (c[10] + u * (c[11] + u * high)))
    high = c[4] + u * (c[5] + u * (c[6] + u * (c[7] + u * high)))
    return s * (c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * high))))


@helper
def _log1p_32(t):
    k = (np.float32(t + _ONE_32).view(np.int32) >> np.int32(23)) - np.int32(127)
    shrink = _power_32(-k)
    return np.float32(k) * _LOG2_32 + _log1p_unit_32(t * shrink + (shrink - _ONE_32))


@helper
def _log1p_64(t):
    k = (np.float64(t + 1.0).view(np.int64) >> np.int64(52)) - np.int64(1023)
    shrink = _power_64(-k)
    return np.float64(k) * _LOG2 + _log1p_unit_64(t * shrink + (shrink - 1.0))


def _reduced(x: Any) -> Any:
    """(q, 2ᵏ) of x ≤ 0."""
    raise NotImplementedError  # compiled only, like the two below


def log1p_unit(t: Any) -> Any:
    """log(1 + t) for 0 ≤ t ≤ 1."""
    raise NotImplementedError


def log1p_nonnegative(t: Any) -> Any:
    """log(1 + t) for 0 ≤ t ≤ 10³⁰."""
    raise NotImplementedError


@overload(_reduced)
def _reduced_of(x):
    function = _reduced_32 if x == types.float32 else _reduced_64

    def run(x):
        return function(x)

    return run


@overload(log1p_unit)
def _log1p_unit_of(t):
    function = _log1p_unit_32 if t == types.float32 else _log1p_unit_64

    def run(t):
        return function(t)

    return run


@overload(log1p_nonnegative)
def _log1p_of(t):
    function = _log1p_32 if t == types.float32 else _log1p_64

    def run(t):
        return function(t)

    return run


@helper
def exp_nonpositive(x):
    """eˣ for x ≤ 0."""
    q, power = _reduced(x)
    return power * q + power


@helper
def expm1_nonpositive(x):
    """eˣ − 1 for x ≤ 0."""
    q, power = _reduced(x)
    return power * q + (power - type(power)(1.0))


@helper
def _tanh(z):
    less = expm1_nonpositive(type(z)(-2.0) * abs(z))
    size = -less / (type(z)(2.0) + less)
    return math.copysign(size, z), type(z)(1.0) - size * size


@helper
def _sigmoid(z):
    one = type(z)(1.0)
    tail = exp_nonpositive(-abs(z))
    below = tail / (one + tail)
    return (one / (one + tail) if z >= type(z)(0.0) else below), below / (one + tail)


@helper
def _gelu(z):
    below = type(z)(0.5) * type(z)(math.erfc(z * type(z)(-0.7071067811865476)))
    density = exp_nonpositive(type(z)(-0.5) * z * z) * type(z)(0.3989422804014327)
    return z * below, below + z * density


@helper
def activate(kind, values, slopes):
    """Replace a block's sums z, flat, by a(z), and write a′(z) to `slopes`.

    For ReLU the slopes are not written: a′(z) is 1 where a(z) > 0.
    """
    if kind == RELU:
        zero = type(values[0])(0.0)
        for i in range(len(values)):
            z = values[i]
            values[i] = zero if z <= zero else z
    elif kind == _TANH:
        for i in range(len(values)):
            values[i], slopes[i] = _tanh(values[i])
    elif kind == _SIGMOID:
        for i in range(len(values)):
            values[i], slopes[i] = _sigmoid(values[i])
    else:
        for i in range(len(values)):
            values[i], slopes[i] = _gelu(values[i])


@helper
def _squared_error(z, y):
    residual = z - y
    return residual * residual, residual + residual


@helper
def _binary_entropy(z, y):
    one, zero = type(z)(1.0), type(z)(0.0)
    tail = exp_nonpositive(-abs(z))
    above, below = one / (one + tail), tail / (one + tail)
    value = (zero if z <= zero else z) - y * z + log1p_unit(tail)
    of_z, of_minus = (above, below) if z >= zero else (below, above)
    return value, (one - y) * of_z - y * of_minus


@helper
def loss_and_slope(kind, z, y):
    """ℓ and ∂ℓ/∂z of one event, for the losses of one output; `z` and `y` of one dtype."""
    if kind == _SQUARED_ERROR:
        return _squared_error(z, y)
    return _binary_entropy(z, y)


@reduction
def _weighted_sum(values, weights):
    total = 0.0
    for i in range(len(weights)):
        total += np.float64(values[i]) * np.float64(weights[i])
    return total


@helper
def differentiate(kind, logits, targets, weights, scale, upstream, work):
    """Write s w ∂ℓ/∂z to `upstream` ``(outputs, events)``; return Σ w ℓ in float64.

    Parameters
    ----------
    kind
        A number of `LOSSES`.
    logits
        ``(outputs, events)``.
    targets, weights
        ``(events,)`` in the dtype of the logits, classes too.
    scale
        s.
    work
        ``(3, events)``: room for intermediate values; the first row is ℓ afterwards.
    """
    values = work[0]
    if kind == _ENTROPY:
        _entropy(logits, targets, weights, scale, upstream, work)
    elif kind == _SQUARED_ERROR:
        z, d = logits[0], upstream[0]
        for i in range(len(targets)):
            values[i], slope = _squared_error(z[i], targets[i])
            d[i] = slope * weights[i] * scale
    else:
        z, d = logits[0], upstream[0]
        for i in range(len(targets)):
            values[i], slope = _binary_entropy(z[i], targets[i])
            d[i] = slope * weights[i] * scale
    return _weighted_sum(values, weights)


@helper
def weighted_loss(kind, logits, targets, weights, upstream, work):
    """Return Σ w ℓ in float64, as `differentiate` does; `upstream` is room for it."""
    if kind != _BINARY_ENTROPY:
        one = type(logits[0, 0])(1.0)
        return differentiate(kind, logits, targets, weights, one, upstream, work)
    z, values = logits[0], work[0]
    zero = type(z[0])(0.0)
    for i in range(len(targets)):
        tail = exp_nonpositive(-abs(z[i]))
        values[i] = (zero if z[i] <= zero else z[i]) - targets[i] * z[i] + log1p_unit(tail)
    return _weighted_sum(values, weights)


@helper
def _entropy(logits, targets, weights, scale, upstream, work):
    """Log Σₖ e^{zₖ} − z_y = M + log(1 + Σ_{k≠y} e^{dₖ−M} + e^{−M} − 1), d = z − z_y, M = max d.

    The target's term is left out of the sum and put in again: nothing cancels.
    """
    own, largest, others = work[1], work[2], work[0]
    zero = type(logits[0, 0])(0.0)
    for i in range(len(targets)):
        own[i] = logits[int(targets[i]), i]
        largest[i] = others[i] = zero
    for k in range(len(logits)):
        z = logits[k]
        for i in range(len(targets)):
            d = z[i] - own[i]
            largest[i] = largest[i] if d <= largest[i] else d
    for k in range(len(logits)):
        z, up = logits[k], upstream[k]
        for i in range(len(targets)):
            up[i] = exp_nonpositive((z[i] - own[i]) - largest[i])
            others[i] += zero if targets[i] == k else up[i]
    for i in range(len(targets)):
        own[i] = others[i]
        rest = exp_nonpositive(-largest[i])
        others[i] = largest[i] + log1p_nonnegative(own[i] + expm1_nonpositive(-largest[i]))
        largest[i] = weights[i] * scale / (own[i] + rest)
    for k in range(len(logits)):
        up = upstream[k]
        for i in range(len(targets)):
            up[i] = largest[i] * (-own[i] if targets[i] == k else up[i])
