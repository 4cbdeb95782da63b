"""One row for each element of lists: for each jet of an event, say, with the event's columns.

``explode = "Jet"`` makes a row of each jet: columns of lists ``Jet_pt``, or ``Jet.pt``, become
their elements, other columns are repeated. Two columns say where a row is from: ``event_row``, the
row of the event in its file, and ``Jet_index``, the place in the list, both from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from steepest.errors import EventsError
from steepest.events.bad_files import of_content, told_of
from steepest.events.expressions.types import is_list
from steepest.events.formats.contract import Condition, EventFile, RowFilter
from steepest.events.source import EVENT_ROW, EventSource, refuse_invalid
from steepest.events.words import counted, listed

__all__ = ["exploded"]

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers


def exploded(source: EventSource, name: str | None) -> EventSource:
    """Return the events with one row for each element of the lists of a name; of None, as they are.

    The lengths of the lists are read once.

    Raises
    ------
    EventsError
        There is no list of that name, or a column of the name of one that is added.
    """
    if name is None:
        return source
    lists = [
        field.name
        for field in source.schema
        if field.name.startswith((f"{name}_", f"{name}.")) and is_list(field.type)
    ]
    if not lists:
        groups = {
            f.name.replace(".", "_").rsplit("_", 1)[0] for f in source.schema if is_list(f.type)
        }
        raise EventsError(
            f"There are no lists {name}_… in {source.files[0]} (events.explode).",
            expected=f"one of {listed(sorted(groups), 12)}" if groups else "columns of lists",
            found=listed(source.schema.names, 12),
            do="give the name before the underscore: Jet of Jet_pt",
        )
    added = (EVENT_ROW, f"{name}_index")
    if taken := set(added) & set(source.schema.names):
        raise EventsError(
            f"The events have a column {min(taken)!r}, as events.explode makes one.",
            expected=f"no column {' or '.join(added)}",
            do="rename it in the file",
        )
    smallest = min(lists, key=lambda one: _width(source.schema.field(one).type))
    source.require([smallest])
    files = []
    for file in source.opened:
        with told_of(str(file.path), several=len(source.files) > 1):
            files.append(_Exploded(file, lists, smallest, added))
    result = source.with_files(files, added[1])
    empty = sum(file.empty for file in files)
    files[0].said.append(
        f"Each row is one {name}: {counted(result.rows, 'row')} of {counted(source.rows, 'event')}"
        + (f", of which {empty} have none" if empty else "")
        + ". All rows of an event are in one part, and have its weight; intervals of "
        "figures of merit and error bars take events as independent."
    )
    return result


class _Exploded:
    """A file of events with a row for each element; see `EventFile`."""

    reread = False

    def __init__(
        self, file: EventFile, lists: Sequence[str], smallest: str, added: tuple[str, str]
    ) -> None:
        self._file, self._lists, self._smallest = file, frozenset(lists), smallest
        self._event, self._index = added
        self.path, self.groups = file.path, file.groups
        self.inside: str = getattr(file, "inside", "")
        self.repeated: frozenset[str] = getattr(file, "repeated", frozenset())
        self.schema = pa.schema(
            [pa.field(f.name, f.type.value_type) if f.name in self._lists else f
             for f in file.schema]
            + [pa.field(name, pa.int64()) for name in added]
        )  # fmt: skip
        self.said: list[str] = []
        events = getattr(file, "group_rows", [file.rows])
        self.group_rows, self.empty = [0] * len(events), 0
        self._ends = ends = np.cumsum(events)
        for first, batch in file.batches([smallest], range(file.groups), 2**17):
            lengths = self._lengths(batch.column(smallest), first)
            group = np.searchsorted(ends, first + np.arange(len(lengths)), side="right")
            for g in np.unique(group).tolist():
                self.group_rows[g] += int(lengths[group == g].sum())
            self.empty += int((lengths == 0).sum())
        self.rows = sum(self.group_rows)

    @property
    def notes(self) -> list[str]:
        """Sentences about what was met."""
        return [*self.said, *getattr(self._file, "notes", ())]

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the groups that may hold events which meet the conditions on their own columns."""
        known = set(self._file.schema.names) - self._lists
        return self._file.kept([c for c in where if c.column in known])

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row, batch); rows are counted over all groups of the file."""
        added = (self._event, self._index)
        own = [name for name in columns if name not in added]
        if self._lists.isdisjoint(own):
            own.append(self._smallest)
        at_once = max(batch_rows * self._file.rows // max(self.rows, 1), 1)
        row = following = 0
        for first, batch in self._file.batches(own, groups, at_once):
            if first != following:  # groups were left out
                row = sum(self.group_rows[: np.searchsorted(self._ends, first, side="right")])
            whole = self._made(batch, first, columns)
            for start in range(0, whole.num_rows, batch_rows):
                yield row + start, whole.slice(start, batch_rows)
            row, following = row + whole.num_rows, first + batch.num_rows

    def _made(self, batch: pa.RecordBatch, first: int, columns: Sequence[str]) -> pa.RecordBatch:
        refuse_invalid(batch, self._file)
        found = dict(zip(batch.schema.names, batch.columns, strict=True))
        lists = [name for name in found if name in self._lists]
        lengths = self._lengths(found[lists[0]], first)
        for name in lists[1:]:
            other = self._lengths(found[name], first)
            if not np.array_equal(other, lengths):
                row = int(np.argmax(other != lengths))
                raise of_content(
                    EventsError(
                        f"{name} and {lists[0]} differ in length in {self.path} "
                        f"at row {first + row}.",
                        expected="lists of one length in each event, to make a row of each element",
                        found=f"{other[row]} and {lengths[row]} elements",
                        cause="lists of different objects whose names begin alike",
                        do=f"leave {name} out, or rename it in the file",
                    )
                )
        event = np.repeat(np.arange(len(lengths)), lengths)
        places = pa.array(event)
        arrays = []
        for name in columns:
            if name == self._event:
                arrays.append(pa.array(first + event))
            elif name == self._index:
                starts = np.cumsum(lengths) - lengths
                arrays.append(pa.array(np.arange(len(event)) - starts[event]))
            elif name in self._lists:
                arrays.append(pc.list_flatten(found[name]))
            else:
                arrays.append(found[name].take(places))
        return pa.record_batch(arrays, names=list(columns))

    def _lengths(self, lists: pa.Array, first: int) -> np.ndarray:
        return pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)

    def fingerprint(self) -> dict[str, Any]:
        """Return that of the file, and which lists are exploded."""
        return {**self._file.fingerprint(), "exploded": self._index.removesuffix("_index")}


def _width(arrow: pa.DataType) -> int:
    inner = arrow.value_type
    return inner.bit_width if pa.types.is_primitive(inner) else 1024
