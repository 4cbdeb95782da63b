"""Live descents for the pictures: the training loop of the package, from any start, in memory.

`walk` runs a descent. `settled` continues from the end of a descent to its minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, State, descend
from steepest.descent.loop import EXPLODED
from steepest.descent.state import Best
from steepest.errors import DivergenceError
from steepest.lecture.errors import NotFound
from steepest.lecture.quadratic import hessian
from steepest.objective import Batch, ModelObjective, objective_named
from steepest.optimizers import update_rule
from steepest.scaling import fit_scaling
from steepest.training import TrainingCallback

__all__ = ["Walk", "linear", "logistic_minimum", "scaled", "settled", "walk"]

Array = np.ndarray

SEPARATED = 1e-6
"""A cross entropy below this means that the classes are separated."""
LOOK = 250
"""Epochs between checks of ‖∇J‖."""


@dataclass(frozen=True, eq=False)
class Walk:
    """The result of a descent.

    Attributes
    ----------
    steps, thetas
        The path: ``(points,)`` and ``(points, size)``, including the start.
    losses
        J of the batch before each step, ``(steps,)``.
    gradients
        ‖g‖ before each step, ``(steps,)``.
    diverged_at : int or None
        Number of steps after which the loss had diverged.
    seconds : float
        Wall time of all steps.
    """

    steps: Array
    thetas: Array
    losses: Array
    gradients: Array
    diverged_at: int | None
    seconds: float

    @property
    def end(self) -> Array:
        """The last θ."""
        return self.thetas[-1]


def walk(
    objective: ModelObjective,
    events: Batch,
    *,
    rate: float,
    epochs: int,
    batch_size: int | None = None,
    start: Array | None = None,
    schedule: spec.Schedule | None = None,
    seed: int = 0,
    settled_below: float | None = None,
    callback: TrainingCallback | None = None,
) -> Walk:
    """Minimise J by gradient descent, θ ← θ − η g.

    Parameters
    ----------
    objective, events
        J, and its events.
    rate, epochs, batch_size, schedule, seed
        η before the schedule, passes over the events, events per step (None: all), the schedule,
        and the seed of the order of the events.
    start
        θ₀; None uses the initialisation of the objective for the seed.
    settled_below
        Stop if ‖∇J‖ is below this, checked every `LOOK` epochs; None disables the check.
    callback
        Is asked whether to stop.

    Raises
    ------
    Interrupted
        If `callback` is interrupted.

    Examples
    --------
    >>> objective, batch = linear(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> walk(objective, batch, rate=0.25, epochs=3).thetas[:, 0]
    array([0.  , 1.  , 1.5 , 1.75])
    """
    rule = update_rule(spec.SGD(), objective.weight_mask)
    plan = Plan(
        events=len(events),
        batch_size=batch_size or len(events),
        rule=rule,
        learning_rate=rate,
        schedule_options=schedule or spec.Constant(),
        epochs=epochs,
        seed=seed,
        stop=spec.Stop(gradient_norm=settled_below),
        validate_every=epochs if settled_below is None else LOOK,
        checkpoint=spec.Checkpoint(seconds=1e9),
    )
    theta = (objective.initial(seed) if start is None else start).astype(objective.dtype)
    first = objective.loss(theta, events)
    limit = EXPLODED * max(abs(first), 1e-300)
    state = State(theta, rule.initial_state(theta), 0, Best(theta, first, 0), limit)
    checkpointer, quiet, diverged = MemoryCheckpointer(), _Silent(callback), False
    try:
        descend(objective, events, plan, checkpointer, state=state, callback=quiet)
    except DivergenceError:
        diverged = True
    assert checkpointer.state is not None  # saved at the end, also after divergence
    end, history = checkpointer.state, checkpointer.history[-1]
    paths = checkpointer.path
    steps = np.concatenate([[0], *(p.steps for p in paths)]).astype(np.int64)
    thetas = np.concatenate([theta[None], *(p.thetas for p in paths)])
    if steps[-1] != end.step:
        steps, thetas = np.append(steps, end.step), np.vstack([thetas, end.theta])
    return Walk(
        steps=steps,
        thetas=thetas,
        losses=history["loss"].to_numpy(),
        gradients=history["gradient_norm"].to_numpy(),
        diverged_at=end.step if diverged else None,
        seconds=end.seconds,
    )


class _Silent(TrainingCallback):
    """A callback that shows nothing, and is interrupted together with `whole`."""

    def __init__(self, whole: TrainingCallback | None) -> None:
        self.whole = whole

    @property
    def interrupted(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether `whole` is interrupted."""
        return self.whole is not None and self.whole.interrupted


def linear(
    inputs: Array, targets: Array, weights: Array | None = None, loss: str = "mean-squared-error"
) -> tuple[ModelObjective, Batch]:
    """Return J of a linear model, and its events."""
    objective = objective_named("dense", inputs.shape[1], loss)
    return objective, Batch.of(inputs, targets, weights, objective.dtype)


def scaled(features: Array, weights: Array | None, scaling: str = "standard") -> Array:
    """Return the features, scaled by a scaling fitted on them."""
    names = [f"x{i}" for i in range(features.shape[1])]
    return fit_scaling(scaling, [(features, weights)], names).transform(features)


def logistic_minimum(objective: ModelObjective, theta: Array, events: Batch) -> Array:
    """Return the minimum of a logistic regression, starting from θ.

    Raises
    ------
    NotFound
        A plane separates the classes, so J has no minimum.
    """
    theta = settled(objective, theta, events)
    if objective.loss(theta, events) < SEPARATED:
        raise NotFound(
            "a plane separates the two classes without error, so the cross entropy has no minimum"
        )
    return theta


def settled(objective: ModelObjective, theta: Array, events: Batch, steps: int = 100) -> Array:
    """Return the minimum reached from θ by Newton steps with |λ|, halved until J decreases.

    With |λ| instead of λ, a step goes downhill along every eigenvector, also near a saddle point
    (arXiv:1406.2572).

    Examples
    --------
    >>> objective, batch = linear(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> settled(objective, np.zeros(2), batch)
    array([2., 0.])
    """
    for _ in range(steps):
        loss, gradient = objective.loss_and_gradient(theta, events)
        if np.linalg.norm(gradient) < 1e-11:
            break
        values, vectors = np.linalg.eigh(hessian(objective, theta, events))
        size = np.maximum(np.abs(values), 1e-9 * np.abs(values).max())
        step = vectors @ ((vectors.T @ gradient) / size)
        length = 1.0
        while length > 1e-9 and objective.loss(theta - length * step, events) > loss:
            length /= 2
        if length <= 1e-9:
            break
        theta = theta - length * step
    return theta
