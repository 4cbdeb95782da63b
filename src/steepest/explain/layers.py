"""Inside a network: units that are dead or saturated, gradients by layer, the loss of the start.

A ReLU unit whose sum is never positive has no gradient and never comes back: it is dead. A tanh or
sigmoid unit is saturated on an event where its derivative is below a twentieth of its largest.
Gradients that shrink or grow by orders of magnitude from the last layer to the first vanish or
explode (Glorot and Bengio 2010). At a sensible start the loss is near that of the best constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steepest.explain.record import Record
from steepest.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    label_loss,
)
from steepest.objective import Batch

Array = np.ndarray

EVENTS = 4_000
SATURATED = 0.05
"""Of the activation's largest derivative."""
MOST_VALUES = 4_000_000
"""Values of an activation's output that are looked at."""


@dataclass(frozen=True)
class LayerState:
    """One hidden layer at one θ.

    Parameters
    ----------
    dead
        Share of units with a derivative of zero on every event.
    saturated
        Share of (event, unit) pairs with a derivative below a twentieth of the largest.
    activation, name
        Its activation, and its name in the network.
    """

    dead: float
    saturated: float
    activation: str = ""
    name: str = ""


@dataclass(frozen=True)
class Layers:
    """Hidden layers and gradients at the start and at the end of the path."""

    start: tuple[LayerState, ...]
    end: tuple[LayerState, ...]
    gradients: tuple[float, ...]
    """Root mean square of ∂J/∂W at the start, by layer from the inputs to the outputs."""
    loss_at_start: float
    alike: str = ""
    """The first layer whose units have equal weights at the start."""

    @property
    def gradient_ratio(self) -> float:
        """The gradient of the first layer over that of the last."""
        if len(self.gradients) < 2 or self.gradients[-1] == 0:
            return math.nan
        return self.gradients[0] / self.gradients[-1]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure_layers(record: Record) -> Layers:
    """Measure layers at both ends; only gradients where a model does not show its hidden sums."""
    events = record.train
    if len(events) > EVENTS:
        events = events.take(np.linspace(0, len(events) - 1, EVENTS).astype(np.int64))
    first, last = record.thetas[0], record.thetas[-1]
    with np.errstate(all="ignore"):
        loss, gradient = record.objective.loss_and_gradient(first, events)
    sizes = tuple(
        float(np.sqrt(np.mean(v**2))) for v in _matrices(record, np.asarray(gradient)).values()
    )
    start, end = (_states(record, theta, events) for theta in (first, last))
    return Layers(start, end, sizes, loss, _alike(_matrices(record, first)))


def _matrices(record: Record, theta: Array) -> dict[str, Array]:
    blocks = record.model.model.named(theta.astype(np.float64))
    return {name: v for name, v in blocks.items() if "bias" not in name and v.ndim > 1}


def _alike(matrices: dict[str, Array]) -> str:
    """The first matrix but the last whose units all have the same weights: one value, mostly."""
    names = list(matrices)
    return next((name for name in names[:-1] if np.ptp(matrices[name]) == 0), "")


def _states(record: Record, theta: Array, events: Batch) -> tuple[LayerState, ...]:
    module = getattr(record.objective, "module", None)
    if module is not None:
        theta = theta.astype(record.objective.dtype)
        return unit_states(module, lambda: record.objective.predict(theta, events))
    hidden_sums: Any = getattr(record.model.model, "hidden_sums", None)
    if hidden_sums is None or not isinstance(events.inputs, np.ndarray):
        return ()
    function: Any = record.model.model.function  # pyright: ignore[reportAttributeAccessIssue]
    activation = getattr(record.recipe.model, "activation", "")
    steepest = float(np.abs(function.first(np.linspace(-8, 8, 1601))).max())
    states = []
    with np.errstate(all="ignore"):
        for number, sums in enumerate(hidden_sums(theta, events.inputs), 1):
            slopes = np.abs(function.first(sums))
            dead, flat = (slopes == 0).all(axis=0).mean(), (slopes <= SATURATED * steepest).mean()
            states.append(LayerState(float(dead), float(flat), activation, f"hidden {number}"))
    return tuple(states)


def unit_states(module: Any, forward: Callable[[], object]) -> tuple[LayerState, ...]:
    """The state of every activation that `forward` runs through, in the order of its calls.

    The last axis of what enters an activation are its units, all others their values; of images
    ``(batch, channels, …)`` the second. A ReLU unit is dead if nothing that enters it is positive.
    """
    from torch import nn

    slopes: dict[type, Callable[[Any], Any]] = {
        nn.ReLU: lambda x: (~(x <= 0)).float(),  # NaN is not dead
        nn.Tanh: lambda x: 1 - x.tanh() ** 2,
        nn.Sigmoid: lambda x: 4 * x.sigmoid() * (-x).sigmoid(),
    }
    found: list[LayerState] = []

    def watch(name: str, one: Any) -> Any:
        kind, slope = type(one).__name__.lower(), slopes[type(one)]

        def hook(_: Any, inputs: tuple[Any, ...]) -> None:
            values = inputs[0].detach()
            axis = 1 if values.dim() in (4, 5) else -1
            values = values.movedim(axis, -1).reshape(-1, values.shape[axis])
            values = values[:: -(-values.numel() // MOST_VALUES)]
            steep = slope(values).cpu().numpy()
            dead = float((steep == 0).all(axis=0).mean()) if kind == "relu" else 0.0
            flat = 0.0 if kind == "relu" else float((steep <= SATURATED).mean())
            found.append(LayerState(dead, flat, kind, name))

        return one.register_forward_pre_hook(hook)

    hooks = [watch(name, one) for name, one in module.named_modules() if type(one) in slopes]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(found)


def constant_loss(record: Record, batch: Batch) -> float:
    """The mean loss of the best constant of a run's events."""
    return loss_of_guessing(record.model.loss, batch)


def loss_of_guessing(loss: Loss, batch: Batch) -> float:
    """The mean loss of the best constant: the weighted entropy of the classes, or the variance.

    Of any other loss it is looked for between the lowest and the highest target.

    Examples
    --------
    >>> four = Batch(np.zeros((4, 1)), np.array([0, 0, 1, 1]))
    >>> round(loss_of_guessing(BinaryCrossEntropy(), four), 6)
    0.693147
    """
    targets, loss = batch.targets, label_loss(loss)
    weights = np.ones(len(targets)) if batch.weights is None else np.asarray(batch.weights)
    total = weights.sum()
    if not isinstance(loss, (MeanSquaredError, BinaryCrossEntropy, CrossEntropy)):
        from scipy.optimize import minimize_scalar

        def mean(constant: float) -> float:
            return float(
                weights @ loss.value(np.full((len(targets), 1), constant), targets) / total
            )

        ends = float(np.min(targets)), float(np.max(targets))
        best: Any = minimize_scalar(mean, bounds=ends, method="bounded")
        return float(best.fun)
    if isinstance(loss, MeanSquaredError):
        values = np.asarray(targets, dtype=np.float64)
        centre = (weights @ values) / total
        return float(weights @ (values - centre) ** 2 / total)
    shares = np.bincount(np.asarray(targets).astype(np.int64), weights) / total
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
