"""Where evaluated events are kept: in memory, on disk once they are too many, or in their files.

Columns of numbers of formats that decode as fast as a copy is written and read back are left in
their files (`FromFiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.expressions.expression import frame
from steepest.events.particles import GROUPS
from steepest.events.reading.evaluation import LENGTHS, Evaluated, matrix, narrow_type
from steepest.events.reading.plan import Plan, Planned
from steepest.events.reading.prefetch import prefetch
from steepest.events.source import EventSource
from steepest.events.words import listed
from steepest.storage import AnyArray, Column, RowsOnDisk

__all__ = ["FromFiles", "MemoryBudget", "Store"]


@dataclass(frozen=True)
class MemoryBudget:
    """How much of the events memory may hold, and the folder on whose disk the rest lies."""

    bytes: int
    folder: Path


class Store:
    """Keeps what is evaluated: in memory, and all of it on disk once that is too much.

    Where nothing is selected from the events, it is known from the start whether it will be.
    Features that are columns of numbers are then not kept if their files can as well be read again
    (`rereads`).
    """

    def __init__(self, planned: Sequence[Planned], budget: MemoryBudget | None) -> None:
        sources, plans = zip(*planned, strict=True)
        rows, files = sum(s.rows for s in sources), sum(len(s.files) for s in sources)
        many = max(max(s.file_rows) for s in sources) > np.iinfo(np.int32).max
        weighted = any(plan.weighted for plan in plans)
        as_read = len(plans) == 1 and plans[0].weight is not None and plans[0].scale == 1.0
        self.columns = {
            "features": Column(np.float64, _narrow(planned, lambda plan: plan.features)),
            "labels": Column(np.float64, _narrow(planned, lambda plan: [plan.label])),
            "weights": Column(
                np.float64,
                _narrow(planned, lambda plan: [plan.weight]) if as_read else np.float64,
            ),
            "extra": Column(np.float64),
            "rows": Column(np.int64, np.int64 if many else np.int32),
            "file": Column(np.int32, np.min_scalar_type(files)),
            **{name: Column(np.float32) for name in GROUPS},
            LENGTHS: Column(np.int64, np.int32),
        }
        self.part: list[np.ndarray] = []
        self.keys: list[np.ndarray] = []
        self._budget = budget
        self._spilled = False
        plan = plans[0]
        if budget is not None and all(plan.select is None for plan in plans):
            numbers = len(plan.features) + 2 + weighted + len(plan.extra)
            if rows * (8 * numbers + 4) > budget.bytes:
                self._spill(budget)
        self._source, self._plan = sources[0], plan
        one = len(plans) == 1 and _are_columns(plan, sources[0].schema)
        self.rereads = self._spilled and one and sources[0].reread

    def add(self, block: Evaluated) -> None:
        """Keep what is selected of a block."""
        if not block.columns:
            return
        for name, array in block.columns.items():
            self.columns[name].append(array)
        self.part.append(block.part)
        if block.keys is not None:
            self.keys.append(block.keys)
        if self._budget is not None and not self._spilled and self._nbytes > self._budget.bytes:
            self._spill(self._budget)

    def finish(self) -> dict[str, AnyArray]:
        """Return what there is, by name."""
        columns = {name: column.finish() for name, column in self.columns.items() if len(column)}
        if self.rereads and self._budget is not None:
            names = [next(iter(feature.columns)) for feature in self._plan.features]
            stored = narrow_type(self._plan.features, self._source.schema)
            columns["features"] = FromFiles(self._source, names, stored, self._budget.folder)
        return columns

    def notes(self) -> list[str]:
        """Return a sentence if the events lie on disk."""
        if not self._spilled or self._budget is None:
            return []
        return [
            f"The events ({self._nbytes / 2**30:.3g} GiB) are kept on disk, in "
            f"{self._budget.folder}: memory would hold "
            f"{self._budget.bytes / 2**30:.3g} GiB of them "
            "(events.memory)."
        ]

    @property
    def _nbytes(self) -> int:
        """Bytes that all events would take in memory."""
        again = 8 * len(self._plan.features) * self._source.rows if self.rereads else 0
        return again + sum(column.nbytes for column in self.columns.values())

    def _spill(self, budget: MemoryBudget) -> None:
        """Move what is kept to disk, and all that comes."""
        self._spilled = True
        for column in self.columns.values():
            column.spill(budget.folder)


def _narrow(planned: Sequence[Planned], pick: Callable[[Plan], Sequence[Any]]) -> type[np.floating]:
    """Return the type that holds what is picked of every plan exactly."""
    types = set()
    for source, plan in planned:
        expressions = pick(plan)
        columns = [name for expression in expressions for name in expression.columns]
        types.add(narrow_type(expressions, source.schema_for(columns)))
    return np.float32 if types == {np.float32} else np.float64


def _are_columns(plan: Plan, schema: pa.Schema) -> bool:
    """Whether each feature is a column of numbers that none may be missing from."""
    filled = any(table.fill is not None for table in plan.tables.values())
    if filled or plan.particles is not None:
        return False
    return all(
        feature.column is not None and _is_number(schema.field(feature.column).type)
        for feature in plan.features
    )


def _is_number(arrow: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(arrow) or types.is_float32(arrow) or types.is_float64(arrow)


class FromFiles(RowsOnDisk):
    """Columns of numbers of all events of a source, as a matrix that is not kept.

    `stored` is the type that holds them exactly; given back is float64. That the values are numbers
    has been checked when the files were read for the first time; that the files are still the same
    is checked whenever they have been read to the end.
    """

    def __init__(
        self, source: EventSource, columns: Sequence[str], stored: Any, folder: str | Path
    ) -> None:
        super().__init__(folder, np.float64, (len(columns),), stored)
        self._source, self._columns = source, list(columns)
        self._fingerprint = source.fingerprint()
        self._rows = source.rows
        self._stream: Generator[np.ndarray, None, None] | None = None
        self._piece, self._first = np.empty((0, *self.width), self.stored), 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to `stop`; one after the other is fastest.

        Raises
        ------
        EventsError
            A file is damaged, or is not what it was.
        """
        if self._stream is None or start < self._first:
            self._open(start)
        result = np.empty((stop - start, *self.width), self.stored)
        place = start
        while place < stop:
            end = self._first + len(self._piece)
            if place >= end:
                self._next()
                continue
            rows = self._piece[place - self._first : stop - self._first]
            result[place - start : place - start + len(rows)] = rows
            place += len(rows)
        if self._first + len(self._piece) == len(self):
            self.close()
        return result

    def close(self) -> None:
        """Close the files; they are opened again when rows are read."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._piece = self._piece[:0]

    def _open(self, start: int) -> None:
        self.close()
        self._stream, self._first = self._pieces(start), start

    def _next(self) -> None:
        assert self._stream is not None
        self._first += len(self._piece)
        self._piece = self._piece[:0]
        try:
            piece = next(self._stream, None)
        except EventsError as error:
            if self._is_changed():
                raise self._changed() from None
            raise (_turned_bad(error) if error.bad_files else error) from None
        if piece is None or self._first + len(piece) > len(self):
            raise self._changed()
        self._piece = piece
        if self._first + len(piece) == len(self) and self._is_changed():
            raise self._changed()

    def _pieces(self, start: int) -> Generator[np.ndarray, None, None]:
        blocks = self._source.batches(self._columns, start=start)
        with closing(prefetch(blocks)) as decoded, closing(prefetch(self._made(decoded))) as made:
            yield from made

    def _made(self, blocks: Iterator[Any]) -> Generator[np.ndarray, None, None]:
        for block in blocks:
            table = frame(block.batch)
            yield matrix([table[name].to_numpy() for name in self._columns], self.stored)

    def _is_changed(self) -> bool:
        try:
            return self._source.fingerprint() != self._fingerprint
        except OSError:
            return True

    def _changed(self) -> EventsError:
        return EventsError(
            f"The events of {listed(self._source.files, 3)} have changed while they were in use.",
            expected=f"the same {len(self):,} events each time that they are read",
            found="other content, or another number of events",
            cause="a job that still writes them",
            do="wait until it is done, or copy the files",
        )


def _turned_bad(error: EventsError) -> EventsError:
    """Return the error for a file that could be read when the events were read first."""
    return EventsError(
        error.what,
        expected="the file as it was when the events were first read",
        found=error.details["found"],
        cause="it was damaged, or its disk or server fails, since then",
        do="restore it, then steepest train --resume RUN; a file is skipped (events.on_bad_file) "
        "only while the events are first read",
    )
