"""η too small, just right, too large: straight-line fits, and the losses of their descents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.descent.loop import EXPLODED
from steepest.evaluate.figures import axis_label
from steepest.evaluate.figures.style import BLUE, GREY, RED, laid_out, new_figure, style
from steepest.lecture.data import Effort, LectureData, symbol_and_unit
from steepest.lecture.descents import Quadratic, problem, quadratic
from steepest.scaling import AffineScaling, fit_scaling
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "rates"
TITLE = "Learning rate: too small, just right, too large"

POINTS = 100
"""Number of events that are shown and fitted."""
OF_BOUND = (("too small", 0.02), ("just right", 0.3), ("too large", 1.05))
"""η as fractions of 2/λmax."""
STEPS = 10
LONGEST = 200
"""Steps of the loss curves; a divergent descent ends earlier."""


@dataclass(frozen=True, eq=False)
class Rate:
    """A descent with one η."""

    name: str  # "too small", "just right" or "too large"
    rate: float  # η
    of_bound: float  # η/(2/λmax)
    lines: Array  # (steps + 1, 2): intercept and slope on the original feature after each step
    losses: Array  # (steps,): J before each step
    predicted: Array  # (steps,): its prediction from the curvature
    diverged_at: int | None  # steps until J has grown by 10⁶; None if it converges
    predicted_to_diverge_at: int | None


@dataclass(frozen=True, eq=False)
class Rates:
    """Linear regression of the points ``x``, ``y`` with three learning rates."""

    feature: str
    target: str
    x: Array
    y: Array
    rates: tuple[Rate, ...]
    curvature: Quadratic  # computed before the first step
    exact: Array  # intercept and slope of the minimum


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Rates:
    """Fit a straight line to some events, from θ = 0, with three values of η."""
    y, x = data.pair
    events = data.drawn(min(POINTS, effort.events), seed)
    inputs, target = events.features[:, [x]], events.features[:, y]
    scaling = fit_scaling("standard", [(inputs, events.weights)], [data.names[x]])
    assert isinstance(scaling, AffineScaling)
    fit = problem(scaling.transform(inputs), target, events.weights, callback=callback)
    curvature = quadratic(fit)  # before the first step

    def line(theta: Array) -> Array:
        slope, intercept = scaling.original_units(theta[:1, None], theta[1:])
        return np.array([intercept[0], slope[0, 0]])

    rates = []
    for name, part in OF_BOUND:
        rate = part * curvature.bound
        run = fit.descend(rate=rate, epochs=LONGEST)
        shown = [line(theta) for k, theta in zip(run.steps, run.thetas, strict=True) if k <= STEPS]
        predicted = curvature.losses(np.zeros(2), rate, np.arange(len(run.losses)))
        rates.append(Rate(name, rate, part, np.array(shown), run.losses, predicted,
                          run.diverged_at, _explodes(curvature, rate)))  # fmt: skip
    return Rates(data.names[x], data.names[y], inputs[:, 0], target, tuple(rates), curvature,
                 line(curvature.minimum))  # fmt: skip


def _explodes(curvature: Quadratic, rate: float) -> int | None:
    """Predict the first step whose loss is above 10⁶ times that of the start."""
    if rate <= curvature.bound:
        return None
    steps = np.arange(100_000)
    losses = curvature.losses(np.zeros(len(curvature.minimum)), rate, steps)
    above = losses > EXPLODED * losses[0]
    return int(above.argmax()) if above.any() else None


def figure(numbers: Rates) -> Figure:
    """Return the three panels of lines, and the three loss curves below."""
    with style():
        drawn = new_figure(12.5, 7.4)
        panels = drawn.subplots(2, 3, sharey="row", height_ratios=[3, 2])
        for rate, (upper, lower) in zip(numbers.rates, panels.T, strict=True):
            _lines(upper, numbers, rate)
            _losses(lower, numbers, rate)
        panels[0, 0].set_ylabel(axis_label(numbers.target))
        unit = symbol_and_unit(numbers.target)[1]
        panels[1, 0].set_ylabel("$J$" + (f" [{unit}$^2$]" if unit else ""))
        drawn.align_ylabels(list(panels[:, 0]))
        return laid_out(drawn)


def _lines(axes: Axes, numbers: Rates, rate: Rate) -> None:
    import matplotlib

    x, y = numbers.x, numbers.y
    ends = np.array([x.min(), x.max()])
    axes.plot(x, y, "o", color=BLUE, markersize=3.5, alpha=0.7, zorder=1)
    colours = matplotlib.colormaps["Reds"](np.linspace(0.25, 1.0, len(rate.lines)))
    names = {0: "Start", len(rate.lines) // 2: "Steps 1, 2, …"}
    for k, ((intercept, slope), colour) in enumerate(zip(rate.lines, colours, strict=True)):
        first = k == 0
        axes.plot(ends, intercept + slope * ends, color="black" if first else colour,
                  linestyle="--" if first else "-", linewidth=1.4, zorder=2,
                  label=names.get(k))  # fmt: skip
    axes.plot(ends, numbers.exact[0] + numbers.exact[1] * ends, color="black", linewidth=2.2,
              linestyle=":", zorder=3, label="Minimum")  # fmt: skip
    height = y.max() - min(y.min(), 0.0)
    axes.set_ylim(min(y.min(), 0.0) - 0.35 * height, y.max() + 0.6 * height)
    sign = "<" if rate.of_bound < 1 else ">"
    bound = numbers.curvature.bound
    axes.set_title(rf"{rate.name.capitalize()}: $\eta$ = {rate.rate:.3g} {sign} "
                   rf"$2/\lambda_{{max}}$ = {bound:.3g}", fontsize=13)  # fmt: skip
    axes.set_xlabel(axis_label(numbers.feature), fontsize=13)
    axes.legend(loc="upper left", ncols=3, fontsize=10, columnspacing=1.0, handlelength=1.6,
                frameon=True, framealpha=1.0, edgecolor="none")  # fmt: skip


def _losses(axes: Axes, numbers: Rates, rate: Rate) -> None:
    steps = np.arange(len(rate.losses))
    axes.plot(steps, rate.losses, color=RED, label="Run")
    axes.plot(steps, rate.predicted, color="black", linestyle=(0, (1, 2)), linewidth=2.4,
              label="Predicted from curvature")  # fmt: skip
    axes.axhline(numbers.curvature.lowest, color=GREY, linestyle="--", label="Minimum")
    axes.set_yscale("log")
    axes.set_ylim(0.5 * numbers.curvature.lowest, 1e3 * rate.losses[0])
    axes.set_xlim(0, 60)
    axes.set_xlabel("Step")
    axes.legend(loc="upper right" if rate.of_bound < 1 else "center right", fontsize=11)


def text(numbers: Rates) -> list[str]:
    """Explain the numbers."""
    small, right, large = numbers.rates
    values = numbers.curvature.eigenvalues
    left = abs(1 - small.rate * values[-1])
    return [
        f"A straight-line fit to {len(numbers.x)} events, from θ = 0. The curvature of J is known "
        f"before the first step: its largest eigenvalue is λmax = {values[-1]:.4g}, so any "
        f"η below 2/λmax = {numbers.curvature.bound:.4g} converges and any larger one diverges.",
        f"With η = {small.rate:.3g} each step leaves {left:.3g} of the distance: after {STEPS} "
        f"steps the line is still far off. η = {right.rate:.3g} needs only a few steps: J = "
        f"{right.losses[STEPS]:.6g} before step {STEPS + 1}, and {numbers.curvature.lowest:.6g} at "
        "the minimum.",
        f"η = {large.rate:.3g} overshoots: each step multiplies the distance from the minimum "
        f"by {abs(1 - large.rate * values[-1]):.3g}. The loss has grown by a factor of 10⁶ "
        f"after {large.diverged_at} steps; predicted: {large.predicted_to_diverge_at}.",
    ]
