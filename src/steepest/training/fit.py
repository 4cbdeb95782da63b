"""From arrays to a trained model: split → scale → objective → descent; and the linear baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.compiled.blas import one_blas_thread
from steepest.descent import (
    Callback,
    Checkpointer,
    LearningRate,
    MemoryCheckpointer,
    Outcome,
    Plan,
    State,
    choose_learning_rate,
    descend,
)
from steepest.descent.exact import LeastSquares, least_squares
from steepest.descent.newton import newton
from steepest.descent.plan import decided, resolve_batch_size
from steepest.descent.state import Best, StopReason
from steepest.errors import EventsError, RecipeError
from steepest.events import Sample
from steepest.groups import Inputs
from steepest.losses import MeanSquaredError, heads_of, label_loss
from steepest.models import has_intercept, kind_named
from steepest.objective import Batch, ModelObjective
from steepest.objective.stateful import memory_of, restore_memory
from steepest.optimizers import update_rule
from steepest.ranks import Share, current
from steepest.recipe import SGD, Adam, AnyModelRecipe, Constant, DescentRecipe, ModelRecipe
from steepest.scaling import AnyScaling, AsinhScaling, DiagonalScaling, GroupScaling
from steepest.storage import AnyArray, blocks, in_memory, map_blocks
from steepest.trained import TrainedModel
from steepest.training.data_notes import outlier_note
from steepest.training.fine_tune import begin_from, initial_model
from steepest.training.inputs import Schema, batch_of, objective_for, scaling_of
from steepest.training.penalty import TRIED, best_penalty, candidates, usual_penalty
from steepest.training.relevance import best_relevance

Array = np.ndarray


@dataclass(frozen=True)
class Fitted:
    """A trained model, and how it came about."""

    model: TrainedModel
    outcome: Outcome
    learning_rate: LearningRate
    plan: Plan
    recipe: DescentRecipe
    """With all that it left open decided."""
    exact: LeastSquares | None = None


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
    by_relevance = scaling is None and _may_weigh(model_recipe, recipe)
    if recipe.l2 is None and _is_network(model_recipe) and not _is_left_out(recipe):
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
            scaling = _exact_scaling(train, schema)
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
            _refuse_ranks()
            return _exact(events, scaling, objective, schema, recipe, checkpointer, say)
        if begun is not None:
            begun(model_with(scaling, objective, schema, objective.initial(recipe.seed)))

        def with_l2(l2: float) -> ModelObjective:
            fixed = recipe.model_copy(update={"l2": l2, "dtype": objective.dtype})
            return objective_for(schema, model_recipe, fixed, loss=objective.loss_function)

        # with negative weights the held-out loss may fall below that of any model
        if tried and current().any(_some_negative(events)):
            tried = ()
        together = {l2: with_l2(l2) for l2 in tried} if events_of(train) >= TRIED else {}
        share, validated = train.share(), validation is not None
        planned = _newton_plan if recipe.method == "newton" else plan_for
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
        some = events_of(train) >= TRIED and not current().any(_some_negative(events))
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
            monitor, metrics = _monitor(objective, with_l2(0.0), batch, validation, schema.task)
        seen: dict[str, Any] = {"monitor": monitor, "metrics": metrics, "callback": callback}
        if recipe.method == "newton":
            outcome, said = newton(objective, events, plan, checkpointer, state=state, **seen)
            say(said)
        else:
            seen |= {"state": state, "finish": finish}
            outcome = descend(objective, events, plan, checkpointer, **seen)
    model = model_with(scaling, objective, schema, outcome.theta, outcome.buffers)
    return Fitted(model, outcome, rate, plan, recipe)


def decided_for(
    recipe: DescentRecipe, train: Sample, model: AnyModelRecipe, task: str, validated: bool
) -> DescentRecipe:
    """The recipe with what it left to the sample and the model; `l2` is "auto" if it is tried."""
    network, l2 = _is_network(model), recipe.l2
    if l2 is None:
        l2 = "auto" if network and _is_left_out(recipe) else 0.0
    linear = isinstance(model, ModelRecipe) and not network
    recipe = decided(recipe, events_of(train), validated, linear=linear)
    if l2 == "auto" and recipe.method != "descent":
        l2 = usual_penalty(task, events_of(train))
    scaling = recipe.scaling
    if scaling == "auto":
        scaling = kind_named(model.name).scaling or ("asinh" if network else "standard")
    return recipe.model_copy(update={"l2": l2, "scaling": scaling})


def _is_network(model: AnyModelRecipe) -> bool:
    return isinstance(model, ModelRecipe) and bool(model.hidden)


def _is_left_out(recipe: DescentRecipe) -> bool:
    """Whether the descent is the default one, to which trial runs for λ belong."""
    return recipe.epochs == "auto" and recipe.optimizer == Adam()


def _may_weigh(model: AnyModelRecipe, recipe: DescentRecipe) -> bool:
    """Whether relevance is tried: of networks with an L2 term whose scaling is left open."""
    return (
        recipe.scaling == "auto"
        and recipe.method in ("auto", "descent")
        and (recipe.l2 is not None or _is_left_out(recipe))
        and _is_network(model)
        and isinstance(model, ModelRecipe)
        and model.start is None
    )


LISTED = 3
"""Features of the largest factors that the log names."""


def _largest_factors(relevance: tuple[float, ...], schema: Schema) -> str:
    if not relevance:
        return ""
    by_factor = sorted(zip(relevance, schema.names, strict=True), reverse=True)
    listed = ", ".join(f"{name} ({factor:.2g})" for factor, name in by_factor[:LISTED])
    return f"; largest factors: {listed}"


def events_of(sample: Sample) -> int:
    """How many events there are; of many ranks, on all of them."""
    return round(current().total(len(sample)))


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


def plan_for(
    objective: ModelObjective,
    events: Batch,
    share: Share,
    recipe: DescentRecipe,
    validated: bool,
    judge: ModelObjective | None = None,
    penalized: Mapping[float, ModelObjective] | None = None,
    rate_from: str = "as given",
) -> tuple[Plan, LearningRate]:
    """Choose η, as `judge` says, every other number of the descent, and λ if several are given."""
    _refuse_unbounded(objective, events)
    recipe = decided(recipe, share.events, validated)
    assert isinstance(recipe.epochs, int)
    options = recipe.clip_gradient, recipe.ema
    rule = update_rule(recipe.optimizer, objective.weight_mask, *options)
    size = resolve_batch_size(recipe.batch_size, share.events)
    if recipe.learning_rate == "auto":
        momentum = getattr(recipe.optimizer, "momentum", 0.0)
        steps = recipe.epochs * -(-share.events // size)
        rate = choose_learning_rate(
            objective,
            events,
            rule,
            size,
            recipe.seed,
            momentum,
            steps,
            recipe.schedule,
            share,
            judge,
            penalized,
        )
    else:
        rate = LearningRate(recipe.learning_rate, f"η = {recipe.learning_rate:g}, {rate_from}")
    return _shared(Plan.of(recipe, rule, rate.value, share.events, validated), share), rate


def _shared(plan: Plan, share: Share) -> Plan:
    """Return the plan of one of many ranks, if there are many."""
    ranks = current()
    return plan if ranks.size == 1 else replace(plan, share=share, ranks=ranks.size)


def _newton_plan(
    objective: ModelObjective,
    events: Batch,
    share: Share,
    recipe: DescentRecipe,
    validated: bool,
    *_: Any,
) -> tuple[Plan, LearningRate]:
    """All events a step, and the last parameters kept if the recipe does not say otherwise."""
    keep = recipe.keep or "last"
    rule = update_rule(SGD(), objective.weight_mask)
    recipe = recipe.model_copy(update={"batch_size": "all", "keep": keep, "schedule": Constant()})
    rate = LearningRate(1.0, "η = 1 in the metric of the curvature, halved where J would rise")
    return Plan.of(recipe, rule, rate.value, share.events, validated), rate


def _some_negative(events: Batch) -> bool:
    weights = events.weights
    return weights is not None and any(block.min() < 0 for (block,) in blocks(weights))


def _refuse_unbounded(objective: ModelObjective, events: Batch) -> None:
    """A squared loss with negative weights may fall without end: its curvature says so."""
    if not current().any(_some_negative(events)):
        return
    curvature = objective.curvature_bounds(events)
    if curvature is not None and curvature.exact and curvature.lowest < -1e-9 * curvature.largest:
        raise EventsError(
            "With these weights the mean squared error has no minimum: it falls without end.",
            expected="a curvature that is nowhere negative",
            found=f"a lowest eigenvalue of the Hessian of {curvature.lowest:.3g}",
            cause="negative weights that outweigh the positive ones in some direction",
            do="use more events, or features along which positive weights prevail",
        )


def _monitor(
    objective: ModelObjective, plain: ModelObjective, batch: Batch, events: Sample, task: str
) -> tuple[Callable[[Array], Mapping[str, float]], tuple[str, ...]]:
    """The validation: the loss without the L2 term (`plain`), and the task's figure of merit.

    Both are those of the report, with its weights. Of many ranks, the main one's answer counts.
    """
    name, measure = _SECOND[task]
    labels, ranks = _of_all(events.labels), current()
    # accuracy takes scores as probabilities, which they are by the weights of the descent
    weights = _of_all(events.descent_weights if task == "multiclass" else events.weights)
    measured = task != "binary" or _both(labels)
    parts = tuple(f"validation_loss_{part}" for part in getattr(plain, "loss_parts", ()))
    at_once = getattr(plain, "losses_and_predictions", None)
    if batch.on_disk and not parts:
        at_once = None

    def monitor(theta: Array) -> dict[str, float]:
        restore_memory(plain, memory_of(objective))
        if at_once is not None:
            losses, predicted = at_once(theta, batch)
        else:
            losses, predicted = [plain.loss(theta, batch)], _predicted(objective, theta, batch)
        means = [ranks.mean(float(loss), len(batch)) for loss in losses]
        values = dict(zip(("validation_loss", *parts), means, strict=True))
        predictions = _of_all(predicted)
        if not (ranks.is_main and measured):
            return values
        if all(np.isfinite(block).all() for (block,) in blocks(predictions)):
            values[name] = measure(labels, predictions, weights).value
        return values

    return monitor, ("validation_loss", *parts, name)


_SECOND: dict[str, tuple[str, Callable[..., evaluate.Merit]]] = {
    "binary": ("validation_auc", evaluate.auc),
    "multiclass": ("validation_accuracy", evaluate.accuracy),
    "regression": ("validation_r_squared", evaluate.r_squared),
}


def _of_all(column: AnyArray | None) -> Any:
    """A column with the events of all ranks, in memory, on the main one; of one rank as it is."""
    ranks = current()
    if ranks.size == 1 or column is None:
        return column
    every = ranks.to_main(in_memory(column))
    return np.concatenate(every) if ranks.is_main else column


def _predicted(objective: ModelObjective, theta: Array, batch: Batch) -> AnyArray:
    """What θ predicts of each event; on disk where the events are."""
    if not batch.on_disk:
        return objective.predict(theta, batch)
    none = np.empty(0)
    return map_blocks(lambda rows: objective.predict(theta, Batch(rows, none)), batch.inputs)


def _both(labels: AnyArray) -> bool:
    ends = [(block.min(), block.max()) for (block,) in blocks(labels)]
    return bool(min(low for low, _ in ends) < max(high for _, high in ends))


def _exact(
    events: Batch,
    scaling: AnyScaling,
    objective: ModelObjective,
    schema: Schema,
    recipe: DescentRecipe,
    checkpointer: Checkpointer,
    say: Callable[[str], None],
) -> Fitted:
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


def model_with(
    scaling: AnyScaling,
    objective: ModelObjective,
    schema: Schema,
    theta: Array,
    buffers: Mapping[str, Array] | None = None,
) -> TrainedModel:
    """The model of an objective, with what gives its numbers their meaning."""
    return TrainedModel(
        scaling=scaling,
        model=objective.model,
        loss=objective.loss_function,
        theta=theta,
        classes=schema.classes,
        label=schema.label,
        features=schema.features,
        particles=schema.particles,
        momenta=schema.momenta,
        explode=schema.explode,
        units=schema.units,
        encoding=schema.encoding,
        buffers=buffers or {},
    )


FAR = 1e3
"""Means of so many standard deviations cost a prediction from unscaled features its digits."""


def _exact_scaling(train: Sample, schema: Schema) -> AnyScaling:
    """None, which costs the coefficients no digits; standard where means are far from zero."""
    standard = scaling_of("standard", train, schema.inputs)
    assert isinstance(standard, DiagonalScaling)  # linear models take no groups
    far = (np.abs(standard.shift) > FAR * standard.width).any()
    return standard if far else scaling_of("none", train, schema.inputs)


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
