"""What a landscape says in numbers: curvature at its points, minima, saddles, barriers.

At the trained model, in all directions: ‖∇J‖, and the largest and lowest eigenvalue of ∇²J by
Lanczos iterations. The sharpness λmax is set against 2/η: gradient descent on a quadratic diverges
above it, and on networks it hovers there (arXiv:2103.00065).

On the slice: the grid's minima, saddles and maxima are refined by Newton steps within the slice,
on the exact gradient and Hessian–vector products, and named by the two curvatures there
(`points.py`).
"""

from __future__ import annotations

import numpy as np

from steepest.landscape.directions import Directions
from steepest.landscape.lanczos import Spectrum, lanczos
from steepest.landscape.points import Point, all_named, measured, named, per_length, point_at
from steepest.landscape.surface import Surface
from steepest.objective import Batch, Objective

__all__ = [
    "Point",
    "all_named",
    "barrier",
    "measured",
    "named",
    "point_at",
    "slice_points",
    "spectrum_at",
    "stationary",
]

Array = np.ndarray

MOST_POINTS = 12
"""Stationary points that are refined, the lowest first."""
NEWTON_STEPS = 8


def spectrum_at(
    objective: Objective, theta: Array, events: Batch, *, low: int = 2, high: int = 2, seed: int = 0
) -> Spectrum:
    """The ends of the spectrum of ∇²J(θ).

    Raises
    ------
    FloatingPointError
        J is not finite there.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[2.0], [-2.0]]), np.zeros(2))
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> spectrum_at(objective, np.zeros(2), events).values
    array([2., 8.])
    """
    at = theta.astype(objective.dtype)

    def product(vector: Array) -> Array:
        with np.errstate(all="ignore"):
            image = objective.hessian_vector(at, vector.astype(objective.dtype), events)
        return image.astype(np.float64)

    return lanczos(product, objective.size, low=low, high=high, seed=seed)


def slice_points(
    objective: Objective, directions: Directions, surface: Surface, events: Batch
) -> list[Point]:
    """The stationary points of the slice: found on the grid, refined, without names yet.

    On the grid there may be more of them than there are: a narrow valley that runs askew has a
    lowest point in many rows. Newton steps lead these together.
    """
    cell = np.array([axis[1] - axis[0] for axis in surface.grid.axes])
    found = [
        _refined(objective, directions, start, surface, events)
        for start in stationary(surface)[:MOST_POINTS]
    ]
    points = [
        Point("", at, loss, *per_length(directions, gradient, hessian))
        for at, loss, gradient, hessian in found
        if np.isfinite(loss) and np.isfinite(hessian).all()
    ]
    return _distinct(sorted(points, key=lambda point: point.loss), cell)


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
    turns = (higher != np.roll(higher, 1, axis=0)).sum(axis=0)
    if len(ring) == 2:
        turns = np.where(turns == 2, 1, turns)  # on a line a slope has one side up, one down
    wanted = known & ((turns == 0) | (turns >= 4))
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
) -> tuple[Array, float, Array, Array]:
    """Newton steps c ← c − H⁻¹ g, while they stay on the grid and lower ‖∇J‖."""
    at = start
    metric = directions.vectors @ directions.vectors.T  # axes may have units of their own
    here = point_at(objective, directions, at, events)
    for _ in range(NEWTON_STEPS):
        try:
            there = at - np.linalg.solve(here[2], here[1])
        except np.linalg.LinAlgError:
            break
        if not surface.grid.holds(there):
            break
        new = point_at(objective, directions, there, events)
        if not _squared(new[1], metric) < _squared(here[1], metric):
            break
        at, here = there, new
    return at, *here


def _squared(gradient: Array, metric: Array) -> float:
    """‖∇J‖² within the slice, gᵀ G⁻¹ g."""
    return float(gradient @ np.linalg.solve(metric, gradient))


def _distinct(points: list[Point], cell: Array) -> list[Point]:
    kept: list[Point] = []
    for point in points:
        if all((np.abs(point.coordinates - k.coordinates) > cell / 2).any() for k in kept):
            kept.append(point)
    return kept


def barrier(losses: Array) -> dict[str, float]:
    """How high J rises between the two ends of a line, above the straight line between them.

    max over t of J(t) − ((1 − t) J(0) + t J(1)) (Frankle et al., arXiv:1912.05671). Zero or little
    says that the two ends are linearly connected. Infinite where J is not finite on the way.

    Parameters
    ----------
    losses
        ``(points,)``, evenly spaced from t = 0 to t = 1.

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
    return {
        "height": float(above[highest]),
        "at": float(t[highest]),
        "loss": float(losses[highest]),
    }
