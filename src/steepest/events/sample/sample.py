"""Events ready for the descent: features, labels, weights and the split, in memory or on disk.

`load_sample` reads the events that a recipe names for training; `load_events` reads others with
the same features, label and weight, to evaluate on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.events.formats.registry import open_events
from steepest.events.reading.plan import Plan, plan_of
from steepest.events.reading.reading import Gathered, MemoryBudget, Progress, gather
from steepest.events.sample.checks import PartSums, part_sums, refuse_empty_parts, refuse_weights
from steepest.events.sample.labels import decide, encode
from steepest.events.sample.split import PARTS
from steepest.events.words import counted
from steepest.recipe import EventsRecipe
from steepest.storage import AnyArray, compressed, map_blocks

__all__ = ["Part", "Progress", "Sample", "load_events", "load_sample"]


@dataclass(frozen=True)
class Part:
    """One part of a sample: copies of its rows, in their order, as arrays or `DiskArray`.

    Attributes
    ----------
    features
        ``(events, features)`` float64, C order.
    labels
        ``(events,)``, as in the sample.
    weights
        ``(events,)`` float64; None if all events weigh 1.
    rows, file
        ``(events,)``: the row in its file (int64), and which file of the source (int32).
    extra : dict
        ``(events,)`` float64 of each column that is carried along.
    """

    features: AnyArray
    labels: AnyArray
    weights: AnyArray | None
    rows: AnyArray
    file: AnyArray
    extra: dict[str, AnyArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """The selected events: NumPy arrays, or where they do not fit, `DiskArray`, but for `part`.

    Attributes
    ----------
    features
        ``(events, features)`` float64, C order; booleans are 0 and 1, text is the index into its
        `categories`. NaN is what is missing where the recipe says how to fill it.
    names : tuple[str, ...]
        The features' names.
    labels
        ``(events,)``: float64 for regression, else the int64 index of the class.
    weights
        ``(events,)`` float64; None if the recipe names no weight.
    classes : tuple[str, ...]
        ``("0", "1")`` for two classes, the K names for many, ``()`` for regression.
    task : str
        ``"regression"``, ``"binary"`` or ``"multiclass"``.
    label : str
        The label as the recipe has it.
    part : numpy.ndarray
        ``(events,)`` int8: 0 train, 1 validation, 2 test.
    rows, file
        ``(events,)``: the row in its file (int64), and which file of the source (int32).
    source : dict
        What the events are: names, sizes, rows and sha256 of the files.
    read : dict
        What was read: ``columns``, ``row_groups`` of ``row_groups_total``, ``rows`` of
        ``rows_total``, and how many were ``selected``.
    notes : list[str]
        Sentences for the log: what was chosen, and why.
    extra : dict
        ``(events,)`` float64 of each column that was asked for besides, as it was written.
    categories : dict[str, tuple[str, ...]]
        The distinct values of each feature that is text, sorted.
    """

    features: AnyArray
    names: tuple[str, ...]
    labels: AnyArray
    weights: AnyArray | None
    classes: tuple[str, ...]
    task: str
    label: str
    part: np.ndarray
    rows: AnyArray
    file: AnyArray
    source: dict[str, Any]
    read: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    extra: dict[str, AnyArray] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def locate(self, index: int) -> str:
        """Say where an event lies: in which file, at which row."""
        place = slice(index, index + 1)
        name = self.source["files"][self.file[place][0]]["name"]
        return f"in {name} at row {self.rows[place][0]}"

    def of(self, part: str | int) -> Part:
        """Return one part, ``"train"``, ``"validation"`` or ``"test"`` (or 0, 1, 2).

        Raises
        ------
        ValueError
            There is no such part.
        """
        inside = self.part == (PARTS.index(part) if isinstance(part, str) else part)
        return Part(
            compressed(self.features, inside),
            compressed(self.labels, inside),
            None if self.weights is None else compressed(self.weights, inside),
            compressed(self.rows, inside),
            compressed(self.file, inside),
            {name: compressed(values, inside) for name, values in self.extra.items()},
        )


def load_sample(
    recipe: EventsRecipe,
    *,
    loss: str | None = None,
    extra: Sequence[str] = (),
    progress: Progress | None = None,
    budget: MemoryBudget | None = None,
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
    budget
        What memory may hold of them, and where else they may lie; None for all in memory.

    Returns
    -------
    Sample
        All selected events. In memory, reading takes about the feature matrix twice at its peak.

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
    events = gather(source, plan, recipe.split, progress, budget)
    part = events.part
    shares = (
        1 - recipe.split.validation - recipe.split.test,
        recipe.split.validation,
        recipe.split.test,
    )
    decided = decide(
        events.label_counts,
        recipe.label,
        integers=events.integers,
        loss=loss,
        locate=events.locate,
    )
    refuse_empty_parts(part, shares, PARTS)
    classes = decided.classes
    labels = map_blocks(decided.convert, events.labels, stored=np.int16 if classes else None)
    sums = part_sums(events.weights, part, labels, len(PARTS), len(classes))
    refuse_weights(sums, PARTS, classes)
    notes = [f"The task is {decided.task}: {decided.reason}."]
    notes += _absent_classes(sums, classes)
    return _sample(events, plan, labels, decided.task, classes, notes)


def load_events(
    recipe: EventsRecipe,
    paths: str | Sequence[str] | None,
    classes: Sequence[str],
    task: str,
    *,
    names: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    progress: Progress | None = None,
    budget: MemoryBudget | None = None,
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
    extra, progress, budget
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
    events = gather(source, plan, None, progress, budget)
    convert = encode(events.label_counts, recipe.label, task, classes, events.locate)
    labels = map_blocks(convert, events.labels)
    refuse_weights(part_sums(events.weights, events.part, labels, len(PARTS), 0), PARTS, ())
    notes = [f"All {counted(len(events.part), 'selected event')} are the test part."]
    return _sample(events, plan, labels, task, tuple(classes), notes)


def _sample(
    events: Gathered,
    plan: Plan,
    labels: AnyArray,
    task: str,
    classes: tuple[str, ...],
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
        part=events.part,
        rows=events.rows,
        file=events.file,
        source=events.source.fingerprint(),
        read=events.read,
        notes=[*plan.notes, *events.notes, *notes],
        extra={
            expression.text: map_blocks(lambda block, i=index: block[:, i].copy(), events.extra)
            for index, expression in enumerate(plan.extra)
        },
        categories=events.categories,
    )


def _absent_classes(sums: PartSums, classes: Sequence[str]) -> list[str]:
    """Return a sentence for each class that the validation or the test part lacks."""
    return [
        f"The {PARTS[index]} part has no event of the class {name!r}."
        for index in (1, 2)
        if sums.events[index].any()
        for code, name in enumerate(classes)
        if not sums.events[index, code]
    ]
