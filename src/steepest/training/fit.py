"""From arrays to a trained model: split → scale → objective → descent; and the linear baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.descent import (
    Callback,
    Checkpointer,
    MemoryCheckpointer,
    State,
    descend,
)
from steepest.descent.newton import newton
from steepest.descent.plan import resolve_batch_size
from steepest.events import Sample
from steepest.groups import Inputs
from steepest.losses import MeanSquaredError, heads_of, label_loss
from steepest.models import kind_named
from steepest.objective import ModelObjective
from steepest.ranks import current
from steepest.recipe import AnyModelRecipe, DescentRecipe, ModelRecipe
from steepest.scaling import AnyScaling, AsinhScaling, GroupScaling
from steepest.storage import AnyArray, map_blocks
from steepest.trained import TrainedModel
from steepest.training.data_notes import outlier_note
from steepest.training.fitting.exact import exact_scaling, fit_exactly
from steepest.training.fitting.fine_tune import begin_from, initial_model
from steepest.training.fitting.fitted import Fitted, model_with
from steepest.training.fitting.monitor import monitor_of
from steepest.training.fitting.penalty import TRIED, best_penalty, candidates, usual_penalty
from steepest.training.fitting.plan import (
    decided_for,
    events_of,
    is_left_out,
    is_network,
    may_weigh,
    newton_plan,
    plan_for,
)
from steepest.training.fitting.relevance import best_relevance
from steepest.training.inputs import Schema, batch_of, objective_for, scaling_of

Array = np.ndarray


def fit(
    train: Sample,
    validation: Sample | None,
    schema: Schema,
    model_recipe: AnyModelRecipe,
    recipe: DescentRecipe,
    checkpointer: Checkpointer,
    *,
    state: State | None = None,
    callback: Callback | None = None,
    say: Callable[[str], None] = lambda _: None,
    begun: Callable[[TrainedModel], object] | None = None,
    scaling: AnyScaling | None = None,
    finish: bool = False,
    rate_from: str = "as given",
) -> Fitted:
    """Scale, build the objective, choose what the recipe left open, and descend.

    Parameters
    ----------
    train, validation
        Samples; the scaling is fitted on the first alone.
    schema
        Names of features and classes, and the task, which decides the loss.
    model_recipe, recipe
        The model, and how to descend.
    checkpointer, state, callback
        Checkpoints, where to go on from, progress: as `steepest.descent.descend` takes them.
    say
        Told each decision, as a sentence.
    begun
        Told the model before its first step, with its scaling.
    scaling
        Where it was fitted on these training events before; left out, it is fitted now.
    finish
        Take no step from `state`: end there.
    rate_from
        Where a fixed η comes from, as the log says it.

    Raises
    ------
    EventsError, RecipeError, DivergenceError, Interrupted
    """
    by_relevance = scaling is None and may_weigh(model_recipe, recipe)
    if recipe.l2 is None and is_network(model_recipe) and not is_left_out(recipe):
        say(
            'L2 penalty: none, since epochs or optimizer are given; with l2 = "auto" trial runs '
            "choose one, and whether features are multiplied by their relevance."
        )
    recipe = decided_for(recipe, train, model_recipe, schema.task, validation is not None)
    tried: tuple[float, ...] = ()
    if recipe.l2 == "auto":  # η is chosen with the usual λ of few events, and then λ with that η
        tried = candidates(schema.task, events_of(train))
        usual = usual_penalty(schema.task, events_of(train))
        recipe = recipe.model_copy(update={"l2": usual})
    with one_blas_thread():  # fastest for small products, and fixes the order of sums
        free = kind_named(model_recipe.name).scaling is None
        if free and recipe.method == "exact" and recipe.l2 == 0.0:  # which no scaling moves
            scaling = exact_scaling(train, schema)
        initial = initial_model(model_recipe)
        scaling = scaling or _scaling(initial, train, schema, recipe)
        _say_scaling(scaling, train, say)
        objective = objective_for(schema, model_recipe, recipe, train)
        if initial is not None:
            say(begin_from(initial, objective, schema, model_recipe))
        _say_target(objective, say)
        if hasattr(objective, "device_name"):
            say(f"Computed by PyTorch on {objective.device_name}.")  # type: ignore[attr-defined]
        events = batch_of(train, scaling, objective, "training")
        if recipe.method == "exact":
            return fit_exactly(events, scaling, objective, schema, recipe, say)
        if begun is not None:
            begun(model_with(scaling, objective, schema, objective.initial(recipe.seed)))

        def with_l2(l2: float) -> ModelObjective:
            fixed = recipe.model_copy(update={"l2": l2, "dtype": objective.dtype})
            return objective_for(schema, model_recipe, fixed, loss=objective.loss_function)

        # with negative weights the held-out loss may fall below that of any model
        if tried and current().any(events.some_negative):
            tried = ()
        together = {l2: with_l2(l2) for l2 in tried} if events_of(train) >= TRIED else {}
        share, validated = train.share(), validation is not None
        planned = newton_plan if recipe.method == "newton" else plan_for
        given = objective, events, share, recipe, validated
        plan, rate = planned(*given, with_l2(0.0), together, rate_from)
        say(f"Learning rate: {rate.reason}.")
        penalty = rate.penalty
        if tried and penalty is None:
            penalty = best_penalty(tried, with_l2, events, share, plan)
        if penalty is not None:
            l2, reason = penalty
            say(f"L2 penalty: {reason}.")
            recipe = recipe.model_copy(update={"l2": l2})
            objective = with_l2(l2)
        relevance: tuple[float, ...] = state.relevance if state else ()
        some = events_of(train) >= TRIED and not current().any(events.some_negative)
        if state is None and by_relevance and some:
            relevance, reason = best_relevance(objective, with_l2(0.0), events, share, plan)
            say(f"Relevance: {reason}{_largest_factors(relevance, schema)}.")
        if relevance:
            assert isinstance(scaling, AsinhScaling)
            scaling = scaling.with_relevance(relevance)
            events = batch_of(train, scaling, objective, "training")
            plan = replace(plan, relevance=relevance)
        monitor, metrics = None, ()
        if validation is not None:
            batch = batch_of(validation, scaling, objective, "validation")
            monitor, metrics = monitor_of(objective, with_l2(0.0), batch, validation, schema.task)
        seen: dict[str, Any] = {"monitor": monitor, "metrics": metrics, "callback": callback}
        if recipe.method == "newton":
            outcome, said = newton(objective, events, plan, checkpointer, state=state, **seen)
            say(said)
        else:
            seen |= {"state": state, "finish": finish}
            outcome = descend(objective, events, plan, checkpointer, **seen)
    model = model_with(scaling, objective, schema, outcome.theta, outcome.buffers)
    return Fitted(model, outcome, rate, plan, recipe)


LISTED = 3
"""Features of the largest factors that the log names."""


def _largest_factors(relevance: tuple[float, ...], schema: Schema) -> str:
    if not relevance:
        return ""
    by_factor = sorted(zip(relevance, schema.names, strict=True), reverse=True)
    listed = ", ".join(f"{name} ({factor:.2g})" for factor, name in by_factor[:LISTED])
    return f"; largest factors: {listed}"


def check_fit(
    train: Sample,
    schema: Schema,
    model_recipe: AnyModelRecipe,
    recipe: DescentRecipe,
) -> None:
    """Raise what `fit` would raise of a recipe that does not suit the events, before any work."""
    objective = objective_for(schema, model_recipe, recipe)
    if (initial := initial_model(model_recipe)) is not None:
        begin_from(initial, objective, schema, model_recipe)
    recipe = decided_for(recipe, train, model_recipe, schema.task, False)
    resolve_batch_size(recipe.batch_size, events_of(train))


def _scaling(
    initial: TrainedModel | None, train: Sample, schema: Schema, recipe: DescentRecipe
) -> AnyScaling:
    """That of the model that the descent begins from, or one that is fitted now."""
    return initial.scaling if initial else scaling_of(recipe.scaling, train, schema.inputs)


def model_at(
    train: Sample,
    schema: Schema,
    model_recipe: AnyModelRecipe,
    recipe: DescentRecipe,
    state: State,
) -> TrainedModel:
    """The model with the best parameters and buffers of a descent, scaled as `fit` scales it."""
    recipe = decided_for(recipe, train, model_recipe, schema.task, False)
    scaling = _scaling(initial_model(model_recipe), train, schema, recipe)
    if state.relevance:
        assert isinstance(scaling, AsinhScaling)
        scaling = scaling.with_relevance(state.relevance)
    objective = objective_for(schema, model_recipe, recipe, train)
    return model_with(scaling, objective, schema, state.best.theta, state.best.buffers)


BASELINE_STEPS = 100
_BASELINE = DescentRecipe(
    method="newton", scaling="standard", epochs=BASELINE_STEPS, keep="last", dtype="float64"
)
"""To the minimum of J, whatever the features' scales and correlations."""


def fit_baseline(
    train: Sample,
    schema: Schema,
    callback: Callback,
    say: Callable[[str], None] = lambda _: None,
    scaling: AnyScaling | None = None,
    l2: float | None = None,
) -> Fitted:
    """Fit the linear baseline: linear, logistic or softmax regression, to its minimum.

    Where `l2` is None, λ is 0 for a regression and 1/n for classes of n events: a normal prior of
    unit width for each standardised coefficient, so that classes which a plane separates have a
    minimum. Linear regression is solved exactly where one process has all events in memory. All
    else is by Newton's method until J is within 1e-10 of its minimum. A standard `scaling` that was
    fitted on the same events is used again.
    """
    exact = schema.task == "regression" and not train.on_disk and current().size == 1
    if l2 is None:
        l2 = 0.0 if schema.task == "regression" else 1 / events_of(train)
    method = "exact" if exact else "newton"
    recipe = _BASELINE.model_copy(update={"method": method, "l2": l2})
    if scaling is not None and scaling.name != recipe.scaling:
        scaling = None
    given = train, None, schema, ModelRecipe(hidden=()), recipe, MemoryCheckpointer()
    fitted = fit(*given, callback=callback, scaling=scaling)
    state = fitted.outcome.state
    if state.reason is not None and state.reason.kind == "epochs":
        say(
            f"The linear baseline did not converge in {BASELINE_STEPS:,} steps: nearly separable "
            "classes."
        )
    return fitted


def predictions_of(model: TrainedModel, features: Inputs) -> AnyArray:
    """What the model and its heads predict, from encoded features, and where these lie."""
    return map_blocks(model.predict_beside, features)


def _say_target(objective: ModelObjective, say: Callable[[str], None]) -> None:
    loss = label_loss(objective.loss_function)
    if isinstance(loss, MeanSquaredError) and loss.scales:
        say(f"The label is learnt as (y − {loss.centre:.4g}) / {loss.width:.4g}.")
    for head in heads_of(objective.loss_function):
        unit = head.target
        say(
            f"The head {head.name} learns {head.value} as (y − {unit.centre:.4g}) / "
            f"{unit.width:.4g}, with the weight {head.weight:g}."
        )


def _say_scaling(scaling: AnyScaling, train: Sample, say: Callable[[str], None]) -> None:
    for outlier in scaling.outliers:
        where = ""
        if not isinstance(scaling, GroupScaling):
            where = f"in row {outlier.row} of the training part"
            where = where if train.rows is None else train.locate(outlier.row)
        say(outlier_note(outlier, scaling.name, where))
    if scaling.constant:
        say(f"Without spread in the training part: {', '.join(scaling.constant)}.")
    if scaling.dropped:
        say(f"Whitening set {scaling.dropped} directions without spread to zero.")
