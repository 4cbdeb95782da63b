"""Whether a network is better than a linear model, by training events that are held out of both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.descent import Callback
from steepest.descent.trials import Trials
from steepest.errors import EventsError
from steepest.evaluate.intervals import weighted_mean
from steepest.events import Sample
from steepest.recipe import ModelRecipe
from steepest.trained import TrainedModel
from steepest.training.fit import fit_baseline
from steepest.training.fitting.fitted import Fitted
from steepest.training.fitting.penalty import TRIED
from steepest.training.inputs import Schema, batch_of, objective_for

PENALTIES = (1.0, 10.0)
"""λ of the linear models, over 1/n: that of a unit normal prior of standardised coefficients, and
one for features that are many or noisy."""
SURE = 2.0
"""A difference of so many uncertainties is no accident: 98 % on one side."""
CLEAR = 3.0
"""A difference of so many uncertainties needs no further trial run."""

Array = np.ndarray


@dataclass(frozen=True)
class AgainstLinear:
    """Mean losses of held-out events, and their paired difference with its uncertainty.

    Attributes
    ----------
    network, linear
        Of the network, and of the better of the linear models.
    difference, uncertainty
        Network less linear; half of the interval of 68.27 % of a mean over the events.
    events
        How many events were held out.
    """

    network: float
    linear: float
    difference: float
    uncertainty: float
    events: int

    @property
    def is_better(self) -> bool:
        """Whether the network's loss is surely lower."""
        return self.difference < -SURE * self.uncertainty

    @property
    def is_worse(self) -> bool:
        """Whether the network's loss is surely higher."""
        return self.difference > SURE * self.uncertainty


def compare_with_linear(
    fitted: Fitted, train: Sample, schema: Schema, model: ModelRecipe
) -> AgainstLinear | None:
    """Repeat the descent with a part of the events, and judge it by the others; None if it cannot.

    A trial run leaves every third event out, every fifth of 2,000 events or more, and so do linear
    models with the λ of `PENALTIES`. If the difference is not clear, others are left out in turn,
    of fewer than 1,000 events until each was once.
    """
    network, recipe = fitted.model, fitted.recipe
    objective = objective_for(schema, model, recipe, loss=network.loss)
    events, plan = batch_of(train, network.scaling, objective, "training"), fitted.plan
    trials = Trials(
        objective, events, train.share(), plan.rule, plan.batch_size, plan.seed, plan.total_steps,
        plan.schedule_options,
    )  # fmt: skip
    few = len(train) < TRIED
    steps, turns = (trials.steps, trials.turns) if few else (trials.long, 1)
    found, result = list[tuple[Array, ...]](), None
    for turn in range(turns):
        kept, held_out = trials.rows(turn)
        if len(kept) == len(train):  # too few to hold any out
            return None
        with one_blas_thread(), np.errstate(all="ignore"):
            given = events.take(kept), [events.take(held_out)]
            losses, theta = trials.descent(plan.learning_rate, steps, *given)
        if not np.isfinite(losses[-1][0]):
            return None
        part, judged = rows_of(train, kept), rows_of(train, held_out)
        try:
            linear = [
                fit_baseline(part, schema, Callback(), l2=times / len(part)).model
                for times in PENALTIES
            ]
        except EventsError:  # some negative weights leave a linear model without a minimum
            return None
        weights = np.ones(len(judged)) if judged.weights is None else judged.weights
        models = [replace(network, theta=theta), *linear]
        found.append((weights, *(losses_of(each, judged) for each in models)))
        result = _compared(found)
        if result is None or abs(result.difference) > CLEAR * result.uncertainty:
            break
    return result


def _compared(found: list[tuple[Array, ...]]) -> AgainstLinear | None:
    weights, network, *linear = (np.concatenate(each) for each in zip(*found, strict=True))
    if not weights.sum() > 0:
        return None
    means = [float(np.average(losses, weights=weights)) for losses in linear]
    best = int(np.argmin(means))
    mean = weighted_mean(network - linear[best], weights)
    half = mean.spread.half_width()
    loss = float(np.average(network, weights=weights))
    return AgainstLinear(loss, means[best], mean.value, half, len(weights))


def losses_of(model: TrainedModel, events: Sample) -> Array:
    """Return the loss of each event, of a regression in the target's own units."""
    if model.task == "regression":
        return (model.predict(events.features) - events.labels) ** 2
    return model.loss.value(model.logits(events.features), events.labels)


def rows_of(events: Sample, rows: Array) -> Sample:
    """Return those events alone."""
    weights = None if events.weights is None else events.weights[rows]
    return Sample(events.features[rows], events.labels[rows], weights)
