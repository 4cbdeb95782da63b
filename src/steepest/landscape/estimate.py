"""An estimate of J with all events, from some of them: sums over chunks, corrected by anchors.

Fewer events than all give an estimate. Points on the same events share most of its error. So J is
computed with *all* events at a few points of the grid, the anchors a, and what the chunks' means
x_a say of a point's mean y by linear regression is corrected (the regression estimator, Cochran,
Sampling Techniques, chapter 7):

    J = ȳ + Σₐ βₐ (J_a − x̄ₐ),    β = S_xx⁻¹ S_xy

    standard error = √( (S_yy − β S_xy) / (n − 1 − q) / n · (1 − n/N) )

with n chunks of N, and q anchors. It vanishes when all events were taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steepest.landscape.directions import Directions
from steepest.landscape.grid import Grid
from steepest.objective import Batch, Objective, losses_on_plane

__all__ = ["CHUNK", "LEAST_CHUNKS", "Anchors", "Sums", "losses_at"]

Array = np.ndarray

CHUNK = 256
"""Events whose losses are taken together."""
LEAST_CHUNKS = 32
"""Chunks from which a standard error may be judged: it is itself known to some 15 % then."""
ANCHORS = 3
"""Anchors along each axis: both ends and the middle."""
DEGENERATE = 1e-10
"""Combinations of anchors that vary less than this part of the most varying one are left out."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points of the grid at which J is known with all events.

    Attributes
    ----------
    rows
        Their places among the points of the grid, ``(q,)``.
    losses
        J there, ``(q,)``, all finite.
    thetas
        θ there, ``(q, size)``.
    """

    rows: Array
    losses: Array
    thetas: Array

    @classmethod
    def none(cls) -> Anchors:
        """No anchors: the plain mean."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 0)))

    @classmethod
    def of(
        cls, objective: Objective, directions: Directions, grid: Grid, all_events: Batch
    ) -> Anchors:
        """The ends and the middle of each axis, where J is finite."""
        along = [np.linspace(0, n - 1, ANCHORS).round().astype(np.int64) for n in grid.shape]
        mesh = np.meshgrid(*along, indexing="ij")
        rows = np.unique(np.ravel_multi_index([m.ravel() for m in mesh], grid.shape))
        coordinates = grid.points()[rows]
        plane = directions.origin, directions.vectors
        losses = losses_on_plane(objective, *plane, coordinates - directions.offset, all_events)
        finite = np.isfinite(losses)
        thetas = directions.theta_at(coordinates[finite])
        return cls(rows[finite], losses[finite], thetas)


@dataclass(frozen=True, eq=False)
class Sums:
    """What has been summed so far at each point, float64 ``(points,)``.

    `losses` is Σ Jᵢ mᵢ over chunks of mᵢ events. Over whole chunks, with the first one's Jᵢ as s,
    `shifted` is Σ (Jᵢ − s), `squares` Σ (Jᵢ − s)², and `cross` ``(points, q)`` the sum of its
    products with those of the anchors.
    """

    losses: Array
    first: Array
    shifted: Array
    squares: Array
    cross: Array
    events: int = 0
    chunks: int = 0

    @classmethod
    def zero(cls, points: int, anchors: int = 0) -> Sums:
        """Nothing summed yet."""
        zeros = [np.zeros(points) for _ in range(4)]
        return cls(zeros[0], zeros[1], zeros[2], zeros[3], np.zeros((points, anchors)))

    def plus(self, losses: Array, events: int, anchors: Anchors) -> Sums:
        """With one more chunk; a chunk of fewer events than CHUNK does not enter the spread."""
        with np.errstate(all="ignore"):
            added = replace(self, losses=self.losses + losses * events, events=self.events + events)
            if events < CHUNK:
                return added
            first = losses.copy() if self.chunks == 0 else self.first
            away = losses - first
            return replace(
                added,
                first=first,
                shifted=self.shifted + away,
                squares=self.squares + away * away,
                cross=self.cross + away[:, None] * away[anchors.rows],
                chunks=self.chunks + 1,
            )

    def estimate(self, all_events: int, anchors: Anchors) -> tuple[Array, Array]:
        """J and its standard error at each point, ``(points,)``.

        The standard error is NaN with too few whole chunks to tell, and zero with all events.
        """
        n, q = self.chunks, len(anchors.rows)
        if not self.events:
            return np.full_like(self.losses, np.nan), np.full_like(self.losses, np.nan)
        with np.errstate(all="ignore"):
            means = self.losses / self.events
            if self.events >= all_events:
                return means, np.where(np.isfinite(means), 0.0, np.nan)
            unseen = 1.0 - self.events / all_events
            spread = self.squares - self.shifted**2 / n
            if q and n >= LEAST_CHUNKS:
                common = self.cross - np.outer(self.shifted, self.shifted[anchors.rows]) / n
                inverse = np.linalg.pinv(common[anchors.rows], rcond=DEGENERATE, hermitian=True)
                slopes = np.where(np.isfinite(common), common, 0.0) @ inverse
                means = means + slopes @ (anchors.losses - means[anchors.rows])
                spread = spread - (slopes * common).sum(axis=1)
            else:
                q = 0
            if n < q + 2:
                return means, np.full_like(means, np.nan)
            spread = np.maximum(spread, 0.0) / (n - 1 - q)
            return means, np.sqrt(spread / n * unseen)


def losses_at(objective: Objective, thetas: Array, events: Batch, anchors: Anchors) -> Array:
    """J at each θ ``(points, size)``, as the surface estimates it: corrected by the anchors.

    ``(points,)`` float64; what overflows is infinite or NaN.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> losses_at(objective, np.array([[0.0, 0.0], [2.0, 0.0]]), events, Anchors.none())
    array([4., 0.])
    """
    if not len(anchors.rows) or len(events) < LEAST_CHUNKS * CHUNK:
        return _one_by_one(objective, thetas, events)
    groups = [events.take(part) for part in _groups(len(events))]
    y = np.stack([_one_by_one(objective, thetas, group) for group in groups], axis=1)
    x = np.stack([_one_by_one(objective, anchors.thetas, group) for group in groups], axis=1)
    with np.errstate(all="ignore"):
        means, known = y.mean(axis=1), x.mean(axis=1)
        away, among = y - means[:, None], x - known[:, None]
        inverse = np.linalg.pinv(among @ among.T, rcond=DEGENERATE, hermitian=True)
        slopes = np.where(np.isfinite(away), away, 0.0) @ among.T @ inverse
        return means + slopes @ (anchors.losses - known)


def _groups(events: int) -> list[slice]:
    """As many equal groups as may be, 32 to 64 of them; what is left over is left out."""
    size = max(CHUNK, events // (2 * LEAST_CHUNKS))
    return [slice(start, start + size) for start in range(0, events - size + 1, size)]


def _one_by_one(objective: Objective, thetas: Array, events: Batch) -> Array:
    with np.errstate(all="ignore"):
        return np.array([objective.loss(t.astype(objective.dtype), events) for t in thetas])
