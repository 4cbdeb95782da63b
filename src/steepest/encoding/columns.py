"""One feature each: a number, perhaps filled, or text as zeros and ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from steepest.errors import EventsError, RunFolderError

__all__ = ["CategoryColumn", "Locate", "NumberColumn", "column_from", "is_missing"]

Array = np.ndarray
Locate = Callable[[int], str]
"""Says where an event lies: "in FILE at row 17"."""
MOST_SHOWN = 12


@dataclass(frozen=True)
class NumberColumn:
    """A number: x, or `fill` where x is NaN, null or `missing`; with `indicator` also 0 or 1.

    Examples
    --------
    >>> column = NumberColumn("b_score", missing=-999.0, fill=0.4, indicator=True)
    >>> column.inputs
    ('b_score', 'b_score_missing')
    >>> column.encode(np.array([0.9, -999.0, np.nan]), lambda row: f"at row {row}")
    array([[0.9, 0. ],
           [0.4, 1. ],
           [0.4, 1. ]])
    """

    name: str
    missing: float | None = None
    fill: float | None = None
    indicator: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it passes numbers on as they are."""
        return self.missing is None and self.fill is None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the model's inputs."""
        return (self.name, f"{self.name}_missing") if self.indicator else (self.name,)

    def encode(self, values: Array, locate: Locate) -> Array:
        """Return the inputs ``(events, inputs)`` for values ``(events,)``.

        Raises
        ------
        EventsError
            A value is no number, or missing where there is no fill.
        """
        numbers = _numbers(values, self.name, locate)
        absent = is_missing(numbers, self.missing)
        if self.fill is None:
            self._refuse_missing(numbers, absent, locate)
            return numbers[:, None]
        filled = np.where(absent, self.fill, numbers)
        return np.column_stack([filled, absent]) if self.indicator else filled[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "kind": "number", "missing": self.missing,
                "fill": self.fill, "indicator": self.indicator}  # fmt: skip

    def _refuse_missing(self, numbers: Array, absent: Array, locate: Locate) -> None:
        if not absent.any():
            return
        first = int(np.argmax(absent))
        raise EventsError(
            f"The feature {self.name!r} has no value for {int(absent.sum())} of {len(absent)} "
            f"events, first {locate(first)}.",
            expected="a value for each event, since the model was trained without a fill",
            found=f"{numbers[first]:.15g}",
            do='leave these events out, or train with a fill, such as fill = "median"',
        )


@dataclass(frozen=True)
class CategoryColumn:
    """Text: for each category an input that is 1 for the events of that category, else 0.

    The categories are those of the training part (and `fill`), sorted by Unicode code points.

    Examples
    --------
    >>> column = CategoryColumn("process", ("qcd", "top"))
    >>> column.inputs
    ('process=qcd', 'process=top')
    >>> column.encode(np.array(["top", "qcd"], dtype=object), lambda row: f"at row {row}")
    array([[0., 1.],
           [1., 0.]])
    """

    name: str
    categories: tuple[str, ...]
    missing: str | None = None
    fill: str | None = None
    indicator: bool = False
    unseen: Literal["error", "zeros"] = "error"

    @property
    def is_plain(self) -> bool:
        """Whether it passes numbers on as they are."""
        return False

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the model's inputs."""
        one_hot = tuple(f"{self.name}={category}" for category in self.categories)
        return (*one_hot, f"{self.name}_missing") if self.indicator else one_hot

    def encode(
        self, values: Array, locate: Locate, vocabulary: Sequence[str] | None = None
    ) -> Array:
        """Return the inputs ``(events, inputs)``.

        Parameters
        ----------
        values
            ``(events,)`` text; with a vocabulary indices into it. None and NaN are missing.
        locate
            Says where an event lies, for messages.
        vocabulary
            The texts that the values are indices into.

        Raises
        ------
        EventsError
            A value is missing and there is no fill, or is a category that was not in training.
        """
        if vocabulary is None:
            values, vocabulary = _indices(values, self.name, locate)
        absent, places = self._places(values, vocabulary)
        if self.fill is None and absent.any():
            self._refuse(int(np.argmax(absent)), "no value", "missing", locate, absent)
        unseen = places < 0
        if self.unseen == "error" and unseen.any():
            first = int(np.argmax(unseen))
            found = repr(vocabulary[int(values[first])])
            self._refuse(first, "a category that training had not", found, locate, unseen)
        one_hot = (places[:, None] == np.arange(len(self.categories))).astype(np.float64)
        return np.column_stack([one_hot, absent]) if self.indicator else one_hot

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "kind": "category", "categories": list(self.categories),
                "missing": self.missing, "fill": self.fill, "indicator": self.indicator,
                "unseen": self.unseen}  # fmt: skip

    def _places(self, values: Array, vocabulary: Sequence[str]) -> tuple[Array, Array]:
        """Return which values are missing, and each value's place among the categories, or −1."""
        known = {category: place for place, category in enumerate(self.categories)}
        absent = np.isnan(values)
        codes = np.where(absent, 0, values).astype(np.int64)
        if self.missing is not None and self.missing in vocabulary:
            absent = absent | (codes == list(vocabulary).index(self.missing))
        table = np.array([known.get(text, -1) for text in vocabulary] or [-1])
        filled = known.get(self.fill, -1) if self.fill is not None else -1
        return absent, np.where(absent, filled, table[codes])

    def _refuse(self, first: int, what: str, found: str, locate: Locate, bad: Array) -> None:
        missing = found == "missing"
        shown = ", ".join(map(repr, self.categories[:MOST_SHOWN]))
        more = len(self.categories) - MOST_SHOWN
        raise EventsError(
            f"The feature {self.name!r} has {what} for {int(bad.sum())} of {len(bad)} events, "
            f"first {locate(first)}.",
            expected=f"one of {shown}" + (f" and {more} more" if more > 0 else ""),
            found=found if not missing else "null" if self.missing is None else repr(self.missing),
            do='leave these events out, or train with a fill, such as fill = "none"'
            if missing
            else 'train on events of that category too, or set unseen = "zeros" for the feature',
        )


def is_missing(numbers: Array, missing: float | None) -> Array:
    """Return where numbers are NaN or the value that says that there is none.

    Examples
    --------
    >>> is_missing(np.array([1.0, np.nan, -999.0]), -999.0)
    array([False,  True,  True])
    """
    return np.isnan(numbers) | (numbers == missing) if missing is not None else np.isnan(numbers)


def column_from(json: dict[str, Any]) -> NumberColumn | CategoryColumn:
    """Return the column whose `to_json` gave this.

    Raises
    ------
    RunFolderError
        It is of a kind that this release does not know, or a key is missing or unknown.
    """
    kinds = {"number": NumberColumn, "category": CategoryColumn}
    given = {key: value for key, value in json.items() if key != "kind"}
    if "categories" in given:
        given["categories"] = tuple(given["categories"])
    try:
        return kinds[json["kind"]](**given)
    except (KeyError, TypeError):
        raise RunFolderError(
            "The saved feature encoding cannot be read.",
            expected="a kind of number or category, with its keys",
            found=", ".join(f"{key} = {value!r}" for key, value in json.items()),
            cause="a damaged file, or one written by a newer release",
            do="use the release that wrote it, or train again",
        ) from None


def _numbers(values: Array, name: str, locate: Locate) -> Array:
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = np.nan if value is None else value
        except (TypeError, ValueError):
            raise EventsError(
                f"The feature {name!r} is not a number {locate(row)}.",
                expected="a number",
                found=repr(value),
                cause="columns in another order than the model's features",
            ) from None
    return numbers


def _indices(values: Array, name: str, locate: Locate) -> tuple[Array, list[str]]:
    """Return texts as float64 indices into their distinct values; NaN where there is none."""
    known: dict[str, int] = {}
    codes = np.full(len(values), np.nan)
    for row, value in enumerate(values.tolist()):
        if isinstance(value, str):
            codes[row] = known.setdefault(value, len(known))
        elif value is not None and value == value:  # not NaN
            raise EventsError(
                f"The feature {name!r} is not text {locate(row)}.",
                expected="text",
                found=repr(value),
                cause="columns in another order than the model's features",
            )
    return codes, list(known)
