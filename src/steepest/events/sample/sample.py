"""A sample: the columns of selected events, in memory or on disk, from reading to the descent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from steepest.events.sample.split import PARTS, parts_of_fold
from steepest.events.units import Units
from steepest.groups import select_inputs, split_inputs
from steepest.ranks import Share, current
from steepest.recipe import Derived
from steepest.storage import AnyArray, blocks, compressed, on_disk, split, thinned

__all__ = ["Sample", "evaluated_part"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Selected events of one or many sources: NumPy arrays, or on disk where they do not fit.

    Parameters
    ----------
    features
        ``(events, features)``, or `steepest.groups.Groups`: per event and per particle. As
        `load_sample` reads them they are float64 in C order; booleans are 0 and 1, text is the
        index into its `categories`, NaN is what is missing where the recipe says how to fill it.
    labels
        ``(events,)``: numbers for regression, 0 and 1, or the index of the class.
    weights
        ``(events,)`` float64; None if all events weigh 1.
    extra
        ``(events,)`` float64 of each column that is carried along and that no model sees.
    part
        ``(events,)`` int8, in memory: 0 train, 1 validation, 2 test; None if not split. For the
        models of all folds what `assign_parts` returns, see `of_fold`.
    names : tuple[str, ...]
        The features' names.
    classes : tuple[str, ...]
        ``("0", "1")`` for two classes, the K names for many, ``()`` for regression.
    task : str
        ``"regression"``, ``"binary"`` or ``"multiclass"``.
    label : str
        The label as the recipe has it.
    categories : dict[str, tuple[str, ...]]
        The distinct values of each feature that is text, sorted.
    rows, file
        ``(events,)``: the row in its file (int64), and which file of the source (int32); None for
        arrays that come from no file.
    sample, sample_names
        ``(events,)`` int32: which of the recipe's samples, and their names; None, () without.
    train_weights
        ``(events,)`` float64, the weights of the descent; None if these are `weights`.
    tables
        The features that are written as tables, by name: derived, or with missing values.
    units : dict[str, dict[str, str]]
        What is known of "title" and "unit" of features, label and extra columns, by name.
    source : dict
        What the events are: names, sizes, rows and sha256 of the files.
    read : dict
        What was read: ``columns``, ``row_groups`` of ``row_groups_total``, ``rows`` of
        ``rows_total``, and how many were ``selected``; of particles the columns of ``momenta``
        that the recipe does not name.
    notes : list[str]
        Sentences for the log: what was chosen, and why.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([0, 1, 1])
    >>> sample = Sample(X, y, part=np.array([0, 2, 0], dtype=np.int8))
    >>> sample.of("train").labels, list(sample.parts())
    (array([0, 1]), [0, 2])
    """

    features: Any
    labels: Any
    weights: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    part: Any = None
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    task: str = ""
    label: str = "label"
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Any = None
    file: Any = None
    sample: Any = None
    sample_names: tuple[str, ...] = ()
    train_weights: Any = None
    tables: Mapping[str, Derived] = field(default_factory=dict)
    units: Units = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    read: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def descent_weights(self) -> Any:
        """The weights of the descent."""
        return self.weights if self.train_weights is None else self.train_weights

    @property
    def on_disk(self) -> bool:
        """Whether the features lie on disk."""
        return on_disk(self.features)

    def locate(self, index: int) -> str:
        """Say where an event lies: in which file, at which row."""
        if self.rows is None:
            return f"at row {index}"
        place = slice(index, index + 1)
        name = self.source["files"][self.file[place][0]]["name"]
        return f"in {name} at row {self.rows[place][0]}"

    def of(self, part: str | int) -> Sample:
        """Return one part, ``"train"``, ``"validation"`` or ``"test"`` (or 0, 1, 2).

        Raises
        ------
        ValueError
            There is no such part.
        """
        return self.where(self.part == (PARTS.index(part) if isinstance(part, str) else part))

    def where(self, kept: np.ndarray) -> Sample:
        """Return the events for which a mask, bool (events,), is true."""
        features = select_inputs(self.features, kept)
        return self._with_events(features, lambda column: compressed(column, kept))

    def of_fold(self, fold: int) -> Sample:
        """Return the events with the parts that the model of a fold has."""
        return replace(self, part=parts_of_fold(self.part, fold))

    def parts(self) -> dict[int, Sample]:
        """Return each part that has events; what lies on disk is read once.

        A part does not keep in which row of which file its events lie.
        """
        present = [part for part in range(len(PARTS)) if (self.part == part).any()]
        bare = replace(self, rows=None, file=None, part=None)
        features = split_inputs(self.features, self.part, present)
        given = (self.weights, self.train_weights, self.sample)
        columns = [self.labels, *(c for c in given if c is not None), *self.extra.values()]
        pieces = {id(column): split(column, self.part, present) for column in columns}
        return {
            number: bare._with_events(features[number], lambda c, n=number: pieces[id(c)][n])
            for number in present
        }

    def share(self) -> Share:
        """Return which of the events of all ranks these are; of one rank, all."""
        if self.sample is None:
            counts = [len(self)]
        else:
            size = len(self.sample_names)
            of_blocks = [np.bincount(numbers, minlength=size) for (numbers,) in blocks(self.sample)]
            counts = np.sum(of_blocks, axis=0).tolist()
        ranks = current()
        return Share.of(ranks.gather(counts), ranks.rank)

    def thinned(self, most: int) -> Sample:
        """Return at most so many of the events, evenly spaced, in memory."""
        return self._with_events(thinned(self.features, most), lambda c: thinned(c, most))

    def _with_events(self, features: Any, pick: Callable[[AnyArray], AnyArray]) -> Sample:
        """Return other events: their features, and what `pick` takes of each column."""
        columns = {"labels": self.labels, "weights": self.weights, "part": self.part}
        columns |= {"rows": self.rows, "file": self.file, "sample": self.sample}
        columns["train_weights"] = self.train_weights
        picked = {name: None if c is None else pick(c) for name, c in columns.items()}
        extra = {name: pick(column) for name, column in self.extra.items()}
        return replace(self, features=features, extra=extra, **picked)


def evaluated_part(parts: Collection[int]) -> int:
    """Return the test part where there is one, else validation, else training.

    Examples
    --------
    >>> evaluated_part({0: ..., 1: ...})
    1
    """
    return max(parts)
