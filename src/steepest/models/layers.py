"""A dense network's activations, and its passes as matrix products.

=========  ==================  =========================  =================================
name       a(x)                a′(x)                      a″(x)
=========  ==================  =========================  =================================
relu       max(x, 0)           1 for x > 0, else 0        0
tanh       tanh x              1 − tanh² x                −2 tanh x (1 − tanh² x)
sigmoid    σ(x)                σ(x) σ(−x)                 σ(x) σ(−x) (1 − 2 σ(x))
gelu       x Φ(x)              Φ(x) + x φ(x)              φ(x) (2 − x²)
=========  ==================  =========================  =================================

Φ and φ are the normal distribution and its density (arXiv:1606.08415, the exact form).

With A₀ = X, layers l = 1 … L of weights Wₗ ``(fan in, fan out)`` and biases bₗ, activation a:

    forward    Zₗ = Aₗ₋₁ Wₗ + bₗ,  Aₗ = a(Zₗ),  logits = Z_L
    backward   D_L = ∂ΣJ/∂Z_L,  ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ,  ∂J/∂bₗ = 1ᵀ Dₗ,  Dₗ₋₁ = (Dₗ Wₗᵀ) ∘ a′(Zₗ₋₁)

The product of the Hessian with a vector differentiates both passes in its direction (Pearlmutter,
Neural Computation 6 (1994) 147). Without a hidden layer, backward is Xᵀ D: for the mean squared
error 2/m Xᵀ(Xθ − y).

Shapes: ``(events, features)`` in, ``(events, outputs)`` out. dtype is that of the arrays given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steepest.losses import sigmoid

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

    value: Callable[[Array], Array]
    first: Callable[[Array], Array]
    second: Callable[[Array], Array]


def _tanh_second(x: Array) -> Array:
    t = np.tanh(x)
    return -2 * t * (1 - t**2)


def _normal_probability(x: Array) -> Array:
    from scipy.special import ndtr

    return ndtr(x)


def _normal_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) * x.dtype.type(_INVERSE_SQRT_2PI)


ACTIVATIONS = {
    "relu": Activation(
        lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype), np.zeros_like
    ),
    "tanh": Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2, _tanh_second),
    "sigmoid": Activation(
        sigmoid,
        lambda x: sigmoid(x) * sigmoid(-x),
        lambda x: sigmoid(x) * sigmoid(-x) * (1 - 2 * sigmoid(x)),
    ),
    "gelu": Activation(
        lambda x: x * _normal_probability(x),
        lambda x: _normal_probability(x) + x * _normal_density(x),
        lambda x: _normal_density(x) * (2 - x * x),
    ),
}


@dataclass(frozen=True)
class Layer:
    """The weights ``(fan in, fan out)`` and biases ``(fan out,)`` of one layer."""

    weights: Array
    biases: Array


@dataclass(frozen=True)
class Passes:
    """The arrays of a forward pass, or their derivatives along a direction of θ."""

    inputs: list[Array]  # A₀ … A_{L−1}: the input of each layer
    sums: list[Array]  # Z₁ … Z_L: the weighted sums of each layer; the last are the logits


def logits(layers: Sequence[Layer], activation: Activation, inputs: Array) -> Array:
    """The logits alone, ``(events, outputs)``, without keeping the intermediate arrays."""
    values = inputs
    for layer in layers[:-1]:
        values = activation.value(values @ layer.weights + layer.biases)
    return values @ layers[-1].weights + layers[-1].biases


def forward(layers: Sequence[Layer], activation: Activation, inputs: Array) -> Passes:
    """Zₗ = Aₗ₋₁ Wₗ + bₗ and Aₗ = a(Zₗ) for every layer."""
    given, sums = [inputs], []
    for layer in layers:
        sums.append(given[-1] @ layer.weights + layer.biases)
        if len(sums) < len(layers):
            given.append(activation.value(sums[-1]))
    return Passes(given, sums)


def backward(
    layers: Sequence[Layer],
    activation: Activation,
    passes: Passes,
    upstream: Array,
    out: Sequence[Layer],
) -> None:
    """Add ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ and ∂J/∂bₗ = 1ᵀ Dₗ to `out`, given D_L = `upstream`."""
    signal = upstream
    for index in range(len(layers) - 1, -1, -1):
        out[index].weights[...] += passes.inputs[index].T @ signal
        out[index].biases[...] += signal.sum(axis=0)
        if index > 0:
            signal = (signal @ layers[index].weights.T) * activation.first(passes.sums[index - 1])


def hessian_vector(
    layers: Sequence[Layer],
    activation: Activation,
    passes: Passes,
    directions: Sequence[Layer],
    upstream: Array,
    upstream_change: Array,
    changes: Passes,
    out: Sequence[Layer],
) -> None:
    """Add the directional derivative of the gradient to `out`.

    `upstream` is D_L and `upstream_change` its derivative along `directions`; `changes` are those
    of the forward pass, from `forward_changes`.
    """
    signal, change = upstream, upstream_change
    for index in range(len(layers) - 1, -1, -1):
        out[index].weights[...] += (
            passes.inputs[index].T @ change + changes.inputs[index].T @ signal
        )
        out[index].biases[...] += change.sum(axis=0)
        if index > 0:
            sums, sums_change = passes.sums[index - 1], changes.sums[index - 1]
            below = signal @ layers[index].weights.T
            below_change = change @ layers[index].weights.T + signal @ directions[index].weights.T
            slope = activation.first(sums)
            change = below_change * slope + below * activation.second(sums) * sums_change
            signal = below * slope


def forward_changes(
    layers: Sequence[Layer],
    activation: Activation,
    passes: Passes,
    directions: Sequence[Layer],
) -> Passes:
    """d/dε of the forward pass at θ + ε·direction, for every layer."""
    inputs, sums = [np.zeros_like(passes.inputs[0])], []
    for index, (layer, direction) in enumerate(zip(layers, directions, strict=True)):
        change = passes.inputs[index] @ direction.weights + direction.biases
        if index > 0:
            change += inputs[-1] @ layer.weights
        sums.append(change)
        if len(sums) < len(layers):
            inputs.append(activation.first(passes.sums[index]) * change)
    return Passes(inputs, sums)
