"""Activations a(x) with their first two derivatives.

=========  ==================  =========================  =================================
name       a(x)                a′(x)                      a″(x)
=========  ==================  =========================  =================================
relu       max(x, 0)           1 for x > 0, else 0        0
tanh       tanh x              1 − tanh² x                −2 tanh x (1 − tanh² x)
sigmoid    σ(x)                σ(x) σ(−x)                 σ(x) σ(−x) (1 − 2 σ(x))
gelu       x Φ(x)              Φ(x) + x φ(x)              φ(x) (2 − x²)
=========  ==================  =========================  =================================

Φ and φ are the normal distribution and its density (arXiv:1606.08415, the exact form).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

__all__ = ["ACTIVATIONS", "Activation"]

Array = np.ndarray
_INVERSE_SQRT_2PI = 0.3989422804014327


@dataclass(frozen=True)
class Activation:
    """An elementwise function with its first two derivatives; dtype in, dtype out.

    Examples
    --------
    >>> ACTIVATIONS["relu"].value(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    name: str
    value: Callable[[Array], Array]
    first: Callable[[Array], Array]
    second: Callable[[Array], Array]


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _relu_first(x: Array) -> Array:
    return (x > 0).astype(x.dtype)


def _tanh_first(x: Array) -> Array:
    return 1 - np.tanh(x) ** 2


def _tanh_second(x: Array) -> Array:
    t = np.tanh(x)
    return -2 * t * (1 - t**2)


def _sigmoid_first(x: Array) -> Array:
    return expit(x) * expit(-x)


def _sigmoid_second(x: Array) -> Array:
    return expit(x) * expit(-x) * (1 - 2 * expit(x))


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) * x.dtype.type(_INVERSE_SQRT_2PI)


def _gelu(x: Array) -> Array:
    return x * ndtr(x)


def _gelu_first(x: Array) -> Array:
    return ndtr(x) + x * _normal_density(x)


def _gelu_second(x: Array) -> Array:
    return _normal_density(x) * (2 - x * x)


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("relu", _relu, _relu_first, np.zeros_like),
        Activation("tanh", np.tanh, _tanh_first, _tanh_second),
        Activation("sigmoid", expit, _sigmoid_first, _sigmoid_second),
        Activation("gelu", _gelu, _gelu_first, _gelu_second),
    )
}
