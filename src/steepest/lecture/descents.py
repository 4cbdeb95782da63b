"""Live descents for the pictures: the training loop of the package, from any start, in memory.

A `Problem` is J on its events. `Quadratic` predicts a descent from the curvature of a quadratic J.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest import recipe as spec
from steepest.curvature import Quadratic, hessian, settled
from steepest.descent import MemoryCheckpointer, Plan, State, descend
from steepest.descent.loop import EXPLODED
from steepest.descent.state import Best
from steepest.errors import DivergenceError
from steepest.lecture.data import NotFound
from steepest.objective import Batch, ModelObjective, losses_on_surface, objective_named
from steepest.optimizers import update_rule
from steepest.scaling import fit_scaling
from steepest.training import TrainingCallback

Array = np.ndarray

SEPARATED = 1e-6
"""A cross entropy below this means that the classes are separated."""
CHECK_EVERY = 250
"""Epochs between checks of ‖∇J‖."""


@dataclass(frozen=True, eq=False)
class Descent:
    """The result of a descent."""

    steps: Array  # (points,): steps at which θ was recorded, including the start
    thetas: Array  # (points, size): θ at these steps
    losses: Array  # (steps,): J of the batch before each step
    gradients: Array  # (steps,): ‖g‖ before each step
    diverged_at: int | None  # number of steps after which the loss had diverged
    seconds: float  # wall time of all steps

    @property
    def end(self) -> Array:
        """The last θ."""
        return self.thetas[-1]


class _Silent(TrainingCallback):
    """A callback that shows nothing, and is interrupted together with `whole`."""

    def __init__(self, whole: TrainingCallback) -> None:
        self.whole = whole

    @property
    def interrupted(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether `whole` is interrupted."""
        return self.whole.interrupted


@dataclass(frozen=True, eq=False)
class Problem:
    """J on its events."""

    objective: ModelObjective
    events: Batch
    callback: TrainingCallback  # may interrupt descents

    def loss(self, theta: Array) -> float:
        """J(θ)."""
        return self.objective.loss(theta, self.events)

    def loss_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """J(θ) and ∇J(θ)."""
        return self.objective.loss_and_gradient(theta, self.events)

    def hessian(self, theta: Array) -> Array:
        """∇²J(θ)."""
        return hessian(self.objective, theta, self.events)

    def line(self, start: Array, direction: Array, places: Array) -> Array:
        """J at start + t · direction for each t of `places`."""
        line = start, direction[None], places[:, None]
        return losses_on_surface(self.objective, *line, self.events)

    def losses_at(self, points: Array) -> Array:
        """J where θ₁ and θ₂ are `points` ``(…, 2)``, and all other parameters zero."""
        size, places = self.objective.size, points.reshape(-1, 2)
        vectors = np.eye(size)[:2]
        losses = losses_on_surface(self.objective, np.zeros(size), vectors, places, self.events)
        return losses.reshape(points.shape[:-1])

    def stable_rate(self) -> float:
        """1/λmax, λmax from the bound on the curvature of a linear model."""
        bounds = self.objective.curvature_bounds(self.events)
        assert bounds is not None  # a linear model
        return 1.0 / bounds.largest

    def descend(
        self,
        *,
        rate: float,
        epochs: int,
        batch_size: int | None = None,
        start: Array | None = None,
        schedule: spec.Schedule | None = None,
        seed: int = 0,
        settled_below: float | None = None,
    ) -> Descent:
        """Minimise J by gradient descent, θ ← θ − η g.

        Parameters
        ----------
        rate, epochs, batch_size, schedule, seed
            η before the schedule, passes over the events, events per step (None: all), the
            schedule, and the seed of the order of the events.
        start
            θ₀; None uses the initialisation of the objective for the seed.
        settled_below
            Stop if ‖∇J‖ is below this, checked every `CHECK_EVERY` epochs; None disables the check.

        Raises
        ------
        Interrupted
            After Ctrl-C.

        Examples
        --------
        >>> line = problem(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
        >>> line.descend(rate=0.25, epochs=3).thetas[:, 0]
        array([0.  , 1.  , 1.5 , 1.75])
        """
        rule = update_rule(spec.SGD(), self.objective.weight_mask)
        plan = Plan(
            events=len(self.events),
            batch_size=batch_size or len(self.events),
            rule=rule,
            learning_rate=rate,
            schedule_options=schedule or spec.Constant(),
            epochs=epochs,
            seed=seed,
            stop=spec.Stop(gradient_norm=settled_below),
            validate_every=epochs if settled_below is None else CHECK_EVERY,
            checkpoint=spec.Checkpoint(seconds=1e9),
        )
        theta = self.objective.initial(seed) if start is None else start
        theta = theta.astype(self.objective.dtype)
        first = self.loss(theta)
        limit = EXPLODED * max(abs(first), 1e-300)
        state = State(theta, rule.initial_state(theta), 0, Best(theta, first, 0), limit)
        kept, silent, diverged = MemoryCheckpointer(), _Silent(self.callback), False
        try:
            descend(self.objective, self.events, plan, kept, state=state, callback=silent)
        except DivergenceError:
            diverged = True
        end, history = kept.state, kept.history[-1]
        assert end is not None  # saved at the end, also after divergence
        steps = np.concatenate([[0], *(part.steps for part in kept.path)]).astype(np.int64)
        thetas = np.concatenate([theta[None], *(part.thetas for part in kept.path)])
        if steps[-1] != end.step:
            steps, thetas = np.append(steps, end.step), np.vstack([thetas, end.theta])
        losses, gradients = (history[name].to_numpy() for name in ("loss", "gradient_norm"))
        return Descent(steps, thetas, losses, gradients, end.step if diverged else None,
                       end.seconds)  # fmt: skip

    def settled(self, theta: Array, steps: int = 100) -> Array:
        """Return the minimum reached from θ, see `steepest.curvature.settled`.

        Examples
        --------
        >>> line = problem(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
        >>> line.settled(np.zeros(2))
        array([2., 0.])
        """
        return settled(self.objective, theta, self.events, steps)

    def logistic_minimum(self, theta: Array) -> Array:
        """Return the minimum of a logistic regression, starting from θ.

        Raises
        ------
        NotFound
            A plane separates the classes, so J has no minimum.
        """
        theta = self.settled(theta)
        if self.loss(theta) < SEPARATED:
            raise NotFound(
                "a plane separates the two classes without error, so the cross entropy has no "
                "minimum"
            )
        return theta


def problem(
    inputs: Array,
    targets: Array,
    weights: Array | None = None,
    loss: str = "mean-squared-error",
    callback: TrainingCallback | None = None,
    **model: Any,
) -> Problem:
    """Return J of a dense model on its events, by default a linear one.

    `model` has the options of `steepest.objective.objective_named`.
    """
    objective = objective_named("dense", inputs.shape[1], loss, **model)
    batch = Batch.of(inputs, targets, weights, objective.dtype)
    return Problem(objective, batch, callback or TrainingCallback())


def scaled(features: Array, weights: Array | None, scaling: str = "standard") -> Array:
    """Return the features, scaled by a scaling fitted on them."""
    names = [f"x{i}" for i in range(features.shape[1])]
    return fit_scaling(scaling, [(features, weights)], names).transform(features)


def quadratic(of: Problem, keep: int | None = None) -> Quadratic:
    """Return the quadratic form of J for a linear model with the mean squared error.

    `keep` uses only the first parameters, if the others stay constant and are not coupled.
    """
    theta = np.zeros(of.objective.size)
    part = slice(0, keep)
    matrix = of.hessian(theta)[part, part]
    eigenvalues, vectors = np.linalg.eigh(matrix)
    theta[part] = -np.linalg.solve(matrix, of.loss_and_gradient(theta)[1][part])
    return Quadratic(eigenvalues, vectors, theta[part], of.loss(theta))
