"""The ROC curve of weighted events, and the background rejection at a signal efficiency.

- `roc_curve` for two classes, `roc_curves_by_class` for several: each class against the rest;
- `background_rejection` for 1/ε_B at a signal efficiency, `cut_at` for the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.area import ClassSums, Ranking, ranked
from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_array,
    check_classified,
    check_fraction,
    check_scored,
    check_weight_sum,
    one_class,
)
from steepest.evaluate.columns import (
    Sums,
    first_reaching,
    joined,
    running,
    sums_of,
    total_of,
)
from steepest.evaluate.cut_interval import cut_interval
from steepest.evaluate.intervals import Efficiency
from steepest.evaluate.merit import ONE_SIGMA, Merit, defined
from steepest.storage import AnyArray, derived


@dataclass(frozen=True, slots=True)
class Roc:
    """A ROC curve: the events with ``score >= threshold``, from the highest threshold down.

    All arrays have shape (distinct scores + 1,), in memory or on disk like the scores. At the first
    point the threshold is +∞ and no event passes; at the last point all events pass.

    Attributes
    ----------
    thresholds
        Distinct scores, descending, after +∞.
    signal_efficiency, background_efficiency
        ε_S and ε_B: sums of weights above threshold, divided by the sum of the class.
    signal_above, background_above
        Raw numbers of events above threshold.
    signal_sum_above, background_sum_above
        Σ w above threshold.
    signal_squares_above, background_squares_above
        Σ w² above threshold.
    ranking
        The ranking from which the curve is computed.
    """

    thresholds: Any
    signal_efficiency: Any
    background_efficiency: Any
    signal_above: Any
    background_above: Any
    signal_sum_above: Any
    background_sum_above: Any
    signal_squares_above: Any
    background_squares_above: Any
    ranking: Ranking

    def rejection_interval(self, at: NDArray[np.intp], wanted: Floats) -> Efficiency:
        """Return ε_B with its interval where the thresholds are those of a signal efficiency.

        `at` has the rows of the thresholds and `wanted` ε_S, both (points,); see `cut_interval`.
        """
        signal = self.signal_sum_above, self.signal_squares_above
        background = self.background_sum_above, self.background_squares_above
        return cut_interval(signal, background, at, wanted)


def roc_curve(labels: Values, scores: Values, weights: Values | None = None) -> Roc:
    """Return the ROC curve, one point per distinct score.

    ::

        ε_S(t) = Σ_{i ∈ signal, sᵢ ≥ t} wᵢ / Σ_{i ∈ signal} wᵢ,      ε_B(t) likewise

    Events with equal scores are added at one threshold, so the order of the events does not matter.
    With negative weights the curve may not be monotonic and may leave [0, 1]. It is not smoothed,
    sorted or clipped.

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Any finite numbers, higher for signal, shape (events,).
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None means 1 each.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, labels other than 0 and 1 or of a single class, scores
        or weights that are not finite, and a class whose weights have no positive sum.

    References
    ----------
    T. Fawcett, Pattern Recognition Letters 27 (2006) 861, algorithm 1,
    doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> roc = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    >>> roc.signal_efficiency.tolist(), roc.background_efficiency.tolist()
    ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    return roc_of(ranked(*check_scored(labels, scores, weights)))


def roc_of(ranking: Ranking) -> Roc:
    """Return the ROC curve of ranked events, see `roc_curve`."""
    above: dict[int, AnyArray] = {}

    def summed_above(column: AnyArray) -> AnyArray:
        """Return cumulative sums; the same array is reused if all weights are 1."""
        if id(column) not in above:
            above[id(column)] = running(column)
        return above[id(column)]

    signal, background = (
        ClassSums(*map(summed_above, of)) for of in (ranking.signal, ranking.background)
    )
    return Roc(
        joined(np.array([math.inf]), ranking.scores),
        _share(signal.weight),
        _share(background.weight),
        as_array(signal.events, np.int64),
        as_array(background.events, np.int64),
        signal.weight,
        background.weight,
        signal.squares,
        background.squares,
        ranking,
    )


def _share(sums: AnyArray) -> AnyArray:
    total = total_of(sums)
    return derived(lambda rows: rows / total, sums)


def working_point(roc: Roc, signal_efficiency: float) -> int:
    """Return the index of the highest threshold with ε_S ≥ `signal_efficiency`.

    The threshold is the score of an event: the weighted (1 − ε_S) quantile of the signal scores,
    without interpolation. The efficiency at the threshold may be above `signal_efficiency`. With
    negative weights ε_S(t) may cross the value several times; the first crossing from above is
    used.

    Raises
    ------
    InputError
        Unless 0 < `signal_efficiency` < 1.

    Examples
    --------
    >>> working_point(roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]), 0.5)
    1
    """
    check_fraction(signal_efficiency, "signal efficiency")
    return int(first_reaching(roc.signal_efficiency, np.array([signal_efficiency - 1e-12]))[0])


def cut_at(roc: Roc, signal_efficiency: float) -> float:
    """Return the threshold of `working_point`: the highest with ε_S ≥ `signal_efficiency`.

    Raises
    ------
    InputError
        Unless 0 < `signal_efficiency` < 1.

    Examples
    --------
    >>> cut_at(roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]), 0.5)
    0.8
    """
    return float(_at(roc.thresholds, working_point(roc, signal_efficiency)))


def _at(column: AnyArray, place: int) -> Any:
    return column[place : place + 1][0]


def background_rejection(roc: Roc, signal_efficiency: float = 0.5) -> Merit:
    """Return the background rejection 1/ε_B at a signal efficiency, with the counts behind it.

    The threshold is that of `working_point`. The interval is that of ε_B, inverted: of the beta
    distributions of the background events that pass, mixed over the places that the true threshold
    may have between the signal events (`cut_interval`). If no background event passes, there is
    only a lower limit.

    Parameters
    ----------
    roc
        Curve of `roc_curve`.
    signal_efficiency
        ε_S, 0 < ε_S < 1.

    Returns
    -------
    Merit
        Named ``background_rejection_at_<ε_S>``; counts: threshold, events whose score it is,
        signal efficiency reached, events passing and in all, raw and effective.

    Raises
    ------
    InputError
        Unless 0 < ε_S < 1.

    References
    ----------
    W. R. Thompson, Annals of Mathematical Statistics 7 (1936) 122, doi:10.1214/aoms/1177732502.

    Examples
    --------
    >>> roc = roc_curve([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.6, 0.8])
    >>> background_rejection(roc, 0.9).format()
    '4.00 +0.95 −2.70'
    """
    at = working_point(roc, signal_efficiency)
    background = roc.rejection_interval(np.array([at]), np.array([signal_efficiency]))
    value, low, high = (
        1 / float(epsilon[0]) if epsilon[0] > 0 else math.inf
        for epsilon in (background.value, background.high, background.low)
    )
    uncertainty = float(background.uncertainty[0]) * value**2 if math.isfinite(value) else math.nan
    counts = _rejection_counts(roc, at)
    definition = (
        f"1 / background efficiency at the highest threshold with signal efficiency >= "
        f"{signal_efficiency:g}; interval of the background events that pass (Jeffreys, effective "
        "counts), mixed over the thresholds that the signal events allow"
    )
    return Merit(
        f"background_rejection_at_{signal_efficiency:g}",
        value,
        low,
        high,
        uncertainty,
        ONE_SIGMA,
        counts,
        defined(definition, counts),
        reason=_why_infinite(value, high, int(_at(roc.background_above, at))),
    )


def _why_infinite(value: float, high: float, passing: int) -> str | None:
    if not math.isfinite(value):
        cause = "no background passes" if passing == 0 else "negative weights cancel the background"
        return f"{cause}: only a lower limit is known"
    return None if math.isfinite(high) else "the interval of the background efficiency reaches 0"


def _rejection_counts(roc: Roc, at: int) -> dict[str, float | int]:
    sums, squares = roc.background_sum_above, roc.background_squares_above
    passed = Sums(0, float(_at(sums, at)), float(_at(squares, at)))
    signal, signal_squares = roc.signal_sum_above, roc.signal_squares_above
    failed = Sums(
        0,
        total_of(signal) - float(_at(signal, at)),
        total_of(signal_squares) - float(_at(signal_squares, at)),
    )
    same_score = sum(
        int(_at(column, at)) - (int(_at(column, at - 1)) if at else 0)
        for column in (roc.signal_above, roc.background_above)
    )
    return {
        "threshold": float(_at(roc.thresholds, at)),
        "same_score": same_score,
        "signal_efficiency": float(_at(roc.signal_efficiency, at)),
        "signal_passed": int(_at(roc.signal_above, at)),
        "signal_total": int(total_of(roc.signal_above)),
        "signal_failed_effective": failed.effective,
        "background_passed": int(_at(roc.background_above, at)),
        "background_passed_effective": passed.effective,
        "background_total": int(total_of(roc.background_above)),
        "background_total_effective": Sums(0, total_of(sums), total_of(squares)).effective,
    }


def roc_curves_by_class(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[str, Roc]:
    """Return for each class the ROC curve of its probability: that class against the rest.

    With p_k the probability of class k, and all other classes with their weights as background::

        ε_S(t) = Σ_{i of class k, p_k ≥ t} wᵢ / Σ_{i of class k} wᵢ
        ε_B(t) = Σ_{i of the rest, p_k ≥ t} wᵢ / Σ_{i of the rest} wᵢ

    The area is ``auc_<class>`` of `multiclass_merits`. The curve depends on the proportions of the
    other classes in the events.

    Parameters
    ----------
    labels, probabilities, weights, class_names
        As in `multiclass_merits`; each class and its rest needs a positive sum of weights.

    Returns
    -------
    dict[str, Roc]
        By class name, without the classes that have no events.

    Raises
    ------
    EventsError, InputError
        As `multiclass_merits` does.

    References
    ----------
    T. Fawcett, Pattern Recognition Letters 27 (2006) 861, section 9,
    doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> curves = roc_curves_by_class([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    >>> curves["0"].background_efficiency.tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    curves = {}
    for index, name in enumerate(names):
        own, score = one_class(label, probability, index)
        if not sums_of(weight, own).events:
            continue
        check_weight_sum(weight, f"events of class {name}", own)
        rest = derived(np.logical_not, own)
        check_weight_sum(weight, f"events that are not of class {name}", rest)
        curves[name] = roc_curve(own, score, weight)
    return curves
