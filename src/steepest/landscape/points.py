"""Points of a slice: J, its gradient and curvatures, and their classification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.landscape.directions import Directions
from steepest.landscape.surface import Surface
from steepest.objective import Batch, Objective

__all__ = ["Point", "all_named", "measured", "named", "per_length", "point_at"]

Array = np.ndarray

FLAT = 0.01
"""A curvature below this fraction of the largest one in the slice counts as flat."""


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the slice, with J, its gradient and curvatures within the slice.

    Attributes
    ----------
    kind : str
        "minimum", "valley", "saddle", "ridge", "maximum", "plateau" or "slope", see `named`.
    coordinates
        ``(k,)``.
    loss : float
        J.
    gradient : float
        Norm of the projection of the gradient onto the slice.
    curvatures
        Eigenvalues of ∇²J within the slice, ascending, ``(k,)``: per unit length in θ.
    slopes
        The gradient along the direction of each curvature, ``(k,)``, per unit length in θ.
    """

    kind: str
    coordinates: Array
    loss: float
    gradient: float
    curvatures: Array
    slopes: Array

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "coordinates": self.coordinates.tolist(),
            "loss": self.loss,
            "gradient": self.gradient,
            "curvatures": self.curvatures.tolist(),
        }


def named(curvatures: Array, scale: float, slope: bool = False) -> str:
    """Return the name of a point by its curvatures; those below 1 % of `scale` are flat.

    ==========================  ========
    curvatures                  name
    ==========================  ========
    all flat                    plateau
    all positive                minimum
    positive and flat           valley
    positive and negative       saddle
    flat and negative           ridge
    all negative                maximum
    ==========================  ========

    With `slope`, J is too steep for a stationary point, and the name is "slope".

    Examples
    --------
    >>> [named(np.array(c), 1.0) for c in ([1.0, 2.0], [0.0, 1.0], [-1.0, 1.0], [-1.0, 0.0])]
    ['minimum', 'valley', 'saddle', 'ridge']
    """
    up = curvatures > FLAT * scale
    down = curvatures < -FLAT * scale
    if slope:
        return "slope"
    if not (up | down).any():
        return "plateau"
    if up.any() and down.any():
        return "saddle"
    if up.any():
        return "minimum" if up.all() else "valley"
    return "maximum" if down.all() else "ridge"


def point_at(
    objective: Objective, directions: Directions, coordinates: Array, events: Batch
) -> tuple[float, Array, Array]:
    """Return J, its gradient ``(k,)`` and Hessian ``(k, k)`` in the coordinates of the slice."""
    theta = directions.theta_at(coordinates).astype(objective.dtype)
    vectors = directions.vectors
    with np.errstate(all="ignore"):
        loss, gradient = objective.loss_and_gradient(theta, events)
        images = [
            objective.hessian_vector(theta, vector.astype(objective.dtype), events)
            for vector in vectors
        ]
    hessian = np.array([vectors @ image.astype(np.float64) for image in images])
    return loss, vectors @ gradient.astype(np.float64), (hessian + hessian.T) / 2


def measured(
    objective: Objective, directions: Directions, coordinates: Array, events: Batch
) -> Point | None:
    """Return a point with its gradient and curvatures, without a name; None if not finite."""
    loss, gradient, hessian = point_at(objective, directions, coordinates, events)
    if not (np.isfinite(loss) and np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return None
    return Point("", coordinates, loss, *per_length(directions, gradient, hessian))


def all_named(points: list[Point], directions: Directions, surface: Surface) -> list[Point]:
    """Return the points with their names, relative to the largest curvature among them.

    A point is a slope if its gradient and curvatures predict that the stationary point is more than
    a grid cell away.
    """
    if not points:
        return []
    scale = max(float(np.abs(point.curvatures).max()) for point in points)
    cell = np.array([axis[1] - axis[0] for axis in surface.grid.axes])
    length = float((cell * np.linalg.norm(directions.vectors, axis=1)).min())
    return [replace(p, kind=named(p.curvatures, scale, _slopes(p, scale, length))) for p in points]


def _slopes(point: Point, scale: float, length: float) -> bool:
    """Whether the stationary point of the parabola at a point is more than `length` away.

    If a valley is not parallel to an axis, the grid has a local minimum in many rows, each with the
    curvatures of a minimum. If the valley leaves the grid, Newton steps do not merge these points.
    Along a flat direction the parabola gives no distance, and the gradient is used instead.
    """
    bent = np.abs(point.curvatures) > FLAT * scale
    away = np.abs(point.slopes[bent] / point.curvatures[bent])
    return bool((away > length).any()) or point.gradient > scale * length


def per_length(
    directions: Directions, gradient: Array, hessian: Array
) -> tuple[float, Array, Array]:
    """Return ‖∇J‖, the eigenvalues of ∇²J, and ∇J along its eigenvectors, per unit length in θ.

    With the metric G = d dᵀ of the slice these are √(gᵀ G⁻¹ g), the eigenvalues of
    G^(−1/2) H G^(−1/2), and G^(−1/2) g along its eigenvectors.
    """
    metric = directions.vectors @ directions.vectors.T
    values, vectors = np.linalg.eigh(metric)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    curvatures, bent = np.linalg.eigh(root @ hessian @ root)
    slopes = bent.T @ root @ gradient
    return float(np.linalg.norm(slopes)), curvatures, slopes
