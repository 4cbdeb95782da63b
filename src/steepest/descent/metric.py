"""The curvature as a metric: H⁻¹, by which a gradient becomes a step to the minimum.

NumPy's `eigh` does the work; what is decided here is where J counts as flat, and when negative
weights have bent it downwards.
"""

from __future__ import annotations

import numpy as np

from steepest.curvature import hessian
from steepest.errors import EventsError
from steepest.objective import Batch, Objective

__all__ = ["inverse_curvature"]

Array = np.ndarray
FLAT = 1e-13
"""Curvatures below this part of the largest count as flat: no step goes there."""


def inverse_curvature(objective: Objective, theta: Array, sample: Batch) -> Array:
    """H⁻¹ at θ, float64; zero along directions in which J is flat.

    Which these are is judged with every parameter measured in units of H's diagonal, so that the
    features' scales do not matter.

    Raises
    ------
    EventsError
        If H has a negative eigenvalue.
    """
    curvature = hessian(objective, theta, sample)
    diagonal = np.abs(np.diag(curvature))
    units = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(curvature / units[:, None] / units)
    largest, lowest = float(values[-1]), float(values[0])
    if lowest < -1e-9 * abs(largest) and _some_negative(sample):
        raise EventsError(
            "With these weights the loss is not convex, and may have no minimum.",
            expected="a curvature that is nowhere negative",
            found=f"a lowest eigenvalue of the Hessian of {lowest:.3g}",
            cause="negative weights that outweigh the positive ones in some direction",
            do='use more events, or set descent.method = "descent"',
        )
    curved = values > max(FLAT * len(values) * largest, -2 * lowest)  # below: rounding
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=curved)
    vectors /= units[:, None]
    return (vectors * inverse) @ vectors.T


def _some_negative(events: Batch) -> bool:
    return events.weights is not None and any(
        float(part.weights.min()) < 0 for part in events.blocks()
    )
