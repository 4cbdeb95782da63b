"""A fix, tried: the same descent with a change of the recipe and without it, from the same seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from steepest.descent import MemoryCheckpointer
from steepest.errors import DivergenceError, Interrupted, SteepestError
from steepest.events import TRAIN, VALIDATION, Sample
from steepest.explain.findings import Trial
from steepest.explain.layers import constant_loss
from steepest.explain.record import Record, mean_loss, per_event_losses
from steepest.recipe import Recipe
from steepest.scaling import AnyScaling, AsinhScaling
from steepest.trained import TrainedModel
from steepest.training import TrainingCallback, fit

Array = np.ndarray

MOST_STEPS = 6_000
"""Steps of a trial, in whole epochs."""
SECONDS = 60.0
"""Of a trial; a longer one ends early, and the one without the change too."""


@dataclass(frozen=True)
class _Result:
    """A descent's end: losses of the judged events, None after divergence, and of the training."""

    judged: Array | None
    training: float
    steps: int
    rate: float
    other: bool = False


class Trials:
    """Descents with and without changes, on the run's own training events (20,000 at most).

    Parameters
    ----------
    record
        The run.
    callback
        Told of each trial; Ctrl-C ends the one that goes on, and no further one begins.
    """

    def __init__(self, record: Record, callback: TrainingCallback) -> None:
        self.record, self.callback = record, callback
        self.part, self.sample, self.batch = record.judged
        self.constant = constant_loss(record, self.batch)
        self._before: _Result | None = None

    def __call__(self, change: Mapping[str, Any]) -> Trial | None:
        """Try a change of the recipe; None where the recipe or the events refuse it."""
        own = self._own()
        try:
            tried = self._descend(change)
        except Interrupted:
            raise
        except SteepestError:
            return None
        before, after = own.judged, tried.judged
        if tried.other:  # another loss: squared errors of the predictions are compared
            before = self._squared_errors(self.record.model)
        weights = _weights(self.sample)
        means = [math.inf if v is None else float(np.mean(weights * v)) for v in (before, after)]
        error = 0.0  # on the events that are descended on, losses are what they are
        if self.part != "training" and before is not None and after is not None:
            spread = np.std(weights * (before - after), ddof=1) if len(before) > 1 else math.nan
            error = float(spread) / math.sqrt(len(before))
        return Trial(
            part=self.part,
            events=len(self.sample),
            before=means[0],
            after=means[1],
            error=error,
            scale=max(self.constant - min(means), 0.0) if math.isfinite(min(means)) else 0.0,
            steps=max(own.steps, tried.steps),
            rate=tried.rate,
            training=None if tried.other else (own.training, tried.training),
        )

    def _own(self) -> _Result:
        """The run's own recipe in the budget of a trial."""
        if self._before is None:
            record = self.record
            whole = record.events == len(record.parts[TRAIN]) and record.taken <= MOST_STEPS
            if record.status == "diverged" and whole:
                self._before = _Result(None, math.inf, record.taken, record.rate)
            elif record.status == "complete" and whole:
                self._before = self._result(record.model, record.taken, record.rate)
            else:
                self.callback.stage("Descending as the run did")
                self._before = self._descend({})
        return self._before

    def _descend(self, change: Mapping[str, Any]) -> _Result:
        record = self.record
        recipe = _changed(record, change)
        train = record.parts[TRAIN]
        if change.get("events.train_weights") == "1":
            train = replace(train, train_weights=np.ones(len(train)))
        other = recipe.descent.loss != record.descent.loss and "descent.loss" in change
        recipe, scaling = self._as_weighted(recipe)
        try:
            fitted = fit(
                train,
                record.parts.get(VALIDATION),
                record.schema,
                recipe.model,
                recipe.descent,
                MemoryCheckpointer(),
                callback=self.callback,
                scaling=scaling,
            )
        except DivergenceError:
            rate = recipe.descent.learning_rate
            rate = math.nan if rate == "auto" else float(rate)
            return _Result(None, math.inf, MOST_STEPS, rate, other)
        return self._result(
            fitted.model, fitted.outcome.state.step, fitted.learning_rate.value, other
        )

    def _as_weighted(self, recipe: Recipe) -> tuple[Recipe, AnyScaling | None]:
        """The run's relevance, which is no part of the recipe; with another λ it is tried anew.

        So the trial is the run that the recipe with the change gives.
        """
        scaling = self.record.model.scaling
        weighs = isinstance(scaling, AsinhScaling) and scaling.relevance is not None
        if not (weighs and recipe.descent.scaling == scaling.name):
            return recipe, None
        if recipe.descent.l2 != self.record.descent.l2:
            return recipe.with_settings(["descent.scaling=auto"]), None
        return recipe, scaling

    def _result(self, model: TrainedModel, steps: int, rate: float, other: bool = False) -> _Result:
        if other:
            return _Result(self._squared_errors(model), math.nan, steps, rate, other)
        judged = per_event_losses(model, self.sample)[0]
        training = mean_loss(model, self.record.parts[TRAIN])
        return _Result(judged, training, steps, rate)

    def _squared_errors(self, model: TrainedModel) -> Array:
        predictions = model.predict_encoded(self.sample.features)
        return (predictions - np.asarray(self.sample.labels, dtype=np.float64)) ** 2


def _weights(sample: Sample) -> Array:
    given = sample.descent_weights
    return np.ones(len(sample)) if given is None else np.asarray(given) / np.mean(given)


def _changed(record: Record, change: Mapping[str, Any]) -> Recipe:
    """The run's recipe with all decided, in the budget of a trial, and then the change."""
    descent = record.descent
    per_epoch = -(-len(record.parts[TRAIN]) // _size(record))
    epochs = descent.epochs
    assert isinstance(epochs, int)
    stop = descent.stop.model_copy(update={"seconds": SECONDS})
    descent = descent.model_copy(
        update={
            "epochs": max(1, min(epochs, MOST_STEPS // per_epoch)),
            "stop": stop,
            "batch_size": "all" if record.takes_all else _size(record),
        }
    )
    recipe = record.recipe.model_copy(update={"descent": descent})
    longer = change.get("descent.epochs")
    if longer is not None:  # so many times as many
        change = {**change, "descent.epochs": max(2, round(descent.epochs * longer / epochs))}
    return recipe.with_settings(settings_of(change))


def settings_of(change: Mapping[str, Any]) -> list[str]:
    """A change as ``--set`` takes it."""
    return [f"{name}={_toml(value)}" for name, value in change.items()]


def _size(record: Record) -> int:
    size = record.descent.batch_size
    return min(len(record.parts[TRAIN]), record.events if isinstance(size, str) else size)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
