"""CSV: single values only, and no metadata, since it has no place for them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from steepest.prediction.writers.contract import Batches, Metadata, Writer, refused

__all__ = ["CSV"]


def write(path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata) -> None:
    """Write a new file; a null is an empty cell, text is quoted."""
    options = arrow_csv.WriteOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    with arrow_csv.CSVWriter(path, schema, write_options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


CSV = Writer(
    name="CSV",
    suffixes=(".csv", ".tsv"),
    parts=False,
    nulls=True,
    refusal=lambda name, arrow: refused(arrow, 0),
    write=write,
)
