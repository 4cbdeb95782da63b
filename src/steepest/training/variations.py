"""Systematic variations: the evaluated events once more, with another weight, columns or files.

The model is trained on the nominal events alone. Each variation is read, selected and split as the
recipe says, so its events are those of the evaluated part, which the model has not seen.

Samples with a cross-section are normalised by Σw of the nominal weight: with the varied weight w',
an event weighs w' · σ · L / Σw, so that a variation of the rate shows in the yields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.errors import EventsError
from steepest.evaluate import figures
from steepest.events import EVENT_ROW, load_events
from steepest.events.reading.samples import opened_samples, planned_samples
from steepest.recipe import EventsRecipe, Recipe, SampleRecipe, VariationRecipe
from steepest.storage import AnyArray, compressed, derived
from steepest.training import results
from steepest.training.bins import Chosen
from steepest.training.callback import TrainingCallback
from steepest.training.evaluation import Evaluation, evaluate_model
from steepest.training.figures import Figure
from steepest.training.inputs import carried, memory_budget
from steepest.training.scored import RunModels
from steepest.training.yields import describe_samples, expected_events

EACH_EVENT = "1"
"""The weight of events without one."""
MOST_PANELS = 6
"""Classes whose scores are drawn."""


@dataclass(frozen=True)
class Varied:
    """A variation with its figures of merit, or why there are none."""

    recipe: VariationRecipe
    evaluation: Evaluation | None
    failure: str | None = None
    yields: list[dict[str, Any]] = field(default_factory=list)
    """Of each sample: its name, Σw and √Σw² of its selected events."""


def check_variations(recipe: EventsRecipe) -> None:
    """Raise what reading the variations would raise of their columns and types, before training."""
    for variation in recipe.variations:
        given, paths = _given(recipe, variation)
        planned_samples(
            given, opened_samples(given, paths), replaced=variation.columns, of=variation.sample,
            normalised=False,
        )  # fmt: skip


def evaluate_variations(
    recipe: Recipe,
    run: RunModels,
    part: int,
    chosen: Chosen | None,
    callback: TrainingCallback,
    say: Callable[[str], None],
    folder: Path,
) -> list[Varied]:
    """Return the figures of merit of each variation, with the cuts of the nominal events."""
    varied, model = [], run.models[0]
    for variation in recipe.events.variations:
        callback.stage(f"Evaluating the variation {variation.name}")
        try:
            given, paths = _given(recipe.events, variation)
            sample = load_events(
                given, paths, model.classes, model.task, names=model.names,
                extra=[c for c in carried(recipe) if c in (given.train_weights, EVENT_ROW)],
                progress=callback.read, budget=memory_budget(given.memory, folder),
                split=True, replaced=variation.columns, of=variation.sample,
            )  # fmt: skip
            options = expected_events(recipe.evaluate, given, {part: sample}, model.task)
            scored = run.scored(sample, part)
            evaluation = evaluate_model(scored, options, chosen, variation.name, bins=False)
            samples = describe_samples({part: sample}, given)
            yields = [{"name": one["name"], **one["all"]} for one in samples]
            varied.append(Varied(variation, evaluation, yields=yields))
        except EventsError as error:  # the training is done, and must not be lost
            say(f"The variation {variation.name} has no figures of merit. {error}")
            varied.append(Varied(variation, None, str(error)))
    return varied


def _given(
    recipe: EventsRecipe, variation: VariationRecipe
) -> tuple[EventsRecipe, str | list[str] | None]:
    """Return the recipe of the varied events, and the files that replace all of it."""
    weight, paths = variation.weight, variation.path
    changes: dict[str, Any] = {} if weight is None else {"weight": weight}
    if recipe.samples is None:
        return recipe.model_copy(update=changes), paths
    if paths is not None:
        changes["path"] = paths
    samples = tuple(
        sample.model_copy(update={**changes, "sum_of_weights": _sum_of(recipe, sample, variation)})
        if variation.sample in (None, sample.name)
        else sample
        for sample in recipe.samples
    )
    return recipe.model_copy(update={"samples": samples}), None


def _sum_of(
    recipe: EventsRecipe, sample: SampleRecipe, variation: VariationRecipe
) -> float | str | None:
    """Return where Σw is from: as variation or sample say, else of the nominal weight."""
    if variation.sum_of_weights is not None:
        return variation.sum_of_weights
    if sample.sum_of_weights is not None:
        return sample.sum_of_weights
    return sample.weight or recipe.weight or EACH_EVENT


def to_json(varied: list[Varied]) -> list[dict[str, Any]]:
    """Return what metrics.json has of the variations."""
    entries = []
    for each in varied:
        entry: dict[str, Any] = each.recipe.model_dump(exclude_defaults=True)
        if each.evaluation is None:
            nothing = {"events": None, "yields": [], "merits": None}
            entries.append({**entry, "failure": each.failure, **nothing})
            continue
        scored = each.evaluation.scored
        counts = results.describe_part(scored.events, scored.model.classes)
        merits = results.to_json(each.evaluation.merits)
        found = {"events": counts, "yields": each.yields, "merits": merits}
        entries.append({**entry, "failure": None, **found})
    return entries


def figure(nominal: Evaluation, varied: list[Varied]) -> Figure | None:
    """Return the scores of the variations and their ratio to the nominal ones."""
    shown = {v.recipe.name: _columns(v.evaluation) for v in varied if v.evaluation is not None}
    if not shown:
        return None
    name = "Prediction" if nominal.scored.model.task == "regression" else "Score"
    numbers = figures.variation_shapes(_columns(nominal), shown, name, _events(nominal))
    return "variations", partial(figures.variation_figure, numbers), numbers


def _events(evaluation: Evaluation) -> dict[str, AnyArray] | None:
    """Return the event of each row of each class, where events have several."""
    event, model = evaluation.scored.event, evaluation.scored.model
    if event is None:
        return None
    if model.task == "regression":
        return {"All events": event}
    titles = results.class_titles(model) if model.task == "binary" else model.classes
    labels = evaluation.scored.columns[0]
    return {
        title: compressed(event, derived(partial(np.equal, index), labels))
        for index, title in enumerate(titles[:MOST_PANELS])
    }


def _columns(evaluation: Evaluation) -> dict[str, tuple[AnyArray, AnyArray]]:
    """Return predictions and weights of the events of each class, by its title."""
    model = evaluation.scored.model
    labels, predictions, weights = evaluation.scored.columns
    if weights is None:
        weights = derived(lambda rows: np.ones(len(rows)), labels)
    if model.task == "regression":
        return {"All events": (predictions, weights)}
    titles = results.class_titles(model) if model.task == "binary" else model.classes
    columns = {}
    for index, title in enumerate(titles[:MOST_PANELS]):
        scores = predictions
        if model.task == "multiclass":
            scores = evaluate.one_class(labels, predictions, index)[1]
        chosen = derived(partial(np.equal, index), labels)
        columns[title] = compressed(scores, chosen), compressed(weights, chosen)
    return columns
