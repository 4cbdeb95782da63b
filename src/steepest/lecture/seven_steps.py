"""The seven steps with the numbers of one real step, and checks of the gradients.

The steps are init, predict, loss, gradient, step, repeat, stop, for a logistic regression on the
two features of the pictures. The gradient of each loss is compared with numerical derivatives, and
that of the mean squared error also with the matrix product 2/m Xᵀ(Xθ − y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.lecture.data import LectureData
from steepest.lecture.effort import Effort
from steepest.lecture.live import linear, scaled, walk
from steepest.objective import Batch, ModelObjective, objective_named
from steepest.training import TrainingCallback

__all__ = ["Check", "SevenSteps", "compute", "numerical_gradient", "rows", "text"]

Array = np.ndarray

SHOWN = 4
"""Number of events whose predictions are shown."""
EPOCHS = 200
DIFFERENCE = 1e-5
"""Step of the central differences, whose error is of second order in it."""


@dataclass(frozen=True, eq=False)
class Check:
    """A loss at a random θ: its value, and its gradient compared with numerical derivatives.

    Attributes
    ----------
    loss, model : str
        Name of the loss, and of its regression model.
    classes, parameters : int
        Outputs of the model, and the length of θ.
    value, gradient_norm : float
        J(θ) and ‖∇J(θ)‖.
    numerical : float
        ‖∇J − numerical derivatives‖/‖∇J‖.
    matrix_product : float or None
        ‖∇J − 2/m Xᵀ(Xθ − y)‖/‖∇J‖, for the mean squared error.
    """

    loss: str
    model: str
    classes: int
    parameters: int
    value: float
    gradient_norm: float
    numerical: float
    matrix_product: float | None


@dataclass(frozen=True, eq=False)
class SevenSteps:
    """The numbers of one step of batch gradient descent, and the result of all steps.

    Attributes
    ----------
    features
        Names of the two features; θ has their weights, then the intercept.
    events : int
        Number of events in the batch, which has all events.
    start, gradient, after
        θ₀, ∇J(θ₀) and θ₁ = θ₀ − η∇J(θ₀).
    predictions, labels
        p̂ of a few events at θ₀, and their labels; `predictions_after` is p̂ at θ₁.
    loss, loss_after, rate : float
        J(θ₀), J(θ₁), η.
    steps, end, end_loss, end_gradient
        Number of steps, and θ, J and ‖∇J‖ at the end.
    checks : tuple[Check, ...]
        One for each loss.
    """

    features: tuple[str, ...]
    events: int
    start: Array
    predictions: Array
    predictions_after: Array
    labels: Array
    loss: float
    gradient: Array
    rate: float
    after: Array
    loss_after: float
    steps: int
    end: Array
    end_loss: float
    end_gradient: float
    checks: tuple[Check, ...]


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> SevenSteps:
    """Compute one step in detail, then all the others."""
    events = data.drawn(effort.events, seed)
    inputs = scaled(events.features[:, list(data.pair)], events.weights)
    objective, batch = linear(inputs, events.labels, events.weights, "binary-cross-entropy")
    bounds = objective.curvature_bounds(batch)
    assert bounds is not None  # a linear model
    rate = 1.0 / bounds.largest
    run = walk(objective, batch, rate=rate, epochs=EPOCHS, seed=seed, callback=callback)
    start, after = run.thetas[0], run.thetas[1]
    loss, gradient = objective.loss_and_gradient(start, batch)
    end_loss, end_gradient = objective.loss_and_gradient(run.end, batch)
    few = batch.take(slice(0, SHOWN))
    return SevenSteps(
        features=tuple(data.names[i] for i in data.pair),
        events=len(events),
        start=start,
        predictions=objective.predict(start, few),
        predictions_after=objective.predict(after, few),
        labels=few.targets,
        loss=loss,
        gradient=gradient,
        rate=rate,
        after=after,
        loss_after=objective.loss(after, batch),
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
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 43])))
    checks = []
    for loss, model, outputs, targets in kinds:
        objective = objective_named("dense", inputs.shape[1], loss, outputs=outputs)
        batch = Batch.of(inputs, targets, weights, objective.dtype)
        theta = random.normal(size=objective.size)
        value, gradient = objective.loss_and_gradient(theta, batch)
        size = float(np.linalg.norm(gradient))
        numerical = np.linalg.norm(gradient - numerical_gradient(objective, theta, batch)) / size
        product = None
        if loss == "mean-squared-error":
            product = float(np.linalg.norm(gradient - _matrix_product(theta, batch)) / size)
        checks.append(
            Check(loss, model, outputs, len(theta), value, size, float(numerical), product)
        )
    return tuple(checks)


def _matrix_product(theta: Array, batch: Batch) -> Array:
    """Return 2/m Xᵀ W (Xθ − y), where X has a last column of ones and the weights have mean one."""
    X = np.column_stack([batch.inputs, np.ones(len(batch))])
    w = np.ones(len(batch)) if batch.weights is None else batch.weights
    return 2.0 / len(batch) * X.T @ (w * (X @ theta - batch.targets))


def numerical_gradient(objective: ModelObjective, theta: Array, batch: Batch) -> Array:
    """Return (J(θ + h eᵢ) − J(θ − h eᵢ)) / 2h for each parameter."""
    gradient = np.empty(len(theta))
    for i, unit in enumerate(np.eye(len(theta))):
        ends = [objective.loss(theta + h * unit, batch) for h in (DIFFERENCE, -DIFFERENCE)]
        gradient[i] = (ends[0] - ends[1]) / (2 * DIFFERENCE)
    return gradient


def rows(numbers: SevenSteps) -> list[dict[str, str]]:
    """Return the seven steps, each with its formula and its numbers."""

    def row(name: str, formula: str, values: str) -> dict[str, str]:
        return {"name": name, "formula": formula, "values": values}

    n = numbers
    labels = ", ".join(f"{label:g}" for label in n.labels)
    first = f"{_vector(n.predictions)}, … where the labels are {labels}, …"
    end = f"θ = {_vector(n.end)}: J = {n.end_loss:.6f}, ‖∇J‖ = {n.end_gradient:.2g}"
    meaning = f"weights of {', '.join(n.features)}, standardised, and the intercept"
    mean = f"J(θ₀) = {n.loss:.6f}, the mean over {n.events:,} events"
    again = f"p̂ = {_vector(n.predictions_after)}, …: J(θ₁) = {n.loss_after:.6f}"
    return [
        row("init", "θ₀ = 0", f"θ₀ = {_vector(n.start)}: {meaning}"),
        row("predict", "p̂ = σ(θ·x)", f"p̂ = {first}"),
        row("loss", "J = −⟨y ln p̂ + (1 − y) ln(1 − p̂)⟩", mean),
        row("gradient", "∇J = ⟨(p̂ − y) x⟩", f"∇J(θ₀) = {_vector(n.gradient)}"),
        row("step", "θ₁ = θ₀ − η ∇J(θ₀)", f"η = {n.rate:.4g}: θ₁ = {_vector(n.after)}"),
        row("repeat", "from predict", again),
        row("stop", f"after {n.steps} steps", end),
    ]


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
