"""Checks of labels, scores and weights, and conversion to columns of float64.

All public functions of `steepest.evaluate` check their arguments with these functions. Nothing is
repaired: an invalid array is an `EventsError` that names the first invalid event.

Rows on disk (`steepest.storage`) are checked in blocks and stay on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import EventsError, InputError
from steepest.evaluate.columns import contiguous, sums_of
from steepest.storage import AnyArray, RowsOnDisk, blocks, derived

Floats = NDArray[np.float64]
Values = ArrayLike | RowsOnDisk
"""A column of events, as public functions accept it."""


def as_array(values: Any, dtype: Any = np.float64) -> Any:
    """Return the values as an array of this dtype; rows on disk are converted when read."""
    if not isinstance(values, RowsOnDisk):
        return np.asarray(values, dtype=dtype)
    if values.dtype == dtype:
        return values
    return derived(lambda rows: rows.astype(dtype), values)


def as_column(values: Any, name: str) -> Any:
    """Return finite `values` as float64 of shape (events,), or raise EventsError."""
    array = as_array(values)
    if array.ndim != 1:
        raise EventsError(
            f"{name} have the wrong shape.",
            expected="one number per event: shape (events,)",
            found=f"shape {array.shape}",
            cause="an additional axis, or a single number",
            do=f"flatten them first, for example {name}[:, 0]",
        )
    if len(array) == 0:
        raise EventsError(
            f"{name} are empty.",
            expected="at least one event",
            found="0 events",
            cause="a selection or a split without events",
            do="loosen the selection, or enlarge this part of the split",
        )
    _check_finite(array, name)
    return array


def as_pair(truth: Any, prediction: Any) -> tuple[Any, Any]:
    """Return the columns of a regression, of one length."""
    true, predicted = as_column(truth, "truth"), as_column(prediction, "prediction")
    check_same_length(true, predicted, "truth", "prediction")
    return true, predicted


def _bad_rows(array: AnyArray, is_bad: Callable[[Any], NDArray]) -> tuple[int, int]:
    """Return the number of bad rows, and the first of them (-1 if there is none)."""
    count, first, seen = 0, -1, 0
    for (rows,) in blocks(array):
        bad = is_bad(rows)
        if bad.any():
            first = seen + int(np.argmax(bad)) if first < 0 else first
            count += int(bad.sum())
        seen += len(rows)
    return count, first


def check_rows(
    array: AnyArray,
    is_bad: Callable[[Any], NDArray],
    what: str,
    expected: str,
    cause: str,
    do: str,
    found: Callable[[Any], str] = "{:g}".format,
    counted: str = "",
) -> None:
    """Raise EventsError that names the first bad row, if there is any."""
    count, row = _bad_rows(array, is_bad)
    if count == 0:
        return
    value = found(array[row : row + 1][0])
    raise EventsError(
        f"{what}: row {row}.",
        expected=expected,
        found=f"{value} in row {row}" + counted.format(count, len(array)),
        cause=cause,
        do=do,
    )


def _check_finite(array: AnyArray, name: str) -> None:
    check_rows(
        array,
        lambda rows: np.logical_not(np.isfinite(rows if rows.ndim == 1 else rows.sum(axis=1))),
        f"{name} are not finite",
        expected="finite numbers",
        cause="a model that diverged, or a feature that was not finite",
        do="look at that event's features and at the loss of the last steps",
        found=str,
        counted="; {} of {} rows are not finite",
    )


def check_same_length(first: AnyArray, second: AnyArray, first_name: str, second_name: str) -> None:
    """Raise EventsError unless both arrays have one row per event of the same events."""
    if len(first) == len(second):
        return
    raise EventsError(
        f"{first_name} and {second_name} have different lengths.",
        expected=f"{len(first)} {second_name}, one for each of the {first_name}",
        found=f"{len(second)} {second_name}",
        cause="the arrays come from different selections or splits",
        do="take both from the same events, in the same order",
    )


def as_weights(weights: Any, size: int) -> Any:
    """Return one finite weight per event, of any sign; ones if `weights` is None."""
    if weights is None:
        return np.broadcast_to(np.float64(1), (size,))  # takes no memory
    array = as_column(weights, "weights")
    check_same_length(np.broadcast_to(0, (size,)), array, "events", "weights")
    check_weight_sum(array, "all events")
    return array


def check_weight_sum(weights: AnyArray, events: str, *masks: AnyArray) -> None:
    """Raise EventsError unless the weights where all masks are true have a positive sum."""
    sums = sums_of(weights, *masks)
    if sums.positive:
        return
    negative = sums_of(weights, derived(lambda rows: rows < 0, weights), *masks).events
    raise EventsError(
        f"the weights of {events} do not have a positive sum.",
        expected="a sum above zero, since figures of merit are normalised to it",
        found=f"{sums.weight:g} from {sums.events} events, {negative} of them negative",
        cause="too few events left after the selection, or weights without their sign convention",
        do="use more events, or check the weight column",
    )


def check_scored(labels: Any, scores: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Return (is signal, scores, weights), checked, each of shape (events,)."""
    column = as_column(scores, "scores")
    weight = as_weights(weights, len(column))
    rows = labels if isinstance(labels, RowsOnDisk) else np.atleast_1d(labels)
    check_same_length(rows, column, "labels", "scores")
    array = as_column(labels, "labels")
    check_rows(
        array,
        lambda rows: (rows != 0) & (rows != 1),
        "labels are not 0 or 1",
        expected="0 for background, 1 for signal",
        cause="more than two classes, or another coding such as -1 and 1",
        do="write the label as a condition, for example label == 1",
    )
    _check_two_classes(array)
    signal = derived(lambda rows: rows == 1, array)
    check_weight_sum(weight, "signal events", signal)
    check_weight_sum(weight, "background events", derived(np.logical_not, signal))
    return signal, column, weight


def _check_two_classes(labels: AnyArray) -> None:
    first = labels[:1][0]
    if _bad_rows(labels, lambda rows: rows != first)[0]:
        return
    raise EventsError(
        "labels hold a single class.",
        expected="events of at least two classes",
        found=f"{len(labels)} events, all with label {first:g}",
        cause="a selection on the label, or a sample of one process only",
        do="add events of the other class",
    )


def _as_class_labels(labels: Any, n_classes: int) -> Any:
    """Return class labels 0 … n_classes − 1 as integers; at least two classes must occur."""
    array = as_column(labels, "labels")
    check_rows(
        array,
        lambda rows: (rows != np.floor(rows)) | (rows < 0) | (rows >= n_classes),
        "labels are not class numbers",
        expected=f"an integer from 0 to {n_classes - 1}, one for each column of probabilities",
        cause="labels that count from 1, or a class that the model does not know",
        do="number the classes from 0, in the order of the model's outputs",
    )
    _check_two_classes(array)
    return as_array(array, np.intp)


def as_probabilities(values: Any, name: str, n_dimensions: int = 1) -> Any:
    """Return probabilities, (events,) or (events, classes) with rows that add up to one."""
    array = as_array(values) if n_dimensions == 2 else as_column(values, name)
    if n_dimensions == 2:
        _check_matrix(array, name)

    def is_bad(rows: Floats) -> Any:
        outside = (rows < 0) | (rows > 1)
        return outside if n_dimensions == 1 else outside.any(axis=1)

    check_rows(
        array,
        is_bad,
        f"{name} are not probabilities",
        expected="numbers from 0 to 1",
        cause="the model's raw outputs, before the sigmoid or softmax",
        do="apply the sigmoid or softmax first",
        found=str,
    )
    if n_dimensions == 2:
        check_rows(
            array,
            lambda rows: np.abs(rows.sum(axis=1) - 1) > 1e-3,
            f"{name} do not add up to one",
            expected="a sum of 1 over the classes, within 0.001",
            cause="a sigmoid per class instead of a softmax",
            do="normalise the outputs over the classes",
            found=lambda row: f"{row.sum():g}",
        )
    return array


def _check_matrix(array: AnyArray, name: str) -> None:
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        raise EventsError(
            f"{name} have the wrong shape.",
            expected="shape (events, classes) with at least two classes",
            found=f"shape {array.shape}",
            cause="the scores of a binary classifier, or no events",
            do="use binary_merits for two classes with one score",
        )
    _check_finite(array, name)


def check_fraction(value: float, name: str) -> None:
    """Raise InputError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise InputError(
            f"{name} is not a fraction.",
            expected="a number between 0 and 1, both excluded",
            found=f"{value:g}",
            cause="a percentage",
            do="divide by 100",
        )


def check_classified(
    labels: Any, probabilities: Any, weights: Any, class_names: Sequence[str] | None
) -> tuple[Any, Any, Any, tuple[str, ...]]:
    """Return (labels, probabilities, weights, class names), checked."""
    probability = as_probabilities(probabilities, "probabilities", n_dimensions=2)
    n_classes = probability.shape[1]
    label = _as_class_labels(labels, n_classes)
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
    """Return whether each event belongs to the class, and its probability of the class."""
    own = derived(lambda rows: rows == index, labels)
    return own, derived(lambda rows: np.ascontiguousarray(rows[:, index]), probabilities)


def events_of_each(labels: AnyArray, n_classes: int) -> np.ndarray:
    """Return the number of events of each class."""
    counts = [np.bincount(rows, minlength=n_classes) for (rows,) in contiguous(labels)]
    return np.sum(counts, axis=0)
