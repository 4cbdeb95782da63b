"""Events with the predictions of a model, of the models of a run, or of several that are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.errors import EventsError
from steepest.evaluate import Roc
from steepest.evaluate.columns import joined
from steepest.events import (
    EVENT_ROW,
    Sample,
)
from steepest.folder import RunFolder
from steepest.storage import AnyArray, compressed, derived
from steepest.trained import TrainedModel
from steepest.training.fit import predictions_of
from steepest.training.inputs import encoded
from steepest.training.weights import balanced


@dataclass(frozen=True)
class Scored:
    """Events, and what a model predicts for them, computed when it is first asked for.

    Events that several models have scored, each its own, come with what is `known`: `beside`.
    """

    model: TrainedModel
    events: Sample
    known: AnyArray | None = None

    @cached_property
    def beside(self) -> AnyArray:
        """As `TrainedModel.predict_beside` returns it: the predictions, and those of heads."""
        if self.known is not None:
            return self.known
        return predictions_of(self.model, self.events.features)

    @property
    def predictions(self) -> AnyArray:
        """As `TrainedModel.predict` returns them; they lie where the features do."""
        return self.beside if not self.model.heads else self._columns[0]

    @property
    def of_heads(self) -> list[AnyArray]:
        """What each auxiliary head predicts, ``(events,)``."""
        return self._columns[1] if self.model.heads else []

    @cached_property
    def _columns(self) -> tuple[AnyArray, list[AnyArray]]:
        count = self.beside.shape[1] - len(self.model.heads)
        one = self.model.task != "multiclass"
        predictions = derived(lambda rows: rows[:, 0] if one else rows[:, :count], self.beside)
        columns = range(count, self.beside.shape[1])
        return predictions, [derived(lambda rows, i=i: rows[:, i], self.beside) for i in columns]

    @property
    def columns(self) -> tuple[Any, Any, Any]:
        """Labels, predictions, weights."""
        return self.events.labels, self.predictions, self.events.weights

    @property
    def weights(self) -> AnyArray:
        """The weights of the events; ones where they have none."""
        given = self.events.weights
        return derived(lambda y: np.ones(len(y)), self.events.labels) if given is None else given

    @property
    def descent_columns(self) -> tuple[Any, Any, Any]:
        """Labels, predictions, and weights of the descent, by which probabilities are meant."""
        return self.events.labels, self.predictions, self.events.descent_weights

    @property
    def event(self) -> AnyArray | None:
        """The event of each row, where events have several; None where each row is one."""
        return self.events.extra.get(EVENT_ROW)

    def where(self, kept: np.ndarray) -> Scored:
        """Return the events for which a mask is true, without their features."""
        events = without_features(self.events).where(kept)
        return Scored(self.model, events, compressed(self.beside, kept))

    @cached_property
    def roc(self) -> Roc:
        """The ROC curve, for two classes."""
        return evaluate.roc_curve(*self.columns)


@dataclass(frozen=True)
class RunModels:
    """The model of a run, or those of its folds in order, and how its descent weighed events.

    Attributes
    ----------
    models
        One, or one for each fold that is trained.
    factors
        For each model the factors on the weights of the classes; None if there are none.
    train_weights
        As in the recipe.
    folded
        Whether each model scores the events of its fold.
    """

    models: tuple[TrainedModel, ...]
    factors: tuple[Mapping[str, float] | None, ...]
    train_weights: str | None = None
    folded: bool = False

    @classmethod
    def of(cls, folder: RunFolder) -> RunModels:
        """Return the models of a run's folder."""
        events = folder.recipe.events
        folded = events.split.cross_validated
        runs = folder.trained_folds if folded else [folder]
        factors = tuple((run.metrics or {}).get("class_factors") for run in runs)
        return cls(tuple(run.model for run in runs), factors, events.train_weights, folded)

    def scored(self, sample: Sample, part: int) -> Scored:
        """Score a part of events as read; of several models, each scores its own fold's part."""
        if not self.folded:
            return self._scored(0, sample.of(part))
        pool = Pool()
        for fold in range(len(self.models)):
            inside = sample.of_fold(fold)
            if (inside.part == part).any():
                pool.add(self._scored(fold, inside.of(part)))
        return pool.scored()

    def _scored(self, fold: int, events: Sample) -> Scored:
        if not len(events):
            raise EventsError(
                "There are no events to score.",
                expected="events in the evaluated part",
                found="all events are in other parts of the split",
            )
        model, factors = self.models[fold], self.factors[fold]
        weights = events.extra.get(self.train_weights or "")
        if weights is not None:
            events = replace(events, train_weights=weights)
        elif factors:
            events = balanced(events, np.array([factors[name] for name in model.classes]))
        return Scored(model, encoded(events, model.encoding))


@dataclass
class Pool:
    """Events that several models have scored, each its own."""

    pieces: list[Scored] = field(default_factory=list)

    def add(self, scored: Scored) -> None:
        """Predict, and let go of the features."""
        events, known = scored.events, scored.beside
        bare = replace(without_features(events), rows=None, file=None, part=None)
        self.pieces.append(Scored(scored.model, bare, known))

    def scored(self) -> Scored:
        """Return all events; the first model says what the predictions mean."""
        if not self.pieces:
            raise EventsError("There are no events to score.", found="no event in any fold")
        samples = [piece.events for piece in self.pieces]
        first = samples[0]
        weighed = any(sample.train_weights is not None for sample in samples)
        events = replace(
            first,
            features=np.empty((sum(map(len, samples)), 0)),
            labels=joined(*(sample.labels for sample in samples)),
            weights=None if first.weights is None else joined(*(s.weights for s in samples)),
            train_weights=joined(*map(_descent_weights, samples)) if weighed else None,
            sample=None if first.sample is None else joined(*(s.sample for s in samples)),
            extra={name: joined(*(s.extra[name] for s in samples)) for name in first.extra},
        )
        predictions = _joined_rows([piece.beside for piece in self.pieces])
        return Scored(self.pieces[0].model, events, predictions)


def without_features(events: Sample) -> Sample:
    """The events with no column of features."""
    return replace(events, features=np.empty((len(events), 0)))


def _descent_weights(events: Sample) -> AnyArray:
    weights = events.descent_weights
    return derived(lambda y: np.ones(len(y)), events.labels) if weights is None else weights


def _joined_rows(predictions: list[AnyArray]) -> AnyArray:
    if predictions[0].ndim == 1:
        return joined(*predictions)
    return np.concatenate([np.asarray(rows[:]) for rows in predictions])
