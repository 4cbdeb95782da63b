"""The moments of events whose weights have one sign, with the mean carried in two parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.scaling.blocks import Floats

__all__ = ["Part", "square"]


@dataclass(frozen=True, eq=False)
class Part:
    """Moments of events that all have positive weight; the mean is high + low."""

    weight: float
    high: Floats  # (n,) the mean, rounded
    low: Floats  # (n,) what the rounding left
    scatter: Floats  # (n, n), or its diagonal (n,)

    @staticmethod
    def of(X: Floats, w: Floats, diagonal: bool) -> Part:
        """Two passes over a block: the mean, then the scatter about it, corrected."""
        if not len(X):
            return Part.none(X.shape[1], diagonal)
        weight = float(w.sum())
        high = X[0] + (w @ (X - X[0])) / weight
        D = X - high
        low = (w @ D) / weight
        if diagonal:
            return Part(weight, high, low, w @ (D * D) - weight * low**2)
        return Part(weight, high, low, (D.T * w) @ D - weight * np.outer(low, low))

    @staticmethod
    def compiled(X: np.ndarray, w: Floats) -> Part:
        """`of` with the diagonal alone, for C-ordered rows of either dtype."""
        from steepest.compiled.columns import add_about

        values, weight, n = X.reshape(-1), float(w.sum()), X.shape[1]
        high, low, first, scatter = X[0].astype(np.float64), np.zeros(n), np.zeros(n), np.zeros(n)
        add_about(values, w, high, first, scatter)
        high += first / weight
        scatter[:] = 0.0
        add_about(values, w, high, low, scatter)
        low /= weight
        return Part(weight, high, low, scatter - weight * low**2)

    @staticmethod
    def none(features: int, diagonal: bool) -> Part:
        """The moments of no events."""
        shape = (features,) if diagonal else (features, features)
        return Part(0.0, np.zeros(features), np.zeros(features), np.zeros(shape))

    def distance(self, other: Part) -> Floats:
        """mean(other) − mean(self), without cancelling the digits of a common offset."""
        return (other.high - self.high) + (other.low - self.low)

    def moved(self, step: Floats) -> tuple[Floats, Floats]:
        """The mean plus a step, again as high + low."""
        step = self.low + step
        high = self.high + step
        kept = high - self.high
        return high, (self.high - (high - kept)) + (step - kept)

    def merge(self, other: Part) -> Part:
        """Chan, Golub and LeVeque's pairwise update."""
        if self.weight == 0:
            return other
        if other.weight == 0:
            return self
        weight = self.weight + other.weight
        delta = self.distance(other)
        between = self.weight * (other.weight / weight) * square(delta, self.scatter)
        high, low = self.moved(delta * (other.weight / weight))
        return Part(weight, high, low, self.scatter + other.scatter + between)


def square(delta: Floats, like: Floats) -> Floats:
    """Return δδᵀ, or its diagonal where a scatter is kept so."""
    return delta**2 if like.ndim == 1 else np.outer(delta, delta)
