"""What training needs: finite values, each event once, and weights with a positive sum."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.errors import EventsError
from steepest.events.expressions.expression import Expression
from steepest.events.expressions.lists import REDUCTIONS
from steepest.events.expressions.parse import literal_value, nodes_of
from steepest.events.sample.split import content_keys
from steepest.events.words import counted, listed, quoted
from steepest.ranks import Ranks, current
from steepest.recipe import Derived
from steepest.storage import AnyArray, blocks

ALWAYS = ("sum", "count", "len", "any", "all")
"""The reductions that an empty list has too."""
SPOKEN = {"train": "training"}


@dataclass
class Faults:
    """Counts one expression's values that cannot be trained on, over the blocks of a file.

    Infinite numbers never can; null, NaN and a feature's `missing` can if it has a `fill`.
    """

    role: str
    expression: Expression
    words: str = "a number"
    """What the values are: a number, a condition, text."""
    feature: Derived | None = None
    """The feature as a table, which may say what is missing and how it is filled."""
    nulls: int = 0
    nans: int = 0
    infinite: int = 0
    missing: int = 0
    first: str = field(default="")

    def count(self, values: np.ndarray, null: np.ndarray, file: str, rows: np.ndarray) -> None:
        """Count a block: float values or text (object), which are null, and where they lie."""
        if self.words == "a number":
            infinite, nan = np.isinf(values) & ~null, np.isnan(values) & ~null
        else:
            infinite = nan = np.zeros(len(values), dtype=bool)
        missing = np.zeros(len(values), dtype=bool)
        if self.feature is not None and self.feature.missing is not None:
            missing = (values == self.feature.missing) & ~null
        if self.feature is not None and self.feature.fill is not None:
            null = nan = missing = np.zeros(len(values), dtype=bool)
        bad = null | nan | infinite | missing
        if bad.any() and not self.first:
            self.first = f"in {file} at row {rows[np.argmax(bad)]}"
        self.nulls += int(null.sum())
        self.nans += int(nan.sum())
        self.infinite += int(infinite.sum())
        self.missing += int(missing.sum())

    def over_ranks(self, ranks: Ranks) -> None:
        """Count what all ranks have seen."""
        if ranks.size == 1:
            return
        others = ranks.gather((self.nulls, self.nans, self.infinite, self.missing, self.first))
        counts = np.sum([each[:4] for each in others], axis=0).tolist()
        self.nulls, self.nans, self.infinite, self.missing = counts
        self.first = next((each[4] for each in others if each[4]), "")

    def refuse(self, selected: int, select: str | None) -> None:
        """Raise EventsError if there was any."""
        kinds = {"null": self.nulls, "NaN": self.nans, "infinite": self.infinite}
        if self.missing and self.feature is not None:
            kinds[f"{self.feature.missing!r}"] = self.missing
        total = sum(kinds.values())
        if total == 0:
            return
        is_number = self.words == "a number"
        fault = "is not a finite number" if is_number and not self.missing else "has no value"
        raise EventsError(
            f"{self.role} {fault} for {total} of {counted(selected, 'selected event')}, "
            f"first {self.first}.",
            expected=f"{'a finite number' if is_number else self.words} for each event",
            found=", ".join(f"{count} {kind}" for kind, count in kinds.items() if count),
            cause=self.cause(),
            do=self.remedy(select) if total < selected else self.leave_out(),
        )

    def cause(self) -> str:
        """Return the likely cause, from what the expression does."""
        operators, functions = self.expression.operators, self.expression.functions
        text = self.expression.text
        if self.missing:
            return "a value that the recipe declares as missing"
        if self.nulls and any(
            isinstance(node, ast.Subscript) and literal_value(node.slice) is not None
            for node in nodes_of(self.expression.tree)
        ):
            return f"a list that is too short in {text}"
        if self.nulls and functions & {name for name in REDUCTIONS if name not in ALWAYS}:
            return f"an empty list in {text}"
        if operators & {"/", "%"} and (self.nans or self.infinite):
            return f"a division by zero in {text}"
        if functions & {"log", "log10", "log1p", "sqrt", "arcsin", "arccos", "arccosh", "arctanh"}:
            return f"{text} has no finite value for these events"
        if operators & {"**"} or functions & {"exp", "sinh", "cosh"}:
            return f"an overflow in {text}"
        if self.nulls:
            return "a value that is missing in the file"
        return "the job that wrote the file left a value out, or divided by zero"

    def leave_out(self) -> str:
        """Return what to do where no event has a value."""
        if self.role.startswith("The feature "):
            return f"leave it out: {self.expression.text} tells nothing of these events"
        return "choose another column, or look at the file: no event has a value"

    def remedy(self, select: str | None) -> str:
        """Return a selection that leaves the events out."""
        column = self.expression.column
        odd = column is not None and not column.replace(".", "_").isidentifier()
        text = f"`{column}`" if odd else self.expression.text
        as_number = f"where({text}, 1, 0)" if self.words == "a condition" else text
        condition = f'{text} != ""' if self.words == "text" else f"isfinite({as_number})"
        if self.missing and self.feature is not None:
            value = self.feature.missing
            condition = f"{text} != " + (repr(value) if isinstance(value, str) else f"{value:.15g}")
        both = condition if select is None else f"({select}) AND {condition}"
        exclude = f"exclude these events: select = {quoted(both)}"
        if self.infinite or not self.role.startswith("The feature "):
            return exclude
        fill = "median" if self.words == "a number" else "none"
        return f'{exclude}; or say how to fill the feature: fill = "{fill}"'


class Repeats:
    """Finds two files of the same events: copies, also in another order or format.

    Each file's rows are summed up to one number that does not depend on their order. Two files of
    as many rows and the same sum hold the same rows, but for a chance of the order of 2⁻⁶⁴.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.add(0, np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> repeats.add(1, np.array([[3.0, 4.0], [1.0, 2.0]]))
    >>> repeats.pair()
    (0, 1)
    """

    def __init__(self) -> None:
        self._files: dict[int, tuple[int, int]] = {}

    def add(self, file: int, values: np.ndarray) -> None:
        """Add rows of a file: ``(rows, columns)`` float64, all that is read of each event."""
        count, sum_ = self._files.get(file, (0, 0))
        own = int(np.sum(content_keys(values), dtype=np.uint64))
        self._files[file] = count + len(values), (sum_ + own) % 2**64

    def over_ranks(self, ranks: Ranks) -> None:
        """Add the rows that other ranks have read of the same files."""
        files: dict[int, tuple[int, int]] = {}
        for each in ranks.gather(self._files):
            for file, (count, sum_) in each.items():
                before = files.get(file, (0, 0))
                files[file] = before[0] + count, (before[1] + sum_) % 2**64
        self._files = dict(sorted(files.items()))

    def pair(self) -> tuple[int, int] | None:
        """Return the first two files with the same rows, or None."""
        seen: dict[tuple[int, int], int] = {}
        for file, told in self._files.items():
            if told in seen:
                return seen[told], file
            seen[told] = file
        return None

    def refuse(self, files: Sequence[str], columns: Sequence[str]) -> None:
        """Raise EventsError if two of the named files hold the same values of the columns."""
        pair = self.pair()
        if pair is None:
            return
        first, second = pair
        raise EventsError(
            f"{files[first]} and {files[second]} hold the same events, which would count twice.",
            expected="files of different events",
            found=f"{counted(self._files[first][0], 'selected event')} in each, with the same "
            f"values of {listed(list(columns), 5)}",
            cause="a copy under another name, or the same events in two formats",
            do="leave one of the two out of events.path",
        )


def refuse_empty_parts(part: np.ndarray, shares: Sequence[float], parts: Sequence[str]) -> None:
    """Raise EventsError if a part with a share above 0 got no event."""
    own = np.array([np.count_nonzero(part == index) for index in range(len(parts))])
    counts = current().sum(own).tolist()
    for index, name in enumerate(parts):
        if shares[index] > 0 and counts[index] == 0:
            found = ", ".join(f"{part}: {n}" for part, n in zip(parts, counts, strict=True))
            selected = counted(sum(counts), "selected event")
            raise EventsError(
                f"The {SPOKEN.get(name, name)} part got none of the {selected}.",
                expected=f"at least one event for its share of {shares[index]:.3g}",
                found=found,
                cause="too few events, or too few distinct values of events.split.by",
                do="use more events, or change events.split",
            )


@dataclass(frozen=True)
class PartSums:
    """Of each part and class (one column where there are none): what `refuse_weights` looks at."""

    events: np.ndarray
    weight: np.ndarray
    zero: np.ndarray
    negative: np.ndarray


def part_sums(
    weights: AnyArray | None, part: np.ndarray, labels: AnyArray, parts: int, classes: int
) -> PartSums:
    """Count events, and sum weights, of each part and class; shapes ``(parts, classes or 1)``.

    Of many ranks, those of all.
    """
    shape = (parts, max(classes, 1))
    events, zero, negative = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    weight = np.zeros(shape)
    for w, p, y in blocks(weights, part, labels):
        cell = p.astype(np.int64) * shape[1] + (y if classes else 0)

        def count(values: np.ndarray | None = None, cell: np.ndarray = cell) -> np.ndarray:
            return np.bincount(cell, values, parts * shape[1]).reshape(shape)

        events += count()
        if w is None:
            continue
        zero += count(w == 0).astype(np.int64)
        negative += count(w < 0).astype(np.int64)
        with np.errstate(over="ignore"):
            weight += count(w)
    if weights is None:
        weight += events
    ranks = current()
    return PartSums(*(ranks.sum(values) for values in (events, weight, zero, negative)))


FEW_TO_SPLIT = 100
"""A class of fewer events than this may be split badly by chance."""


def refuse_weights(sums: PartSums, parts: Sequence[str], classes: Sequence[str]) -> None:
    """Raise EventsError unless Σw > 0 in each part, and for each class in it.

    Single negative weights are legal. Without weights each event weighs 1. Training needs every
    class; another part may lack one of three or more, but not one of two. The error is
    `of_split` if another split of these events may do.
    """
    try:
        _refuse_weights(sums, parts, classes)
    except EventsError as error:
        events, weight = sums.events.sum(axis=0), sums.weight.sum(axis=0)
        if FEW_TO_SPLIT > events.min() >= len(parts) > 1 and weight.min() > 0:
            error.of_split = True
        raise


def _refuse_weights(sums: PartSums, parts: Sequence[str], classes: Sequence[str]) -> None:
    with np.errstate(over="ignore"):
        total = sums.weight.sum()
    if not 0 < total < np.inf:
        raise _not_positive(sums, np.s_[:, :], "all selected events")
    for index, name in enumerate(parts):
        if sums.events[index].any() and sums.weight[index].sum() <= 0:
            raise _not_positive(sums, np.s_[index, :], f"the {SPOKEN.get(name, name)} part")
    for number, of_part in enumerate(parts):
        spoken = SPOKEN.get(of_part, of_part)
        for index, name in enumerate(classes):
            if sums.events[number, index]:
                if sums.weight[number, index] <= 0:
                    raise _not_positive(
                        sums, np.s_[number, index], f"the class {name!r} in the {spoken} part"
                    )
            elif number == 0 or (len(classes) == 2 and sums.events[number].any()):
                raise _class_absent(name, of_part, int(sums.events[:, index].sum()))


def _class_absent(name: str, part: str, selected: int) -> EventsError:
    purpose = "train on" if part == "train" else "evaluate on"
    return EventsError(
        f"The {SPOKEN.get(part, part)} part has no event of the class {name!r}.",
        expected=f"events of each class to {purpose}",
        found=f"{counted(selected, 'selected event')} of it, in other parts",
        cause="too few events of that class, or too few values of events.split.by",
        do="use more events of it, or change events.split",
    )


def _not_positive(sums: PartSums, where: Any, of: str) -> EventsError:
    events, zeros, negative = (
        int(numbers[where].sum()) for numbers in (sums.events, sums.zero, sums.negative)
    )
    cancel = 0 < negative < events
    return EventsError(
        f"The weights of {of} sum to {sums.weight[where].sum():.6g}.",
        expected="a finite sum above 0 (single weights may be negative)",
        found=f"{counted(events, 'event')}: {zeros} of weight 0, {negative} below 0",
        cause="weights of both signs that cancel in few events"
        if cancel
        else "the wrong column, or a selection that leaves few events",
        do="use more events, a larger share in this part (events.split), or no events.weight"
        if cancel
        else "check events.weight and events.select",
    )
