"""Figures of merit in the recipe's bins, and their figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.evaluate import BinnedMerits
from steepest.events import Sample
from steepest.recipe import BinsRecipe, EvaluateRecipe
from steepest.storage import AnyArray, blocks, compressed, derived, total
from steepest.trained import TrainedModel
from steepest.training.choices import Chosen
from steepest.training.results import class_titles, to_json

__all__ = ["bin_figures", "bins_of", "slugs"]


def bins_of(
    model: TrainedModel,
    recipe: EvaluateRecipe,
    chosen: Chosen,
    events: Sample,
    predictions: AnyArray,
) -> list[dict[str, Any]]:
    """For each of the recipe's tables of bins what metrics.json holds of it.

    That is `BinnedMerits.to_json`, the ``figure``'s name, and for regression the ``pulls``.
    """
    entries = []
    for index, bins in enumerate(recipe.bins):
        binned = _binned(model, bins, chosen, events, predictions)
        if binned is None:
            continue
        entry = {**binned.to_json(), "figure": slugs(recipe)[index]}
        if model.task == "regression":
            values, weights = _pulls(bins, chosen["resolution"][index], events, predictions)
            known = len(values) > 0 and total(weights) > 0
            entry["pulls"] = to_json(evaluate.pull_merits(values, weights)) if known else None
        entries.append(entry)
    return entries


def bin_figures(
    model: TrainedModel,
    recipe: EvaluateRecipe,
    chosen: Chosen,
    events: Sample,
    predictions: AnyArray,
) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, figure and numbers of each table of bins."""
    from steepest.evaluate import figures

    label = figures.axis_label(model.label).split(" [")[0]
    for index, (bins, name) in enumerate(zip(recipe.bins, slugs(recipe), strict=True)):
        binned = _binned(model, bins, chosen, events, predictions)
        if binned is None:
            continue
        if model.task == "binary":
            background, signal = class_titles(model)
            cut = recipe.working_point
            draw = partial(figures.efficiency_figure, binned, cut, signal, background)
        elif model.task == "multiclass":
            draw = partial(figures.class_efficiency_figure, binned)
        else:
            draw = partial(figures.resolution_figure, binned, label)
        yield name, draw, binned
        if model.task == "regression":
            values, weights = _pulls(bins, chosen["resolution"][index], events, predictions)
            if len(values) > 0 and total(weights) > 0:
                numbers = figures.pull_histogram(values, weights)
                yield (
                    f"pulls{name.removeprefix('bins')}",
                    partial(figures.pull_figure, numbers, label),
                    numbers,
                )


def slugs(recipe: EvaluateRecipe) -> list[str]:
    """Return the names of the figures: ``bins-pt``; those that are taken get a number.

    Examples
    --------
    >>> table = {"edges": [0, 1]}
    >>> slugs(EvaluateRecipe(bins=[{"column": c, **table} for c in ("pt", "abs(eta)", "pt")]))
    ['bins-pt', 'bins-abs-eta', 'bins-pt-2']
    """
    names: list[str] = []
    for bins in recipe.bins:
        name = stem = f"bins-{re.sub(r'[^A-Za-z0-9_]+', '-', bins.column).strip('-')}"
        number = 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


def _binned(
    model: TrainedModel, bins: BinsRecipe, chosen: Chosen, events: Sample, predictions: AnyArray
) -> BinnedMerits | None:
    """What goes with the task; None for two classes where no cut could be chosen."""
    values = events.extra[bins.column]
    labels, weights, column = events.labels, events.weights, bins.column
    match model.task:
        case "binary":
            if chosen["working_point"] is None:
                return None
            cut = chosen["working_point"]["threshold"]
            return evaluate.efficiency_in_bins(
                labels, predictions, values, bins.edges, cut, weights, column
            )
        case "multiclass":
            return evaluate.class_efficiency_in_bins(
                labels, predictions, values, bins.edges, weights, model.classes, column
            )
        case _:
            return evaluate.regression_in_bins(
                labels, predictions, values, bins.edges, weights, column=column
            )


def _pulls(
    bins: BinsRecipe, resolution: list[float | None], events: Sample, predictions: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Pulls and weights of the events in bins whose resolution is known."""
    sigma = np.array([np.nan if value is None else value for value in [*resolution, None]])
    place = evaluate.place_in_bins(events.extra[bins.column], bins.edges)
    known = derived(lambda rows: np.isfinite(sigma[rows]), place)
    if not any(rows.any() for (rows,) in blocks(known)):
        return np.empty(0), np.empty(0)
    claimed = derived(lambda rows: sigma[rows], compressed(place, known))
    truth, predicted = compressed(events.labels, known), compressed(predictions, known)
    weights = (
        np.broadcast_to(1.0, (len(truth),))
        if events.weights is None
        else compressed(events.weights, known)
    )
    return evaluate.pulls(truth, predicted, claimed), weights
