"""The learning rate as a function of the step.

With t the step, e = t / (steps an epoch) and u = t / T, both counted from the end of the warm-up
(T the steps that remain then), the base η₀ is multiplied by

==================  =========================================================================
constant            1
inverse-time        1 / (1 + decay · e)
step                factor^⌊e / every⌋
exponential         factor^e
cosine              final + (1 − final) (1 + cos πu) / 2
one-cycle           as cosine; the warm-up rises from `start` to 1 along half a cosine
reduce-on-plateau   factor^(number of plateaus so far)
==================  =========================================================================

The warm-up of all but one-cycle rises linearly, (t + 1) / (W + 1) over its W steps.

Sources: Robbins and Monro 1951 (inverse time); arXiv:1608.03983 (cosine); arXiv:1708.07120
(one cycle).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steepest import recipe as spec

__all__ = ["Plateau", "Schedule"]

Array = np.ndarray


@dataclass(frozen=True)
class Schedule:
    """η(t)/η₀ for a run whose length is known.

    Parameters
    ----------
    options
        The recipe's schedule.
    total_steps, steps_per_epoch
        The length of the run, and of an epoch.

    Examples
    --------
    >>> schedule = Schedule(spec.Step(every=1, factor=0.1), total_steps=6, steps_per_epoch=2)
    >>> schedule.factors(0, 6).round(4).tolist()
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """

    options: spec.Schedule
    total_steps: int
    steps_per_epoch: int

    @property
    def warmup_steps(self) -> int:
        """W, the number of steps over which η rises."""
        return round(self.options.warmup * self.total_steps)

    def factors(self, first: int, count: int) -> Array:
        """η/η₀ at steps first … first + count − 1 (from 0), float64 ``(count,)``."""
        if isinstance(self.options, spec.Constant) and not self.warmup_steps:
            return np.ones(count)
        steps = np.arange(first, first + count, dtype=np.float64)
        warm = self.warmup_steps
        after = np.maximum(steps - warm, 0.0)
        return np.where(steps < warm, self._rise(steps, warm), self._body(after))

    def _rise(self, steps: Array, warm: int) -> Array:
        if isinstance(self.options, spec.OneCycle):
            half_cosine = 0.5 * (1.0 - np.cos(np.pi * steps / max(warm, 1)))
            return self.options.start + (1.0 - self.options.start) * half_cosine
        return (steps + 1.0) / (warm + 1.0)

    def _body(self, after: Array) -> Array:
        options = self.options
        epochs = after / self.steps_per_epoch
        match options:
            case spec.InverseTime():
                return 1.0 / (1.0 + options.decay * epochs)
            case spec.Step():
                return options.factor ** np.floor(epochs / options.every)
            case spec.Exponential():
                return options.factor**epochs
            case spec.Cosine() | spec.OneCycle():
                span = max(self.total_steps - self.warmup_steps, 1)
                half_cosine = 0.5 * (1.0 + np.cos(np.pi * np.minimum(after / span, 1.0)))
                return options.final + (1.0 - options.final) * half_cosine
            case _:
                return np.ones_like(after)


@dataclass(frozen=True)
class Plateau:
    """What reduce-on-plateau remembers: the factor reached, the best loss, how long it stands."""

    factor: float = 1.0
    best: float = float("inf")
    waited: int = 0

    def after(self, loss: float, options: spec.Schedule) -> Plateau:
        """The state after one more look at the monitored loss.

        Examples
        --------
        >>> plateau = Plateau()
        >>> for loss in (1.0, 1.0, 1.0):
        ...     plateau = plateau.after(loss, spec.ReduceOnPlateau(patience=2, factor=0.5))
        >>> plateau.factor
        0.5
        """
        if not isinstance(options, spec.ReduceOnPlateau):
            return self
        threshold = options.threshold * abs(self.best) if np.isfinite(self.best) else 0.0
        if loss < self.best - threshold:
            return replace(self, best=loss, waited=0)
        if self.waited + 1 < options.patience:
            return replace(self, waited=self.waited + 1)
        return replace(self, factor=self.factor * options.factor, waited=0)
