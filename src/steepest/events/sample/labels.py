"""From the label's values to a task: regression, two classes, or many; never by a guess.

=========================================  =============  ======================================
label                                      task           classes
=========================================  =============  ======================================
boolean, or 0 and 1                        binary         "0", "1"
text, or integers with 3 to 100 values     multiclass     the values, sorted
other numbers                              regression
two numbers other than 0 and 1             an error       label = "x == 1" says which is signal
=========================================  =============  ======================================

A loss that is named decides instead: the values must then be what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steepest.errors import EventsError
from steepest.events.sample.label_counts import MOST_CLASSES, LabelCounts, shown
from steepest.events.words import counted, listed, quoted

__all__ = ["BINARY", "TASKS", "Labels", "decide", "encode"]

BINARY = ("0", "1")
TASKS = {
    "mean-squared-error": "regression",
    "binary-cross-entropy": "binary",
    "cross-entropy": "multiclass",
}
MOST_GUESSED = 100
"""Integers with more distinct values are taken as a quantity, text as a mistake."""

Locate = Callable[[int], str]
"""Says where an event lies: "in FILE at row 17"."""


@dataclass(frozen=True)
class Labels:
    """What labels become for the descent, and why."""

    task: str
    classes: tuple[str, ...]
    reason: str
    convert: Callable[[np.ndarray], np.ndarray]
    """From what `LabelCounts.add` returns to float64 (regression) or int64 class indices."""


def decide(
    label_counts: LabelCounts, text: str, *, integers: bool, loss: str | None, locate: Locate
) -> Labels:
    """Return the task that the values, or the named loss, ask for, and the labels for it.

    Parameters
    ----------
    label_counts
        The values of the label, finite and without null.
    text
        The label as the recipe has it.
    integers
        Whether the values are integers by their columns' types.
    loss
        The loss's name, or None to choose the task from the values.
    locate
        Says where the event of an index lies.

    Raises
    ------
    EventsError
        The values are not what the loss needs, are one class or constant, or leave open which of
        two values is the signal.
    """
    task, reason = _task(label_counts, text, integers, loss, locate)
    if task == "regression":
        _refuse_constant(label_counts, text)
        return Labels(task, (), reason, _as_numbers)
    if len(label_counts.distinct) < 2:
        raise _one_class(label_counts, text)
    codes = np.arange(len(label_counts.distinct))
    if task == "binary":
        codes = np.asarray(label_counts.distinct, dtype=np.int64)
        return Labels(task, BINARY, reason, label_counts.coded(codes))
    if label_counts.many:
        raise _too_many(label_counts, text, MOST_CLASSES)
    if not label_counts.is_text and not label_counts.is_integral:
        raise EventsError(
            f"The label {text!r} is no class: it has values that are not integers.",
            expected="text or integers, as cross-entropy needs",
            found=listed(map(shown, label_counts.distinct), 5),
            do="set descent.loss = 'mean-squared-error', or derive classes with where(...)",
        )
    return Labels(task, label_counts.names, reason, label_counts.coded(codes))


def encode(
    label_counts: LabelCounts, text: str, task: str, classes: Sequence[str], locate: Locate
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes labels of other events, for a task and classes that are given.

    Raises
    ------
    EventsError
        A value is none of the classes, or text where numbers are needed.
    """
    if task == "regression":
        if label_counts.is_text:
            raise _text_regression(label_counts, text)
        return _as_numbers
    if not label_counts.is_text and not label_counts.is_integral:
        names = tuple(shown(value) for value in label_counts.distinct)
    else:
        names = label_counts.names
    for value, name in zip(label_counts.distinct, names, strict=True):
        if name not in classes:
            raise EventsError(
                f"The label {text!r} has a value that is none of the run's classes.",
                expected=f"one of {listed(classes, 12)}",
                found=f"{shown(value)}, first {locate(label_counts.first(value))}",
                do="select the events of the run's classes, or train on all of these classes",
            )
    return label_counts.coded(
        np.array([list(classes).index(name) for name in names], dtype=np.int64)
    )


def _as_numbers(numbers: np.ndarray) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def _task(
    label_counts: LabelCounts, text: str, integers: bool, loss: str | None, locate: Locate
) -> tuple[str, str]:
    if loss is not None:
        task = TASKS[loss]
        if task == "binary" and not label_counts.is_binary:
            raise _not_binary(label_counts, text, locate)
        if task == "regression" and label_counts.is_text:
            raise _text_regression(label_counts, text)
        return task, f"descent.loss is {loss}"
    count = len(label_counts.distinct)
    if label_counts.is_text:
        if count > MOST_GUESSED:
            raise _too_many(label_counts, text, MOST_GUESSED)
        return "multiclass", f"the label is text with {counted(count, 'value')}"
    if label_counts.is_binary:
        if isinstance(label_counts.distinct[0], bool):
            return "binary", "the label is a condition"
        return "binary", "the label is 0 or 1"
    if count == 2:
        raise _not_binary(label_counts, text, locate)
    if integers and count <= MOST_GUESSED and label_counts.is_integral:
        return "multiclass", f"the label is an integer with {counted(count, 'value')}"
    if integers:
        return (
            "regression",
            f"the label is an integer with {label_counts.how_many} values, "
            f"more than {MOST_GUESSED}",
        )
    return "regression", "the label is a number with other values than 0 and 1"


def _refuse_constant(label_counts: LabelCounts, text: str) -> None:
    if len(label_counts.distinct) == 1:
        raise EventsError(
            f"The label {text!r} is the same for all {label_counts.events} selected events.",
            expected="a label that varies",
            found=shown(label_counts.distinct[0]),
            do="check events.label and events.select",
        )


def _one_class(label_counts: LabelCounts, text: str) -> EventsError:
    return EventsError(
        f"The label {text!r} has one class only.",
        expected="events of at least two classes",
        found=label_counts.counts,
        cause="the selection removes the other class, or its files are not given",
        do="add the other class's files to events.path, or loosen events.select",
    )


def _not_binary(label_counts: LabelCounts, text: str, locate: Locate) -> EventsError:
    if len(label_counts.distinct) == 1 and not label_counts.is_text:
        return _one_class(label_counts, text)
    other = next(v for v in label_counts.distinct if isinstance(v, str) or v not in (0, 1))
    signal = label_counts.distinct[-1]
    left = text if text.isidentifier() else f"({text})"
    right = f'"{signal}"' if isinstance(signal, str) else shown(signal)
    return EventsError(
        f"The label {text!r} has other values than 0 and 1.",
        expected="0 for background and 1 for signal, or a condition",
        found=f"{label_counts.counts}; first {shown(other)} {locate(label_counts.first(other))}",
        do=f"say which is the signal: label = {quoted(f'{left} == {right}')}",
    )


def _text_regression(label_counts: LabelCounts, text: str) -> EventsError:
    return EventsError(
        f"The label {text!r} is text, which mean-squared-error cannot take.",
        expected="a number for each event",
        found=listed(map(shown, label_counts.distinct), 5),
        do="set descent.loss = 'cross-entropy', or leave it out",
    )


def _too_many(label_counts: LabelCounts, text: str, most: int) -> EventsError:
    return EventsError(
        f"The label {text!r} has {label_counts.how_many} values, too many for classes.",
        expected=f"at most {most} classes",
        found=listed(map(shown, label_counts.distinct), 5),
        cause="the column is an identifier or a quantity, not a class",
        do="check events.label",
    )
