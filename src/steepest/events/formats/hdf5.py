"""HDF5: datasets of a group, or the fields of a compound dataset, as columns; through h5py.

What is a table: a group with datasets of one length, or one dataset that is named. A file with a
single table needs no name; others are ``jets.h5:/group`` or ``jets.h5:/group/dataset``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import extra
from steepest.events.formats.damage import (
    COPY_AGAIN,
    DAMAGED,
    cut_short,
    damaged,
    first_line,
    gone,
    no_such_part,
    unnamed_part,
)
from steepest.events.formats.hdf5_columns import Column, Records, dataset_columns, read
from steepest.events.formats.unindexed import Read, UnindexedFile
from steepest.events.remote import FilePath, library_source
from steepest.events.words import counted, listed

__all__ = ["MAGIC", "NAME", "PARTS", "SUFFIXES", "Hdf5Events", "open_file"]

NAME = "HDF5"
SUFFIXES = (".h5", ".hdf5", ".hdf")
MAGIC = b"\x89HDF\r\n\x1a\n"
PARTS = True

# h5py tells damage by any of these.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError)


def open_file(path: FilePath, inside: str = "") -> Hdf5Events:
    """Open one table of an HDF5 file; its layout is read, its data are not.

    Parameters
    ----------
    path
        The file.
    inside
        The group or dataset; left out, the only table there is.

    Raises
    ------
    EventsError
        The file is damaged; there is no such table, or several and none is named; its datasets
        differ in length.
    MissingExtraError
        h5py is not installed.
    """
    return Hdf5Events(path, inside)


class Hdf5Events(UnindexedFile):
    """One table of an HDF5 file; an `EventFile`."""

    def __init__(self, path: FilePath, inside: str = "") -> None:
        self.path = path
        h5py = extra.load("h5py", "hdf5", "Reading HDF5 files")
        try:
            with h5py.File(library_source(path), "r") as file:
                self.inside: str = _find_table(file, path, inside)
                self.rows, self._columns = _columns_of(file[self.inside], path)
        except EventsError:
            raise
        except DAMAGE as error:
            raise _damaged(path, error) from None
        self.schema = pa.schema([pa.field(column.name, column.type) for column in self._columns])

    @property
    def repeated(self) -> frozenset[str]:
        """The columns ``x_0``, ``x_1``, … that are in a column ``x`` of lists too."""
        return frozenset(column.name for column in self._columns if column.index is not None)

    @contextmanager
    def _reader(self, columns: Sequence[str], batch_rows: int) -> Iterator[Read]:
        h5py = extra.load("h5py", "hdf5", "Reading HDF5 files")
        try:
            file = h5py.File(library_source(self.path), "r")
        except OSError as error:
            raise gone(self.path, error) from None
        # What lies interleaved (fields of a compound, columns of a chunk) is read once a block.
        records: Records = {}

        def read(names: Sequence[str], start: int) -> Iterator[tuple[int, pa.RecordBatch]]:
            used = [self._columns[self.schema.names.index(name)] for name in names]
            for row in range(start, self.rows, batch_rows):
                for key in [key for key in records if key[1] != row]:
                    del records[key]
                stop = min(row + batch_rows, self.rows)
                arrays = [self._read(file, column, row, stop, records) for column in used]
                yield row, pa.record_batch(arrays, names=list(names))

        with file:
            yield read

    def _read(self, file: Any, column: Column, row: int, stop: int, records: Records) -> pa.Array:
        try:
            return read(file, column, row, stop, records, self.path)
        except EventsError:
            raise
        except DAMAGE as error:
            raise self._unreadable(column, row, stop, error) from None

    def _unreadable(self, column: Column, row: int, stop: int, error: Exception) -> EventsError:
        text = first_line(error)
        filtered = "plugin" in text or "required filter" in text
        return EventsError(
            f"{self.path}:{self.inside} cannot be read in column {column.name!r} "
            f"(rows {row} to {stop - 1}).",
            expected="readable data",
            found=text,
            cause="a compression that HDF5 only knows by a plugin" if filtered else DAMAGED,
            do="write the dataset again with gzip" if filtered else COPY_AGAIN,
        )


def _damaged(path: FilePath, error: BaseException) -> EventsError:
    text = first_line(error)
    if "truncated file" in text:
        found = text[text.index("truncated file") :].removesuffix(")")
        expected = "as many bytes as its header says"
        return cut_short(path, "begins as HDF5 but ends too early", expected, found)
    return damaged(f"The structure of {path} cannot be read.", "an HDF5 file", error)


def _find_table(file: Any, path: FilePath, inside: str) -> str:
    """Return the name ``/group`` or ``/group/dataset`` of the table to read.

    Raises
    ------
    EventsError
        There is nothing of that name, or no table, or several and none is named.
    """
    name = "/" + inside.strip("/")
    if inside and inside != "/":
        if file.get(name) is None:
            raise _no_such(file, path, name)
        return name
    tables = _tables(file)
    if len(tables) == 1 or (inside == "/" and "/" in tables):
        return tables[0] if len(tables) == 1 else "/"
    if not tables:
        raise EventsError(
            f"There is no table of events in {path}.",
            expected="datasets with a row for each event",
            found=listed(_names(file), 12) or "an empty file",
            do="write the columns as datasets of one group",
        )
    raise unnamed_part(path, "tables", tables)


def _columns_of(node: Any, path: FilePath) -> tuple[int, list[Column]]:
    """Return the number of rows and the columns of a group or a dataset.

    Raises
    ------
    EventsError
        A group's datasets have different lengths; it has none; a dataset is a single value.
    """
    if not _is_group(node):
        if not node.shape:
            raise EventsError(
                f"{path}:{node.name} is a single value.",
                expected="a dataset with a row for each event",
                found=f"{node.dtype} without dimensions" if node.shape == () else "no data",
                do="name a dataset of events, or its group",
            )
        return node.shape[0], dataset_columns(node)
    datasets = _plain(node)
    if not datasets:
        raise EventsError(
            f"There are no columns in {path}:{node.name}.",
            expected="datasets with a row for each event",
            found=listed(sorted(node), 12) or "an empty group",
            do=f"name one of {listed(_tables(node.file), 12) or 'its datasets'}",
        )
    rows = {dataset.shape[0] for dataset in datasets}
    if len(rows) > 1:
        raise _different_lengths(datasets, path, node.name)
    columns = [column for dataset in datasets for column in dataset_columns(dataset)]
    return rows.pop(), columns


def _different_lengths(datasets: list[Any], path: FilePath, group: str) -> EventsError:
    lengths: dict[int, list[str]] = {}
    for dataset in datasets:
        lengths.setdefault(dataset.shape[0], []).append(dataset.name.rsplit("/", 1)[-1])
    most = max(lengths, key=lambda length: len(lengths[length]))
    return EventsError(
        f"The datasets of {path}:{group} have different lengths.",
        expected="a row for each event in each of them",
        found="; ".join(
            f"{counted(length, 'row')} in {listed(names, 5)}" for length, names in lengths.items()
        ),
        cause="what is not of events lies beside them, or the job that wrote them was stopped",
        do=f"keep those of {counted(most, 'row')} in a group of their own, or name one dataset",
    )


def _tables(file: Any) -> list[str]:
    """Return the names of all tables: groups with plain datasets, and compound datasets."""
    names: list[str] = []

    def visit(name: str, node: Any) -> None:
        if _is_group(node):
            names.extend(["/" + name] if _plain(node) else [])
        elif node.dtype.names and node.shape:
            names.append("/" + name)

    if _plain(file):
        names.append("/")
    file.visititems(visit)
    return names


def _plain(group: Any) -> list[Any]:
    """Return the group's datasets that are columns: not compound, with a row for each event."""
    nodes = [group.get(name) for name in group]
    return [n for n in nodes if getattr(n, "shape", None) and not n.dtype.names]


def _is_group(node: Any) -> bool:
    return not hasattr(node, "shape")


def _names(file: Any) -> list[str]:
    names: list[str] = []
    file.visit(lambda name: names.append("/" + name))
    return names


def _no_such(file: Any, path: FilePath, name: str) -> EventsError:
    known = [known for known in _names(file) if hasattr(file.get(known), "keys")
             or hasattr(file.get(known), "shape")]  # fmt: skip
    return no_such_part(path, f"group or dataset {name}", name, known)
