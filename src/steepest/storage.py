"""Arrays that lie in memory or on disk, and are worked on block by block either way.

What to use when: `Column` gathers an array whose length is not known, and moves it to disk when it
is told to. `blocks`, `map_blocks` and `total` iterate over an array in blocks of `BLOCK` rows: what
comes out has the same bits in memory and on disk. A `DiskArray` is indexed by rows, as an array in
memory is; the system removes its file, which has no name, when the process ends.
"""

from __future__ import annotations

import errno
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from steepest.errors import EventsError

BLOCK = 65_536
"""Rows that are worked on at once."""

_RUN = 1_024
"""Rows that are read at once where single rows are asked for: those of a chunk of the shuffle."""


class RowsOnDisk(ABC):
    """Rows that lie on disk and are read when they are asked for.

    What is made of them goes to `folder`, on a file system with room. `width` is that of a row:
    ``()`` for one number, ``(n,)`` for n of them. On disk they have the type `stored`, which
    must hold all of them exactly, by default `dtype`.
    """

    on_disk = True

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


AnyArray = np.ndarray | RowsOnDisk


class Column:
    """Rows gathered block by block: in memory, until `spill` moves them to disk.

    `dtype` is that of the whole, by default of the first rows; on disk they have the type
    `stored`, as a rule a smaller one that holds every number exactly.

    Examples
    --------
    >>> column = Column()
    >>> column.append(np.array([1.0, 2.0]))
    >>> column.spill("/tmp")
    >>> column.append(np.array([3.0]))
    >>> column.finish()[:]
    array([1., 2., 3.])
    """

    def __init__(self, dtype: Any = None, stored: Any = None) -> None:
        self._dtype, self._stored = dtype, stored
        self._chunks: list[np.ndarray] = []
        self._folder: str | Path | None = None
        self._disk: DiskArray | None = None
        self._rows = 0
        self.nbytes = 0  # that the rows take in memory

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self._dtype = rows.dtype if self._dtype is None else self._dtype
        self._rows += len(rows)
        self.nbytes += rows.size * np.dtype(self._dtype).itemsize
        if self._folder is None:
            self._chunks.append(rows)
            return
        if self._disk is None:
            self._disk = DiskArray(self._folder, self._dtype, rows.shape[1:], self._stored)
        self._disk.append(rows)

    def spill(self, folder: str | Path) -> None:
        """Move what is there to disk, and all that comes."""
        if self._folder is not None:
            return
        self._folder, self._rows, self.nbytes = folder, 0, 0
        for chunk in _emptied(self._chunks):
            self.append(chunk)

    def finish(self) -> AnyArray:
        """Return the whole; in memory each block is let go of as it is copied."""
        if self._disk is not None:
            return self._disk
        whole = np.empty((self._rows, *self._chunks[0].shape[1:]), dtype=self._dtype)
        place = 0
        for chunk in _emptied(self._chunks):
            whole[place : place + len(chunk)] = chunk
            place += len(chunk)
        return whole


def on_disk(*arrays: Any) -> bool:
    """Whether any of the arrays, or of the groups of inputs, lies on disk."""
    return any(getattr(array, "on_disk", False) for array in arrays)


def slices(rows: int) -> Iterator[slice]:
    """Yield the blocks of an array of so many rows; of none, one empty block.

    Examples
    --------
    >>> list(slices(100_000))
    [slice(0, 65536, None), slice(65536, 100000, None)]
    """
    for start in range(0, max(rows, 1), BLOCK):
        yield slice(start, min(start + BLOCK, rows))


def blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the blocks of arrays (or groups of inputs) of one length, side by side.

    None stays None.
    """
    first = next(array for array in arrays if array is not None)
    for rows in slices(len(first)):
        yield tuple(None if array is None else array[rows] for array in arrays)


def map_blocks(function: Callable[..., np.ndarray], *arrays: Any, stored: Any = None) -> AnyArray:
    """Apply a function of rows block by block; the result lies where the first array does.

    On disk its numbers are kept as `stored`, which must hold all of them exactly.

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
            if on_disk(first):
                result = DiskArray(first.folder, rows.dtype, width, stored)
            else:
                result = np.empty((len(first), *width), dtype=rows.dtype)
        if isinstance(result, DiskArray):
            result.append(rows)
        else:
            result[place : place + len(rows)] = rows
        place += len(rows)
    assert result is not None  # there is one block at least
    return result


class _Derived(RowsOnDisk):
    """Rows that are computed, when they are asked for, from those of other arrays."""

    def __init__(self, function: Callable[..., np.ndarray], arrays: Sequence[AnyArray]) -> None:
        none = function(*(array[:0] for array in arrays))
        super().__init__(_folder_of(*arrays), none.dtype, none.shape[1:])
        self._function, self._arrays = function, arrays
        self._rows = len(arrays[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._function(*(array[start:stop] for array in self._arrays))


def derived(function: Callable[..., np.ndarray], *arrays: AnyArray) -> AnyArray:
    """Apply a function that takes each row for itself; on disk, whenever rows are asked for.

    Examples
    --------
    >>> derived(np.add, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    return _Derived(function, arrays) if on_disk(*arrays) else function(*arrays)


def compressed(array: AnyArray, mask: AnyArray) -> AnyArray:
    """Return the rows where the mask is true; on disk where either is."""
    if not on_disk(array, mask):
        return array[in_memory(mask)]
    stored = array.stored if isinstance(array, RowsOnDisk) else None
    kept = DiskArray(_folder_of(array, mask), array.dtype, array.shape[1:], stored)
    for rows in slices(len(array)):
        kept.append(array[rows][mask[rows]])
    return kept


def _folder_of(*arrays: AnyArray) -> Path:
    return next(array.folder for array in arrays if isinstance(array, RowsOnDisk))


def split(array: AnyArray, group: np.ndarray, groups: Sequence[int]) -> dict[int, AnyArray]:
    """Return the rows of each group, in one pass; `group`, in memory, says which a row is of.

    Examples
    --------
    >>> split(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 0]), (0, 1))
    {0: array([1., 3.]), 1: array([2.])}
    """
    if isinstance(array, np.ndarray):
        return {number: array[group == number] for number in groups}
    like = array.folder, array.dtype, array.width, array.stored
    parts = {number: DiskArray(*like) for number in groups}
    for rows in slices(len(array)):
        block, of = array.read(rows.start, rows.stop), group[rows]
        for number, part in parts.items():
            part.append(block[of == number])
    return dict(parts)


MOST_SORTED = 1_000_000
"""Quantiles are taken from so many events at most."""


def thinned(array: Any, most: int = MOST_SORTED) -> Any:
    """Return at most `most` rows of an array or of groups of inputs, evenly spaced, in memory.

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
    """Return the sum of the numbers, in float64, block by block; each contiguous, in one order.

    Examples
    --------
    >>> total(np.array([1.0, 2.5]))
    3.5
    """
    each = (np.ascontiguousarray(block) for (block,) in blocks(array))
    return float(sum(float(block.sum(dtype=np.float64)) for block in each))


def _emptied(chunks: list[np.ndarray]) -> Iterator[np.ndarray]:
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def nearest_folder(path: Path) -> Path:
    """Return the folder at or above the path that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
