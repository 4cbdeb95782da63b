"""How a CSV file is laid out: separator, header, names; and its rows as a stream of blocks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from steepest.errors import EventsError

__all__ = ["FALSE", "TRUE", "Layout", "layout_of", "looks_like_a_table", "stream"]

SEPARATORS = ("\t", ";", ",")
BLOCK = 2**20
"""Bytes that are parsed at once; pyarrow reads some 30 blocks ahead."""
TRUE, FALSE = ["true", "True", "TRUE"], ["false", "False", "FALSE"]


@dataclass(frozen=True)
class Layout:
    """The separator, the columns' names, whether a header holds them, blank lines before it."""

    separator: str
    names: list[str]
    header: bool
    blank: int = 0

    def rows(self, path: Path) -> Iterator[tuple[int, list[str], int]]:
        """Yield (row from 0, cells, line from 1), slowly; for messages."""
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            reader = csv.reader(lines, delimiter=self.separator)
            row = -1 if self.header else 0
            for cells in reader:
                if not cells:
                    continue
                if row >= 0:
                    yield row, cells, reader.line_num
                row += 1


def layout_of(path: Path, name: str) -> Layout:
    """Return a file's layout, as its first line tells it; `name` is the file's in messages.

    The separator is the first of tab, semicolon and comma that stands in the line outside of
    quotes. If all cells are numbers there is no header, and the columns are called c0, c1, …. If no
    cell is a number it is the header; a column without a name is called by its place.

    Raises
    ------
    EventsError
        Some cells of the first line are numbers and others are not.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        blank, line = next(
            ((i, line) for i, line in enumerate(lines) if line.strip("\r\n")), (0, "")
        )
    separator = _separator(line)
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    numbers = [cell for cell in cells if _is_number(cell)]
    numbered = [f"c{place}" for place in range(len(cells))]
    header = len(numbers) == 0
    if numbers and any(cell and not _is_number(cell) for cell in cells):
        words = next(cell for cell in cells if cell and not _is_number(cell))
        raise EventsError(
            f"The first line of {name} is neither names nor numbers.",
            expected="a header without numbers, or a row of numbers alone",
            found=f"{words!r} and {numbers[0]!r}",
            cause="a table with a column of text and no header",
            do="write the columns' names as the first line",
        )
    names = [cell or number for cell, number in zip(cells, numbered, strict=True)]
    return Layout(separator, names if header else numbered, header, blank)


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
    lines = [line for line in text.splitlines() if line]
    if "\x00" in text or not lines or text.lstrip()[:1] in ("<", "{", "["):
        return False
    separator = _separator(lines[0])
    whole = lines[: max(1, len(lines) - 1)] if len(head) >= 512 else lines
    counts = {line.count(separator) for line in whole}
    return len(counts) == 1 and counts != {0}


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
            skip_rows_after_names=layout.blank + 1 if layout.header else 0,
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
    with arrow_csv.open_csv(path, **options) as reader:
        yield from reader


def _separator(line: str) -> str:
    outside = "".join(line.split('"')[::2])
    return next((mark for mark in SEPARATORS if mark in outside), ",")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
