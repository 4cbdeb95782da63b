"""Figures of merit of regressors: bias, resolution, mean squared error, R², and pulls.

- `regression_merits` for predictions against the truth;
- `pulls` and `pull_merits` if each prediction has an uncertainty.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_array,
    as_column,
    as_pair,
    as_weights,
    check_rows,
    check_same_length,
)
from steepest.evaluate.columns import extent, first_reaching, running, sorted_together
from steepest.evaluate.intervals import (
    Spread,
    effective_count,
    small_sample_factor,
    spread_merit,
    weighted_mean,
    widened,
)
from steepest.evaluate.merit import ONE_SIGMA, Merit
from steepest.storage import AnyArray, blocks, derived
from steepest.storage import total as summed

_NEEDS_TWO = "the uncertainty needs more than one effective event"


def regression_merits(
    truth: Values,
    prediction: Values,
    weights: Values | None = None,
    unit: str | None = None,
) -> dict[str, Merit]:
    """Return the figures of merit of a regressor, by name.

    With the residuals rᵢ = predictionᵢ − truthᵢ, weighted means ⟨·⟩ and n = (Σw)²/Σw²::

        bias                b  = ⟨r⟩
        resolution          s  = √[n/(n−1) ⟨(r − b)²⟩]
        robust_resolution   (q₈₄.₁₃ − q₁₅.₈₇) / 2, half the width of the central 68.27 % of r
        mean_squared_error  M  = ⟨r²⟩
        r_squared           R² = 1 − M / V,     V = ⟨(truth − ⟨truth⟩)²⟩

    Uncertainties: for b and M, the standard error of a weighted mean. For s, σ(s) = σ(s²)/2s from
    the scatter of (r − b)², valid for residuals of any shape. Those of M and s are widened for
    few events (`widened`). For the robust resolution, Woodruff's
    uncertainty of the quantiles (the spread between the quantiles at p ± √(p(1−p)/n)), with their
    correlation. For R², the propagated uncertainties of M and V, with their covariance.

    Parameters
    ----------
    truth, prediction
        Finite numbers, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.
    unit
        Unit of the truth, such as "GeV".

    Raises
    ------
    EventsError
        For shapes or lengths that differ, numbers that are not finite, weights without a positive
        sum.

    References
    ----------
    H. Cramér, Mathematical Methods of Statistics (Princeton, 1946), chapters 27 and 28;
    R. S. Woodruff, J. Am. Stat. Assoc. 47 (1952) 635, doi:10.1080/01621459.1952.10483443.

    Examples
    --------
    >>> merits = regression_merits([1.0, 2.0, 3.0], [1.5, 2.0, 4.0], unit="GeV")
    >>> merits["bias"].format()
    '0.50 ± 0.38 GeV'
    """
    true, predicted = as_pair(truth, prediction)
    weight = as_weights(weights, len(true))
    residual = derived(np.subtract, predicted, true)
    counts = _counts(weight)
    measured = {
        "bias": _mean(residual, weight),
        "resolution": _resolution(residual, weight),
        "robust_resolution": _robust_resolution(residual, weight),
        "mean_squared_error": _mean_square(residual, weight),
        "r_squared": _r_squared(true, residual, weight),
    }
    units = {"r_squared": None, "mean_squared_error": f"{unit}²" if unit else None}
    return {
        name: replace(
            spread_merit(name, value, spread, _DEFINITIONS[name], counts, reason),
            unit=units.get(name, unit),
        )
        for name, (value, spread, reason) in measured.items()
    }


def r_squared(
    truth: Values,
    prediction: Values,
    weights: Values | None = None,
) -> Merit:
    """Return R² of `regression_merits`, which the history and `Regressor.score` have too.

    Examples
    --------
    >>> r_squared([1.0, 2.0, 3.0], [1.5, 2.0, 4.0]).value
    0.375
    """
    true, predicted = as_pair(truth, prediction)
    weight = as_weights(weights, len(true))
    value, spread, reason = _r_squared(true, derived(np.subtract, predicted, true), weight)
    definition, counts = _DEFINITIONS["r_squared"], _counts(weight)
    return spread_merit("r_squared", value, spread, definition, counts, reason)


_DEFINITIONS = {
    "bias": "weighted mean of prediction - truth; standard error of the mean",
    "resolution": "weighted standard deviation of prediction - truth; uncertainty from the scatter "
    "of the squared deviations",
    "robust_resolution": "half the width of the central 68.27 % of prediction - truth; Woodruff's "
    "uncertainty of the two quantiles, with their correlation",
    "mean_squared_error": "weighted mean of (prediction - truth)^2; standard error of the mean",
    "r_squared": "1 - mean squared error / variance of the truth; uncertainty by propagation, with "
    "the covariance of the two",
}

_Measured = tuple[float, Spread, str | None]
"""Value, spread, and the reason why one of them is not finite."""
_UNKNOWN = Spread(math.nan, 1.0)


def _counts(weights: AnyArray) -> dict[str, float | int]:
    return {"events": len(weights), "events_effective": effective_count(weights)}


def _mean(values: AnyArray, weights: AnyArray) -> _Measured:
    mean = weighted_mean(values, weights)
    return mean.value, mean.spread, None if mean.spread.variance >= 0 else _NEEDS_TWO


FOR_SQUARE, FOR_WIDTH, FOR_QUANTILES = 1.5, 2.5, -1.5
"""By so much over n events are the uncertainties of a mean square, of a width and of half the width
of two quantiles larger; the last is too large, since quantiles spread faster further out."""


def _mean_square(residual: AnyArray, weights: AnyArray) -> _Measured:
    value, spread, reason = _mean(derived(np.square, residual), weights)
    return value, widened(spread, weights, FOR_SQUARE), reason


def _resolution(residual: AnyArray, weights: AnyArray) -> _Measured:
    factor = small_sample_factor(effective_count(weights))
    variance = weighted_mean(_squared_deviation(residual, weights), weights)
    if math.isnan(factor) or variance.value < 0:
        reason = "one effective event, or negative weights, give no positive variance"
        return math.nan, _UNKNOWN, reason
    value = factor * math.sqrt(variance.value)
    slope = factor**2 / (2 * value) if value > 0 else 0.0
    return value, widened(variance.spread.scaled(slope), weights, FOR_WIDTH), None


def _squared_deviation(values: AnyArray, weights: AnyArray) -> AnyArray:
    mean = weighted_mean(values, weights).value
    return derived(lambda rows: (rows - mean) ** 2, values)


def weighted_quantile(values: AnyArray, weights: AnyArray, fractions: ArrayLike) -> Floats:
    """Return the smallest values at which the cumulative weight reaches the given fractions.

    With negative weights the sum may cross a fraction several times; the first crossing from below
    is used.

    Examples
    --------
    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5).item()
    2.0
    """
    ordered, beside = sorted_together(values, weights)
    total = summed(weights)
    wanted = np.clip(np.asarray(fractions, dtype=np.float64), 0, 1) * total - 1e-12 * total
    wanted = np.maximum(wanted, 0)
    first = first_reaching(running(beside, from_zero=False), wanted.ravel())
    return ordered[first].reshape(wanted.shape)


def _robust_resolution(residual: AnyArray, weights: AnyArray) -> _Measured:
    n = effective_count(weights)
    low_fraction = (1 - ONE_SIGMA) / 2
    high_fraction = 1 - low_fraction
    spread = math.sqrt(low_fraction * high_fraction / n)
    steps = np.array([-spread, 0.0, spread])
    fractions = np.array([low_fraction + steps, high_fraction + steps])
    low, high = weighted_quantile(residual, weights, fractions)
    low_error, high_error = (low[2] - low[0]) / 2, (high[2] - high[0]) / 2
    correlation = low_fraction / high_fraction  # of the two sample quantiles, Cramér chapter 28
    variance = low_error**2 + high_error**2 - 2 * correlation * low_error * high_error
    value = float(high[1] - low[1]) / 2
    if n * low_fraction > 1:
        return value, widened(Spread(variance / 4, math.inf), weights, FOR_QUANTILES), None
    return value, _UNKNOWN, "the uncertainty needs an effective event in each tail"


def _r_squared(truth: AnyArray, residual: AnyArray, weights: AnyArray) -> _Measured:
    square, deviation = derived(np.square, residual), _squared_deviation(truth, weights)
    error, variance = (weighted_mean(values, weights) for values in (square, deviation))
    if not variance.value > 0 or math.isclose(*extent(truth), rel_tol=1e-14):
        return math.nan, _UNKNOWN, "the truth has no positive variance"
    ratio = error.value / variance.value
    influence = derived(  # of mean zero by construction
        lambda r2, d2: (r2 - ratio * d2) / variance.value, square, deviation
    )
    _, spread, reason = _mean(influence, weights)
    return 1 - ratio, spread, reason


def pulls(truth: Any, prediction: Any, uncertainty: Any) -> Any:
    """Return the pulls gᵢ = (predictionᵢ − truthᵢ) / σᵢ.

    If the prediction is unbiased and σ is correct, pulls have mean 0 and width 1.

    Parameters
    ----------
    truth, prediction
        Finite numbers, shape (events,).
    uncertainty
        σ, the uncertainty of each prediction, shape (events,). It must not be derived from the same
        events. Use for example the resolution in bins on the validation part.

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
    true, predicted = as_pair(truth, prediction)
    sigma = as_column(uncertainty, "uncertainties")
    check_same_length(true, sigma, "truth", "uncertainties")
    check_rows(
        sigma,
        lambda rows: rows <= 0,
        "uncertainties are not above 0",
        expected="a positive number for each event",
        cause="a bin in which all predictions are exact, or a negative uncertainty",
        do="leave these events out, or widen the bin",
    )
    return derived(lambda p, t, s: (p - t) / s, predicted, true, sigma)


def pull_merits(
    values: Values,
    weights: Values | None = None,
    shared: tuple[Values, ArrayLike] | None = None,
) -> dict[str, Merit]:
    """Return ``pull_mean``, 0 without a bias, and ``pull_width``, 1 if σ is correct.

    ::

        mean = ⟨g⟩,     width = √[n/(n−1) ⟨(g − ⟨g⟩)²⟩],     n = (Σ w)² / Σ w²

    with the uncertainties of the bias and the resolution in `regression_merits`. If the events of a
    group b share one σ with the relative uncertainty δ_b, such as a resolution measured in a bin,
    these are added in quadrature::

        Σ_b δ_b² [(Σ_b w g / Σ w)² − its variance]     where that is positive, and
        Σ_b (δ_b Σ_b w (g − ⟨g⟩)² / Σ w)² / width²

    Parameters
    ----------
    values
        Pulls, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.
    shared
        The group 0, 1, … of each event, shape (events,), and δ of each group; None if σ is known
        exactly.

    Raises
    ------
    EventsError
        As `regression_merits` does.

    References
    ----------
    As `pulls`.

    Examples
    --------
    >>> merits = pull_merits([-1.0, 0.0, 1.0])
    >>> merits["pull_mean"].value, merits["pull_width"].value
    (0.0, 1.0)
    """
    pull = as_column(values, "pulls")
    weight = as_weights(weights, len(pull))
    counts = _counts(weight)
    mean, spread, reason = _mean(pull, weight)
    width, spread_width, reason_width = _resolution(pull, weight)
    if shared is not None:
        sums = _sums_in_groups(pull, weight, mean, *shared) / summed(weight)
        own = np.array([[spread.variance], [0.0]])  # what the sums of a mean of 0 fluctuate by
        squares = np.maximum(np.square(sums) - own * _shares(weight, *shared), 0)
        variance = (squares * np.square(np.asarray(shared[1], np.float64))).sum(axis=1)
        spread += Spread(float(variance[0]), math.inf)
        spread_width += Spread(float(variance[1]) / width**2 if width > 0 else 0.0, math.inf)
    known = "" if shared is None else ", and the uncertainty of sigma"
    definitions = (
        f"weighted mean of (prediction - truth) / sigma; standard error of the mean{known}",
        "weighted standard deviation of (prediction - truth) / sigma; uncertainty from the scatter "
        f"of the squared deviations{known}",
    )
    measured = ((mean, spread, reason), (width, spread_width, reason_width))
    return {
        name: spread_merit(name, value, error, definition, counts, why)
        for name, (value, error, why), definition in zip(
            ("pull_mean", "pull_width"), measured, definitions, strict=True
        )
    }


def _shares(weight: AnyArray, groups: Values, errors: ArrayLike) -> Floats:
    """Return the share of Σ w² of each group."""
    size = np.size(errors)
    squares = np.zeros(size)
    for of, w in blocks(as_array(groups, np.intp), weight):
        squares += np.bincount(of, w**2, size)
    return squares / squares.sum()


def _sums_in_groups(
    pull: AnyArray, weight: AnyArray, mean: float, groups: Values, errors: ArrayLike
) -> Floats:
    """Return Σ w g and Σ w (g − mean)² of each group, shape (2, groups)."""
    size = np.size(errors)
    return np.sum(
        [
            [np.bincount(of, w * each, size) for each in (g, (g - mean) ** 2)]
            for of, w, g in blocks(as_array(groups, np.intp), weight, pull)
        ],
        axis=0,
    )
