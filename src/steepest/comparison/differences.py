"""Differences of figures of merit, with their uncertainties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.evaluate import Merit
from steepest.recipe import EvaluateRecipe
from steepest.storage import in_memory
from steepest.training.evaluation import evaluate_model, plain_merits
from steepest.training.scored import Scored

GROUPS = 40
"""Groups of events that the jackknife leaves out in turn; its error is then known to 11 %."""


@dataclass(frozen=True)
class Difference:
    """A figure of merit of a run, less that of the first.

    Attributes
    ----------
    value, uncertainty
        The difference, and its standard deviation; NaN where it is not known.
    method
        "DeLong" or "jackknife", of the same events; "independent" of different ones.
    """

    value: float
    uncertainty: float
    method: str

    @property
    def standard_deviations(self) -> float:
        """The difference in units of its uncertainty; NaN where that is not above 0."""
        return self.value / self.uncertainty if self.uncertainty > 0 else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is not known is null."""
        from steepest.evaluate.figures import as_numbers

        return as_numbers(
            {
                "difference": self.value,
                "uncertainty": self.uncertainty,
                "standard_deviations": self.standard_deviations,
                "method": self.method,
            }
        )


Differences = dict[str, tuple[Difference, ...]]
"""By name of the figure of merit, of each run but the first."""


def merits_of(scored: Scored, recipe: EvaluateRecipe) -> dict[str, Merit]:
    """Return the figures of merit for which nothing is chosen or binned, by name."""
    plain = plain_merits(scored, recipe)
    if scored.event is None:
        return plain
    without = recipe.model_copy(update={"significance": None})
    of_events = evaluate_model(scored, without, None).merits
    return {name: of_events[name] for name in plain}


def paired_differences(
    scored: Sequence[Scored], merits: Sequence[Mapping[str, Merit]], recipe: EvaluateRecipe
) -> Differences:
    """Return differences on the same events: what moves all models alike is no difference.

    Areas under ROC curves have DeLong's variance with their covariance, see
    `steepest.evaluate.auc_difference`. All else has the jackknife over g = 40 groups of events::

        σ² = (g − 1)/g Σⱼ (d₍₋ⱼ₎ − d̄)²

    with d₍₋ⱼ₎ the difference without group j. Rows of one event (`events.explode`) are in one
    group, and then areas have the jackknife, too.
    """
    event = scored[0].event
    count = len(scored[0].events)
    group = np.arange(count)
    if event is not None:
        group = np.unique(np.asarray(in_memory(event)), return_inverse=True)[1]
    group = group % GROUPS
    without = [
        [_values(each.where(group != left), recipe) for each in scored]
        for left in np.unique(group).tolist()
    ]
    found: Differences = {}
    for name in merits[0]:
        areas = [None] * (len(scored) - 1)
        if event is None and name.startswith("auc"):
            areas = [_area(name, scored[0], other) for other in scored[1:]]
        values = np.array([[each.get(name, math.nan) for each in row] for row in without])
        with np.errstate(invalid="ignore"):  # a rejection may be infinite
            away = values[:, 1:] - values[:, :1]
            errors = np.sqrt((len(away) - 1) * away.var(axis=0))
        found[name] = tuple(
            Difference(_less(merit, merits[0][name]), float(error), "jackknife")
            if area is None
            else Difference(area.value, area.uncertainty, "DeLong")
            for merit, error, area in zip([m[name] for m in merits[1:]], errors, areas, strict=True)
        )
    return found


def _less(merit: Merit, first: Merit) -> float:
    return merit.value - first.value


def _values(scored: Scored, recipe: EvaluateRecipe) -> dict[str, float]:
    return {name: merit.value for name, merit in plain_merits(scored, recipe).items()}


def _area(name: str, first: Scored, other: Scored) -> Merit | None:
    """Return the difference of two areas under ROC curves; None of a merit that is no such area."""
    labels, predictions, weights = first.columns
    against = other.predictions
    if name == "auc":
        return evaluate.auc_difference(labels, against, predictions, weights)
    for index, of_class in enumerate(first.model.classes):
        if name == f"auc_{of_class}":
            own, one = evaluate.one_class(labels, predictions, index)
            _, two = evaluate.one_class(labels, against, index)
            return evaluate.auc_difference(own, two, one, weights)
    return None


def independent_differences(merits: Sequence[Mapping[str, Merit]]) -> Differences:
    """Return differences on different events, whose uncertainties add up in quadrature."""
    return {
        name: tuple(
            Difference(
                _less(each[name], first),
                float(np.hypot(first.uncertainty, each[name].uncertainty)),
                "independent",
            )
            for each in merits[1:]
        )
        for name, first in merits[0].items()
    }
