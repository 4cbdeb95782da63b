"""Events of many files read as one.

A *format* (Parquet, …) reads one file and knows nothing of the others: it is an `EventFile`, see
`steepest.events.formats.contract`. `EventSource` is what the rest of steepest reads from: the files
in their order, the columns that all of them must share, and blocks of rows that know where they
come from.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError, nearest
from steepest.events.bad_files import none_readable, of_files, reason, skipped_sentences, told_of
from steepest.events.formats.contract import Block, Condition, EventFile, RowFilter
from steepest.events.formats.damage import damaged
from steepest.events.remote import size_of
from steepest.events.words import counted, listed

__all__ = [
    "EVENT_ROW",
    "Block",
    "Condition",
    "EventFile",
    "EventSource",
    "refuse_invalid",
    "without_bad_files",
]

T = TypeVar("T")

BLOCK_BYTES = 16 * 2**20
"""Of a block of numbers, as they come from the file."""
EVENT_ROW = "event_row"
LEAST_ROWS, MOST_ROWS = 4_096, 131_072
"""Of a block."""
SNAP = 0.1
"""A rank's part ends with a group of rows if one ends within this share of the part."""


class EventSource:
    """Events of one or many files, read in blocks of rows and by column.

    Parameters
    ----------
    path
        The path or paths, as the user wrote them; for messages and the run's record.
    files
        The opened files, in the order in which their rows count.
    origins
        Of each file what its fingerprint is to say besides: the dataset and the commit on the Hub.
    sample
        The name of the sample that the files are of, if the recipe has samples.
    index
        Where each row is an element of an event's list, the column with its place in the list;
        `EVENT_ROW` is then that with the event's row.
    skipped
        Files that were left out since they cannot be read, each with the reason.
    skips
        Whether such files are left out, see `steepest.events.bad_files`.

    Attributes
    ----------
    opened : list[EventFile]
        The files.
    files : list[str]
        The files' paths, in the order of `Block.file`.
    schema : pyarrow.Schema
        The columns of the first file; the others must have those that are read.
    origin : dict[str, list[str]]
        Columns that say where an event is from, of each file their value: ``file``, its name
        without folders, ``tree``, the part that is read inside it, and ``sample``. A column of the
        file goes before one of the same name.
    skipped : dict[str, str]
        Files that were left out since they cannot be read, each with the reason.
    repeated : frozenset[str]
        The columns that only repeat what is in others (HDF5: ``x_0`` of a dataset ``x``).
    file_rows : list[int]
        The rows of each file.
    rows, groups : int
        Over all files; `rows` of a share are its own.

    Raises
    ------
    EventsError
        No file has a row.

    Examples
    --------
    >>> from steepest.events import open_events
    >>> source = open_events("jets/*.parquet")  # doctest: +SKIP
    >>> for block in source.batches(["pt", "mass"]):  # doctest: +SKIP
    ...     block.file, block.first_row, block.batch.num_rows
    """

    def __init__(
        self,
        path: str | list[str],
        files: Sequence[EventFile],
        origins: Sequence[Mapping[str, str]] = (),
        sample: str = "",
        index: str = "",
        skipped: Mapping[str, str] = MappingProxyType({}),
        skips: bool = False,
    ) -> None:
        self.path, self.sample, self.index = path, sample, index
        self.skipped, self.skips = dict(skipped), skips
        self.opened = list(files)
        self._origins = origins or [{}] * len(files)
        self.files = [str(file.path) for file in files]
        self.schema: pa.Schema = self.opened[0].schema
        names = {
            "file": [Path(file).name for file in self.files],
            "tree": [str(getattr(file, "inside", "")) for file in files],
            "sample": [sample] * len(files) if sample else [],
        }
        own = self.schema.names
        self.origin = {name: of for name, of in names.items() if of and name not in own}
        self.repeated: frozenset[str] = getattr(self.opened[0], "repeated", frozenset())
        self.file_rows = [file.rows for file in files]
        self.rows, self._first = sum(self.file_rows), 0
        self.groups = sum(file.groups for file in files)
        if self.rows == 0:
            raise EventsError(
                f"There are no events in {listed(self.files, 3)}.",
                expected="at least one row",
                found=f"0 rows, {counted(len(self.schema), 'column')}",
                cause="the job that wrote it selected nothing, or stopped before its first event",
                do="check that job, or give another file",
            )

    @classmethod
    def joined(cls, sources: Sequence[EventSource]) -> EventSource:
        """Return the events of several sources as one, whose columns are those of the first."""
        if len(sources) == 1:
            return sources[0]
        paths = [[s.path] if isinstance(s.path, str) else s.path for s in sources]
        files = [file for source in sources for file in source.opened]
        origins = [origin for source in sources for origin in source._origins]
        skipped = {file: why for source in sources for file, why in source.skipped.items()}
        given = [path for each in paths for path in each]
        return cls(given, files, origins, skipped=skipped, skips=any(s.skips for s in sources))

    def without(self, bad: Mapping[str, str]) -> EventSource:
        """Return the events without those of some files, given with the reasons."""
        kept = [index for index, file in enumerate(self.files) if file not in bad]
        skipped = self.skipped | {file: bad[file] for file in self.files if file in bad}
        if not kept:
            raise none_readable(skipped)
        files, origins = [self.opened[i] for i in kept], [self._origins[i] for i in kept]
        given = self.sample, self.index, skipped, self.skips
        return EventSource(self.path, files, origins, *given)

    def with_files(self, files: Sequence[EventFile], index: str = "") -> EventSource:
        """Return the events with other columns or rows of the same files."""
        given = self.sample, index, self.skipped, self.skips
        return EventSource(self.path, files, self._origins, *given)

    @property
    def places(self) -> list[str]:
        """The columns that say of which event's list each row is an element, if it is one."""
        return [EVENT_ROW, self.index] if self.index else []

    def each(self) -> list[tuple[EventFile, Mapping[str, str]]]:
        """Return the files, each with its origin."""
        return list(zip(self.opened, self._origins, strict=True))

    def share(self, rank: int, size: int) -> EventSource:
        """Return the part of one of `size` ranks: consecutive rows, about as many for each.

        A part ends where a group of rows does, if one ends nearby.
        """
        if size == 1:
            return self
        ends = np.cumsum([r for f in self.opened for r in getattr(f, "group_rows", [f.rows])])

        def cut(number: int) -> int:
            even = round(self.rows * number / size)
            near = int(ends[np.abs(ends - even).argmin()])
            return near if abs(near - even) * size <= SNAP * self.rows else even

        part = copy(self)
        cuts = [cut(number) if number < size else self.rows for number in (rank, rank + 1)]
        part._first, part.rows = cuts[0] if rank else 0, cuts[1] - (cuts[0] if rank else 0)
        return part

    @property
    def reread(self) -> bool:
        """Whether all files can be reread as fast as a copy of what was read."""
        for file in self.opened:
            with told_of(str(file.path), several=len(self.files) > 1):
                if not getattr(file, "reread", False):
                    return False
        return True

    def schema_for(self, columns: Iterable[str]) -> pa.Schema:
        """Return the schema, and those of the columns of `origin` that are among the columns."""
        schema = self.schema
        for name in sorted(self.origin.keys() & set(columns)):
            schema = schema.append(pa.field(name, pa.string()))
        return schema

    @property
    def nbytes(self) -> int:
        """The bytes of all files, as they are stored."""
        return sum(size_of(file.path) for file in self.opened)

    @property
    def notes(self) -> list[str]:
        """Sentences about files that were left out, and about the columns read so far."""
        notes = (note for file in self.opened for note in getattr(file, "notes", ()))
        told = {**self._skipped(), "files": self.files}
        return [*skipped_sentences(told, len(self.skipped)), *dict.fromkeys(notes)]

    def require(self, columns: Iterable[str]) -> None:
        """Check that every file has the columns, once each and with one type; else EventsError."""
        wanted = list(columns)
        known = set(self.schema.names)
        for name in wanted:
            if name not in known:
                raise self.missing(name)
        for file in self.opened:
            counts = Counter(file.schema.names)
            for name in wanted:
                self._check(file, name, counts[name])

    def missing(self, name: str, needed_by: str = "") -> EventsError:
        """Return the error for a column that the first file does not have."""
        guess = nearest(name, self.schema.names)
        return EventsError(
            f"There is no column {name!r}{needed_by} in {self.files[0]}.",
            expected=f"one of {listed(self.schema.names, 12)}",
            found=repr(name),
            do=f"write {guess!r}" if guess else "check the name",
        )

    def kept_groups(self, where: Sequence[Condition] = ()) -> int:
        """Return how many groups of rows are read when `where` prunes."""
        where = self._in_files(where)
        return sum(len(file.kept(where)) for file in self.opened)

    def _in_files(self, where: Sequence[Condition]) -> list[Condition]:
        return [condition for condition in where if condition.column not in self.origin]

    def batches(
        self,
        columns: Sequence[str],
        where: Sequence[Condition] = (),
        batch_rows: int | None = None,
        row_filter: RowFilter | None = None,
        start: int = 0,
    ) -> Iterator[Block]:
        """Yield the rows of the named columns, file by file and in order.

        Parameters
        ----------
        columns
            The columns to read; no other column is touched.
        where
            Conditions that wanted rows meet: groups of rows that cannot hold one are not read.
            Rows that fail a condition may still come, so the caller selects.
        batch_rows
            The largest number of rows in a block; left out, as many as keep it small.
        row_filter
            Of files without statistics, a block in which no event passes it has its columns alone,
            which is enough to tell so.
        start
            The number of first rows, of all files, that are left out. Files before them are not
            read, nor (of Parquet) groups of rows.

        Raises
        ------
        EventsError
            A file lacks a column, has it with another type, or is damaged.
        """
        origin = [name for name in columns if name in self.origin]
        if origin:  # rows are counted by another column where no other is asked for
            columns = [name for name in columns if name not in origin] or self.schema.names[:1]
            if row_filter is not None and not set(row_filter.columns).isdisjoint(origin):
                row_filter = None
        where = self._in_files(where)
        self.require(columns)
        batch_rows = batch_rows or self._at_once(columns)
        start, stop = self._first + start, self._first + self.rows

        def blocks(index: int, low: int, high: int) -> Iterator[Block]:
            file = self.opened[index]
            groups = _groups_between(file, where, low, high)
            for first_row, batch in file.batches(columns, groups, batch_rows, row_filter):
                refuse_invalid(batch, file)
                if first_row >= high and first_row:
                    break
                before = min(max(low - first_row, 0), batch.num_rows)
                for name in origin:
                    value = pa.scalar(self.origin[name][index], pa.string())
                    batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
                if before == 0 or before < batch.num_rows:
                    rows = batch.slice(before, high - first_row - before)
                    yield Block(rows, index, first_row + before)

        last = 0
        for index, file in enumerate(self.opened):
            first, last = last, last + file.rows
            low, high = max(start - first, 0), min(stop - first, file.rows)
            if high < low or (low and low == file.rows) or (not high and file.rows):
                continue
            try:
                yield from blocks(index, low, high)
            except EventsError as error:
                raise self._of_files(error, index, blocks) from None

    def _of_files(
        self,
        error: EventsError,
        index: int,
        blocks: Callable[[int, int, int], Iterator[Block]],
    ) -> EventsError:
        """Return the error about a file; if bad ones are skipped, with all bad ones after it."""
        if error.bad_files is None:
            return error
        bad = {self.files[index]: reason(error)}
        if self.skips:
            for other in range(index + 1, len(self.files)):
                try:
                    rows = self.file_rows[other]
                    deque(blocks(other, 0, rows), maxlen=0)  # read, and let go of
                except EventsError as found:
                    bad[self.files[other]] = reason(found)
        return of_files(bad, error, several=len(self.files) > 1)

    def fingerprint(self) -> dict[str, Any]:
        """Return what the events are: per file the name, size, rows, a sha256 and the origin.

        Files that were left out are among them, with their paths and the reasons.
        """
        return {
            **self._skipped(),
            "path": self.path,
            "rows": sum(self.file_rows),
            "files": [
                {**file.fingerprint(), **origin}
                for file, origin in zip(self.opened, self._origins, strict=True)
            ],
        }

    def _skipped(self) -> dict[str, Any]:
        skipped = [{"path": file, "reason": why} for file, why in self.skipped.items()]
        return {"skipped": skipped} if skipped else {}

    def _at_once(self, columns: Sequence[str]) -> int:
        """How many rows of numbers are small; of lists and text it is not known."""
        types = [self.schema.field(name).type for name in columns]
        if not all(pa.types.is_primitive(arrow) for arrow in types):
            return MOST_ROWS // 2
        bits = sum(arrow.bit_width for arrow in types)
        return min(max(8 * BLOCK_BYTES // bits, LEAST_ROWS), MOST_ROWS)

    def _check(self, file: EventFile, name: str, count: int) -> None:
        if count == 0:
            raise EventsError(
                f"{file.path} has no column {name!r}, which {self.files[0]} has.",
                expected=f"a column {name!r} in each of the {len(self.files)} files",
                found=listed(file.schema.names, 12),
                cause="the files come from different jobs or versions",
                do="leave that file out, or write the column into it",
            )
        if count > 1:
            raise EventsError(
                f"{file.path} has {count} columns of the name {name!r}.",
                expected="one column of each name",
                cause="a join that kept both sides",
                do="rename one of them in the file",
            )
        expected, found = self.schema.field(name).type, file.schema.field(name).type
        if found != expected:
            raise EventsError(
                f"The column {name!r} has another type in {file.path} than in {self.files[0]}.",
                expected=str(expected),
                found=str(found),
                cause="the files come from different jobs or versions",
                do=f"write that file again with {name!r} cast to {expected}",
            )


def _groups_between(file: EventFile, where: Sequence[Condition], low: int, high: int) -> list[int]:
    """Return the groups that may hold wanted rows, of the rows from `low` to `high`."""
    kept, sizes = file.kept(where), getattr(file, "group_rows", None)
    if sizes is None or (low == 0 and high == file.rows):
        return kept
    ends = list(accumulate(sizes))
    return [group for group in kept if ends[group] > low and ends[group] - sizes[group] < high]


def without_bad_files(
    sources: Sequence[EventSource], work: Callable[[Sequence[EventSource]], T]
) -> T:
    """Return what `work` makes of the sources, or of what is left of those that skip bad files."""
    while True:
        try:
            return work(sources)
        except EventsError as error:
            bad = error.bad_files or {}
            owners = [source for source in sources if not bad.keys().isdisjoint(source.files)]
            if not owners or not all(source.skips for source in owners):
                raise
            sources = [source.without(bad) for source in sources]


def refuse_invalid(batch: pa.RecordBatch, file: EventFile) -> None:
    """Raise EventsError for lists whose offsets do not rise and the like, which crash Polars."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_primitive(column.type):
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            what = f"{file.path} is damaged in column {name!r}."
            raise damaged(what, "valid lists, and text in UTF-8", error) from None
