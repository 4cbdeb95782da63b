"""Arrays that lie in memory or on disk, and are worked on block by block either way.

What to use when: `Column` gathers an array whose length is not known, and moves it to disk when it
is told to. `blocks`, `map_blocks` and `total` walk over an array in blocks of `BLOCK` rows,
wherever it lies: so that what comes out has the same bits in memory and on disk.

A `DiskArray` has a length, a shape, a dtype, and gives back rows as NumPy arrays when it is indexed
with a slice or an array of row numbers. Its file has no name: the system removes it when the
process ends, however it ends.
"""

from __future__ import annotations

import errno
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from steepest.errors import EventsError

__all__ = [
    "BLOCK",
    "MOST_SORTED",
    "AnyArray",
    "Column",
    "DiskArray",
    "blocks",
    "compressed",
    "in_memory",
    "map_blocks",
    "nearest_folder",
    "on_disk",
    "slices",
    "thinned",
    "total",
]

BLOCK = 65_536
"""Rows that are worked on at once."""
_RUN = 4_096
"""Rows that are read at once where single rows are asked for."""


class DiskArray:
    """An array on disk that grows at its end and is read by rows.

    Parameters
    ----------
    folder
        A folder on the file system that is to hold it.
    dtype
        Of the numbers.
    width
        Of a row: ``()`` for one number, ``(n,)`` for n of them.
    """

    def __init__(self, folder: str | Path, dtype: Any, width: tuple[int, ...] = ()) -> None:
        self.folder = Path(folder)
        self.dtype = np.dtype(dtype)
        self.width = width
        self._rows = 0
        self._row_bytes = self.dtype.itemsize * int(np.prod(width, dtype=np.int64))
        self._file: BinaryIO = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

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

    def append(self, rows: np.ndarray) -> None:
        """Write rows at the end; raises EventsError where the disk is full."""
        data = np.ascontiguousarray(rows, dtype=self.dtype)
        view = _bytes_of(data)
        self._file.seek(self.nbytes)
        try:
            while len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _cannot_write(error, self.folder) from None
        self._rows += len(data)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return rows, those of a slice or of an array of row numbers, as an array in memory."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._read(start, max(stop, start))
            rows = np.arange(start, stop, step)
        return self._gather(np.asarray(rows))

    def _read(self, start: int, stop: int) -> np.ndarray:
        result = np.empty((stop - start, *self.width), dtype=self.dtype)
        self._file.seek(start * self._row_bytes)
        view = _bytes_of(result)
        while len(view):
            count = self._file.readinto(view)  # pyright: ignore[reportAttributeAccessIssue]
            if not count:
                raise EventsError("The temporary file of the events ends early.")
            view = view[count:]
        return result

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        """Read the runs of rows that hold the wanted ones, and pick these."""
        result = np.empty((len(rows), *self.width), dtype=self.dtype)
        if len(rows) == 0:
            return result
        order = np.argsort(rows, kind="stable")
        runs = rows[order] // _RUN
        starts = np.flatnonzero(np.diff(runs, prepend=-1))
        for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            first = int(runs[begin]) * _RUN
            piece = self._read(first, min(first + _RUN, len(self)))
            places = order[begin:end]
            result[places] = piece[rows[places] - first]
        return result


AnyArray = np.ndarray | DiskArray


class Column:
    """Rows gathered block by block: in memory, until `spill` moves them to disk.

    Examples
    --------
    >>> column = Column()
    >>> column.append(np.array([1.0, 2.0]))
    >>> column.spill(tempfile.gettempdir())
    >>> column.append(np.array([3.0]))
    >>> column.finish()[:]
    array([1., 2., 3.])
    """

    def __init__(self) -> None:
        self._chunks: list[np.ndarray] = []
        self._disk: DiskArray | None = None
        self.nbytes = 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self.nbytes += rows.nbytes
        if self._disk is not None:
            self._disk.append(rows)
        else:
            self._chunks.append(rows)

    def spill(self, folder: str | Path) -> None:
        """Move what is there to disk, and all that comes."""
        if self._disk is not None or not self._chunks:
            return
        first = self._chunks[0]
        self._disk = DiskArray(folder, first.dtype, first.shape[1:])
        for chunk in _emptied(self._chunks):
            self._disk.append(chunk)

    def finish(self) -> AnyArray:
        """Return the whole; in memory each block is let go of as it is copied."""
        if self._disk is not None:
            return self._disk
        rows = sum(map(len, self._chunks))
        whole = np.empty((rows, *self._chunks[0].shape[1:]), dtype=self._chunks[0].dtype)
        place = 0
        for chunk in _emptied(self._chunks):
            whole[place : place + len(chunk)] = chunk
            place += len(chunk)
        return whole


def on_disk(*arrays: AnyArray | None) -> bool:
    """Whether any of the arrays lies on disk."""
    return any(isinstance(array, DiskArray) for array in arrays)


def slices(rows: int) -> Iterator[slice]:
    """Yield the blocks of an array of so many rows; of none, one empty block.

    Examples
    --------
    >>> list(slices(100_000))
    [slice(0, 65536, None), slice(65536, 100000, None)]
    """
    for start in range(0, max(rows, 1), BLOCK):
        yield slice(start, min(start + BLOCK, rows))


def blocks(*arrays: AnyArray | None) -> Iterator[tuple[Any, ...]]:
    """Yield the blocks of arrays of one length, side by side; None stays None."""
    first = next(array for array in arrays if array is not None)
    for rows in slices(len(first)):
        yield tuple(None if array is None else array[rows] for array in arrays)


def map_blocks(function: Callable[..., np.ndarray], *arrays: AnyArray) -> AnyArray:
    """Apply a function of rows block by block; the result lies where the first array does.

    Examples
    --------
    >>> map_blocks(np.sqrt, np.array([1.0, 4.0]))
    array([1., 2.])
    """
    first, result, place = arrays[0], None, 0
    for block in blocks(*arrays):
        rows = function(*block)
        if result is None:
            width = rows.shape[1:]
            if isinstance(first, DiskArray):
                result = DiskArray(first.folder, rows.dtype, width)
            else:
                result = np.empty((len(first), *width), dtype=rows.dtype)
        if isinstance(result, DiskArray):
            result.append(rows)
        else:
            result[place : place + len(rows)] = rows
        place += len(rows)
    assert result is not None  # there is one block at least
    return result


def compressed(array: AnyArray, mask: np.ndarray) -> AnyArray:
    """Return the rows where the mask, in memory, is true."""
    if isinstance(array, np.ndarray):
        return array[mask]
    kept = DiskArray(array.folder, array.dtype, array.width)
    for rows in slices(len(array)):
        kept.append(array[rows][mask[rows]])
    return kept


MOST_SORTED = 1_000_000
"""Quantiles are taken from so many events at most."""


def thinned(array: AnyArray, most: int = MOST_SORTED) -> np.ndarray:
    """Return at most `most` rows, evenly spaced, in memory.

    Examples
    --------
    >>> thinned(np.arange(10), most=4)
    array([0, 3, 6, 9])
    """
    return array[:: -(-len(array) // most)] if len(array) else array[:]


def in_memory(array: AnyArray) -> np.ndarray:
    """Return the whole array in memory."""
    return array if isinstance(array, np.ndarray) else array[:]


def total(array: AnyArray) -> float:
    """Return the sum of the numbers, in float64, block by block.

    Examples
    --------
    >>> total(np.array([1.0, 2.5]))
    3.5
    """
    return float(sum(float(block.sum(dtype=np.float64)) for (block,) in blocks(array)))


def _bytes_of(array: np.ndarray) -> memoryview:
    """The memory of a contiguous array, to read from and write to."""
    return memoryview(array.reshape(-1).view(np.uint8))  # pyright: ignore[reportArgumentType]


def _emptied(chunks: list[np.ndarray]) -> Iterator[np.ndarray]:
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def _cannot_write(error: OSError, folder: Path) -> EventsError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return EventsError(
        "The events do not fit into memory, and cannot be kept on disk either.",
        expected=f"room in {folder}",
        found="a full disk" if full else str(error),
        do="free some space, train into a folder on another disk, or raise events.memory",
    )


def nearest_folder(path: Path) -> Path:
    """Return the folder at or above the path that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
