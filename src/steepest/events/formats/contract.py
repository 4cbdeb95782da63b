"""The contract of event files: what a format's `open_file` returns, and what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from steepest.events.remote import FilePath


@dataclass(frozen=True)
class Condition:
    """One condition ``column op value`` that every wanted row meets; it prunes what cannot.

    `op` is one of ``== < <= > >=`` or ``in`` (then `value` is a tuple). Rows whose value is null or
    NaN meet no condition.
    """

    column: str
    op: str
    value: Any


@dataclass(frozen=True)
class RowFilter:
    """Tells from some columns of a block, in alphabetical order, whether an event passes."""

    columns: tuple[str, ...]
    passes: Callable[[pa.RecordBatch], bool]


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one file.

    `file` counts the source's files from 0; `first_row` is the row of the file, from 0, at which
    `batch` begins.
    """

    batch: pa.RecordBatch
    file: int
    first_row: int


class EventFile(Protocol):
    """One file of events, in one format. Its rows lie in groups that can be read on their own."""

    path: FilePath
    schema: pa.Schema
    rows: int
    groups: int
    """How many groups of rows the file has (Parquet: row groups)."""

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the groups that may hold rows which meet every condition."""
        ...

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch) of the named columns, in the order of the rows.

        A batch in which no event passes the row_filter may have the row_filter's columns alone.
        """
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Return name, size, rows and a sha256 that changes when the events do."""
        ...
