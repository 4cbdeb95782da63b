"""The types of a CSV file's columns, decided such that no value changes."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from steepest.events.formats.csv_layout import FALSE, TRUE, Layout, stream

__all__ = ["FIRST", "column_types", "convertible"]

FIRST = 10_000
"""So many first rows tell what a column is."""

pc: Any = pyarrow.compute  # its functions are made as it is imported, unseen by type checkers

NUMBERS = (pa.int64(), pa.float64())


def column_types(path: Path, layout: Layout) -> tuple[int, list[pa.DataType]]:
    """Return the number of rows, and the type of each column.

    The first 10,000 values that are not empty tell what a column holds. It is ``int64`` if
    all its values in the whole file are integers, else ``float64`` if they are numbers, ``bool`` if
    they are true or false, else ``string``. Integers beyond 64 bits stay ``string``, since float64
    would round them. A column without a value is ``null``.

    Raises
    ------
    pyarrow.ArrowInvalid
        A row has another number of cells, or the file is not UTF-8.
    """
    types = _first_types(path, layout)
    # Of the other columns nothing that follows changes the type.
    open_ones = [i for i, t in enumerate(types) if t == pa.int64() or pa.types.is_null(t)]
    read = dict.fromkeys(open_ones or [0], pa.string())
    rows = 0
    for block in stream(path, layout, read):
        for index in open_ones:
            types[index] = _widened(types[index], block.column(str(index)))
        rows += block.num_rows
    return rows, types


def _first_types(path: Path, layout: Layout) -> list[pa.DataType]:
    types = [pa.null()] * len(layout.names)
    rows = 0
    if not types:
        return types
    for block in stream(path, layout, dict.fromkeys(range(len(types)), pa.string())):
        block = block.slice(0, FIRST - rows)
        types = [_joint(t, column) for t, column in zip(types, block.columns, strict=True)]
        rows += block.num_rows
        if rows >= FIRST:
            break
    return types


def _joint(arrow: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the type of the values so far and of these; text holds whatever there is."""
    values = values.drop_null()
    if len(values) == 0:
        return arrow
    fitting = (t for t in chain(_upwards(arrow), [pa.string()]) if _all(values, t))
    return next(fitting)


def _widened(arrow: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the type once these values are in it: an integer column may turn out to be float."""
    values = values.drop_null()
    if pa.types.is_null(arrow):
        return _joint(arrow, values)
    if arrow != pa.int64() or len(values) == 0 or _all(values, arrow):
        return arrow
    if _long_integer(values):
        return pa.string()
    # What is no number at all is refused when the column is read, at its row.
    return next((t for t in _upwards(arrow) if _all(values, t)), pa.float64())


def _upwards(arrow: pa.DataType) -> tuple[pa.DataType, ...]:
    if pa.types.is_null(arrow):
        return (*NUMBERS, pa.bool_())
    return NUMBERS[NUMBERS.index(arrow) :] if arrow in NUMBERS else (arrow,)


def _all(values: pa.Array, arrow: pa.DataType) -> bool:
    """Whether all values are of a type; integers that float64 would round are no float64."""
    if pa.types.is_boolean(arrow) or pa.types.is_string(arrow):
        return convertible(values, arrow).true_count == len(values)
    try:
        pc.cast(pc.utf8_trim_whitespace(values), arrow)
    except pa.ArrowInvalid:
        return False
    return not (pa.types.is_floating(arrow) and _long_integer(values))


def _long_integer(values: pa.Array) -> bool:
    """Whether all values are integers, and there are some that float64 may not hold."""
    integer = pc.match_substring_regex(values, r"^\s*[+-]?[0-9]+\s*$")
    if not pc.all(integer).as_py():
        return False
    return bool(pc.any(pc.match_substring_regex(values, "[0-9]{16,}")).as_py())


def convertible(values: pa.Array, arrow: pa.DataType) -> pa.BooleanArray:
    """Return which values are of a type; empty ones are.

    Examples
    --------
    >>> convertible(pa.array(["1", "x", None]), pa.int64()).to_pylist()
    [True, False, True]
    """
    if pa.types.is_string(arrow):
        return pa.array([True] * len(values))
    if pa.types.is_boolean(arrow):
        return pc.or_(pc.is_in(values, pa.array(TRUE + FALSE)), pc.is_null(values))
    return pa.array([_fits(value, arrow) for value in values])


def _fits(value: pa.Scalar, arrow: pa.DataType) -> bool:
    try:
        pc.cast(pa.array([value.as_py()], pa.string()), arrow)
    except pa.ArrowInvalid:
        return False
    return True
