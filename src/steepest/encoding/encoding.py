"""All features of a model: fit the encoding on the training part, apply it, save it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from steepest.encoding.columns import (
    CategoryColumn,
    Locate,
    NumberColumn,
    column_from,
    is_missing,
)
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.recipe import Derived
from steepest.scaling.quantile import distribution, quantile
from steepest.storage import AnyArray, blocks, thinned

__all__ = ["Encoding", "fit_encoding", "is_needed"]

Array = np.ndarray
MOST_CATEGORIES = 100
"""Text with more values is taken as a mistake."""


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
            raise RunFolderError(
                "The saved feature encoding cannot be read.",
                expected="version 1, with columns",
                found=f"version {json.get('version')!r} with {', '.join(sorted(json))}",
                cause="a damaged file, or one written by a newer release",
                do="use the release that wrote it, or train again",
            )
        return cls(tuple(column_from(column) for column in json["columns"]))


def fit_encoding(
    features: Sequence[str | Derived],
    X: AnyArray,
    weights: AnyArray | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
) -> Encoding:
    """Learn the fills and the categories from training events.

    Means and medians are those of at most a million events, evenly spaced.

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
    values = thinned(X) if computed else np.empty((0, len(features)))
    w = thinned(weights) if computed and weights is not None else np.ones(len(values))
    columns = []
    for i, feature in enumerate(features):
        name = feature if isinstance(feature, str) else feature.name
        table = feature if isinstance(feature, Derived) else Derived(name=name, value=name)
        if categories is not None and name in categories:
            codes = np.concatenate([np.unique(block[:, i]) for (block,) in blocks(X)])
            columns.append(_category(table, codes, categories[name]))
        else:
            columns.append(_number(table, values[:, i], w))
    encoding = Encoding(tuple(columns))
    _refuse_twice(encoding.names)
    return encoding


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
        few = len(categories) < 2
        shown = ", ".join(map(repr, categories[:5]))
        raise EventsError(
            f"The feature {table.name!r} is text with {len(categories)} "
            f"{'category' if len(categories) == 1 else 'categories'} in the training part.",
            expected=f"2 to {MOST_CATEGORIES} categories",
            found=shown + (", …" if len(categories) > 5 else "") or "no value",
            cause="a selection that leaves one" if few else "an identifier, not a category",
            do=f"remove {table.name!r} from events.features",
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
