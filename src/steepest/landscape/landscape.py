"""The landscape of a run: slice, surface, path and numbers, written into the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from steepest._version import __version__
from steepest.compiled.clock import clock
from steepest.curvature import Spectrum, spectrum_at
from steepest.errors import Interrupted
from steepest.folder import LandscapeFolder, RunFolder
from steepest.landscape import spans
from steepest.landscape.directions import (
    Directions,
    Grid,
    automatic_extent,
    grid_of,
    refuse_too_large,
)
from steepest.landscape.input import (
    CURVATURE_EVENTS,
    LandscapeInput,
    LandscapeOptions,
    landscape_input,
    other_theta,
)
from steepest.landscape.path_projection import projected_path
from steepest.landscape.result import Landscape
from steepest.landscape.summary import summary
from steepest.landscape.surface import Anchors, SavedSums, Sums, Surface, drawn_events, evaluate
from steepest.objective import Batch, neuron_groups
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible
from steepest.training.inputs import available_memory

Array = np.ndarray


def landscape_of_run(
    path: str | Path,
    options: LandscapeOptions,
    *,
    part: str = "train",
    callback: TrainingCallback | None = None,
) -> Landscape:
    """Compute the landscape of a run, and write its numbers into ``RUN/landscape/NAME/``.

    `part` of its events is used. See `steepest.Run.landscape` for options and errors.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    folder.say_unchecked(callback.say)
    source = landscape_input(folder, part, callback)
    given, options = options, options.resolved(source, str(path))
    assert options.name is not None  # resolved
    if options.events != given.events:
        callback.say(
            f"Each point is a pass of the network over the events: {options.points} points an "
            f"axis, on {min(options.events or 0, len(source.events)):,} of "
            f"{len(source.events):,} events. --points and --events take others."
        )
    target = LandscapeFolder(folder.path, options.name)
    return landscape_of_input(source, options, target, callback)


def landscape_of_input(
    source: LandscapeInput,
    options: LandscapeOptions,
    target: LandscapeFolder,
    callback: TrainingCallback,
) -> Landscape:
    """Compute the landscape of any objective at its θ.

    `options` are resolved, see `LandscapeOptions.resolved`. The numbers go to `target`, with
    the sums from which an interrupted call continues. InputError for directions that do not fit
    the objective or are parallel, or too many points for memory.
    """
    began, points = clock(), options.points
    assert points is not None  # resolved
    row_bytes = 2 * int(source.events.take(slice(0, 1)).inputs.nbytes) + 16  # and a shuffled copy
    count = min(options.events or len(source.events), len(source.events))
    refuse_too_large(points, options.dimensions, count, row_bytes, available_memory())
    # overflow is visible in the losses
    one_thread, quiet = threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore")
    with one_thread, quiet, interruptible(callback):  # first: compilation takes long
        events = drawn_events(source.events, options.events, options.seed)
        spectrum = _spectrum(source, events, options.seed, callback)
        directions = _directions(source, options, spectrum)
        grid = grid_of(directions, _extent(source, options, directions, spectrum), points)
        anchors = Anchors()
        if options.standard_error is not None or len(events) < len(source.events):
            callback.stage("Anchors, with all events")
            anchors = Anchors.of(source.objective, directions, grid, source.events)
        surface = _surface(source, options, directions, grid, events, anchors, target, callback)
        events = events.take(slice(0, surface.events))
        callback.stage("Path and curvature")
        path = None
        if source.path is not None and len(source.path.steps):
            path = projected_path(source.objective, directions, source.path, events, anchors)
        said = summary(source, directions, surface, spectrum, events, anchors)
        if callback.interrupted:
            raise _interrupted(surface.events, grid.size, target)
    numbers: dict[str, Any] = {
        "format": "steepest-landscape",
        "version": 2,
        "steepest": __version__,
        "run": source.name,
        "options": options.to_json(),
        "part": source.part,
        "loss": source.model.loss.name if source.model is not None else "",
        "directions": directions.to_json(),
        "grid": [
            {"low": float(axis[0]), "high": float(axis[-1]), "points": len(axis)}
            for axis in grid.axes
        ],
        "events": {
            "used": surface.events,
            "all": surface.all_events,
            "chunks": surface.chunks,
            "largest_standard_error": surface.largest_relative_error(),
            "curvature": min(surface.events, CURVATURE_EVENTS),
        },
        **said,
        "path": path.to_json() if path is not None else None,
        "seconds": clock() - began,
    }
    landscape = Landscape(target, directions, surface, path, numbers, source.kept_step)
    landscape.write_numbers()
    return landscape


def _directions(
    source: LandscapeInput, options: LandscapeOptions, spectrum: Spectrum | None
) -> Directions:
    """Return the directions that the options select."""
    theta, k = source.theta, options.dimensions
    match options.directions:
        case "random":
            groups = neuron_groups(source.objective)
            return spans.random(theta, groups, dimensions=k, seed=options.seed)
        case "principal":
            assert source.path is not None  # resolved
            return spans.principal(theta, source.path, dimensions=k)
        case "hessian":
            return spans.hessian(theta, spectrum, dimensions=k)
        case "through":
            others = [other_theta(source, where) for where in options.others]
            return spans.through(theta, others, source.name)
        case _:
            return spans.parameters(source.model, options.others)


def _extent(
    source: LandscapeInput,
    options: LandscapeOptions,
    directions: Directions,
    spectrum: Spectrum | None,
) -> Sequence[float]:
    """Return the extent of the options, or one that shows the path, the marks and the minimum."""
    if options.extent is not None:
        return options.extent
    path = directions.coordinates_of(source.path.thetas) if source.path is not None else None
    if directions.kind in ("through", "hessian"):
        path = None  # it may be far from the slice
    scales = None
    if directions.kind == "hessian" and spectrum is not None:
        loss = abs(source.objective.loss(
            source.theta.astype(source.objective.dtype), source.events.take(slice(0, 4096))
        ))  # fmt: skip
        longest = float(np.linalg.norm(source.theta)) or 1.0
        values = np.abs(directions.notes["eigenvalues"])
        with np.errstate(divide="ignore"):  # to where a parabola reaches four times the loss
            scales = np.minimum(np.sqrt(6 * max(loss, 1e-12) / values), longest).tolist()
    return automatic_extent(directions, path, scales)


def _spectrum(
    source: LandscapeInput, events: Batch, seed: int, callback: TrainingCallback
) -> Spectrum | None:
    callback.stage("Curvature")
    try:
        theta = source.theta.astype(source.objective.dtype)
        if not np.isfinite(source.objective.loss(theta, events.take(slice(0, CURVATURE_EVENTS)))):
            raise FloatingPointError("J is not finite in the model's own dtype")
        objective, events = source.curved(events)
        return spectrum_at(objective, source.theta, events, seed=seed)
    except FloatingPointError:
        callback.say("The curvature at the trained parameters is not finite.")
        return None


def _surface(
    source: LandscapeInput,
    options: LandscapeOptions,
    directions: Directions,
    grid: Grid,
    events: Batch,
    anchors: Anchors,
    target: LandscapeFolder,
    callback: TrainingCallback,
) -> Surface:
    """Evaluate the surface, continuing from the sums of an earlier, interrupted call."""
    given = directions, grid, events, anchors, len(source.events)
    kept = SavedSums(target, source.objective, *given)
    sums = kept.read(len(events))
    if 0 < sums.events < len(events):
        callback.say(f"Going on after {sums.events:,} events.")
    callback.stage("Loss surface", len(events))

    def progress(sums: Sums, goal: int) -> None:
        callback.measured(sums.events, goal, "events", f" × {grid.size:,} points")
        kept.write_if_due(sums)

    surface, sums = evaluate(
        source.objective,
        directions,
        grid,
        events,
        len(source.events),
        anchors=anchors,
        standard_error=options.standard_error,
        sums=sums,
        progress=progress,
        interrupted=lambda: callback.interrupted,
    )
    kept.write(sums)
    if not surface.complete:
        raise _interrupted(sums.events, grid.size, target)
    return surface


def _interrupted(events: int, points: int, target: LandscapeFolder) -> Interrupted:
    return Interrupted(
        f"Interrupted after {events:,} events at {points:,} points each.",
        found=f"what is done is kept in {target.path}",
        do="give the same command again",
    )
