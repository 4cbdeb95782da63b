"""`method = "exact"`: the least-squares answer instead of a descent, and the scaling it takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.descent import LearningRate, Outcome, Plan, State
from steepest.descent.exact import LeastSquares, least_squares
from steepest.descent.state import Best, StopReason
from steepest.errors import EventsError, RecipeError
from steepest.events import Sample
from steepest.models import has_intercept
from steepest.objective import Batch, ModelObjective
from steepest.optimizers import update_rule
from steepest.ranks import current
from steepest.recipe import DescentRecipe
from steepest.scaling import AnyScaling, DiagonalScaling
from steepest.training.fitting.fitted import Fitted, model_with
from steepest.training.inputs import Schema, scaling_of

Array = np.ndarray


def fit_exactly(
    events: Batch,
    scaling: AnyScaling,
    objective: ModelObjective,
    schema: Schema,
    recipe: DescentRecipe,
    say: Callable[[str], None],
) -> Fitted:
    """Return the model at the minimum of J, without a step.

    Raises
    ------
    RecipeError
        There are many ranks.
    EventsError
        The events are on disk.
    """
    _refuse_ranks()
    _refuse_large(events)
    assert isinstance(recipe.l2, float)  # decided
    solution, theta = _solved(events, objective, recipe.l2)
    say(
        f"Least squares by an orthogonal factorisation: condition number κ = "
        f"{solution.condition_number:.3g}, so {solution.digits_lost:.1f} of 16 digits are lost."
    )
    if solution.rank < (unknowns := len(solution.coefficients) + 1):
        say(f"The features are linearly dependent: rank {solution.rank} of {unknowns}.")
    reason = StopReason("exact", "the least-squares answer, by an orthogonal factorisation")
    loss = objective.loss(theta, events)
    state = State(theta, (), 0, Best(theta, loss, 0), np.inf, reason=reason)
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    plan = Plan.of(recipe.model_copy(update={"batch_size": "all"}), rule, 0.0, len(events), False)
    rate = LearningRate(0.0, "none is needed")
    model = model_with(scaling, objective, schema, theta)
    return Fitted(model, Outcome(theta, 0, state), rate, plan, recipe, solution)


def _solved(events: Batch, objective: ModelObjective, l2: float) -> tuple[LeastSquares, Array]:
    """The least-squares answer, and θ of the model."""
    X, y, w = events.inputs, events.targets, events.weights
    if has_intercept(objective.model):
        solution = least_squares(X, y, w, l2)
        theta = np.append(solution.coefficients, solution.intercept)
    else:  # every event and its mirror image: then the intercept is zero, and J the same
        mirrored = np.concatenate([X, -X]), np.concatenate([y, -y])
        solution = least_squares(*mirrored, None if w is None else np.concatenate([w, w]), l2)
        theta = solution.coefficients
    return solution, theta.astype(objective.dtype)


def _refuse_ranks() -> None:
    if current().size > 1:
        raise RecipeError(
            "The least-squares answer needs all events in one process.",
            expected="one process",
            found=f"{current().size} ranks",
            do='set descent.method = "newton", which goes to the same minimum over all ranks',
        )


def _refuse_large(events: Batch) -> None:
    if events.on_disk:
        raise EventsError(
            "The least-squares answer needs all events in memory, but these are kept on disk.",
            expected="memory for some six times the scaled features",
            found=f"{6 * events.inputs.nbytes / 2**30:.3g} GiB to be held",
            do='raise events.memory, or set descent.method = "descent"',
        )


FAR = 1e3
"""Means of so many standard deviations cost a prediction from unscaled features its digits."""


def exact_scaling(train: Sample, schema: Schema) -> AnyScaling:
    """None, which costs the coefficients no digits; standard where means are far from zero."""
    standard = scaling_of("standard", train, schema.inputs)
    assert isinstance(standard, DiagonalScaling)  # linear models take no groups
    far = (np.abs(standard.shift) > FAR * standard.width).any()
    return standard if far else scaling_of("none", train, schema.inputs)
