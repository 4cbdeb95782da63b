"""Predictions for gradient descent from the curvature, if J is quadratic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.objective import Batch, ModelObjective

__all__ = ["Quadratic", "hessian", "quadratic"]

Array = np.ndarray


def hessian(objective: ModelObjective, theta: Array, events: Batch) -> Array:
    """∇²J(θ), column by column from Hessian–vector products: for few parameters."""
    columns = [objective.hessian_vector(theta, v, events) for v in np.eye(objective.size)]
    matrix = np.array(columns)
    return (matrix + matrix.T) / 2


@dataclass(frozen=True, eq=False)
class Quadratic:
    """J = J* + ½ (θ − θ*)ᵀ ∇²J (θ − θ*), and predictions for steps with a fixed η.

    Along the eigenvector of λ, each step multiplies the distance from the minimum by 1 − ηλ.

    Attributes
    ----------
    eigenvalues, vectors
        Eigenvalues of ∇²J, ascending, and eigenvectors in columns.
    minimum, lowest
        θ* and J*.
    """

    eigenvalues: Array
    vectors: Array
    minimum: Array
    lowest: float

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
        low, high = 0, 1
        while float(self.losses(start, rate, high)) - self.lowest > part * first:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            above = float(self.losses(start, rate, middle)) - self.lowest > part * first
            low, high = (middle, high) if above else (low, middle)
        return high

    def steps_at_most(self, part: float) -> int:
        """The same for the best η and the worst start: ln(1/part) / (2 ln((κ + 1)/(κ − 1)))."""
        if self.kappa <= 1 + 1e-9:
            return 1
        shrink = math.log((self.kappa + 1) / (self.kappa - 1))
        return math.ceil(-math.log(part) / (2 * shrink))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "eigenvalues": self.eigenvalues.tolist(),
            "kappa": self.kappa,
            "largest_stable_rate": self.bound,
            "best_rate": self.best,
            "minimum": self.minimum.tolist(),
            "lowest_loss": self.lowest,
        }


def quadratic(objective: ModelObjective, events: Batch, keep: int | None = None) -> Quadratic:
    """Return the quadratic form of J for a linear model with the mean squared error.

    Parameters
    ----------
    objective, events
        J of a linear model.
    keep
        Use only the first `keep` parameters, if the others stay constant and are not coupled.
    """
    theta = np.zeros(objective.size)
    part = slice(0, keep)
    matrix = hessian(objective, theta, events)[part, part]
    eigenvalues, vectors = np.linalg.eigh(matrix)
    gradient = objective.loss_and_gradient(theta, events)[1][part]
    theta[part] = -np.linalg.solve(matrix, gradient)
    return Quadratic(eigenvalues, vectors, theta[part], objective.loss(theta, events))
