"""Parquet: every column as it was, and the metadata in the schema's."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steepest.events.formats.nested import unreadable_name
from steepest.prediction.writers.contract import Batches, Metadata, Writer

__all__ = ["PARQUET"]

ROW_GROUP, ROW_GROUP_BYTES = 131_072, 2**26
"""A row group ends at so many rows or bytes, whichever is first."""


def write(path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata) -> None:
    """Write a new file."""
    schema = schema.with_metadata(dict(metadata))
    # Of numbers a dictionary gains little and costs most of the time.
    dictionaries: list[str] = [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)
    ]
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": dictionaries}
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as writer:
        pending: list[pa.RecordBatch] = []
        for batch in batches:
            pending.append(batch)
            if _complete(pending):
                writer.write_table(pa.Table.from_batches(pending, schema), ROW_GROUP)
                pending = []
        if pending:
            writer.write_table(pa.Table.from_batches(pending, schema), ROW_GROUP)


def _complete(pending: list[pa.RecordBatch]) -> bool:
    rows = sum(batch.num_rows for batch in pending)
    return rows >= ROW_GROUP or sum(batch.nbytes for batch in pending) >= ROW_GROUP_BYTES


PARQUET = Writer(
    name="Parquet",
    suffixes=(".parquet", ".pq"),
    parts=False,
    nulls=True,
    refusal=lambda name, arrow: unreadable_name(arrow),  # what could not be read
    write=write,
)
