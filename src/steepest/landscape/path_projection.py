"""The path projected onto the slice, with its true losses and those of the surface.

The path does not lie in the plane. Each point is drawn at its coordinates c(θ_t), where the surface
has the value J(θ(c)), but the loss of the training was J(θ_t). Both are computed here, on the same
events as the surface, together with the distance of θ_t from the plane, and the fractions of the
path's length and variance that lie in the plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.landscape.directions import Directions
from steepest.landscape.input import PathPoints
from steepest.landscape.surface import Anchors, losses_at
from steepest.objective import Batch, Objective

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ProjectedPath:
    """The recorded path on a slice.

    Attributes
    ----------
    steps
        ``(points,)``.
    coordinates
        Coordinates of each point, ``(points, k)``.
    losses
        The true losses J(θ_t), ``(points,)``.
    surface_losses
        J of the slice at those coordinates, ``(points,)``.
    distances
        ‖θ_t − θ(c(θ_t))‖, ``(points,)``.
    displacements
        ‖θ_t − θ₀‖, ``(points,)``.
    length, variance : float
        Shares of the path's length Σ ‖θ_{t+1} − θ_t‖ and of Σ ‖θ_t − θ₀‖² that lie in the plane,
        by orthogonal projection. NaN for a path of one point.
    left_out : int
        Recorded points that are not finite.
    """

    steps: Array
    coordinates: Array
    losses: Array
    surface_losses: Array
    distances: Array
    displacements: Array
    length: float
    variance: float
    left_out: int

    @property
    def gaps(self) -> Array:
        """J(θ_t) − J(θ(c(θ_t))): negative if the surface is above the true loss."""
        with np.errstate(invalid="ignore"):  # both may be infinite
            return self.losses - self.surface_losses

    def to_json(self) -> dict[str, Any]:
        """Return a summary; the points are in path.parquet."""
        gaps = np.abs(self.gaps)
        known = np.isfinite(gaps)
        worst = int(np.where(known, gaps, -1).argmax())
        return {
            "points": len(self.steps),
            "left_out": self.left_out,
            "share_of_length": self.length,
            "share_of_variance": self.variance,
            "largest_distance": float(self.distances.max()),
            "largest_displacement": float(self.displacements.max()),
            "largest_gap": {
                "step": int(self.steps[worst]),
                "loss": float(self.losses[worst]),
                "surface_loss": float(self.surface_losses[worst]),
            }
            if known.any()
            else None,
            "median_gap": float(np.median(gaps[known])) if known.any() else None,
        }


def projected_path(
    objective: Objective,
    directions: Directions,
    path: PathPoints,
    events: Batch,
    anchors: Anchors | None = None,
) -> ProjectedPath:
    """Return the path with its true losses and those of the slice.

    Both are estimated like the surface: from the same events, corrected by the same anchors.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> line = Directions.spanned("random", np.zeros(2), np.array([[1.0, 0.0]]), ("a",))
    >>> points = PathPoints(np.array([0, 1]), np.array([[1.0, 3.0], [0.0, 0.0]]))
    >>> path = projected_path(objective, line, points, events)
    >>> path.losses, path.surface_losses, path.distances
    (array([10.,  4.]), array([1., 4.]), array([3., 0.]))
    """
    given = events, anchors or Anchors()
    coordinates = directions.coordinates_of(path.thetas)
    away = path.thetas - directions.origin
    within = away @ directions.orthonormal().T
    return ProjectedPath(
        steps=path.steps,
        coordinates=coordinates,
        losses=losses_at(objective, path.thetas, *given),
        surface_losses=losses_at(objective, directions.theta_at(coordinates), *given),
        distances=directions.distances_of(path.thetas),
        displacements=np.linalg.norm(away, axis=1),
        length=_share(_length(within), _length(away)),
        variance=_share(float((within**2).sum()), float((away**2).sum())),
        left_out=path.left_out,
    )


def _length(points: Array) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
