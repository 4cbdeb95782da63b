"""The Parquet output file, which survives a full disk.

Call `check_target` before the work starts. An `Output` then takes the blocks in order, and
`Output.finish` renames the file to its final name. Until then it is called ``.NAME.PROCESS.part``,
in the same folder. A reserve of disk space is allocated during writing. When the disk is full, the
reserve is released, the jets so far are written, and the file is completed.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steepest.errors import InputError
from steepest.simulate.columns import COLUMNS, schema

ROW_GROUP = 6000
"""Rows of a row group."""

RESERVE = 32 * 2**20
"""Bytes reserved during writing: more than a row group and the footer need."""

_COMPRESSION_LEVEL = 19
_BYTES_PER_JET, _BYTES_PER_PART = 80, 24


def bytes_expected(jets: int, leading: int | None) -> int:
    """Return an estimate of the file size in bytes, which is never much too small.

    Examples
    --------
    >>> bytes_expected(1000, None)
    1760000
    """
    return jets * (_BYTES_PER_JET + _BYTES_PER_PART * min(leading or 70, 70))


def check_target(path: Path, *, overwrite: bool, expected: int) -> None:
    """Raise `InputError` unless a file of `expected` bytes can be written to `path`."""
    folder, refused = path.parent, f"The jets cannot be written to {str(path)!r}."
    if not folder.is_dir():
        raise InputError(
            refused,
            expected="an existing folder",
            found=f"no folder {str(folder)!r}",
            cause="a typing error, or the folder was not created yet",
            do=f"mkdir -p {folder}",
        )
    if path.is_dir():
        raise InputError(
            refused,
            expected="the name of a file",
            found="a folder of this name",
            do="give a file name, such as --out jets.parquet",
        )
    if path.exists() and not overwrite:
        raise InputError(
            f"The file {str(path)!r} exists already; it was not changed.",
            expected="a new file name",
            found=f"a file of {path.stat().st_size:,} bytes",
            cause="an earlier run wrote it",
            do="give another --out, or --overwrite to replace it",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, OSError("no permission to write in this folder"))
    free = shutil.disk_usage(folder).free
    if free < expected + RESERVE:
        raise InputError(
            f"The disk has no room for {str(path)!r}.",
            expected=f"about {_megabytes(expected + RESERVE)} free",
            found=f"{_megabytes(free)} free",
            cause="a full disk, or many jets with all their constituents",
            do="free some space, give another folder, or store less with --leading and --bits",
        )


class Output:
    """A file of jets that is being written; every method may raise `InputError`."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        self.path = path
        self.rows = 0
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._pending: list[pa.Table] = []
        try:
            self._sink = _Sink(self._part, RESERVE)
        except OSError as error:
            raise _unwritable(path, error) from error
        encodings, dictionaries = _encodings()
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            schema(metadata),
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=dictionaries,  # pyright: ignore[reportArgumentType]
            column_encoding=encodings,
        )

    @property
    def full(self) -> bool:
        """Whether the disk is full; blocks already added are safe, but no more can be added."""
        return self._sink.full

    def add(self, block: pa.Table) -> None:
        """Add the next block, and write a row group if one is complete."""
        self._pending.append(block)
        self.rows += len(block)
        if sum(map(len, self._pending)) >= ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        """Complete the file and rename it; remove it if it would be empty."""
        if self.rows == 0:
            self.discard()
            return
        if self._pending:
            self._flush()
        try:
            self._writer.close()
            self._sink.close()
            os.replace(self._part, self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def discard(self) -> None:
        """Remove the unfinished file."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError):
            self._sink.close()
        self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        table, self._pending = pa.concat_tables(self._pending), []
        try:
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        except OSError as error:
            raise _unwritable(self.path, error) from error


class _Sink(io.RawIOBase):
    """An unbuffered file that releases its reserve of disk space when the disk is full."""

    def __init__(self, path: Path, reserve: int) -> None:
        self.full = False
        # the file has no name, so the space is freed even if the process is killed
        self._reserve = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._reserve.fileno(), 0, reserve)
            else:
                os.write(self._reserve.fileno(), bytes(reserve))
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError:
            self._reserve.close()
            raise

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        left = memoryview(data).cast("B")
        total = len(left)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or self.full:
                    raise
                self.full = True
                self._reserve.close()
        return total

    def close(self) -> None:
        if not self.closed:
            try:
                os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._reserve.close()
                super().close()


def _encodings() -> tuple[dict[str, str], list[str]]:
    """Return the encoding of each numeric column, and the columns that use a dictionary instead.

    Floats compress better with their bytes split into streams, a counter as differences.
    """
    encodings, dictionaries = {"event_number": "DELTA_BINARY_PACKED"}, []
    for column in COLUMNS:
        nested = pa.types.is_list(column.type)
        leaf = f"{column.name}.list.element" if nested else column.name  # Parquet's name
        if pa.types.is_floating(column.type.value_type if nested else column.type):
            encodings[leaf] = "BYTE_STREAM_SPLIT"
        elif leaf not in encodings:
            dictionaries.append(leaf)
    return encodings, dictionaries


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"The jets cannot be written to {str(path)!r}.",
        expected="a folder that can be written to, with room",
        found=error.strerror or str(error),
        cause="missing rights, a read-only disk or a full one",
        do="give another folder with --out",
    )
