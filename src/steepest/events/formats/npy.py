"""NumPy's ``.npy`` and ``.npz``: the columns or fields of an array, or the arrays of an archive.

No pickled object is ever loaded. A ``.npy`` file is mapped into memory; of an ``.npz`` the arrays
that are used are loaded.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.formats.damage import damaged, gone, no_such_part, unreadable_column
from steepest.events.formats.nested import nested, nested_type, unreadable, unreadable_name
from steepest.events.formats.unindexed import Read, UnindexedFile
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.words import counted, listed

NAME = "NumPy"
SUFFIXES = (".npy", ".npz")
MAGIC = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
PARTS = True

DAMAGE = (
    ValueError, EOFError, OSError, KeyError, RuntimeError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""NumPy and zipfile tell damage by any of these."""

Header = tuple[tuple[int, ...], np.dtype]
"""The shape and the type of an array."""


@dataclass(frozen=True)
class Column:
    """An array of an archive, a field of a structured array, or one column of an array."""

    name: str
    array: str
    type: pa.DataType
    field: str | None = None
    index: int | None = None

    def of(self, array: np.ndarray, rows: slice) -> pa.Array:
        """Return rows of the column."""
        values = array[rows] if self.field is None else array[self.field][rows]
        values = values if self.index is None else values[:, self.index]
        item = self.type
        while pa.types.is_list(item):
            item = item.value_type
        if pa.types.is_string(item):
            values = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
            return nested(values.astype(object), item)
        return nested(values.astype(values.dtype.newbyteorder("="), copy=False), item)


def open_file(path: FilePath, inside: str = "") -> NumpyEvents:
    """Open an array of events, or the arrays of an archive; only their headers are read.

    Parameters
    ----------
    path
        The file.
    inside
        One array of an archive; left out, all that there are.

    Raises
    ------
    EventsError
        The file is damaged or cut short; the arrays differ in length; there is no such array.
    """
    return NumpyEvents(path, inside)


class NumpyEvents(UnindexedFile):
    """The arrays of one file; an `EventFile`. A remote one is downloaded whole."""

    def __init__(self, path: FilePath, inside: str = "") -> None:
        self.path, self.inside = path, inside
        self._local = path.whole() if isinstance(path, RemoteFile) else path
        try:
            headers = _headers(self._local)
        except DAMAGE as error:
            raise damaged(f"{path} cannot be read.", "arrays of numbers", error) from None
        if inside:
            if inside not in headers:
                known = [name for name in headers if name]
                raise no_such_part(path, f"array {inside!r}", inside, known)
            headers = {inside: headers[inside]}
        self.rows = _rows_of(headers, path)
        self._columns = [
            column
            for name, (shape, dtype) in headers.items()
            if shape
            for column in _columns_of(name, shape, dtype, alone=len(headers) == 1)
        ]
        self.schema = pa.schema([pa.field(column.name, column.type) for column in self._columns])
        self.repeated = frozenset(c.name for c in self._columns if c.array and c.index is not None)

    @contextmanager
    def _reader(self, columns: Sequence[str], batch_rows: int) -> Iterator[Read]:
        used = {name: self._columns[self.schema.names.index(name)] for name in columns}
        for column in used.values():
            kind = unreadable_name(column.type)
            if kind is not None:
                raise unreadable_column(repr(column.name), str(self.path), kind)
        arrays = self._load({column.array for column in used.values()})

        def read(names: Sequence[str], start: int) -> Iterator[tuple[int, pa.RecordBatch]]:
            for row in range(start, self.rows, batch_rows):
                rows = slice(row, row + batch_rows)
                try:
                    values = [used[name].of(arrays[used[name].array], rows) for name in names]
                except UnicodeDecodeError as error:
                    raise damaged(f"{self.path} has text not in UTF-8.", "UTF-8", error) from None
                yield row, pa.record_batch(values, names=list(names))

        yield read

    def _load(self, names: set[str]) -> dict[str, np.ndarray]:
        try:
            loaded: Any = np.load(self._local, mmap_mode="r", allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            with loaded:
                return {name: loaded[name] for name in names}
        except FileNotFoundError as error:
            raise gone(self.path, error) from None
        except DAMAGE as error:
            raise damaged(f"{self.path} cannot be read.", "arrays of numbers", error) from None


def _headers(path: Path) -> dict[str, Header]:
    """Return the headers of the arrays by name; a single array has none."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            return {"": _header(stream, path.stat().st_size)}
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    header = _header(stream, member.file_size)
                found[member.filename.removesuffix(".npy")] = header
    return found


def _header(stream: Any, size: int) -> Header:
    """Return shape and type; ValueError where there are fewer bytes than they take."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    needed = stream.tell() + math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and size < needed:
        raise ValueError(f"{size} bytes, where the header needs {needed}")
    return shape, dtype


def _rows_of(headers: dict[str, Header], path: FilePath) -> int:
    lengths: dict[int, list[str]] = {}
    for name, (shape, _) in headers.items():
        if shape:
            lengths.setdefault(shape[0], []).append(name)
    if not lengths:
        raise EventsError(
            f"There are no columns in {path}.",
            expected="an array with a row for each event",
            found=f"single values: {listed(headers, 12)}"
            if headers
            else "an archive without arrays",
        )
    if len(lengths) > 1:
        found = [f"{counted(n, 'row')} in {listed(names, 5)}" for n, names in lengths.items()]
        raise EventsError(
            f"The arrays of {path} have different lengths.",
            expected="a row for each event in each of them",
            found="; ".join(found),
            do=f"name one of them: {path}:{lengths[max(lengths)][0]}",
        )
    return next(iter(lengths))


def _columns_of(name: str, shape: tuple[int, ...], dtype: np.dtype, alone: bool) -> list[Column]:
    """Return the columns of an array.

    A structured array has its fields. Of a ``.npy`` file the columns are called c0, c1, …, as those
    of text without a header; an array of an archive is a column of its name: of two dimensions a
    list for each row, and also each of its columns alone.
    """
    more = len(shape) - 1
    if dtype.names:
        start = "" if alone else f"{name}."
        return [Column(start + f, name, _arrow(dtype[f], more), field=f) for f in dtype.names]
    if not name:
        if more == 0:
            return [Column("c0", name, _arrow(dtype, 0))]
        return [Column(f"c{i}", name, _arrow(dtype, more - 1), index=i) for i in range(shape[1])]
    columns = [Column(name, name, _arrow(dtype, more))]
    if more == 1:
        single = _arrow(dtype, 0)
        columns += [Column(f"{name}_{i}", name, single, index=i) for i in range(shape[1])]
    return columns


def _arrow(dtype: np.dtype, dimensions: int) -> pa.DataType:
    """Return the Arrow type of a NumPy type with so many dimensions beyond the rows."""
    base, shape = dtype.subdtype or (dtype, ())
    if base.kind in "US":
        return nested_type(pa.string(), dimensions + len(shape))
    if base.kind in "biu" or (base.kind == "f" and base.itemsize <= 8):
        return nested_type(pa.from_numpy_dtype(base.newbyteorder("=")), dimensions + len(shape))
    return unreadable("Python objects, which are pickled" if base.hasobject else str(base))
