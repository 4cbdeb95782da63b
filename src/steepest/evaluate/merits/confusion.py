"""The confusion matrix: which class is taken for which, with counts and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.events.arrays import Floats, Values
from steepest.evaluate.events.classes import check_classified
from steepest.evaluate.merits.intervals import efficiency_from_sums
from steepest.evaluate.merits.merit import ONE_SIGMA
from steepest.storage import blocks

__all__ = ["ConfusionMatrix", "confusion_matrix"]


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """A confusion matrix: rows are true classes, columns the classes called.

    Attributes
    ----------
    class_names
        K names.
    sums
        Σ w, shape (K, K).
    counts
        Raw numbers of events, shape (K, K).
    fractions, low, high
        Row-normalised Σ w with interval, shape (K, K); NaN in a row without events.
    level
        Confidence level of each interval; the cells of a row are correlated.
    """

    class_names: tuple[str, ...]
    sums: Floats
    counts: NDArray[np.int64]
    fractions: Floats
    low: Floats
    high: Floats
    level: float

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict of lists; what is not finite is None."""
        arrays = {name: getattr(self, name) for name in ("sums", "fractions", "low", "high")}
        return {
            "class_names": list(self.class_names),
            "counts": self.counts.tolist(),
            **{name: _rows(array) for name, array in arrays.items()},
            "level": self.level,
        }


def _rows(array: Floats) -> list[list[float | None]]:
    return [[x if math.isfinite(x) else None for x in row] for row in array.tolist()]


def confusion_matrix(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
    level: float = ONE_SIGMA,
) -> ConfusionMatrix:
    """Return the confusion matrix of the most probable class.

    C_ab = Σ of the weights of true class a called b; the fractions C_ab / Σ_b C_ab have the
    interval of `efficiency_from_sums`: Clopper–Pearson's with effective counts, in [0, 1].

    Parameters
    ----------
    labels
        Class numbers 0 … K − 1, shape (events,).
    probabilities
        Rows that add up to one, shape (events, K). For a binary score s: ``[1 − s, s]``.
    weights
        Event weights of any sign, shape (events,); None is 1 each.
    class_names
        K names, the class numbers when None.
    level
        Confidence level of the intervals.

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
        level,
    )  # fmt: skip
    fractions, low, high = (
        np.where(usable, array, np.nan)
        for array in (efficiency.value, efficiency.low, efficiency.high)
    )
    return ConfusionMatrix(names, sums, counts, fractions, low, high, level)
