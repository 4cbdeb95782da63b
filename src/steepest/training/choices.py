"""What is chosen before figures of merit are computed: cuts, and the resolution of each bin.

Nothing is chosen on the events that a result is quoted for, as long as there are others: the
validation part chooses, or else the training part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from steepest import evaluate
from steepest.evaluate import Experiment, Merit
from steepest.events import TRAIN, VALIDATION, Sample
from steepest.recipe import EvaluateRecipe
from steepest.storage import AnyArray

__all__ = ["choose", "choosing_part", "experiment_of", "significance_merit"]

Chosen = Mapping[str, Any]
"""As in metrics.json: ``part``, ``working_point``, ``significance``, ``resolution``."""


def choosing_part(present: Collection[int], evaluated: int) -> int:
    """The validation part, or else the training part; it may be the evaluated one for want of two.

    Examples
    --------
    >>> choosing_part({0, 1, 2}, 2), choosing_part({0, 1}, 1), choosing_part({0}, 0)
    (1, 0, 0)
    """
    return VALIDATION if VALIDATION in present and evaluated != VALIDATION else TRAIN


def choose(
    task: str, recipe: EvaluateRecipe, events: Sample, predictions: AnyArray, part: str
) -> dict[str, Any]:
    """Choose what the recipe's bins and significance need, on these events.

    Returns
    -------
    dict
        ``part``; ``working_point``: signal efficiency asked for and ``threshold``;
        ``significance``: ``threshold``; ``resolution``: for each table of bins one number a bin.
        None for what is not asked for, does not go with the task, or cannot be chosen.
    """
    chosen: dict[str, Any] = {
        "part": part, "working_point": None, "significance": None, "resolution": None,
    }  # fmt: skip
    if task == "regression":
        chosen["resolution"] = [
            _resolutions(events, predictions, bins.column, bins.edges) for bins in recipe.bins
        ]
        return chosen
    if task != "binary" or not (recipe.bins or recipe.significance is not None):
        return chosen
    roc = evaluate.roc_curve(events.labels, predictions, events.weights)
    if recipe.bins:
        cut = evaluate.cut_at(roc, recipe.working_point)
        chosen["working_point"] = {"signal_efficiency": recipe.working_point, "threshold": cut}
    if recipe.significance is not None:
        scan = evaluate.significance_scan(roc, experiment_of(recipe))
        cut = evaluate.best_cut(scan)
        chosen["significance"] = None if cut is None else {"threshold": cut}
    return chosen


def experiment_of(recipe: EvaluateRecipe) -> Experiment:
    """The counting experiment of ``[evaluate.significance]``."""
    assert recipe.significance is not None
    return Experiment(**recipe.significance.model_dump())


def significance_merit(
    recipe: EvaluateRecipe, chosen: Chosen, events: Sample, predictions: AnyArray
) -> dict[str, Merit]:
    """The significance at the chosen cut, by name; empty where none is asked for."""
    if recipe.significance is None:
        return {}
    experiment = experiment_of(recipe)
    if chosen["significance"] is None:
        merit = evaluate.undefined_merit(
            "significance",
            f"no cut can be chosen on the {chosen['part']} part: fewer than ten effective "
            "background events",
            definition="Asimov significance behind the cut where it is largest on other events",
        )
    else:
        threshold = chosen["significance"]["threshold"]
        merit = evaluate.significance_at(
            events.labels, predictions, threshold, experiment, events.weights
        )
    return {merit.name: merit}


def _resolutions(
    events: Sample, predictions: AnyArray, column: str, edges: Sequence[float]
) -> list[float | None]:
    """The resolution in each bin; None where it is not known or not above zero."""
    binned = evaluate.regression_in_bins(
        events.labels, predictions, events.extra[column], edges, events.weights
    )
    return [merit.value if merit.value > 0 else None for merit in binned.merits["resolution"]]
