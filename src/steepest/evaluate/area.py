"""The area under the ROC curve, and the difference of two, with DeLong's uncertainty.

Both rest on a `Ranking`: the weighted events of two classes at each distinct score, in descending
order. The ROC curve is computed from it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.arrays import Values, as_column, check_same_length, check_scored
from steepest.evaluate.columns import (
    Sums,
    back_in_order,
    columns_beside,
    contiguous,
    dot,
    numbered,
    sorted_together,
    sums_of,
)
from steepest.evaluate.intervals import (
    Spread,
    clopper_pearson,
    leverage,
    small_sample_factor,
    spread_merit,
)
from steepest.evaluate.merit import ONE_SIGMA, Merit, defined
from steepest.storage import AnyArray, blocks, derived
from steepest.storage import total as summed

_DEFINITION = (
    "area under the ROC curve: probability that a signal event scores above a background event, "
    "ties count one half; weighted DeLong variance, interval of Student's t in log(A / (1 - A))"
)


def auc(
    labels: Values,
    scores: Values,
    weights: Values | None = None,
) -> Merit:
    """Return the area under the ROC curve, as a weighted Mann–Whitney statistic.

    With signal events i of weight wᵢ and score xᵢ, background events j of vⱼ and yⱼ, and
    ψ(x, y) = 1 for x > y, ½ for x = y, 0 for x < y::

        Aᵢ = Σⱼ vⱼ ψ(xᵢ, yⱼ) / Σⱼ vⱼ,      Aⱼ = Σᵢ wᵢ ψ(xᵢ, yⱼ) / Σᵢ wᵢ
        A  = Σᵢ wᵢ Aᵢ / Σᵢ wᵢ
        σ² = (m−1)/m Σᵢ wᵢ² (Aᵢ − A)² / (W − wᵢ)²  +  (n−1)/n Σⱼ vⱼ² (Aⱼ − A)² / (V − vⱼ)²  −  γ

    where m and n are the numbers of events of the classes, and W and V their sums of weights.
    Without weights the first two terms are DeLong's variance. It counts twice what a pair of events
    tells besides its two events, γ = [A(1 − A) − t/4 − s² − s'²] Σ l² Σ l'² with l = w/(W − w), the
    share t of ties and the variances s², s'² of Aᵢ and Aⱼ. γ is taken off, at most a quarter of σ².
    The degrees of freedom are those of the weights. The structural components Aᵢ and Aⱼ are
    computed from one sort, in O(N log N). The interval is that of Student's t (`Spread`) in
    log(A/(1 − A)), and therefore within [0, 1]. With complete separation σ = 0 carries no
    information; the interval is then the Clopper–Pearson interval for min(m, n) disjoint pairs, all
    in the right order. If negative weights push A outside (0, 1), the
    interval is A ± tσ, clipped to [0, 1].

    Arguments and errors are those of `roc_curve`.

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
    return auc_of(ranked(*check_scored(labels, scores, weights)))


def auc_difference(
    labels: Values,
    first: Values,
    second: Values,
    weights: Values | None = None,
    curves: tuple[Any, Any] | None = None,
) -> Merit:
    """Return AUC(first) − AUC(second) of two classifiers on the same events.

    The AUCs are computed from the same events and are therefore correlated. The uncertainty
    includes DeLong's covariance, and is usually much smaller than for two independent samples.

    `curves` are their `roc_curve` on these events, if available, to avoid sorting again; errors are
    those of `roc_curve`.

    References
    ----------
    DeLong et al. (1988), as in `auc`: the covariance of two areas.

    Examples
    --------
    >>> auc_difference([0, 0, 1, 1], [1, 2, 3, 4], [1, 2, 3, 4]).format()
    '0'
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
    return spread_merit(
        "auc_difference",
        first_value - second_value,
        influence_spread(difference).less(_excess_of_difference(signal, weight, one, two)),
        "difference of two areas under the ROC curve on the same events; weighted DeLong variance "
        "with their covariance",
        counts,
        reason=_why_undefined(counts),
    )


def auc_of(ranking: Ranking, name: str = "auc") -> Merit:
    """Return the area under the ROC curve of ranked events, see `auc`."""
    value = _value(ranking)
    spread = _spread(ranking, value)
    counts = _class_counts(ranking.signal.sums(), ranking.background.sums())
    numbers = *_interval(value, spread, counts), spread.uncertainty
    reason = _why_undefined(counts)
    definition = defined(_DEFINITION, counts)
    return Merit(name, value, *numbers, ONE_SIGMA, counts, definition, reason=reason)


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


def _interval(value: float, spread: Spread, counts: dict[str, float | int]) -> tuple[float, float]:
    from scipy.special import expit, logit

    pairs = min(counts["signal_effective"], counts["background_effective"])
    half = spread.half_width()
    if value in (0.0, 1.0) and not half > 0:
        low, high = clopper_pearson(value * pairs, pairs)
        return float(low), float(high)
    if not 0 < value < 1:
        inside = min(max(value, 0.0), 1.0)
        return max(inside - half, 0.0), min(inside + half, 1.0)
    half /= value * (1 - value)
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


class ClassSums(NamedTuple):
    """Sums over the events of one class at each distinct score, shape (scores,).

    The number of events, Σ w, Σ w², and of the leverage l = w / (W − w) Σ l² and Σ l⁴; all are
    the same array, the number of events, if all weights are 1.
    """

    events: AnyArray
    weight: AnyArray
    squares: AnyArray
    jackknife: AnyArray
    fourth: AnyArray

    def sums(self) -> Sums:
        """Return the sums over all scores."""
        return Sums(int(summed(self.events)), _total(self.weight), _total(self.squares))


@dataclass(frozen=True, slots=True)
class Ranking:
    """The distinct scores in descending order, and the events of both classes at each."""

    scores: AnyArray
    signal: ClassSums
    background: ClassSums


def ranked(signal: AnyArray, scores: AnyArray, weights: AnyArray) -> Ranking:
    """Return the ranking of checked events, in memory or on disk like the scores.

    Examples
    --------
    >>> ranking = ranked(np.array([True, False, True]), np.array([1.0, 1.0, 2.0]), np.ones(3))
    >>> ranking.scores.tolist(), ranking.signal.weight.tolist()
    ([2.0, 1.0], [1.0, 1.0])
    """
    falling = derived(np.negative, scores)
    unit = all((rows == 1).all() for (rows,) in blocks(weights))
    if unit:
        key, of = sorted_together(falling, signal)
        weights = np.broadcast_to(np.float64(1), (len(key),))
    else:
        key, of, weights = sorted_together(falling, signal, weights)
    classes = of, derived(np.logical_not, of)
    totals = [sums_of(weights, each).weight for each in classes]
    columns = columns_beside(key, 3 if unit else 11)
    for score, sums in _groups(key, of, weights, None if unit else totals):
        columns[0].append(-score)
        for column, values in zip(columns[1:], sums, strict=True):
            column.append(values)
    distinct, *rest = (column.finish() for column in columns)
    if unit:
        return Ranking(distinct, ClassSums(*[rest[0]] * 5), ClassSums(*[rest[1]] * 5))
    return Ranking(distinct, ClassSums(*rest[0::2]), ClassSums(*rest[1::2]))


def _groups(
    key: AnyArray, signal: AnyArray, weights: AnyArray, totals: list[float] | None
) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield distinct keys, and the sums of the events of each, shape (sums, keys)."""
    # the last key of a block may continue in the next one, and is carried over to it
    open_key, open_sums = np.empty(0), np.empty((10 if totals else 2, 0))
    for keys, of, w in contiguous(key, signal, weights):
        rows = [np.ones(len(w))]
        if totals:
            l2 = leverage(w, np.where(of, *totals)) ** 2
            rows += [w, w**2, l2, l2**2]
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(keys)))
        sums = np.array(
            [
                np.bincount(group[inside], values[inside], minlength=len(begins))
                for values in rows
                for inside in (of, ~of)
            ]
        )
        distinct = keys[begins]
        if open_key.size and open_key[0] == distinct[0]:
            sums[:, :1] += open_sums
        else:
            distinct = np.concatenate([open_key, distinct])
            sums = np.concatenate([open_sums, sums], axis=1)
        yield distinct[:-1], sums[:, :-1]
        open_key, open_sums = distinct[-1:], sums[:, -1:]
    yield open_key, open_sums


def _total(column: AnyArray) -> float:
    """Return the last of the cumulative sums, added in the same order as these."""
    reached = np.zeros(1)
    for (rows,) in blocks(column):
        reached = np.cumsum(np.concatenate([reached, rows]))[-1:]
    return float(reached[0])


def _components(ranking: Ranking) -> Iterator[tuple[NDArray, NDArray, slice]]:
    """Yield Aᵢ of signal and Aⱼ of background events at each score, and the slice of scores."""
    totals = [_total(ranking.signal.weight), _total(ranking.background.weight)]
    before = [np.zeros(1), np.zeros(1)]
    start = 0
    for both in blocks(ranking.signal.weight, ranking.background.weight):
        sides = []
        for index, rows in enumerate(both):
            above = np.cumsum(np.concatenate([before[index], rows]))
            sides.append((totals[index] - above[:-1] - above[1:]) / totals[index])
            before[index] = above[-1:]
        stop = start + len(both[0])
        yield 0.5 + 0.5 * sides[1], 0.5 - 0.5 * sides[0], slice(start, stop)
        start = stop


def _value(ranking: Ranking) -> float:
    reference, shifted = math.nan, 0.0
    for component, _, at in _components(ranking):
        weight, count = ranking.signal.weight[at], ranking.signal.events[at]
        if math.isnan(reference) and count.any():
            # subtracted, so that the mean of equal components is exact
            reference = float(component[np.argmax(count > 0)])
        difference = np.where(count > 0, component - reference, 0.0)
        shifted += float((weight * difference).sum())
    return reference + shifted / _total(ranking.signal.weight)


def _spread(ranking: Ranking, value: float) -> Spread:
    parts = _parts(ranking, value)
    return (parts[0][0] + parts[1][0]).less(_excess(ranking, value, parts))


def excess_of_pairs(ranking: Ranking) -> float:
    """Return by how much DeLong's variance of this area is too large; see `auc`."""
    value = _value(ranking)
    return _excess(ranking, value, _parts(ranking, value))


def _excess(ranking: Ranking, value: float, parts: list[tuple[Spread, float]]) -> float:
    own = sum(spread.variance / influence for spread, influence in parts)
    pairs = value * (1 - value) - _ties(ranking) / 4 - own
    return max(pairs, 0.0) * math.prod(influence for _, influence in parts)


def _parts(ranking: Ranking, value: float) -> list[tuple[Spread, float]]:
    """Return of each class its part of DeLong's variance, and Σ l² (n − 1)/n of its events."""
    parts = []
    for of, which in ((ranking.signal, 0), (ranking.background, 1)):
        sums, squares = of.sums(), 0.0
        if math.isnan(small_sample_factor(sums.effective)):
            return [(Spread(math.nan, 1.0), math.nan)] * 2
        unit = 1 / (sums.weight - 1) if of.jackknife is of.events else 1.0
        for *components, at in _components(ranking):
            squares += float((of.jackknife[at] * (unit * (components[which] - value)) ** 2).sum())
        factor = (sums.events - 1) / sums.events
        influence, fourth = unit**2 * _total(of.jackknife), unit**4 * _total(of.fourth)
        freedom = Spread.of(influence, 3 * fourth, sums.events).freedom
        parts.append((Spread(squares * factor, freedom), influence * factor))
    return parts


FEW_PAIRS = 250_000
"""Up to so many pairs, what single pairs add to the variance of a difference is taken off."""


def _excess_of_difference(
    signal: AnyArray, weights: AnyArray, first: AnyArray, second: AnyArray
) -> float:
    """Return by how much DeLong's variance of a difference of areas is too large.

    It counts twice what a pair of events says besides what each of the two says in the mean:
    Σ l² l'² (D − D̄ᵢ − D̄ⱼ + D̄)², with D = ψ₁ − ψ₂ of a pair. Beside many events this is nothing.
    """
    pairs = (
        sums_of(weights, signal).events * sums_of(weights, derived(np.logical_not, signal)).events
    )
    if pairs > FEW_PAIRS:
        return 0.0
    of, w = np.asarray(signal[:]), np.asarray(weights[:])
    one, two = (
        np.sign(np.subtract.outer(s[of], s[~of])) / 2
        for s in (np.asarray(first[:]), np.asarray(second[:]))
    )
    D = one - two
    a, b = w[of] / w[of].sum(), w[~of] / w[~of].sum()
    rows, columns = D @ b, a @ D
    rest = D - rows[:, None] - columns + a @ rows
    l2, other = (leverage(each, 1.0) ** 2 for each in (a, b))
    return float(l2 @ rest**2 @ other) * (1 - 1 / len(a)) * (1 - 1 / len(b))


def _ties(ranking: Ranking) -> float:
    """Return the weighted share of pairs with equal scores."""
    tied = sum(float((a * b).sum()) for a, b in blocks(ranking.signal.weight,
                                                       ranking.background.weight))  # fmt: skip
    return tied / (_total(ranking.signal.weight) * _total(ranking.background.weight))


def influences(
    signal: AnyArray, scores: AnyArray, weights: AnyArray, ranking: Ranking | None = None
) -> tuple[float, AnyArray]:
    """Return A and the influence of each event, in the order of the events: σ² = Σ influence².

    influence = √((n−1)/n) · w (Aᵢ − A) / (Σ w − w), with n and Σ w of the class of the event.
    The summed influences of several AUCs on the same events give the error of their sum, including
    correlations. This is DeLong's covariance.
    """
    ranking = ranking or ranked(signal, scores, weights)
    value = _value(ranking)
    tables = columns_beside(scores, 2)
    for *components, _ in _components(ranking):
        for table, component in zip(tables, components, strict=True):
            table.append(component)
    component = back_in_order(*_looked_up(scores, signal, [t.finish() for t in tables]))
    inside = [sums_of(weights, signal), sums_of(weights, derived(np.logical_not, signal))]
    totals = [each.weight for each in inside]
    factors = [
        math.nan if math.isnan(small_sample_factor(each.effective))
        else math.sqrt((each.events - 1) / each.events)
        for each in inside
    ]  # fmt: skip

    def influence(of: NDArray, w: NDArray, own: NDArray) -> NDArray:
        return np.where(of, *factors) * leverage(w, np.where(of, *totals)) * (own - value)

    return value, derived(influence, signal, weights, component)


def influence_spread(influence: AnyArray) -> Spread:
    """Return the spread of an estimate with these influences of the events."""
    square = derived(np.square, influence)
    squares, fourth, events = summed(square), dot(square, square), len(influence)
    if math.isnan(squares):
        return Spread(math.nan, 1.0)
    return Spread(squares, Spread.of(squares, fourth, events).freedom)


def _looked_up(
    scores: AnyArray, signal: AnyArray, tables: list[AnyArray]
) -> tuple[AnyArray, AnyArray]:
    """Return row numbers in descending order of the score, and the component of each event."""
    key, of, rows = sorted_together(derived(np.negative, scores), signal, numbered(scores))
    (component,) = columns_beside(key, 1)
    last, group = math.nan, -1
    for keys, inside in contiguous(key, of):
        new = np.concatenate([[keys[0] != last], keys[1:] != keys[:-1]])  # NaN: none
        at = group + np.cumsum(new)
        first = int(at[0])
        own, other = (table[first : int(at[-1]) + 1] for table in tables)
        component.append(np.where(inside, own[at - first], other[at - first]))
        last, group = keys[-1], int(at[-1])
    return rows, component.finish()
