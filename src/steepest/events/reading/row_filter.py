"""Selections in front of the reading: the other columns are read only where an event passes.

For formats without statistics (ROOT, HDF5). The selection's columns of a block are read first;
where none of its events passes, the block has these columns alone, which is all that it takes to
say so again. Reading in two steps costs something: after 16 blocks of a file that all passed, its
rest is read in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from steepest.events.expressions.expression import Expression, frame
from steepest.events.formats.contract import Block
from steepest.events.source import EventSource

TRUSTED = 16
"""Blocks that pass, from the first of a file on, after which all are taken to pass."""

__all__ = ["RowFilter", "blocks_of", "filtered", "row_filter_of"]


@dataclass(frozen=True)
class RowFilter:
    """Tells from some columns of a block whether one of its events passes.

    `columns` are in alphabetical order, as `passes` is given them.
    """

    columns: tuple[str, ...]
    passes: Callable[[pa.RecordBatch], bool]


def blocks_of(
    source: EventSource, columns: Sequence[str], select: Expression | None
) -> Iterator[Block]:
    """Yield the blocks of a source that may hold selected events, and of them what is needed.

    Row groups that statistics exclude are left out; see also `EventSource.filtered`.
    """
    where = select.pruning() if select is not None else ()
    row_filter = row_filter_of(select, source.schema) if source.sifts else None
    if row_filter is None:
        return source.batches(columns, where)
    return source.filtered(columns, where, row_filter)


def row_filter_of(select: Expression | None, schema: pa.Schema) -> RowFilter | None:
    """Return what tells where events pass a selection; None where there is nothing to tell.

    Examples
    --------
    >>> from steepest.events.expressions.expression import parse
    >>> batch = pa.record_batch({"pt": [500.0, 600.0]})
    >>> row_filter_of(parse("pt > 550"), batch.schema).passes(batch)
    True
    """
    if select is None or not select.columns:
        return None
    typed = select.scalar(schema)  # of its own: it is used while other blocks are evaluated

    def passes(batch: pa.RecordBatch) -> bool:
        kept = Expression.series(frame(batch), typed)
        # Lists that do not fit are refused by who evaluates the block, who knows its file.
        return bool(typed.mismatches) or kept.any()

    return RowFilter(tuple(sorted(select.columns)), passes)


def filtered(
    columns: Sequence[str],
    row_filter: RowFilter,
    read: Callable[[Sequence[str], int], Iterator[tuple[int, list[pa.Array]]]],
    rest: Callable[[Sequence[str], int], list[pa.Array]],
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (first row, batch): with all columns where an event passes, else with the row_filter's.

    Parameters
    ----------
    columns
        The names of all columns, in their order.
    row_filter
        Tells whether an event passes.
    read
        Reads columns block by block from a row on: the first rows, and the columns.
    rest
        Reads columns of the block that begins at a row, at which `read` is.
    """
    others = [name for name in columns if name not in row_filter.columns]
    passed = 0
    for number, (row, arrays) in enumerate(read(row_filter.columns, 0)):
        if passed == number == TRUSTED:
            for first, whole in read(columns, row):
                yield first, pa.record_batch(whole, names=list(columns))
            return
        batch = pa.record_batch(arrays, names=list(row_filter.columns))
        if row_filter.passes(batch):
            passed += 1
            found = dict(zip(row_filter.columns, arrays, strict=True))
            found |= dict(zip(others, rest(others, row), strict=True)) if others else {}
            batch = pa.record_batch([found[name] for name in columns], names=list(columns))
        yield row, batch
