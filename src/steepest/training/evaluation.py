"""The figures of merit of a model on a part of the events, computed once.

`choose` picks cuts and resolutions, on other events than those that results are quoted for wherever
there are others: the validation part chooses, or else the training part. `evaluate_model` returns
an `Evaluation`: what metrics.json, the tables and the figures show.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from steepest import evaluate
from steepest.evaluate import CalibrationCurve, Experiment, Merit, Roc, figures
from steepest.events import (
    TRAIN,
    VALIDATION,
)
from steepest.recipe import BinsRecipe, EvaluateRecipe
from steepest.training import results
from steepest.training.bins import Chosen, InBins, measure_in_bins
from steepest.training.clustered import against_the_rest, of_events
from steepest.training.scored import Scored

Calibration = tuple[CalibrationCurve, Merit]

MINIMUM_BACKGROUND = 3
"""A ROC curve is drawn down to so many background events."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of merit of one model, and the curves that go with them.

    Attributes
    ----------
    name
        What figures call the model.
    scored
        The events.
    merits
        By name.
    rejections
        Two classes: the curve of the model; several: one for each class; regression: none.
    calibrations
        Likewise, each with its calibration error.
    bins
        One entry for each of the recipe's tables of bins that can be measured.
    """

    name: str
    scored: Scored
    merits: dict[str, Merit]
    rejections: tuple[figures.RejectionCurve, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    bins: tuple[InBins, ...] = ()

    def bins_to_json(self) -> list[dict[str, Any]]:
        """What metrics.json holds of the bins."""
        entries = []
        for each in self.bins:
            entry = {**each.merits.to_json(), "figure": each.figure}
            if "resolution" in each.merits.merits:
                entry["pulls"] = results.to_json(each.pulls.merits) if each.pulls else None
            entries.append(entry)
        return entries


def choosing_part(present: Collection[int], evaluated: int) -> int:
    """The validation part, or else the training part; it may be the evaluated one for want of two.

    Examples
    --------
    >>> choosing_part({0, 1, 2}, 2), choosing_part({0, 1}, 1), choosing_part({0}, 0)
    (1, 0, 0)
    """
    return VALIDATION if VALIDATION in present and evaluated != VALIDATION else TRAIN


def choose(scored: Scored, recipe: EvaluateRecipe, part: str) -> dict[str, Any]:
    """Choose what the recipe's bins and significance need, on these events.

    Returns
    -------
    dict
        ``part``; ``working_point``: signal efficiency asked for and ``threshold``;
        ``significance``: ``threshold``; ``resolution``: for each table of bins one number a bin;
        ``resolution_error``: its relative uncertainty, likewise.
        None for what is not asked for, does not go with the task, or cannot be chosen.
    """
    chosen: dict[str, Any] = {
        "part": part, "working_point": None, "significance": None, "resolution": None,
        "resolution_error": None,
    }  # fmt: skip
    task = scored.model.task
    if task == "regression":
        measured = [_resolutions(scored, bins) for bins in recipe.bins]
        chosen["resolution"] = [[value for value, _ in table] for table in measured]
        chosen["resolution_error"] = [[error for _, error in table] for table in measured]
    if task == "binary" and recipe.bins:
        cut = evaluate.cut_at(scored.roc, recipe.working_point)
        chosen["working_point"] = {"signal_efficiency": recipe.working_point, "threshold": cut}
    if task == "binary" and recipe.significance is not None:
        scan = evaluate.significance_scan(scored.roc, experiment_of(recipe))
        cut = evaluate.best_cut(scan)
        chosen["significance"] = None if cut is None else {"threshold": cut}
    return chosen


def experiment_of(recipe: EvaluateRecipe) -> Experiment:
    """The counting experiment of ``[evaluate.significance]``."""
    given = recipe.significance
    assert given is not None
    assert given.signal is not None  # `expected_events` has filled them in
    assert given.background is not None
    return Experiment(given.signal, given.background, given.background_uncertainty)


def _resolutions(scored: Scored, bins: BinsRecipe) -> list[tuple[float | None, float | None]]:
    """The resolution in each bin, and its relative uncertainty; None where it is not above zero."""
    labels, predictions, weights = scored.columns
    values = scored.events.extra[bins.column]
    binned = evaluate.regression_in_bins(labels, predictions, values, bins.edges, weights)
    return [
        (merit.value, merit.uncertainty / merit.value) if merit.value > 0 else (None, None)
        for merit in binned.merits["resolution"]
    ]


def evaluate_model(
    scored: Scored,
    recipe: EvaluateRecipe,
    chosen: Chosen | None,
    name: str | None = None,
    bins: bool = True,
) -> Evaluation:
    """Compute the figures of merit that go with the task of the model that scored the events.

    `chosen` has the cuts, see `choose`; without it there are no significance and no bins. `name`
    is what figures call the model.
    """
    model = scored.model
    name = name or results.name_of(model)
    in_bins = tuple(measure_in_bins(scored, recipe, chosen)) if bins and chosen else ()
    rejections, calibrations = (), ()
    match model.task:
        case "binary":
            merits, rejections, calibrations = _binary(scored, recipe, chosen, name)
        case "multiclass":
            merits, rejections, calibrations = _multiclass(scored, model.classes)
        case _:
            merits = plain_merits(scored)
    found = Evaluation(name, scored, merits, rejections, calibrations, in_bins)
    if scored.event is None:
        return found

    def measure(part: Scored) -> tuple[dict[str, Merit], Sequence[InBins]]:
        return _merits(part, recipe, chosen), (
            measure_in_bins(part, recipe, chosen) if in_bins and chosen else ()
        )

    return of_events(found, scored.event, measure)


def _merits(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen | None) -> dict[str, Merit]:
    """The merits without the curves, whose bands take longer."""
    if scored.model.task == "binary":
        error = evaluate.calibration_error(evaluate.calibration_curve(*scored.descent_columns))
        return _binary_merits(scored, recipe, chosen, error)
    if scored.model.task == "multiclass":
        curves = evaluate.roc_curves_by_class(*scored.columns, scored.model.classes)
        return _multiclass_merits(scored, curves)
    return plain_merits(scored)


def plain_merits(
    scored: Scored, recipe: EvaluateRecipe | None = None, curves: Any = None
) -> dict[str, Merit]:
    """Compute the figures of merit for which nothing is chosen or binned, of rows.

    `curves` are the ROC curves of several classes, if they are known.
    """
    model = scored.model
    match model.task:
        case "binary":
            options = recipe or EvaluateRecipe()
            efficiencies = options.signal_efficiencies
            merits = evaluate.binary_merits(*scored.columns, efficiencies, curve=scored.roc)
            if scored.events.train_weights is not None:
                merits |= _of_probabilities(evaluate.binary_merits(*scored.descent_columns, ()))
        case "multiclass":
            merits = evaluate.multiclass_merits(*scored.columns, model.classes, curves=curves)
            if scored.events.train_weights is not None:
                of_descent = evaluate.multiclass_merits(*scored.descent_columns)
                merits |= _of_probabilities(of_descent)
        case _:
            merits = evaluate.regression_merits(*scored.columns, unit=model.unit)
    return merits


_Measured = tuple[dict[str, Merit], tuple[figures.RejectionCurve, ...], tuple[Calibration, ...]]


def _binary(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen | None, name: str) -> _Measured:
    calibration = _calibrated(evaluate.calibration_curve(*scored.descent_columns, name=name))
    merits = _binary_merits(scored, recipe, chosen, calibration[1])
    rejection = figures.rejection_curve(
        scored.roc, name, merits["auc"], minimum_background=MINIMUM_BACKGROUND
    )
    return merits, (rejection,), (calibration,)


def _binary_merits(
    scored: Scored, recipe: EvaluateRecipe, chosen: Chosen | None, error: Merit
) -> dict[str, Merit]:
    merits = plain_merits(scored, recipe)
    merits[error.name] = error
    if chosen is not None and recipe.significance is not None:
        merits["significance"] = _significance(scored, recipe, chosen)
    return merits


def _of_probabilities(merits: dict[str, Merit]) -> dict[str, Merit]:
    """The merits that take a score as a probability, which it is by the weights of the descent."""
    names = ("accuracy", "binary_cross_entropy", "cross_entropy")
    return {
        name: replace(merit, definition=f"{merit.definition}; with the weights of the descent")
        for name, merit in merits.items()
        if name in names
    }


def _significance(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen) -> Merit:
    """The significance at the chosen cut."""
    if chosen["significance"] is None:
        return evaluate.undefined_merit(
            "significance",
            f"no cut can be chosen on the {chosen['part']} part: fewer than ten effective "
            "background events",
            "Asimov significance behind the cut where it is largest on other events",
        )
    labels, scores, weights = scored.columns
    cut = chosen["significance"]["threshold"]
    return evaluate.significance_at(labels, scores, cut, experiment_of(recipe), weights)


def _multiclass(scored: Scored, classes: Sequence[str]) -> _Measured:
    labels, probabilities, _ = scored.columns
    curves = evaluate.roc_curves_by_class(*scored.columns, classes)
    merits = _multiclass_merits(scored, curves)
    weights = scored.events.descent_weights
    rejections = tuple(
        figures.rejection_curve(curve, against_the_rest(name), merits[f"auc_{name}"])
        for name, curve in curves.items()
    )
    calibrations = []
    for index, name in enumerate(classes):
        of_class = evaluate.one_class(labels, probabilities, index)
        calibrations.append(_calibrated(evaluate.calibration_curve(*of_class, weights, name=name)))
    return merits, rejections, tuple(calibrations)


def _multiclass_merits(scored: Scored, curves: dict[str, Roc]) -> dict[str, Merit]:
    merits = plain_merits(scored, curves=curves)
    outcomes = evaluate.confidence_of(*scored.descent_columns)
    weights = scored.events.descent_weights
    error = evaluate.calibration_error(evaluate.calibration_curve(*outcomes, weights))
    return {**merits, error.name: error}


def _calibrated(curve: CalibrationCurve) -> Calibration:
    return curve, evaluate.calibration_error(curve)


def gain_of(model: Evaluation, baseline: Evaluation) -> dict[str, Merit]:
    """What the model adds to the baseline on the same events: AUC for two classes, and loss."""
    gains = _gains(model.scored, baseline.scored)
    if model.scored.event is None:
        return gains
    return evaluate.clustered_merits(
        gains,
        model.scored.event,
        lambda kept: _gains(model.scored.where(kept), baseline.scored.where(kept)),
    )


def _gains(model: Scored, baseline: Scored) -> dict[str, Merit]:
    labels, predictions, weights = model.columns
    other = baseline.predictions
    if model.model.task == "regression":
        merit = evaluate.mean_squared_error_gain(labels, predictions, other, weights)
        unit = model.model.unit
        return {merit.name: replace(merit, unit=f"{unit}²" if unit else None)}
    gains = {}
    if model.model.task == "binary":
        curves = model.roc, baseline.roc
        gain = evaluate.auc_difference(labels, predictions, other, weights, curves=curves)
        gains[gain.name] = gain
    labels, predictions, weights = model.descent_columns
    gain = evaluate.cross_entropy_gain(labels, predictions, other, weights)
    return {**gains, gain.name: gain}
