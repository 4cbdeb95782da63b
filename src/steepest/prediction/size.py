"""How many rows are held at once, and how many are a part: so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from steepest.events import EventSource

__all__ = ["block_rows", "bytes_of_a_row", "part_rows"]

BLOCK, PART = 32 * 2**20, 256 * 2**20
"""Bytes that a block of events and a part of the file are to have, about."""
MOST_IN_BLOCK, MOST_IN_PART = 65_536, 2**20
LEAST = 1024

UNPACKED = 4
"""Lists and texts of a file take so many times the file's bytes in memory, rather less."""
TEXT = 16


def block_rows(width: float) -> int:
    """Return how many events are read at once, for so many bytes a row.

    Examples
    --------
    >>> block_rows(28 * 8), block_rows(20_000)
    (65536, 1677)
    """
    return int(min(MOST_IN_BLOCK, max(LEAST, BLOCK / width)))


def part_rows(width: float) -> int:
    """Return how many events are a part.

    Examples
    --------
    >>> part_rows(28 * 8), part_rows(20_000)
    (1048576, 13421)
    """
    return int(min(MOST_IN_PART, max(LEAST, PART / width)))


def bytes_of_a_row(source: EventSource, columns: Sequence[str]) -> float:
    """Return about how many bytes a row of the columns takes in memory.

    Of lists the files' sizes tell; columns that are not read count too, so it is rather too many.
    """
    types = [source.schema.field(name).type for name in columns]
    fixed = sum(_bytes(arrow) for arrow in types)
    if all(_is_single(arrow) for arrow in types):
        return max(fixed, 1.0)
    return max(fixed, UNPACKED * source.nbytes / source.rows)


def _is_single(arrow: pa.DataType) -> bool:
    return not pa.types.is_nested(arrow)


def _bytes(arrow: pa.DataType) -> float:
    try:
        return arrow.bit_width / 8
    except ValueError:  # of lists and texts
        return TEXT
