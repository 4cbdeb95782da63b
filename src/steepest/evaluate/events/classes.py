"""Labels and probabilities of several classes: checked, counted, and one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.events.arrays import (
    as_class_labels,
    as_probabilities,
    as_weights,
    check_same_length,
)
from steepest.evaluate.events.columns import contiguous
from steepest.storage import AnyArray, derived

__all__ = ["check_classified", "events_of_each", "one_class"]


def check_classified(
    labels: Any,
    probabilities: Any,
    weights: Any,
    class_names: Sequence[str] | None,
) -> tuple[Any, Any, Any, tuple[str, ...]]:
    """Return (labels, probabilities, weights, class names), checked."""
    probability = as_probabilities(probabilities, "probabilities", n_dimensions=2)
    n_classes = probability.shape[1]
    label = as_class_labels(labels, n_classes)
    check_same_length(label, probability, "labels", "probabilities")
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(n_classes)))
    if len(names) != n_classes or len(set(names)) != n_classes:
        raise InputError(
            "class names do not fit the probabilities.",
            expected=f"{n_classes} different names, one for each column",
            found=", ".join(names),
            cause="a class that was added or left out after training",
            do="give the names in the order of the model's outputs",
        )
    return label, probability, as_weights(weights, len(label)), names


def one_class(labels: AnyArray, probabilities: AnyArray, index: int) -> tuple[Any, Any]:
    """Return whether an event is of the class, and its probability to be."""
    own = derived(lambda rows: rows == index, labels)
    return own, derived(lambda rows: np.ascontiguousarray(rows[:, index]), probabilities)


def events_of_each(labels: AnyArray, n_classes: int) -> np.ndarray:
    """Return the number of events of each class."""
    counts = [np.bincount(rows, minlength=n_classes) for (rows,) in contiguous(labels)]
    return np.sum(counts, axis=0)
