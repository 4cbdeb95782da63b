"""By how much one model's loss is lower than another's, on the same events."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from steepest.evaluate.arrays import (
    Values,
    as_array,
    as_column,
    as_probabilities,
    as_weights,
    check_same_length,
)
from steepest.evaluate.intervals import spread_merit, weighted_mean
from steepest.evaluate.merit import Merit
from steepest.storage import AnyArray, derived

SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities are not taken as smaller."""


def cross_entropy_gain(
    labels: Values, first: Values, second: Values, weights: Values | None = None
) -> Merit:
    """Return H(second) − H(first), the cross entropies of two classifiers on the same events.

    ::

        H = −Σ wᵢ log p(yᵢ) / Σ wᵢ

    It is above zero if the first is better. The uncertainty is the standard error of the mean
    difference of each event, so what both find hard cancels: it is usually much smaller than for
    two independent samples.

    Parameters
    ----------
    labels
        Class numbers, shape (events,); with scores of two classes 0 or 1.
    first, second
        Scores, shape (events,), or probabilities, shape (events, K).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.

    Raises
    ------
    EventsError
        For lengths that differ, or values that are not finite.

    Examples
    --------
    >>> cross_entropy_gain([0, 1, 1], [0.2, 0.8, 0.9], [0.4, 0.6, 0.5]).format()
    '0.39 ± 0.13'
    """
    label = as_column(labels, "labels")
    one, two = (_log_of_true(label, p, name) for p, name in ((first, "first"), (second, "second")))
    definition = (
        "mean over the events of log(probability of the true class), less that of the other model; "
        "standard error of the mean difference"
    )
    return _gain("cross_entropy_gain", derived(np.subtract, one, two), weights, definition)


def mean_squared_error_gain(
    truth: Values, first: Values, second: Values, weights: Values | None = None
) -> Merit:
    """Return M(second) − M(first), the mean squared errors of two models on the same events.

    It is above zero if the first is better, see `cross_entropy_gain`.

    Parameters
    ----------
    truth, first, second
        Finite numbers, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.

    Raises
    ------
    EventsError
        For lengths that differ, or values that are not finite.

    Examples
    --------
    >>> mean_squared_error_gain([0.0, 1.0, 2.0], [0.1, 1.1, 2.0], [0.5, 1.0, 1.0]).value
    0.41
    """
    true = as_column(truth, "truth")
    of_first, of_second = (as_column(each, "predictions") for each in (first, second))
    for each in (of_first, of_second):
        check_same_length(true, each, "truth", "predictions")
    less = derived(lambda y, a, b: (b - y) ** 2 - (a - y) ** 2, true, of_first, of_second)
    definition = (
        "mean over the events of the squared error of the other model, less that of this one; "
        "standard error of the mean difference"
    )
    return _gain("mean_squared_error_gain", less, weights, definition)


def _log_of_true(label: AnyArray, probabilities: Values, which: str) -> AnyArray:
    array = as_array(probabilities)
    checked = as_probabilities(array, f"{which} probabilities", array.ndim)
    check_same_length(label, checked, "labels", f"{which} probabilities")

    def log(of: Any, p: Any) -> Any:
        classes = of.astype(np.intp)
        true = np.where(classes, p, 1 - p) if p.ndim == 1 else p[np.arange(len(p)), classes]
        return np.log(np.maximum(true, SMALLEST))

    return derived(log, label, checked)


def _gain(name: str, of_events: AnyArray, weights: Values | None, definition: str) -> Merit:
    mean = weighted_mean(of_events, as_weights(weights, len(of_events)))
    counts: dict[str, float | int] = {
        "events": len(of_events),
        "events_effective": mean.n_effective,
    }
    unknown = "the uncertainty needs more than one effective event"
    reason = unknown if math.isnan(mean.uncertainty) else None
    return spread_merit(name, mean.value, mean.spread, definition, counts, reason=reason)
