"""Why a descent is slow: the eigenvalues that one η has to serve, and the losses they predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import laid_out, new_figure, style
from steepest.explain.pictures import draw_path, draw_spectrum
from steepest.explain.spectrum import PathNumbers, SpectrumNumbers
from steepest.lecture.data import Effort, LectureData, NotFound
from steepest.lecture.descents import problem, quadratic, scaled
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "spectrum"
TITLE = "Curvature: the eigenvalues that one learning rate has to serve"

PART = 1e-6
"""Of the first J − J*: the descent goes on until it is reached, or for the most steps."""
MOST_STEPS = 2_000
POINTS = 40
"""Steps that are drawn of them."""
DEPENDENT = 1e-10
"""Of the largest eigenvalue: a smaller one is that of features that depend on each other."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Linear regression of one feature by the others, standardised, with the best fixed η."""

    target: str
    features: tuple[str, ...]
    rate: float  # η
    kappa: float
    slowest: str  # the feature that has the largest part in the direction of λmin
    steps_to_a_millionth: int  # predicted, of the first J − J*
    eigenvalues: SpectrumNumbers
    path: PathNumbers


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Spectrum:
    """Descend from θ = 0 with η = 2/(λmax + λmin), and predict each loss before the first step."""
    y, _ = data.pair
    events = data.drawn(effort.events, seed)
    spread = events.features.std(axis=0) > 0
    inputs = [j for j in range(len(data.names)) if j != y and spread[j]]
    fit = problem(
        scaled(events.features[:, inputs], events.weights),
        scaled(events.features[:, [y]], events.weights)[:, 0],
        events.weights,
        callback=callback,
    )
    values = np.linalg.eigvalsh(fit.hessian(np.zeros(fit.objective.size)))
    if values[0] < DEPENDENT * values[-1]:
        raise NotFound("the features depend on each other linearly, so that J has no one minimum")
    curvature = quadratic(fit)
    rate = curvature.best
    start = np.zeros(fit.objective.size)
    needed = curvature.steps_to(start, rate, PART)
    run = fit.descend(rate=rate, epochs=min(needed + 1, MOST_STEPS))
    shown = np.unique(np.linspace(0, len(run.losses) - 1, POINTS).astype(int))
    names = (*(data.names[j] for j in inputs), "constant")
    return Spectrum(
        data.names[y],
        names[:-1],
        rate,
        curvature.kappa,
        names[int(np.abs(curvature.vectors[:, 0]).argmax())],
        needed,
        SpectrumNumbers(curvature.eigenvalues, True, len(curvature.eigenvalues), 2 / rate),
        PathNumbers(
            shown,
            run.losses[shown],
            curvature.losses(start, rate, shown),
            curvature.lowest,
            "curvature",
        ),
    )


def figure(numbers: Spectrum) -> Figure:
    """Return the eigenvalues beside the losses, drawn as `steepest explain` draws them."""
    with style():
        drawn = new_figure(12.5, 4.8)
        left, right = drawn.subplots(1, 2)
        draw_spectrum(left, numbers.eigenvalues)
        draw_path(right, numbers.path)
        return laid_out(drawn)


def text(numbers: Spectrum) -> list[str]:
    """Explain the numbers."""
    values, path = numbers.eigenvalues.eigenvalues, numbers.path
    above = path.predicted - path.lowest
    seen = above > 1e-9 * path.lowest  # beyond, rounding of J is what is left
    off = np.abs(path.losses - path.predicted)[seen] / above[seen]
    return [
        f"A linear fit of {numbers.target} by {len(numbers.features)} standardised features. Along "
        "each eigenvector of ∇²J a step leaves |1 − ηλ| of the distance, so that η must be below "
        f"2/λmax = {2 / values[-1]:.3g}, and the best fixed one is 2/(λmax + λmin) = "
        f"{numbers.rate:.3g}: all eigenvalues lie below the line 2/η.",
        f"κ = λmax/λmin = {values[-1]:.3g}/{values[0]:.3g} = {numbers.kappa:.3g}. The slowest "
        f"direction has most of {numbers.slowest}: a step leaves "
        f"{abs(1 - numbers.rate * values[0]):.5g} of it, and J − J* is a millionth of the first "
        f"after {numbers.steps_to_a_millionth:,} steps.",
        f"The losses of {int(path.steps[-1]) + 1:,} steps are those that the curvature predicts "
        f"before the first: J − J* differs by {off.max():.1g} of itself at most.",
    ]
