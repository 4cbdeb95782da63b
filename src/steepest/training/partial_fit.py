"""A fit over samples that are given one after the other, all of them one descent.

Use it where the events come piece by piece, or where the caller is the loop. `PartialFit.start`
decides, on the first sample, what must not change on the way: the scaling, η, and the length of the
schedule. `PartialFit.epoch` then takes every event of a sample once, in mini-batches, and returns
where the next call continues: θ, the optimizer's state, the number of steps.

Epochs over one and the same sample are the epochs of `fit`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from steepest.compiled.blas import one_blas_thread
from steepest.descent import Callback, Checkpointer, LearningRate, Plan, State, descend
from steepest.descent.learning_rate import from_curvature
from steepest.descent.loop import EXPLODED, loss_of_a_constant
from steepest.descent.plan import decided
from steepest.descent.state import Best
from steepest.events import Sample
from steepest.losses import Loss
from steepest.objective import Batch, ModelObjective
from steepest.optimizers import update_rule
from steepest.ranks import Share
from steepest.recipe import Recipe
from steepest.scaling import AnyScaling
from steepest.trained import TrainedModel
from steepest.training.fitting.fitted import Array, Fitted, model_with
from steepest.training.fitting.penalty import usual_penalty
from steepest.training.fitting.plan import decided_for, plan_for
from steepest.training.inputs import Schema, batch_of, objective_for, scaling_of

SETTLED = 1000
"""Events from which on η stays as it was chosen."""


@dataclass(frozen=True)
class PartialFit:
    """A descent that has begun, and can continue over other events.

    Parameters
    ----------
    schema, recipe
        What is trained, and how.
    scaling, loss, l2, learning_rate
        Fitted and chosen on the first sample.
    schedule_length
        Steps in all, and steps an epoch, of a fit of all epochs on the first sample.
    chosen_on
        Number of events that η was chosen on, and their largest curvature where J has a bound.
    state, epochs
        Where the descent is (None: at its start), after so many epochs.
    """

    schema: Schema
    recipe: Recipe
    scaling: AnyScaling
    loss: Loss
    l2: float
    learning_rate: LearningRate
    schedule_length: tuple[int, int]
    chosen_on: tuple[int, float | None]
    state: State | None = None
    epochs: int = 0

    @classmethod
    def start(
        cls, train: Sample, schema: Schema, recipe: Recipe, model: TrainedModel | None = None
    ) -> PartialFit:
        """Fit the scaling and choose η and the schedule's length, on the first sample.

        With a `model` its scaling is taken, and the descent begins at its parameters.

        Raises
        ------
        EventsError, RecipeError
        """
        with one_blas_thread():
            descent = decided_for(recipe.descent, train, recipe.model, schema.task, False)
            if descent.l2 == "auto":
                descent = descent.model_copy(update={"l2": usual_penalty(schema.task, len(train))})
            assert isinstance(descent.l2, float)
            scaling = model.scaling if model else scaling_of(descent.scaling, train, schema.inputs)
            objective = objective_for(schema, recipe.model, descent, train)
            events = batch_of(train, scaling, objective, "training")
            plan, rate = plan_for(
                objective, events, Share.whole(len(events)), recipe.descent, validated=False
            )
            state = _state_of(model, objective, events, plan) if model else None
            chosen_on = len(events), _largest(objective, events)
        length = plan.total_steps, plan.batches.per_epoch
        return cls(
            schema,
            recipe,
            scaling,
            objective.loss_function,
            descent.l2,
            rate,
            length,
            chosen_on,
            state,
        )

    @classmethod
    def after_fit(cls, fitted: Fitted, schema: Schema, recipe: Recipe) -> PartialFit:
        """Continue the descent of a `fit` from its last state, not its best."""
        state, per_epoch = fitted.outcome.state, fitted.plan.batches.per_epoch
        length = fitted.plan.total_steps, per_epoch
        model, rate, epochs = fitted.model, fitted.learning_rate, state.step // per_epoch
        l2 = fitted.recipe.l2
        assert isinstance(l2, float)
        chosen_on = fitted.plan.events, None  # as many as there were, whatever comes
        return cls(
            schema, recipe, model.scaling, model.loss, l2, rate, length, chosen_on, state, epochs
        )

    def epoch(
        self, train: Sample, checkpointer: Checkpointer, callback: Callback | None = None
    ) -> PartialFit:
        """Take each event once, in mini-batches; return where the next epoch continues.

        The order of the events is that of epoch number `epochs` of the recipe's seed. Fewer events
        than a batch are one smaller batch, as the rest at the end of an epoch is. Stopping criteria
        do not act.

        Raises
        ------
        EventsError, DivergenceError
        """
        recipe = self.recipe.descent
        objective = self._objective()
        with one_blas_thread():
            events = batch_of(train, self.scaling, objective, "training")
        size = decided(recipe, len(events), validated=False).batch_size
        size = min(size, len(events)) if isinstance(size, int) else len(events)
        chosen = self._chosen_for(objective, events, size)
        plan = Plan(
            events=len(events),
            batch_size=size,
            rule=update_rule(recipe.optimizer, objective.weight_mask),
            learning_rate=chosen.learning_rate.value,
            schedule_options=recipe.schedule,
            epochs=1,
            seed=recipe.seed,
            record_every=recipe.history.every,
            first_step=self.state.step if self.state else 0,
            first_epoch=self.epochs,
            schedule_length=self.schedule_length,
        )
        state = self.state
        if state is not None:  # also after an epoch that diverged
            state = state.with_changes(reason=None, round_step=state.step, loss_sum=0.0)
        with one_blas_thread():
            outcome = descend(objective, events, plan, checkpointer, state=state, callback=callback)
        return chosen.after(outcome.state)

    def _chosen_for(self, objective: ModelObjective, events: Batch, size: int) -> PartialFit:
        """With the η that the bounds of the curvature give for other events than the first few.

        η of "auto" is chosen on the first sample. Of fewer than `SETTLED` events that says little:
        where others come, the bounds of the larger sample count, and of two the smaller η.
        """
        many, largest = self.chosen_on
        if self.recipe.descent.learning_rate != "auto" or many >= SETTLED or largest is None:
            return self
        bounds = objective.curvature_bounds(events)
        if bounds is None or bounds.largest == largest:
            return self
        momentum = getattr(self.recipe.descent.optimizer, "momentum", 0.0)
        rate = from_curvature(bounds, len(events), size, momentum)
        if len(events) < many and rate.value > self.learning_rate.value:
            return self
        chosen_on = max(many, len(events)), bounds.largest
        return replace(self, learning_rate=rate, chosen_on=chosen_on)

    def after(self, state: State) -> PartialFit:
        """What an epoch that ended in that state leaves."""
        return replace(self, state=state, epochs=self.epochs + 1)

    def model_at(self, theta: Array, buffers: Mapping[str, Array]) -> TrainedModel:
        """The model with given parameters θ and buffers."""
        return model_with(self.scaling, self._objective(), self.schema, theta, buffers)

    def _objective(self) -> ModelObjective:
        descent = self.recipe.descent.model_copy(update={"l2": self.l2})
        return objective_for(self.schema, self.recipe.model, descent, loss=self.loss)


def _largest(objective: ModelObjective, events: Batch) -> float | None:
    """The bound on the curvature; None where J has none, or η comes from trial runs."""
    bounds = objective.curvature_bounds(events) if len(events) < SETTLED else None
    return None if bounds is None else bounds.largest


def _state_of(model: TrainedModel, objective: ModelObjective, events: Batch, plan: Plan) -> State:
    """A descent that begins at the parameters of a linear model."""
    theta = model.theta.astype(objective.dtype)
    loss = objective.loss(theta, events)
    limit = EXPLODED * max(abs(loss), loss_of_a_constant(events), 1e-300)
    return State(theta, plan.rule.initial_state(theta), 0, Best(theta, loss, 0), limit)
