"""CSV, TSV and columns separated by blanks: streamed through pyarrow, with types that never change.

Text has no types, so the file is read once as it is opened: its rows are counted, and a column's
type follows from *all* of its integers. What a column *is* (numbers, true and false, or text) is
told by its first 10,000 values; a later value that is not one is an error, and no null. NA, NULL
and the like are missing values of numbers, and text among text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as arrow_csv

from steepest.errors import EventsError
from steepest.events.formats.contract import Condition, RowFilter
from steepest.events.formats.damage import DAMAGED, fingerprint, first_line, gone
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.words import listed

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers

NAME = "CSV"
SUFFIXES = (".csv", ".tsv")
MAGIC = b""
PARTS = False

FIRST = 10_000
"""So many first rows tell what a column is."""
SEPARATORS = ("\t", ";", ",")
BLANKS = " "
"""The separator of columns between which there are blanks, one or more."""
BLOCK = 2**20
"""Bytes that are parsed at once; pyarrow reads some 30 blocks ahead."""
TRUE, FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]
MARKERS = ["NA", "N/A", "n/a", "NaN", "nan", "NAN", "NULL", "null", "None", "-"]
"""What writers put in place of a number that there is not, besides nothing."""


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
        self._markers: dict[int, dict[str, int]] = {}
        """Of columns of numbers that have them, how often there is each of `MARKERS`."""

    @property
    def notes(self) -> list[str]:
        """A sentence for each column read so far in which NA or the like is taken as missing."""
        return [
            f"{self.path} has missing values in the column {self._layout.names[index]!r}: "
            f"{listed([f'{count} written as {marker}' for marker, count in counts.items()], 5)}."
            for index, counts in sorted(self._markers.items())
        ]

    def kept(self, where: Sequence[Condition]) -> list[int]:
        """Return the one group: text has no statistics."""
        return [0]

    def batches(
        self,
        columns: Sequence[str],
        groups: Sequence[int],
        batch_rows: int,
        row_filter: RowFilter | None = None,
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
        text, done = [index for index in indices if index in self._markers], 0
        types = {index: pa.string() if index in text else self._types[index] for index in indices}
        try:
            for block in self._stream(types):
                for index in text:
                    values = _cast(block.column(str(index)), self._types[index])
                    block = block.set_column(indices.index(index), str(index), values)
                yield block.select([str(index) for index in indices])
                done += block.num_rows
            return
        except OSError as error:
            raise gone(self.path, error) from None
        except pa.ArrowInvalid as error:
            if not self._find_markers(indices):
                for index in indices:
                    self._refuse_value(index)
                self._refuse_damage(error)
        for block in self._blocks(indices):
            skipped = min(done, block.num_rows)
            done -= skipped
            yield block.slice(skipped)

    def _find_markers(self, indices: list[int]) -> bool:
        """Count the markers in columns of which none were known; whether there are any."""
        unknown = [i for i in indices if i not in self._markers and self._types[i] != pa.string()]
        found: dict[int, dict[str, int]] = {index: {} for index in unknown}
        for block in self._stream(dict.fromkeys(unknown or [0], pa.string())):
            for index, counts in found.items():
                values = block.column(str(index))
                for each in pc.value_counts(
                    values.filter(pc.is_in(values, pa.array(MARKERS)))
                ).to_pylist():
                    marker = each["values"]
                    counts[marker] = counts.get(marker, 0) + each["counts"]
        found = {index: counts for index, counts in found.items() if counts}
        self._markers |= found
        return bool(found)

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
    values = _present(values)
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


def _present(values: pa.Array) -> pa.Array:
    """Return the texts that are neither null nor stand for a missing value."""
    values = values.drop_null()
    return values.filter(pc.invert(pc.is_in(values, pa.array(MARKERS))))


def _cast(values: pa.Array, arrow: pa.DataType) -> pa.Array:
    """Return texts as values of a type, null for those that stand for a missing value."""
    values = pc.if_else(pc.is_in(values, pa.array(MARKERS)), pa.scalar(None, pa.string()), values)
    if pa.types.is_boolean(arrow):
        return pc.if_else(pc.is_null(values), None, pc.is_in(values, pa.array(TRUE)))
    if pa.types.is_null(arrow):
        return pa.nulls(len(values))
    return pc.cast(pc.utf8_trim_whitespace(values), arrow)


def _converts(values: pa.Array, arrow: pa.DataType) -> bool:
    values = _present(values)
    if pa.types.is_boolean(arrow):
        return pc.all(pc.is_in(values, pa.array(TRUE + FALSE))).as_py()
    try:
        pc.cast(pc.utf8_trim_whitespace(values), arrow)
    except pa.ArrowInvalid:
        return False
    return True


def _long_integers(values: pa.Array) -> bool:
    """Whether all values are integers, and there are some that float64 may not hold."""
    values = _present(values)
    if not pc.all(pc.match_substring_regex(values, r"^\s*[+-]?[0-9]+\s*$")).as_py():
        return False
    return bool(pc.any(pc.match_substring_regex(values, "[0-9]{16,}")).as_py())


@dataclass(frozen=True)
class Layout:
    """The separator, the columns' names, and the lines before the first row."""

    separator: str
    names: list[str]
    skipped: int

    def rows(self, path: Path) -> Iterator[tuple[int, list[str], int]]:
        """Yield (row from 0, cells, line from 1), slowly; for messages."""
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            rest: Iterable[str] = islice(lines, self.skipped, None)
            if self.separator == BLANKS:
                rest = (" ".join(line.split()) for line in rest)
            reader, row = csv.reader(rest, delimiter=self.separator), 0
            for cells in reader:
                if cells:
                    yield row, cells, self.skipped + reader.line_num
                    row += 1


def layout_of(path: Path, name: str) -> Layout:
    """Return a file's layout, as its first lines tell it; `name` is the file's in messages.

    Lines that begin with ``#`` come before the table. The separator is the first of tab, semicolon
    and comma that stands in its first line outside of quotes; without these, blanks. If no cell of
    the line is a number it is the header; a column without a name is called by its place. Otherwise
    the last comment is the header if it has as many words as there are cells, as NumPy writes it;
    else the columns are called c0, c1, ….

    Raises
    ------
    EventsError
        Some cells of the first line are numbers and others are not.
    """
    comment, first, skipped = "", "", 0
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                first = line
                break
            comment, skipped = line.strip().lstrip("#").strip() or comment, skipped + 1
        second = next((line for line in lines if line.strip()), "")
    separator = _separator(first or comment, second)
    cells = _cells(first or comment, separator)
    numbers = [cell for cell in cells if _is_number(cell)]
    words = [cell for cell in cells if cell and not _is_number(cell) and cell not in MARKERS]
    if numbers and words:
        raise EventsError(
            f"The first line of {name} is neither names nor numbers.",
            expected="a header without numbers, or a row of numbers alone",
            found=f"{words[0]!r} and {numbers[0]!r}",
            cause="a table with a column of text and no header",
            do="write the columns' names as the first line",
        )
    numbered = [f"c{place}" for place in range(len(cells))]
    if not numbers:
        names = [cell or number for cell, number in zip(cells, numbered, strict=True)]
        return Layout(separator, names, skipped + 1 if first else skipped)
    named = [re.sub(r"\s*[\[(].*[\])]", "", cell) for cell in _cells(comment, separator)]
    is_header = len(named) == len(cells) and all(
        name and " " not in name and not _is_number(name) for name in named
    )
    return Layout(separator, _cells(comment, separator) if is_header else numbered, skipped)


def looks_like_a_table(head: bytes) -> bool:
    r"""Whether the first bytes of a file are lines of text with as many separators each.

    Examples
    --------
    >>> looks_like_a_table(b"1\t0.5\n0\t0.7\n"), looks_like_a_table(b"Dear reader,\nhello")
    (True, False)
    """
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < 512 else "ignore")
    except UnicodeDecodeError:
        return False
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if "\x00" in text or not lines or text.lstrip()[:1] in ("<", "{", "["):
        return False
    separator = _separator(lines[0], lines[1] if len(lines) > 1 else "")
    whole = lines[: max(1, len(lines) - 1)] if len(head) >= 512 else lines
    counts = {len(line.split() if separator == BLANKS else line.split(separator)) for line in whole}
    return len(counts) == 1 and counts != {1}


def stream(
    path: Path, layout: Layout, types: Mapping[int, pa.DataType]
) -> Iterator[pa.RecordBatch]:
    """Yield blocks of the columns of these places; they are called "0", "1", … by their places.

    Raises
    ------
    pyarrow.ArrowInvalid
        A value is none of its type, or a row has another number of cells.
    """
    names = [str(place) for place in range(len(layout.names))]
    options = {
        "read_options": arrow_csv.ReadOptions(
            use_threads=False,
            block_size=BLOCK,
            column_names=names,
            skip_rows=layout.skipped,
        ),
        "parse_options": arrow_csv.ParseOptions(
            delimiter=layout.separator, newlines_in_values=True, ignore_empty_lines=True
        ),
        "convert_options": arrow_csv.ConvertOptions(
            column_types={str(place): arrow for place, arrow in types.items()},
            include_columns=[str(place) for place in types],
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=TRUE,
            false_values=FALSE,
        ),
    }
    source = _SingleBlanks(path) if layout.separator == BLANKS else path
    with arrow_csv.open_csv(source, **options) as reader:
        yield from reader


class _SingleBlanks(io.RawIOBase):
    """The bytes of a file, with one blank in place of many, and none around lines."""

    def __init__(self, path: Path) -> None:
        self._file, self._rest = path.open("rb"), b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            lines = re.sub(rb"[ \t]+", b" ", self._file.read(BLOCK) + self._file.readline())
            self._rest = re.sub(rb" ?(\r?\n) ?", rb"\1", lines).strip(b" ")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _cells(line: str, separator: str) -> list[str]:
    line = " ".join(line.split()) if separator == BLANKS else line
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def _separator(line: str, following: str) -> str:
    """Return the separator of a line; that of blanks where the next line has as many parts."""
    outside = "".join(line.split('"')[::2])
    for mark in SEPARATORS:
        if mark in outside.strip(BLANKS):
            return mark
    parts, more = outside.split(), following.split()
    is_table = len(parts) == len(more) and any(map(_is_number, more))
    return BLANKS if len(parts) > 1 and (is_table or all(map(_is_number, parts))) else ","


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
