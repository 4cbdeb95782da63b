"""A descent in passes: each over the events given then, all of them one descent.

Use it where the events come piece by piece, or where the caller is the loop. `begin` decides, on
the first piece, what must not change on the way: the scaling, η, and how many steps the schedule
reckons with. `one_pass` then takes every event of a piece once, in mini-batches, and leaves where
the next pass goes on: θ, the optimiser's memory, the number of steps.

Passes over one and the same sample are the epochs of `fit`, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from threadpoolctl import threadpool_limits

from steepest.descent import Callback, Checkpointer, LearningRate, Plan, State, descend
from steepest.optimizers import update_rule
from steepest.recipe import Recipe
from steepest.scaling import Scaling
from steepest.trained import TrainedModel
from steepest.training.fit import THREADS, Array, Fitted, model_with, plan_for
from steepest.training.inputs import Events, Schema, batch_of, objective_for, scaling_of

__all__ = ["Begun", "begin", "one_pass"]


@dataclass(frozen=True)
class Begun:
    """A descent that has begun, and can go on over other events.

    Parameters
    ----------
    schema, recipe
        What is trained, and how.
    scaling, learning_rate
        Fitted and chosen on the first events.
    schedule_length
        Steps in all, and steps an epoch, of a fit of all epochs on the first events.
    state, passes
        Where the descent stands (None: at its start), after so many passes.
    """

    schema: Schema
    recipe: Recipe
    scaling: Scaling
    learning_rate: LearningRate
    schedule_length: tuple[int, int]
    state: State | None = None
    passes: int = 0

    @classmethod
    def by(cls, fitted: Fitted, schema: Schema, recipe: Recipe) -> Begun:
        """The descent that `fit` has ended, to go on with: from its last state, not its best."""
        state, per_epoch = fitted.outcome.state, fitted.plan.batches.per_epoch
        length = (fitted.plan.total_steps, per_epoch)
        scaling, rate = fitted.model.scaling, fitted.learning_rate
        return cls(schema, recipe, scaling, rate, length, state, state.step // per_epoch)

    def after(self, state: State) -> Begun:
        """What a pass that ended in that state leaves."""
        return replace(self, state=state, passes=self.passes + 1)

    def model_at(self, theta: Array) -> TrainedModel:
        """The model with given parameters θ."""
        objective = objective_for(self.schema, self.recipe.model, self.recipe.descent)
        return model_with(self.scaling, objective, self.schema, theta)


def begin(train: Events, schema: Schema, recipe: Recipe) -> Begun:
    """Fit the scaling and choose η and the schedule's length, on the first events of all.

    Raises
    ------
    EventsError, RecipeError
    """
    with threadpool_limits(limits=THREADS, user_api="blas"):
        scaling = scaling_of(recipe.descent.scaling, train, schema.names)
        objective = objective_for(schema, recipe.model, recipe.descent)
        events = batch_of(train, scaling, objective, "training")
        plan, rate = plan_for(objective, events, recipe.descent, validated=False)
    return Begun(schema, recipe, scaling, rate, (plan.total_steps, plan.batches.per_epoch))


def one_pass(
    begun: Begun, train: Events, checkpointer: Checkpointer, callback: Callback | None = None
) -> Begun:
    """Take each event once, in mini-batches; return where the next pass goes on.

    The order of the events is that of epoch number `begun.passes` of the recipe's seed. Fewer
    events than a batch are one smaller batch, as the rest at the end of an epoch is. Stopping
    criteria do not act.

    Raises
    ------
    EventsError, DivergenceError
    """
    recipe = begun.recipe.descent
    objective = objective_for(begun.schema, begun.recipe.model, recipe)
    with threadpool_limits(limits=THREADS, user_api="blas"):
        events = batch_of(train, begun.scaling, objective, "training")
    size = len(events) if recipe.batch_size == "all" else min(recipe.batch_size, len(events))
    plan = Plan(
        events=len(events),
        batch_size=size,
        rule=update_rule(recipe.optimizer, objective.weight_mask),
        learning_rate=begun.learning_rate.value,
        schedule_options=recipe.schedule,
        epochs=1,
        seed=recipe.seed,
        record_every=recipe.history.every,
        first_step=begun.state.step if begun.state else 0,
        first_epoch=begun.passes,
        schedule_length=begun.schedule_length,
    )
    state = begun.state
    if state is not None:  # also after a pass that broke off
        state = state.with_changes(reason=None, round_step=state.step, loss_sum=0.0)
    with threadpool_limits(limits=THREADS, user_api="blas"):
        outcome = descend(objective, events, plan, checkpointer, state=state, callback=callback)
    return begun.after(outcome.state)
