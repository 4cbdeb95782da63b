"""Parquet: columns and row groups through pyarrow; row groups are pruned by their statistics."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steepest.errors import EventsError
from steepest.events.formats import first_look
from steepest.events.formats.contract import Condition, RowFilter
from steepest.events.formats.damage import cut_short, damaged, gone
from steepest.events.reading.prefetch import prefetch
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.words import listed

NAME = "Parquet"
SUFFIXES = (".parquet", ".pq")
MAGIC = b"PAR1"
PARTS = False

ENCRYPTED = b"PARE"
BUFFER = 2**16
"""Bytes that are read of a column at once; without it, all that a row group has of the column."""
FAST = {"UNCOMPRESSED", "SNAPPY", "LZ4", "LZ4_RAW", "ZSTD"}
"""Codecs that unpack faster than a disk reads."""
AT_ONCE = 48 * 2**20
"""Bytes of a row group's used columns up to which it is decoded as a whole, as is fastest."""
SMALL = 16 * 2**20
"""Files up to so many bytes are fingerprinted by their content, larger ones by their footer."""

TAIL = 64 * 2**10
"""Bytes at the end of a remote file that are read first, for the footer; most are shorter."""
WINDOW = 32 * 2**20
"""Bytes of a remote file that are downloaded ahead."""

# pyarrow tells damage by any of these; a Python bug would raise something else.
DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)


def open_file(path: FilePath) -> ParquetEvents:
    """Open one Parquet file; its metadata is read, its columns are not.

    Raises
    ------
    EventsError
        The file is cut short or its metadata is damaged.
    """
    return ParquetEvents(path)


class ParquetEvents:
    """One Parquet file; an `EventFile`.

    Only the metadata is kept, so that thousands of files can be open at once.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = path
        _refuse_truncated(path)
        try:
            with pq.ParquetFile(_local(path)) as file:
                self._metadata = file.metadata
                self.schema: pa.Schema = file.schema_arrow
                for field in self.schema:
                    _decode_names(field)
        except DAMAGE as error:
            raise self._metadata_damaged(error) from None
        self.rows: int = self._metadata.num_rows
        self.groups: int = self._metadata.num_row_groups
        self._is_looked_at = False

    @property
    def reread(self) -> bool:
        """Whether it can be reread as fast as a copy of what was read; see `EventSource.reread`."""
        return self._codecs() <= FAST

    @property
    def group_rows(self) -> list[int]:
        """The number of rows of each row group."""
        return [self._metadata.row_group(group).num_rows for group in range(self.groups)]

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the row groups whose statistics do not exclude a row that meets `where`."""
        try:
            return [g for g in range(self.groups) if not self._excluded(g, where)]
        except (*DAMAGE, ValueError, OverflowError) as error:  # statistics that are none
            raise self._metadata_damaged(error) from None

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch), row group by row group; all columns of each."""
        sizes = self.group_rows
        with self._reopened() as file:
            for group in self._downloaded(columns, groups):
                row = sum(sizes[:group])
                for batch in self._group(file, group, columns, batch_rows):
                    # pyarrow also reads "jet.pt" for "jet"; Polars panics of metadata not in UTF-8.
                    yield row, batch.select(list(columns)).replace_schema_metadata(None)
                    row += batch.num_rows

    def fingerprint(self) -> dict[str, Any]:
        """Return name, size, rows, and the sha256 of the content or of the footer.

        Of large and of remote files it is that of the footer, which holds every column chunk's
        size, place and, usually, minimum and maximum.
        """
        with self.path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            whole = size <= SMALL and not isinstance(self.path, RemoteFile)
            stream.seek(0 if whole else size - 8)
            if not whole:
                stream.seek(size - 8 - int.from_bytes(stream.read(4) or b"", "little"))
            digest = hashlib.sha256(stream.read() or b"").hexdigest()
        return {
            "name": self.path.name,
            "size": size,
            "rows": self.rows,
            "sha256": digest,
            "sha256_of": "content" if whole else "footer",
        }

    def _reopened(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                _local(self.path),
                metadata=self._metadata,
                page_checksum_verification=True,
                buffer_size=BUFFER,
            )
        except OSError as error:
            raise gone(self.path, error) from None

    def _group(
        self, file: pq.ParquetFile, group: int, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        try:
            whole = self._metadata.row_group(group).total_byte_size
            if whole <= AT_ONCE or self._bytes(group, columns) <= AT_ONCE:
                table = file.read_row_group(group, columns=list(columns))
                yield from table.to_batches(batch_rows)
            else:
                yield from file.iter_batches(batch_rows, row_groups=[group], columns=list(columns))
        except DAMAGE as error:
            sizes = self.group_rows[: group + 1]
            what = (
                f"{self.path} is damaged in row group {group} of {self.groups} "
                f"(rows {sum(sizes) - sizes[-1]} to {sum(sizes) - 1})."
            )
            raise damaged(what, f"readable columns {', '.join(columns)}", error) from None

    def _downloaded(self, columns: Sequence[str], groups: Sequence[int]) -> Iterator[int]:
        """Yield the row groups, when their pages are present; the next ones are prefetched."""
        file = self.path
        if not isinstance(file, RemoteFile):
            yield from groups
            return
        part = f"columns {listed(list(columns), 12)}"

        def fetched() -> Iterator[list[int]]:
            for window, spans in self._windows(columns, groups):
                file.fetch(spans, part)
                yield window

        with closing(prefetch(fetched())) as windows:
            for window in windows:
                yield from window

    def _windows(
        self, columns: Sequence[str], groups: Sequence[int]
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Return consecutive row groups with some 32 MiB of the columns, and where these lie."""
        windows: list[tuple[list[int], list[tuple[int, int]]]] = []
        size = WINDOW
        for group in groups:
            if size >= WINDOW:
                windows.append(([], []))
                size = 0
            spans = [_pages(chunk) for chunk in self._chunks(group, columns)]
            windows[-1][0].append(group)
            windows[-1][1].extend(spans)
            size += sum(stop - start for start, stop in spans)
        return windows

    def _chunks(self, group: int, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the column chunks that pyarrow reads for these columns; "jet.pt" for "jet" too."""
        self._refuse_harm()
        metadata, wanted = self._metadata.row_group(group), set(columns)
        for index in range(metadata.num_columns):
            chunk = metadata.column(index)
            try:
                path = chunk.path_in_schema
            except UnicodeDecodeError as error:
                raise self._metadata_damaged(error) from None
            if path in wanted or path.split(".")[0] in wanted:
                yield chunk

    def _refuse_harm(self) -> None:
        """Raise EventsError for damaged metadata of chunks, by which pyarrow ends the process."""
        if not self._is_looked_at and (found := first_look.look(_local(self.path), "Parquet")):
            raise self._metadata_damaged(OSError(found))
        self._is_looked_at = True

    def _metadata_damaged(self, error: BaseException) -> EventsError:
        return damaged(f"The metadata of {self.path} cannot be read.", "a Parquet file", error)

    def _codecs(self) -> set[str]:
        """The codecs of the first row group: writers use the same for all of them."""
        if not self.groups:
            return set()
        self._refuse_harm()
        group = self._metadata.row_group(0)
        return {group.column(index).compression for index in range(group.num_columns)}

    def _bytes(self, group: int, columns: Sequence[str]) -> int:
        """What a row group has of the columns (and of what lies below them), decoded."""
        rows = self._metadata.row_group(group).num_rows
        return sum(max(c.total_uncompressed_size, 8 * rows) for c in self._chunks(group, columns))

    def _excluded(self, group: int, where: Sequence[Condition]) -> bool:
        if not where:
            return False
        chunks = self._chunks(group, [condition.column for condition in where])
        statistics = {chunk.path_in_schema: chunk.statistics for chunk in chunks}
        return any(_impossible(statistics.get(condition.column), condition) for condition in where)


def _decode_names(field: pa.Field) -> None:
    """Raise UnicodeDecodeError for a name that is not UTF-8, of which Polars panics."""
    field.name  # noqa: B018  (it is decoded here)
    for place in range(field.type.num_fields):
        _decode_names(field.type.field(place))


def _impossible(statistics: Any, condition: Condition) -> bool:
    """Whether no value between a chunk's minimum and maximum meets the condition."""
    if statistics is None or not statistics.has_min_max:
        return False
    low, high = statistics.min, statistics.max
    values = condition.value if condition.op == "in" else (condition.value,)
    values = [_comparable(value, low, high) for value in values]
    if any(value is None for value in values):
        return False
    if condition.op in ("==", "in"):
        return all(value < low or value > high for value in values)
    value = values[0]
    return {"<": low >= value, "<=": low > value, ">": high <= value, ">=": high < value}[
        condition.op
    ]


def _comparable(value: Any, low: Any, high: Any) -> Any:
    """Return the value as it is compared with rows of the statistics' type; None if it is not."""
    for kind in (bool, str):
        if isinstance(low, kind) or isinstance(value, kind):
            return value if isinstance(low, kind) and isinstance(value, kind) else None
    if isinstance(low, float):  # rows of a float column meet the literal as a float64
        value = float(value)
        # A writer may have let NaN into the statistics; they bound nothing then.
        return value if low == low and high == high else None
    return value if isinstance(low, int) else None


def _local(path: FilePath) -> Path:
    """Return where pyarrow finds what was downloaded; its threads do not wait for Python's lock."""
    return path.copy if isinstance(path, RemoteFile) else path


def _pages(chunk: Any) -> tuple[int, int]:
    """Return where a column chunk's pages lie."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    return start, start + chunk.total_compressed_size


def _refuse_truncated(path: FilePath) -> None:
    """Look at the end of the file; of a remote one the footer is downloaded."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if isinstance(path, RemoteFile):
            path.fetch([(max(0, size - TAIL), size)])
        stream.seek(max(0, size - 8))
        tail = stream.read() or b""
    if tail[-4:] == ENCRYPTED:
        raise EventsError(
            f"{path} is encrypted.",
            expected="a Parquet file without encryption",
            do="write it again without encryption",
        )
    length = int.from_bytes(tail[:4], "little")
    if tail[-4:] != MAGIC or size < 12 or length + 12 > size:
        expected = "'PAR1' as the first and the last 4 bytes"
        found = f"{size} bytes that end in {tail[-4:]!r}"
        raise cut_short(path, "begins as Parquet but does not end as Parquet", expected, found)
    if isinstance(path, RemoteFile):
        path.fetch([(size - 8 - length, size)])
