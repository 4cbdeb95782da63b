"""Labels, scores and weights: checked once, then plain float64 arrays.

Use these at the door of every public function of `steepest.evaluate`. Nothing is repaired: an
array that is not as it must be ends in an `EventsError` that names the first bad event.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import EventsError, InputError

__all__ = [
    "Floats",
    "as_binary_labels",
    "as_class_labels",
    "as_column",
    "as_probabilities",
    "as_weights",
    "check_fraction",
    "check_same_length",
    "check_weight_sum",
]

Floats = NDArray[np.float64]


def as_column(values: ArrayLike, name: str) -> Floats:
    """Return finite `values` as a float64 array of shape (events,), or raise EventsError."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise EventsError(
            f"{name} have the wrong shape.",
            expected="one number per event: shape (events,)",
            found=f"shape {array.shape}",
            cause="a column too many, or a single number",
            do=f"flatten them first, for example {name}[:, 0]",
        )
    if array.size == 0:
        raise EventsError(
            f"{name} are empty.",
            expected="at least one event",
            found="0 events",
            cause="a selection or a split that leaves nothing",
            do="loosen the selection, or enlarge this part of the split",
        )
    _check_finite(array, name)
    return array


def _check_finite(array: Floats, name: str) -> None:
    bad = ~np.isfinite(array if array.ndim == 1 else array.sum(axis=1))
    if not bad.any():
        return
    row = int(np.argmax(bad))
    raise EventsError(
        f"{name} are not finite: row {row}.",
        expected="finite numbers",
        found=f"{array[row]} in row {row}; {int(bad.sum())} of {bad.size} rows are not finite",
        cause="a model that diverged, or a feature that was not finite",
        do="look at that event's features and at the loss of the last steps",
    )


def check_same_length(first: NDArray, second: NDArray, first_name: str, second_name: str) -> None:
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


def as_weights(weights: ArrayLike | None, size: int) -> Floats:
    """Return one finite weight per event, ones when `weights` is None; negative ones are legal."""
    if weights is None:
        return np.ones(size)
    array = as_column(weights, "weights")
    check_same_length(np.empty(size), array, "events", "weights")
    check_weight_sum(array, "all events")
    return array


def check_weight_sum(weights: Floats, events: str) -> None:
    """Raise EventsError unless the weights of `events` have a positive sum."""
    total = float(weights.sum())
    if total > 1e-12 * float(np.abs(weights).sum()):
        return
    raise EventsError(
        f"the weights of {events} do not have a positive sum.",
        expected="a sum above zero: figures of merit are normalised to it",
        found=f"{total:g} from {weights.size} events, {int((weights < 0).sum())} of them negative",
        cause="too few events left after the selection, or weights without their sign convention",
        do="use more events, or check the weight column",
    )


def as_binary_labels(labels: ArrayLike, weights: Floats | None = None) -> NDArray[np.bool_]:
    """Return labels 0 (background) and 1 (signal) as booleans; both classes must be there."""
    array = as_column(labels, "labels")
    bad = (array != 0) & (array != 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise EventsError(
            f"labels are not 0 or 1: row {row}.",
            expected="0 for background, 1 for signal",
            found=f"{array[row]:g} in row {row}",
            cause="more than two classes, or another coding such as -1 and 1",
            do="write the label as a condition, for example label == 1",
        )
    signal = array == 1
    if signal.all() or not signal.any():
        _raise_single_class(f"{int(signal[0])}", array.size)
    if weights is not None:
        check_same_length(signal, weights, "labels", "weights")
        check_weight_sum(weights[signal], "signal events")
        check_weight_sum(weights[~signal], "background events")
    return signal


def _raise_single_class(label: str, size: int) -> None:
    raise EventsError(
        "labels hold a single class.",
        expected="events of at least two classes",
        found=f"{size} events, all with label {label}",
        cause="a selection on the label, or a sample of one process only",
        do="add events of the other class",
    )


def as_class_labels(labels: ArrayLike, n_classes: int) -> NDArray[np.intp]:
    """Return class labels 0 … n_classes − 1 as integers; at least two classes must be there."""
    array = as_column(labels, "labels")
    bad = (array != np.floor(array)) | (array < 0) | (array >= n_classes)
    if bad.any():
        row = int(np.argmax(bad))
        raise EventsError(
            f"labels are not class numbers: row {row}.",
            expected=f"an integer from 0 to {n_classes - 1}, one for each column of probabilities",
            found=f"{array[row]:g} in row {row}",
            cause="labels that count from 1, or a class that the model does not know",
            do="number the classes from 0, in the order of the model's outputs",
        )
    if (array == array[0]).all():
        _raise_single_class(f"{array[0]:g}", array.size)
    return array.astype(np.intp)


def as_probabilities(values: ArrayLike, name: str, n_dimensions: int = 1) -> Floats:
    """Return probabilities, (events,) or (events, classes) with rows that add up to one."""
    array = np.asarray(values, dtype=np.float64)
    if n_dimensions == 1:
        array = as_column(array, name)
    else:
        _check_matrix(array, name)
    outside = (array < 0) | (array > 1)
    bad = outside if n_dimensions == 1 else outside.any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise EventsError(
            f"{name} are not probabilities: row {row}.",
            expected="numbers from 0 to 1",
            found=f"{array[row]} in row {row}",
            cause="the model's raw outputs, before the sigmoid or softmax",
            do="apply the sigmoid or softmax first",
        )
    if n_dimensions == 2:
        _check_rows_sum_to_one(array, name)
    return array


def _check_matrix(array: Floats, name: str) -> None:
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        raise EventsError(
            f"{name} have the wrong shape.",
            expected="shape (events, classes) with at least two classes",
            found=f"shape {array.shape}",
            cause="the scores of a binary classifier, or no events",
            do="use binary_merits for two classes with one score",
        )
    _check_finite(array, name)


def _check_rows_sum_to_one(array: Floats, name: str) -> None:
    sums = array.sum(axis=1)
    bad = np.abs(sums - 1) > 1e-3
    if bad.any():
        row = int(np.argmax(bad))
        raise EventsError(
            f"{name} do not add up to one: row {row}.",
            expected="a sum of 1 over the classes, within 0.001",
            found=f"{sums[row]:g} in row {row}",
            cause="a sigmoid per class in place of a softmax",
            do="normalise the outputs over the classes",
        )


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
