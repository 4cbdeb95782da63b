"""From a recipe's events to a sample: open, read, select, evaluate, split; in memory or on disk.

`load_sample` reads the events that a recipe names for training; `load_events` reads others with
the same features, label and weight, to evaluate on them.

A block is read, selected from, evaluated and split; what is left of it is kept. Where the blocks
together get larger than `MemoryBudget` allows, all of them move to disk, and memory holds a few
blocks: one that is decoded, one that is evaluated, one that is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.bad_files import of_files
from steepest.events.expressions.expression import Expression
from steepest.events.formats.contract import Condition
from steepest.events.particles import GROUPS
from steepest.events.reading.evaluation import LENGTHS, Evaluated, Evaluation, Seen
from steepest.events.reading.features import row_filter_of
from steepest.events.reading.plan import Plan, Planned
from steepest.events.reading.prefetch import prefetch
from steepest.events.reading.samples import (
    Paths,
    labelled_by_name,
    opened_samples,
    planned_samples,
)
from steepest.events.reading.store import MemoryBudget, Store
from steepest.events.sample.checks import PartSums, part_sums, refuse_empty_parts, refuse_weights
from steepest.events.sample.labels import ELSEWHERE, LabelCounts, decide, encode
from steepest.events.sample.sample import Sample
from steepest.events.sample.split import PARTS, together
from steepest.events.source import EventSource, without_bad_files
from steepest.events.words import counted, listed
from steepest.groups import FEATURES, Groups, Jagged
from steepest.ranks import Ranks, current
from steepest.recipe import EventsRecipe, SplitRecipe
from steepest.storage import AnyArray, map_blocks

__all__ = ["MemoryBudget", "Progress", "gather", "load_events", "load_sample"]

Progress = Callable[[int, int], object]
"""Called with the rows read so far and the rows of all files."""


@dataclass(frozen=True)
class ReadLabels:
    """What was seen of the labels: their values, and whether all come from integer columns."""

    counts: LabelCounts
    integers: bool


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

    def read(sources: Sequence[EventSource]) -> tuple[Any, ...]:
        planned = planned_samples(recipe, sources, extra=extra)
        return planned, *gather(planned, recipe.split, progress, budget)

    planned, sample, read_labels = without_bad_files(opened_samples(recipe), read)
    shares = (
        1 - recipe.split.validation - recipe.split.test,
        recipe.split.validation,
        recipe.split.test,
    )
    decided = decide(
        read_labels.counts,
        sample.label,
        integers=read_labels.integers,
        loss=loss,
        locate=_locator(sample, planned),
        order=sample.sample_names if labelled_by_name(recipe) else (),
    )
    classes = decided.classes
    labels = map_blocks(decided.convert, sample.labels, stored=np.int16 if classes else None)
    notes = [*sample.notes, f"The task is {decided.task}: {decided.reason}."]
    cross_validated = recipe.split.folds if recipe.split.cross_validated else None
    for index, name in enumerate(PARTS if current().size > 1 else ()):
        own = int(np.count_nonzero(sample.part == index))
        _refuse_idle(current().gather(own), f"event of the {name} part", planned[0][0])
    for fold in range(cross_validated or 1):
        part = sample.part if cross_validated is None else sample.of_fold(fold).part
        refuse_empty_parts(part, shares, PARTS)
        sums = part_sums(sample.weights, part, labels, len(PARTS), len(classes))
        refuse_weights(sums, PARTS, classes)
        notes += _absent_classes(sums, classes)
    notes = list(dict.fromkeys(notes))
    return replace(sample, labels=labels, task=decided.task, classes=classes, notes=notes)


def load_events(
    recipe: EventsRecipe,
    paths: Paths | None,
    classes: Sequence[str],
    task: str,
    *,
    names: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    progress: Progress | None = None,
    budget: MemoryBudget | None = None,
    split: bool = False,
    replaced: Mapping[str, str] | None = None,
    of: str | None = None,
    label: str | None = None,
) -> Sample:
    """Read other events with a recipe's features, label, weight and selection, to evaluate on.

    Parameters
    ----------
    recipe
        The ``[events]`` that the run was trained with.
    paths
        The events to read, also of each of the recipe's samples by its name; None for the recipe's
        own.
    classes, task
        Those of the run: labels become indices into these classes, whatever values these events
        have.
    names
        The run's features, for a recipe that leaves them out.
    extra, progress, budget
        As for `load_sample`.
    split
        Whether the recipe's split is applied; else all events are in the test part.
    replaced, of
        Columns, and the expressions that stand for them in features, weight and selection; of one
        of the recipe's samples, if `of` names it.
    label
        A column or expression that stands for the recipe's label.

    Returns
    -------
    Sample
        All selected events. There may be one class only.

    Raises
    ------
    EventsError
        As `load_sample`; also if a label is none of the classes.

    Examples
    --------
    >>> recipe = EventsRecipe(path="embedded:top-jets", label="is_top")
    >>> load_events(recipe, "other.parquet", ("0", "1"), "binary")  # doctest: +SKIP
    """
    if label is not None:
        recipe = recipe.model_copy(update={"label": label})
    if not split:
        recipe = recipe.model_copy(update={"split": recipe.split.model_copy(update={"by": None})})
    options = {"names": names, "extra": extra, "replaced": replaced, "of": of}

    def read(sources: Sequence[EventSource]) -> tuple[Any, ...]:
        planned = planned_samples(recipe, sources, **options)
        return planned, *gather(planned, recipe.split if split else None, progress, budget)

    planned, sample, read_labels = without_bad_files(opened_samples(recipe, paths), read)
    convert = encode(read_labels.counts, sample.label, task, classes, _locator(sample, planned))
    labels = map_blocks(convert, sample.labels)
    one = np.zeros(len(sample), dtype=np.int8)
    refuse_weights(part_sums(sample.weights, one, labels, 1, 0), ("test",), ())
    notes = list(sample.notes)
    if not split:
        notes.append(f"All {counted(len(sample), 'selected event')} are the test part.")
    return replace(sample, labels=labels, task=task, classes=tuple(classes), notes=notes)


def gather(
    planned: Sequence[Planned],
    split: SplitRecipe | None = None,
    progress: Progress | None = None,
    budget: MemoryBudget | None = None,
) -> tuple[Sample, ReadLabels]:
    """Read, select, evaluate and split all events; without a split, all are the test part.

    The labels are float64, as `LabelCounts.add` returns them: what they mean is decided next, by
    what was seen of them. While a block is kept, the next one is evaluated in a thread, and the one
    after that is decoded in another.

    Of many ranks each reads a part of the rows of each sample; what is seen and counted is that of
    all ranks.
    """
    ranks = current()
    planned = [(one.share(ranks.rank, ranks.size), its) for one, its in planned]
    store = Store(planned, budget)
    seen = Seen(sum(len(source.files) for source, _ in planned))
    weighted = any(plan.weighted for _, plan in planned)
    source, plan = EventSource.joined([source for source, _ in planned]), planned[0][1]
    done, first_file, evaluations, integers = 0, 0, [], True
    for one, its in planned:
        keeps = not store.rereads
        evaluation = Evaluation(one, its, split, keeps, seen, first_file, weighted)
        with _bad_files_of_all(ranks, one):
            for block in _evaluated(one, its, evaluation):
                store.add(block)
                if progress is not None:
                    progress(done + block.rows_read, source.rows)
        done, first_file = done + one.rows, first_file + len(one.files)
        evaluations.append(evaluation)
        integers &= evaluation.label.is_integer or _made_of_integers(its.label, one)
    if progress is not None:
        progress(source.rows, source.rows)
    own = sum(evaluation.selected for evaluation in evaluations)
    seen.over_ranks(ranks)
    for evaluation in evaluations:
        evaluation.over_ranks(ranks)
    selected = sum(evaluation.selected for evaluation in evaluations)
    if selected == 0:
        raise _nothing_selected(source, plan, sum(e.rows_read for e in evaluations))
    _refuse_idle(ranks.gather(own), "selected event", source)
    columns_read = sorted(set().union(*(its.columns for _, its in planned)))
    seen.repeats.refuse(
        source.files, [name for name in columns_read if name not in (plan.by, plan.event_row)]
    )
    for evaluation in evaluations:
        evaluation.refuse_faults()
    columns = store.finish()
    features, categories = columns.get("features"), {}
    if features is not None:
        features, categories = _with_sorted_categories(features, plan, seen.codes)
    if plan.particles is not None:
        features = _grouped(columns, features, plan)
    notes = [note for _, its in planned for note in its.notes]
    part = np.concatenate(store.part)
    if split is None or features is None or isinstance(features, Groups):
        pass  # particles have no copies that are looked for
    elif store.keys:
        part, told = together(np.concatenate(store.keys), part, features, columns["labels"], split)
        notes += told
    sample = Sample(
        features=features,
        names=plan.names,
        categories=categories,
        labels=columns["labels"],
        label=plan.label.text,
        weights=columns.get("weights"),
        extra={
            expression.text: map_blocks(lambda block, i=index: block[:, i].copy(), columns["extra"])
            for index, expression in enumerate(plan.extra)
        },
        part=part,
        rows=columns["rows"],
        file=columns["file"],
        tables=plan.tables,
        units=plan.units,
        sample=_samples_of(columns["file"], planned),
        sample_names=tuple(one.sample for one, _ in planned if one.sample),
        source=source.fingerprint(),
        read={
            "columns": columns_read,
            "row_groups": sum(one.kept_groups(_pruning(its)) for one, its in planned),
            "row_groups_total": source.groups,
            "rows": sum(evaluation.rows_read for evaluation in evaluations),
            "rows_total": source.rows,
            "selected": selected,
            **({"momenta": dict(plan.particles.found)} if plan.particles is not None else {}),
        },
        notes=[
            *dict.fromkeys(notes),
            *_selection_notes(planned, evaluations),
            *(note for one, _ in planned for note in one.notes),
            *_particle_notes(planned, evaluations),
            *store.notes(),
        ],
    )
    return sample, ReadLabels(seen.labels, integers)


@contextmanager
def _bad_files_of_all(ranks: Ranks, source: EventSource) -> Iterator[None]:
    """Raise what one rank finds of files that are skipped on all ranks, which skip them alike."""
    error = None
    try:
        yield
    except EventsError as found:
        if ranks.size == 1 or not source.skips or not found.bad_files:
            raise
        error = found
    if ranks.size > 1 and source.skips:
        of_ranks = ranks.gather(dict(error.bad_files or {}) if error is not None else {})
        if bad := {file: why for found in of_ranks for file, why in found.items()}:
            raise of_files(bad, error or EventsError(next(iter(bad.values()))), several=True)


def _evaluated(source: EventSource, plan: Plan, evaluation: Evaluation) -> Iterator[Evaluated]:
    """Yield what is kept of each block, each step in a thread of its own."""
    if not plan.columns:
        raise EventsError("The features and the label use no column.", do="name columns in them")
    row_filter = None
    if plan.select is not None:
        row_filter = row_filter_of(plan.select, source.schema_for(plan.select.columns))
    decoded = prefetch(source.batches(plan.columns, _pruning(plan), row_filter=row_filter))
    with closing(decoded), closing(prefetch(evaluation.over(decoded))) as evaluated:
        yield from evaluated


def _pruning(plan: Plan) -> tuple[Condition, ...]:
    return plan.select.pruning() if plan.select is not None else ()


def _samples_of(file: AnyArray, planned: Sequence[Planned]) -> AnyArray | None:
    """Return the number of each event's sample, int32; None for events without samples."""
    if not planned[0][0].sample:
        return None
    sizes = [len(source.files) for source, _ in planned]
    of_file = np.repeat(np.arange(len(planned), dtype=np.int32), sizes)
    return map_blocks(lambda block: of_file[block], file)


def _selection_notes(planned: Sequence[Planned], evaluations: Sequence[Evaluation]) -> list[str]:
    notes = []
    if undecided := sum(evaluation.undecided for evaluation in evaluations):
        notes.append(
            f"The selection has no answer for {counted(undecided, 'event')}, where a value is "
            "null; they are not selected."
        )
    for (source, _), evaluation in zip(planned, evaluations, strict=True):
        if evaluation.selected == 0:
            notes.append(f"The selection leaves no event of the sample {source.sample!r}.")
    return notes


def _grouped(columns: dict[str, AnyArray], features: AnyArray | None, plan: Plan) -> Groups:
    """Return the groups of particles, and with them the features of events, if there are any."""
    lengths = np.asarray(columns[LENGTHS][:])
    if not lengths.any():
        raise EventsError(
            "There is no particle in any event.",
            expected="lists with one number a particle",
            found=f"{len(lengths):,} events whose lists are empty",
            do="name other columns in events.particles",
        )
    members: dict[str, Any] = {} if features is None else {FEATURES: features}
    for name in GROUPS:
        members[name] = Jagged.of_lengths(columns[name], lengths)
    return Groups(members)


def _particle_notes(planned: Sequence[Planned], evaluations: Sequence[Evaluation]) -> list[str]:
    notes = []
    particles = planned[0][1].particles
    if particles is not None and (cut := sum(e.cut for e in evaluations)):
        notes.append(
            f"{counted(cut, 'event')} had more than {particles.most} particles, of which those of "
            "the largest pT are kept (events.particles.most)."
        )
    if empty := sum(e.empty for e in evaluations):
        notes.append(f"{counted(empty, 'event')} had no particle.")
    return notes


def _locator(sample: Sample, planned: Sequence[Planned]) -> Callable[[int], str]:
    """Return what says where an event lies, with the whole path of its file."""
    files = [file for source, _ in planned for file in source.files]

    def locate(index: int) -> str:
        if index == ELSEWHERE:
            return "on another rank"
        place = slice(index, index + 1)
        return f"in {files[sample.file[place][0]]} at row {sample.rows[place][0]}"

    return locate


def _with_sorted_categories(
    features: AnyArray, plan: Plan, codes: dict[int, dict[str, int]]
) -> tuple[AnyArray, dict[str, tuple[str, ...]]]:
    """Turn the codes of text into indices into its sorted values, and return these."""
    if not codes:
        return features, {}
    categories, ranks = {}, {}
    for i, known in codes.items():
        texts = sorted(known)
        categories[plan.names[i]] = tuple(texts)
        ranks[i] = np.full(len(texts) + 1, np.nan)
        ranks[i][[known[text] for text in texts]] = np.arange(len(texts))

    def renumber(block: np.ndarray) -> np.ndarray:
        for i, rank in ranks.items():
            block[:, i] = rank[np.nan_to_num(block[:, i], nan=len(rank) - 1).astype(np.int64)]
        return block

    return map_blocks(renumber, features), categories


def _refuse_idle(events: Sequence[int], what: str, source: EventSource) -> None:
    """Raise EventsError if some of many ranks have events, and one has none."""
    if 0 in events and any(events):
        raise EventsError(
            f"Rank {events.index(0)} of {len(events)} has no {what}.",
            expected="some in each rank's part of the rows",
            found=f"{sum(events):,} of {listed(source.files, 3)} in all",
            cause="few events, or a selection that leaves none of the rows that lie together",
            do="start fewer processes",
        )


def _nothing_selected(source: EventSource, plan: Plan, rows: int) -> EventsError:
    select = plan.select.text if plan.select is not None else None
    unread = f" ({rows} read; the statistics of the others exclude them)"
    unread = unread if rows < source.rows else ""
    return EventsError(
        f"The selection leaves no event of {listed(source.files, 3)}.",
        expected="at least one event",
        found=f"0 of {counted(source.rows, 'row')}{unread}",
        cause="a condition that cannot hold, or another unit (GeV, MeV)",
        do=f"loosen events.select, which is {select!r}",
    )


def _made_of_integers(label: Expression, source: EventSource) -> bool:
    """Whether all columns of the label hold integers, so that 2 * n + 1 is one too."""
    schema = source.schema_for(label.columns)
    types = [schema.field(name).type for name in label.columns]
    return all(pa.types.is_integer(t) or pa.types.is_boolean(t) for t in types)


def _absent_classes(sums: PartSums, classes: Sequence[str]) -> list[str]:
    """Return a sentence for each class that the validation or the test part lacks."""
    return [
        f"The {PARTS[index]} part has no event of the class {name!r}."
        for index in (1, 2)
        if sums.events[index].any()
        for code, name in enumerate(classes)
        if not sums.events[index, code]
    ]
