"""Samples of a recipe: the files of each process, its class, and what normalises its weights.

With a cross-section σ and a luminosity L the weight of an event is ``w · σ · L / Σw``, with Σw over
all events of the sample's files, before any selection: the weights then sum to the number of events
that L expects. σ is in pb and L in fb⁻¹, so σ · L has a factor of 1,000.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from steepest.errors import EventsError, RecipeError
from steepest.events.bad_files import told_of
from steepest.events.expressions.expression import Expression, frame
from steepest.events.extra import load
from steepest.events.formats.registry import open_events
from steepest.events.reading.explode import exploded
from steepest.events.reading.friends import with_friends
from steepest.events.reading.plan import Plan, Planned, plan_of, resolved
from steepest.events.source import EventSource
from steepest.events.words import counted, listed
from steepest.notation import number_text
from steepest.recipe import EventsRecipe, SampleRecipe

__all__ = [
    "Paths",
    "events_by_sample",
    "labelled_by_name",
    "opened_samples",
    "planned_samples",
    "sum_of_weights",
]

Paths = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Files and globs, or those of each sample by its name."""
PER_FEMTOBARN = 1_000.0
"""pb · fb⁻¹"""
LABEL = "sample"
"""What the label is called where the samples have it."""


def events_by_sample(recipe: EventsRecipe, given: Paths) -> Paths:
    """Return the files of each sample, if they are given as ``NAME=PATH`` of the recipe's samples.

    Raises
    ------
    EventsError
        Some are given so, and others are not.

    Examples
    --------
    >>> recipe = EventsRecipe(samples=[SampleRecipe(name=n, path=f"{n}.root") for n in ("s", "b")])
    >>> events_by_sample(recipe, ["s=new/s.root", "b=new/b.root"])
    {'s': ['new/s.root'], 'b': ['new/b.root']}
    """
    if isinstance(given, Mapping):
        return given
    names = {sample.name for sample in recipe.samples or ()}
    found: dict[str, list[str]] = {}
    rest = []
    for text in [given] if isinstance(given, str) else given:
        name, is_named, path = text.partition("=")
        if is_named and name in names:
            found.setdefault(name, []).append(path)
        else:
            rest.append(text)
    if found and rest:
        raise EventsError(
            "Some events are given with the name of their sample, and others are not.",
            expected="NAME=PATH for all of them, or for none",
            found=listed(rest, 3),
            do=f"name their samples: {', '.join(sorted(names))}",
        )
    return found or rest


def opened_samples(recipe: EventsRecipe, paths: Paths | None = None) -> list[EventSource]:
    """Open the events that a recipe names, of each sample, or other ones.

    Raises
    ------
    EventsError
        As `open_events`; the recipe has no sample of a name.
    """
    if paths is None and recipe.samples is not None:
        paths = {sample.name: sample.path for sample in recipe.samples}
    if isinstance(paths, Mapping):
        samples = {sample.name: sample for sample in recipe.samples or ()}
        for name in paths:
            if name not in samples:
                raise EventsError(
                    f"The recipe has no sample {name!r}.",
                    expected=f"one of {listed(samples, 12)}" if samples else "paths alone",
                    do="check the name",
                )
        return [
            open_events(paths[name], name, sample.on_bad_file or recipe.on_bad_file)
            for name, sample in samples.items()
            if name in paths
        ]
    given = recipe.path if paths is None else paths
    given = given if isinstance(given, str) else list(given or ())
    return [open_events(given, on_bad_file=recipe.on_bad_file)]


def planned_samples(
    recipe: EventsRecipe,
    sources: Sequence[EventSource],
    *,
    names: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    replaced: Mapping[str, str] | None = None,
    of: str | None = None,
    normalised: bool = True,
) -> list[Planned]:
    """Plan what is read of each of the events that `opened_samples` has opened.

    Parameters
    ----------
    recipe
        The recipe's ``[events]``.
    sources
        The events of each sample; or others, to read with the same label, features, weight and
        selection.
    names, extra, replaced
        As for `plan_of`; columns are replaced in the sample `of` alone, if that is given.
    normalised
        False to leave Σw, and with it the weights, for later.

    Raises
    ------
    EventsError, RecipeError
        As `plan_of`; also if the weights of a sample have no positive sum.
    """
    samples = {sample.name: sample for sample in recipe.samples or ()}
    options = {"names": names, "extra": extra}
    if not sources[0].sample:
        source = exploded(with_friends(sources[0], recipe.friends), recipe.explode)
        if recipe.label is None:
            raise _no_label(source, samples)
        return [(source, plan_of(recipe, source, replaced=replaced, **options))]
    labels = {} if recipe.label is not None else _labels(tuple(samples.values()))
    events = [
        with_friends(source, recipe.friends if sample.friends is None else sample.friends)
        for source, sample in ((source, samples[source.sample]) for source in sources)
    ]
    each_row = [exploded(source, recipe.explode) for source in events]
    planned: list[Planned] = []
    for source, rows in zip(events, each_row, strict=True):
        sample = samples[source.sample]
        plan = plan_of(
            recipe, rows, **options, sample=sample, label=labels.get(sample.name),
            also=[other for other in each_row if other is not rows],
            replaced=replaced if of in (None, sample.name) else None,
        )  # fmt: skip
        if normalised:
            plan = _normalised(plan, source, sample, recipe.luminosity)
        planned.append((rows, plan))
    _refuse_other_types(planned)
    return planned


def _no_label(source: EventSource, samples: Collection[str]) -> EventsError:
    name = next(iter(samples), "NAME")
    return EventsError(
        f"It is not said which class the events of {listed(source.files, 2)} have: "
        "in the recipe, the samples say it.",
        expected=f"the sample that they are of ({', '.join(samples)}), or their label",
        found="neither",
        do=f"--events {name}=FILE for each sample, or --label COLUMN (or expression); in Python "
        f'events={{"{name}": "FILE", …}} or label="COLUMN"; steepest predict needs no label',
    )


def labelled_by_name(recipe: EventsRecipe) -> bool:
    """Whether the names of the samples are the classes."""
    samples = recipe.samples or ()
    return recipe.label is None and all(sample.label is None for sample in samples)


def _refuse_conditions(samples: Sequence[SampleRecipe]) -> None:
    """Raise RecipeError for a label that can only be meant as an expression of columns."""
    for sample in samples:
        label = sample.label
        if isinstance(label, str) and re.search(r"[<>]|[=!]=|\b(AND|OR|NOT)\b", label):
            raise RecipeError(
                f"The label of the sample {sample.name} is a condition.",
                expected="the class of all its events: a number, or a name",
                found=f"label = {label!r}",
                do=f'leave the labels of the samples out, and write [events] label = "sample == '
                f"'{sample.name}' AND ({label})\"; or put the condition into the sample's select",
            )


def _labels(samples: Sequence[SampleRecipe]) -> dict[str, Expression]:
    """Return the label of each sample: what it says, else 0 beside a 1, else its name."""
    _refuse_conditions(samples)
    names = [sample.name for sample in samples]
    given = [sample.label for sample in samples]
    if any(isinstance(label, int) for label in given):
        other = [s.name for s in samples if s.label not in (None, 1)]
        if None in given and other:
            raise RecipeError(
                "Some samples have no label, and what the others say leaves theirs open.",
                expected="label = 1 for the signal alone, or a label for each sample",
                found=", ".join(f"{s.name}: {s.label}" for s in samples),
                do="give each sample a label",
            )
        given = [0 if label is None else label for label in given]
        if not all(isinstance(label, int) for label in given):
            raise RecipeError(
                "The labels of the samples are numbers and text.",
                expected="numbers for all samples, or text for all",
                found=", ".join(f"{s.name}: {s.label!r}" for s in samples),
                do="write all labels as text, in quotes, or all as numbers",
            )
    else:
        given = [
            s.name if label is None else label for s, label in zip(samples, given, strict=True)
        ]
    labels = [Expression(LABEL, ast.Constant(value), "The label") for value in given]
    return dict(zip(names, labels, strict=True))


def _normalised(
    plan: Plan, source: EventSource, sample: SampleRecipe, luminosity: float | None
) -> Plan:
    """Return the plan with σ · L / Σw as its scale, and a sentence that says so."""
    files = counted(len(source.files), "file")
    if source.skipped:
        files += f" ({len(source.skipped)} skipped)"
    told = f"Sample {sample.name!r}: {counted(source.rows, 'event')} in {files}"
    if sample.cross_section is None:
        return replace(plan, notes=(*plan.notes, f"{told}, weights as given."))
    total = sum_of_weights(source, plan.weight, sample)
    expected = sample.cross_section * (luminosity or 1.0) * PER_FEMTOBARN
    note = (
        f"{told}, Σw = {number_text(total, 6)}, σ = {sample.cross_section:g} pb, "
        f"L = {luminosity or 1.0:g} fb⁻¹"
        f"{'' if luminosity else ' (events.luminosity is not given)'}: "
        f"{number_text(expected, 6)} events expected before selection, weights × "
        f"{number_text(expected / total, 6)}."
    )
    notes = [*plan.notes, note]
    if source.skipped:
        notes.append(_of_what_was_read(sample))
    return replace(plan, scale=expected / total, notes=tuple(notes))


def _of_what_was_read(sample: SampleRecipe) -> str:
    """Say what the weights mean where files are skipped."""
    if isinstance(sample.sum_of_weights, float):
        return (
            f"Sample {sample.name!r}: Σw is given as a number. If it is that of all files, the "
            "events of the skipped ones are missing from the yield, which is then too low."
        )
    return (
        f"Sample {sample.name!r}: Σw is that of the files that were read, so that the yield stays "
        "σ · L; its uncertainty grows with fewer events."
    )


def _refuse_other_types(planned: Sequence[Planned]) -> None:
    """Raise EventsError if a feature or the label is text in one sample and a number in another."""
    words: dict[str, tuple[str, str]] = {}
    for source, plan in planned:
        named = [*zip(plan.names, plan.features, strict=True), (LABEL, plan.label)]
        for name, expression in named:
            found = expression.scalar(source.schema_for(expression.columns)).words
            first, other = words.setdefault(name, (source.sample, found))
            if {found, other} - {"a number", "a condition"} and found != other:
                raise EventsError(
                    f"{name!r} is {found} in the sample {source.sample!r}.",
                    expected=f"{other}, as in {first!r}",
                    found=expression.text,
                    cause="the files come from different jobs or versions",
                    do="derive it alike in all files, or leave it out",
                )


# --- sums of weights ----------------------------------------------------------------------------


def sum_of_weights(source: EventSource, weight: Expression | None, sample: SampleRecipe) -> float:
    """Return Σw of a sample's files before any selection, as its recipe says where it is from.

    Raises
    ------
    EventsError
        There is no such column, part or bin, or the sum is not above zero.
    """
    given = sample.sum_of_weights
    where = f"of the sample {sample.name!r}"
    if isinstance(given, str):
        part, colon, name = given.rpartition(":")
        if not colon:
            total = _summed(source, resolved(given, source, f"sum_of_weights {where}"))
        elif name.isdecimal():
            total = math.fsum(_bins_of(source, part, int(name)))
        else:
            runs = open_events([f"{file}:{part}" for file in source.files])
            total = _summed(runs, resolved(name, runs, f"sum_of_weights {where}"))
    elif given is not None:
        total = float(given)
    else:
        total = float(source.rows) if weight is None else _summed(source, weight)
    if not 0 < total < math.inf:
        raise EventsError(
            f"The weights {where} sum to {total:.6g}, so that they cannot be normalised.",
            expected="a finite sum above 0 (single weights may be negative)",
            found=f"{counted(source.rows, 'event')} in {listed(source.files, 2)}",
            cause="the wrong column, or NaN in it",
            do="check weight and sum_of_weights of the sample",
        )
    return total


def _summed(source: EventSource, weight: Expression) -> float:
    """Return the sum of an expression over all rows; NaN if a value is null."""
    typed = weight.scalar(source.schema_for(weight.columns))
    if not typed.is_number:
        raise EventsError(f"{weight.role} is {typed.words}.", expected="a number for each row")
    columns = sorted(weight.columns) or source.schema.names[:1]
    sums = []
    for block in source.batches(columns):
        values = Expression.series(frame(block.batch), typed).cast(float)
        sums.append(math.nan if values.null_count() else float(values.sum()))
    return math.fsum(sums) if all(map(math.isfinite, sums)) else math.nan


def _bins_of(source: EventSource, name: str, place: int) -> Iterator[float]:
    """Yield a bin of a histogram in each of the files."""
    for file in source.files:
        with told_of(file, several=len(source.files) > 1):
            yield _bin_of(file, name, place)


def _bin_of(file: str, name: str, place: int) -> float:
    """Return a bin of a histogram in a ROOT file: 1 is the first one, as ROOT counts."""
    uproot: Any = load("uproot", "root", "Reading ROOT files")
    try:
        with uproot.open(file) as opened:
            return float(opened[name].values(flow=True)[place])
    except (KeyError, IndexError, AttributeError, OSError, ValueError, TypeError) as error:
        raise EventsError(
            f"{Path(file).name} has no bin {place} of a histogram {name!r}.",
            expected="a histogram of one dimension, in a ROOT file; 1 is its first bin",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            do="check sum_of_weights",
        ) from None
