"""What a recipe leaves open, decided: epochs, scaling, λ and η, and the plan of the descent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steepest.descent import LearningRate, Plan, choose_learning_rate
from steepest.descent.plan import decided, resolve_batch_size
from steepest.errors import EventsError
from steepest.events import Sample
from steepest.models import kind_named
from steepest.objective import Batch, ModelObjective
from steepest.optimizers import update_rule
from steepest.ranks import Share, current
from steepest.recipe import SGD, Adam, AnyModelRecipe, Constant, DescentRecipe, ModelRecipe
from steepest.training.fitting.penalty import usual_penalty


def decided_for(
    recipe: DescentRecipe, train: Sample, model: AnyModelRecipe, task: str, validated: bool
) -> DescentRecipe:
    """The recipe with what it left to the sample and the model; `l2` is "auto" if it is tried."""
    network, l2 = is_network(model), recipe.l2
    if l2 is None:
        l2 = "auto" if network and is_left_out(recipe) else 0.0
    linear = isinstance(model, ModelRecipe) and not network
    recipe = decided(recipe, events_of(train), validated, linear=linear)
    if l2 == "auto" and recipe.method != "descent":
        l2 = usual_penalty(task, events_of(train))
    scaling = recipe.scaling
    if scaling == "auto":
        scaling = kind_named(model.name).scaling or ("asinh" if network else "standard")
    return recipe.model_copy(update={"l2": l2, "scaling": scaling})


def is_network(model: AnyModelRecipe) -> bool:
    """Whether it is a dense network with hidden layers."""
    return isinstance(model, ModelRecipe) and bool(model.hidden)


def is_left_out(recipe: DescentRecipe) -> bool:
    """Whether the descent is the default one, to which trial runs for λ belong."""
    return recipe.epochs == "auto" and recipe.optimizer == Adam()


def may_weigh(model: AnyModelRecipe, recipe: DescentRecipe) -> bool:
    """Whether relevance is tried: of networks with an L2 term whose scaling is left open."""
    return (
        recipe.scaling == "auto"
        and recipe.method in ("auto", "descent")
        and (recipe.l2 is not None or is_left_out(recipe))
        and is_network(model)
        and isinstance(model, ModelRecipe)
        and model.start is None
    )


def events_of(sample: Sample) -> int:
    """How many events there are; of many ranks, on all of them."""
    return round(current().total(len(sample)))


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


def newton_plan(
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


def _refuse_unbounded(objective: ModelObjective, events: Batch) -> None:
    """A squared loss with negative weights may fall without end: its curvature says so."""
    if not current().any(events.some_negative):
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
