"""The figures of a run, each with its numbers beside it: ``figures/NAME.png`` and ``NAME.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest import evaluate
from steepest.evaluate import figures
from steepest.evaluate.columns import sums_of
from steepest.events import PARTS, TRAIN, Sample
from steepest.groups import PARTICLES, Groups, Jagged
from steepest.recipe import EvaluateRecipe
from steepest.storage import derived
from steepest.trained import TrainedModel
from steepest.training.clustered import confusion_of
from steepest.training.evaluation import Calibration, Evaluation, choosing_part, experiment_of
from steepest.training.jets import wrongly_classified
from steepest.training.results import class_titles
from steepest.training.scored import Scored

Figure = tuple[str, Callable[[], Any], Any]
"""A figure's name, what draws it, and its numbers."""

STEPS_DRAWN = 20_000
"""Steps drawn of a longer history."""
EVENTS_DRAWN = 200_000
"""The training part is drawn by so many of its events at most, evenly spaced."""


def descent(history: pa.Table, kept_step: int | None) -> Figure:
    """Loss and learning rate against the step."""
    history = _thinned(history)
    columns = {column.name: column.to_numpy() for column in pl.DataFrame(history)}
    validated = columns.get("validation_loss", np.full(len(history), np.nan))
    rows = np.isfinite(validated)
    curves = figures.descent_curves(
        columns["step"],
        columns["loss"],
        columns["learning_rate"],
        columns["step"][rows],
        validated[rows],
        kept_step=kept_step,
    )
    return "descent", partial(figures.descent_figure, curves), curves


def _thinned(history: pa.Table) -> pa.Table:
    """Every validation, and steps evenly between, so that a figure holds what an eye can see."""
    if len(history) <= STEPS_DRAWN:
        return history
    keep = np.zeros(len(history), dtype=bool)
    keep[np.linspace(0, len(history) - 1, STEPS_DRAWN).astype(np.int64)] = True
    return history.filter(pa.array(keep))


def features(model: TrainedModel, train: Sample) -> Figure:
    """The features of the training part, before and after scaling; of particles, if it has any."""
    rows = slice(None, None, -(-len(train) // EVENTS_DRAWN))
    names = model.input_names
    raw: Any = train.features[rows]
    scaled = model.scaled(raw)
    labels = train.labels[rows].astype(np.int64) if model.classes else None
    weights = None if train.weights is None else train.weights[rows]
    if isinstance(raw, Groups):
        group = PARTICLES if PARTICLES in raw.members else next(iter(raw.members))
        names = tuple(n.removeprefix(f"{group}.") for n in names if n.startswith(f"{group}."))
        raw, scaled = raw[group], scaled[group]
        if isinstance(raw, Jagged):
            labels = None if labels is None else raw.spread(labels)
            weights = None if weights is None else raw.spread(weights)
            raw, scaled = raw.values, scaled.values
    numbers = figures.feature_histograms(
        names,
        raw,
        scaled,
        labels,
        weights,
        class_titles(model) if model.task == "binary" else model.classes or None,
    )
    return "features", partial(figures.feature_figure, numbers), numbers


def results(
    model: TrainedModel,
    evaluation: Evaluation,
    baseline: Evaluation | None,
    scored: dict[int, Scored],
    part: int,
    recipe: EvaluateRecipe,
    samples: Sequence[dict[str, Any]] = (),
) -> Iterator[Figure]:
    """Yield what goes with the task, of the evaluated part: ROC, confusion, residuals, bins.

    `samples` are the entries of metrics.json.
    """
    match model.task:
        case "binary":
            yield from _binary(model, evaluation, baseline)
            if samples:
                yield _stack(evaluation.scored, samples, PARTS[part])
            if part != TRAIN and TRAIN in scored:
                yield _scores(model, scored[TRAIN], evaluation.scored)
        case "multiclass":
            yield _confusion(model, evaluation.scored)
            yield main_result(model, evaluation)
            yield _calibration(evaluation.calibrations, "Probability", "Fraction of the class")
        case _:
            yield main_result(model, evaluation)
    evaluated = evaluation.scored
    if pictures := wrongly_classified(model, evaluated.events, evaluated.predictions):
        yield "jets", *_drawn(figures.jet_figure, pictures)
    yield from _bins(model, evaluation, recipe)
    cut = evaluation.merits.get("significance")
    if cut is not None and "threshold" in cut.counts:
        yield _significance(cut, scored, part, recipe)


def main_result(model: TrainedModel, evaluation: Evaluation) -> Figure:
    """The figure that tells most: the ROC curve, of a regression the residuals."""
    if model.task == "regression":
        return _residuals(model, evaluation)
    name = "roc" if model.task == "binary" else "roc-classes"
    return name, *_drawn(figures.roc_figure, evaluation.rejections)


def _drawn(draw: Callable[..., Any], numbers: Any, *options: Any) -> tuple[Callable[[], Any], Any]:
    return partial(draw, numbers, *options), numbers


def _binary(
    model: TrainedModel, evaluation: Evaluation, baseline: Evaluation | None
) -> Iterator[Figure]:
    both = [evaluation] if baseline is None else [evaluation, baseline]
    rejections = [curve for each in both for curve in each.rejections]
    yield "roc", *_drawn(figures.roc_figure, rejections)
    _, signal = class_titles(model)
    fraction = "Signal fraction" if signal.startswith("Signal") else f"Fraction of {signal}"
    yield _calibration([c for each in both for c in each.calibrations], "Score", fraction)


def _calibration(calibrations: Sequence[Calibration], score: str, fraction: str) -> Figure:
    curves = [curve for curve, _ in calibrations]
    errors = [error for _, error in calibrations]
    draw = partial(figures.calibration_figure, curves, errors, score, fraction)
    return "calibration", draw, {"curves": curves, "errors": errors}


def _scores(model: TrainedModel, train: Scored, evaluated: Scored) -> Figure:
    background, signal = class_titles(model)
    numbers = figures.score_histograms(
        train.events.labels,
        train.predictions,
        evaluated.events.labels,
        evaluated.predictions,
        train.events.weights,
        evaluated.events.weights,
        training_event=train.event,
        test_event=evaluated.event,
    )
    return "scores", *_drawn(figures.score_figure, numbers, signal, background)


def _stack(scored: Scored, samples: Sequence[dict[str, Any]], part: str) -> Figure:
    """The scores of the samples, each scaled to its yield in all parts."""
    labels, scores, weights = scored.columns
    index = scored.events.sample
    names, signal, inside, expected = [], [], [], []
    for number, sample in enumerate(samples):
        of_part = sample["parts"].get(part, sample["all"])["yield"]
        for code in (False, True):
            of = derived(lambda i, y, n=number, c=code: (i == n) & (y == c), index, labels)
            events = sums_of(scored.weights, of)
            if not events.events:
                continue
            twice = sample["name"] in names  # it has events of both classes
            names.append(f"{sample['name']}, signal" if twice else sample["name"])
            signal.append(code)
            inside.append(of)
            expected.append(events.weight * (sample["all"]["yield"] / of_part if of_part else 1.0))
    numbers = figures.process_scores(
        names, signal, scores, inside, weights, expected, event=scored.event
    )
    return "stacked-scores", *_drawn(figures.stack_figure, numbers)


def _confusion(model: TrainedModel, scored: Scored) -> Figure:
    matrix = confusion_of(scored)
    return "confusion", *_drawn(figures.confusion_figure, matrix)


def _residuals(model: TrainedModel, evaluation: Evaluation) -> Figure:
    columns, name = evaluation.scored.columns, figures.title_of(model.label, model.units)
    event = evaluation.scored.event
    numbers = figures.residual_histograms(*columns, evaluation.merits, model.unit, event=event)
    return "residuals", *_drawn(figures.residual_figure, numbers, name)


def _bins(model: TrainedModel, evaluation: Evaluation, recipe: EvaluateRecipe) -> Iterator[Figure]:
    target = figures.title_of(model.label, model.units)
    for each in evaluation.bins:
        match model.task:
            case "binary":
                background, signal = class_titles(model)
                names = recipe.working_point, signal, background
                yield each.figure, *_drawn(figures.efficiency_figure, each.merits, *names)
            case "multiclass":
                yield each.figure, *_drawn(figures.class_efficiency_figure, each.merits)
            case _:
                yield each.figure, *_drawn(figures.resolution_figure, each.merits, target)
        if each.pulls is not None:
            name = f"pulls{each.figure.removeprefix('bins')}"
            yield name, *_drawn(figures.pull_figure, each.pulls, target)


def _significance(
    cut: evaluate.Merit, scored: dict[int, Scored], part: int, recipe: EvaluateRecipe
) -> Figure:
    choosing = choosing_part(scored, part)
    other = scored[choosing].roc if choosing != part and choosing in scored else None
    numbers = figures.significance_curve(scored[part].roc, other, experiment_of(recipe), cut)
    return "significance", *_drawn(
        figures.significance_figure, numbers, PARTS[part], PARTS[choosing]
    )
