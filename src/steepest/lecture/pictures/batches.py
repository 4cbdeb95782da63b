"""Batch, mini-batch and stochastic gradient descent: paths, excess loss and noise floor."""

from __future__ import annotations

import numpy as np

from steepest import recipe as spec
from steepest.descent import choose_learning_rate
from steepest.lecture.data import LectureData
from steepest.lecture.effort import Effort
from steepest.lecture.live import Walk, linear, logistic_minimum, scaled, walk
from steepest.lecture.pictures.batches_figure import figure
from steepest.lecture.pictures.batches_numbers import Batches, Floor, Way
from steepest.objective import Batch, ModelObjective, losses_on_plane
from steepest.optimizers import update_rule
from steepest.training import TrainingCallback

__all__ = ["NAME", "TITLE", "Batches", "Floor", "Way", "compute", "figure", "text"]

Array = np.ndarray

NAME = "batches"
TITLE = "Batch against mini-batch against stochastic"

AWAY = np.array([-3.2, 2.4])
"""The start, relative to the minimum."""
MINI = 32
MOST_EVENTS = 500
"""Number of events, and so of stochastic steps per pass."""
TARGET = 0.02
"""Passes and seconds are measured until the excess loss is this fraction of its start."""
LAST = 0.25
"""The noise floor is the mean over this last fraction of a run."""
SCHEDULES = (("constant", spec.Constant()), ("inverse-time", spec.InverseTime()))


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Batches:
    """Compute logistic regression on one feature: θ is its coefficient and the intercept."""
    events = data.drawn(min(MOST_EVENTS, effort.events), seed)
    first = data.pair[0]
    inputs = scaled(events.features[:, [first]], events.weights)
    objective, batch = linear(inputs, events.labels, events.weights, "binary-cross-entropy")
    minimum = logistic_minimum(objective, np.zeros(2), batch)
    lowest = objective.loss(minimum, batch)
    start = minimum + AWAY
    above = objective.loss(start, batch) - lowest
    sizes = (("batch", len(batch)), ("mini-batch", min(MINI, len(batch) // 2)), ("stochastic", 1))
    ways, rates = [], {}
    for name, size in sizes:
        rates[name] = _rate(objective, batch, size, seed)
        run = _timed(objective, batch, rates[name], size, start, seed, effort.epochs, callback)
        ways.append(_way(name, size, rates[name], run, objective, batch, lowest, above))
    floors = [
        _floor(kind, rates["stochastic"], objective, batch, minimum, seed, effort, callback)
        for kind in SCHEDULES
    ]
    axes, losses = _surface(objective, batch, minimum, ways, effort.points)
    return Batches(data.names[first], data.classes, len(events), axes, losses, minimum, lowest,
                   above, TARGET, tuple(ways), tuple(floors))  # fmt: skip


def _timed(
    objective: ModelObjective,
    batch: Batch,
    rate: float,
    size: int,
    start: Array,
    seed: int,
    epochs: int,
    callback: TrainingCallback,
) -> Walk:
    """Return a descent with the time of its steps only; a first run compiles the kernels."""
    walk(objective, batch, rate=rate, epochs=1, batch_size=size, start=start, callback=callback)
    return walk(objective, batch, rate=rate, epochs=epochs, batch_size=size, start=start,
                seed=seed, callback=callback)  # fmt: skip


def _rate(objective: ModelObjective, batch: Batch, size: int, seed: int) -> float:
    rule = update_rule(spec.SGD(), objective.weight_mask)
    return choose_learning_rate(objective, batch, rule, size, seed).value


def _excess(objective: ModelObjective, batch: Batch, run: Walk, lowest: float) -> Array:
    return losses_on_plane(objective, np.zeros(2), np.eye(2), run.thetas, batch) - lowest


def _way(
    name: str,
    size: int,
    rate: float,
    run: Walk,
    objective: ModelObjective,
    batch: Batch,
    lowest: float,
    above: float,
) -> Way:
    per_pass = -(-len(batch) // size)
    excess = _excess(objective, batch, run, lowest)
    below = excess <= TARGET * above
    passes = run.steps / per_pass
    reached = float(passes[below.argmax()]) if below.any() else None
    of_a_pass = run.seconds * per_pass / max(int(run.steps[-1]), 1)
    seconds = {"pass": of_a_pass, "target": None if reached is None else reached * of_a_pass}
    return Way(name, size, rate, passes, excess, run.thetas, reached, seconds)


def _floor(
    kind: tuple[str, spec.Schedule],
    rate: float,
    objective: ModelObjective,
    batch: Batch,
    minimum: Array,
    seed: int,
    effort: Effort,
    callback: TrainingCallback,
) -> Floor:
    """Return the remaining excess loss for several orders of the events."""
    name, schedule = kind
    lowest = objective.loss(minimum, batch)
    values, curves, passes = [], [], np.empty(0)
    for repeat in range(effort.repeats):
        run = walk(objective, batch, rate=rate, epochs=effort.epochs, batch_size=1,
                   start=minimum + AWAY, schedule=schedule, seed=1000 * seed + repeat + 1,
                   callback=callback)  # fmt: skip
        excess = _excess(objective, batch, run, lowest)
        passes = run.steps / len(batch)
        values.append(float(excess[passes >= (1 - LAST) * effort.epochs].mean()))
        curves.append(excess)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    uncertainty = spread / len(values) ** 0.5
    curve = np.mean(curves, axis=0)
    return Floor(name, np.array(values), float(np.mean(values)), uncertainty, passes, curve)


def _surface(
    objective: ModelObjective, batch: Batch, minimum: Array, ways: list[Way], points: int
) -> tuple[tuple[Array, Array], Array]:
    """Return J on the plane of both parameters, around all paths."""
    seen = np.concatenate([*(way.path for way in ways), minimum[None]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = (np.linspace(a, b, points) for a, b in zip(low - margin, high + margin, strict=True))
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    losses = losses_on_plane(objective, np.zeros(2), np.eye(2), grid, batch)
    return (x, y), losses.reshape(points, -1)


def text(numbers: Batches) -> list[str]:
    """Explain the numbers."""
    constant, falling = numbers.floors
    reached = "; ".join(
        f"{way.name} "
        + (
            "does not in this run"
            if way.passes_to_target is None
            else f"after {way.passes_to_target:.3g} passes"
        )
        for way in numbers.ways
    )
    return [
        f"Logistic regression on one feature has two parameters, so the whole surface can be "
        f"drawn. Batch descent goes straight to the minimum. Stochastic descent, with one event "
        f"per step ({numbers.events:,} steps per pass), follows a noisy path, but has covered most "
        "of the distance before the end of the first pass. The figure shows some of its steps.",
        f"To {100 * numbers.target:g} % of the initial excess loss: {reached}.",
        f"With a constant η the descent does not settle, because the gradient of a single event is "
        f"not zero at the minimum: J − J* stays at {_measured(constant)} "
        f"(mean over the last quarter of {len(constant.values)} runs). If η decreases as "
        f"1/(1 + epoch), it is {_measured(falling)}.",
    ]


def _measured(floor: Floor) -> str:
    """Format the excess, with one significant digit of its uncertainty."""
    error = floor.uncertainty
    if not (np.isfinite(error) and error > 0):
        return f"{floor.excess:.2g}"
    digits = max(0, -int(np.floor(np.log10(error))))
    return f"{floor.excess:.{digits}f} ± {error:.{digits}f}"
