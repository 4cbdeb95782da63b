"""Objectives with nothing but the contract, whose landscape is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.objective import Batch


class DoubleWell:
    """J = (x² − 1)² + y²/2 + z²/2, times the mean of the events' targets; θ = (x, y, z).

    Minima at x = ±1 with curvatures 8 and 1, a saddle at 0 with curvatures −4 and 1, J = 1.
    """

    size = 3
    dtype = "float64"
    weight_mask = np.ones(3, dtype=bool)

    def initial(self, seed: int) -> np.ndarray:
        return np.array([0.2, 1.0, 0.5])

    def loss(self, theta: np.ndarray, batch: Batch) -> float:
        x, y, z = theta
        return float(batch.targets.mean()) * ((x**2 - 1) ** 2 + y**2 / 2 + z**2 / 2)

    def loss_and_gradient(self, theta: np.ndarray, batch: Batch) -> tuple[float, np.ndarray]:
        x, y, z = theta
        gradient = float(batch.targets.mean()) * np.array([4 * x * (x**2 - 1), y, z])
        return self.loss(theta, batch), gradient

    def hessian_vector(self, theta: np.ndarray, vector: np.ndarray, batch: Batch) -> np.ndarray:
        diagonal = np.array([12 * theta[0] ** 2 - 4, 1.0, 1.0])
        return float(batch.targets.mean()) * diagonal * vector

    def curvature_bounds(self, batch: Batch) -> None:
        return None

    def predict(self, theta: np.ndarray, batch: Batch) -> np.ndarray:
        return np.zeros(len(batch))


class WithACliff(DoubleWell):
    """The double well, but with no finite J where x > 1.5."""

    def loss(self, theta: np.ndarray, batch: Batch) -> float:
        return float("inf") if theta[0] > 1.5 else super().loss(theta, batch)


def some_events(count: int = 2000, spread: float = 0.0, seed: int = 0) -> Batch:
    """Events whose targets have mean one."""
    random = np.random.default_rng(seed)
    targets = 1.0 + spread * random.standard_normal(count)
    return Batch(np.zeros((count, 1)), targets / targets.mean())


def as_objective(objective: Any) -> Any:
    """The objective, as something of the contract."""
    return objective
