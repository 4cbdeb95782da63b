"""Evaluate a plan over all blocks of a source: the selected events as arrays, in memory or on disk.

A block is read, selected from, evaluated and split; what is left of it is kept. Where the blocks
together get larger than `MemoryBudget` allows, all of them move to disk, and memory holds a few
blocks: one that is decoded, one that is evaluated, one that is written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.expression import Expression
from steepest.events.reading.evaluation import Evaluation
from steepest.events.reading.plan import Plan
from steepest.events.reading.prefetch import ahead
from steepest.events.reading.row_filter import blocks_of
from steepest.events.reading.store import MemoryBudget, Store
from steepest.events.sample.label_counts import LabelCounts
from steepest.events.source import EventSource
from steepest.events.words import counted, listed
from steepest.recipe import SplitRecipe
from steepest.storage import AnyArray, map_blocks

__all__ = ["Gathered", "MemoryBudget", "Progress", "gather"]

Progress = Callable[[int, int], object]
"""Called with the rows read so far and the rows of all files."""


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
        ``(events,)`` float64, as `LabelCounts.add` returns them.
    label_counts : LabelCounts
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
    label_counts: LabelCounts
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
    budget: MemoryBudget | None = None,
) -> Gathered:
    """Read, select, evaluate and split all events of a source.

    While a block is kept, the next one is evaluated in a thread, and the one after that is decoded
    in another.

    Parameters
    ----------
    source, plan
        The events, and what to compute of each.
    split
        The shares of the parts; None puts all events into the test part.
    progress
        Told of the rows read.
    budget
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
    store = Store(source, plan, budget)
    evaluation = Evaluation(source, plan, split, keeps_features=not store.rereads)
    decoded = ahead(blocks_of(source, plan.columns, plan.select))
    with closing(decoded), closing(ahead(evaluation.over(decoded))) as evaluated:
        for block in evaluated:
            store.add(block)
            if progress is not None:
                progress(block.rows_read, source.rows)
    if progress is not None:
        progress(source.rows, source.rows)
    if evaluation.selected == 0:
        raise _nothing_selected(source, plan, evaluation.rows_read)
    evaluation.repeats.refuse(source.files, plan.columns)
    evaluation.refuse_faults()
    columns = store.finish()
    features, categories = _with_sorted_categories(columns["features"], plan, evaluation.codes)
    return Gathered(
        source=source,
        features=features,
        categories=categories,
        labels=columns["labels"],
        label_counts=evaluation.label_counts,
        integers=evaluation.label.is_integer or _made_of_integers(plan.label, source.schema),
        weights=columns.get("weights"),
        extra=columns["extra"],
        part=np.concatenate(store.part),
        rows=columns["rows"],
        file=columns["file"],
        read={
            "columns": plan.columns,
            "row_groups": source.kept_groups(where),
            "row_groups_total": source.groups,
            "rows": evaluation.rows_read,
            "rows_total": source.rows,
            "selected": evaluation.selected,
        },
        notes=[*_undecided(evaluation.undecided), *store.notes()],
    )


def _undecided(events: int) -> list[str]:
    if not events:
        return []
    return [
        f"The selection has no answer for {counted(events, 'event')}, where a value "
        "is null; they are not selected."
    ]


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


def _made_of_integers(label: Expression, schema: pa.Schema) -> bool:
    """Whether all columns of the label hold integers, so that 2 * n + 1 is one too."""
    types = [schema.field(name).type for name in label.columns]
    return all(pa.types.is_integer(t) or pa.types.is_boolean(t) for t in types)
