"""ROOT: branches of a TTree or fields of an RNTuple as columns; through uproot.

A file with a single TTree or RNTuple needs no name; others are ``jets.root:tree``, in a folder of
the file ``jets.root:folder/tree``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from steepest.errors import EventsError, SteepestError
from steepest.events import extra
from steepest.events.formats.damage import (
    cut_short,
    damaged,
    first_line,
    gone,
    no_such_part,
    unnamed_part,
    unreadable_column,
)
from steepest.events.formats.nested import unreadable_name
from steepest.events.formats.root_columns import (
    Column,
    baskets_are_intact,
    branches_of,
    fields_of,
    is_ntuple,
    pieces,
    type_name,
)
from steepest.events.formats.unindexed import Read, UnindexedFile
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.words import listed

NAME = "ROOT"
SUFFIXES = (".root",)
MAGIC = b"root"
PARTS = True

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
MOST_ROWS = 65_536
"""That are read at once: uproot holds them several times over."""
LARGE = 1_000_000
"""Added to the version of a file whose places are written with 8 bytes."""


def open_file(path: FilePath, inside: str = "") -> RootEvents:
    """Open one TTree or RNTuple of a ROOT file; its metadata are read, its baskets are not.

    Parameters
    ----------
    path
        The file.
    inside
        The tree; left out, the only one there is.

    Raises
    ------
    EventsError
        The file is cut short or damaged; there is no such tree, or several and none is named.
    MissingExtraError
        uproot is not installed.
    """
    return RootEvents(path, inside)


class RootEvents(UnindexedFile):
    """One TTree or RNTuple of a ROOT file; an `EventFile`."""

    def __init__(self, path: FilePath, inside: str = "") -> None:
        self.path = path
        extra.load("uproot", "root", "Reading ROOT files")
        extra.load("awkward", "root", "Reading ROOT files")
        _refuse_truncated(path)
        try:
            with _opened(path) as file:
                self.inside: str = _find(file, path, inside)
                tree = file[self.inside]
                self.rows = int(tree.num_entries)
                self._columns = fields_of(tree) if is_ntuple(tree) else branches_of(tree)
        except SteepestError:
            raise
        except Exception as error:  # uproot meets damage with whatever it stumbles over
            expected = "a ROOT file with a TTree or an RNTuple"
            raise damaged(f"The metadata of {path} cannot be read.", expected, error) from None
        self.schema = pa.schema(
            [
                pa.field(c.name, c.type, metadata={"title": c.title} if c.title else None)
                for c in self._columns
            ]
        )

    @contextmanager
    def _reader(self, columns: Sequence[str], batch_rows: int) -> Iterator[Read]:
        for column in self._named(columns):
            kind = unreadable_name(column.type)
            if kind is not None:
                raise self._beyond(column.name, kind)
        try:
            file = _opened(self.path)
        except SteepestError:
            raise
        except Exception as error:
            raise gone(self.path, error) from None
        with file:
            tree = file[self.inside]
            self._refuse_lengths(tree, self._named(columns))
            yield partial(self._batches, tree, batch_rows)

    def _named(self, names: Sequence[str]) -> list[Column]:
        return [self._columns[self.schema.names.index(name)] for name in names]

    def _batches(
        self, tree: Any, batch_rows: int, names: Sequence[str], row: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        columns = self._named(names)
        reader = pieces(tree, columns, min(batch_rows, MOST_ROWS), row)
        while row < self.rows:
            try:
                arrays = next(reader)
            except SteepestError:
                raise
            except Exception as error:  # uproot meets damage with whatever it stumbles over
                raise self._unreadable(tree, error, columns, row) from None
            yield row, pa.record_batch(arrays, names=list(names))
            row += len(arrays[0])

    def _unreadable(
        self, tree: Any, error: Exception, columns: list[Column], row: int
    ) -> EventsError:
        """Return the error for what uproot raised while it read columns from a row on."""
        names = listed([column.name for column in columns], 12)
        if isinstance(error, NotImplementedError):
            return self._beyond(names, first_line(error))
        for column in columns:
            try:
                next(pieces(tree, [column], MOST_ROWS, row))
            except Exception as alone:
                if baskets_are_intact(tree, column, row):
                    found = f"{type_name(tree, column)}, of which uproot says: {first_line(alone)}"
                    return self._beyond(column.name, found)
        text = f"{self.path}:{self.inside} is damaged at row {row} or after."
        return damaged(text, f"readable columns {names}", error)

    def _beyond(self, names: str, found: str) -> EventsError:
        return unreadable_column(names, f"{self.path}:{self.inside}", found)

    def _refuse_lengths(self, tree: Any, columns: list[Column]) -> None:
        if is_ntuple(tree):
            return
        for column in columns:
            entries = int(tree[column.path].num_entries)
            if entries != self.rows:
                raise EventsError(
                    f"The branch {column.name!r} of {self.path}:{self.inside} has another length "
                    "than the tree.",
                    expected=f"{self.rows} entries",
                    found=f"{entries} entries",
                    cause="the job that wrote it did not fill this branch for each event",
                    do="leave it out, or write the tree again",
                )


def _opened(path: FilePath) -> Any:
    uproot = extra.load("uproot", "root", "Reading ROOT files")
    # A mapping, so that a colon in the name is no part; no array is asked for twice.
    if isinstance(path, RemoteFile):
        return uproot.open({str(path.copy): None}, array_cache=None, handler=_source_of(path))
    return uproot.open({str(path): None}, array_cache=None)


def _source_of(file: RemoteFile) -> type:
    """Return the source by which uproot reads a remote file, many baskets at once."""
    chunk = extra.load("uproot.source.chunk", "root", "Reading ROOT files")
    futures = extra.load("uproot.source.futures", "root", "Reading ROOT files")

    class RemoteSource(chunk.Source):
        closed = False

        def __init__(self, path: str, **options: Any) -> None:
            super().__init__()
            self._file_path, self._num_bytes = path, file.size

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *exception: Any) -> None:
            pass

        def chunk(self, start: int, stop: int) -> Any:
            content = futures.TrivialFuture(file.read(start, stop))
            return chunk.Chunk(self, start, stop, content)

        def chunks(self, ranges: list[tuple[int, int]], notifications: Any) -> list[Any]:
            file.fetch(ranges)
            chunks = [self.chunk(start, stop) for start, stop in ranges]
            for each in chunks:
                notifications.put(each)
            return chunks

    return RemoteSource


def _find(file: Any, path: FilePath, inside: str) -> str:
    """Return the name of the tree to read; with its cycle, if that is not the highest."""
    classes = file.classnames(cycle=False)
    trees = [name for name, kind in classes.items() if kind in TREES]
    name, _, cycle = inside.strip("/").partition(";")
    if name in trees:
        return _with_cycle(file, path, name, cycle)
    if name in classes:
        raise EventsError(
            f"{name!r} in {path} is no tree.",
            expected=f"one of {listed(trees, 12)}" if trees else "a TTree or an RNTuple",
            found=classes[name],
            do=f"write {path}:{trees[0]}" if trees else "give a file with a TTree or an RNTuple",
        )
    if name or not trees:
        return _no_such(path, name, trees, classes)
    if len(trees) == 1:
        return trees[0]
    raise unnamed_part(path, "trees", trees)


def _with_cycle(file: Any, path: FilePath, name: str, cycle: str) -> str:
    keys = [key.rpartition(";") for key in file.keys(cycle=True)]
    cycles = sorted((int(number) for key, _, number in keys if key == name), reverse=True)
    if not cycle or cycle == str(cycles[0]):
        return name
    if cycle not in map(str, cycles):
        raise EventsError(
            f"The tree {name!r} in {path} has no cycle {cycle}.",
            expected=f"one of {listed(map(str, cycles), 12)}",
            found=repr(cycle),
            do=f"write {path}:{name}, which is the last one written",
        )
    return f"{name};{cycle}"


def _no_such(path: FilePath, name: str, trees: list[str], classes: dict[str, str]) -> str:
    if not trees:
        raise EventsError(
            f"There is no TTree or RNTuple in {path}.",
            expected="a TTree or an RNTuple",
            found=listed([f"{n} ({kind})" for n, kind in classes.items()], 12) or "an empty file",
            cause=None if classes else "the job that wrote it stopped before it wrote the tree",
            do="check that job, or give another file",
        )
    raise no_such_part(path, f"tree {name!r}", name, trees)


def _refuse_truncated(path: FilePath) -> None:
    """Compare the file's size with the end that its header names."""
    with path.open("rb") as stream:
        head = stream.read(24) or b""
        size = stream.seek(0, os.SEEK_END)
    large = int.from_bytes(head[4:8], "big", signed=True) >= LARGE
    end = int.from_bytes(head[12:20] if large else head[12:16], "big")
    if len(head) < 24 or size < end:
        expected = f"{end} bytes, as its header says" if len(head) == 24 else "a header"
        raise cut_short(path, "begins as ROOT but ends too early", expected, f"{size} bytes")
