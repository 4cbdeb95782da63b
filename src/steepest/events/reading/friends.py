"""Friends: columns of other files beside those of the events, row by row or by key.

A friend without a key has the rows of the events, in their order: one file for each file of events.
A friend with a key, such as run and event number, is one table; what is used of it is held in
memory. Either way its columns look like columns of the events to all that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.bad_files import of_content
from steepest.events.formats.contract import Condition, EventFile, RowFilter
from steepest.events.formats.registry import open_events
from steepest.events.hub import asked
from steepest.events.reading.left_out import only_counts
from steepest.events.sample.split import event_keys
from steepest.events.source import EventSource, refuse_invalid
from steepest.events.words import counted, listed
from steepest.recipe import FriendRecipe

__all__ = ["with_friends"]

STEM = "{stem}"
ROWS = ("entry", "index", "row")
"""Columns that tell the place of an event in one file, by which two files cannot be joined."""
Array = np.ndarray
Take = Callable[[int, pa.RecordBatch], dict[str, pa.Array]]
"""From the first row of a batch of events, and the batch, to the friend's columns beside it."""


def with_friends(source: EventSource, friends: Sequence[FriendRecipe] | None) -> EventSource:
    """Return the events with the columns of their friends; of one name, the first counts.

    Raises
    ------
    EventsError
        A friend has another number of files or rows; it lacks its key, has a key twice, or not that
        of each event.
    """
    for friend in friends or ():
        found = (_by_key if friend.keys else _by_row)(friend, source)
        files = [_Befriended(*pair) for pair in zip(source.opened, found, strict=True)]
        source = source.with_files(files)
        if friend.keys:
            _count_missing(source, files, friend)
    return source


def _opened(friend: FriendRecipe, source: EventSource) -> list[EventSource]:
    """Return the friend of each file of events where its path says so, else that of all."""
    if not any(STEM in path for path in friend.paths):
        return [open_events(friend.paths)]
    stems = [Path(file).stem for file in source.files]
    return [open_events([path.replace(STEM, stem) for path in friend.paths]) for stem in stems]


def _by_row(friend: FriendRecipe, source: EventSource) -> list[_Rows]:
    friends = [one for opened in _opened(friend, source) for one in opened.each()]
    files = [file for file, _ in friends]
    if len(files) != len(source.files):
        raise EventsError(
            f"The friend {listed(friend.paths, 2)} has not as many files as the events.",
            expected=f"{counted(len(source.files), 'file')}, one for each file of events",
            found=f"{counted(len(files), 'file')}: {listed([str(f.path) for f in files], 5)}",
            do=f"write {STEM} for the name of the file of events, without its suffix, or join by "
            "key",
        )
    for file, own in zip(files, source.opened, strict=True):
        if file.rows != own.rows:
            raise EventsError(
                f"The friend {file.path} has not as many rows as {own.path}.",
                expected=counted(own.rows, "row"),
                found=counted(file.rows, "row"),
                cause="one of the two was written with a selection",
                do='join by key: friends = [{path = "…", key = ["run", "event"]}]',
            )
    pairs = zip(friends, source.opened, strict=True)
    return [_Rows(friend, file, origin, events) for (file, origin), events in pairs]


def _by_key(friend: FriendRecipe, source: EventSource) -> list[_Keyed]:
    for key in friend.keys:
        if key not in source.schema.names:
            raise source.missing(key, f" (the key of the friend {listed(friend.paths, 2)})")
    tables = [_Keyed(friend, opened) for opened in _opened(friend, source)]
    return tables * len(source.files) if len(tables) == 1 else tables


def _count_missing(source: EventSource, files: Sequence[_Befriended], recipe: FriendRecipe) -> None:
    """Count the events without a row in a friend, of which only the keys are read."""
    missing, first, name = 0, "", files[0].friend.name
    for block in source.batches(recipe.keys):
        friend = files[block.file].friend
        assert isinstance(friend, _Keyed)
        absent = friend.places(block.batch, source.files[block.file]) < 0
        if absent.any() and not missing:
            row = block.first_row + int(np.argmax(absent))
            first, name = f"in {source.files[block.file]} at row {row}", friend.name
        missing += int(absent.sum())
    told = f"{counted(missing, 'event')} of {source.rows} have no row in the friend {name}"
    if missing and recipe.missing == "error":
        raise EventsError(
            f"{told}, first {first}.",
            expected=f"for each event a row of the same {', '.join(recipe.keys)}",
            cause="the friend was made of fewer events, or of others",
            do='missing = "null" of the friend takes its columns as missing there; give the '
            "features a fill, or select these events away",
        )
    if missing:
        files[0].notes = [*files[0].notes, f"{told}; its columns are missing there."]


# --- friends ------------------------------------------------------------------------------------


class _Friend(Protocol):
    """A friend of a file of events."""

    name: str
    fields: dict[str, pa.Field]
    """Its columns, by their names beside those of the events."""
    needs: list[str]
    """The columns of the events by which its rows are found, or compared."""

    def reading(self, columns: Sequence[str], batch_rows: int) -> AbstractContextManager[Take]:
        """Open it to read some of its columns."""
        ...

    def fingerprint(self) -> list[dict[str, Any]]:
        """Return the fingerprints of its files."""
        ...


class _Rows:
    """A file whose rows are those of a file of events.

    Run and event numbers that both have must agree: the rows may be in another order.
    """

    def __init__(
        self,
        friend: FriendRecipe,
        file: EventFile,
        origin: Mapping[str, str],
        events: EventFile,
    ) -> None:
        self._file, self._events, self.name = file, events, str(file.path)
        self._origin = {**origin, **asked(friend.paths)}
        self._own = {friend.prefix + name: name for name in file.schema.names}
        self.fields = {n: file.schema.field(own).with_name(n) for n, own in self._own.items()}
        self.needs = [
            name
            for name in file.schema.names
            if only_counts(name) and all(_is_integer(f.schema, name) for f in (file, events))
        ]

    @contextmanager
    def reading(self, columns: Sequence[str], batch_rows: int) -> Iterator[Take]:
        own = list(dict.fromkeys([*(self._own[name] for name in columns), *self.needs]))
        stream: Any = self._file.batches(own, range(self._file.groups), batch_rows)
        pieces: list[pa.RecordBatch] = []
        begin = end = 0  # of the rows in `pieces`

        def take(first: int, batch: pa.RecordBatch) -> dict[str, pa.Array]:
            nonlocal begin, end
            while end < first + batch.num_rows:
                row, piece = next(stream)
                refuse_invalid(piece, self._file)
                if row + piece.num_rows > first:
                    begin = begin if pieces else row
                    pieces.append(piece.select(own))
                end = row + piece.num_rows
            while begin + pieces[0].num_rows <= first:
                begin += pieces.pop(0).num_rows
            table = pa.Table.from_batches(pieces).slice(first - begin, batch.num_rows)
            found = {name: _array(table.column(name)) for name in own}
            self._compare(first, batch, found)
            return {name: found[self._own[name]] for name in columns}

        with closing(stream):
            yield take

    def _compare(self, first: int, batch: pa.RecordBatch, found: dict[str, pa.Array]) -> None:
        for name in self.needs:
            ours, theirs = (np.asarray(column) for column in (batch.column(name), found[name]))
            if (other := ours != theirs).any():
                row = int(np.argmax(other))
                key = ", ".join(f'"{each}"' for each in self.needs if each.lower() not in ROWS)
                raise of_content(
                    EventsError(
                        f"Row {first + row} of {self._events.path} and of its friend {self.name} "
                        "are different events.",
                        expected=f"{name} = {ours[row]} in both",
                        found=f"{name} = {theirs[row]} in the friend",
                        cause="the friend's rows are in another order",
                        do=f'join by key: friends = [{{path = "…", key = [{key}]}}]',
                    )
                )

    def fingerprint(self) -> list[dict[str, Any]]:
        return [{**self._file.fingerprint(), **self._origin}]


class _Keyed:
    """A table with one row for each key."""

    def __init__(self, friend: FriendRecipe, source: EventSource) -> None:
        self._source, self.name, self.needs = source, source.files[0], friend.keys
        self._asked = asked(friend.paths)
        self._own = {friend.prefix + n: n for n in source.schema.names if n not in friend.keys}
        fields = source.schema.field
        self.fields = {n: fields(own).with_name(n) for n, own in self._own.items()}
        for key in friend.keys:
            if key not in source.schema.names:
                raise source.missing(key, " (its key)")
        blocks = [self._keys(b.batch, source.files[b.file]) for b in source.batches(friend.keys)]
        self._index = _Index([np.concatenate(keys) for keys in zip(*blocks, strict=True)])
        self._refuse_twice()
        self._kept: dict[str, pa.Array] = {}

    def _keys(self, batch: pa.RecordBatch, file: str) -> list[Array]:
        return [event_keys(batch.column(key), f"The key {key!r}", file) for key in self.needs]

    def places(self, batch: pa.RecordBatch, file: str) -> Array:
        """Return the row of each event, or −1."""
        for key in self.needs:
            kinds = [_is_text(s.field(key).type) for s in (batch.schema, self._source.schema)]
            if kinds[0] != kinds[1]:
                types = [str(s.field(key).type) for s in (batch.schema, self._source.schema)]
                raise of_content(
                    EventsError(
                        f"The key {key!r} is text in one of {file} and {self.name}, not in the "
                        "other.",
                        expected="a key of one type",
                        found=" and ".join(types),
                        do="write the friend with the type that the events have",
                    )
                )
        return self._index.find(self._keys(batch, file))

    @contextmanager
    def reading(self, columns: Sequence[str], batch_rows: int) -> Iterator[Take]:
        absent = [self._own[name] for name in columns if name not in self._kept]
        if absent:
            blocks = [block.batch for block in self._source.batches(absent)]
            table = pa.Table.from_batches(blocks)
            self._kept |= {name: _array(table.column(self._own[name]))
                           for name in columns if name not in self._kept}  # fmt: skip

        def take(first: int, batch: pa.RecordBatch) -> dict[str, pa.Array]:
            places = self.places(batch, "the events")
            rows = pa.array(places, mask=places < 0)
            return {name: self._kept[name].take(rows) for name in columns}

        yield take

    def _refuse_twice(self) -> None:
        again = self._index.again
        if len(again):
            first, second = again[0]
            raise of_content(
                EventsError(
                    f"The friend {self.name} has {counted(len(again), 'row')} with a key that an "
                    f"earlier row has, first row {second} with that of row {first}.",
                    expected=f"each {', '.join(self.needs)} once",
                    cause="files that overlap, or numbers that are unique within a run alone",
                    do="add the column that tells them apart to the key"
                    + (', as in key = ["run", "event"]' if len(self.needs) == 1 else "")
                    + "; if there is none, the friend has these rows twice: write it without",
                )
            )

    def fingerprint(self) -> list[dict[str, Any]]:
        return [{**file, **self._asked} for file in self._source.fingerprint()["files"]]


class _Index:
    """Finds rows by keys of one or several uint64 columns, exactly.

    Of each further column, the pair of its value and of what was found before gets a number.
    """

    def __init__(self, keys: Sequence[Array]) -> None:
        self._levels: list[tuple[Array, Array]] = []
        numbers = np.zeros(len(keys[0]), dtype=np.int64)
        for key in keys:
            values, places = np.unique(key, return_inverse=True)
            pairs, numbers = np.unique(numbers * len(values) + places, return_inverse=True)
            self._levels.append((values, pairs))
        order = np.argsort(numbers, kind="stable")
        same = numbers[order[1:]] == numbers[order[:-1]]
        self.again = np.column_stack([order[:-1][same], order[1:][same]])
        """``(n, 2)``: rows with a key of an earlier one, and that one before them."""
        self._rows = order

    def find(self, keys: Sequence[Array]) -> Array:
        """Return the row of each key, −1 where there is none."""
        numbers = np.zeros(len(keys[0]), dtype=np.int64)
        for key, (values, pairs) in zip(keys, self._levels, strict=True):
            places = _places(values, key)
            both = (numbers >= 0) & (places >= 0)
            numbers = np.where(both, _places(pairs, numbers * len(values) + places), -1)
        return np.where(numbers >= 0, self._rows[numbers], -1)


def _places(values: Array, wanted: Array) -> Array:
    """Return the places of numbers among sorted ones, −1 where they are not there."""
    places = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[places] == wanted, places, -1)


def _array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _is_integer(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_integer(schema.field(name).type)


def _is_text(arrow: pa.DataType) -> bool:
    arrow = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
    return not (pa.types.is_integer(arrow) or pa.types.is_floating(arrow))


# --- files of events with a friend --------------------------------------------------------------


class _Befriended:
    """A file of events with the columns of a friend; see `EventFile`."""

    reread = False

    def __init__(self, file: EventFile, friend: _Friend) -> None:
        self._file, self.friend = file, friend
        self.path, self.rows, self.groups = file.path, file.rows, file.groups
        self.inside: str = getattr(file, "inside", "")
        self.repeated: frozenset[str] = getattr(file, "repeated", frozenset())
        self.group_rows: list[int] = getattr(file, "group_rows", [file.rows])
        self._own = set(file.schema.names)
        new = [field for name, field in friend.fields.items() if name not in self._own]
        self.schema = pa.schema([*file.schema, *new])
        self.notes: list[str] = []
        hidden = friend.fields.keys() & self._own - set(friend.needs)
        if hidden:
            self.notes.append(
                f"The friend {friend.name} has columns that the events have too, and these count: "
                f"{listed(sorted(hidden), 8)}. A prefix tells them apart."
            )

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the groups that may hold rows which meet the conditions on the file's columns."""
        return self._file.kept([c for c in where if c.column in self._own])

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch) of the named columns."""
        own = [name for name in columns if name in self._own]
        beside = [name for name in columns if name not in self._own]
        if row_filter is not None and not self._own.issuperset(row_filter.columns):
            row_filter = None
        if not beside:
            yield from self._file.batches(columns, groups, batch_rows, row_filter)
            return
        needed = list(dict.fromkeys([*own, *self.friend.needs])) or self._file.schema.names[:1]
        batches = self._file.batches(needed, groups, batch_rows, row_filter)
        with self.friend.reading(beside, batch_rows) as take:
            for first, batch in batches:
                if set(needed) <= set(batch.schema.names):  # else no event passes the filter
                    refuse_invalid(batch, self._file)
                    found = dict(zip(batch.schema.names, batch.columns, strict=True))
                    found |= take(first, batch)
                    batch = pa.record_batch([found[n] for n in columns], names=list(columns))
                yield first, batch

    def fingerprint(self) -> dict[str, Any]:
        """Return that of the file, with those of the friend's files."""
        known = self._file.fingerprint()
        return {**known, "friends": [*known.get("friends", []), *self.friend.fingerprint()]}
