"""Batch, mini-batch and stochastic gradient descent: paths, excess loss and noise floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest import recipe as spec
from steepest.descent import choose_learning_rate
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import levels
from steepest.landscape.figures.plots import star_at, start_at
from steepest.lecture.data import Effort, LectureData, symbol_and_unit
from steepest.lecture.descents import Problem, problem, scaled
from steepest.optimizers import update_rule
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "batches"
TITLE = "Batch against mini-batch against stochastic"

AWAY = np.array([-3.2, 2.4])
"""The start, relative to the minimum."""
MINI = 32
MOST_EVENTS = 500
"""Number of events, and so of stochastic steps an epoch."""
TARGET = 0.02
"""Epochs and seconds are measured until the excess loss is this fraction of its start."""
LAST = 0.25
"""The noise floor is the mean over this last fraction of a run."""
SCHEDULES = {"constant": spec.Constant(), "inverse-time": spec.InverseTime()}


@dataclass(frozen=True, eq=False)
class BatchSize:
    """A descent with one batch size."""

    name: str  # "batch", "mini-batch" or "stochastic"
    batch_size: int
    rate: float  # the automatic η of the package
    epochs: Array  # (points,): epochs that are done at the recorded points
    excess: Array  # (points,): J − J* there
    path: Array  # (points, 2)
    epochs_to_target: float | None  # until J − J* is `TARGET` of its start; None if not reached
    seconds: dict[str, float | None]  # of an epoch and to the target, on this machine


@dataclass(frozen=True, eq=False)
class Floor:
    """The mean excess loss over the last quarter of stochastic runs."""

    schedule: str
    values: Array  # one per order of the events
    excess: float  # their mean
    uncertainty: float  # its standard error
    epochs: Array  # (points,)
    curve: Array  # (points,): mean excess of all runs


@dataclass(frozen=True, eq=False)
class Batches:
    """Three descents on one surface, and the noise floor with and without a schedule."""

    feature: str
    classes: tuple[str, str]
    events: int
    axes: tuple[Array, Array]
    losses: Array
    minimum: Array
    lowest: float
    start_excess: float
    target: float
    batch_sizes: tuple[BatchSize, ...]
    floors: tuple[Floor, ...]


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Batches:
    """Compute logistic regression on one feature: θ is its coefficient and the intercept."""
    events = data.drawn(min(MOST_EVENTS, effort.events), seed)
    first = data.pair[0]
    inputs = scaled(events.features[:, [first]], events.weights)
    fit = problem(inputs, events.labels, events.weights, "binary-cross-entropy", callback)
    minimum = fit.logistic_minimum(np.zeros(2))
    lowest = fit.loss(minimum)
    above = fit.loss(minimum + AWAY) - lowest
    sizes = {"batch": len(events), "mini-batch": min(MINI, len(events) // 2), "stochastic": 1}
    batch_sizes = tuple(
        _descent(name, size, fit, minimum, seed, effort.epochs) for name, size in sizes.items()
    )
    floors = tuple(
        _floor(name, batch_sizes[-1].rate, fit, minimum, seed, effort) for name in SCHEDULES
    )
    axes, losses = _surface(fit, minimum, batch_sizes, effort.points)
    return Batches(data.names[first], data.classes, len(events), axes, losses, minimum, lowest,
                   above, TARGET, batch_sizes, floors)  # fmt: skip


def _descent(
    name: str, size: int, fit: Problem, minimum: Array, seed: int, epochs: int
) -> BatchSize:
    rule = update_rule(spec.SGD(), fit.objective.weight_mask)
    rate = choose_learning_rate(fit.objective, fit.events, rule, size, seed).value
    options: dict[str, Any] = {"rate": rate, "batch_size": size, "start": minimum + AWAY}
    fit.descend(**options, epochs=1)  # compiles, so the time below is that of the steps only
    run = fit.descend(**options, epochs=epochs, seed=seed)
    per_epoch = -(-len(fit.events) // size)
    lowest = fit.loss(minimum)
    excess = fit.losses_at(run.thetas) - lowest
    below = excess <= TARGET * (fit.loss(minimum + AWAY) - lowest)
    done = run.steps / per_epoch
    reached = float(done[below.argmax()]) if below.any() else None
    of_an_epoch = run.seconds * per_epoch / max(int(run.steps[-1]), 1)
    seconds = {"epoch": of_an_epoch, "target": None if reached is None else reached * of_an_epoch}
    return BatchSize(name, size, rate, done, excess, run.thetas, reached, seconds)


def _floor(
    schedule: str, rate: float, fit: Problem, minimum: Array, seed: int, effort: Effort
) -> Floor:
    """Return the remaining excess loss for several orders of the events."""
    lowest = fit.loss(minimum)
    values, curves, done = [], [], np.empty(0)
    for repeat in range(effort.repeats):
        run = fit.descend(rate=rate, epochs=effort.epochs, batch_size=1, start=minimum + AWAY,
                          schedule=SCHEDULES[schedule], seed=1000 * seed + repeat + 1)  # fmt: skip
        curves.append(fit.losses_at(run.thetas) - lowest)
        done = run.steps / len(fit.events)
        values.append(float(curves[-1][done >= (1 - LAST) * effort.epochs].mean()))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Floor(schedule, np.array(values), float(np.mean(values)), spread / len(values) ** 0.5,
                 done, np.mean(curves, axis=0))  # fmt: skip


def _surface(
    fit: Problem, minimum: Array, batch_sizes: tuple[BatchSize, ...], points: int
) -> tuple[tuple[Array, Array], Array]:
    """Return J on the plane of both parameters, around all paths."""
    seen = np.concatenate([*(one.path for one in batch_sizes), minimum[None]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.15 * (high - low)
    x, y = np.linspace(low - margin, high + margin, points, axis=1)
    return (x, y), fit.losses_at(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1))


_LOOKS: dict[str, dict[str, Any]] = {
    "batch": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "mini-batch": {"color": ORANGE, "linestyle": "--", "marker": "s"},
    "stochastic": {"color": RED, "linestyle": "-", "marker": None},
}


def figure(numbers: Batches) -> Figure:
    """Return the paths on one contour, the excess loss against epochs, and the noise floor."""
    with style():
        drawn = new_figure(14.0, 5.6)
        paths, falls = drawn.subplots(1, 2)
        _paths(paths, numbers)
        _falls(falls, numbers)
        return laid_out(drawn)


def _paths(axes: Axes, numbers: Batches) -> None:
    x, y = numbers.axes
    rings = levels(numbers.losses, 14)
    axes.contourf(x, y, numbers.losses.T, levels=rings, cmap="Greys_r", alpha=0.35)
    axes.contour(x, y, numbers.losses.T, levels=rings[1:-1], colors="0.45", linewidths=0.6)
    for one in reversed(numbers.batch_sizes):
        look = _LOOKS[one.name]
        shown = one.path[one.epochs <= (1 if one.name != "batch" else np.inf)]
        width = 1.0 if one.name == "stochastic" else 1.8
        axes.plot(*shown.T, **look, markersize=4, linewidth=width, label=_named(one))
    start_at(axes, numbers.batch_sizes[0].path[0], zorder=5)
    star_at(axes, numbers.minimum, zorder=6)
    axes.set_xlabel(f"Coefficient of standardised {symbol_and_unit(numbers.feature)[0]}")
    axes.set_ylabel("Intercept")
    axes.legend(loc="upper right", fontsize=11, reverse=True, frameon=True, framealpha=0.9)


def _falls(axes: Axes, numbers: Batches) -> None:
    for one in numbers.batch_sizes[:2]:
        look = dict(_LOOKS[one.name])
        look["marker"] = "o" if one.name == "batch" else None
        axes.plot(one.epochs, one.excess, **look, markersize=5, label=_named(one))
    for floor, colour, dashes in zip(numbers.floors, (RED, "black"), ("-", "-."), strict=True):
        kind = r"$\eta$ constant" if floor.schedule == "constant" else r"$\eta$ falling"
        label = rf"Stochastic, {kind} (mean of {len(floor.values)} runs)"
        axes.plot(floor.epochs, floor.curve, color=colour, linestyle=dashes, linewidth=1.4,
                  label=label)  # fmt: skip
    target = numbers.target * numbers.start_excess
    axes.axhline(target, color=GREY, linestyle=":", zorder=0)
    axes.annotate(f"{100 * numbers.target:g} % of the start", (0, target),
                  xycoords=("axes fraction", "data"), xytext=(8, -15), textcoords="offset points",
                  fontsize=11)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xscale("symlog", linthresh=0.01)
    axes.set_xlim(0, numbers.batch_sizes[0].epochs[-1])
    axes.set_xlabel("Epoch")
    axes.set_ylabel(r"Excess loss $J - J_{\mathrm{min}}$")
    axes.legend(loc="lower left", fontsize=11)


def _named(one: BatchSize) -> str:
    size = "1 event" if one.batch_size == 1 else f"{one.batch_size} events"
    size = "all events" if one.name == "batch" else size
    return f"{one.name.capitalize()} ({size} a step)"


def text(numbers: Batches) -> list[str]:
    """Explain the numbers."""
    constant, falling = numbers.floors
    reached = "; ".join(
        f"{one.name} does not in this run"
        if one.epochs_to_target is None
        else f"{one.name} after {one.epochs_to_target:.3g} epochs"
        for one in numbers.batch_sizes
    )
    return [
        f"Logistic regression on one feature has two parameters, so the whole surface can be "
        f"drawn. Batch descent goes straight to the minimum. Stochastic descent, with one event "
        f"per step ({numbers.events:,} steps an epoch), follows a noisy path, but has covered most "
        "of the distance before the end of the first epoch. The figure shows some of its steps.",
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


def table(numbers: dict[str, Any]) -> list[list[str]]:
    """Return epochs and seconds of the three batch sizes, as a header and rows.

    Examples
    --------
    >>> one = {"name": "batch", "batch_size": 10, "rate": 0.5, "epochs_to_target": None,
    ...        "seconds": {"epoch": 0.002, "target": None}}
    >>> table({"batch_sizes": [one], "target": 0.02})[1]
    ['batch', '10', '0.5', '–', '–', '2 ms']
    >>> one["seconds"] = {"epoch": 0.1834, "target": None}
    >>> table({"batch_sizes": [one], "target": 0.02})[1][-1]
    '183 ms'
    """
    part = f"{100 * numbers['target']:g} %"
    head = ["", "events a step", "η", f"epochs to {part}", f"time to {part}", "time of an epoch"]

    def time(seconds: float | None) -> str:
        if seconds is None:
            return "–"
        return f"{1000 * seconds:.0f} ms" if seconds > 0.0995 else f"{1000 * seconds:.2g} ms"

    rows = [
        [one["name"], f"{one['batch_size']:,}", f"{one['rate']:.3g}",
         "–" if one["epochs_to_target"] is None else f"{one['epochs_to_target']:.3g}",
         time(one["seconds"]["target"]), time(one["seconds"]["epoch"])]
        for one in map(_in_epochs, numbers["batch_sizes"])
    ]  # fmt: skip
    return [head, *rows]


def _in_epochs(one: dict[str, Any]) -> dict[str, Any]:
    """Return a batch size as lecture.json has it from version 2 on; version 1 counted passes."""
    if "passes_to_target" not in one:
        return one
    seconds = {**one["seconds"], "epoch": one["seconds"]["pass"]}
    return {**one, "epochs_to_target": one["passes_to_target"], "seconds": seconds}
