"""CSV and TSV, with or without a header: streamed through pyarrow, with types that never change.

Text has no types, so the file is read once as it is opened: its rows are counted, and a column's
type follows from *all* of its integers. What a column *is* (numbers, true and false, or text) is
told by its first 10,000 values; a later value that is not one is an error, and no null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute

from steepest.errors import EventsError
from steepest.events.formats.contract import Condition
from steepest.events.formats.csv_layout import FALSE, TRUE, layout_of, looks_like_a_table, stream
from steepest.events.formats.damage import DAMAGED, fingerprint, first_line, gone
from steepest.events.remote import FilePath, RemoteFile

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers

__all__ = ["MAGIC", "NAME", "PARTS", "SUFFIXES", "CsvEvents", "looks_like_a_table", "open_file"]

NAME = "CSV"
SUFFIXES = (".csv", ".tsv")
MAGIC = b""
PARTS = False

FIRST = 10_000
"""So many first rows tell what a column is."""


def open_file(path: FilePath) -> CsvEvents:
    """Open one CSV or TSV file: its rows are counted and its types decided.

    Raises
    ------
    EventsError
        Its first row mixes names and numbers, a row has another number of cells, or it is not text
        in UTF-8.
    """
    return CsvEvents(path)


class CsvEvents:
    """One CSV file; an `EventFile` of one group. A remote one is downloaded whole."""

    groups = 1

    def __init__(self, path: FilePath) -> None:
        self.path = path
        self._local = path.whole() if isinstance(path, RemoteFile) else path
        self._layout = layout_of(self._local, str(path))
        try:
            self.rows, self._types = self._types_of_all()
        except pa.ArrowInvalid as error:
            self._refuse_damage(error)
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

    def _stream(self, types: dict[int, pa.DataType]) -> Iterator[pa.RecordBatch]:
        return stream(self._local, self._layout, types)

    def _types_of_all(self) -> tuple[int, list[pa.DataType]]:
        """Return the number of rows, and the type of each column.

        The first 10,000 rows tell what a column holds. It is ``int64`` if all its values in the
        whole file are integers, else ``float64`` if they are numbers, ``bool`` if they are true or
        false, else ``string``. Integers beyond 64 bits stay ``string``, since float64 would round
        them. A column without a value is ``null``.
        """
        types, rows = [pa.null()] * len(self._layout.names), 0
        for block in self._stream(dict.fromkeys(range(len(types)), pa.string())):
            block = block.slice(0, FIRST - rows)
            types = [_joint(t, column) for t, column in zip(types, block.columns, strict=True)]
            rows += block.num_rows
            if rows >= FIRST:
                break
        # Of the other columns nothing that follows changes the type.
        undecided = [i for i, t in enumerate(types) if t == pa.int64() or pa.types.is_null(t)]
        rows = 0
        for block in self._stream(dict.fromkeys(undecided or [0], pa.string())):
            for index in undecided:
                types[index] = _widened(types[index], block.column(str(index)))
            rows += block.num_rows
        return rows, types

    def _blocks(self, indices: list[int]) -> Iterator[pa.RecordBatch]:
        try:
            for block in self._stream({index: self._types[index] for index in indices}):
                yield block.select([str(index) for index in indices])
        except OSError as error:
            raise gone(self.path, error) from None
        except pa.ArrowInvalid as error:
            for index in indices:
                self._refuse_value(index)
            self._refuse_damage(error)

    def _refuse_value(self, index: int) -> None:
        """Raise EventsError for the first value of a column that is none of its type."""
        arrow, row = self._types[index], 0
        kind = "true or false" if pa.types.is_boolean(arrow) else "a number"
        for block in self._stream({index: pa.string()}):
            values = block.column(0)
            if not _converts(values, arrow):
                ones = (values.slice(i, 1) for i in range(len(values)))
                place = next(i for i, one in enumerate(ones) if not _converts(one, arrow))
                raise EventsError(
                    f"{self.path} has a value in column {self._layout.names[index]!r} at row "
                    f"{row + place} that is not {kind}.",
                    expected=f"{kind}, as in the rows before",
                    found=repr(values[place].as_py()),
                    cause="a line that was damaged or written by hand, or two files joined",
                    do="correct that line; an empty cell is a missing value",
                )
            row += len(values)

    def _refuse_damage(self, error: BaseException) -> NoReturn:
        """Raise EventsError for what the parser refused."""
        text, layout = first_line(error), self._layout
        if "UTF8" in text:
            raise EventsError(
                f"{self.path} is not text in UTF-8.",
                expected="UTF-8",
                found=text,
                cause="it was written in another encoding, such as Latin-1",
                do=f"iconv -f latin1 -t utf-8 {self.path} > converted.csv",
            ) from None
        for row, cells, line in layout.rows(self._local):
            if len(cells) != len(layout.names):
                raise EventsError(
                    f"{self.path} has another number of cells at row {row} (line {line}).",
                    expected=f"{len(layout.names)} cells, as in the first row",
                    found=f"{len(cells)}: {layout.separator.join(cells)[:60]!r}",
                    cause="the file is cut short, or text holds the separator and is not quoted",
                    do="correct that line, or write the file again",
                ) from None
        raise EventsError(f"{self.path} cannot be read.", found=text, cause=DAMAGED) from None


def _joint(arrow: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the type of the values so far and of these; text holds whatever there is."""
    values = values.drop_null()
    if len(values) == 0:
        return arrow
    wider = {pa.null(): (pa.int64(), pa.float64(), pa.bool_()), pa.int64(): (arrow, pa.float64())}
    candidates = (*wider.get(arrow, (arrow,)), pa.string())
    return next(candidate for candidate in candidates if _all(values, candidate))


def _widened(arrow: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the type of a column once these values are in it, after its kind has been decided."""
    if pa.types.is_null(arrow):
        return _joint(arrow, values)
    joint = _joint(arrow, values) if arrow == pa.int64() else arrow
    if arrow == pa.int64() and pa.types.is_string(joint) and not _long_integers(values):
        return pa.float64()  # what is no number at all is refused when the column is read
    return joint


def _all(values: pa.Array, arrow: pa.DataType) -> bool:
    """Whether all values are of a type; integers that float64 would round are no float64."""
    return _converts(values, arrow) and not (pa.types.is_floating(arrow) and _long_integers(values))


def _converts(values: pa.Array, arrow: pa.DataType) -> bool:
    if pa.types.is_boolean(arrow):
        return pc.all(pc.is_in(values.drop_null(), pa.array(TRUE + FALSE))).as_py()
    try:
        pc.cast(pc.utf8_trim_whitespace(values), arrow)
    except pa.ArrowInvalid:
        return False
    return True


def _long_integers(values: pa.Array) -> bool:
    """Whether all values are integers, and there are some that float64 may not hold."""
    values = values.drop_null()
    if not pc.all(pc.match_substring_regex(values, r"^\s*[+-]?[0-9]+\s*$")).as_py():
        return False
    return bool(pc.any(pc.match_substring_regex(values, "[0-9]{16,}")).as_py())
