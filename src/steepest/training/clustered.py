"""Intervals of an evaluation whose rows come in events: of its merits and its curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest import evaluate
from steepest.evaluate import ONE_SIGMA, Merit, Roc
from steepest.evaluate.columns import first_reaching
from steepest.storage import AnyArray
from steepest.training.bins import InBins
from steepest.training.scored import Scored

if TYPE_CHECKING:
    from steepest.training.evaluation import Evaluation

Measure = Callable[[Scored], "tuple[Mapping[str, Merit], Sequence[InBins]]"]
Curves = dict[str, np.ndarray]
"""Values along each curve, by what it is called here."""


def of_events(found: Evaluation, event: AnyArray, measure: Measure) -> Evaluation:
    """Return the evaluation with intervals that take events as the unit, and not their rows.

    Parameters
    ----------
    found
        With intervals of rows.
    event
        The event of each row.
    measure
        The merits of some of the rows, and those in bins.
    """

    def without(kept: np.ndarray) -> dict[str, Merit]:
        part = found.scored.where(kept)
        merits, bins = measure(part)
        points = {
            name: Merit(name, float(value), 0.0, 0.0, 0.0, ONE_SIGMA, {}, "")
            for curve, values in _curves(found, part).items()
            for name, value in zip(_names(curve, values), values, strict=True)
        }
        return {**merits, **_flat(bins), **points}

    given = {**found.merits, **_flat(found.bins), **_points(found)}
    merits = evaluate.clustered_merits(given, event, without)
    bins = tuple(
        replace(each, merits=replace(each.merits, merits={
            name: tuple(merits[_in_bin(each, name, i)] for i in range(len(values)))
            for name, values in each.merits.merits.items()
        }))
        for each in found.bins
    )  # fmt: skip

    def ends(curve: str, values: np.ndarray) -> dict[str, np.ndarray]:
        of_points = [merits[name] for name in _names(curve, values)]
        return {end: np.array([getattr(m, end) for m in of_points]) for end in ("low", "high")}

    return replace(
        found,
        merits={name: merits[name] for name in found.merits},
        bins=bins,
        rejections=tuple(
            replace(
                curve,
                auc=None if curve.auc is None else merits[curve.auc.name],
                **ends(_rejection(k), curve.rejection),
            )
            for k, curve in enumerate(found.rejections)
        ),
        calibrations=tuple(
            (
                replace(curve, **ends(_calibration(k), curve.fraction)),
                merits.get(error.name, error),
            )
            for k, (curve, error) in enumerate(found.calibrations)
        ),
    )


def confusion_of(scored: Scored) -> evaluate.ConfusionMatrix:
    """Return the confusion matrix, with intervals of events where these have several rows."""
    matrix = _confusion(scored)
    if scored.event is None:
        return matrix
    cells = evaluate.clustered_merits(
        _cells(matrix), scored.event, lambda kept: _cells(_confusion(scored.where(kept)))
    )
    low, high = matrix.low.copy(), matrix.high.copy()
    for place in np.ndindex(low.shape):
        if (cell := cells.get(_cell(place))) is not None:
            low[place], high[place] = cell.low, cell.high
    return replace(matrix, low=low, high=high)


def _confusion(scored: Scored) -> evaluate.ConfusionMatrix:
    return evaluate.confusion_matrix(*scored.columns, scored.model.classes)


def _cells(matrix: evaluate.ConfusionMatrix) -> dict[str, Merit]:
    """Return the fractions as merits; of a class without events there are none."""
    found = {}
    for place in np.ndindex(matrix.sums.shape):
        value, low, high = (
            float(each[place]) for each in (matrix.fractions, matrix.low, matrix.high)
        )
        if np.isfinite(value):
            ends = value, low, high, (high - low) / 2
            found[_cell(place)] = Merit(_cell(place), *ends, ONE_SIGMA, {}, "")
    return found


def _cell(place: tuple[int, ...]) -> str:
    return f"efficiency {place}"  # a share, between 0 and 1


def _points(found: Evaluation) -> dict[str, Merit]:
    """Return the points of the curves with their intervals, as merits."""
    curves = {_rejection(k): (c.rejection, c.low, c.high) for k, c in enumerate(found.rejections)}
    curves |= {
        _calibration(k): (c.fraction, c.low, c.high) for k, (c, _) in enumerate(found.calibrations)
    }
    return {
        name: Merit(name, value, low, high, (high - low) / 2, ONE_SIGMA, {}, "")
        for curve, columns in curves.items()
        for name, (value, low, high) in zip(
            _names(curve, columns[0]), np.transpose(columns).tolist(), strict=True
        )
    }


def _curves(found: Evaluation, part: Scored) -> Curves:
    """Return the curves of a part of the rows, at the places where those of all rows are."""
    curves, rocs = Curves(), _rocs(part)
    for k, curve in enumerate(found.rejections):
        roc = rocs.get(curve.name) or rocs.get("")
        if roc is not None:
            at = first_reaching(roc.signal_efficiency, curve.signal_efficiency - 1e-12)
            with np.errstate(divide="ignore"):
                curves[_rejection(k)] = 1 / roc.background_efficiency[at]
    classes = part.model.classes
    for k, (curve, _) in enumerate(found.calibrations):
        labels, predicted, weights = part.descent_columns
        if len(found.calibrations) > 1:
            labels, predicted = evaluate.one_class(labels, predicted, classes.index(curve.name))
        bins = len(curve.edges) - 1
        curves[_calibration(k)] = evaluate.calibration_curve(
            labels, predicted, weights, bins=bins
        ).fraction
    return curves


def _rocs(scored: Scored) -> dict[str, Roc]:
    """Return the ROC curves by the names of their figures; of two classes by the empty one."""
    if scored.model.task == "binary":
        return {"": scored.roc}
    if scored.model.task == "regression":
        return {}
    found = evaluate.roc_curves_by_class(*scored.columns, scored.model.classes)
    return {against_the_rest(name): roc for name, roc in found.items()}


def against_the_rest(name: str) -> str:
    """Return what figures call the curve of a class."""
    return f"{name} against the rest"


def _names(curve: str, values: Any) -> list[str]:
    return [f"{curve} {i}" for i in range(len(values))]


def _rejection(number: int) -> str:
    return f"rejection {number}"


def _calibration(number: int) -> str:
    return f"efficiency {number}"  # a share, between 0 and 1


def _flat(in_bins: Sequence[InBins]) -> dict[str, Merit]:
    """Return the merits of all bins, by a name for each."""
    return {
        _in_bin(each, name, index): merit
        for each in in_bins
        for name, merits in each.merits.merits.items()
        for index, merit in enumerate(merits)
    }


def _in_bin(each: InBins, name: str, index: int) -> str:
    return f"{name} in {each.figure} {index}"
