"""The area under the ROC curve, and the difference of two, with DeLong's uncertainty."""

from __future__ import annotations

import math

import numpy as np

from steepest.evaluate.arrays import Values, as_column, check_same_length
from steepest.evaluate.columns import Sums, dot, sums_of
from steepest.evaluate.intervals import clopper_pearson, small_sample_factor
from steepest.evaluate.merit import ONE_SIGMA, Merit, normal_quantile, symmetric_merit
from steepest.evaluate.ranking import Ranking, area_of, influences, ranked
from steepest.evaluate.roc import Roc, check_scored
from steepest.storage import derived

__all__ = ["auc", "auc_difference", "auc_of"]

_DEFINITION = (
    "area under the ROC curve: probability that a signal event scores above a background event, "
    "ties count one half; weighted DeLong variance, interval normal in log(A / (1 - A))"
)


def auc(
    labels: Values,
    scores: Values,
    weights: Values | None = None,
    level: float = ONE_SIGMA,
    name: str = "auc",
) -> Merit:
    """Return the area under the ROC curve, as a weighted Mann–Whitney statistic.

    With signal events i of weight wᵢ and score xᵢ, background events j of vⱼ and yⱼ, and
    ψ(x, y) = 1 for x > y, ½ for x = y, 0 for x < y::

        Aᵢ = Σⱼ vⱼ ψ(xᵢ, yⱼ) / Σⱼ vⱼ,      Aⱼ = Σᵢ wᵢ ψ(xᵢ, yⱼ) / Σᵢ wᵢ
        A  = Σᵢ wᵢ Aᵢ / Σᵢ wᵢ
        σ² = m/(m−1) Σᵢ wᵢ² (Aᵢ − A)² / (Σᵢ wᵢ)²  +  n/(n−1) Σⱼ vⱼ² (Aⱼ − A)² / (Σⱼ vⱼ)²

    where m and n are the effective numbers of events of the classes. Without weights this is
    DeLong's variance. The structural components Aᵢ and Aⱼ are computed from one sort, in
    O(N log N). The interval is normal in log(A/(1 − A)) and therefore within [0, 1]. With complete
    separation σ = 0 carries no information; the interval is then the Clopper–Pearson interval for
    min(m, n) disjoint pairs, all in the right order. If negative weights push A outside (0, 1), the
    interval is A ± zσ, clipped to [0, 1].

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Any finite numbers, higher for signal, shape (events,).
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None means 1 each.
    level
        Confidence level of the interval.
    name
        Name of the merit.

    Raises
    ------
    EventsError
        As `roc_curve` does.

    References
    ----------
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837,
    doi:10.2307/2531595. The fast form: X. Sun, W. Xu, IEEE Signal Processing Letters 21 (2014)
    1389, doi:10.1109/LSP.2014.2337313. The scale of the interval: G. Qin, L. Hotilovac,
    Statistical Methods in Medical Research 17 (2008) 207, doi:10.1177/0962280207087173.

    Examples
    --------
    >>> auc([0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.4, 0.8, 0.9]).value
    0.8888888888888888
    """
    return auc_of(ranked(*check_scored(labels, scores, weights)), level, name)


def auc_of(ranking: Ranking, level: float = ONE_SIGMA, name: str = "auc") -> Merit:
    """Return the area under the ROC curve of ranked events, see `auc`."""
    value, variance = area_of(ranking)
    uncertainty = math.sqrt(variance)
    counts = _class_counts(ranking.signal.sums(), ranking.background.sums())
    low, high = _interval(value, uncertainty, counts, level)
    reason = _why_undefined(counts)
    return Merit(name, value, low, high, uncertainty, level, counts, _DEFINITION, reason=reason)


def auc_difference(
    labels: Values,
    first: Values,
    second: Values,
    weights: Values | None = None,
    level: float = ONE_SIGMA,
    name: str = "auc_difference",
    curves: tuple[Roc, Roc] | None = None,
) -> Merit:
    """Return AUC(first) − AUC(second) of two classifiers on the same events.

    The AUCs are computed from the same events and are therefore correlated. The uncertainty
    includes DeLong's covariance, and is usually much smaller than for two independent samples.

    Parameters
    ----------
    labels, weights, level, name
        As in `auc`.
    first, second
        Scores of the two classifiers, shape (events,).
    curves
        Their `roc_curve` on these events, if available, to avoid sorting again.

    Raises
    ------
    EventsError
        As `roc_curve` does.

    References
    ----------
    DeLong et al. (1988), as in `auc`: the covariance of two areas.

    Examples
    --------
    >>> auc_difference([0, 0, 1, 1], [1, 2, 3, 4], [1, 2, 3, 4]).format()
    '0.0000 ± 0.0000'
    """
    signal, one, weight = check_scored(labels, first, weights)
    two = as_column(second, "second scores")
    check_same_length(one, two, "first scores", "second scores")
    rankings = [curve.ranking for curve in curves] if curves else [None, None]
    first_value, first_influence = influences(signal, one, weight, rankings[0])
    second_value, second_influence = influences(signal, two, weight, rankings[1])
    difference = derived(np.subtract, first_influence, second_influence)
    background = derived(np.logical_not, signal)
    counts = _class_counts(sums_of(weight, signal), sums_of(weight, background))
    return symmetric_merit(
        name,
        first_value - second_value,
        math.sqrt(dot(difference, difference)),
        definition="difference of two areas under the ROC curve on the same events; weighted "
        "DeLong variance with their covariance",
        counts=counts,
        level=level,
        reason=_why_undefined(counts),
    )


def _class_counts(signal: Sums, background: Sums) -> dict[str, float | int]:
    return {
        "signal": signal.events,
        "signal_effective": signal.effective,
        "background": background.events,
        "background_effective": background.effective,
    }


def _why_undefined(counts: dict[str, float | int]) -> str | None:
    for label in ("signal", "background"):
        if math.isnan(small_sample_factor(counts[f"{label}_effective"])):
            return f"the uncertainty needs more than one effective {label} event"
    return None


def _interval(
    value: float, uncertainty: float, counts: dict[str, float | int], level: float
) -> tuple[float, float]:
    pairs = min(counts["signal_effective"], counts["background_effective"])
    if value in (0.0, 1.0) and not uncertainty > 0:
        low, high = clopper_pearson(value * pairs, pairs, level)
        return float(low), float(high)
    z = normal_quantile(level)
    if not 0 < value < 1:
        inside = min(max(value, 0.0), 1.0)
        return max(inside - z * uncertainty, 0.0), min(inside + z * uncertainty, 1.0)
    logit = math.log(value / (1 - value))
    half = z * uncertainty / (value * (1 - value))
    return _expit(logit - half), _expit(logit + half)


def _expit(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
