"""Update rules: θ ← θ − η g, and its relatives, each written once for arrays and for compiled code.

A rule is its options, a named tuple, and two pure functions: `numbers(rule, rate, step)` are the
step's constants, and `update(θ, g, slots, numbers)` is elementwise arithmetic (+, −, ×, ÷, a root)
on single numbers or on arrays of any library. What a rule remembers between steps are its *slots*,
vectors of the size of θ that start at zero.

=========  ================================================================  =====
name       step t = 1, 2, …  (g = ∇J(θ), all operations elementwise)         slots
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

__all__ = ["RULES", "SGD", "Adam", "AdamW", "Momentum", "Nesterov", "RMSprop", "Rule", "root"]


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


def sgd_numbers(rule: SGD, rate: float, step: float) -> tuple[float, ...]:
    """η."""
    return (rate,)


def sgd(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """θ ← θ − η g."""
    return theta - numbers[0] * gradient, slots


def momentum_numbers(rule: Momentum | Nesterov, rate: float, step: float) -> tuple[float, ...]:
    """η, β."""
    return (rate, rule.beta)


def momentum(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """V ← β v + g;  θ ← θ − η v."""
    rate, beta = numbers
    velocity = beta * slots[0] + gradient
    return theta - rate * velocity, (velocity,)


def nesterov(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """V ← β v + g;  θ ← θ − η (g + β v)."""
    rate, beta = numbers
    velocity = beta * slots[0] + gradient
    return theta - rate * (gradient + beta * velocity), (velocity,)


def rmsprop_numbers(rule: RMSprop, rate: float, step: float) -> tuple[float, ...]:
    """η, ρ, 1 − ρ, ε."""
    return (rate, rule.rho, 1.0 - rule.rho, rule.epsilon)


def rmsprop(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """S ← ρ s + (1−ρ) g²;  θ ← θ − η g / (√s + ε)."""
    rate, rho, rest, epsilon = numbers
    square = rho * slots[0] + rest * gradient * gradient
    return theta - rate * gradient / (root(square) + epsilon), (square,)


def adam_numbers(rule: Adam, rate: float, step: float) -> tuple[float, ...]:
    """η/(1−β₁ᵗ), β₁, 1 − β₁, β₂, 1 − β₂, 1/(1 − β₂ᵗ), ε."""
    pace, spread = rate / (1.0 - rule.beta1**step), 1.0 / (1.0 - rule.beta2**step)
    return (
        pace, rule.beta1, 1.0 - rule.beta1, rule.beta2, 1.0 - rule.beta2, spread, rule.epsilon
    )  # fmt: skip


def adam(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """Steps of size about η in the direction of the mean gradient over its spread."""
    pace, beta1, rest1, beta2, rest2, spread, epsilon = numbers
    mean = beta1 * slots[0] + rest1 * gradient
    square = beta2 * slots[1] + rest2 * gradient * gradient
    return theta - pace * mean / (root(square * spread) + epsilon), (mean, square)


def adamw_numbers(rule: AdamW, rate: float, step: float) -> tuple[float, ...]:
    """η κ, then those of Adam."""
    pace, spread = rate / (1.0 - rule.beta1**step), 1.0 / (1.0 - rule.beta2**step)
    return (
        rate * rule.decay,
        pace, rule.beta1, 1.0 - rule.beta1, rule.beta2, 1.0 - rule.beta2, spread, rule.epsilon,
    )  # fmt: skip


def adamw(theta: Any, gradient: Any, slots: Any, numbers: Any) -> Any:
    """θ ← θ − η κ θ, then Adam."""
    decay, pace, beta1, rest1, beta2, rest2, spread, epsilon = numbers
    decayed = theta - decay * theta
    mean = beta1 * slots[0] + rest1 * gradient
    square = beta2 * slots[1] + rest2 * gradient * gradient
    return decayed - pace * mean / (root(square * spread) + epsilon), (mean, square)


@dataclass(frozen=True)
class Rule:
    """The two functions of a rule, and how many slots it has."""

    numbers: Callable[[Any, float, float], tuple[float, ...]]
    update: Callable[[Any, Any, Any, Any], Any]
    slots: int


RULES: dict[type, Rule] = {
    SGD: Rule(sgd_numbers, sgd, 0),
    Momentum: Rule(momentum_numbers, momentum, 1),
    Nesterov: Rule(momentum_numbers, nesterov, 1),
    RMSprop: Rule(rmsprop_numbers, rmsprop, 1),
    Adam: Rule(adam_numbers, adam, 2),
    AdamW: Rule(adamw_numbers, adamw, 2),
}
