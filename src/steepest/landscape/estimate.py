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

import hashlib
import time
from dataclasses import dataclass, replace

import numpy as np

from steepest.folder import LandscapeFolder
from steepest.landscape.directions import Directions, Grid
from steepest.objective import Batch, Objective, losses_on_surface

__all__ = ["CHUNK", "LEAST_CHUNKS", "Anchors", "SavedSums", "Sums", "losses_at"]

Array = np.ndarray

CHUNK = 256
"""Events whose losses are taken together."""
LEAST_CHUNKS = 32
"""Chunks from which a standard error may be judged: it is itself known to some 15 % then."""
ANCHORS = 3
"""Anchors along each axis: both ends and the middle."""
DEGENERATE = 1e-10
"""Combinations of anchors that vary less than this part of the most varying one are left out."""
FILE = "sums.safetensors"
WRITE_EVERY = 10.0
"""Seconds between writes of the sums, at least."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points of the grid at which J is known with all events."""

    rows: Array  # (q,): their places among the points of the grid
    losses: Array  # (q,): J there, all finite
    thetas: Array  # (q, size): θ there

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
        losses = losses_on_surface(objective, *plane, coordinates - directions.offset, all_events)
        finite = np.isfinite(losses)
        thetas = directions.theta_at(coordinates[finite])
        return cls(rows[finite], losses[finite], thetas)


@dataclass(frozen=True, eq=False)
class Sums:
    """What has been summed so far at each point, float64 ``(points,)``."""

    losses: Array  # Σ Jᵢ mᵢ over chunks of mᵢ events
    first: Array  # s, the first chunk's Jᵢ
    shifted: Array  # Σ (Jᵢ − s), here and below over whole chunks
    squares: Array  # Σ (Jᵢ − s)²
    cross: Array  # (points, q): Σ (Jᵢ − s) times the same of the anchors
    events: int = 0
    chunks: int = 0

    @classmethod
    def zero(cls, points: int, anchors: int = 0) -> Sums:
        """Nothing summed yet."""
        losses, first, shifted, squares = np.zeros((4, points))
        return cls(losses, first, shifted, squares, np.zeros((points, anchors)))

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


@dataclass
class SavedSums:
    """What an interrupted landscape keeps in its folder, so that the same one goes on where it was.

    The fingerprint says what the sums are of; the number of events does not enter, so that more can
    be added.
    """

    target: LandscapeFolder
    fingerprint: str
    points: int
    anchors: int
    written: float

    @classmethod
    def of(
        cls,
        target: LandscapeFolder,
        objective: Objective,
        directions: Directions,
        grid: Grid,
        events: Batch,
        anchors: Anchors,
        all_events: int,
    ) -> SavedSums:
        """For this surface."""
        digest = hashlib.sha256()
        first = events.take(slice(0, CHUNK))
        loss = objective.loss(directions.origin.astype(objective.dtype), first)
        shapes = [array.shape for array in first.arrays]
        said = (objective.dtype, loss, all_events, CHUNK, shapes)
        digest.update(repr(said).encode())
        slice_ = [directions.origin, directions.vectors, directions.offset, *grid.axes]
        for array in (*slice_, anchors.rows, anchors.losses, *first.arrays):
            digest.update(np.ascontiguousarray(array).tobytes())
        count = len(anchors.rows)
        return cls(target, digest.hexdigest(), grid.size, count, time.monotonic())

    def read(self, most: int) -> Sums:
        """The sums to go on from; zero where there are none of this surface."""
        found = self.target.read_arrays(FILE)
        if found is not None and isinstance(found[1], dict):
            arrays, about = found
            if about.get("fingerprint") == self.fingerprint:
                events, chunks = about["events"], about["chunks"]
                if events == most or (events < most and events % CHUNK == 0):
                    return Sums(**arrays, events=events, chunks=chunks)
        return Sums.zero(self.points, self.anchors)

    def write(self, sums: Sums) -> None:
        """Write the sums."""
        arrays = {k: v for k, v in vars(sums).items() if isinstance(v, np.ndarray)}
        about = {"fingerprint": self.fingerprint, "events": sums.events, "chunks": sums.chunks}
        self.target.write_arrays(FILE, arrays, about)
        self.written = time.monotonic()

    def write_if_due(self, sums: Sums) -> None:
        """Write the sums if it was long ago."""
        if time.monotonic() - self.written >= WRITE_EVERY:
            self.write(sums)
