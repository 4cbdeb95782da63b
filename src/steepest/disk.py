"""Arrays on disk, in files without a name.

A `DiskArray` has a length, a shape, a dtype, and gives back rows as NumPy arrays when it is indexed
with a slice or an array of row numbers. Its file has no name: the system removes it when the
process ends, however it ends.
"""

from __future__ import annotations

import errno
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from steepest.errors import EventsError

__all__ = ["DiskArray", "RowsOnDisk"]

_RUN = 1_024
"""Rows that are read at once where single rows are asked for: those of a chunk of the shuffle."""


class RowsOnDisk(ABC):
    """Rows that lie on disk and are read when they are asked for.

    Parameters
    ----------
    folder
        A folder on the file system that is to hold what is made of them.
    dtype
        Of the numbers.
    width
        Of a row: ``()`` for one number, ``(n,)`` for n of them.
    stored
        The type of the numbers on disk, which must hold all of them exactly; left out, `dtype`.
    """

    def __init__(
        self, folder: str | Path, dtype: Any, width: tuple[int, ...] = (), stored: Any = None
    ) -> None:
        self.folder = Path(folder)
        self.dtype = np.dtype(dtype)
        self.stored = np.dtype(dtype if stored is None else stored)
        self.width = width
        self._rows = 0
        self._row_bytes = self.stored.itemsize * int(np.prod(width, dtype=np.int64))

    def __len__(self) -> int:
        return self._rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and what is in a row."""
        return (self._rows, *self.width)

    @property
    def ndim(self) -> int:
        """1, or 2 where a row has several numbers."""
        return 1 + len(self.width)

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return self._rows * self._row_bytes

    @abstractmethod
    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to `stop` as they are stored."""

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return rows, those of a slice or of an array of row numbers, as an array in memory."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self.read(start, max(stop, start)).astype(self.dtype, copy=False)
            rows = np.arange(start, stop, step)
        return self._gather(np.asarray(rows))

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        """Read the runs of rows that hold the wanted ones, and pick these."""
        result = np.empty((len(rows), *self.width), dtype=self.dtype)
        if len(rows) == 0:
            return result
        runs = rows // _RUN
        runs -= runs.min()
        if runs.max() <= np.iinfo(np.uint16).max:
            runs = runs.astype(np.uint16)  # sorted by counting, in one pass
        order = np.argsort(runs, kind="stable")
        starts = np.flatnonzero(np.diff(runs[order].astype(np.int64), prepend=-1))
        for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            places = order[begin:end]
            first = int(rows[places[0]]) // _RUN * _RUN
            piece = self.read(first, min(first + _RUN, len(self)))
            result[places] = piece[rows[places] - first]
        return result


class DiskArray(RowsOnDisk):
    """An array on disk that grows at its end; its parameters are those of `RowsOnDisk`."""

    def __init__(
        self, folder: str | Path, dtype: Any, width: tuple[int, ...] = (), stored: Any = None
    ) -> None:
        super().__init__(folder, dtype, width, stored)
        self._file: BinaryIO = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def append(self, rows: np.ndarray) -> None:
        """Write rows at the end; raises EventsError where the disk is full."""
        data = np.ascontiguousarray(rows, dtype=self.stored)
        view = _bytes_of(data)
        self._file.seek(self.nbytes)
        try:
            while len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _cannot_write(error, self.folder) from None
        self._rows += len(data)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to `stop` as they are stored."""
        result = np.empty((stop - start, *self.width), dtype=self.stored)
        self._file.seek(start * self._row_bytes)
        view = _bytes_of(result)
        while len(view):
            count = self._file.readinto(view)  # pyright: ignore[reportAttributeAccessIssue]
            if not count:
                raise EventsError("The temporary file of the events ends early.")
            view = view[count:]
        return result


def _bytes_of(array: np.ndarray) -> memoryview:
    """The memory of a contiguous array, to read from and write to."""
    return memoryview(array.reshape(-1).view(np.uint8))  # pyright: ignore[reportArgumentType]


def _cannot_write(error: OSError, folder: Path) -> EventsError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return EventsError(
        "The events do not fit into memory, and cannot be kept on disk either.",
        expected=f"room in {folder}",
        found="a full disk" if full else str(error),
        do="free some space, train into a folder on another disk, or raise events.memory",
    )
