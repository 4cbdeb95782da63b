"""Large Parquet files of the Hub: of the columns and row groups that are read, and no others.

The footer is read as the file is opened. The parts of the columns are fetched by windows of row
groups, the next one while the events of one are used, and are then read from the local copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from steepest.events.formats.parquet import MAGIC, ParquetEvents
from steepest.events.hub.errors import Telling
from steepest.events.hub.ranges import Copy, NoRangesError, Span
from steepest.events.words import listed

__all__ = ["SMALL", "HubParquet", "with_footer"]

SMALL = 2**20
"""Files up to so many bytes are downloaded whole."""
TAIL = 64 * 2**10
"""Bytes at the end that are read at once, for the footer; most are shorter."""
WINDOW = 32 * 2**20
"""Bytes that are fetched ahead."""


class HubParquet(ParquetEvents):
    """One Parquet file of the Hub above 1 MiB; an `EventFile`.

    Its fingerprint is that of the footer, so that it does not depend on what was fetched.

    Parameters
    ----------
    path
        The file, or its copy with holes.
    copy
        The copy; None if the file is there whole.
    telling
        Turns what the Hub refuses into an error about this file.
    """

    def __init__(self, path: Path, copy: Copy | None, telling: Telling) -> None:
        super().__init__(path)
        self._copy, self._telling = copy, telling

    def batches(
        self, columns: Sequence[str], groups: Sequence[int], batch_rows: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch), as `ParquetEvents` does of a local file."""
        if self._copy is None:
            yield from super().batches(columns, groups, batch_rows)
            return
        leaves = self._leaves(columns)
        windows = list(self._windows(leaves, groups))
        with ThreadPoolExecutor(1) as ahead:
            coming = [ahead.submit(self._fetch, columns, leaves, window) for window in windows[:1]]
            for place, window in enumerate(windows):
                coming.pop().result()
                if place + 1 < len(windows):
                    coming.append(ahead.submit(self._fetch, columns, leaves, windows[place + 1]))
                yield from super().batches(columns, window, batch_rows)

    def _is_summed_whole(self, size: int) -> bool:
        return False

    def _fetch(self, columns: Sequence[str], leaves: list[int], groups: Sequence[int]) -> None:
        assert self._copy is not None
        with self._telling.of(f"columns {listed(list(columns), 12)}"):
            self._copy.fetch(self._pages(leaf, group) for group in groups for leaf in leaves)

    def _leaves(self, columns: Sequence[str]) -> list[int]:
        """Return the Parquet columns that pyarrow reads for these; "jet.pt" for "jet" too."""
        schema = self._metadata.schema
        paths = [schema.column(leaf).path for leaf in range(len(schema))]
        begin = tuple(f"{name}." for name in columns)
        return [i for i, path in enumerate(paths) if path in columns or path.startswith(begin)]

    def _windows(self, leaves: list[int], groups: Sequence[int]) -> Iterator[list[int]]:
        """Yield consecutive row groups with so many bytes of the columns together."""
        window: list[int] = []
        size = 0
        for group in groups:
            spans = [self._pages(leaf, group) for leaf in leaves]
            window.append(group)
            size += sum(stop - start for start, stop in spans)
            if size >= WINDOW:
                yield window
                window, size = [], 0
        if window:
            yield window

    def _pages(self, leaf: int, group: int) -> Span:
        """Return where a column's pages of a row group lie."""
        chunk = self._metadata.row_group(group).column(leaf)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
            start = chunk.dictionary_page_offset
        return start, start + chunk.total_compressed_size


def with_footer(copy: Copy) -> bool:
    """Fetch the footer; return whether there is one and the server knows ranges."""
    try:
        copy.fetch([(max(0, copy.size - TAIL), copy.size)])
        end = copy.read((copy.size - 8, copy.size))
        length = int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC or length + 12 > copy.size:
            return False
        copy.fetch([(copy.size - 8 - length, copy.size)])
    except NoRangesError:
        return False
    copy.write(0, MAGIC)  # by which a file is known as Parquet, which its end has told
    return True
