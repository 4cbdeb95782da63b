"""Where evaluated events are kept: in memory, on disk once they are too many, or in their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from steepest.events.reading.evaluation import Evaluated, narrow_type
from steepest.events.reading.plan import Plan
from steepest.events.reading.reread import FromFiles
from steepest.events.source import EventSource
from steepest.storage import AnyArray, Column

__all__ = ["MemoryBudget", "Store"]


@dataclass(frozen=True)
class MemoryBudget:
    """How much of the events memory may hold, and the folder on whose disk the rest lies."""

    bytes: int
    folder: Path


class Store:
    """Keeps what is evaluated: in memory, and all of it on disk once that is too much.

    Where nothing is selected from the events, it is known from the start whether it will be.
    Features that are columns of numbers are then not kept if their files can as well be read again
    (`rereads`).
    """

    def __init__(self, source: EventSource, plan: Plan, budget: MemoryBudget | None) -> None:
        schema = source.schema
        weights = [] if plan.weight is None else [plan.weight]
        many = max(source.file_rows) > np.iinfo(np.int32).max
        self.columns = {
            "features": Column(np.float64, narrow_type(plan.features, schema)),
            "labels": Column(np.float64, narrow_type([plan.label], schema)),
            "weights": Column(np.float64, narrow_type(weights, schema)),
            "extra": Column(np.float64),
            "rows": Column(np.int64, np.int64 if many else np.int32),
            "file": Column(np.int32, np.min_scalar_type(len(source.files))),
        }
        self.part: list[np.ndarray] = []
        self._budget = budget
        self._spilled = False
        if budget is not None and plan.select is None:
            numbers = len(plan.features) + 2 + len(weights) + len(plan.extra)
            if source.rows * (8 * numbers + 4) > budget.bytes:
                self._spill(budget)
        self._source, self._plan = source, plan
        self.rereads = self._spilled and source.reread and _are_columns(plan, schema)

    def add(self, block: Evaluated) -> None:
        """Keep what is selected of a block."""
        if not block.columns:
            return
        for name, array in block.columns.items():
            self.columns[name].append(array)
        self.part.append(block.part)
        if self._budget is not None and not self._spilled and self._nbytes > self._budget.bytes:
            self._spill(self._budget)

    def finish(self) -> dict[str, AnyArray]:
        """Return what there is, by name."""
        columns = {name: column.finish() for name, column in self.columns.items() if len(column)}
        if self.rereads and self._budget is not None:
            names = [next(iter(feature.columns)) for feature in self._plan.features]
            stored = narrow_type(self._plan.features, self._source.schema)
            columns["features"] = FromFiles(self._source, names, stored, self._budget.folder)
        return columns

    def notes(self) -> list[str]:
        """Return a sentence if the events lie on disk."""
        if not self._spilled or self._budget is None:
            return []
        return [
            f"The events ({self._nbytes / 2**30:.3g} GiB) are kept on disk, in "
            f"{self._budget.folder}: memory would hold "
            f"{self._budget.bytes / 2**30:.3g} GiB of them "
            "(events.memory)."
        ]

    @property
    def _nbytes(self) -> int:
        """Bytes that all events would take in memory."""
        again = 8 * len(self._plan.features) * self._source.rows if self.rereads else 0
        return again + sum(column.nbytes for column in self.columns.values())

    def _spill(self, budget: MemoryBudget) -> None:
        """Move what is kept to disk, and all that comes."""
        self._spilled = True
        for column in self.columns.values():
            column.spill(budget.folder)


def _are_columns(plan: Plan, schema: pa.Schema) -> bool:
    """Whether each feature is a column of numbers that none may be missing from."""
    if any(table.fill is not None for table in plan.tables.values()):
        return False
    return all(
        feature.column is not None and _is_number(schema.field(feature.column).type)
        for feature in plan.features
    )


def _is_number(arrow: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(arrow) or types.is_float32(arrow) or types.is_float64(arrow)
