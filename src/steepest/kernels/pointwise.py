"""Activations and losses for compiled code, each chosen by its type.

An activation gives a(z) and a′(z) at once; a loss takes a block of logits, targets and weights and
gives Σ w ℓ and s w ∂ℓ/∂z.
The formulas, and the NumPy twins, are those of `steepest.kernels.activations` and
`steepest.losses`. Named tuples say which is meant: Numba compiles what a run needs and no more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from steepest.kernels.compiled import overload, part, sums
from steepest.kernels.elementary import exp_below, expm1_below, log1p_unit
from steepest.kernels.vector import view

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "activate",
    "add_up",
    "differentiate",
    "loss_and_slope",
    "rectifies",
]


class ReLU(NamedTuple):
    """max(z, 0)."""


class Tanh(NamedTuple):
    """tanh z."""


class Sigmoid(NamedTuple):
    """σ(z)."""


class GELU(NamedTuple):
    """z Φ(z)."""


class SquaredError(NamedTuple):
    """(z − y)²."""


class BinaryEntropy(NamedTuple):
    """log(1 + eᶻ) − y z."""


class Entropy(NamedTuple):
    """log Σₖ e^{zₖ} − z_y."""


ACTIVATIONS: dict[str, Any] = {
    "relu": ReLU(), "tanh": Tanh(), "sigmoid": Sigmoid(), "gelu": GELU()
}  # fmt: skip
LOSSES: dict[str, Any] = {
    "mean-squared-error": SquaredError(),
    "binary-cross-entropy": BinaryEntropy(),
    "cross-entropy": Entropy(),
}


def activate(kind: Any, sums: Any, values: Any) -> None:
    """Write a(z) to `values` and a′(z) over the sums z, both ``(n,)``."""
    raise NotImplementedError  # compiled only


def rectifies(kind: Any) -> bool:
    """Whether a(z) is z where that is positive and else zero, so that a′ is known by a(z)."""
    raise NotImplementedError  # compiled only


def differentiate(kind: Any, logits: Any, outputs: int, targets: Any, weights: Any, scale: Any,
                  upstream: Any, values: Any) -> float:  # fmt: skip
    """Write s w ∂ℓ/∂z to `upstream`, w ℓ's ℓ to `values`; return Σ w ℓ in float64."""
    raise NotImplementedError  # compiled only


def add_up(kind: Any, logits: Any, outputs: int, targets: Any, weights: Any, upstream: Any,
           values: Any) -> float:  # fmt: skip
    """Return Σ w ℓ in float64 as `differentiate` does, without the slopes where these cost more."""
    raise NotImplementedError  # compiled only


@part
def _relu(z):
    one, zero = type(z)(1.0), type(z)(0.0)
    return (zero if z <= zero else z), (one if z > zero else zero)


@part
def _tanh(z):
    less = expm1_below(type(z)(-2.0) * abs(z))
    size = -less / (type(z)(2.0) + less)
    return math.copysign(size, z), type(z)(1.0) - size * size


@part
def _sigmoid(z):
    one = type(z)(1.0)
    tail = exp_below(-abs(z))
    below = tail / (one + tail)
    return (one / (one + tail) if z >= type(z)(0.0) else below), below / (one + tail)


@part
def _gelu(z):
    part_below = type(z)(0.5) * type(z)(math.erfc(z * type(z)(-0.7071067811865476)))
    density = exp_below(type(z)(-0.5) * z * z) * type(z)(0.3989422804014327)
    return z * part_below, part_below + z * density


_ACTIVATIONS = {ReLU: _relu, Tanh: _tanh, Sigmoid: _sigmoid, GELU: _gelu}


@overload(activate)
def _activate(kind, sums, values):
    function = _ACTIVATIONS[kind.instance_class]

    def run(kind, sums, values):
        for i in range(len(sums)):
            values[i], sums[i] = function(sums[i])

    return run


@overload(rectifies)
def _rectifies(kind):
    return (lambda kind: True) if kind.instance_class is ReLU else (lambda kind: False)


@part
def _squared_error(z, y):
    residual = z - y
    return residual * residual, residual + residual


@part
def _binary_entropy(z, y):
    one, zero = type(z)(1.0), type(z)(0.0)
    tail = exp_below(-abs(z))
    above, below = one / (one + tail), tail / (one + tail)
    value = (zero if z <= zero else z) - y * z + log1p_unit(tail)
    of_z, of_minus = (above, below) if z >= zero else (below, above)
    return value, (one - y) * of_z - y * of_minus


@part
def _binary_entropy_alone(z, y):
    zero = type(z)(0.0)
    return (zero if z <= zero else z) - y * z + log1p_unit(exp_below(-abs(z)))


@sums
def _weighted_sum(values, weights):
    total = 0.0
    for i in range(len(weights)):
        total += np.float64(values[i]) * np.float64(weights[i])
    return total


_SINGLE = {SquaredError: _squared_error, BinaryEntropy: _binary_entropy}


def loss_and_slope(kind: Any, logit: Any, target: Any) -> Any:
    """ℓ and ∂ℓ/∂z of one event, for a loss of one output."""
    raise NotImplementedError  # compiled only


@overload(loss_and_slope)
def _loss_and_slope(kind, logit, target):
    function = _SINGLE[kind.instance_class]
    return lambda kind, logit, target: function(logit, target)


@overload(differentiate)
def _differentiate(kind, logits, outputs, targets, weights, scale, upstream, values):
    if kind.instance_class is Entropy:
        return _entropy_block
    function = _SINGLE[kind.instance_class]

    def run(kind, logits, outputs, targets, weights, scale, upstream, values):
        for i in range(len(targets)):
            value, slope = function(logits[i], targets[i])
            values[i] = value
            upstream[i] = slope * weights[i] * scale
        return _weighted_sum(values, weights)

    return run


@overload(add_up)
def _add_up(kind, logits, outputs, targets, weights, upstream, values):
    def alone(kind, logits, outputs, targets, weights, upstream, values):
        for i in range(len(targets)):
            values[i] = _binary_entropy_alone(logits[i], targets[i])
        return _weighted_sum(values, weights)

    def with_slopes(kind, logits, outputs, targets, weights, upstream, values):
        one = values.dtype.type(1.0)
        return differentiate(kind, logits, outputs, targets, weights, one, upstream, values)

    return alone if kind.instance_class is BinaryEntropy else with_slopes


def _entropy_block(kind, logits, outputs, targets, weights, scale, upstream, values):
    """The target's term is left out of the sum and put in again: nothing cancels."""
    total, width = 0.0, len(logits) // len(targets)
    for i in range(len(targets)):
        z, d = view(logits, i * width, width), view(upstream, i * width, width)
        y = int(targets[i])
        largest = z[0] - z[y]
        for k in range(1, outputs):
            difference = z[k] - z[y]
            largest = difference if not difference <= largest else largest
        others = type(scale)(0.0)
        for k in range(outputs):
            d[k] = exp_below((z[k] - z[y]) - largest)
            if k != y:
                others += d[k]
        total += np.float64(weights[i]) * np.float64(
            largest + math.log1p(others + math.expm1(-largest))
        )
        share = weights[i] * scale / (others + exp_below(-largest))
        for k in range(outputs):
            d[k] *= share
        d[y] = -others * share
    return total
