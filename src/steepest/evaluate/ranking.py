"""Weighted events of two classes ranked by a score, for the ROC curve and its area."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.columns import (
    Sums,
    columns_beside,
    contiguous,
    numbered,
    summed,
    sums_of,
)
from steepest.evaluate.intervals import small_sample_factor
from steepest.evaluate.sorting import back_in_order, sorted_together
from steepest.storage import AnyArray, blocks, derived

__all__ = ["ClassSums", "Ranking", "area_of", "influences", "ranked"]


class ClassSums(NamedTuple):
    """Number of events, Σ w and Σ w² of one class at each distinct score, shape (scores,)."""

    events: AnyArray
    weight: AnyArray
    squares: AnyArray

    def sums(self) -> Sums:
        """Return the sums over all scores."""
        weight = float(_total(self.weight))
        return Sums(int(summed(self.events)), weight, float(_total(self.squares)))


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
    columns = columns_beside(key, 3 if unit else 7)
    for score, sums in _groups(key, of, weights, unit):
        columns[0].append(-score)
        for column, values in zip(columns[1:], sums, strict=True):
            column.append(values)
    distinct, *rest = (column.finish() for column in columns)
    if unit:
        return Ranking(distinct, ClassSums(*[rest[0]] * 3), ClassSums(*[rest[1]] * 3))
    return Ranking(distinct, ClassSums(*rest[0::2]), ClassSums(*rest[1::2]))


def _groups(
    key: AnyArray, signal: AnyArray, weights: AnyArray, unit: bool
) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield distinct keys, and the sums of the events of each, shape (sums, keys).

    The last key of a block may continue in the next block, and is carried over to it.
    """
    open_key, open_sums = np.empty(0), np.empty((2 if unit else 6, 0))
    for keys, of, w in contiguous(key, signal, weights):
        rows = [np.ones(len(w))] if unit else [np.ones(len(w)), w, w**2]
        group = np.cumsum(np.concatenate([[0], keys[1:] != keys[:-1]])).astype(np.intp)
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
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


def _total(column: AnyArray) -> np.float64:
    """Return the last of the cumulative sums, added in the same order as these."""
    reached = np.zeros(1)
    for (rows,) in blocks(column):
        reached = np.cumsum(np.concatenate([reached, rows]))[-1:]
    return reached[0]


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


def area_of(ranking: Ranking) -> tuple[float, float]:
    """Return the area under the ROC curve and its variance, see `steepest.evaluate.auc`."""
    sums = [ranking.signal.sums(), ranking.background.sums()]
    value = _value(ranking)
    scatter = [0.0, 0.0]
    for *components, at in _components(ranking):
        for index, of in enumerate((ranking.signal, ranking.background)):
            squares = of.squares[at]
            scatter[index] += float((squares * (components[index] - value) ** 2).sum())
    return value, sum(
        (small_sample_factor(each.effective) / each.weight) ** 2 * part
        for each, part in zip(sums, scatter, strict=True)
    )


def _value(ranking: Ranking) -> float:
    reference, shifted = math.nan, 0.0
    for component, _, at in _components(ranking):
        weight, count = ranking.signal.weight[at], ranking.signal.events[at]
        if math.isnan(reference) and count.any():
            # subtracted, so that the mean of equal components is exact
            reference = float(component[np.argmax(count > 0)])
        difference = np.where(count > 0, component - reference, 0.0)
        shifted += float((weight * difference).sum())
    return float(reference + shifted / float(_total(ranking.signal.weight)))


def influences(
    signal: AnyArray, scores: AnyArray, weights: AnyArray, ranking: Ranking | None = None
) -> tuple[float, AnyArray]:
    """Return A and the influence of each event, in the order of the events: σ² = Σ influence².

    influence = √(n/(n−1)) · w (Aᵢ − A) / Σ w, where n and Σ w are those of the class of the event.
    The summed influences of several AUCs on the same events give the error of their sum, including
    correlations. This is DeLong's covariance.

    Parameters
    ----------
    signal
        bool, shape (events,), both classes present.
    scores, weights
        float64, shape (events,).
    ranking
        The ranking of these events, if available.
    """
    ranking = ranking or ranked(signal, scores, weights)
    value = _value(ranking)
    tables = columns_beside(scores, 2)
    for *components, _ in _components(ranking):
        for table, component in zip(tables, components, strict=True):
            table.append(component)
    component = back_in_order(*_looked_up(scores, signal, [t.finish() for t in tables]))
    inside = [sums_of(weights, signal), sums_of(weights, derived(np.logical_not, signal))]
    factor = [small_sample_factor(each.effective) / each.weight for each in inside]

    def influence(of: NDArray, w: NDArray, own: NDArray) -> NDArray:
        return np.where(of, factor[0], factor[1]) * w * (own - value)

    return value, derived(influence, signal, weights, component)


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
