"""Confidence intervals of efficiencies, and means with their standard errors.

- `clopper_pearson` for k of n unweighted events, with at least the nominal coverage;
- `weighted_efficiency` for weighted events, including negative weights;
- `weighted_mean` for a mean over weighted events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_weights,
    check_fraction,
    check_same_length,
)
from steepest.evaluate.columns import Sums, contiguous, dot, summed, sums_of
from steepest.evaluate.merit import ONE_SIGMA, Merit, normal_quantile
from steepest.storage import AnyArray, RowsOnDisk

__all__ = [
    "Efficiency",
    "WeightedMean",
    "clopper_pearson",
    "effective_count",
    "efficiency_from_sums",
    "efficiency_merit",
    "efficiency_of",
    "small_sample_factor",
    "weighted_efficiency",
    "weighted_mean",
]


def effective_count(weights: Values) -> float:
    """Return n_eff = (Σ w)² / Σ w², the number of unweighted events of the same precision.

    Parameters
    ----------
    weights
        Event weights of any sign, shape (events,).

    References
    ----------
    L. Kish, Survey Sampling (Wiley, 1965), section 11.7.

    Examples
    --------
    >>> effective_count([2.0, 2.0, 2.0]), effective_count([1.0, 1.0, -1.0])
    (3.0, 0.3333333333333333)
    """
    array = weights if isinstance(weights, RowsOnDisk) else np.asarray(weights, dtype=np.float64)
    return sums_of(array).effective


def clopper_pearson(
    passed: ArrayLike, total: ArrayLike, level: float = ONE_SIGMA
) -> tuple[Floats, Floats]:
    """Return the Clopper–Pearson interval of the efficiency k/n.

    With α = 1 − level and B(q; a, b) the q-quantile of the beta distribution::

        low  = B(α/2; k, n − k + 1)          0 for k = 0
        high = B(1 − α/2; k + 1, n − k)      1 for k = n

    For k = 0 the interval is one-sided, [0, 1 − (α/2)^(1/n)], with α/2 on each side as for other k,
    so that the coverage is at least `level` for any true efficiency. (With all of α on one side for
    k = 0, the interval would undercover for efficiencies just above it.)

    Parameters
    ----------
    passed, total
        k and n, of any equal shape; effective (non-integer) counts are allowed.
    level
        Confidence level, 0 < level < 1.

    Returns
    -------
    low, high
        float64 arrays of the same shape; [0, 1] if n = 0.

    Raises
    ------
    InputError
        Unless 0 ≤ k ≤ n, and 0 < level < 1.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404, doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 100, level=0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0, 0.0362)
    """
    from scipy.special import betaincinv

    check_fraction(level, "level")
    k, n = np.broadcast_arrays(np.asarray(passed, np.float64), np.asarray(total, np.float64))
    bad = ~((k >= 0) & (k <= n))
    if bad.any():
        first = int(np.argmax(bad.ravel()))
        raise InputError(
            "an efficiency needs counts with 0 <= passed <= total.",
            expected="passed between 0 and total",
            found=f"passed {k.ravel()[first]:g}, total {n.ravel()[first]:g}",
            cause="passed and total swapped, or sums of negative weights",
            do="use weighted_efficiency for weighted events",
        )
    tail = (1 - level) / 2
    k_inside, failed_inside = np.where(k > 0, k, 1.0), np.where(k < n, n - k, 1.0)
    low = np.where(k > 0, betaincinv(k_inside, n - k + 1, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1, failed_inside, 1 - tail), 1.0)
    return low, high


@dataclass(frozen=True, slots=True)
class Efficiency:
    """An efficiency with its interval: floats, or arrays of equal shape.

    Attributes
    ----------
    value
        ε = Σ_passed w / Σ w; outside [0, 1] only because of negative weights.
    low, high
        Interval within [0, 1].
    uncertainty
        Standard deviation of ε.
    passed_effective, total_effective
        k and n of the interval.
    """

    value: Any
    low: Any
    high: Any
    uncertainty: Any
    passed_effective: Any
    total_effective: Any


def weighted_efficiency(
    passed: Values, weights: Values | None = None, level: float = ONE_SIGMA
) -> Efficiency:
    """Return ε = Σ_passed w / Σ w with its interval; see `efficiency_from_sums`.

    Parameters
    ----------
    passed
        Whether each event passes, bool, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.
    level
        Confidence level, 0 < level < 1.

    Raises
    ------
    EventsError
        For lengths that differ, weights that are not finite or have no positive sum.

    Examples
    --------
    >>> efficiency = weighted_efficiency([True, True, False, False])
    >>> round(float(efficiency.low), 3), efficiency.value, round(float(efficiency.high), 3)
    (0.185, 0.5, 0.815)
    """
    mask = passed if isinstance(passed, RowsOnDisk) else np.asarray(passed, dtype=bool)
    checked = as_weights(weights, len(mask))
    check_same_length(mask, checked, "events", "weights")
    return efficiency_of(sums_of(checked, mask), sums_of(checked), level)


def efficiency_of(passed: Sums, total: Sums, level: float = ONE_SIGMA) -> Efficiency:
    """Return one efficiency with its interval, as floats; see `efficiency_from_sums`."""
    result = efficiency_from_sums(passed.weight, passed.squares, total.weight, total.squares, level)
    return Efficiency(*(float(getattr(result, name)) for name in Efficiency.__slots__))


def efficiency_merit(
    name: str,
    efficiency: Efficiency,
    definition: str,
    counts: dict[str, float | int],
    level: float = ONE_SIGMA,
) -> Merit:
    """Return an efficiency, of floats, as a merit."""
    interval = efficiency.value, efficiency.low, efficiency.high, efficiency.uncertainty
    return Merit(name, *interval, level, counts, definition)


def efficiency_from_sums(
    passed_sum: ArrayLike,
    passed_squares: ArrayLike,
    total_sum: ArrayLike,
    total_squares: ArrayLike,
    level: float = ONE_SIGMA,
) -> Efficiency:
    """Return weighted efficiencies and their intervals from Σ w and Σ w².

    With P, Q the sums of w and w² over the passing events, T, R those over all events::

        ε      = P / T
        Var(ε) = [(1 − ε)² Q + ε² (R − Q)] / T²
        n      = ε (1 − ε) / Var(ε)      events of a binomial with this variance
        k      = ε n

    and the interval is the Clopper–Pearson interval for k of n. Equal weights reproduce the raw
    counts. For ε → 0, k is the effective number of passing events, P²/Q. If no event or all events
    pass, n = T²/R. If weights cancel so far that k or n − k is below ½ (impossible with positive
    weights), the interval is ε ± zσ with ε first clipped to [0, 1], and is itself clipped to
    [0, 1].
    """
    P, Q = np.asarray(passed_sum, np.float64), np.asarray(passed_squares, np.float64)
    T, R = np.asarray(total_sum, np.float64), np.asarray(total_squares, np.float64)
    value = P / T
    variance = ((1 - value) ** 2 * Q + value**2 * np.maximum(R - Q, 0)) / T**2
    rounding = 1e-12 * R  # rounding error of sums over many events
    trivial = (rounding >= Q) | (R - rounding <= Q) | (variance <= 0)
    inside = np.clip(value, 0, 1)
    binomial = inside * (1 - inside) / np.where(variance > 0, variance, 1.0)
    n = np.where(trivial, T**2 / R, binomial)
    k = inside * n
    cancelled = ~trivial & ((k < 0.5) | (n - k < 0.5))
    low, high = clopper_pearson(k, n, level)
    half = normal_quantile(level) * np.sqrt(variance)
    low = np.where(cancelled, np.maximum(inside - half, 0), low)
    high = np.where(cancelled, np.minimum(inside + half, 1), high)
    return Efficiency(value, low, high, np.sqrt(variance), k, n)


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """A weighted mean, its standard error (NaN below two effective events), and n_eff."""

    value: float
    uncertainty: float
    n_effective: float


def weighted_mean(values: AnyArray, weights: AnyArray) -> WeightedMean:
    """Return m = Σ w x / Σ w with its standard error.

    ::

        σ² = n / (n − 1) · Σ w² (x − m)² / (Σ w)²,     n = (Σ w)² / Σ w²

    which is s²/n for equal weights. Weights are those of independent events, not repetition counts.

    References
    ----------
    W. G. Cochran, Sampling Techniques, 3rd ed. (Wiley, 1977), chapter 6 (ratio estimators).

    Examples
    --------
    >>> mean = weighted_mean(np.array([1.0, 3.0]), np.ones(2))
    >>> mean.value, round(mean.uncertainty, 12)
    (2.0, 1.0)
    """
    total = summed(weights)
    value = dot(weights, values) / total
    scatter = 0.0
    for w, x in contiguous(weights, values):
        residual = w * (x - value)
        scatter += float(np.square(residual).sum())
    n = effective_count(weights)
    return WeightedMean(value, math.sqrt(scatter) / total * small_sample_factor(n), n)


def small_sample_factor(n_effective: float) -> float:
    """Return √(n / (n − 1)), or NaN for n ≤ 1, where a spread is undefined."""
    if n_effective <= 1 + 1e-12:
        return math.nan
    return math.sqrt(n_effective / (n_effective - 1))
