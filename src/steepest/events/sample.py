"""Events in memory, ready for the descent: features, labels, weights and the split.

`load_sample` reads the events that a recipe names for training; `load_events` reads others with
the same features, label and weight, to evaluate on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.events.checks import refuse_empty_parts, refuse_weights
from steepest.events.formats import open_events
from steepest.events.labels import decide, encode
from steepest.events.plan import Plan, plan_of
from steepest.events.reading import Gathered, Progress, gather
from steepest.events.split import PARTS, TEST, assign_parts
from steepest.events.words import counted
from steepest.recipe import EventsRecipe

__all__ = ["Part", "Progress", "Sample", "load_events", "load_sample"]


@dataclass(frozen=True)
class Part:
    """One part of a sample: copies of its rows, in their order.

    Attributes
    ----------
    features : numpy.ndarray
        ``(events, features)`` float64, C order.
    labels : numpy.ndarray
        ``(events,)``, as in the sample.
    weights : numpy.ndarray or None
        ``(events,)`` float64; None if all events weigh 1.
    rows, file : numpy.ndarray
        ``(events,)``: the row in its file (int64), and which file of the source (int32).
    extra : dict[str, numpy.ndarray]
        ``(events,)`` float64 of each column that is carried along.
    """

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    rows: np.ndarray
    file: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """The selected events.

    Attributes
    ----------
    features : numpy.ndarray
        ``(events, features)`` float64, C order; booleans are 0 and 1, text is the index into its
        `categories`. NaN is what is missing where the recipe says how to fill it.
    names : tuple[str, ...]
        The features' names.
    labels : numpy.ndarray
        ``(events,)``: float64 for regression, else the int64 index of the class.
    weights : numpy.ndarray or None
        ``(events,)`` float64; None if the recipe names no weight.
    classes : tuple[str, ...]
        ``("0", "1")`` for two classes, the K names for many, ``()`` for regression.
    task : str
        ``"regression"``, ``"binary"`` or ``"multiclass"``.
    label : str
        The label as the recipe has it.
    part : numpy.ndarray
        ``(events,)`` int8: 0 train, 1 validation, 2 test.
    rows, file : numpy.ndarray
        ``(events,)``: the row in its file (int64), and which file of the source (int32).
    source : dict
        What the events are: names, sizes, rows and sha256 of the files.
    read : dict
        What was read: ``columns``, ``row_groups`` of ``row_groups_total``, ``rows`` of
        ``rows_total``, and how many were ``selected``.
    notes : list[str]
        Sentences for the log: what was chosen, and why.
    extra : dict[str, numpy.ndarray]
        ``(events,)`` float64 of each column that was asked for besides, as it was written.
    categories : dict[str, tuple[str, ...]]
        The distinct values of each feature that is text, sorted.
    """

    features: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    weights: np.ndarray | None
    classes: tuple[str, ...]
    task: str
    label: str
    part: np.ndarray
    rows: np.ndarray
    file: np.ndarray
    source: dict[str, Any]
    read: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def locate(self, index: int) -> str:
        """Say where an event lies: in which file, at which row."""
        return f"in {self.source['files'][self.file[index]]['name']} at row {self.rows[index]}"

    def of(self, part: str | int) -> Part:
        """Return one part, ``"train"``, ``"validation"`` or ``"test"`` (or 0, 1, 2).

        Raises
        ------
        ValueError
            There is no such part.
        """
        inside = self.part == (PARTS.index(part) if isinstance(part, str) else part)
        return Part(
            self.features[inside],
            self.labels[inside],
            None if self.weights is None else self.weights[inside],
            self.rows[inside],
            self.file[inside],
            {name: values[inside] for name, values in self.extra.items()},
        )


def load_sample(
    recipe: EventsRecipe,
    *,
    loss: str | None = None,
    extra: Sequence[str] = (),
    progress: Progress | None = None,
) -> Sample:
    """Read, select, derive and split the events that a recipe names.

    Parameters
    ----------
    recipe
        The recipe's ``[events]``.
    loss
        The loss's name, which decides the task; None to choose the task from the label.
    extra
        Columns or expressions of numbers to carry along, features or not; see `Sample.extra`.
    progress
        Called after each block with the rows read so far and the rows of all files.

    Returns
    -------
    Sample
        All selected events. At its peak, reading takes about the memory of the feature matrix
        twice.

    Raises
    ------
    EventsError
        The events cannot be read, or not be trained on: a missing column, NaN, null or infinity,
        one class, an empty selection or part, weights without a positive sum, the label among the
        features.
    RecipeError
        An expression cannot be read, or a feature is named twice.

    Examples
    --------
    >>> recipe = EventsRecipe(path="embedded:top-jets", label="is_top")
    >>> sample = load_sample(recipe)  # doctest: +SKIP
    >>> sample.task, sample.classes  # doctest: +SKIP
    ('binary', ('0', '1'))
    >>> sample.of("train").features.shape  # doctest: +SKIP
    """
    source = open_events(recipe.paths if isinstance(recipe.path, list) else recipe.path)
    plan = plan_of(recipe, source, extra=extra)
    events = gather(source, plan, progress)
    part = assign_parts(events.keys, recipe.split)
    shares = (
        1 - recipe.split.validation - recipe.split.test,
        recipe.split.validation,
        recipe.split.test,
    )
    labels = decide(
        events.labels,
        recipe.label,
        integers=events.integers,
        loss=loss,
        locate=events.locate,
    )
    refuse_empty_parts(part, shares, PARTS)
    refuse_weights(events.weights, part, PARTS, labels.values, labels.classes)
    notes = [f"The task is {labels.task}: {labels.reason}."]
    notes += _absent_classes(labels.values, labels.classes, part)
    return _sample(events, plan, labels.values, labels.task, labels.classes, part, notes)


def load_events(
    recipe: EventsRecipe,
    paths: str | Sequence[str] | None,
    classes: Sequence[str],
    task: str,
    *,
    names: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    progress: Progress | None = None,
) -> Sample:
    """Read other events with a recipe's features, label, weight and selection, to evaluate on.

    Parameters
    ----------
    recipe
        The ``[events]`` that the run was trained with; its split is not applied.
    paths
        The events to read; None for the recipe's own.
    classes, task
        Those of the run: labels become indices into these classes, whatever values these events
        have.
    names
        The run's features, for a recipe that leaves them out.
    extra, progress
        As for `load_sample`.

    Returns
    -------
    Sample
        All selected events, all in the test part. There may be one class only.

    Raises
    ------
    EventsError
        As `load_sample`; also if a label is none of the classes.

    Examples
    --------
    >>> recipe = EventsRecipe(path="embedded:top-jets", label="is_top")
    >>> load_events(recipe, "other.parquet", ("0", "1"), "binary")  # doctest: +SKIP
    """
    given = recipe.path if paths is None else paths
    source = open_events(given if isinstance(given, str) else list(given))
    unsplit = recipe.model_copy(update={"split": recipe.split.model_copy(update={"by": None})})
    plan = plan_of(unsplit, source, names=names, extra=extra)
    events = gather(source, plan, progress)
    part = np.full(len(events.rows), TEST, dtype=np.int8)
    labels = encode(events.labels, recipe.label, task, classes, events.locate)
    refuse_weights(events.weights, part, PARTS, labels, ())
    notes = [f"All {counted(len(part), 'selected event')} are the test part."]
    return _sample(events, plan, labels, task, tuple(classes), part, notes)


def _sample(
    events: Gathered,
    plan: Plan,
    labels: np.ndarray,
    task: str,
    classes: tuple[str, ...],
    part: np.ndarray,
    notes: list[str],
) -> Sample:
    return Sample(
        features=events.features,
        names=plan.names,
        labels=labels,
        weights=events.weights,
        classes=classes,
        task=task,
        label=plan.label.text,
        part=part,
        rows=events.rows,
        file=events.file,
        source=events.source.fingerprint(),
        read=events.read,
        notes=[*plan.notes, *events.notes, *notes],
        extra={
            expression.text: np.ascontiguousarray(events.extra[:, index])
            for index, expression in enumerate(plan.extra)
        },
        categories=events.categories,
    )


def _absent_classes(labels: np.ndarray, classes: Sequence[str], part: np.ndarray) -> list[str]:
    """Return a sentence for each class that the validation or the test part lacks."""
    return [
        f"The {PARTS[index]} part has no event of the class {name!r}."
        for index in (1, 2)
        if (part == index).any()
        for code, name in enumerate(classes)
        if not ((part == index) & (labels == code)).any()
    ]
