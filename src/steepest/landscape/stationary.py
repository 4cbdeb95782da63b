"""The stationary points of a slice: the grid's minima, saddles and maxima; and barriers on lines.

Points are refined by Newton steps within the slice, on the exact gradient and Hessian–vector
products, and named by the two curvatures there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.curvature import hessian_product
from steepest.landscape.directions import Directions
from steepest.landscape.surface import Surface
from steepest.objective import Batch, Objective

Array = np.ndarray

FLAT = 0.01
"""A curvature below this fraction of the largest one in the slice counts as flat."""
MOST_POINTS = 12
"""Stationary points that are refined, the lowest first."""
NEWTON_STEPS = 8


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the slice, with J, its gradient and curvatures within the slice."""

    kind: str  # "minimum", "valley", "saddle", "ridge", "maximum", "plateau" or "slope"
    coordinates: Array  # (k,)
    loss: float  # J
    gradient: float  # norm of the projection of the gradient onto the slice
    curvatures: Array  # (k,): eigenvalues of ∇²J within the slice, ascending, per unit length in θ
    slopes: Array  # (k,): the gradient along the direction of each curvature, per unit length in θ

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "coordinates": self.coordinates.tolist(),
            "loss": self.loss,
            "gradient": self.gradient,
            "curvatures": self.curvatures.tolist(),
        }


def named(curvatures: Array, scale: float) -> str:
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

    Examples
    --------
    >>> [named(np.array(c), 1.0) for c in ([1.0, 2.0], [0.0, 1.0], [-1.0, 1.0], [-1.0, 0.0])]
    ['minimum', 'valley', 'saddle', 'ridge']
    """
    up, down = curvatures > FLAT * scale, curvatures < -FLAT * scale
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
    product = hessian_product(objective, theta, events)
    hessian = np.array([vectors @ product(vector) for vector in vectors])
    return loss, vectors @ gradient.astype(np.float64), (hessian + hessian.T) / 2


def measured(
    objective: Objective, directions: Directions, coordinates: Array, events: Batch
) -> Point | None:
    """Return a point with its gradient and curvatures, without a name; None if not finite."""
    return _point(directions, coordinates, *point_at(objective, directions, coordinates, events))


def _point(
    directions: Directions, coordinates: Array, loss: float, gradient: Array, hessian: Array
) -> Point | None:
    """Return ‖∇J‖, the eigenvalues of ∇²J, and ∇J along its eigenvectors, per unit length in θ.

    With the metric G = d dᵀ of the slice these are √(gᵀ G⁻¹ g), the eigenvalues of
    G^(−1/2) H G^(−1/2), and G^(−1/2) g along its eigenvectors.
    """
    if not (np.isfinite(loss) and np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return None
    values, vectors = np.linalg.eigh(directions.vectors @ directions.vectors.T)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    curvatures, bent = np.linalg.eigh(root @ hessian @ root)
    slopes = bent.T @ root @ gradient
    return Point("", coordinates, loss, float(np.linalg.norm(slopes)), curvatures, slopes)


def all_named(points: list[Point], directions: Directions, surface: Surface) -> list[Point]:
    """Return the points with their names, relative to the largest curvature among them.

    A point is a slope if its gradient and curvatures predict that the stationary point is more than
    a grid cell away.
    """
    scale = max((float(np.abs(point.curvatures).max()) for point in points), default=0.0)
    cell = np.array([axis[1] - axis[0] for axis in surface.grid.axes])
    length = float((cell * np.linalg.norm(directions.vectors, axis=1)).min())
    return [
        replace(p, kind="slope" if _slopes(p, scale, length) else named(p.curvatures, scale))
        for p in points
    ]


def _slopes(point: Point, scale: float, length: float) -> bool:
    """Whether the stationary point of the parabola at a point is more than `length` away.

    If a valley is not parallel to an axis, the grid has a local minimum in many rows, each with the
    curvatures of a minimum. If the valley leaves the grid, Newton steps do not merge these points.
    Along a flat direction the parabola gives no distance, and the gradient is used instead.
    """
    bent = np.abs(point.curvatures) > FLAT * scale
    away = np.abs(point.slopes[bent] / point.curvatures[bent])
    return bool((away > length).any()) or point.gradient > scale * length


def slice_points(
    objective: Objective, directions: Directions, surface: Surface, events: Batch
) -> list[Point]:
    """Return the stationary points of the slice: located on the grid and refined, without names.

    The grid may have several local minima for one of J, for example in a narrow valley that is not
    parallel to an axis. Newton steps merge them.
    """
    cell = np.array([axis[1] - axis[0] for axis in surface.grid.axes])
    starts = stationary(surface)[:MOST_POINTS]
    found = [_refined(objective, directions, start, surface, events) for start in starts]
    kept: list[Point] = []
    for point in sorted(filter(None, found), key=lambda point: point.loss):
        if all((np.abs(point.coordinates - k.coordinates) > cell / 2).any() for k in kept):
            kept.append(point)
    return kept


def stationary(surface: Surface) -> list[Array]:
    """Coordinates of the grid's inner minima, maxima and saddles, the lowest first.

    A minimum is lower than all its neighbours, a maximum higher; around a saddle the neighbours
    are higher and lower in turn, four times or more. Points beside one that is not finite do not
    count.
    """
    losses = surface.losses
    inner = tuple(slice(1, -1) for _ in losses.shape)
    ring = _ring(losses)
    centre = losses[inner]
    with np.errstate(invalid="ignore"):
        higher = ring > centre
        known = np.isfinite(ring).all(axis=0) & np.isfinite(centre) & (ring != centre).all(axis=0)
    changes = (higher != np.roll(higher, 1, axis=0)).sum(axis=0)
    if len(ring) == 2:
        changes = np.where(changes == 2, 1, changes)  # on a line a slope has one side up, one down
    wanted = known & ((changes == 0) | (changes >= 4))
    places = np.argwhere(wanted) + 1
    places = sorted(places.tolist(), key=lambda index: float(losses[tuple(index)]))
    axes = surface.grid.axes
    return [np.array([axis[i] for axis, i in zip(axes, p, strict=True)]) for p in places]


def _ring(losses: Array) -> Array:
    """The neighbours of each inner point, in the order around it."""
    if losses.ndim == 1:
        return np.stack([losses[:-2], losses[2:]])
    around = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    n, m = losses.shape[0] - 2, losses.shape[1] - 2
    return np.stack([losses[i : i + n, j : j + m] for i, j in around])


def _refined(
    objective: Objective, directions: Directions, start: Array, surface: Surface, events: Batch
) -> Point | None:
    """Take Newton steps c ← c − H⁻¹ g, while they stay on the grid and lower ‖∇J‖."""
    metric = directions.vectors @ directions.vectors.T  # axes may have units of their own

    def squared(gradient: Array) -> float:
        return float(gradient @ np.linalg.solve(metric, gradient))  # ‖∇J‖² within the slice

    at = start
    here = point_at(objective, directions, at, events)
    for _ in range(NEWTON_STEPS):
        try:
            there = at - np.linalg.solve(here[2], here[1])
        except np.linalg.LinAlgError:
            break
        if not surface.grid.holds(there):
            break
        new = point_at(objective, directions, there, events)
        if not squared(new[1]) < squared(here[1]):
            break
        at, here = there, new
    return _point(directions, at, *here)


def barrier(losses: Array) -> dict[str, float]:
    """How high J rises between the two ends of a line, above the straight line between them.

    max over t of J(t) − ((1 − t) J(0) + t J(1)) (Frankle et al., arXiv:1912.05671), for losses
    evenly spaced from t = 0 to t = 1. Zero or little says that the two ends are linearly connected.
    Infinite where J is not finite on the way.

    Examples
    --------
    >>> barrier(np.array([1.0, 4.0, 2.0]))
    {'height': 2.5, 'at': 0.5, 'loss': 4.0}
    """
    t = np.linspace(0.0, 1.0, len(losses))
    above = losses - ((1 - t) * losses[0] + t * losses[-1])
    if not np.isfinite(above).all():
        return {"height": float("inf"), "at": float("nan"), "loss": float("inf")}
    highest = int(above.argmax())
    values = above[highest], t[highest], losses[highest]
    return dict(zip(("height", "at", "loss"), map(float, values), strict=True))
