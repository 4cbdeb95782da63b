"""Numbers along a run that its pictures show: the spectrum, predicted losses, the noise scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from steepest.curvature import hessian, hessian_product, lanczos
from steepest.explain.budget import Budget, of_the_path
from steepest.explain.linear import LinearCurvature
from steepest.explain.record import Record
from steepest.explain.sharpness import Noise, bound_of, measure_noise, some_events
from steepest.objective.stateful import preserved_memory

Array = np.ndarray

WHOLE = 300
"""Parameters at most of a spectrum that is computed whole."""
ENDS = (4, 16)
"""Of others: so many of the lowest and of the highest eigenvalues."""
POINTS = 60
"""Points of the path at which J is computed."""


@dataclass(frozen=True, eq=False)
class SpectrumNumbers:
    """Eigenvalues of ∇²J where the run ended, and the largest that η can bear.

    Parameters
    ----------
    eigenvalues
        Ascending.
    whole
        Whether these are all of them.
    parameters
        How many there are.
    largest_stable
        The bound of the rule over the last η; None for rules that divide the gradient.
    """

    eigenvalues: Array
    whole: bool
    parameters: int
    largest_stable: float | None


@dataclass(frozen=True, eq=False)
class PathNumbers:
    """J along the path, and what the curvature or the gradient predicts.

    Parameters
    ----------
    steps, losses
        Points of the path, and J of the training events there.
    predicted
        J from the curvature of a linear model; of others J₀ − ∫ η‖∇J‖² dt, for plain SGD.
    lowest
        J*, where it is known, else NaN.
    by
        "curvature" or "gradient".
    """

    steps: Array
    losses: Array
    predicted: Array
    lowest: float
    by: str


def measure_spectrum(
    record: Record, linear: LinearCurvature | None, budget: Budget | None = None
) -> SpectrumNumbers | None:
    """The spectrum at the last θ of the path; None where a product is not finite."""
    size = record.objective.size
    rate = record.history["learning_rate"].drop_nulls() if len(record.history) else []
    last = float(rate[-1]) if len(rate) else record.rate
    stable = None if record.rule.stability is None or last <= 0 else bound_of(record) / last
    if linear is not None:
        return SpectrumNumbers(linear.curvature.eigenvalues, linear.flat == 0, size, stable)
    events, theta = some_events(record.train), record.thetas[-1]
    try:
        with preserved_memory(record.objective), np.errstate(all="ignore"):
            if size <= WHOLE:
                values = np.linalg.eigvalsh(hessian(record.objective, theta, events))
            else:
                budget, (low, high) = budget or Budget(), ENDS
                at, seconds = partial(hessian_product, record.objective, theta), budget.seconds
                events = budget.affordable("spectrum", events, at, size, seconds["spectrum"] / 2)
                values = lanczos(
                    at(events), size, low=low, high=high, tolerance=0.1, most=60,
                    seconds=seconds["spectrum"],
                ).values  # fmt: skip
    except (FloatingPointError, np.linalg.LinAlgError):
        return None
    return SpectrumNumbers(values, size <= WHOLE, size, stable)


def measure_path(record: Record, linear: LinearCurvature | None) -> PathNumbers | None:
    """J along the path with its prediction; None where nothing predicts it."""
    plain = record.rule.name == "sgd"
    if not plain or len(record.thetas) < 2:
        return None
    rows = np.unique(np.linspace(0, len(record.thetas) - 1, POINTS).astype(int))
    steps, thetas = record.steps[rows], record.thetas[rows]
    rates = _rates(record, steps)
    with preserved_memory(record.objective), np.errstate(all="ignore"):
        found = [record.objective.loss_and_gradient(theta, record.train) for theta in thetas]
    losses = np.array([loss for loss, _ in found])
    if linear is not None and record.takes_all and np.ptp(rates) <= 1e-12 * rates.max():
        predicted = linear.curvature.losses(linear.start, float(rates[0]), steps)
        return PathNumbers(steps, losses, predicted, linear.curvature.lowest, "curvature")
    speed = rates * np.array([float(gradient @ gradient) for _, gradient in found])
    fallen = np.concatenate([[0.0], np.cumsum(np.diff(steps) * (speed[1:] + speed[:-1]) / 2)])
    return PathNumbers(steps, losses, losses[0] - fallen, math.nan, "gradient")


def _rates(record: Record, steps: Array) -> Array:
    """η at steps of the path."""
    rows = record.history.filter(record.history["learning_rate"].is_not_null())
    if not len(rows):
        return np.full(len(steps), record.rate)
    places = rows["step"].to_numpy().searchsorted(steps + 1).clip(0, len(rows) - 1)
    return rows["learning_rate"].to_numpy()[places]


def measure_noises(record: Record, budget: Budget | None = None) -> tuple[Noise, ...]:
    """The noise scale at four points of the path, the last at its end; empty for all events a step.

    A slow network has it at fewer points, at the end always; `budget` tells.
    """
    if record.takes_all or not len(record.thetas):
        return ()
    budget = budget or Budget()
    rows = np.unique(np.geomspace(1, len(record.thetas), 4).round().astype(int)) - 1
    found: dict[int, Noise | None] = {}
    budget.left("noise")
    for row in map(int, rows[::-1]):
        if found and budget.left("noise") <= 0:
            budget.skip("noise along the path", of_the_path(len(found), len(rows)))
            break
        found[row] = measure_noise(record, row, budget)
        budget.callback.measured(len(found), len(rows), "points")
    return tuple(one for _, one in sorted(found.items()) if one is not None)
