"""What a format of scores is, and the types of columns as formats without Arrow's have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from steepest.events import extra
from steepest.events.formats.nested import plain_type, unreadable_name

__all__ = ["Batches", "Metadata", "Writer", "plain", "refused"]

Batches = Iterator[pa.RecordBatch]
Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Writer:
    """A format that scores are written in.

    Parameters
    ----------
    name, suffixes
        The name in messages; the suffixes of its files.
    parts
        Whether ``file:part`` names what is written inside.
    nulls
        Whether a value may be missing.
    refusal
        ``refusal(name, type)`` says why a column cannot be written; None if it can.
    write
        ``write(path, part, schema, batches, metadata)`` writes a new file; `part` is what is named
        inside it, and empty if nothing is.
    extra, packages
        What must be installed, and the extra that installs it.
    """

    name: str
    suffixes: tuple[str, ...]
    parts: bool
    nulls: bool
    refusal: Callable[[str, pa.DataType], str | None]
    write: Callable[[Path, str, pa.Schema, Batches, Metadata], None]
    extra: str = ""
    packages: tuple[str, ...] = ()

    def require(self) -> None:
        """Raise MissingExtraError unless the format's packages are installed."""
        for package in self.packages:
            extra.load(package, self.extra, f"Writing {self.name} files")


def plain(arrow: pa.DataType) -> pa.DataType:
    """Return the type with text as ``string`` and lists as 32-bit lists, without dictionaries.

    Examples
    --------
    >>> str(plain(pa.dictionary(pa.int8(), pa.large_string())))
    'string'
    """
    if pa.types.is_dictionary(arrow):
        return plain(arrow.value_type)
    return pa.string() if arrow == pa.string_view() else plain_type(arrow)


def refused(
    arrow: pa.DataType, depth: int, *, texts_in_lists: bool = False, half: bool = True
) -> str | None:
    """Return the name of a type that is not numbers, text or lists of them to a depth, else None.

    Lists of text and numbers of 16 bits are for the formats that have them.

    Examples
    --------
    >>> refused(pa.date32(), 0), refused(pa.list_(pa.float32()), 0), refused(pa.int8(), 0)
    ('date32[day]', 'list<item: float>', None)
    """
    inner, nesting = plain(arrow), 0
    while pa.types.is_list(inner):
        inner, nesting = inner.value_type, nesting + 1
    types = pa.types
    number = types.is_boolean(inner) or types.is_integer(inner) or types.is_floating(inner)
    text = types.is_string(inner) and (texts_in_lists or nesting == 0)
    if nesting <= depth and (text or (number and (half or inner != pa.float16()))):
        return None
    return unreadable_name(plain(arrow)) or str(plain(arrow))
