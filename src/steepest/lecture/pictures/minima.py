"""Local minima and a plateau on the surface of a small network, found from many starts."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from steepest.landscape.curvature import barrier
from steepest.lecture.data import LectureData
from steepest.lecture.effort import Effort
from steepest.lecture.errors import NotFound
from steepest.lecture.live import Walk, scaled, settled, walk
from steepest.lecture.pictures.minima_figure import figure
from steepest.lecture.pictures.minima_numbers import Minima, Minimum, Plateau, plateau_of
from steepest.lecture.quadratic import hessian
from steepest.objective import Batch, ModelObjective, losses_on_plane, objective_named
from steepest.training import TrainingCallback

__all__ = ["NAME", "TITLE", "compute", "figure", "run_of", "text"]

Array = np.ndarray

NAME = "minima"
TITLE = "Local minima and a plateau"

EVENTS = 40
HIDDEN = 2
L2 = 1e-3
"""L2 term, without which some minima are at infinite weights."""
RATE = 2.0
SETTLED = 1e-5
"""‖∇J‖ at which a run stops."""
REACHED = 1e-3
"""A run has reached a minimum if J is within this fraction of it."""
DIFFERENT = 0.01
"""Minima are different if their J differ by more than this fraction; else they may be mirrored."""


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Minima:
    """Train a small network from many starts, on several samples until all effects are found.

    Raises
    ------
    NotFound
        All starts led to the same minimum, in all samples.
    """
    minima: Minima | None = None
    plateau: Plateau | None = None
    for sample in range(effort.samples):
        objective, batch = _network(data, seed + 1000 * sample)
        runs = []
        for start in range(effort.starts):
            done = sample * effort.starts + start
            callback.measured(done, effort.samples * effort.starts, "starts")
            runs.append(_run(objective, batch, 1000 * seed + start, effort, callback))
        if minima is None:
            minima = _two_minima(data, objective, batch, runs, 1000 * seed, sample)
        here = _longest_plateau(objective, batch, runs, 1000 * seed, sample)
        if plateau is None or (here is not None and minima is not None):
            plateau = here  # preferably one on the sample of the minima
        if minima is not None and plateau is not None:
            break
    if minima is None:
        raise NotFound(
            f"{effort.starts} starts in each of {effort.samples} samples of {EVENTS} events led "
            "to one minimum each time"
        )
    return replace(minima, plateau=plateau)


def run_of(
    data: LectureData,
    seed: int,
    numbers: Minima,
    which: int,
    effort: Effort,
    callback: TrainingCallback,
) -> tuple[ModelObjective, Batch, Walk]:
    """Return the objective of the minima, its events, and the run that led to one of them.

    `numbers` is the result of `compute` for the same data, seed and effort; A is 0, B is 1.
    """
    objective, batch = _network(data, seed + 1000 * numbers.sample)
    return objective, batch, _run(objective, batch, numbers.minima[which].seed, effort, callback)


def _run(
    objective: ModelObjective, batch: Batch, seed: int, effort: Effort, callback: TrainingCallback
) -> Walk:
    return walk(
        objective,
        batch,
        rate=RATE,
        epochs=effort.steps,
        seed=seed,
        settled_below=SETTLED,
        callback=callback,
    )


def _network(data: LectureData, seed: int) -> tuple[ModelObjective, Batch]:
    events = data.drawn(EVENTS, seed)
    inputs = scaled(events.features[:, list(data.pair)], events.weights)
    options = {"hidden": (HIDDEN,), "activation": "tanh"}
    objective = objective_named("dense", 2, "binary-cross-entropy", l2=L2, **options)
    return objective, Batch.of(inputs, events.labels, events.weights, objective.dtype)


def _pair(
    objective: ModelObjective, batch: Batch, runs: list[Walk], thetas: list[Array]
) -> tuple[int, int] | None:
    """Return the lowest minimum and the next one behind a barrier, or None."""
    losses = [objective.loss(theta, batch) for theta in thetas]
    kept = [
        k for k in np.argsort(losses).tolist()
        if objective.loss(runs[k].end, batch) - losses[k] < REACHED * losses[k]
        and _is_minimum(objective, batch, thetas[k])
    ]  # fmt: skip
    for a, b in combinations(kept, 2):
        if losses[b] > (1 + DIFFERENT) * losses[a]:
            line = _line(objective, batch, thetas[a], thetas[b])
            if line.max() > (1 + REACHED) * losses[b]:  # a barrier above the higher minimum
                return a, b
    return None


def _is_minimum(objective: ModelObjective, batch: Batch, theta: Array) -> bool:
    gradient = objective.loss_and_gradient(theta, batch)[1]
    values = np.linalg.eigvalsh(hessian(objective, theta, batch))
    return bool(np.linalg.norm(gradient) < 1e-8 and values[0] > 0)


def _line(objective: ModelObjective, batch: Batch, first: Array, second: Array) -> Array:
    t = np.linspace(0, 1, 201)[:, None]
    return losses_on_plane(objective, first, (second - first)[None], t, batch)


def _two_minima(
    data: LectureData,
    objective: ModelObjective,
    batch: Batch,
    runs: list[Walk],
    seed: int,
    sample: int,
) -> Minima | None:
    thetas = [settled(objective, run.end, batch, 200) for run in runs]
    found = _pair(objective, batch, runs, thetas)
    if found is None:
        return None
    minima = []
    for k in found:
        loss, gradient = objective.loss_and_gradient(thetas[k], batch)
        values = np.linalg.eigvalsh(hessian(objective, thetas[k], batch))
        moved = objective.loss(runs[k].end, batch) - loss
        size = float(np.linalg.norm(gradient))
        minima.append(Minimum(seed + k, loss, size, values, moved, runs[k].losses))
    line = _line(objective, batch, thetas[found[0]], thetas[found[1]])
    return Minima(
        minima=(minima[0], minima[1]),
        line=line,
        barrier=barrier(line),
        plateau=None,
        ends=np.array([objective.loss(theta, batch) for theta in thetas]),
        network="→".join(map(str, objective.model.details()["widths"])),
        events=len(batch),
        sample=sample,
        features=tuple(data.names[i] for i in data.pair),
    )


def _longest_plateau(
    objective: ModelObjective, batch: Batch, runs: list[Walk], seed: int, sample: int
) -> Plateau | None:
    found = [
        (ends[1] - ends[0], k, ends) for k, r in enumerate(runs) if (ends := plateau_of(r.losses))
    ]
    if not found:
        return None
    _, k, (first, last) = max(found)
    run = runs[k]
    at = first + int(run.gradients[first:last].argmin())
    theta = walk(objective, batch, rate=RATE, epochs=max(at, 1), seed=seed + k).end
    values = np.linalg.eigvalsh(hessian(objective, theta, batch))
    return Plateau(
        seed=seed + k,
        sample=sample,
        first=first,
        last=last,
        loss_before=float(run.losses[first]),
        loss_after=float(run.losses[last]),
        loss_end=float(run.losses[-1]),
        gradient=float(run.gradients[at]),
        lowest=float(values[0]),
        highest=float(values[-1]),
        losses=run.losses,
        gradients=run.gradients,
    )


def text(numbers: Minima) -> list[str]:
    """Explain the numbers."""
    first, second = numbers.minima
    one = numbers.plateau
    flat = "No run had a plateau."
    if one is not None:
        where = "" if one.sample == numbers.sample else f" on another {numbers.events} events"
        curved = (
            f"the lowest eigenvalue is −{-one.lowest:.2g}, below zero: beside a saddle"
            if one.lowest < 0
            else f"the lowest eigenvalue is {one.lowest:.2g}"
        )
        flat = (
            f"From step {one.first:,} to {one.last:,} of start {one.seed}{where} the loss only "
            f"falls from {one.loss_before:.4f} to {one.loss_after:.4f}, with a gradient down to "
            f"{one.gradient:.2g} ({curved}). Afterwards it falls to {one.loss_end:.4f}."
        )
    return [
        f"A network {numbers.network} (tanh) on {', '.join(numbers.features)} of "
        f"{numbers.events} events, trained from {len(numbers.ends)} starts. The minimum depends on "
        f"the start: start {first.seed} leads to A with J = {first.loss:.4f}, start "
        f"{second.seed} to B with J = {second.loss:.4f}.",
        f"Both are minima: the gradient is zero to {max(first.gradient, second.gradient):.1g} and "
        f"all {len(first.eigenvalues)} eigenvalues of the Hessian are positive (the lowest "
        f"{min(first.eigenvalues[0], second.eigenvalues[0]):.2g}). On the straight line between "
        f"them J rises by {numbers.barrier['height']:#.2g}.",
        flat,
    ]
