"""Which classes labels have, and which of them each label is.

scikit-learn's own checks sort or hash all labels, several times. Integers and booleans of a narrow
range, as nearly all labels of many events are, are looked up in a table in place of that: one read
to see which there are, one to number them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from steepest.errors import EventsError

Array = np.ndarray
MANY = 65_536
"""Labels from which on the table is used."""
WIDEST = 4_096
"""Values from the lowest to the highest label that the table has room for."""


def classes_of(y: Array) -> Array:
    """Return the classes in order, of labels that scikit-learn accepts as classes.

    Raises
    ------
    ValueError
        As scikit-learn does, for labels that are no classes.

    Examples
    --------
    >>> classes_of(np.array([3, 1, 3]))
    array([1, 3])
    """
    span = _span(y)
    if span is None:
        check_classification_targets(y)
        return unique_labels(y)
    lowest, width = span
    present = np.zeros(width, dtype=bool)
    present[_offsets(y, lowest)] = True
    return np.flatnonzero(present).astype(y.dtype) + y.dtype.type(lowest)


def indices_of(y: Array, classes: Array, kind: Any) -> Array:
    """Return the place of each label among the classes, which have it, as numbers of that type.

    Examples
    --------
    >>> indices_of(np.array(["top", "qcd"]), np.array(["qcd", "top"]), "float32")
    array([1., 0.], dtype=float32)
    """
    span = _span(y)
    if span is None or classes.dtype.kind not in "biu":
        return np.searchsorted(classes, y).astype(kind)
    lowest, width = span
    within = (classes >= lowest) & (classes < lowest + width)
    places = np.zeros(width, dtype=kind)
    places[_offsets(classes[within], lowest)] = np.flatnonzero(within)
    return places[_offsets(y, lowest)]


def two_or_more(classes: Array, where: str) -> Array:
    """Return the classes; EventsError if there is one only."""
    if len(classes) < 2:
        raise EventsError(
            "Classifier was given one class only.",
            expected="labels of two classes or more",
            found=f"only {classes.tolist()[0]!r} in {where}",
        )
    return classes


def refuse_unknown(y: Array, classes: Array, what: str) -> None:
    """Raise EventsError, which begins with `what`, if a label is none of the classes."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        known = f"one of {classes.tolist()}"
        raise EventsError(what, expected=known, found=repr(unknown[0]))


def _span(y: Array) -> tuple[int, int] | None:
    """The lowest label and how many values a table needs; None where it does not suit."""
    if len(y) < MANY or y.dtype.kind not in "biu":
        return None
    lowest, highest = int(y.min()), int(y.max())
    return (lowest, highest - lowest + 1) if highest - lowest < WIDEST else None


def _offsets(y: Array, lowest: int) -> Array:
    if y.dtype.itemsize < 8:
        return y.astype(np.int64) - lowest
    return y - y.dtype.type(lowest) if lowest else y
