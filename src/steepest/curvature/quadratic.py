"""A quadratic J and its descent by a fixed η, exactly: losses at any step, steps to any loss."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Quadratic:
    """J = J* + ½ (θ − θ*)ᵀ ∇²J (θ − θ*), and predictions for steps with a fixed η.

    Along the eigenvector of λ, each step multiplies the distance from the minimum by 1 − ηλ.
    """

    eigenvalues: Array  # of ∇²J, ascending
    vectors: Array  # its eigenvectors, in columns
    minimum: Array  # θ*
    lowest: float  # J*

    @property
    def kappa(self) -> float:
        """λmax/λmin."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @property
    def bound(self) -> float:
        """2/λmax; a larger η diverges."""
        return float(2.0 / self.eigenvalues[-1])

    @property
    def best(self) -> float:
        """2/(λmax + λmin), the η with the fastest asymptotic convergence."""
        return float(2.0 / (self.eigenvalues[-1] + self.eigenvalues[0]))

    def losses(self, start: Array, rate: float, steps: Any) -> Array:
        """Return J after `steps` steps, an array of any shape."""
        away = self.vectors.T @ (start - self.minimum)
        with np.errstate(over="ignore"):  # infinite if it diverges
            shrunk = np.abs(1.0 - rate * self.eigenvalues) ** (2 * np.asarray(steps)[..., None])
            return self.lowest + 0.5 * (self.eigenvalues * away**2 * shrunk).sum(axis=-1)

    def steps_to(self, start: Array, rate: float, part: float) -> int:
        """Return the steps until J − J* is at most `part` of its start, for a convergent η."""
        first = float(self.losses(start, rate, 0)) - self.lowest

        def reached(steps: int) -> bool:
            return float(self.losses(start, rate, steps)) - self.lowest <= part * first

        enough = 1
        while not reached(enough):
            enough *= 2
        return 1 + bisect_left(range(1, enough), True, key=reached)

    def steps_at_most(self, part: float) -> int:
        """The same for the best η and the worst start: ln(1/part) / (2 ln((κ + 1)/(κ − 1)))."""
        if self.kappa <= 1 + 1e-9:
            return 1
        shrink = math.log((self.kappa + 1) / (self.kappa - 1))
        return math.ceil(-math.log(part) / (2 * shrink))
