"""Evaluate a plan over all blocks of a source: the selected events as arrays, in memory or on disk.

A block is read, selected from, evaluated and split; what is left of it is kept. Where the blocks
together get larger than `Room` allows, all of them move to disk, and memory holds one block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.checks import Faults
from steepest.events.expressions import Expression, frame
from steepest.events.labels import Tally
from steepest.events.lists import refuse_mismatch
from steepest.events.plan import Plan
from steepest.events.repeats import Repeats
from steepest.events.sieve import blocks_of
from steepest.events.source import Block, EventSource
from steepest.events.split import TEST, assign_parts, event_keys, row_keys
from steepest.events.words import counted, listed
from steepest.recipe import SplitRecipe
from steepest.storage import AnyArray, Column, map_blocks

__all__ = ["Gathered", "Progress", "Room", "gather"]

Progress = Callable[[int, int], object]
"""Called with the rows read so far and the rows of all files."""

_COLUMNS = ("features", "labels", "weights", "extra", "rows", "file")


@dataclass(frozen=True)
class Room:
    """How much of the events memory may hold, and the folder on whose disk the rest lies."""

    bytes: int
    folder: Path


@dataclass(frozen=True)
class Gathered:
    """The selected events, before their labels are interpreted; arrays in memory or on disk.

    Attributes
    ----------
    features
        ``(events, features)`` float64, C order. Finite, but NaN for what is missing where the
        recipe says how to fill it; of text the index into its categories.
    categories : dict[str, tuple[str, ...]]
        The distinct values of each feature that is text, sorted.
    labels
        ``(events,)`` float64, as `Tally.add` returns them.
    tally : Tally
        The labels' values.
    integers : bool
        Whether the labels are integers by the types of their columns.
    weights
        ``(events,)`` float64, finite; None without weights.
    extra
        ``(events, columns carried along)`` float64, finite.
    part : numpy.ndarray
        ``(events,)`` int8, always in memory.
    rows, file
        ``(events,)``: the row in its file (int64), and which file of the source (int32).
    read : dict
        What was read; see `Sample`.
    notes : list[str]
        Sentences for the log.
    """

    source: EventSource
    features: AnyArray
    categories: dict[str, tuple[str, ...]]
    labels: AnyArray
    tally: Tally
    integers: bool
    weights: AnyArray | None
    extra: AnyArray
    part: np.ndarray
    rows: AnyArray
    file: AnyArray
    read: dict[str, Any]
    notes: list[str]

    def locate(self, index: int) -> str:
        """Say where an event lies."""
        place = slice(index, index + 1)
        return f"in {self.source.files[self.file[place][0]]} at row {self.rows[place][0]}"


def gather(
    source: EventSource,
    plan: Plan,
    split: SplitRecipe | None = None,
    progress: Progress | None = None,
    room: Room | None = None,
) -> Gathered:
    """Read, select, evaluate and split all events of a source.

    Parameters
    ----------
    source, plan
        The events, and what to compute of each.
    split
        The shares of the parts; None puts all events into the test part.
    progress
        Told of the rows read.
    room
        What memory may hold; None for everything.

    Raises
    ------
    EventsError
        A file is damaged, two hold the same events, nothing is selected, or a value is null, NaN
        or infinite.
    """
    if not plan.columns:
        raise EventsError("The features and the label use no column.", do="name columns in them")
    where = plan.select.pruning() if plan.select is not None else ()
    reader = _Reader(source, plan, split, room)
    for block in blocks_of(source, plan.columns, plan.select):
        reader.add(block)
        if progress is not None:
            progress(reader.rows_read, source.rows)
    if progress is not None:
        progress(source.rows, source.rows)
    select = plan.select.text if plan.select is not None else None
    if reader.selected == 0:
        raise _nothing_selected(source, select, reader.rows_read)
    reader.repeats.refuse(source.files, plan.columns)
    for faults in (*reader.faults, reader.label_faults, reader.weight_faults, *reader.extra_faults):
        if faults is not None:
            faults.refuse(reader.selected, select)
    notes = []
    if reader.undecided:
        notes.append(
            f"The selection has no answer for {counted(reader.undecided, 'event')}, where a value "
            "is null; they are not selected."
        )
    if reader.spilled and room is not None:
        notes.append(
            f"The events ({reader.nbytes / 2**30:.3g} GiB) are kept on disk, in {room.folder}: "
            f"memory would hold {room.bytes / 2**30:.3g} GiB of them (events.memory)."
        )
    columns = reader.columns
    features, categories = _with_sorted_categories(columns["features"].finish(), plan, reader.codes)
    return Gathered(
        source=source,
        features=features,
        categories=categories,
        labels=columns["labels"].finish(),
        tally=reader.tally,
        integers=reader.label.is_integer or _made_of_integers(plan.label, source.schema),
        weights=columns["weights"].finish() if plan.weight is not None else None,
        extra=columns["extra"].finish(),
        part=np.concatenate(reader.part),
        rows=columns["rows"].finish(),
        file=columns["file"].finish(),
        read={
            "columns": plan.columns,
            "row_groups": source.kept_groups(where),
            "row_groups_total": source.groups,
            "rows": reader.rows_read,
            "rows_total": source.rows,
            "selected": reader.selected,
        },
        notes=notes,
    )


class _Reader:
    """Evaluates a plan block by block, and counts what is no finite number."""

    def __init__(
        self, source: EventSource, plan: Plan, split: SplitRecipe | None, room: Room | None
    ) -> None:
        schema = source.schema
        self.source, self.plan, self.split, self.room = source, plan, split, room
        self.select = plan.select.scalar(schema) if plan.select is not None else None
        self.label = plan.label.scalar(schema)
        features = [feature.scalar(schema) for feature in plan.features]
        self.codes: dict[int, dict[str, int]] = {
            i: {} for i, typed in enumerate(features) if typed.words == "text"
        }
        self.typed = [*features, self.label]
        exprs = [typed.expr if i in self.codes else typed.real for i, typed in enumerate(features)]
        exprs.append(self.label.real if self.label.dtype == pl.Int128 else self.label.expr)
        if plan.weight is not None:
            self.typed.append(plan.weight.scalar(schema))
            exprs.append(self.typed[-1].real)
        exprs += [expression.scalar(schema).real for expression in plan.extra]
        self.exprs = [expr.alias(str(i)) for i, expr in enumerate(exprs)]
        self.faults = [
            Faults(
                feature.role,
                feature,
                "text" if i in self.codes else "a number",
                plan.tables.get(plan.names[i]),
            )
            for i, feature in enumerate(plan.features)
        ]
        self.label_faults = Faults(f"The label {plan.label.text!r}", plan.label, self.label.words)
        self.weight_faults = Faults("The weight", plan.weight) if plan.weight is not None else None
        self.extra_faults = [Faults(expression.role, expression) for expression in plan.extra]
        self.tally, self.repeats = Tally(), Repeats()
        self.columns = {name: Column() for name in _COLUMNS}
        self.part: list[np.ndarray] = []
        self.rows_read = self.selected = self.undecided = 0
        self.spilled = False

    def add(self, block: Block) -> None:
        """Select from a block, evaluate it, and keep the result."""
        table = frame(block.batch)
        self.rows_read += table.height
        rows = np.arange(block.first_row, block.first_row + table.height)
        if self.select is not None:
            kept = Expression.series(table, self.select)
            refuse_mismatch(self.select.mismatches, self.locator(block.file, rows))
            self.undecided += kept.null_count()
            kept = kept.fill_null(False)
            table, rows = table.filter(kept), rows[kept.to_numpy()]
        if len(rows) == 0:
            return
        self.selected += len(rows)
        self.keep(table, rows, block.file)
        if self.spilled or (self.room is not None and self.nbytes > self.room.bytes):
            self.spill()

    def keep(self, table: pl.DataFrame, rows: np.ndarray, file: int) -> None:
        # with_columns, not select: it also spreads a constant over the rows.
        values = table.with_columns(self.exprs).select([str(i) for i in range(len(self.exprs))])
        for typed in self.typed:
            refuse_mismatch(typed.mismatches, self.locator(file, rows))
        count = len(self.plan.features)
        features = np.ascontiguousarray(self.numbers(values[:, :count]), dtype=np.float64)
        self.inspect(values, features, file, rows)
        extra = values.columns[len(self.exprs) - len(self.plan.extra) :]
        carried = [values[name].to_numpy() for name in extra]
        kept = {
            "features": features,
            "labels": self.tally.add(values[str(count)]),
            "extra": np.array(carried, np.float64).reshape(-1, len(rows)).T,
            "rows": rows,
            "file": np.full(len(rows), file, dtype=np.int32),
        }
        if self.plan.weight is not None:
            kept["weights"] = values[str(count + 1)].to_numpy()
        for name, array in kept.items():
            self.columns[name].append(array)
        if len(self.source.files) > 1:
            told = [
                kept[name] for name in ("features", "labels", "extra", "weights") if name in kept
            ]
            self.repeats.add(file, np.column_stack(told))
        self.part.append(self.parts(table, rows, file))

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(column.nbytes for column in self.columns.values())

    def spill(self) -> None:
        """Move what is kept to disk."""
        assert self.room is not None
        self.spilled = True
        for column in self.columns.values():
            column.spill(self.room.folder)

    def numbers(self, values: pl.DataFrame) -> np.ndarray:
        """Return features as numbers, of text its codes in the order of their first events."""
        columns = [_codes(values[str(i)], codes).alias(str(i)) for i, codes in self.codes.items()]
        return values.with_columns(columns).to_numpy(order="c")

    def locator(self, file: int, rows: np.ndarray) -> Callable[[int], str]:
        """Return what says where a row of a data frame lies."""
        return lambda index: f"in {self.source.files[file]} at row {rows[index]}"

    def inspect(
        self, values: pl.DataFrame, features: np.ndarray, file: int, rows: np.ndarray
    ) -> None:
        """Count values that are null, NaN or infinite."""
        name = self.source.files[file]
        declared = any(table.missing is not None for table in self.plan.tables.values())
        if declared or not np.isfinite(features).all():
            for i, faults in enumerate(self.faults):
                column = values[str(i)]
                raw = column.to_numpy() if i in self.codes else features[:, i]
                faults.count(raw, column.is_null().to_numpy(), name, rows)
        rest = [self.label_faults] + ([self.weight_faults] if self.weight_faults else [])
        rest += self.extra_faults
        for i, faults in enumerate(rest, start=len(self.faults)):
            column = values[str(i)]
            null = column.is_null().to_numpy()
            numbers = column.to_numpy() if column.dtype.is_float() else np.zeros(len(rows))
            faults.count(numbers, null, name, rows)

    def parts(self, table: pl.DataFrame, rows: np.ndarray, file: int) -> np.ndarray:
        """Return the part of each row."""
        if self.split is None:
            return np.full(len(rows), TEST, dtype=np.int8)
        name = self.source.files[file]
        if self.plan.by is None:
            return assign_parts(row_keys(Path(name).name, rows), self.split)
        role = f"The split's column {self.plan.by!r}"
        keys = event_keys(table[self.plan.by].to_arrow(), role, name, rows)
        return assign_parts(keys, self.split)


def _codes(values: pl.Series, known: dict[str, int]) -> pl.Series:
    """Return text as float64 numbers, which `known` has for each text and is extended by."""
    distinct = values.drop_nulls().unique(maintain_order=True).to_list()
    for text in distinct:
        known.setdefault(text, len(known))
    codes = [float(known[text]) for text in distinct]
    return values.replace_strict(distinct, codes, default=None, return_dtype=pl.Float64)


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


def _nothing_selected(source: EventSource, select: str | None, rows: int) -> EventsError:
    unread = f" ({rows} read; the statistics of the others exclude them)"
    unread = unread if rows < source.rows else ""
    return EventsError(
        f"The selection leaves no event of {listed(source.files, 3)}.",
        expected="at least one event",
        found=f"0 of {counted(source.rows, 'row')}{unread}",
        cause="a condition that cannot hold, or another unit (GeV, MeV)",
        do=f"loosen events.select, which is {select!r}",
    )


def _made_of_integers(label: Expression, schema: pa.Schema) -> bool:
    """Whether all columns of the label hold integers, so that 2 * n + 1 is one too."""
    types = [schema.field(name).type for name in label.columns]
    return all(pa.types.is_integer(t) or pa.types.is_boolean(t) for t in types)
