"""The descent on a one-dimensional section: J along one parameter, and the steps of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, RED, laid_out, new_figure, style
from steepest.landscape.figures.plots import star_at
from steepest.lecture.data import Effort, LectureData, in_sentence, symbol_and_unit
from steepest.lecture.descents import problem, quadratic, scaled
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "section"
TITLE = "The descent on a section through J"

OF_BOUND = 0.2
"""η as a fraction of 2/λmax."""
STEPS = 10
TANGENTS = 3
"""Number of steps whose local gradient is drawn."""


@dataclass(frozen=True, eq=False)
class Section:
    """J along the slope of a straight line with optimal intercept, and the steps of a descent."""

    feature: str
    target: str  # target = intercept + slope × standardised feature
    slopes: Array  # (points,): of the section
    losses: Array  # (points,): J there
    steps: Array  # (steps + 1,): slope at each step of the run
    step_losses: Array  # (steps + 1,): J there
    step_gradients: Array  # (steps + 1,): ∂J/∂slope there
    predicted: Array  # (steps + 1,): slopes that the curvature predicts
    off_section: float  # the largest change of the intercept in the run
    rate: float  # η
    bound: float  # 2/λ
    curvature: float  # λ = ∂²J/∂slope²
    minimum: float  # slope of the section's lowest point
    lowest: float  # J there
    events: int


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Section:
    """Fit the straight line of the pair of features, from slope 0.

    The mean is subtracted from the target, so the optimal intercept is 0 and stays 0 in every step.
    The run therefore stays on the section.
    """
    y, x = data.pair
    events = data.drawn(effort.events, seed)
    features, weights = events.features, events.weights
    target = features[:, y] - np.average(features[:, y], weights=weights)
    fit = problem(scaled(features[:, [x]], weights), target, weights, callback=callback)
    parabola = quadratic(fit)
    along = np.array([1.0, 0.0])
    curvature = float(fit.objective.hessian_vector(np.zeros(2), along, fit.events)[0])
    rate = OF_BOUND * 2.0 / curvature
    run = fit.descend(rate=rate, epochs=STEPS)
    minimum = float(parabola.minimum[0])
    slopes = minimum + np.linspace(-1.25, 1.25, 201) * abs(minimum)
    seen = [fit.loss_and_gradient(theta) for theta in run.thetas]
    return Section(
        feature=data.names[x],
        target=data.names[y],
        slopes=slopes,
        losses=fit.line(np.zeros(2), along, slopes),
        steps=run.thetas[:, 0],
        step_losses=np.array([loss for loss, _ in seen]),
        step_gradients=np.array([gradient[0] for _, gradient in seen]),
        predicted=minimum * (1.0 - (1.0 - rate * curvature) ** run.steps),
        off_section=float(np.abs(run.thetas[:, 1]).max()),
        rate=rate,
        bound=2.0 / curvature,
        curvature=curvature,
        minimum=minimum,
        lowest=parabola.lowest,
        events=len(events),
    )


def figure(numbers: Section) -> Figure:
    """Return the section with the steps and their tangents."""
    symbol, unit = symbol_and_unit(numbers.target)
    feature = in_sentence(symbol_and_unit(numbers.feature)[0])
    with style():
        drawn = new_figure(8.0, 5.6)
        axes = drawn.subplots()
        axes.plot(numbers.slopes, numbers.losses, color=BLUE, label="$J$ at the optimal intercept")
        _tangents(axes, numbers)
        axes.plot(numbers.steps, numbers.step_losses, color=RED, marker="o", markersize=6,
                  linewidth=0.9, linestyle="--", zorder=4,
                  label=rf"Steps, $\eta$ = {numbers.rate:.2g}")  # fmt: skip
        star_at(axes, (numbers.minimum, numbers.lowest), zorder=5, label="Minimum")
        axes.annotate(r"$\theta_0$", (numbers.steps[0], numbers.step_losses[0]),
                      xytext=(10, 8), textcoords="offset points")  # fmt: skip
        axes.set_xlabel(
            f"Slope of {symbol} on standardised {feature}" + (f" [{unit}]" if unit else "")
        )
        axes.set_ylabel("Mean squared error $J$" + (f" [{unit}$^2$]" if unit else ""))
        axes.set_xlim(numbers.slopes[0], numbers.slopes[-1])
        height = float(numbers.losses.max()) - numbers.lowest
        axes.set_ylim(numbers.lowest - 0.06 * height, numbers.losses.max())
        axes.legend(loc="upper center")
        return laid_out(drawn)


def _tangents(axes: Axes, numbers: Section) -> None:
    """Draw the local gradient, over the length of its step."""
    for k in range(min(TANGENTS, len(numbers.steps) - 1)):
        at, gradient = float(numbers.steps[k]), float(numbers.step_gradients[k])
        reach = float(numbers.steps[k + 1]) - at
        ends = np.array([at - 0.5 * reach, at + reach])
        label = r"Local gradient $\partial J/\partial\theta$" if k == 0 else None
        axes.plot(ends, numbers.step_losses[k] + gradient * (ends - at), color="black",
                  linewidth=1.4, zorder=3, label=label)  # fmt: skip
        axes.plot([ends[1]] * 2, [numbers.step_losses[k] + gradient * reach,
                  numbers.step_losses[k + 1]], color=GREY, linestyle=":", zorder=2)  # fmt: skip


def text(numbers: Section) -> list[str]:
    """Explain the numbers."""
    shrink = abs(1 - numbers.rate * numbers.curvature)
    return [
        f"The curve is the loss of a straight-line fit to {numbers.events:,} events, as a function "
        "of the slope. Each step measures the local gradient and moves against it: "
        "θ ← θ − η ∂J/∂θ.",
        f"Along this section the curvature is λ = {numbers.curvature:.4g}. With "
        f"η = {numbers.rate:.3g} each step leaves {shrink:.3g} of the distance to the minimum: "
        f"after {len(numbers.steps) - 1} steps {100 * shrink ** (len(numbers.steps) - 1):.2g} %.",
        "The steps get shorter because the gradient gets smaller.",
    ]
