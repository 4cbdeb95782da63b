"""J on the points of a grid, summed over chunks of events at all points together.

The order of the events is drawn once from the seed and is the same at every point, so neighbouring
points differ only by their θ and the surface is smooth. Events are processed in chunks of 256. One
call processes as many chunks as take about a quarter of a second; this number does not change the
bits of the sums. Any number of chunks gives a complete surface (`steepest.landscape.estimate`). The
sums of an interrupted surface are saved, and it continues from them with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from steepest.landscape.directions import Directions, Grid
from steepest.landscape.estimate import CHUNK, LEAST_CHUNKS, Anchors, Sums
from steepest.objective import Batch, Objective, losses_of_chunks

__all__ = ["Surface", "drawn_events", "evaluate"]

Array = np.ndarray

SLICE = 4096
"""Number of points between checks for an interrupt, rounded to lines of the grid."""
SECONDS = 0.25
"""Seconds between checks for an interrupt, if a chunk takes less."""
MOST_CHUNKS = 64
"""Maximum number of chunks per call."""


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

    Parameters
    ----------
    events, all_events
        The events to use, from `drawn_events`, and their number in the whole sample.
    standard_error
        Stop when the standard error is at most this fraction of J at every finite point, with at
        least 32 complete chunks; None uses all of `events`.
    progress
        Called after each chunk with the sums and the expected number of events.
    interrupted
        Checked regularly; if true, the evaluation stops, the unfinished chunk is dropped, and the
        surface is not complete.
    """
    anchors = anchors or Anchors.none()
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
