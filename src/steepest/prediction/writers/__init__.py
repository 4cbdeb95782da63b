"""The formats that scores are written in, each a module, chosen by the file's suffix.

A writer has ``NAME``, ``SUFFIXES``, ``PARTS`` (whether ``file:part`` names what is written inside),
``NULLS`` (whether a value may be missing), ``require()``, which refuses where its package is not
installed, ``refusal(name, type)``, which says why a column cannot be written, and
``write(path, part, schema, batches, metadata)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from steepest.prediction.writers import csv, hdf5, parquet, rntuple, root

__all__ = ["WRITERS", "Writer", "rntuple"]


class Writer(Protocol):
    """What a module must have to be a writer."""

    @property
    def NAME(self) -> str: ...  # noqa: D102
    @property
    def SUFFIXES(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def PARTS(self) -> bool: ...  # noqa: D102
    @property
    def NULLS(self) -> bool: ...  # noqa: D102
    def require(self) -> None:
        """Raise MissingExtraError unless the writer's package is installed."""

    def refusal(self, name: str, arrow: pa.DataType) -> str | None:
        """Return why a column of this name and type cannot be written; None if it can."""

    def write(
        self,
        path: Path,
        part: str,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch],
        metadata: Mapping[str, str],
    ) -> None:
        """Write a new file; `part` is what is named inside it, and empty if nothing is."""


WRITERS: tuple[Writer, ...] = (parquet, root, hdf5, csv)
