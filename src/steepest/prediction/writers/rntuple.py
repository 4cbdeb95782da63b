"""ROOT: an RNTuple, through uproot; lists of text and lists of lists too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.prediction.writers.awkward import form_of
from steepest.prediction.writers.plain import is_number, is_text, items_of, plain, refused_type
from steepest.prediction.writers.root import PARTS, SUFFIXES, TREE, require, write_tree

__all__ = ["NAME", "NULLS", "PARTS", "SUFFIXES", "refusal", "require", "write"]

NAME = "ROOT (RNTuple)"
NULLS = False


def refusal(name: str, arrow: pa.DataType) -> str | None:
    """Return why a column cannot be written: it has no numbers, texts, or lists of these."""
    inner = plain(arrow)
    while (items := items_of(inner)) is not None:
        inner = items
    if "." in name:
        return f"a name that RNTuple takes for a path: {name!r}"
    writable = (is_number(inner) and inner != pa.float16()) or is_text(inner)
    return None if writable else refused_type(plain(arrow))


def write(
    path: Path,
    part: str,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    metadata: Mapping[str, str],
) -> None:
    """Write a new file with the RNTuple `part`, or ``events``; the metadata are strings."""

    def made(directory: Any, name: str) -> Any:
        return directory.mkrntuple(name, form_of(schema))

    write_tree(path, part or TREE, batches, metadata, made)
