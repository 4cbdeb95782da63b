"""The curvature of a linear model: what decides how fast its descent can be, and predicts it.

J of a linear model is convex. Near its minimum θ* it is J* + ½ (θ − θ*)ᵀ ∇²J (θ − θ*), everywhere
for the mean squared error, so each eigenvalue λ of ∇²J multiplies the distance from θ* along its
eigenvector by 1 − ηλ a step: η < 2/λmax is stable, and κ = λmax/λmin says how many steps the best η
takes. What κ would be with standardised features is the same Hessian in those inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.curvature import Quadratic, hessian, settled
from steepest.events import TRAIN
from steepest.explain.record import Record, with_scaling
from steepest.explain.setting import spectral_radius, steps_to
from steepest.explain.steps import steps_taken
from steepest.models import has_intercept
from steepest.objective import Batch, ModelObjective
from steepest.recipe import SGD, Momentum, Nesterov, Optimizer
from steepest.scaling import AffineScaling
from steepest.training.inputs import scaling_of

Array = np.ndarray

PLAIN = SGD()
MOST_PARAMETERS = 500
FLAT = 1e-13
"""Eigenvalues below this part of the largest are flat directions: no step is needed there."""
PART = 1e-6
"""Steps are predicted until J − J* is this part of its start."""


@dataclass(frozen=True, eq=False)
class LinearCurvature:
    """∇²J at the minimum, without its flat directions.

    Parameters
    ----------
    curvature
        With eigenvalues ascending.
    exact
        Whether J is quadratic.
    flat
        Number of directions along which J does not change.
    kappa_standard, kappa_white
        κ with standardised features, and 1 by whitening (2 for exactly collinear ones).
    along_steepest, along_flattest
        The inputs that the eigenvectors of λmax and λmin are made of, with shares of their squares.
    start, excess_start, excess_end
        θ₀; J − J* there and at the last θ of the path.
    objective, events
        J.
    """

    curvature: Quadratic
    exact: bool
    flat: int
    kappa_standard: float
    along_steepest: tuple[tuple[str, float], ...]
    along_flattest: tuple[tuple[str, float], ...]
    start: Array
    excess_start: float
    excess_end: float
    objective: ModelObjective
    events: Batch

    @property
    def part_left(self) -> float:
        """(J − J*) at the end over that at the start."""
        return self.excess_end / self.excess_start if self.excess_start > 0 else math.nan

    def steps(self, rate: float, part: float = PART, rule: Optimizer = PLAIN) -> float:
        """Steps of all events at η until J − J* is `part` of its start; inf if never.

        NaN for rules that adapt to the gradient.
        """
        if not isinstance(rule, SGD | Momentum | Nesterov):
            return math.nan
        if self.exact:
            return steps_to(self.curvature, self.start, rate, rule, part)
        if spectral_radius(self.curvature.eigenvalues, rate, rule) >= 1:
            return math.inf
        goal = self.curvature.lowest + part * self.excess_start
        return steps_taken(self.objective, self.events, self.start, rate, rule, goal)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = self.curvature.eigenvalues
        return {
            "largest": float(values[-1]),
            "smallest": float(values[0]),
            "eigenvalues": values.tolist(),
            "kappa": self.curvature.kappa,
            "kappa_standard": self.kappa_standard,
            "flat_directions": self.flat,
            "exact": self.exact,
            "largest_stable_rate": self.curvature.bound,
            "best_rate": self.curvature.best,
            "along_steepest": dict(self.along_steepest),
            "along_flattest": dict(self.along_flattest),
            "excess_start": self.excess_start,
            "excess_end": self.excess_end,
        }


def measure_linear(record: Record) -> LinearCurvature | None:
    """Measure a linear model's curvature; None where it has too many parameters or no minimum."""
    objective, events = record.objective, record.train
    if objective.size > MOST_PARAMETERS or not len(record.thetas):
        return None
    start = record.thetas[0]
    minimum = settled(objective, np.zeros(objective.size), events)
    loss, gradient = objective.loss_and_gradient(minimum, events)
    matrix = hessian(objective, minimum, events)
    values, vectors = np.linalg.eigh(matrix)
    if not (math.isfinite(loss) and values[-1] > 0):
        return None
    if 0.5 * float(gradient @ gradient) / values[-1] > 1e-6 * max(abs(loss), 1e-300):
        return None  # separable classes: J falls without end
    kept = values > FLAT * values[-1]
    curvature = Quadratic(values[kept], vectors[:, kept], minimum, loss)
    names = _names(record)
    return LinearCurvature(
        curvature=curvature,
        exact=record.model.loss.name == "mean-squared-error",
        flat=int((~kept).sum()),
        kappa_standard=_kappa_standard(record, minimum),
        along_steepest=_made_of(curvature.vectors[:, -1], names),
        along_flattest=_made_of(curvature.vectors[:, 0], names),
        start=start,
        excess_start=objective.loss(start, events) - loss,
        excess_end=_excess(objective, record.thetas[-1], events, loss),
        objective=objective,
        events=events,
    )


def _excess(objective: ModelObjective, theta: Array, events: Batch, lowest: float) -> float:
    with np.errstate(all="ignore"):
        return max(objective.loss(theta, events) - lowest, 0.0)


def _kappa_standard(record: Record, minimum: Array) -> float:
    """κ at the same minimum, written in standardised inputs."""
    standard = scaling_of("standard", record.parts[TRAIN], record.schema.inputs)
    own, objective = record.model.scaling, record.objective
    layer = record.model.model.linear_layer(minimum)
    assert layer is not None
    if not has_intercept(record.model.model):
        return math.nan
    if not (isinstance(own, AffineScaling) and isinstance(standard, AffineScaling)):
        return math.nan
    theta = minimum.copy()
    there = record.model.model.linear_layer(theta)
    assert there is not None
    # logits stay the same: those at two points of each input say the new weights and bias
    units = np.vstack([np.zeros(len(layer[0])), np.eye(len(layer[0]))])
    logits = own.transform(standard.inverse(units)) @ layer[0] + layer[1]
    there[1][...] = logits[0]
    there[0][...] = logits[1:] - logits[0]
    values = np.linalg.eigvalsh(hessian(objective, theta, with_scaling(record, standard)))
    values = values[values > FLAT * values[-1]]
    return float(values[-1] / values[0])


def _names(record: Record) -> list[str]:
    """The name of the input that each entry of θ multiplies; the bias is "constant"."""
    model, inputs = record.model, list(record.schema.names)
    index = np.zeros(model.model.size)
    layer = model.model.linear_layer(index)
    assert layer is not None
    layer[0][...] = np.arange(len(inputs))[:, None]
    layer[1][...] = len(inputs)
    return [[*inputs, "constant"][int(place)] for place in index]


def _made_of(vector: Array, names: list[str]) -> tuple[tuple[str, float], ...]:
    """The three inputs, at most, with the largest parts of a unit vector's square, from 1/20."""
    shares: dict[str, float] = {}
    for name, part in zip(names, vector**2, strict=True):
        shares[name] = shares.get(name, 0.0) + float(part)
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])[:3]
    return tuple((name, share) for name, share in ranked if share >= 0.05)
