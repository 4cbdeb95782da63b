"""From raw features to the model's inputs: fill what is missing, categories to zeros and ones.

It lies between the events and the scaling. What it needs (fill values, categories) is learnt on the
training part alone and is part of the model, so that the model takes raw values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.ranks import current
from steepest.recipe import Derived
from steepest.scaling.quantile import distribution, quantile
from steepest.storage import MOST_SORTED, AnyArray, blocks, thinned

Array = np.ndarray
Locate = Callable[[int], str]
"""Says where an event lies: "in FILE at row 17"."""
MOST_SHOWN = 12
MOST_CATEGORIES = 100
"""Text with more values is taken as a mistake."""


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
        """Return the inputs ``(events, inputs)`` for ``(events,)``; EventsError for no number."""
        numbers = _numbers(values, self.name, locate)
        absent = is_missing(numbers, self.missing)
        if self.fill is None:
            if absent.any():
                first = int(np.argmax(absent))
                raise EventsError(
                    f"The feature {self.name!r} has no value for {int(absent.sum())} of "
                    f"{len(absent)} events, first {locate(first)}.",
                    expected="a value for each event, since the model was trained without a fill",
                    found=f"{numbers[first]:.15g}",
                    do='leave these events out, or train with a fill, such as fill = "median"',
                )
            return numbers[:, None]
        filled = np.where(absent, self.fill, numbers)
        return np.column_stack([filled, absent]) if self.indicator else filled[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "kind": "number", **asdict(self)}


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
        """Return the inputs ``(events, inputs)`` for texts, or for indices of a vocabulary.

        EventsError for what is missing (None, NaN) without a fill, and for unseen categories.
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
        values = {**asdict(self), "categories": list(self.categories)}
        return {"name": self.name, "kind": "category", **values}

    def _places(self, values: Array, vocabulary: Sequence[str]) -> tuple[Array, Array]:
        """Return which values are missing, and each value's place among the categories, or −1."""
        known: dict[str | None, int] = {c: place for place, c in enumerate(self.categories)}
        absent = np.isnan(values)
        codes = np.where(absent, len(vocabulary), values).astype(np.int64)
        texts = [*vocabulary, self.missing]  # the last is for null
        absent |= np.array([text == self.missing for text in texts])[codes]
        table = np.array([known.get(text, -1) for text in texts])
        return absent, np.where(absent, known.get(self.fill, -1), table[codes])

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


@dataclass(frozen=True)
class Encoding:
    """A fitted map from raw features to the inputs that are scaled.

    Made by `fit_encoding`, or by `from_json` out of what `to_json` gave.

    Attributes
    ----------
    columns
        One for each feature, in order: numbers with what fills them, or categories.

    Examples
    --------
    >>> encoding = Encoding((NumberColumn("b_score", missing=-999.0, fill=0.4),))
    >>> encoding.transform([[-999.0], [0.9]])
    array([[0.4],
           [0.9]])
    """

    columns: tuple[NumberColumn | CategoryColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(name for column in self.columns for name in column.inputs)

    @property
    def is_plain(self) -> bool:
        """Whether the inputs are the features as they are."""
        return all(column.is_plain for column in self.columns)

    def transform(
        self,
        features: ArrayLike,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        locate: Locate = "at row {}".format,
    ) -> Array:
        """Return the inputs ``(events, inputs)`` float64 for raw features ``(events, features)``.

        Parameters
        ----------
        features
            Numbers; text in the columns that have categories. None and NaN are missing.
        categories
            For a `steepest.events.Sample`: the texts that the numbers of a column of text are
            indices into.
        locate
            Says where an event lies, for messages.

        Raises
        ------
        EventsError
            The shape is wrong; a value is missing where there is no fill; a category is unseen.

        Examples
        --------
        >>> encoding = Encoding((NumberColumn("pt"), CategoryColumn("process", ("qcd", "top"))))
        >>> encoding.transform([[550.0, "top"], [600.0, "qcd"]])
        array([[550.,   0.,   1.],
               [600.,   1.,   0.]])
        """
        if self.is_plain:
            return np.asarray(features, dtype=np.float64)
        values = features if isinstance(features, np.ndarray) else np.asarray(features, object)
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise EventsError(
                "The events do not have the shape that the features ask for.",
                expected=f"a matrix (events, {len(self.columns)}), columns "
                + ", ".join(column.name for column in self.columns),
                found=f"an array of shape {values.shape}",
            )
        parts = []
        for i, column in enumerate(self.columns):
            if isinstance(column, CategoryColumn):
                known = None if categories is None else categories[column.name]
                parts.append(column.encode(values[:, i], locate, known))
            else:
                parts.append(column.encode(values[:, i], locate))
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, ready for `json.dumps`."""
        return {"version": 1, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Encoding:
        """Return the encoding whose `to_json` gave this.

        Raises
        ------
        RunFolderError
            It is of another version, or damaged.

        Examples
        --------
        >>> encoding = Encoding((NumberColumn("b_score", missing=-999.0, fill=0.4),))
        >>> Encoding.from_json(encoding.to_json()) == encoding
        True
        """
        if json.get("version") != 1 or "columns" not in json:
            found = f"version {json.get('version')!r} with {', '.join(sorted(json))}"
            raise _unreadable("version 1, with columns", found)
        return cls(tuple(_column_from(column) for column in json["columns"]))


def fit_encoding(
    features: Sequence[str | Derived],
    X: AnyArray,
    weights: AnyArray | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
) -> Encoding:
    """Learn the fills and the categories from training events.

    Means and medians are those of at most a million events, evenly spaced. Of many ranks, each
    gives its events, and all learn the same.

    Parameters
    ----------
    features
        The features as the recipe has them.
    X, weights
        Raw training events ``(events, features)`` float64, as a `Sample` has them, and their
        weights ``(events,)`` or None. *Of the training part alone*: that is the caller's duty.
    categories
        For each feature that is text the texts that its numbers are indices into.

    Raises
    ------
    EventsError
        There is nothing to take a mean or median of; text has one category or more than 100.
    RecipeError
        Two inputs have one name.

    Examples
    --------
    >>> b_score = Derived(name="b_score", value="jet_b", missing=-999, fill="median")
    >>> X = np.array([[0.1], [0.3], [-999.0], [0.2]])
    >>> fit_encoding([b_score], X).columns[0].fill
    0.2
    """
    tables = [f for f in features if isinstance(f, Derived)]
    computed = any(table.fill in ("mean", "median") for table in tables)
    ranks = current()
    most = MOST_SORTED // ranks.size
    values = thinned(X, most) if computed else np.empty((0, len(features)))
    w = thinned(weights, most) if computed and weights is not None else np.ones(len(values))
    if computed:
        values, w = (np.concatenate(ranks.gather(column)) for column in (values, w))
    columns = []
    for i, feature in enumerate(features):
        name = feature if isinstance(feature, str) else feature.name
        table = feature if isinstance(feature, Derived) else Derived(name=name, value=name)
        if categories is not None and name in categories:
            codes = np.concatenate([np.unique(block[:, i]) for (block,) in blocks(X)])
            codes = np.concatenate(ranks.gather(codes))
            columns.append(_category(table, codes, categories[name]))
        else:
            columns.append(_number(table, values[:, i], w))
    encoding = Encoding(tuple(columns))
    _refuse_twice(encoding.names)
    return encoding


def words_among_numbers(texts: Sequence[str]) -> list[str]:
    """Return the words of a column that is else numbers, if they are few; empty for other text.

    Examples
    --------
    >>> words_among_numbers(["0", "1", "2.5", "1e3", "missing"]), words_among_numbers(["0", "b"])
    (['missing'], [])
    """
    words = [text for text in texts if not _is_number(text)]
    return words if 3 <= len(texts) - len(words) >= 4 * len(words) else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_needed(features: Sequence[str | Derived], texts: Collection[str]) -> bool:
    """Whether the encoding of features, of which some are text, changes anything.

    Examples
    --------
    >>> is_needed(["pt", Derived(name="ratio", value="tau3 / tau2")], {})
    False
    >>> is_needed(["pt", Derived(name="b_score", value="jet_b", fill=0.5)], {})
    True
    """
    tables = [f for f in features if isinstance(f, Derived)]
    names = {f if isinstance(f, str) else f.name for f in features}
    declared = any(table.missing is not None or table.fill is not None for table in tables)
    return declared or not names.isdisjoint(texts)


def _number(table: Derived, values: Array, weights: Array) -> NumberColumn:
    missing = None if table.missing is None else float(table.missing)
    fill = table.fill
    if isinstance(fill, str):
        present = ~is_missing(values, missing)
        fill = _computed(fill, table.name, values[present], weights[present])
    return NumberColumn(table.name, missing, fill, table.indicator)


def _computed(fill: str, name: str, values: Array, weights: Array) -> float:
    """Return the weighted mean or median of a feature's values that are not missing."""
    total = float(weights.sum())
    if not total > 0:
        raise EventsError(
            f"The feature {name!r} cannot be filled with its {fill}.",
            expected="training events with a value, and with weights that sum to more than 0",
            found=f"{len(values)} training events with a value, of weight {total:g}",
            cause="the column is empty, or `missing` is what all events have",
            do="give the fill as a number",
        )
    if fill == "median":
        return quantile(*distribution(values, weights), 0.5)
    return float(np.dot(weights, values) / total)


def _category(table: Derived, codes: Array, vocabulary: Sequence[str]) -> CategoryColumn:
    missing = None if table.missing is None else str(table.missing)
    fill = None if table.fill is None else str(table.fill)
    present = np.unique(codes[~np.isnan(codes)]).astype(np.int64)
    seen = {str(vocabulary[code]) for code in present} - {missing}
    categories = tuple(sorted(seen if fill is None else {*seen, fill}))
    if len(categories) > MOST_CATEGORIES or len(categories) < 2:
        few, words = len(categories) < 2, words_among_numbers(vocabulary)
        cause = "a selection that leaves one" if few else "an identifier, not a category"
        do = f"remove {table.name!r} from events.features"
        if words:
            cause = f"{', '.join(map(repr, words[:3]))} in a column that is else of numbers"
            do = "leave the cells without a number empty, or write NA"
        shown = ", ".join(map(repr, categories[:5]))
        raise EventsError(
            f"The feature {table.name!r} is text with {len(categories)} "
            f"{'category' if len(categories) == 1 else 'categories'} in the training part.",
            expected=f"2 to {MOST_CATEGORIES} categories",
            found=shown + (", …" if len(categories) > 5 else "") or "no value",
            cause=cause,
            do=do,
        )
    return CategoryColumn(table.name, categories, missing, fill, table.indicator, table.unseen)


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(
                f"The features give the model two inputs of the name {name!r}.",
                expected="each input's name once (NAME_missing for an indicator, NAME=CATEGORY)",
                do="give one of the features another name",
            )


def _column_from(json: Mapping[str, Any]) -> NumberColumn | CategoryColumn:
    """Return the column whose `to_json` gave this."""
    kinds = {"number": NumberColumn, "category": CategoryColumn}
    given = {key: value for key, value in json.items() if key != "kind"}
    if "categories" in given:
        given["categories"] = tuple(given["categories"])
    try:
        return kinds[json["kind"]](**given)
    except (KeyError, TypeError):
        found = ", ".join(f"{key} = {value!r}" for key, value in json.items())
        raise _unreadable("a kind of number or category, with its keys", found) from None


def _unreadable(expected: str, found: str) -> RunFolderError:
    return RunFolderError(
        "The saved feature encoding cannot be read.",
        expected=expected,
        found=found,
        cause="a damaged file, or one written by a newer release",
        do="use the release that wrote it, or train again",
    )


def _numbers(values: Array, name: str, locate: Locate) -> Array:
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = np.nan if value is None else value
        except (TypeError, ValueError):
            raise _other_kind(name, "a number", value, locate(row)) from None
    return numbers


def _indices(values: Array, name: str, locate: Locate) -> tuple[Array, list[str]]:
    """Return texts as float64 indices into their distinct values; NaN where there is none."""
    known: dict[str, int] = {}
    codes = np.full(len(values), np.nan)
    for row, value in enumerate(values.tolist()):
        if isinstance(value, str):
            codes[row] = known.setdefault(value, len(known))
        elif value is not None and value == value:  # not NaN
            raise _other_kind(name, "text", value, locate(row))
    return codes, list(known)


def _other_kind(name: str, expected: str, value: Any, where: str) -> EventsError:
    return EventsError(
        f"The feature {name!r} is not {expected} {where}.",
        expected=expected,
        found=repr(value),
        cause="columns in another order than the model's features",
    )
