"""Update rules: θ ← θ − η g, and its relatives, each written once for arrays and for compiled code.

A rule is its options, a named tuple of floats, and two pure functions.
``constants(options, η, t)`` are the numbers of step t. ``update(θ, g, state, constants)`` is
elementwise arithmetic (+, −, ×, ÷, a root) on single numbers or on arrays of any library, and
returns the new θ and state. The *state* of an optimiser are vectors of the size of θ that start at
zero, none, one or two of them. `steepest.compiled.updates` compiles the same functions.

=========  ================================================================  =====
name       step t = 1, 2, …  (g = ∇J(θ), all operations elementwise)         state
=========  ================================================================  =====
sgd        θ ← θ − η g                                                       0
momentum   v ← β v + g;  θ ← θ − η v                                         1
nesterov   v ← β v + g;  θ ← θ − η (g + β v)                                 1
rmsprop    s ← ρ s + (1−ρ) g²;  θ ← θ − η g / (√s + ε)                       1
adam       m ← β₁ m + (1−β₁) g;  s ← β₂ s + (1−β₂) g²;                       2
           θ ← θ − η (m/(1−β₁ᵗ)) / (√(s/(1−β₂ᵗ)) + ε)
adamw      θ ← θ − η κ W, then adam; W are the weights without the biases    2
=========  ================================================================  =====

Sources: Polyak 1964; Sutskever et al. 2013; Tieleman and Hinton 2012; arXiv:1412.6980;
arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class SGD(NamedTuple):
    """θ ← θ − η g."""


class Momentum(NamedTuple):
    """The gradient's running sum, with memory β."""

    beta: float


class Nesterov(NamedTuple):
    """Momentum that looks one step ahead."""

    beta: float


class RMSprop(NamedTuple):
    """The gradient over its root mean square, with memory ρ."""

    rho: float
    epsilon: float


class Adam(NamedTuple):
    """The mean gradient over its root mean square, with memories β₁ and β₂."""

    beta1: float
    beta2: float
    epsilon: float


class AdamW(NamedTuple):
    """Adam, after a decay κ of the weights that the gradient's statistics do not see."""

    beta1: float
    beta2: float
    epsilon: float
    decay: float


def root(x: Any) -> Any:
    """√x; compiled code takes the processor's own."""
    return x**0.5


def sgd_constants(options: Any, rate: float, step: float) -> tuple[float, ...]:
    """η."""
    return (rate,)


def sgd(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """θ ← θ − η g."""
    return theta - constants[0] * gradient, state


def momentum_constants(options: Any, rate: float, step: float) -> tuple[float, ...]:
    """η, β."""
    return (rate, options[0])


def momentum(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """V ← β v + g;  θ ← θ − η v."""
    rate, beta = constants
    velocity = beta * state[0] + gradient
    return theta - rate * velocity, (velocity,)


def nesterov(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """V ← β v + g;  θ ← θ − η (g + β v)."""
    rate, beta = constants
    velocity = beta * state[0] + gradient
    return theta - rate * (gradient + beta * velocity), (velocity,)


def rmsprop_constants(options: Any, rate: float, step: float) -> tuple[float, ...]:
    """η, ρ, 1 − ρ, ε."""
    return (rate, options[0], 1.0 - options[0], options[1])


def rmsprop(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """S ← ρ s + (1−ρ) g²;  θ ← θ − η g / (√s + ε)."""
    rate, rho, rest, epsilon = constants
    square = rho * state[0] + rest * gradient * gradient
    return theta - rate * gradient / (root(square) + epsilon), (square,)


def adam_constants(options: Any, rate: float, step: float) -> tuple[float, ...]:
    """η/(1−β₁ᵗ), β₁, 1 − β₁, β₂, 1 − β₂, 1/(1 − β₂ᵗ), ε."""
    beta1, beta2 = options[0], options[1]
    pace, spread = rate / (1.0 - beta1**step), 1.0 / (1.0 - beta2**step)
    return pace, beta1, 1.0 - beta1, beta2, 1.0 - beta2, spread, options[2]


def adam(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """Steps of size about η in the direction of the mean gradient over its spread."""
    pace, beta1, rest1, beta2, rest2, spread, epsilon = constants
    mean = beta1 * state[0] + rest1 * gradient
    square = beta2 * state[1] + rest2 * gradient * gradient
    return theta - pace * mean / (root(square * spread) + epsilon), (mean, square)


def adamw_constants(options: Any, rate: float, step: float) -> tuple[float, ...]:
    """Those of Adam, then η κ."""
    return (*adam_constants(options, rate, step), rate * options[3])


def adamw(theta: Any, gradient: Any, state: Any, constants: Any) -> Any:
    """θ ← θ − η κ θ, then Adam."""
    return adam(theta - constants[7] * theta, gradient, state, constants[:7])


@dataclass(frozen=True)
class Rule:
    """The two functions of a rule, and how many vectors its state has."""

    constants: Callable[[Any, float, float], tuple[float, ...]]
    update: Callable[[Any, Any, Any, Any], Any]
    state: int


RULES: dict[type, Rule] = {
    SGD: Rule(sgd_constants, sgd, 0),
    Momentum: Rule(momentum_constants, momentum, 1),
    Nesterov: Rule(momentum_constants, nesterov, 1),
    RMSprop: Rule(rmsprop_constants, rmsprop, 1),
    Adam: Rule(adam_constants, adam, 2),
    AdamW: Rule(adamw_constants, adamw, 2),
}

CODES = {kind: code for code, kind in enumerate(RULES)}
"""Their numbers in compiled code."""
