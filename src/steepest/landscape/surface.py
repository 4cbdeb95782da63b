"""J on the points of a grid, and its estimate from a sample of the events.

The order of the events is drawn once from the seed and is the same at every point, so neighbouring
points differ only by their θ and the surface is smooth. Events are summed in chunks of 256; how
many chunks a call takes does not change the bits. Any number of chunks gives a complete surface,
and an interrupted one continues from its saved sums with the same bits.

The sampling error is strongly correlated between points that use the same events. Therefore J is
computed with *all* events at a few points of the grid, the anchors a. At the other points a linear
regression of the chunk means y on the chunk means x_a at the anchors corrects the sample mean (the
regression estimator, Cochran, Sampling Techniques, chapter 7):

    J = ȳ + Σₐ βₐ (J_a − x̄ₐ),    β = S_xx⁻¹ S_xy

    standard error = √( (S_yy − β S_xy) / (n − 1 − q) / n · (1 − n/N) )

for n chunks out of N, and q anchors. The standard error is zero if all events are used.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from steepest.folder import LandscapeFolder
from steepest.landscape.directions import Directions, Grid
from steepest.objective import Batch, Objective, losses_of_chunks, losses_on_surface

Array = np.ndarray

CHUNK = 256
"""Events per chunk."""
LEAST_CHUNKS = 32
"""Minimum number of chunks for a standard error, which is then known to about 15 %."""
ANCHORS = 3
"""Number of anchors along each axis: both ends and the middle."""
DEGENERATE = 1e-10
"""Combinations of anchors with a relative variance below this are left out of the regression."""
FILE = "sums.safetensors"
WRITE_EVERY = 10.0
"""Minimum number of seconds between two writes."""
SLICE = 4096
"""Number of points between checks for an interrupt, rounded to lines of the grid."""
SECONDS = 0.25
"""Seconds between checks for an interrupt, if a chunk takes less."""
MOST_CHUNKS = 64
"""Maximum number of chunks per call."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points of the grid at which J is known with all events; by default there are none."""

    rows: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # (q,) of the grid
    losses: Array = field(default_factory=lambda: np.zeros(0))  # (q,): J, all finite
    thetas: Array = field(default_factory=lambda: np.zeros((0, 0)))  # (q, size)

    @classmethod
    def of(
        cls, objective: Objective, directions: Directions, grid: Grid, all_events: Batch
    ) -> Anchors:
        """Return the ends and the middle of each axis, as far as J is finite there."""
        along = [np.linspace(0, n - 1, ANCHORS).round().astype(np.int64) for n in grid.shape]
        mesh = np.meshgrid(*along, indexing="ij")
        rows = np.unique(np.ravel_multi_index([m.ravel() for m in mesh], grid.shape))
        coordinates = grid.points()[rows]
        span = directions.origin, directions.vectors
        losses = losses_on_surface(objective, *span, coordinates - directions.offset, all_events)
        finite = np.isfinite(losses)
        thetas = directions.theta_at(coordinates[finite])
        return cls(rows[finite], losses[finite], thetas)


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums so far at each point, float64 ``(points,)``."""

    losses: Array  # Σ Jᵢ mᵢ over chunks of mᵢ events
    first: Array  # s, the first chunk's Jᵢ
    shifted: Array  # Σ (Jᵢ − s), here and below over complete chunks
    squares: Array  # Σ (Jᵢ − s)²
    cross: Array  # (points, q): Σ (Jᵢ − s) times the same of the anchors
    events: int = 0
    chunks: int = 0

    @classmethod
    def zero(cls, points: int, anchors: int = 0) -> Sums:
        """Return sums over no events."""
        losses, first, shifted, squares = np.zeros((4, points))
        return cls(losses, first, shifted, squares, np.zeros((points, anchors)))

    def plus(self, losses: Array, events: int, anchors: Anchors) -> Sums:
        """Return the sums with one more chunk; only complete chunks enter the spread."""
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
        """Return J and its standard error at each point, ``(points,)``.

        The standard error is NaN with too few complete chunks, and zero with all events.
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
    """Return J at each θ ``(points, size)``, estimated as for the surface, with the anchors.

    The result is ``(points,)`` float64; infinite or NaN if J overflows.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> losses_at(objective, np.array([[0.0, 0.0], [2.0, 0.0]]), events, Anchors())
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
    """Return 32 to 64 groups of equal size; the remaining events are not used."""
    size = max(CHUNK, events // (2 * LEAST_CHUNKS))
    return [slice(start, start + size) for start in range(0, events - size + 1, size)]


def _one_by_one(objective: Objective, thetas: Array, events: Batch) -> Array:
    with np.errstate(all="ignore"):
        return np.array([objective.loss(t.astype(objective.dtype), events) for t in thetas])


class SavedSums:
    """The saved sums of an interrupted surface, with a fingerprint of the surface.

    The number of events is not part of the fingerprint, so that more can be added.
    """

    def __init__(
        self,
        target: LandscapeFolder,
        objective: Objective,
        directions: Directions,
        grid: Grid,
        events: Batch,
        anchors: Anchors,
        all_events: int,
    ) -> None:
        first = events.take(slice(0, CHUNK))
        loss = objective.loss(directions.origin.astype(objective.dtype), first)
        shapes = [array.shape for array in first.arrays]
        digest = hashlib.sha256(repr((objective.dtype, loss, all_events, CHUNK, shapes)).encode())
        slice_ = [directions.origin, directions.vectors, directions.offset, *grid.axes]
        for array in (*slice_, anchors.rows, anchors.losses, *first.arrays):
            digest.update(np.ascontiguousarray(array).tobytes())
        self.target, self.fingerprint = target, digest.hexdigest()
        self.none = Sums.zero(grid.size, len(anchors.rows))
        self.written = time.monotonic()

    def read(self, most: int) -> Sums:
        """Return the saved sums of this surface, or zero."""
        found = self.target.read_arrays(FILE)
        if found is not None and isinstance(found[1], dict):
            arrays, about = found
            if about.get("fingerprint") == self.fingerprint:
                events, chunks = about["events"], about["chunks"]
                if events == most or (events < most and events % CHUNK == 0):
                    return Sums(**arrays, events=events, chunks=chunks)
        return self.none

    def write(self, sums: Sums) -> None:
        """Write the sums."""
        arrays = {k: v for k, v in vars(sums).items() if isinstance(v, np.ndarray)}
        about = {"fingerprint": self.fingerprint, "events": sums.events, "chunks": sums.chunks}
        self.target.write_arrays(FILE, arrays, about)
        self.written = time.monotonic()

    def write_if_due(self, sums: Sums) -> None:
        """Write the sums if the last write was long ago."""
        if time.monotonic() - self.written >= WRITE_EVERY:
            self.write(sums)


@dataclass(frozen=True, eq=False)
class Surface:
    """J on a slice.

    Attributes
    ----------
    grid
        The coordinates.
    losses, standard_errors
        In the shape of the grid; infinite or NaN where J is not finite.
    events, all_events : int
        Number of events used, and of all events.
    chunks : int
        Number of complete chunks behind the standard errors.
    complete : bool
        Whether as many events were used as requested.
    """

    grid: Grid
    losses: Array
    standard_errors: Array
    events: int
    all_events: int
    chunks: int
    complete: bool

    @property
    def finite(self) -> Array:
        """Mask of the points at which J is finite."""
        return np.isfinite(self.losses)

    def lowest(self) -> tuple[Array, float]:
        """Return coordinates and J of the lowest point of the grid; NaN if none is finite."""
        if not self.finite.any():
            return np.full(len(self.grid.axes), np.nan), float("nan")
        index = int(np.where(self.finite, self.losses, np.inf).argmin())
        return self.grid.points()[index], float(self.losses.ravel()[index])

    def largest_relative_error(self) -> float:
        """Return the largest standard error relative to J; infinite if J ≤ 0."""
        return _relative(self.losses, self.standard_errors)


def _relative(losses: Array, errors: Array) -> float:
    finite = np.isfinite(losses)
    if not finite.any():
        return 0.0
    losses, errors = losses[finite], errors[finite]
    with np.errstate(all="ignore"):
        parts = np.where(errors == 0, 0.0, np.where(losses > 0, errors / losses, np.inf))
    return float(np.max(np.where(np.isnan(parts), np.inf, parts)))


def drawn_events(events: Batch, most: int | None, seed: int) -> Batch:
    """Return at most `most` events, in memory, in a random order given by the seed.

    A larger number of events starts with the same ones.
    """
    count = len(events) if most is None else min(most, len(events))
    random = np.random.default_rng([seed, 29])
    rows = random.permutation(len(events))[:count]
    if not events.on_disk:
        return events.take(rows)
    in_order = np.sort(rows)
    taken = events.take(in_order)  # one pass, also over events on disk
    return taken.take(np.searchsorted(in_order, rows))


def evaluate(
    objective: Objective,
    directions: Directions,
    grid: Grid,
    events: Batch,
    all_events: int,
    *,
    anchors: Anchors | None = None,
    standard_error: float | None = None,
    sums: Sums | None = None,
    progress: Callable[[Sums, int], None] = lambda sums, target: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[Surface, Sums]:
    """Evaluate J on a grid; also return the sums, to go on from.

    `events`, from `drawn_events`, are of `all_events` in the whole sample. With
    `standard_error` it stops when the standard error is at most this fraction of J at every
    finite point, with at least 32 complete chunks. `progress` is called after each chunk with
    the sums and the expected number of events. If `interrupted()` is true, the unfinished chunk
    is dropped, and the surface is not complete.
    """
    anchors = anchors or Anchors()
    points = grid.points() - directions.offset
    sums = sums if sums is not None else Sums.zero(len(points), len(anchors.rows))
    line = grid.shape[-1]
    size = line * max(1, SLICE // line)  # independent of the time they take
    pieces = [points[start : start + size] for start in range(0, grid.size, size)]
    at_once, seconds = 1, 0.0

    def judged(sums: Sums) -> float:
        """Return the largest relative error if it is needed and there are enough chunks."""
        may = standard_error is not None and sums.chunks >= LEAST_CHUNKS
        return _relative(*sums.estimate(all_events, anchors)) if may else np.inf

    def result(sums: Sums, complete: bool) -> tuple[Surface, Sums]:
        losses, errors = (v.reshape(grid.shape) for v in sums.estimate(all_events, anchors))
        counts = sums.events, all_events, sums.chunks
        return Surface(grid, losses, errors, *counts, complete), sums

    with threadpool_limits(limits=1, user_api="blas"):
        while sums.events < len(events):
            worst = judged(sums)  # the sums to continue from may already be sufficient
            if standard_error is not None and worst <= standard_error:
                return result(sums, complete=True)
            target = _target(sums, len(events), all_events, worst, standard_error)
            if seconds:
                at_once = _at_once(at_once, seconds, sums, target, standard_error)
            began, losses = time.monotonic(), []
            taken = events.take(slice(sums.events, sums.events + at_once * CHUNK))
            for piece in pieces:
                if interrupted():
                    return result(sums, complete=False)
                place = directions.origin, directions.vectors, piece
                losses.append(losses_of_chunks(objective, *place, taken, CHUNK))
            for index, row in enumerate(np.concatenate(losses, axis=1)):
                if index:
                    worst = judged(sums)
                    if standard_error is not None and worst <= standard_error:
                        return result(sums, complete=True)
                    if interrupted():
                        return result(sums, complete=False)
                sums = sums.plus(row, min(CHUNK, len(events) - sums.events), anchors)
                progress(sums, _target(sums, len(events), all_events, worst, standard_error))
            seconds = time.monotonic() - began
    return result(sums, complete=True)


def _at_once(
    chunks: int, seconds: float, sums: Sums, target: int, standard_error: float | None
) -> int:
    """Return the number of chunks for the next call, from the time of the last call."""
    most = min(int(SECONDS * chunks / max(seconds, 1e-9)), 8 * chunks, MOST_CHUNKS)
    if standard_error is not None:
        missing = LEAST_CHUNKS - sums.chunks
        most = min(most, missing if missing > 0 else -((sums.events - target) // CHUNK))
    return max(1, most)


def _target(sums: Sums, most: int, all_events: int, worst: float, wanted: float | None) -> int:
    """Return the expected number of events n, from σ²/n (1 − n/N) = (error J)²."""
    if wanted is None or not 0 < worst < np.inf:
        return most
    n, N = sums.events, all_events
    if n >= N:
        return most
    spread = (worst / wanted) ** 2 * n / (1 - n / N)
    return int(min(max(spread / (1 + spread / N), n), most))
