"""CSV and TSV, with or without a header: streamed through pyarrow, with types that never change.

Text has no types, so the file is read once as it is opened: its rows are counted, and a column's
type follows from *all* of its integers. What a column *is* (numbers, true and false, or text) is
told by its first 10,000 values; a later value that is not one is an error, and no null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute

from steepest.errors import EventsError
from steepest.events.formats.contract import Condition
from steepest.events.formats.csv_layout import Layout, layout_of, looks_like_a_table, stream
from steepest.events.formats.csv_types import column_types, convertible
from steepest.events.formats.damage import DAMAGED, fingerprint, first_line, gone

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers

__all__ = ["MAGIC", "NAME", "PARTS", "SUFFIXES", "CsvEvents", "looks_like_a_table", "open_file"]

NAME = "CSV"
SUFFIXES = (".csv", ".tsv")
MAGIC = b""
PARTS = False


def open_file(path: Path) -> CsvEvents:
    """Open one CSV or TSV file: its rows are counted and its types decided.

    Raises
    ------
    EventsError
        Its first row mixes names and numbers, a row has another number of cells, or it is not text
        in UTF-8.
    """
    return CsvEvents(path)


class CsvEvents:
    """One CSV file; an `EventFile` of one group."""

    groups = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self._layout = layout_of(path)
        try:
            self.rows, self._types = column_types(path, self._layout)
        except pa.ArrowInvalid as error:
            _refuse_damage(path, self._layout, error)
        self.schema = pa.schema(
            [pa.field(n, t) for n, t in zip(self._layout.names, self._types, strict=True)]
        )

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the one group: text has no statistics."""
        return [0]

    def batches(
        self, columns: Sequence[str], groups: Sequence[int], batch_rows: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield (first row in the file, batch); only the named columns are converted."""
        if not groups or self.rows == 0:
            return
        indices = [self._layout.names.index(name) for name in columns]
        row = 0
        for block in self._blocks(indices):
            block = pa.record_batch(block.columns, names=list(columns))
            for start in range(0, block.num_rows, batch_rows):
                batch = block.slice(start, batch_rows)
                yield row, batch
                row += batch.num_rows

    def fingerprint(self) -> dict[str, Any]:
        """Return name, size, rows and sha256."""
        return fingerprint(self.path, self.rows)

    def _blocks(self, indices: list[int]) -> Iterator[pa.RecordBatch]:
        types = {index: self._types[index] for index in indices}
        try:
            for block in stream(self.path, self._layout, types):
                yield block.select([str(index) for index in indices])
        except OSError as error:
            raise gone(self.path, error) from None
        except pa.ArrowInvalid as error:
            for index in indices:
                self._refuse_value(index)
            _refuse_damage(self.path, self._layout, error)

    def _refuse_value(self, index: int) -> None:
        """Raise EventsError for the first value of a column that is none of its type."""
        arrow, row = self._types[index], 0
        for block in stream(self.path, self._layout, {index: pa.string()}):
            values = block.column(0)
            fit = convertible(values, arrow)
            if fit.true_count != len(fit):
                place = pc.index(fit, False).as_py()
                raise EventsError(
                    f"{self.path} has a value in column {self._layout.names[index]!r} at row "
                    f"{row + place} that is not {_words(arrow)}.",
                    expected=f"{_words(arrow)}, as in the rows before",
                    found=repr(values[place].as_py()),
                    cause="a line that was damaged or written by hand, or two files joined",
                    do="correct that line; an empty cell is a missing value",
                )
            row += len(values)


def _words(arrow: pa.DataType) -> str:
    if pa.types.is_boolean(arrow):
        return "true or false"
    return "text" if pa.types.is_string(arrow) else "a number"


def _refuse_damage(path: Path, layout: Layout, error: BaseException) -> NoReturn:
    """Raise EventsError for what the parser refused."""
    text = first_line(error)
    if "UTF8" in text:
        raise EventsError(
            f"{path} is not text in UTF-8.",
            expected="UTF-8",
            found=text,
            cause="it was written in another encoding, such as Latin-1",
            do=f"iconv -f latin1 -t utf-8 {path} > converted.csv",
        ) from None
    for row, cells, line in layout.rows(path):
        if len(cells) != len(layout.names):
            raise EventsError(
                f"{path} has another number of cells at row {row} (line {line}).",
                expected=f"{len(layout.names)} cells, as in the first row",
                found=f"{len(cells)}: {layout.separator.join(cells)[:60]!r}",
                cause="the file is cut short, or text holds the separator and is not quoted",
                do="correct that line, or write the file again",
            ) from None
    raise EventsError(f"{path} cannot be read.", found=text, cause=DAMAGED) from None
