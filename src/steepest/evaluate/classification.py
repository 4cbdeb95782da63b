"""Figures of merit of classifiers.

- `binary_merits` for two classes with one score;
- `multiclass_merits` for several classes with a probability each;
- `confusion_matrix` for the predicted against the true class, with counts and intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.area import (
    Ranking,
    auc_of,
    excess_of_pairs,
    influence_spread,
    influences,
    ranked,
)
from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_array,
    as_column,
    as_probabilities,
    as_weights,
    check_classified,
    check_same_length,
    check_scored,
    events_of_each,
    one_class,
)
from steepest.evaluate.columns import contiguous, sums_of
from steepest.evaluate.intervals import (
    efficiency_from_sums,
    efficiency_merit,
    efficiency_of,
    spread_merit,
    weighted_mean,
)
from steepest.evaluate.merit import ONE_SIGMA, Merit, as_numbers, undefined_merit
from steepest.evaluate.roc import Roc, background_rejection, roc_of
from steepest.storage import AnyArray, RowsOnDisk, blocks, derived

_ACCURACY = (
    "share of the weighted events whose most probable class is the true one (two classes: signal "
    "where the score is > 0.5); Jeffreys interval with effective counts"
)
_CROSS_ENTROPY = (
    "weighted mean of -log(probability of the true class), probabilities not below {smallest:.3g}; "
    "standard error of the mean"
)
_MACRO = (
    "mean over the classes of the area under the ROC curve of each class against the rest; "
    "weighted DeLong variance with the covariance of the classes"
)


def binary_merits(
    labels: Values,
    scores: Values,
    weights: Values | None = None,
    efficiencies: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    curve: Roc | None = None,
) -> dict[str, Merit]:
    """Return the figures of merit of a binary classifier, by name.

    ``auc`` (`steepest.evaluate.auc`), ``accuracy`` (events with s > 0.5 are classified as signal),
    ``background_rejection_at_<ε_S>`` (`background_rejection`), and ``binary_cross_entropy``::

        −Σ wᵢ [yᵢ log sᵢ + (1 − yᵢ) log(1 − sᵢ)] / Σ wᵢ

    with the standard error of a weighted mean. Before the logarithm, probabilities are clipped from
    below at the machine epsilon of their dtype (float32: 1.2e-7); ``counts["clipped"]`` is the
    number of clipped events.

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Probabilities of signal, shape (events,).
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None means 1 each.
    efficiencies
        Signal efficiencies of the background rejections.
    curve
        `roc_curve` of these events, if available, to avoid sorting again.

    Raises
    ------
    EventsError
        As `roc_curve` does, and for scores outside [0, 1].
    InputError
        For an efficiency outside (0, 1).

    Examples
    --------
    >>> merits = binary_merits([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.8])
    >>> merits["accuracy"].value, merits["auc"].value
    (0.75, 1.0)
    """
    signal, score, weight = check_scored(labels, scores, weights)
    as_probabilities(score, "scores")
    roc = curve or roc_of(ranked(signal, score, weight))
    area = auc_of(roc.ranking)
    of_true_class = derived(lambda of, s: np.where(of, s, 1 - s), signal, score)
    merits = [
        area,
        _accuracy(_right(signal, score), weight),
        *(background_rejection(roc, efficiency) for efficiency in efficiencies),
        _cross_entropy("binary_cross_entropy", of_true_class, weight, _resolution(scores)),
    ]
    return {merit.name: merit for merit in merits}


def multiclass_merits(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
    curves: Mapping[str, Roc] | None = None,
) -> dict[str, Merit]:
    """Return the figures of merit of a classifier with several classes, by name.

    ``accuracy`` (of the most probable class), ``cross_entropy``
    (−Σ wᵢ log p(true class of i) / Σ wᵢ), ``auc_<class>`` (the class against the rest, by its
    probability) and ``auc_macro``, the mean of these. The AUCs are computed from the same events
    and are correlated. With hᵢₖ the influence of event i on the AUC of class k (`influences`)::

        σ²(macro) = Σᵢ (Σₖ hᵢₖ / K)² − 2 Σₖ γₖ / K²

    with γₖ of `steepest.evaluate.auc`: a pair of events of two classes counts in the areas of both.

    Parameters
    ----------
    labels
        Class numbers 0 … K − 1, shape (events,).
    probabilities
        Rows that add up to one, shape (events, K).
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None means 1 each.
    class_names
        K names; None means the class numbers.
    curves
        `roc_curves_by_class` of these events, if available, to avoid sorting again.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, labels that are not class numbers or of a single class,
        probabilities that are not finite, outside [0, 1] or do not add up to one, and weights that
        are not finite or have no positive sum in a class.
    InputError
        For names that are not K.

    References
    ----------
    T. Fawcett, Pattern Recognition Letters 27 (2006) 861, doi:10.1016/j.patrec.2005.10.010, for
    AUCs of several classes; DeLong et al. (1988), see `auc`, for the covariance.

    Examples
    --------
    >>> merits = multiclass_merits([0, 1, 2], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])
    >>> sorted(merits)
    ['accuracy', 'auc_0', 'auc_1', 'auc_2', 'auc_macro', 'cross_entropy']
    """
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    of_true_class = derived(lambda p, of: p[np.arange(len(of)), of], probability, label)
    smallest = _resolution(probabilities)
    rankings = {name: curve.ranking for name, curve in (curves or {}).items()}
    merits = [
        _accuracy(_right(label, probability), weight),
        _cross_entropy("cross_entropy", of_true_class, weight, smallest),
        *_one_against_rest(label, probability, weight, names, rankings),
    ]
    return {merit.name: merit for merit in merits}


def _resolution(probabilities: Any) -> float:
    """Return the machine epsilon of the dtype of the probabilities."""
    on_disk = isinstance(probabilities, RowsOnDisk)
    dtype = (probabilities if on_disk else np.asarray(probabilities)).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def accuracy(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
) -> Merit:
    """Return the weighted share of the events whose most probable class is the true one.

    It is the accuracy of `binary_merits` and `multiclass_merits`, of the validation in a history,
    and of `Classifier.score`. Of equally probable classes the first one counts: a binary score
    says signal if it is above 0.5.

    Parameters
    ----------
    labels
        Class numbers, shape (events,); with scores of two classes 0 or 1.
    probabilities
        Scores, shape (events,), or probabilities, shape (events, K).
    weights
        As in `binary_merits`.

    Raises
    ------
    EventsError, InputError
        As `binary_merits` does; a single class is allowed.

    Examples
    --------
    >>> accuracy([0, 0, 1, 1], [0.1, 0.5, 0.4, 0.8]).value
    0.75
    """
    array = as_array(probabilities)
    probability = as_probabilities(array, "probabilities", array.ndim)
    label = as_column(labels, "labels")
    check_same_length(label, probability, "labels", "probabilities")
    return _accuracy(_right(label, probability), as_weights(weights, len(label)))


def _right(labels: AnyArray, probabilities: AnyArray) -> AnyArray:
    """Return for each event whether its most probable class is the true one."""

    def right(of: Any, p: Any) -> Any:
        return (p > 0.5 if p.ndim == 1 else p.argmax(axis=1)) == of

    return derived(right, labels, probabilities)


def _accuracy(right: AnyArray, weights: AnyArray) -> Merit:
    passed, total = sums_of(weights, right), sums_of(weights)
    counts: dict[str, float | int] = {
        "right": passed.events,
        "events": total.events,
        "events_effective": total.effective,
    }
    return efficiency_merit("accuracy", efficiency_of(passed, total), _ACCURACY, counts)


def _cross_entropy(name: str, of_true_class: AnyArray, weights: AnyArray, smallest: float) -> Merit:
    entropy = derived(lambda p: -np.log(np.maximum(p, smallest)), of_true_class)
    mean = weighted_mean(entropy, weights)
    counts: dict[str, float | int] = {
        "events": len(weights),
        "events_effective": mean.n_effective,
        "clipped": sum(int((rows < smallest).sum()) for (rows,) in contiguous(of_true_class)),
    }
    unknown = "the uncertainty needs more than one effective event"
    reason = unknown if math.isnan(mean.uncertainty) else None
    definition = _CROSS_ENTROPY.format(smallest=smallest)
    return spread_merit(name, mean.value, mean.spread, definition, counts, reason=reason)


def _one_against_rest(
    labels: AnyArray,
    probabilities: AnyArray,
    weights: AnyArray,
    names: Sequence[str],
    rankings: dict[str, Ranking],
) -> list[Merit]:
    """Return the AUC of each class, and their mean."""
    present = events_of_each(labels, len(names))
    merits, pairs, excess = [], [], 0.0
    for index, name in enumerate(names):
        if not present[index]:
            definition = "area under the ROC curve of this class against the rest"
            reason = f"no events of class {name}"
            merits.append(undefined_merit(f"auc_{name}", reason, definition))
            continue
        own, score = one_class(labels, probabilities, index)
        ranking = rankings.get(name) or ranked(*check_scored(own, score, weights))
        merits.append(auc_of(ranking, f"auc_{name}"))
        pairs.append(influences(own, score, weights, ranking))
        excess += excess_of_pairs(ranking)
    counts: dict[str, float | int] = {
        f"events_{name}": int(n) for name, n in zip(names, present, strict=True)
    }
    if not present.all():
        missing = ", ".join(name for name, n in zip(names, present, strict=True) if n == 0)
        reason = f"no events of class {missing}"
        return [*merits, undefined_merit("auc_macro", reason, _MACRO, counts)]
    influence = derived(lambda *all_of: np.mean(all_of, axis=0), *(each for _, each in pairs))
    value = float(np.mean([value for value, _ in pairs]))
    # a pair of events of two classes counts in the areas of both
    spread = influence_spread(influence).less(2 * excess / len(pairs) ** 2)
    unknown = "the uncertainty needs more than one effective event in each class"
    reason = unknown if math.isnan(spread.variance) else None
    macro = spread_merit("auc_macro", value, spread, _MACRO, counts, reason=reason)
    return [*merits, macro]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """A confusion matrix: rows are true classes, columns are predicted classes.

    Attributes
    ----------
    class_names
        K names.
    sums
        Σ w, shape (K, K).
    counts
        Raw numbers of events, shape (K, K).
    fractions, low, high
        Row-normalised Σ w with intervals, shape (K, K); NaN in a row without events.
    level
        Confidence level of each interval. The fractions of a row are correlated.
    """

    class_names: tuple[str, ...]
    sums: Floats
    counts: NDArray[np.int64]
    fractions: Floats
    low: Floats
    high: Floats
    level: float

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict of lists; values that are not finite are None."""
        return as_numbers(self)


def confusion_matrix(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
) -> ConfusionMatrix:
    """Return the confusion matrix, with the most probable class as prediction.

    C_ab is the sum of weights of events of true class a that are classified as b. The fractions
    C_ab / Σ_b C_ab have the interval of `efficiency_from_sums`: that of Jeffreys with effective
    counts.

    Parameters
    ----------
    labels, probabilities, weights, class_names
        As in `multiclass_merits`. For a binary score s the probabilities are ``[1 − s, s]``.

    Raises
    ------
    EventsError, InputError
        As `multiclass_merits` does.

    Examples
    --------
    >>> matrix = confusion_matrix([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> matrix.counts.tolist(), matrix.fractions[0].tolist()
    ([[1, 1], [0, 1]], [0.5, 0.5])
    """
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    n_classes = len(names)
    shape = (n_classes, n_classes)
    sums, squares, counts = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for of, p, w in blocks(label, probability, weight):
        cell = of * n_classes + p.argmax(axis=1)
        for into, rows in ((sums, w), (squares, w**2), (counts, None)):
            into += np.bincount(cell, rows, n_classes**2).reshape(shape)
    row_sums, row_squares = sums.sum(axis=1, keepdims=True), squares.sum(axis=1, keepdims=True)
    usable = np.broadcast_to((row_sums > 0) & (row_squares > 0), sums.shape)
    efficiency = efficiency_from_sums(
        sums, squares, np.where(row_sums > 0, row_sums, 1), np.where(row_sums > 0, row_squares, 1),
    )  # fmt: skip
    fractions, low, high = (
        np.where(usable, array, np.nan)
        for array in (efficiency.value, efficiency.low, efficiency.high)
    )
    return ConfusionMatrix(names, sums, counts, fractions, low, high, ONE_SIGMA)
