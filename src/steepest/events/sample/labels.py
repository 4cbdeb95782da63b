"""From the label's values to a task: regression, two classes, or many; the log says which.

=========================================  =============  ======================================
label                                      task           classes
=========================================  =============  ======================================
boolean, or 0 and 1                        binary         "0", "1"
text with two values                       binary         the values; the last one is the signal
text, or integers with 3 to 100 values     multiclass     the values, sorted
other numbers                              regression
two numbers other than 0 and 1             an error       label = "x == 1" says which is signal
=========================================  =============  ======================================

A loss that is named decides instead: the values must then be what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.errors import EventsError
from steepest.events.words import counted, listed, quoted
from steepest.ranks import Ranks

BINARY = ("0", "1")
TASKS = {
    "mean-squared-error": "regression",
    "binary-cross-entropy": "binary",
    "cross-entropy": "multiclass",
}
MOST_GUESSED = 100
"""Integers with more distinct values are taken as a quantity, text as a mistake."""
MOST_CLASSES = 1_000
ELSEWHERE = -1
"""In place of the first event of a value that only other ranks have."""


class LabelCounts:
    """The distinct values of a label, counted block by block, up to `MOST_CLASSES` and one more.

    Examples
    --------
    >>> label_counts = LabelCounts()
    >>> label_counts.add(pl.Series(["top", "qcd", "top"]))
    array([0., 1., 0.])
    >>> label_counts.distinct, label_counts.names
    (['qcd', 'top'], ('qcd', 'top'))
    """

    def __init__(self) -> None:
        self._known: dict[Any, list[int]] = {}  # value: [how often, index of the first]
        self._texts: dict[str, int] = {}
        self.events = 0

    def add(self, values: pl.Series) -> np.ndarray:
        """Count a block; return it as float64: numbers as they are, text by its first appearance.

        Null is NaN; so is text beyond `MOST_CLASSES` values, which is refused later.
        """
        if values.dtype.is_float():
            values = values + 0.0  # -0.0 and 0.0 are one value
        is_text = not (values.dtype.is_numeric() or values.dtype == pl.Boolean)
        if is_text:
            values = values.cast(pl.String)
        if not self.many:
            self._count(values)
        self.events += len(values)
        if not is_text:
            return values.cast(pl.Float64).to_numpy()
        for text in self._known:
            self._texts.setdefault(text, len(self._texts))
        codes = values.replace_strict(self._texts, default=None, return_dtype=pl.Float64)
        return codes.to_numpy()

    def over_ranks(self, ranks: Ranks) -> None:
        """Count what all ranks have; the first events of their values alone are not known here."""
        others = ranks.gather((self._known, self.events))
        for rank, (known, _) in enumerate(others):
            if rank == ranks.rank:
                continue
            for value, (count, _) in known.items():
                self._known.setdefault(value, [0, ELSEWHERE])[0] += count
        self.events = sum(events for _, events in others)
        if self._known and self.is_text:
            for text in self._known:
                self._texts.setdefault(text, len(self._texts))

    def _count(self, values: pl.Series) -> None:
        for value, count, first in _groups(values):
            if value is None or value != value:
                continue
            if value in self._known:
                self._known[value][0] += count
            elif self.many:
                break
            else:
                self._known[value] = [count, self.events + first]

    @property
    def many(self) -> bool:
        """Whether there are more than `MOST_CLASSES`, so that not all are known."""
        return len(self._known) > MOST_CLASSES

    @property
    def distinct(self) -> list[Any]:
        """The values, sorted."""
        return sorted(self._known)

    @property
    def how_many(self) -> str:
        """Their number, in words."""
        return f"more than {MOST_CLASSES:,}" if self.many else str(len(self._known))

    @property
    def counts(self) -> str:
        """The values with their numbers of events."""
        pairs = ((value, self._known[value][0]) for value in self.distinct)
        return listed((f"{shown(value)}: {counted(n, 'event')}" for value, n in pairs), 5)

    @property
    def names(self) -> tuple[str, ...]:
        """The values as names of classes."""
        return tuple(
            value if isinstance(value, str) else str(int(value)) for value in self.distinct
        )

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return isinstance(next(iter(self._known)), str)

    @property
    def is_binary(self) -> bool:
        """Whether each value is 0 or 1."""
        return not self.is_text and set(self._known) <= {0, 1}

    @property
    def is_integral(self) -> bool:
        """Whether all values are numbers without a fraction."""
        return not self.is_text and all(v == int(v) for v in self._known)

    def first(self, value: Any) -> int:
        """The index of the first event with that value."""
        return self._known[value][1]

    def coded(self, codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return what turns the numbers of `add` into codes, given for each distinct value."""
        if self.is_text:
            by_appearance = np.empty(len(codes), dtype=np.int64)
            by_appearance[[self._texts[text] for text in self.distinct]] = codes
            return lambda numbers: by_appearance[numbers.astype(np.int64)]
        values = np.array(self.distinct, dtype=np.float64)
        if np.array_equal(values, codes):
            return lambda numbers: numbers.astype(np.int64)
        return lambda numbers: codes[np.searchsorted(values, numbers)]


def _groups(values: pl.Series) -> Iterable[tuple[Any, int, int]]:
    """Return each distinct value, how often it is there, and the index of the first."""
    table = pl.DataFrame({"value": values}).with_row_index("first")
    groups = table.group_by("value", maintain_order=True).agg(pl.len(), pl.first("first"))
    return groups.iter_rows()


def shown(value: Any) -> str:
    """Return a value as it is written in an expression."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else f"{value:.15g}"


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
    seen: LabelCounts,
    text: str,
    *,
    integers: bool,
    loss: str | None,
    locate: Locate,
    order: Sequence[str] = (),
) -> Labels:
    """Return the task that the values, or the named loss, ask for, and the labels for it.

    Parameters
    ----------
    seen
        The values of the label, finite and without null.
    text
        The label as the recipe has it.
    integers
        Whether the values are integers by their columns' types.
    loss
        The loss's name, or None to choose the task from the values.
    locate
        Says where the event of an index lies.
    order
        The names of all classes in their order, the signal first; left out, text is sorted, and of
        two values the last is the signal.

    Raises
    ------
    EventsError
        The values are not what the loss needs, are one class or constant, or leave open which of
        two values is the signal.
    """
    task, reason = _task(seen, text, integers, loss, locate, order)
    if task == "regression":
        _refuse_constant(seen, text)
        return Labels(task, (), reason, _as_numbers)
    if len(seen.distinct) < 2:
        raise _one_class(seen, text)
    if task == "binary" and not seen.is_text:
        codes = np.asarray(seen.distinct, dtype=np.int64)
        return Labels(task, BINARY, reason, seen.coded(codes))
    if seen.many:
        raise _too_many(seen, text, MOST_CLASSES)
    if not seen.is_text and not seen.is_integral:
        raise EventsError(
            f"The label {text!r} is no class: it has values that are not integers.",
            expected="text or integers, as cross-entropy needs",
            found=listed(map(shown, seen.distinct), 5),
            do="set descent.loss = 'mean-squared-error', or derive classes with where(...)",
        )
    names = _ordered(seen, order) if task == "binary" or order else seen.names
    codes = np.array([names.index(name) for name in seen.names])
    return Labels(task, names, reason, seen.coded(codes))


def _ordered(seen: LabelCounts, order: Sequence[str]) -> tuple[str, ...]:
    """Return the classes in that order, else sorted; of two the signal is the last."""
    names = tuple(name for name in order if name in seen.names) or seen.names
    return names[::-1] if order and len(names) == 2 else names


def encode(
    seen: LabelCounts, text: str, task: str, classes: Sequence[str], locate: Locate
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes labels of other events, for a task and classes that are given.

    Raises
    ------
    EventsError
        A value is none of the classes, or text where numbers are needed.
    """
    if task == "regression":
        if seen.is_text:
            raise _text_regression(seen, text)
        return _as_numbers
    if not seen.is_text and not seen.is_integral:
        names = tuple(shown(value) for value in seen.distinct)
    else:
        names = seen.names
    for value, name in zip(seen.distinct, names, strict=True):
        if name not in classes:
            raise EventsError(
                f"The label {text!r} has a value that is none of the run's classes.",
                expected=f"one of {listed(classes, 12)}",
                found=f"{shown(value)}, first {locate(seen.first(value))}",
                do="select the events of the run's classes, or train on all of these classes",
            )
    return seen.coded(np.array([list(classes).index(name) for name in names], dtype=np.int64))


def _as_numbers(numbers: np.ndarray) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def _task(
    seen: LabelCounts,
    text: str,
    integers: bool,
    loss: str | None,
    locate: Locate,
    order: Sequence[str],
) -> tuple[str, str]:
    two_texts = seen.is_text and len(seen.distinct) == 2
    if two_texts and loss in (None, "binary-cross-entropy"):
        background, signal = _ordered(seen, order)
        other = "label = 1 and 0 of the samples say"
        if not order:
            left = text if text.isidentifier() else f"({text})"
            other = f"label = {quoted(f'{left} == {chr(34)}{background}{chr(34)}')} says"
        return "binary", (
            f"the label has two values, of which {signal!r} is taken as the signal and "
            f"{background!r} as the background; {other} otherwise"
        )
    if loss is not None:
        task = TASKS[loss]
        if task == "binary" and not seen.is_binary:
            raise _not_binary(seen, text, locate)
        if task == "regression" and seen.is_text:
            raise _text_regression(seen, text)
        return task, f"descent.loss is {loss}"
    count = len(seen.distinct)
    if seen.is_text:
        if count > MOST_GUESSED:
            raise _too_many(seen, text, MOST_GUESSED)
        return "multiclass", f"the label is text with {counted(count, 'value')}"
    if seen.is_binary:
        if isinstance(seen.distinct[0], bool):
            return "binary", "the label is a condition"
        return "binary", "the label is 0 or 1"
    if count == 2:
        raise _not_binary(seen, text, locate)
    if integers and count <= MOST_GUESSED and seen.is_integral:
        return "multiclass", f"the label is an integer with {counted(count, 'value')}"
    if integers:
        return (
            "regression",
            f"the label is an integer with {seen.how_many} values, more than {MOST_GUESSED}",
        )
    return "regression", "the label is a number with other values than 0 and 1"


def _refuse_constant(seen: LabelCounts, text: str) -> None:
    if len(seen.distinct) == 1:
        raise EventsError(
            f"The label {text!r} is the same for all {seen.events} selected events.",
            expected="a label that varies",
            found=shown(seen.distinct[0]),
            do="check events.label and events.select",
        )


def _one_class(seen: LabelCounts, text: str) -> EventsError:
    if text.strip().isdecimal():
        return EventsError(
            f"The label {text!r} is a number, the same for all events.",
            expected="a column, or an expression of columns",
            found=f"the number {text.strip()}",
            cause="a column was meant by its name or its place",
            do=f"write `{text.strip()}` for a column of that name; in a file without names "
            f"the column at place {text.strip()}, from 0, is c{text.strip()}",
        )
    return EventsError(
        f"The label {text!r} has one class only.",
        expected="events of at least two classes",
        found=seen.counts,
        cause="the selection removes the other class, or its files are not given",
        do="add the other class's files to events.path, or loosen events.select",
    )


def _not_binary(seen: LabelCounts, text: str, locate: Locate) -> EventsError:
    if len(seen.distinct) == 1 and not seen.is_text:
        return _one_class(seen, text)
    other = next(v for v in seen.distinct if isinstance(v, str) or v not in (0, 1))
    signal = seen.distinct[-1]
    left = text if text.isidentifier() else f"({text})"
    right = f'"{signal}"' if isinstance(signal, str) else shown(signal)
    return EventsError(
        f"The label {text!r} has other values than 0 and 1.",
        expected="0 for background and 1 for signal, or a condition",
        found=f"{seen.counts}; first {shown(other)} {locate(seen.first(other))}",
        do=f"say which is the signal: label = {quoted(f'{left} == {right}')}",
    )


def _text_regression(seen: LabelCounts, text: str) -> EventsError:
    return EventsError(
        f"The label {text!r} is text, which mean-squared-error cannot take.",
        expected="a number for each event",
        found=listed(map(shown, seen.distinct), 5),
        do="set descent.loss = 'cross-entropy', or leave it out",
    )


def _too_many(seen: LabelCounts, text: str, most: int) -> EventsError:
    return EventsError(
        f"The label {text!r} has {seen.how_many} values, too many for classes.",
        expected=f"at most {most} classes",
        found=listed(map(shown, seen.distinct), 5),
        cause="the column is an identifier or a quantity, not a class",
        do="check events.label",
    )
