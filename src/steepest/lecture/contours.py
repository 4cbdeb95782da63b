"""Contours of one model on the same events under three scalings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import levels
from steepest.landscape.figures.plots import COLOURS_OF_HEIGHT, star_at, start_at
from steepest.lecture.data import Effort, LectureData, in_sentence, symbol_and_unit
from steepest.lecture.descents import Problem, Quadratic, problem, quadratic, scaled
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "contours"
TITLE = "Feature scaling: round against stretched contours"

PART = 1e-6
"""The relative excess loss to which steps are counted."""
MOST_STEPS = 20_000
"""Longer descents are only predicted, not run."""
LONGEST_TO_BE_EQUAL = 8.0
"""Up to this ratio of the lengths of the axes, both have the same scale."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """J under one scaling, and the descent on it at the best fixed η."""

    name: str  # of the scaling
    own_units: bool  # whether the coefficients are in original units
    curvature: Quadratic  # known before the first step
    predicted: int  # steps until J − J* is `PART` of its start
    counted: int | None  # the same in the run; None if there are too many to run
    at_most: int  # the same for the worst start, from κ alone
    axes: tuple[Array, Array]  # the plane of the two coefficients
    losses: Array  # J on it
    path: Array  # (points, 2): the recorded steps


@dataclass(frozen=True, eq=False)
class Contours:
    """Three scalings of one model, and the same without centring the features."""

    features: tuple[str, str]
    classes: tuple[str, str]
    events: int
    part: float
    scaled: tuple[Scaled, ...]
    uncentred: Quadratic  # of all three parameters for the unscaled features
    uncentred_steps: int  # the predicted number of steps


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Contours:
    """Compute least squares on the label, from θ = 0, under three scalings.

    Label and features are centred, so the intercept is 0 at the minimum and stays 0 during the
    descent. The whole path therefore lies in the plane that is drawn.
    """
    events = data.drawn(effort.events, seed)
    features, weights = events.features[:, list(data.pair)], events.weights
    target = events.labels - np.average(events.labels, weights=weights)
    centred = features - np.average(features, axis=0, weights=weights)
    first, second = (data.names[i] for i in data.pair)
    kinds = (
        ("Own units, centred", centred),
        ("Standardised", scaled(centred, weights, "standard")),
        ("Whitened", scaled(centred, weights, "whiten")),
    )
    drawn = tuple(
        _scaled(name, problem(inputs, target, weights, callback=callback), effort.points)
        for name, inputs in kinds
    )
    raw = quadratic(problem(features, events.labels, weights))
    steps = raw.steps_to(np.zeros(3), raw.best, PART)
    return Contours((first, second), data.classes, len(events), PART, drawn, raw, steps)


def _scaled(name: str, fit: Problem, points: int) -> Scaled:
    curvature = quadratic(fit, keep=2)
    predicted = curvature.steps_to(np.zeros(2), curvature.best, PART)
    run = fit.descend(rate=curvature.best, epochs=min(predicted + 2, MOST_STEPS))
    counted = None
    if predicted <= MOST_STEPS:
        excess = np.append(run.losses, fit.loss(run.end)) - curvature.lowest
        counted = int(np.argmax(excess <= PART * excess[0]))
    path = run.thetas[:, :2]
    axes = _window(curvature, path, points)
    losses = fit.losses_at(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    return Scaled(name, name.startswith("Own units"), curvature, predicted, counted,
                  curvature.steps_at_most(PART), axes, losses, path)  # fmt: skip


def _window(curvature: Quadratic, path: Array, points: int) -> tuple[Array, Array]:
    """Return axes that show the path and the contour through its start, with a margin."""
    away = curvature.minimum - path[0]
    height = 0.5 * float(
        away @ (curvature.vectors * curvature.eigenvalues) @ curvature.vectors.T @ away
    )
    inverse = (curvature.vectors / curvature.eigenvalues) @ curvature.vectors.T
    reach = np.maximum(np.sqrt(2 * height * np.diag(inverse)), np.ptp(path, axis=0))
    if reach.max() <= LONGEST_TO_BE_EQUAL * reach.min():
        reach[:] = reach.max()
    return tuple(  # pyright: ignore[reportReturnType]
        np.linspace(m - 1.15 * r, m + 1.15 * r, points)
        for m, r in zip(curvature.minimum, reach, strict=True)
    )


def figure(numbers: Contours) -> Figure:
    """Return the contours with the paths, one panel per scaling."""
    with style():
        drawn = new_figure(14.0, 5.4)
        for axes, one in zip(drawn.subplots(1, 3), numbers.scaled, strict=True):
            _panel(axes, numbers, one)
        return laid_out(drawn)


def _panel(axes: Axes, numbers: Contours, one: Scaled) -> None:
    from matplotlib.colors import BoundaryNorm
    from matplotlib.ticker import MaxNLocator

    x, y = one.axes
    rings = levels(one.losses, 12)
    axes.contourf(x, y, one.losses.T, levels=rings, cmap=COLOURS_OF_HEIGHT,
                  norm=BoundaryNorm(rings, 256))  # fmt: skip
    axes.contour(x, y, one.losses.T, levels=rings[1:-1], colors="white", linewidths=0.5, alpha=0.6)
    axes.plot(*one.path.T, color="white", linewidth=2.8, zorder=3)
    axes.plot(*one.path.T, color=RED, marker="o", markersize=3, linewidth=1.3, zorder=4)
    start_at(axes, one.path[0], zorder=5)
    star_at(axes, one.curvature.minimum, zorder=5)
    steps = "not run" if one.counted is None else f"{one.counted:,} counted"
    axes.set_title(f"{one.name}: " rf"$\kappa$ = {one.curvature.kappa:.3g}" "\n"
                   f"steps: {_count(one.predicted)} predicted, {steps}", fontsize=13)  # fmt: skip
    for axis, name in zip((axes.xaxis, axes.yaxis), numbers.features, strict=True):
        symbol, unit = symbol_and_unit(name)
        per = ", scaled" if not one.own_units else f" [1/{unit}]" if unit else ""
        axis.set_label_text(f"Coefficient of {in_sentence(symbol)}{per}", fontsize=13)
        axis.set_major_locator(MaxNLocator(4))
    widths = np.ptp(x), np.ptp(y)
    ratio = max(widths) / min(widths)
    if ratio < 1 + 1e-9:
        axes.set_aspect("equal")
    else:
        axes.text(0.03, 0.03, f"one axis stretched {ratio:.3g} times", transform=axes.transAxes,
                  fontsize=11, color="white", zorder=6,
                  bbox={"facecolor": "black", "alpha": 0.7, "edgecolor": "none"})  # fmt: skip


def text(numbers: Contours) -> list[str]:
    """Explain the numbers."""
    raw, standard, white = numbers.scaled
    ran = "not run" if raw.counted is None else f"{raw.counted:,} counted"
    return [
        f"One linear model of two features ({', '.join(numbers.features)}), one sample of "
        f"{numbers.events:,} events, three scalings. The gradient is orthogonal to the contours. "
        "If the contours are circles it points to the minimum, and if they are elongated it points "
        "across the valley.",
        f"The condition number κ = λmax/λmin measures the elongation. In the original units "
        f"κ = {raw.curvature.kappa:.3g}, standardised {standard.curvature.kappa:.3g}, whitened "
        f"{white.curvature.kappa:.3g}. Steps at the best fixed η = 2/(λmax + λmin) until the "
        f"excess loss is {numbers.part:g} of its start, predicted and counted: "
        f"{_count(raw.predicted)} and {ran}, {standard.predicted:,} and {standard.counted:,}, "
        f"{white.predicted:,} and "
        f"{white.counted:,}.",
        "Without centring, the features are correlated with the intercept: "
        f"κ = {numbers.uncentred.kappa:.3g}, and {_count(numbers.uncentred_steps)} steps would be "
        "needed.",
    ]


def _count(steps: int) -> str:
    """Format a number of steps."""
    return f"{steps:,}" if steps < 10_000_000 else f"{steps:.2e}"
