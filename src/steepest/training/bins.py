"""The figures of merit of a model in the bins of a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.evaluate import BinnedMerits, figures
from steepest.recipe import BinsRecipe, EvaluateRecipe
from steepest.storage import blocks, compressed, derived, total
from steepest.training.scored import Scored

Chosen = Mapping[str, Any]
"""As in metrics.json: ``part``, ``working_point``, ``significance``, ``resolution``."""


@dataclass(frozen=True)
class InBins:
    """Figures of merit in the bins of a column; for regression the pulls too, where known."""

    figure: str
    merits: BinnedMerits
    pulls: figures.PullHistogram | None = None


def measure_in_bins(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen) -> list[InBins]:
    """Measure what the recipe's tables of bins ask for, where it can be measured."""
    measured = []
    for index, (bins, name) in enumerate(zip(recipe.bins, _names(recipe), strict=True)):
        merits = _binned(scored, bins, chosen)
        if merits is None:
            continue
        pulls = None
        if scored.model.task == "regression":
            errors = chosen.get("resolution_error")  # not in runs of older versions
            pulls = _pulls(scored, bins, chosen["resolution"][index], errors and errors[index])
        measured.append(InBins(name, merits, pulls))
    return measured


def _names(recipe: EvaluateRecipe) -> list[str]:
    """Return the names of the figures: ``bins-pt``; those that are taken get a number.

    Examples
    --------
    >>> table = {"edges": [0, 1]}
    >>> _names(EvaluateRecipe(bins=[{"column": c, **table} for c in ("pt", "abs(eta)", "pt")]))
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


def _binned(scored: Scored, bins: BinsRecipe, chosen: Chosen) -> BinnedMerits | None:
    """What goes with the task; None for two classes where no cut could be chosen."""
    labels, predictions, weights = scored.columns
    values, column = scored.events.extra[bins.column], bins.column
    match scored.model.task:
        case "binary":
            if chosen["working_point"] is None:
                return None
            cut = chosen["working_point"]["threshold"]
            return evaluate.efficiency_in_bins(
                labels, predictions, values, bins.edges, cut, weights, column
            )
        case "multiclass":
            return evaluate.class_efficiency_in_bins(
                labels, predictions, values, bins.edges, weights, scored.model.classes, column
            )
        case _:
            return evaluate.regression_in_bins(
                labels, predictions, values, bins.edges, weights, column, scored.model.unit
            )


def _pulls(
    scored: Scored,
    bins: BinsRecipe,
    resolution: list[float | None],
    errors: list[float | None] | None,
) -> figures.PullHistogram | None:
    """Pulls of the events in bins whose resolution is known; None where there are none."""
    sigma = np.array([np.nan if value is None else value for value in [*resolution, None]])
    place = evaluate.place_in_bins(scored.events.extra[bins.column], bins.edges)
    known = derived(lambda rows: np.isfinite(sigma[rows]), place)
    if not any(rows.any() for (rows,) in blocks(known)):
        return None
    group = compressed(place, known)
    claimed = derived(lambda rows: sigma[rows], group)
    shared = None
    if errors is not None:
        shared = group, np.array([0.0 if error is None else error for error in errors])
    truth, predicted, weights = scored.columns
    if weights is not None:
        weights = compressed(weights, known)
        if not total(weights) > 0:
            return None
    return figures.pull_histogram(
        evaluate.pulls(compressed(truth, known), compressed(predicted, known), claimed),
        weights,
        shared=shared,
        event=None if scored.event is None else compressed(scored.event, known),
    )
