"""Files without statistics (ROOT, HDF5): one group of rows, read from any row on.

With a selection, its columns of a block are read first; the other columns only where an event
passes. Reading in two steps costs something: after 16 blocks of a file that all passed, its rest is
read in one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa

from steepest.events.formats.contract import Condition, RowFilter
from steepest.events.formats.damage import fingerprint
from steepest.events.remote import FilePath

Read = Callable[[Sequence[str], int], Iterator[tuple[int, pa.RecordBatch]]]
"""Yields (first row, batch) of the named columns, from a row on."""
TRUSTED = 16
"""Blocks that pass, from the first of a file on, after which all are taken to pass."""


class UnindexedFile(ABC):
    """An `EventFile` of one group, open only while it is read, so that thousands can be in use."""

    groups = 1
    path: FilePath
    inside: str
    rows: int
    schema: pa.Schema

    @abstractmethod
    def _reader(self, columns: Sequence[str], batch_rows: int) -> AbstractContextManager[Read]:
        """Open the file to read some of these columns, in batches of so many rows at most."""

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the one group."""
        return [0]

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch); only the named columns are read.

        With a row_filter, a batch in which no event passes has its columns alone.
        """
        if not groups or self.rows == 0:
            return
        with self._reader(columns, batch_rows) as read:
            if row_filter is None:
                yield from read(columns, 0)
            else:
                yield from _filtered(columns, row_filter, read)

    def fingerprint(self) -> dict[str, Any]:
        """Return name, part, size, rows and sha256."""
        return fingerprint(self.path, self.rows, self.inside)


def _filtered(
    columns: Sequence[str], row_filter: RowFilter, read: Read
) -> Iterator[tuple[int, pa.RecordBatch]]:
    others = [name for name in columns if name not in row_filter.columns]
    rest, following, passed = iter(()), -1, 0
    for number, (row, batch) in enumerate(read(row_filter.columns, 0)):
        if passed == number == TRUSTED:
            yield from read(columns, row)
            return
        if row_filter.passes(batch):
            passed += 1
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            if others:
                if row != following:  # else what was read ahead (ROOT's baskets) is kept
                    rest = read(others, row)
                found |= dict(zip(others, next(rest)[1].columns, strict=True))
                following = row + batch.num_rows
            batch = pa.record_batch([found[name] for name in columns], names=list(columns))
        yield row, batch
