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
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
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
MOST_CLASSES = 1_000

Locate = Callable[[int], str]
"""Says where an event lies: "in FILE at row 17"."""


@dataclass(frozen=True)
class Labels:
    """Labels as the descent needs them, ``(events,)``, and why they are what they are."""

    values: np.ndarray
    """float64 for regression, else the int64 index of the class."""
    task: str
    classes: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class _Coded:
    """Values as indices into their sorted distinct values."""

    distinct: list[Any]
    codes: np.ndarray

    @property
    def counts(self) -> str:
        counts = np.bincount(self.codes, minlength=len(self.distinct))
        pairs = zip(self.distinct, counts, strict=True)
        return listed((f"{_shown(value)}: {counted(n, 'event')}" for value, n in pairs), 5)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(
            value if isinstance(value, str) else str(int(value)) for value in self.distinct
        )

    @property
    def is_binary(self) -> bool:
        return not isinstance(self.distinct[0], str) and set(self.distinct) <= {0, 1}

    @property
    def is_integral(self) -> bool:
        return not isinstance(self.distinct[0], str) and all(v == int(v) for v in self.distinct)


def decide(
    values: pl.Series, text: str, *, integers: bool, loss: str | None, locate: Locate
) -> Labels:
    """Return the task that the values, or the named loss, ask for, and the labels for it.

    Parameters
    ----------
    values
        The label of each event: numbers, booleans or text, finite and without null.
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
    coded = _coded(values)
    task, reason = _task(coded, text, integers, loss, locate)
    if task == "regression":
        return Labels(_real(values, coded, text), task, (), reason)
    _refuse_one_class(coded, text)
    if task == "binary":
        return Labels(np.asarray(coded.distinct, dtype=np.int64)[coded.codes], task, BINARY, reason)
    if len(coded.distinct) > MOST_CLASSES:
        raise _too_many(coded, text, MOST_CLASSES)
    if not isinstance(coded.distinct[0], str) and not coded.is_integral:
        raise EventsError(
            f"The label {text!r} is no class: it has values that are not integers.",
            expected="text or integers, as cross-entropy needs",
            found=listed(map(_shown, coded.distinct), 5),
            do="set descent.loss = 'mean-squared-error', or derive classes with where(...)",
        )
    return Labels(coded.codes, task, coded.names, reason)


def encode(
    values: pl.Series, text: str, task: str, classes: Sequence[str], locate: Locate
) -> np.ndarray:
    """Return the labels of other events for a task and classes that are given.

    Raises
    ------
    EventsError
        A value is none of the classes, or text where numbers are needed.
    """
    coded = _coded(values)
    if task == "regression":
        if isinstance(coded.distinct[0], str):
            raise _text_regression(coded, text)
        return values.cast(pl.Float64).to_numpy().copy()
    if not isinstance(coded.distinct[0], str) and not coded.is_integral:
        names = tuple(_shown(value) for value in coded.distinct)
    else:
        names = coded.names
    for code, name in enumerate(names):
        if name not in classes:
            first = int(np.argmax(coded.codes == code))
            raise EventsError(
                f"The label {text!r} has a value that is none of the run's classes.",
                expected=f"one of {listed(classes, 12)}",
                found=f"{_shown(coded.distinct[code])}, first {locate(first)}",
                do="select the events of the run's classes, or train on all of these classes",
            )
    indices = np.array([list(classes).index(name) for name in names], dtype=np.int64)
    return indices[coded.codes]


def _task(
    coded: _Coded, text: str, integers: bool, loss: str | None, locate: Locate
) -> tuple[str, str]:
    if loss is not None:
        task = TASKS[loss]
        if task == "binary" and not coded.is_binary:
            raise _not_binary(coded, text, locate)
        if task == "regression" and isinstance(coded.distinct[0], str):
            raise _text_regression(coded, text)
        return task, f"descent.loss is {loss}"
    count = len(coded.distinct)
    if isinstance(coded.distinct[0], str):
        if count > MOST_GUESSED:
            raise _too_many(coded, text, MOST_GUESSED)
        return "multiclass", f"the label is text with {counted(count, 'value')}"
    if coded.is_binary:
        if isinstance(coded.distinct[0], bool):
            return "binary", "the label is a condition"
        return "binary", "the label is 0 or 1"
    if count == 2:
        raise _not_binary(coded, text, locate)
    if integers and count <= MOST_GUESSED and coded.is_integral:
        return "multiclass", f"the label is an integer with {counted(count, 'value')}"
    if integers:
        return (
            "regression",
            f"the label is an integer with {count} values, more than {MOST_GUESSED}",
        )
    return "regression", "the label is a number with other values than 0 and 1"


def _coded(values: pl.Series) -> _Coded:
    if values.dtype.is_float():
        values = values + 0.0  # -0.0 and 0.0 are one value
    arrow = values.to_arrow()
    if values.dtype == pl.String:
        arrow = arrow.cast(pa.large_string())
    encoded = arrow.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    order = sorted(range(len(distinct)), key=distinct.__getitem__)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    codes = rank[encoded.indices.to_numpy(zero_copy_only=False)]
    return _Coded([distinct[i] for i in order], codes)


def _real(values: pl.Series, coded: _Coded, text: str) -> np.ndarray:
    if len(coded.distinct) == 1:
        raise EventsError(
            f"The label {text!r} is the same for all {len(values)} selected events.",
            expected="a label that varies",
            found=_shown(coded.distinct[0]),
            do="check events.label and events.select",
        )
    return values.cast(pl.Float64).to_numpy().copy()


def _refuse_one_class(coded: _Coded, text: str) -> None:
    if len(coded.distinct) > 1:
        return
    raise EventsError(
        f"The label {text!r} has one class only.",
        expected="events of at least two classes",
        found=coded.counts,
        cause="the selection removes the other class, or its files are not given",
        do="add the other class's files to events.path, or loosen events.select",
    )


def _not_binary(coded: _Coded, text: str, locate: Locate) -> EventsError:
    if len(coded.distinct) == 1 and not isinstance(coded.distinct[0], str):
        try:
            _refuse_one_class(coded, text)
        except EventsError as error:
            return error
    code = next(
        i for i, value in enumerate(coded.distinct) if isinstance(value, str) or value not in (0, 1)
    )
    first = locate(int(np.argmax(coded.codes == code)))
    signal = coded.distinct[-1]
    left = text if text.isidentifier() else f"({text})"
    right = f'"{signal}"' if isinstance(signal, str) else _shown(signal)
    return EventsError(
        f"The label {text!r} has other values than 0 and 1.",
        expected="0 for background and 1 for signal, or a condition",
        found=f"{coded.counts}; first {_shown(coded.distinct[code])} {first}",
        do=f"say which is the signal: label = {quoted(f'{left} == {right}')}",
    )


def _text_regression(coded: _Coded, text: str) -> EventsError:
    return EventsError(
        f"The label {text!r} is text, which mean-squared-error cannot take.",
        expected="a number for each event",
        found=listed(map(_shown, coded.distinct), 5),
        do="set descent.loss = 'cross-entropy', or leave it out",
    )


def _too_many(coded: _Coded, text: str, most: int) -> EventsError:
    return EventsError(
        f"The label {text!r} has {len(coded.distinct)} values, too many for classes.",
        expected=f"at most {most} classes",
        found=listed(map(_shown, coded.distinct), 5),
        cause="the column is an identifier or a quantity, not a class",
        do="check events.label",
    )


def _shown(value: Any) -> str:
    """Return a value as it is written in an expression."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else f"{value:.15g}"
