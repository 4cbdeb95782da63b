"""Update rules of a recipe: options bound to the arithmetic of `steepest.compiled.rules`.

The formulas of sgd, momentum, nesterov, rmsprop, adam and adamw are written there, once.

The *optimizer state* is what a rule keeps between steps: vectors of the size of θ, zero at first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest import recipe as spec
from steepest.compiled import rules

__all__ = ["UpdateRule", "update_rule"]

Array = np.ndarray
OptimizerState = tuple[Array, ...]


@dataclass(frozen=True)
class UpdateRule:
    """An update rule with its options bound.

    Parameters
    ----------
    name
        As in a recipe.
    of_weights, of_biases
        The arithmetic's options for the entries of θ that are weights, and for the biases.
    weight_mask
        True for the weights, ``(size,)``.
    stability
        The largest stable η λ on a quadratic of curvature λ; None for rules that adapt to it.
    clip
        c of the gradient g · min(1, c/‖g‖) that the rule is given; None for g as it is.
    average
        d of the moving average of θ, which is the last vector of the optimiser state::

            θ̄ ← θ̄ + (1 − d_t)(θ − θ̄),   d_t = min(d, (1 + t)/(10 + t))

        so that the first steps, far from the end, are soon forgotten; None for none.

    Examples
    --------
    >>> rule = update_rule(spec.Momentum(momentum=0.5), weight_mask=np.array([True, False]))
    >>> theta, optimizer_state = np.array([1.0, 2.0]), rule.initial_state(np.zeros(2))
    >>> gradient = np.array([1.0, 0.0])
    >>> for step in (1, 2):
    ...     theta, optimizer_state = rule.update(theta, gradient, optimizer_state, 0.1, step)
    >>> theta
    array([0.75, 2.  ])
    """

    name: str
    of_weights: Any
    of_biases: Any
    weight_mask: Array
    stability: float | None = None
    clip: float | None = None
    average: float | None = None

    @property
    def state_vectors(self) -> int:
        """How many vectors of the size of θ it remembers."""
        return self._arithmetic.state + (self.average is not None)

    @property
    def is_plain(self) -> bool:
        """Whether it is the arithmetic alone, which compiled code has too."""
        return self.clip is None and self.average is None

    def shown(self, theta: Any, optimizer_state: tuple[Any, ...]) -> Any:
        """The parameters to validate and to keep: the average, if there is one, else θ."""
        return theta if self.average is None else optimizer_state[-1]

    def initial_state(self, theta: Array) -> OptimizerState:
        """The optimiser state to start with: zeros like θ; the average starts at θ."""
        vectors = tuple(np.zeros_like(theta) for _ in range(self._arithmetic.state))
        return vectors if self.average is None else (*vectors, theta.copy())

    def update(
        self,
        theta: Any,
        gradient: Any,
        optimizer_state: tuple[Any, ...],
        rate: float,
        step: int,
        mask: Any = None,
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return θ and the optimiser state after a step at η = `rate`; `step` counts from 1.

        Arrays of another library than NumPy come with `weight_mask` in that library, as numbers.
        """
        numbers = zip(
            self._arithmetic.constants(self.of_weights, rate, float(step)),
            self._arithmetic.constants(self.of_biases, rate, float(step)),
            strict=True,
        )
        mask = self.weight_mask.astype(theta.dtype) if mask is None else mask
        either = tuple(w if w == b else b + (w - b) * mask for w, b in numbers)
        if self.clip is not None:
            norm = (gradient * gradient).sum() ** 0.5
            gradient = gradient * (self.clip / norm.clip(min=self.clip))
        if self.average is None:
            return self._arithmetic.update(theta, gradient, optimizer_state, either)
        *vectors, mean = optimizer_state
        theta, state = self._arithmetic.update(theta, gradient, tuple(vectors), either)
        decay = min(self.average, (1 + step) / (10 + step))
        return theta, (*state, mean + (1.0 - decay) * (theta - mean))

    @property
    def _arithmetic(self) -> rules.Rule:
        return rules.RULES[type(self.of_weights)]


def update_rule(
    optimizer: spec.Optimizer,
    weight_mask: Array,
    clip: float | None = None,
    average: float | None = None,
) -> UpdateRule:
    """Bind a recipe's optimiser; `weight_mask` says which entries weight decay acts on."""
    options, stability = _BUILDERS[optimizer.name](optimizer)
    of_biases = options._replace(decay=0.0) if isinstance(options, rules.AdamW) else options
    return UpdateRule(optimizer.name, options, of_biases, weight_mask, stability, clip, average)


def _adam_options(options: spec.Adam | spec.AdamW) -> tuple[float, float, float]:
    return options.beta1, options.beta2, options.epsilon


_BUILDERS: dict[str, Callable[[Any], tuple[Any, float | None]]] = {
    "sgd": lambda o: (rules.SGD(), 2.0),
    "momentum": lambda o: (rules.Momentum(o.momentum), 2.0 * (1.0 + o.momentum)),
    "nesterov": lambda o: (
        rules.Nesterov(o.momentum),
        2.0 * (1.0 + o.momentum) / (1.0 + 2.0 * o.momentum),
    ),
    "rmsprop": lambda o: (rules.RMSprop(o.decay, o.epsilon), None),
    "adam": lambda o: (rules.Adam(*_adam_options(o)), None),
    "adamw": lambda o: (rules.AdamW(*_adam_options(o), o.weight_decay), None),
}
"""A recipe's options to the arithmetic's, and the largest stable η λ."""
