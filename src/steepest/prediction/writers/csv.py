"""CSV: single values only, and no metadata, since it has no place for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from steepest.prediction.writers.plain import is_number, is_text, plain, refused_type

__all__ = ["NAME", "NULLS", "PARTS", "SUFFIXES", "refusal", "require", "write"]

NAME = "CSV"
SUFFIXES = (".csv", ".tsv")
PARTS = False
NULLS = True


def require() -> None:
    """Return: nothing further is needed."""


def refusal(name: str, arrow: pa.DataType) -> str | None:
    """Return why a column cannot be written: it has no single numbers or texts."""
    arrow = plain(arrow)
    return None if is_number(arrow) or is_text(arrow) else refused_type(arrow)


def write(
    path: Path,
    part: str,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    metadata: Mapping[str, str],
) -> None:
    """Write a new file; a null is an empty cell, text is quoted."""
    options = arrow_csv.WriteOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    with arrow_csv.CSVWriter(path, schema, write_options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
