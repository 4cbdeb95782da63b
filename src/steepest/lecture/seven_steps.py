"""The seven steps with the numbers of one real step, and checks of the gradients.

The steps are init, predict, loss, gradient, step, repeat, stop, for a logistic regression on the
two features of the pictures. The gradient of each loss is compared with numerical derivatives, and
that of the mean squared error also with the matrix product 2/m Xᵀ(Xθ − y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.lecture.data import Effort, LectureData
from steepest.lecture.descents import Problem, problem, scaled
from steepest.objective import Batch
from steepest.training import TrainingCallback

Array = np.ndarray

SHOWN = 4
"""Number of events whose predictions are shown."""
EPOCHS = 200
DIFFERENCE = 1e-5
"""Step of the central differences, whose error is of second order in it."""


@dataclass(frozen=True, eq=False)
class Check:
    """A loss at a random θ: its value, and its gradient compared with numerical derivatives."""

    loss: str
    model: str  # name of its regression model
    classes: int  # outputs of the model
    parameters: int  # length of θ
    value: float  # J(θ)
    gradient_norm: float  # ‖∇J(θ)‖
    numerical: float  # ‖∇J − numerical derivatives‖/‖∇J‖
    matrix_product: float | None  # ‖∇J − 2/m Xᵀ(Xθ − y)‖/‖∇J‖, for the mean squared error


@dataclass(frozen=True, eq=False)
class SevenSteps:
    """The numbers of one step of batch gradient descent, and the result of all steps."""

    features: tuple[str, ...]  # θ has their weights, then the intercept
    events: int  # in the batch, which has all events
    start: Array  # θ₀
    predictions: Array  # p̂ of a few events at θ₀
    predictions_after: Array  # and at θ₁
    labels: Array  # of these events
    loss: float  # J(θ₀)
    gradient: Array  # ∇J(θ₀)
    rate: float  # η
    after: Array  # θ₁ = θ₀ − η∇J(θ₀)
    loss_after: float  # J(θ₁)
    steps: int  # that were taken
    end: Array  # θ after these
    end_loss: float
    end_gradient: float  # ‖∇J‖
    checks: tuple[Check, ...]  # one for each loss


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> SevenSteps:
    """Compute one step in detail, then all the others."""
    events = data.drawn(effort.events, seed)
    inputs = scaled(events.features[:, list(data.pair)], events.weights)
    fit = problem(inputs, events.labels, events.weights, "binary-cross-entropy", callback)
    rate = fit.stable_rate()
    run = fit.descend(rate=rate, epochs=EPOCHS, seed=seed)
    start, after = run.thetas[0], run.thetas[1]
    loss, gradient = fit.loss_and_gradient(start)
    end_loss, end_gradient = fit.loss_and_gradient(run.end)
    few = fit.events.take(slice(0, SHOWN))
    return SevenSteps(
        features=tuple(data.names[i] for i in data.pair),
        events=len(events),
        start=start,
        predictions=fit.objective.predict(start, few),
        predictions_after=fit.objective.predict(after, few),
        labels=few.targets,
        loss=loss,
        gradient=gradient,
        rate=rate,
        after=after,
        loss_after=fit.loss(after),
        steps=EPOCHS,
        end=run.end,
        end_loss=end_loss,
        end_gradient=float(np.linalg.norm(end_gradient)),
        checks=_checks(inputs, events.labels, events.weights, seed),
    )


def _checks(inputs: Array, labels: Array, weights: Array | None, seed: int) -> tuple[Check, ...]:
    """Check the three losses at a random θ, on the same events.

    For the third loss, the three classes are the terciles of the first feature.
    """
    thirds = np.digitize(inputs[:, 0], np.quantile(inputs[:, 0], [1 / 3, 2 / 3]))
    kinds = (
        ("mean-squared-error", "linear regression", 1, labels),
        ("binary-cross-entropy", "logistic regression", 1, labels),
        ("cross-entropy", "softmax regression", 3, thirds.astype(np.int64)),
    )
    random = np.random.default_rng([seed, 43])
    checks = []
    for loss, model, outputs, targets in kinds:
        fit = problem(inputs, targets, weights, loss, outputs=outputs)
        theta = random.normal(size=fit.objective.size)
        value, gradient = fit.loss_and_gradient(theta)
        size = float(np.linalg.norm(gradient))
        numerical = float(np.linalg.norm(gradient - numerical_gradient(fit, theta)) / size)
        product = None
        if loss == "mean-squared-error":
            product = float(np.linalg.norm(gradient - _matrix_product(theta, fit.events)) / size)
        checks.append(Check(loss, model, outputs, len(theta), value, size, numerical, product))
    return tuple(checks)


def _matrix_product(theta: Array, batch: Batch) -> Array:
    """Return 2/m Xᵀ W (Xθ − y), where X has a last column of ones and the weights have mean one."""
    X = np.column_stack([batch.inputs, np.ones(len(batch))])
    w = np.ones(len(batch)) if batch.weights is None else batch.weights
    return 2.0 / len(batch) * X.T @ (w * (X @ theta - batch.targets))


def numerical_gradient(fit: Problem, theta: Array) -> Array:
    """Return (J(θ + h eᵢ) − J(θ − h eᵢ)) / 2h for each parameter."""
    h = DIFFERENCE
    ends = [(fit.loss(theta + h * e), fit.loss(theta - h * e)) for e in np.eye(len(theta))]
    return np.array([high - low for high, low in ends]) / (2 * h)


def rows(numbers: SevenSteps) -> list[dict[str, str]]:
    """Return the seven steps, each with its formula and its numbers."""
    n = numbers
    labels = ", ".join(f"{label:g}" for label in n.labels)
    meaning = f"weights of {', '.join(n.features)}, standardised, and the intercept"
    steps = [
        ("init", "θ₀ = 0", f"θ₀ = {_vector(n.start)}: {meaning}"),
        ("predict", "p̂ = σ(θ·x)",
         f"p̂ = {_vector(n.predictions)}, … where the labels are {labels}, …"),
        ("loss", "J = −⟨y ln p̂ + (1 − y) ln(1 − p̂)⟩",
         f"J(θ₀) = {n.loss:.6f}, the mean over {n.events:,} events"),
        ("gradient", "∇J = ⟨(p̂ − y) x⟩", f"∇J(θ₀) = {_vector(n.gradient)}"),
        ("step", "θ₁ = θ₀ − η ∇J(θ₀)", f"η = {n.rate:.4g}: θ₁ = {_vector(n.after)}"),
        ("repeat", "from predict",
         f"p̂ = {_vector(n.predictions_after)}, …: J(θ₁) = {n.loss_after:.6f}"),
        ("stop", f"after {n.steps} steps",
         f"θ = {_vector(n.end)}: J = {n.end_loss:.6f}, ‖∇J‖ = {n.end_gradient:.2g}"),
    ]  # fmt: skip
    return [dict(zip(("name", "formula", "values"), step, strict=True)) for step in steps]


def text(numbers: SevenSteps) -> list[str]:
    """Explain the numbers."""
    worst = max(check.numerical for check in numbers.checks)
    product = next(c.matrix_product for c in numbers.checks if c.matrix_product is not None)
    return [
        "Training consists of these seven steps. The numbers are from one real step of a logistic "
        f"regression on {' and '.join(numbers.features)}. This step lowers the loss from "
        f"{numbers.loss:.4f} to {numbers.loss_after:.4f}.",
        "The gradients are computed from formulas, not from differences. Numerical derivatives "
        f"agree to {worst:.1g} for each of the three losses. For the mean squared error the "
        f"gradient agrees with the matrix product 2/m Xᵀ(Xθ − y) to {product:.1g}.",
    ]


def _vector(values: Any) -> str:
    """Format numbers with four digits; numbers that are zero up to rounding are written as 0."""
    array = np.asarray(values, dtype=np.float64)
    array = np.where(np.abs(array) < 1e-12 * np.abs(array).max(initial=1.0), 0.0, array)
    return "(" + ", ".join(f"{value:.4g}".replace("-", "−") for value in array) + ")"
