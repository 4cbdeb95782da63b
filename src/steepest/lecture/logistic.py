"""The logistic function on real scores: σ(z), the distributions of z, and their calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from steepest.evaluate.figures import Histogram
from steepest.evaluate.figures.histogram import histogram
from steepest.evaluate.figures.style import BLUE, RED, laid_out, new_figure, style
from steepest.evaluate.intervals import efficiency_from_sums
from steepest.lecture.data import Effort, LectureData
from steepest.lecture.descents import problem
from steepest.scaling import fit_scaling
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "logistic"
TITLE = "The logistic function on real scores"

BINS = 24
LEAST_IN_BIN = 10
"""Minimum effective number of events of a bin that is shown."""
EPOCHS = 100
MISFIT = 3.0
"""χ² per bin above which the text says that the points deviate from the curve."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """The logits of a logistic regression, by class, and the share of class 1 in bins of them."""

    background: Histogram  # histogram of z, each class normalised to unit area
    signal: Histogram
    logits: Array  # (bins,): mean z in each shown bin
    fractions: Array  # (bins,): weighted fraction of class 1
    low: Array  # (bins,): its 68.27 % interval
    high: Array
    counts: Array  # (bins,): events
    pull: float  # χ² of the fractions against σ(z) over the number of bins
    loss: float  # J (binary cross entropy) of the training events at the end
    start_loss: float  # J at θ = 0: ln 2
    steps: int  # of the descent, before Newton steps to the minimum
    features: tuple[str, ...]
    classes: tuple[str, str]
    part: str
    events: int


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Logistic:
    """Train on the training events, and compute the logits of the others."""
    del seed, effort  # batch descent from θ = 0 has no random numbers
    train, other = data.train, data.other
    scaling = fit_scaling("standard", [(train.features, train.weights)], data.names)
    fit = problem(scaling.transform(train.features), train.labels, train.weights,
                  "binary-cross-entropy", callback)  # fmt: skip
    run = fit.descend(rate=fit.stable_rate(), epochs=EPOCHS)
    theta = fit.logistic_minimum(run.end)
    layer = fit.objective.model.linear_layer(theta)
    assert layer is not None  # a linear model
    z = (scaling.transform(other.features) @ layer[0] + layer[1])[:, 0]
    return _numbers(data, z, run.losses[0], fit.loss(theta))


def _numbers(data: LectureData, z: Array, first: float, last: float) -> Logistic:
    weights = np.ones(len(z)) if data.other.weights is None else data.other.weights
    top = data.other.labels == 1
    ends = np.quantile(z, [0.001, 0.999])
    low, high = ends if ends[1] > ends[0] else (ends[0] - 1, ends[0] + 1)
    edges = np.linspace(low, high, BINS + 1)

    def summed(values: Array, among: Array | slice = slice(None)) -> Array:
        return np.histogram(z[among], edges, weights=values[among])[0]

    total, squares = summed(weights), summed(weights**2)
    effective = total**2 / np.maximum(squares, 1e-300)
    shown = effective >= LEAST_IN_BIN
    passed, passed_squares = summed(weights, top)[shown], summed(weights**2, top)[shown]
    share = efficiency_from_sums(passed, passed_squares, total[shown], squares[shown])
    mean = summed(weights * z)[shown] / total[shown]
    expected = expit(mean)
    spread = np.sqrt(expected * (1 - expected) / effective[shown])
    return Logistic(
        background=histogram(z[~top], weights[~top], edges, data.classes[0]),
        signal=histogram(z[top], weights[top], edges, data.classes[1]),
        logits=mean,
        fractions=share.value,
        low=share.low,
        high=share.high,
        counts=np.histogram(z, edges)[0][shown],
        pull=float((((share.value - expected) / spread) ** 2).mean()),
        loss=last,
        start_loss=first,
        steps=EPOCHS,
        features=data.names,
        classes=data.classes,
        part=data.part,
        events=len(z),
    )


def figure(numbers: Logistic) -> Figure:
    """Return σ(z) with the observed fractions, above the histograms of z."""
    with style():
        drawn = new_figure(8.0, 6.6)
        upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        edges = numbers.signal.edges
        z = np.linspace(edges[0], edges[-1], 300)
        upper.plot(z, expit(z), color="black", label=r"$\sigma(z) = 1/(1 + e^{-z})$")
        errors = np.abs(np.stack([numbers.low, numbers.high]) - numbers.fractions)
        upper.errorbar(numbers.logits, numbers.fractions, yerr=errors, fmt="o", color=RED,
                       markersize=5, capsize=2, linewidth=1.2,
                       label=f"Share of {numbers.classes[1]} in a bin of $z$")  # fmt: skip
        upper.axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
        upper.axvline(0.0, color="0.7", linewidth=0.8, zorder=0)
        upper.set_ylabel(f"Probability of {numbers.classes[1]}")
        upper.set_ylim(-0.04, 1.04)
        upper.legend(loc="upper left")
        lower.stairs(numbers.background.contents, edges, color=BLUE, fill=True, alpha=0.35)
        lower.stairs(numbers.background.contents, edges, color=BLUE, label=numbers.classes[0])
        lower.stairs(numbers.signal.contents, edges, color=RED, hatch="///", linewidth=1.6,
                     label=numbers.classes[1])  # fmt: skip
        lower.set_ylabel("Events, normalised")
        lower.set_xlabel(r"Logit $z = \theta \cdot x$")
        lower.set_xlim(edges[0], edges[-1])
        highest = max(h.contents.max() for h in (numbers.background, numbers.signal))
        lower.set_ylim(0, 1.25 * highest)
        lower.legend(loc="upper left")
        drawn.align_ylabels([upper, lower])
        return laid_out(drawn)


def text(numbers: Logistic) -> list[str]:
    """Explain the numbers."""
    misfit = (
        " Here some are not, because the logarithm of the likelihood ratio of the classes, which a "
        "calibrated z would be, is not exactly linear in the features."
    ) * (numbers.pull >= MISFIT)
    return [
        f"A logistic regression on {', '.join(numbers.features)} computes z = θ·x for each event. "
        "The logistic function σ turns z into a probability between 0 and 1. At z = 0 it is ½ and "
        "the model is undecided.",
        f"The points are not a fit. They are the fraction of {numbers.classes[1]} among the events "
        f"of the {numbers.part} part ({numbers.events:,}) in bins of z. If they are on the curve, "
        f"the probabilities are calibrated (χ² per bin {numbers.pull:.2g}; the intervals are "
        f"68.27 %).{misfit}",
        f"Training lowers the binary cross entropy from {numbers.start_loss:.4f} (ln 2, the value "
        f"for a probability of ½ for all events) to {numbers.loss:.4f}.",
    ]
