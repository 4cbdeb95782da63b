"""Functions of one number, without branches, so that loops over them are vectorised.

============================  ====================================================================
`exp_below(x)`, x ≤ 0         eˣ = 2ᵏ (1 + q),  q = eʳ − 1,  r = x − k log 2, |r| ≤ ½ log 2
`expm1_below(x)`, x ≤ 0       eˣ − 1 = 2ᵏ q + (2ᵏ − 1), without cancellation near zero
`log1p_unit(t)`, 0 ≤ t ≤ 1    log(1 + t) = 2 Σⱼ s²ʲ⁺¹/(2j + 1),  s = t/(2 + t) ≤ 1/3
`log1p_above(t)`, 0 ≤ t       log(1 + t) = k log 2 + log(1 + f),  1 + t = 2ᵏ (1 + f),  0 ≤ f ≤ 1
============================  ====================================================================

q is the Taylor polynomial, of degree 7 in float32 and 13 in float64; the series ends at j = 7 and
j = 16: what is left out is below half a unit in the last place, and the results are within two
units (the logarithms within three; `log1p_above` up to t = 10³⁰). Below x = −87 (float32) and −708
(float64), where eˣ is on the edge of what the type holds, it is taken at that edge. NaN gives NaN.
The NumPy twins are `numpy.exp`, `expm1` and `log1p`.

k is found by adding 3·2²² (float32) or 3·2⁵¹, whose last bit stands for 1: the sum's bits hold k.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from steepest.kernels.compiled import intrinsic, overload, part

__all__ = ["exp_below", "expm1_below", "log1p_above", "log1p_unit"]

_LOG2E, _LOG2 = 1.4426950408889634, 0.6931471805599453
_F = tuple(np.float32(1.0 / math.factorial(n)) for n in range(8))
_D = tuple(1.0 / math.factorial(n) for n in range(14))
_SERIES_F = tuple(np.float32(2.0 / (2 * j + 1)) for j in range(8))
_SERIES_D = tuple(2.0 / (2 * j + 1) for j in range(17))
_LOW_F, _LOG2E_F = np.float32(-87.0), np.float32(_LOG2E)
_MAGIC_F, _MAGIC_D = np.float32(3 * 2**22), float(3 * 2**51)
_HIGH_F = np.float32(0.693359375)  # log 2 in so few bits that k times it is exact
_REST_F = np.float32(_LOG2 - 0.693359375)
_HIGH_D = 0.6931471803691238
_REST_D = 1.9082149292705877e-10
_ZERO_F, _ONE_F, _TWO_F = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_LOG2_F = np.float32(_LOG2)


@intrinsic
def _bits(typing, value, target):
    """The bits of a number, read as one of the target's type."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return target(value, target), generate


def _reduced(x: Any) -> Any:
    """(q, 2ᵏ) of x ≤ 0; compiled for each type from the two below."""
    return np.expm1(x), 1.0


@part
def _reduced_32(x):
    x = _LOW_F if x < _LOW_F else x
    shifted = x * _LOG2E_F + _MAGIC_F
    k = shifted - _MAGIC_F
    r = (x - k * _HIGH_F) - k * _REST_F
    q = _F[3] + r * (_F[4] + r * (_F[5] + r * (_F[6] + r * _F[7])))
    q = r + r * r * (_F[2] + r * q)
    exponent = _bits(shifted, np.int32(0)) + np.int32(127)
    return q, _bits(np.int32(exponent << np.int32(23)), _ZERO_F)


@part
def _reduced_64(x):
    x = -708.0 if x < -708.0 else x
    shifted = x * _LOG2E + _MAGIC_D
    k = shifted - _MAGIC_D
    r = (x - k * _HIGH_D) - k * _REST_D
    q = _D[10] + r * (_D[11] + r * (_D[12] + r * _D[13]))
    q = _D[6] + r * (_D[7] + r * (_D[8] + r * (_D[9] + r * q)))
    q = _D[3] + r * (_D[4] + r * (_D[5] + r * q))
    q = r + r * r * (_D[2] + r * q)
    exponent = _bits(shifted, np.int64(0)) + np.int64(1023)
    return q, _bits(np.int64(exponent << np.int64(52)), 0.0)


@overload(_reduced)
def _reduced_of(x):
    function = _reduced_32 if x == types.float32 else _reduced_64

    def run(x):
        return function(x)

    return run


@part
def exp_below(x):
    """eˣ for x ≤ 0."""
    q, power = _reduced(x)
    return power * q + power


@part
def expm1_below(x):
    """eˣ − 1 for x ≤ 0."""
    q, power = _reduced(x)
    return power * q + (power - type(power)(1.0))


def log1p_unit(t: Any) -> Any:
    """log(1 + t) for 0 ≤ t ≤ 1."""
    return np.log1p(t)


@part
def _log1p_32(t):
    s = t / (_TWO_F + t)
    u = s * s
    c = _SERIES_F
    high = c[4] + u * (c[5] + u * (c[6] + u * c[7]))
    return s * (c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * high))))


@part
def _log1p_64(t):
    s = t / (2.0 + t)
    u = s * s
    c = _SERIES_D
    high = c[12] + u * (c[13] + u * (c[14] + u * (c[15] + u * c[16])))
    high = c[8] + u * (c[9] + u * (c[10] + u * (c[11] + u * high)))
    high = c[4] + u * (c[5] + u * (c[6] + u * (c[7] + u * high)))
    return s * (c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * high))))


@overload(log1p_unit)
def _log1p_of(t):
    function = _log1p_32 if t == types.float32 else _log1p_64

    def run(t):
        return function(t)

    return run


def log1p_above(t: Any) -> Any:
    """log(1 + t) for 0 ≤ t ≤ 10³⁰."""
    return np.log1p(t)


@part
def _log1p_above_32(t):
    exponent = (_bits(t + _ONE_F, np.int32(0)) >> np.int32(23)) - np.int32(127)
    shrink = _bits(np.int32((np.int32(127) - exponent) << np.int32(23)), _ZERO_F)
    return np.float32(exponent) * _LOG2_F + _log1p_32(t * shrink + (shrink - _ONE_F))


@part
def _log1p_above_64(t):
    exponent = (_bits(t + 1.0, np.int64(0)) >> np.int64(52)) - np.int64(1023)
    shrink = _bits(np.int64((np.int64(1023) - exponent) << np.int64(52)), 0.0)
    return np.float64(exponent) * _LOG2 + _log1p_64(t * shrink + (shrink - 1.0))


@overload(log1p_above)
def _log1p_above_of(t):
    function = _log1p_above_32 if t == types.float32 else _log1p_above_64

    def run(t):
        return function(t)

    return run
