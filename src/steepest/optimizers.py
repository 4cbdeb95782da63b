"""Update rules: θ ← θ − η g, and its relatives.

A rule is one pure function of arrays. It is elementwise arithmetic (+, −, ×, ÷, a power), so the
same lines serve any array library. What a rule remembers between steps are its *slots*, vectors of
the size of θ that start at zero.

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

import numpy as np

from steepest import recipe as spec

__all__ = ["UpdateRule", "update_rule"]

Array = np.ndarray
Slots = tuple[Array, ...]


def sgd(theta: Array, gradient: Array, slots: Slots, rate: float, step: int) -> tuple[Array, Slots]:
    """θ ← θ − η g."""
    return theta - rate * gradient, slots


def momentum(
    theta: Array, gradient: Array, slots: Slots, rate: float, step: int, *, beta: float
) -> tuple[Array, Slots]:
    """V ← β v + g;  θ ← θ − η v."""
    velocity = beta * slots[0] + gradient
    return theta - rate * velocity, (velocity,)


def nesterov(
    theta: Array, gradient: Array, slots: Slots, rate: float, step: int, *, beta: float
) -> tuple[Array, Slots]:
    """V ← β v + g;  θ ← θ − η (g + β v)."""
    velocity = beta * slots[0] + gradient
    return theta - rate * (gradient + beta * velocity), (velocity,)


def rmsprop(
    theta: Array, gradient: Array, slots: Slots, rate: float, step: int, *, rho: float, eps: float
) -> tuple[Array, Slots]:
    """S ← ρ s + (1−ρ) g²;  θ ← θ − η g / (√s + ε)."""
    square = rho * slots[0] + (1.0 - rho) * gradient * gradient
    return theta - rate * gradient / (square**0.5 + eps), (square,)


def adam(
    theta: Array,
    gradient: Array,
    slots: Slots,
    rate: float,
    step: int,
    *,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[Array, Slots]:
    """Steps of size about η in the direction of the mean gradient over its spread."""
    mean = beta1 * slots[0] + (1.0 - beta1) * gradient
    square = beta2 * slots[1] + (1.0 - beta2) * gradient * gradient
    scale = (square / (1.0 - beta2**step)) ** 0.5 + eps
    return theta - rate / (1.0 - beta1**step) * mean / scale, (mean, square)


def adamw(
    theta: Array,
    gradient: Array,
    slots: Slots,
    rate: float,
    step: int,
    *,
    beta1: float,
    beta2: float,
    eps: float,
    decay: Array,
) -> tuple[Array, Slots]:
    """Adam, after a decay of the weights that the gradient's statistics do not see."""
    decayed = theta - rate * decay.astype(theta.dtype, copy=False) * theta
    return adam(decayed, gradient, slots, rate, step, beta1=beta1, beta2=beta2, eps=eps)


@dataclass(frozen=True)
class UpdateRule:
    """An update rule with its options bound.

    Parameters
    ----------
    name
        As in a recipe.
    slot_count
        How many vectors of the size of θ it remembers.
    stability
        The largest stable η λ on a quadratic of curvature λ; None for rules that adapt to it.
    update
        ``(theta, gradient, slots, rate, step) -> (theta, slots)``; `step` counts from 1.

    Examples
    --------
    >>> rule = update_rule(spec.Momentum(momentum=0.5), weight_mask=np.array([True, False]))
    >>> theta, slots = np.array([1.0, 2.0]), rule.slots(np.zeros(2))
    >>> for step in (1, 2):
    ...     theta, slots = rule.update(theta, np.array([1.0, 0.0]), slots, 0.1, step)
    >>> theta
    array([0.75, 2.  ])
    """

    name: str
    slot_count: int
    stability: float | None
    update: Callable[[Array, Array, Slots, float, int], tuple[Array, Slots]]

    def slots(self, theta: Array) -> Slots:
        """The slots to start with: zeros like θ."""
        return tuple(np.zeros_like(theta) for _ in range(self.slot_count))


def update_rule(optimizer: spec.Optimizer, weight_mask: Array) -> UpdateRule:
    """Bind a recipe's optimiser; `weight_mask` says which entries weight decay acts on."""
    return _BUILDERS[optimizer.name](optimizer, weight_mask)


def _bind(
    name: str,
    slots: int,
    rule: Callable[..., tuple[Array, Slots]],
    *,
    stability: float | None = None,
    **options,
) -> UpdateRule:
    def update(theta: Array, gradient: Array, state: Slots, rate: float, step: int):
        return rule(theta, gradient, state, rate, step, **options)

    return UpdateRule(name, slots, stability, update if options else rule)


def _adam_options(options: spec.Adam | spec.AdamW) -> dict[str, float]:
    return {"beta1": options.beta1, "beta2": options.beta2, "eps": options.epsilon}


def _decay(options: spec.AdamW, mask: Array) -> Array:
    return np.where(mask, options.weight_decay, 0.0)


_BUILDERS: dict[str, Callable[..., UpdateRule]] = {
    "sgd": lambda o, mask: _bind("sgd", 0, sgd, stability=2.0),
    "momentum": lambda o, mask: _bind(
        "momentum", 1, momentum, stability=2.0 * (1.0 + o.momentum), beta=o.momentum
    ),
    "nesterov": lambda o, mask: _bind(
        "nesterov",
        1,
        nesterov,
        stability=2.0 * (1.0 + o.momentum) / (1.0 + 2.0 * o.momentum),
        beta=o.momentum,
    ),
    "rmsprop": lambda o, mask: _bind("rmsprop", 1, rmsprop, rho=o.decay, eps=o.epsilon),
    "adam": lambda o, mask: _bind("adam", 2, adam, **_adam_options(o)),
    "adamw": lambda o, mask: _bind("adamw", 2, adamw, decay=_decay(o, mask), **_adam_options(o)),
}
