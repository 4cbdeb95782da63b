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
from steepest.evaluate.columns import Sums, contiguous, dot, sums_of
from steepest.evaluate.merit import ONE_SIGMA, Merit, defined, normal_quantile
from steepest.storage import AnyArray, RowsOnDisk, derived
from steepest.storage import total as summed


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
        ε n and n = ε (1 − ε) / Var(ε), the binomial of this variance; raw counts for equal weights.
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
    (0.278, 0.5, 0.722)
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
) -> Merit:
    """Return an efficiency, of floats, as a merit."""
    interval = efficiency.value, efficiency.low, efficiency.high, efficiency.uncertainty
    return Merit(name, *interval, ONE_SIGMA, counts, defined(definition, counts))


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

    For the interval, half an event of the typical weight c = R/T is added to the events that pass
    and half a one to those that fail; with ε', Var' of these sums::

        n = ε' (1 − ε') / Var',   k = ε' n,   [B(α/2; k, n − k), B(1 − α/2; k, n − k)]

    where B is the quantile of the beta distribution. For equal weights this is the Jeffreys
    interval, whose mean coverage is the nominal one. If no event passes, the interval begins at 0
    and ends at the limit 1 − (α/2)^(1/n), n = T²/R; if all events pass, likewise at 1. Where
    negative weights leave P or T − P below −0.4 c, the interval is ε ± zσ, clipped to [0, 1].

    References
    ----------
    L. D. Brown, T. T. Cai, A. DasGupta, Statistical Science 16 (2001) 101,
    doi:10.1214/ss/1009213286: the modified Jeffreys interval.
    """
    from scipy.special import betaincinv

    P, Q = (np.asarray(a, np.float64) for a in (passed_sum, passed_squares))
    T, R = np.asarray(total_sum, np.float64), np.asarray(total_squares, np.float64)
    value = P / T
    variance = ((1 - value) ** 2 * Q + value**2 * np.maximum(R - Q, 0)) / T**2
    c = R / T
    k, failed = beta_of_sums(P, Q, T, R)
    tail = (1 - level) / 2
    low, high = betaincinv(k, failed, tail), betaincinv(k, failed, 1 - tail)
    rounding = 1e-12 * R  # rounding error of sums over many events
    none, every = rounding >= Q, R - rounding <= Q
    limit = tail ** (R / T**2)  # the power 1/n
    physical = np.clip(value, 0, 1)
    low = np.where(none, 0.0, np.where(every, limit, np.minimum(low, physical)))
    high = np.where(every, 1.0, np.where(none, 1 - limit, np.maximum(high, physical)))
    # only with negative weights: so little is left that the beta distribution degenerates
    cancelled = np.minimum(P, T - P) < -0.4 * c
    half = normal_quantile(level) * np.sqrt(variance)
    low = np.where(cancelled, np.maximum(physical - half, 0), low)
    high = np.where(cancelled, np.minimum(physical + half, 1), high)
    trivial = none | every | (variance <= 0)
    total = np.where(trivial, T**2 / R, physical * (1 - physical) / np.where(trivial, 1, variance))
    return Efficiency(value, low, high, np.sqrt(variance), physical * total, total)


def beta_of_sums(P: Any, Q: Any, T: Any, R: Any) -> tuple[Any, Any]:
    """Return k and n − k of the beta distribution of an efficiency; see `efficiency_from_sums`.

    Examples
    --------
    >>> [round(float(each), 9) for each in beta_of_sums(3.0, 3.0, 10.0, 10.0)]
    [3.5, 7.5]
    """
    c = R / T
    inside = np.clip((P + c / 2) / (T + c), 1e-9, 1 - 1e-9)
    smooth = (1 - inside) ** 2 * (Q + c**2 / 2) + inside**2 * (np.maximum(R - Q, 0) + c**2 / 2)
    n = inside * (1 - inside) * (T + c) ** 2 / smooth
    return inside * n, (1 - inside) * n


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of an estimate, and the degrees of freedom with which it is known.

    With hᵢ the change of the estimate when event i is left out, σ² = (n − 1)/n Σ hᵢ² is the
    jackknife's variance, and ν = 2 (Σ h²)² / (Σ h⁴ − (Σ h²)²/n) that of the χ² distribution with
    the relative variance that Σ h² has (Satterthwaite), at most n − 1. An interval of Student's t
    with ν degrees of freedom keeps its coverage for few events and for weights of a wide spread.

    References
    ----------
    B. Efron, C. Stein, Annals of Statistics 9 (1981) 586, doi:10.1214/aos/1176345462;
    F. E. Satterthwaite, Biometrics Bulletin 2 (1946) 110, doi:10.2307/3002019.
    """

    variance: float
    freedom: float

    @classmethod
    def of(cls, squares: float, fourth: float, events: float) -> Spread:
        """Return the spread for Σ h², Σ h⁴ and n."""
        if not events > 1 or not math.isfinite(squares):
            return cls(math.nan, 1.0)
        scatter = fourth - squares**2 / events
        freedom = 2 * squares**2 / scatter if scatter > 1e-9 * squares**2 / events else math.inf
        return cls(squares * (events - 1) / events, min(max(freedom, 1.0), events - 1))

    def __add__(self, other: Spread) -> Spread:
        """Return the spread of a sum of independent estimates (Welch)."""
        variance = self.variance + other.variance
        divisor = self.variance**2 / self.freedom + other.variance**2 / other.freedom
        return Spread(variance, variance**2 / divisor if divisor > 0 else math.inf)

    def scaled(self, factor: float) -> Spread:
        """Return the spread of the estimate times a factor."""
        return Spread(self.variance * factor**2, self.freedom)

    def less(self, excess: float) -> Spread:
        """Return the spread without a known excess of its variance, at most a quarter of it."""
        return Spread(max(self.variance - excess, 0.75 * self.variance), self.freedom)

    @property
    def uncertainty(self) -> float:
        """σ."""
        return math.sqrt(self.variance)

    def half_width(self, level: float = ONE_SIGMA) -> float:
        """Return half the width of the interval at this level."""
        from scipy.special import stdtrit

        if not self.variance > 0:
            return self.uncertainty
        if math.isinf(self.freedom):
            return normal_quantile(level) * self.uncertainty
        return float(stdtrit(self.freedom, (1 + level) / 2)) * self.uncertainty


MOST_LEVERAGE = 0.9
"""A single event counts as at most this share of the sum of weights in a `Spread`."""


def leverage(weights: Any, total: Any) -> Any:
    """Return w / (W − w), the influence of an event of residual 1 on a mean."""
    return weights / np.maximum(total - weights, (1 - MOST_LEVERAGE) * total)


def spread_of(residuals: AnyArray, weights: AnyArray) -> Spread:
    """Return the spread of a weighted mean, for the residuals about it."""
    total = summed(weights)
    squares, fourth, events = 0.0, 0.0, 0
    for r, w in contiguous(residuals, weights):
        h2 = np.square(leverage(w, total) * r)
        squares += float(h2.sum())
        fourth += float(np.square(h2).sum())
        events += int(np.count_nonzero(w))
    known = effective_count(weights) > 1 + 1e-12
    return Spread.of(squares, fourth, events) if known else Spread(math.nan, 1.0)


def widened(spread: Spread, weights: AnyArray, of_one_event: float) -> Spread:
    """Return the spread of a mean of squares, times 1 + `of_one_event` / n.

    The variance of a mean of squares is known from fourth powers, which a few events underestimate
    where it matters: n = (Σ|w|)² / Σw². The factors are chosen with toy experiments, see
    ``docs/figures-of-merit.md``.
    """
    sums = sums_of(weights)
    return spread.scaled(1 + of_one_event * sums.squares / sums.absolute**2)


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """A weighted mean, its spread (NaN below two effective events), and n_eff."""

    value: float
    spread: Spread
    n_effective: float

    @property
    def uncertainty(self) -> float:
        """The standard error of the mean."""
        return self.spread.uncertainty


def weighted_mean(values: AnyArray, weights: AnyArray) -> WeightedMean:
    """Return m = Σ w x / Σ w with its standard error.

    ::

        σ² = (n − 1)/n · Σ w² (x − m)² / (Σ w − w)²

    which is s²/n for equal weights; see `Spread`. Weights are those of independent events, not
    repetition counts.

    Examples
    --------
    >>> mean = weighted_mean(np.array([1.0, 3.0]), np.ones(2))
    >>> mean.value, round(mean.uncertainty, 12)
    (2.0, 1.0)
    """
    value = dot(weights, values) / summed(weights)
    spread = spread_of(derived(lambda rows: rows - value, values), weights)
    return WeightedMean(value, spread, effective_count(weights))


def spread_merit(
    name: str,
    value: float,
    spread: Spread,
    definition: str,
    counts: dict[str, float | int],
    reason: str | None = None,
) -> Merit:
    """Return a merit with the interval value ± t(ν) σ."""
    half = spread.half_width()
    numbers = value, value - half, value + half, spread.uncertainty
    return Merit(name, *numbers, ONE_SIGMA, counts, defined(definition, counts), reason=reason)


def small_sample_factor(n_effective: float) -> float:
    """Return √(n / (n − 1)), or NaN for n ≤ 1, where a spread is undefined."""
    if n_effective <= 1 + 1e-12:
        return math.nan
    return math.sqrt(n_effective / (n_effective - 1))
