"""HDF5: datasets of a group, or the fields of a compound dataset, as columns; through h5py.

What is a table: a group with datasets of one length, or one dataset that is named. A file with a
single table needs no name; others are ``jets.h5:/group`` or ``jets.h5:/group/dataset``.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import extra
from steepest.events.formats import first_look
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
from steepest.events.formats.hdf5_columns import (
    Column,
    Records,
    dataset_columns,
    pandas_columns,
    read,
)
from steepest.events.formats.unindexed import Read, UnindexedFile
from steepest.events.remote import FilePath, RemoteFile, library_source
from steepest.events.words import counted, listed

NAME = "HDF5"
SUFFIXES = (".h5", ".hdf5", ".hdf")
MAGIC = b"\x89HDF\r\n\x1a\n"
PARTS = True

PICKED = 8
"""One of so many columns of a dataset is read alone, from each row."""

FILTERS = {
    305: "LZO", 307: "BZip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32013: "ZFP",
    32015: "Zstandard", 32017: "SZ", 32024: "SZ3", 32026: "Blosc2",
}  # fmt: skip
"""Filters that HDF5 has by a plugin, by their registered number."""

INDEXES = (b"TINDEX", b"INDEX")
"""What PyTables calls groups of its indices."""

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
        first_look.start()  # while h5py is imported here
        h5py = extra.load("h5py", "hdf5", "Reading HDF5 files")
        if not isinstance(path, RemoteFile):
            _refuse_harm(path)
        try:
            with h5py.File(library_source(path), "r") as file:
                self.inside, names = _find_table(file, path, inside)
                self.rows, self._columns = _columns_of(file[self.inside], path, names)
                if names:
                    self.inside = inside
        except EventsError:
            raise
        except DAMAGE as error:
            raise _damaged(path, error) from None
        self.schema = pa.schema([pa.field(c.name, c.type, metadata=c.said) for c in self._columns])
        self._places = {column.name: place for place, column in enumerate(self._columns)}

    @property
    def repeated(self) -> frozenset[str]:
        """The columns ``x_0``, ``x_1``, … that are in a column ``x`` of lists too."""
        whole = {c.dataset for c in self._columns if c.field is None and c.index is None}
        parts = [c for c in self._columns if c.index is not None and c.field is None]
        return frozenset(column.name for column in parts if column.dataset in whole)

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
            used = [self._columns[self._places[name]] for name in names]
            whole = self._read_whole(used)
            for row in range(start, self.rows, batch_rows):
                for key in [key for key in records if key[1] != row]:
                    del records[key]
                stop = min(row + batch_rows, self.rows)
                arrays = [self._read(file, column, row, stop, records, whole) for column in used]
                yield row, pa.record_batch(arrays, names=list(names))

        with file:
            yield read

    def _read_whole(self, used: list[Column]) -> set[str]:
        """Return the datasets of which so many columns are used that all are read at once."""
        width = Counter(column.dataset for column in self._columns)
        counts = Counter(column.dataset for column in used)
        return {name for name, count in counts.items() if PICKED * count > width[name]}

    def _read(
        self,
        file: Any,
        column: Column,
        row: int,
        stop: int,
        records: Records,
        whole: Collection[str],
    ) -> pa.Array:
        try:
            return read(file, column, row, stop, records, self.path, whole)
        except EventsError:
            raise
        except DAMAGE as error:
            missing = _missing_filter(file, column)
            if missing and _has_plugins() and not _missing_filter(file, column):
                return self._read(file, column, row, stop, records, whole)
            raise self._unreadable(column, row, stop, error, missing) from None

    def _unreadable(
        self, column: Column, row: int, stop: int, error: Exception, missing: str | None
    ) -> EventsError:
        return EventsError(
            f"{self.path}:{self.inside} cannot be read in column {column.name!r} "
            f"(rows {row} to {stop - 1}).",
            expected="a compression that is installed" if missing else "readable data",
            found=missing or first_line(error),
            cause="a compression that HDF5 only knows by a plugin" if missing else DAMAGED,
            do="pip install hdf5plugin, or write the dataset again with gzip"
            if missing
            else COPY_AGAIN,
        )


def _missing_filter(file: Any, column: Column) -> str | None:
    """Return the name of a filter of a dataset that HDF5 does not have; None if it has all."""
    h5py = extra.load("h5py", "hdf5", "Reading HDF5 files")
    try:
        properties = file[column.dataset].id.get_create_plist()
        filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    except DAMAGE:
        return None
    for code, _, _, name in filters:
        if not h5py.h5z.filter_avail(code):
            known = FILTERS.get(code) or name.decode("utf-8", "replace").rstrip("\0")
            return f"{known} (filter {code})" if known else f"filter {code}"
    return None


def _has_plugins() -> bool:
    """Load the filters of hdf5plugin; whether it is installed."""
    try:
        importlib.import_module("hdf5plugin")
    except ImportError:
        return False
    return True


def _refuse_harm(path: Path) -> None:
    """Raise EventsError for a damaged file that would crash HDF5, or keep it for ever."""
    found = first_look.look(path)
    if found is not None:
        raise EventsError(
            f"The structure of {path} cannot be read.",
            expected="an HDF5 file",
            found=found,
            cause=DAMAGED,
            do=COPY_AGAIN,
        )


def _damaged(path: FilePath, error: BaseException) -> EventsError:
    text = first_line(error)
    if "truncated file" in text:
        found = text[text.index("truncated file") :].removesuffix(")")
        expected = "as many bytes as its header says"
        return cut_short(path, "begins as HDF5 but ends too early", expected, found)
    return damaged(f"The structure of {path} cannot be read.", "an HDF5 file", error)


def _find_table(file: Any, path: FilePath, inside: str) -> tuple[str, list[str]]:
    """Return the name ``/group`` or ``/group/dataset`` of the table, and its datasets if named.

    Raises
    ------
    EventsError
        There is nothing of that name, or no table, or several and none is named.
    """
    name = "/" + inside.strip("/")
    if inside and inside != "/":
        if file.get(name) is not None:
            return name, []
        group, _, last = name.rpartition("/")
        names = last.split(",")
        for each in names:
            if file.get(f"{group}/{each}") is None:
                raise _no_such(file, path, f"{group}/{each}")
        return group or "/", names
    tables = _tables(file)
    if len(tables) == 1 or (inside == "/" and "/" in tables):
        return tables[0] if len(tables) == 1 else "/", []
    if not tables:
        raise EventsError(
            f"There is no table of events in {path}.",
            expected="datasets with a row for each event",
            found=listed(_names(file), 12) or "an empty file",
            do="write the columns as datasets of one group",
        )
    raise unnamed_part(path, "tables", tables)


def _columns_of(node: Any, path: FilePath, names: list[str]) -> tuple[int, list[Column]]:
    """Return the number of rows and the columns of a dataset, or of the datasets of a group.

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
    if _is_pandas(node):
        if "table" in node:
            return node["table"].shape[0], dataset_columns(node["table"])
        return node["axis1"].shape[0], pandas_columns(node)
    datasets = [node[name] for name in names] or _plain(node)
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
    return rows.pop(), [column for dataset in datasets for column in dataset_columns(dataset)]


def _is_pandas(group: Any) -> bool:
    """Whether pandas wrote a data frame into the group, in one of its formats."""
    attributes = group.attrs
    if "pandas_type" not in attributes:
        return False
    return "table" in group or ("nblocks" in attributes and "axis1" in group)


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
        do=f"name those of {counted(most, 'row')}: "
        f"{path}:{group.rstrip('/')}/{','.join(lengths[most])}",
    )


def _tables(file: Any) -> list[str]:
    """Return the names of all tables: groups with plain datasets, and compound datasets."""
    names: list[str] = []

    inside: list[str] = []

    def visit(name: str, node: Any) -> None:
        if name.startswith(tuple(inside)):
            return
        if _is_group(node) and (_is_pandas(node) or node.attrs.get("CLASS") in INDEXES):
            inside.append(f"{name}/")
            names.extend(["/" + name] if _is_pandas(node) else [])
        elif _is_group(node):
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
