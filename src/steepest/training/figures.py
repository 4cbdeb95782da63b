"""The figures of a run, each with its numbers beside it: ``figures/NAME.png`` and ``NAME.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from steepest import evaluate
from steepest.events import PARTS, TRAIN, Sample
from steepest.folder import RunFolder
from steepest.recipe import EvaluateRecipe
from steepest.storage import AnyArray
from steepest.training.binned import bin_figures
from steepest.training.choices import Chosen, choosing_part, experiment_of, significance_merit
from steepest.training.drawing import Drawing
from steepest.training.fit import Fitted, predictions_of
from steepest.training.results import class_titles, name_of

__all__ = ["EVENTS_DRAWN", "draw_figures"]

Scored = dict[int, tuple[Sample, AnyArray]]
Drawn = tuple[str, Callable[[], Any], Any]
"""A figure's name, what draws it, and its numbers."""

STEPS_DRAWN = 20_000
"""Steps drawn of a longer history."""
BACKGROUND_DRAWN = 3
"""A ROC curve ends where fewer background events than this pass."""
EVENTS_DRAWN = 200_000
"""The training part is drawn by so many of its events at most, evenly spaced."""


def draw_figures(
    drawing: Drawing,
    folder: RunFolder,
    fitted: Fitted,
    baseline: Fitted | None,
    scored: Scored,
    chosen: int,
    recipe: EvaluateRecipe,
    choices: Chosen,
) -> None:
    """Draw what goes with the task: descent, features, and ROC, scores, confusion or residuals.

    `chosen` is the part that is evaluated; `choices` are those of `choose`.
    """
    if fitted.outcome.state.step:
        drawing.add(*_descent(folder, fitted.outcome.step))
    drawing.add(*_features(fitted, scored[TRAIN][0]))  # early: it takes longest
    by_task = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    figures = by_task[fitted.model.task](fitted, baseline, scored, chosen)
    in_bins = bin_figures(fitted.model, recipe, choices, *scored[chosen])
    for name, draw, numbers in chain(figures, in_bins):
        drawing.add(name, draw, numbers)
        del draw, numbers
    if fitted.model.task == "binary" and choices["significance"] is not None:
        drawing.add(*_significance(recipe, choices, scored, chosen))
    drawing.finish()


def _descent(folder: RunFolder, kept_step: int) -> Drawn:
    """Loss and learning rate against the step, from the folder's history."""
    from steepest.evaluate import figures

    history = _thinned(folder.history)
    columns = {name: history[name].to_numpy(zero_copy_only=False) for name in history.column_names}
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


def _binary(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[Drawn]:
    from steepest.evaluate import figures

    events, scores = scored[chosen]
    models = {name_of(fitted.model): scores}
    if baseline is not None:
        models[f"{name_of(baseline.model)} (baseline)"] = predictions_of(
            baseline.model, events.features
        )
    curves = []
    for name, values in models.items():
        area = evaluate.auc(events.labels, values, events.weights)
        roc = evaluate.roc_curve(events.labels, values, events.weights)
        curves.append(figures.rejection_curve(roc, name, area, minimum_background=BACKGROUND_DRAWN))
        del roc  # as long as all events
    yield "roc", partial(figures.roc_figure, curves), curves
    background, signal = class_titles(fitted.model)
    fraction = "Signal fraction" if signal.startswith("Signal") else f"Fraction of {signal}"
    reliability = [
        evaluate.calibration_curve(events.labels, values, events.weights, name=name)
        for name, values in models.items()
    ]
    errors = [evaluate.calibration_error(curve) for curve in reliability]
    yield (
        "calibration",
        partial(figures.calibration_figure, reliability, errors, "Score", fraction),
        {"curves": reliability, "errors": errors},
    )
    train, train_scores = scored[TRAIN]
    if chosen != TRAIN:
        numbers = figures.score_histograms(
            train.labels, train_scores, events.labels, scores, train.weights, events.weights
        )
        yield "scores", partial(figures.score_figure, numbers, signal, background), numbers


def _significance(recipe: EvaluateRecipe, choices: Chosen, scored: Scored, chosen: int) -> Drawn:
    from steepest.evaluate import figures

    events, scores = scored[chosen]
    choosing = choosing_part(scored, chosen)
    other, other_scores = scored[choosing]
    numbers = figures.significance_curve(
        evaluate.roc_curve(events.labels, scores, events.weights),
        evaluate.roc_curve(other.labels, other_scores, other.weights)
        if choosing != chosen
        else None,
        experiment_of(recipe),
        significance_merit(recipe, choices, events, scores)["significance"],
    )
    draw = partial(figures.significance_figure, numbers, PARTS[chosen], PARTS[choosing])
    return "significance", draw, numbers


def _multiclass(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[Drawn]:
    from steepest.evaluate import figures

    events, probabilities = scored[chosen]
    matrix = evaluate.confusion_matrix(
        events.labels, probabilities, events.weights, fitted.model.classes
    )
    yield "confusion", partial(figures.confusion_figure, matrix), matrix
    given = events.labels, probabilities, events.weights, fitted.model.classes
    areas = evaluate.multiclass_merits(*given)
    curves = [
        figures.rejection_curve(roc, f"{name} against the rest", areas[f"auc_{name}"])
        for name, roc in evaluate.roc_curves_by_class(*given).items()
    ]
    yield "roc-classes", partial(figures.roc_figure, curves), curves
    reliability = [
        evaluate.calibration_curve(
            *evaluate.one_class(events.labels, probabilities, index), events.weights, name=name
        )
        for index, name in enumerate(fitted.model.classes)
    ]
    errors = [evaluate.calibration_error(curve) for curve in reliability]
    axes = "Probability", "Fraction of the class"
    yield (
        "calibration",
        partial(figures.calibration_figure, reliability, errors, *axes),
        {"curves": reliability, "errors": errors},
    )


def _regression(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[Drawn]:
    from steepest.evaluate import figures

    events, predictions = scored[chosen]
    merits = evaluate.regression_merits(events.labels, predictions, events.weights)
    numbers = figures.residual_histograms(events.labels, predictions, events.weights, merits)
    yield "residuals", partial(figures.residual_figure, numbers, fitted.model.label), numbers


def _features(fitted: Fitted, train: Sample) -> Drawn:
    from steepest.evaluate import figures

    rows = slice(None, None, -(-len(train) // EVENTS_DRAWN))
    raw = train.features[rows]
    classes = fitted.model.classes
    numbers = figures.feature_histograms(
        fitted.model.input_names,
        raw,
        fitted.model.scaled(raw),
        train.labels[rows].astype(np.int64) if classes else None,
        None if train.weights is None else train.weights[rows],
        class_titles(fitted.model) if fitted.model.task == "binary" else classes or None,
    )
    return "features", partial(figures.feature_figure, numbers), numbers
