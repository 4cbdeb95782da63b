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

RELU, _TANH, _SIGMOID, _GELU = range(4)
ACTIVATIONS = {"relu": RELU, "tanh": _TANH, "sigmoid": _SIGMOID, "gelu": _GELU}
_SQUARED_ERROR, _BINARY_ENTROPY, _ENTROPY = range(3)
LOSSES = {
    "mean-squared-error": _SQUARED_ERROR,
    "binary-cross-entropy": _BINARY_ENTROPY,
    "cross-entropy": _ENTROPY,
}

_LOG2E, _LOG2 = 1.4426950408889634, 0.6931471805599453


def _of_type(real, integer, bits, bias, high, low, least, degree, terms):
    """(q, 2ᵏ) of x ≤ 0, log(1 + t) for t ≤ 1 and for t ≥ 0, in float32 or float64.

    log 2 = `high` + `low`, with so few bits in `high` that k times it is exact.
    """
    one, two, log2e, log2 = real(1.0), real(2.0), real(_LOG2E), real(_LOG2)
    magic, high, low, least = map(real, (3 * 2.0 ** (bits - 1), high, low, least))
    taylor = tuple(real(1.0 / math.factorial(n)) for n in range(degree + 1))
    series = tuple(real(2.0 / (2 * j + 1)) for j in range(terms + 1))

    @helper
    def power(k):
        return real(integer((integer(k) + integer(bias)) << integer(bits)).view(real))

    @helper
    def reduced(x):
        x = least if x < least else x
        shifted = real(x * log2e + magic)
        k = shifted - magic
        r = (x - k * high) - k * low
        q = taylor[degree]
        for n in range(degree - 1, 1, -1):
            q = taylor[n] + r * q
        return r + r * r * q, power(shifted.view(integer))

    @helper
    def log1p_small(t):
        s = t / (two + t)
        u, q = s * s, series[terms]
        for j in range(terms - 1, -1, -1):
            q = series[j] + u * q
        return s * q

    @helper
    def log1p_any(t):
        k = (real(t + one).view(integer) >> integer(bits)) - integer(bias)
        shrink = power(-k)
        return real(k) * log2 + log1p_small(t * shrink + (shrink - one))

    return reduced, log1p_small, log1p_any


_FLOAT32 = _of_type(np.float32, np.int32, 23, 127, 0.693359375, _LOG2 - 0.693359375, -87.0, 7, 7)
_FLOAT64 = _of_type(
    np.float64, np.int64, 52, 1023, 0.6931471803691238, 1.9082149292705877e-10, -708.0, 13, 16
)


def _by_type(number: int) -> Any:
    """The function of that number of `_of_type`, for the type of its argument."""

    def called(x: Any) -> Any:
        raise NotImplementedError  # compiled only

    @overload(called)
    def chosen(x):
        function = (_FLOAT32 if x == types.float32 else _FLOAT64)[number]

        def run(x):
            return function(x)

        return run

    return called


_reduced, log1p_unit, log1p_nonnegative = map(_by_type, range(3))


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
def positive_part(z, y):
    """max(z, 0) − y z; NaN stays NaN."""
    return (type(z)(0.0) if z <= type(z)(0.0) else z) - y * z


@helper
def _binary_entropy(z, y):
    one, zero = type(z)(1.0), type(z)(0.0)
    tail = exp_nonpositive(-abs(z))
    above, below = one / (one + tail), tail / (one + tail)
    value = positive_part(z, y) + log1p_unit(tail)
    of_z, of_minus = (above, below) if z >= zero else (below, above)
    return value, (one - y) * of_z - y * of_minus


@helper
def loss_and_slope(kind, z, y):
    """ℓ and ∂ℓ/∂z of one event, for the losses of one output; `z` and `y` of one dtype."""
    if kind == _SQUARED_ERROR:
        return _squared_error(z, y)
    return _binary_entropy(z, y)


@helper
def add_event(loss, z, y, weight, out):
    """Add w ℓ of one event to `out`, from its logit z at each point; for losses of one output."""
    if loss == _SQUARED_ERROR:
        for i in range(len(z)):
            out[i] += weight * ((z[i] - y) * (z[i] - y))
    else:
        for i in range(len(z)):
            entropy = positive_part(z[i], y) + log1p_unit(exp_nonpositive(-abs(z[i])))
            out[i] += weight * entropy


@reduction
def _weighted_sum(values, weights):
    total = 0.0
    for i in range(len(weights)):
        total += np.float64(values[i]) * np.float64(weights[i])
    return total


@reduction
def write_slopes(kind, z, targets, first, weights, scale, count, slopes):
    """Write s w ∂ℓ/∂z of `count` events, with targets from `first` on, for losses of one output.

    Return Σ w ℓ in float64, and the sum of what is written. Loops of no turns stand for branches,
    in which Numba would count references to the arrays.
    """
    squared = np.uint64(count if kind == _SQUARED_ERROR else 0)
    total, of_slopes, place = 0.0, scale - scale, np.uint64(first)
    for i in range(squared):
        value, slope = _squared_error(z[i], targets[place + i])
        slopes[i] = slope * weights[i] * scale
        of_slopes += slopes[i]
        total += np.float64(value) * np.float64(weights[i])
    for i in range(np.uint64(count) - squared):
        value, slope = _binary_entropy(z[i], targets[place + i])
        slopes[i] = slope * weights[i] * scale
        of_slopes += slopes[i]
        total += np.float64(value) * np.float64(weights[i])
    return total, of_slopes


@helper
def differentiate(kind, logits, targets, weights, scale, upstream, work):
    """Write s w ∂ℓ/∂z to `upstream` ``(outputs, events)``; return Σ w ℓ in float64.

    Targets are in the dtype of the logits, classes too. `work` ``(3, events)`` is for intermediate
    values; its first row is ℓ afterwards, and losses of one output need no other.
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
    for i in range(len(targets)):
        tail = exp_nonpositive(-abs(z[i]))
        values[i] = positive_part(z[i], targets[i]) + log1p_unit(tail)
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
