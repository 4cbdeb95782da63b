"""The figures of a run, each with its numbers beside it: ``figures/NAME.png`` and ``NAME.json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from steepest import evaluate
from steepest.events import TRAIN
from steepest.folder import RunFolder
from steepest.training.fit import Events, Fitted
from steepest.training.results import name_of

__all__ = ["draw_descent", "draw_figures"]

Scored = dict[int, tuple[Events, np.ndarray]]

STEPS_DRAWN = 20_000
"""Steps drawn of a longer history."""
EVENTS_DRAWN = 200_000
"""Feature distributions are drawn from so many training events at most, evenly spaced."""


def draw_figures(
    folder: RunFolder, fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> None:
    """Draw what goes with the task: descent, features, and ROC, scores, confusion or residuals."""
    if fitted.outcome.state.step:
        draw_descent(folder, kept_step=fitted.outcome.step)
    drawing = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    for name, figure, numbers in drawing[fitted.model.task](fitted, baseline, scored, chosen):
        _save(folder, name, figure, numbers)
    _save(folder, "features", *_features(fitted, scored[TRAIN][0]))


def draw_descent(
    folder: RunFolder, kept_step: int | None = None, diverged_step: int | None = None
) -> None:
    """Draw loss and learning rate against the step, from the folder's history."""
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
        diverged_step=diverged_step,
    )
    _save(folder, "descent", figures.descent_figure(curves), curves)


def _thinned(history: pa.Table) -> pa.Table:
    """Every validation, and steps evenly between, so that a figure holds what an eye can see."""
    if len(history) <= STEPS_DRAWN:
        return history
    keep = np.zeros(len(history), dtype=bool)
    keep[np.linspace(0, len(history) - 1, STEPS_DRAWN).astype(np.int64)] = True
    return history.filter(pa.array(keep))


def _binary(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[tuple[str, Any, Any]]:
    from steepest.evaluate import figures

    events, scores = scored[chosen]
    models = {name_of(fitted.model): scores}
    if baseline is not None:
        models[f"{name_of(baseline.model)} (baseline)"] = baseline.model.predict_encoded(
            events.features
        )
    curves = [
        figures.rejection_curve(
            evaluate.roc_curve(events.labels, values, events.weights),
            name,
            evaluate.auc(events.labels, values, events.weights),
        )
        for name, values in models.items()
    ]
    yield "roc", figures.roc_figure(curves), curves
    train, train_scores = scored[TRAIN]
    if chosen != TRAIN:
        numbers = figures.score_histograms(
            train.labels, train_scores, events.labels, scores, train.weights, events.weights
        )
        background, signal = _class_names(fitted)
        yield "scores", figures.score_figure(numbers, signal, background), numbers


def _class_names(fitted: Fitted) -> tuple[str, str]:
    classes = fitted.model.classes
    if classes == ("0", "1"):
        return f"Background ({fitted.model.label} = 0)", f"Signal ({fitted.model.label} = 1)"
    return classes[0], classes[1]


def _multiclass(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[tuple[str, Any, Any]]:
    from steepest.evaluate import figures

    events, probabilities = scored[chosen]
    matrix = evaluate.confusion_matrix(
        events.labels, probabilities, events.weights, fitted.model.classes
    )
    yield "confusion", figures.confusion_figure(matrix), matrix


def _regression(
    fitted: Fitted, baseline: Fitted | None, scored: Scored, chosen: int
) -> Iterator[tuple[str, Any, Any]]:
    from steepest.evaluate import figures

    events, predictions = scored[chosen]
    merits = evaluate.regression_merits(events.labels, predictions, events.weights)
    numbers = figures.residual_histograms(events.labels, predictions, events.weights, merits)
    yield "residuals", figures.residual_figure(numbers, fitted.model.label), numbers


def _features(fitted: Fitted, train: Events) -> tuple[Any, Any]:
    from steepest.evaluate import figures

    rows = slice(None, None, -(-len(train) // EVENTS_DRAWN))
    raw = train.features[rows]
    classes = fitted.model.classes
    numbers = figures.feature_histograms(
        fitted.model.input_names,
        raw,
        fitted.model.scaling.transform(raw),
        train.labels[rows].astype(np.int64) if classes else None,
        None if train.weights is None else train.weights[rows],
        _class_names(fitted) if fitted.model.task == "binary" else classes or None,
    )
    return figures.feature_figure(numbers), numbers


def _save(folder: RunFolder, name: str, figure: Any, numbers: Any) -> None:
    from steepest.evaluate import figures

    folder.write_json(f"figures/{name}.json", figures.as_numbers(numbers))
    folder.write_figure(f"figures/{name}.png", lambda path: figures.save(figure, path))
