"""Pulls of a regressor: residuals in units of the uncertainty that was claimed for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.errors import EventsError
from steepest.evaluate.events.arrays import (
    Values,
    as_column,
    as_weights,
    check_fraction,
    check_same_length,
    first_bad_row,
)
from steepest.evaluate.merits.intervals import effective_count
from steepest.evaluate.merits.merit import ONE_SIGMA, Merit
from steepest.evaluate.merits.regression import regression_merits
from steepest.storage import derived

__all__ = ["pull_merits", "pulls"]


def pulls(truth: Any, prediction: Any, uncertainty: Any) -> Any:
    """Return the pulls gᵢ = (predictionᵢ − truthᵢ) / σᵢ.

    Where prediction and uncertainty are right, pulls have mean 0 and width 1.

    Parameters
    ----------
    truth, prediction
        Finite numbers, shape (events,).
    uncertainty
        σ, the uncertainty that is claimed for each event, shape (events,). It must not come from
        these very events: take for example the resolution in bins on the validation part.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, numbers that are not finite, and a σ that is not above 0.

    References
    ----------
    L. Demortier, L. Lyons, Everything you always wanted to know about pulls, CDF note 5776 (2002).

    Examples
    --------
    >>> pulls([10.0, 20.0], [12.0, 19.0], [2.0, 2.0]).tolist()
    [1.0, -0.5]
    """
    true, predicted = as_column(truth, "truth"), as_column(prediction, "prediction")
    check_same_length(true, predicted, "truth", "prediction")
    sigma = as_column(uncertainty, "uncertainties")
    check_same_length(true, sigma, "truth", "uncertainties")
    row = first_bad_row(sigma, lambda rows: rows <= 0)
    if row is not None:
        raise EventsError(
            f"uncertainties are not above 0: row {row}.",
            expected="a positive number for each event",
            found=f"{sigma[row : row + 1][0]:g} in row {row}",
            cause="a bin in which all predictions are exact, or a variance in place of its root",
            do="leave these events out, or widen the bin",
        )
    return derived(lambda p, t, s: (p - t) / s, predicted, true, sigma)


def pull_merits(
    values: Values, weights: Values | None = None, level: float = ONE_SIGMA
) -> dict[str, Merit]:
    """Return ``pull_mean``, 0 without a bias, and ``pull_width``, 1 if σ is right.

    ::

        mean = ⟨g⟩,     width = √[n/(n−1) ⟨(g − ⟨g⟩)²⟩],     n = (Σ w)² / Σ w²

    with the uncertainties of the bias and the resolution in `regression_merits`. That σ was itself
    measured, on other events, is not in them.

    Parameters
    ----------
    values
        Pulls, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None is 1 each.
    level
        Confidence level of the intervals.

    Raises
    ------
    EventsError
        As `regression_merits` does.
    InputError
        For a level outside (0, 1).

    References
    ----------
    As `pulls`.

    Examples
    --------
    >>> merits = pull_merits([-1.0, 0.0, 1.0])
    >>> merits["pull_mean"].value, merits["pull_width"].value
    (0.0, 1.0)
    """
    check_fraction(level, "level")
    pull = as_column(values, "pulls")
    weight = as_weights(weights, len(pull))
    none = derived(np.zeros_like, pull)
    measured = regression_merits(none, pull, weight, None, level)
    counts: dict[str, float | int] = {
        "events": len(pull),
        "events_effective": effective_count(weight),
    }
    definitions = {
        "mean": "weighted mean of (prediction - truth) / sigma; standard error of the mean",
        "width": "weighted standard deviation of (prediction - truth) / sigma; uncertainty from "
        "the scatter of the squared deviations",
    }
    merits = {}
    for short, source in (("mean", measured["bias"]), ("width", measured["resolution"])):
        name = f"pull_{short}"
        numbers = source.value, source.low, source.high, source.uncertainty
        merits[name] = Merit(
            name, *numbers, level, counts, definitions[short], reason=source.reason
        )
    return merits
