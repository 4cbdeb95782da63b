"""Columns as formats without Arrow's types take them: plain numbers, text, lists of these."""

from __future__ import annotations

import pyarrow as pa

from steepest.events.formats.nested import plain_type, unreadable_name

__all__ = ["is_number", "is_text", "items_of", "plain", "refused_type"]


def plain(arrow: pa.DataType) -> pa.DataType:
    """Return the type with text as ``string`` and lists as 32-bit lists, without dictionaries.

    Examples
    --------
    >>> str(plain(pa.dictionary(pa.int8(), pa.large_string())))
    'string'
    """
    if pa.types.is_dictionary(arrow):
        return plain(arrow.value_type)
    if arrow == pa.string_view():
        return pa.string()
    return plain_type(arrow)


def is_number(arrow: pa.DataType) -> bool:
    """Whether it is a number of a width that NumPy has, or a boolean."""
    types = pa.types
    return types.is_boolean(arrow) or types.is_integer(arrow) or types.is_floating(arrow)


def is_text(arrow: pa.DataType) -> bool:
    """Whether it is text, once it is `plain`."""
    return pa.types.is_string(arrow)


def items_of(arrow: pa.DataType) -> pa.DataType | None:
    """Return the type of a list's items; None if it is no list."""
    return arrow.value_type if pa.types.is_list(arrow) else None


def refused_type(arrow: pa.DataType) -> str:
    """Return the name of a type that cannot be written, as a message has it.

    Examples
    --------
    >>> refused_type(pa.date32())
    'date32[day]'
    """
    return unreadable_name(arrow) or str(arrow)
