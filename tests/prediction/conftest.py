"""Models of each task, trained in a moment, and events with every kind of column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import make_events
from steepest.events import open_events

LABELS = {"binary": "is_top", "multiclass": "kind", "regression": "mass"}


def table_of(path: object) -> pa.Table:
    """All columns of events, as steepest reads them."""
    source = open_events(path)  # type: ignore[arg-type]
    names = source.schema.names
    return pa.Table.from_batches([block.batch for block in source.batches(names)])


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task."""
    folder = tmp_path_factory.mktemp("runs")
    pq.write_table(pa.table(make_events()), folder / "train.parquet")
    made = {}
    for task, label in LABELS.items():
        features = ["pt", "ratio", {"name": "relative", "value": "ratio / pt"}]
        table = {
            "events": {
                "path": str(folder / "train.parquet"),
                "label": label,
                "features": features,
                "weight": "weight",
            },
            "model": {"hidden": [8]},
            "descent": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01},
        }
        made[task] = steepest.train(table, out=folder / task).path
    return made


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """1,500 events without label or weight, with jagged, text and boolean columns."""
    random = np.random.default_rng(3)
    count = 1500
    given = make_events(count, seed=8)
    lengths = random.integers(0, 5, count)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    items = random.normal(size=ends[-1])
    columns = {
        "event_number": given["event_number"],
        "pt": given["pt"],
        "ratio": given["ratio"],
        "part_pt": pa.ListArray.from_arrays(pa.array(ends), pa.array(items.astype(np.float32))),
        "part_good": pa.ListArray.from_arrays(pa.array(ends), pa.array(items > 0)),
        "charge": random.integers(-1, 2, count).astype(np.int8),
        "tight": random.integers(0, 2, count).astype(bool),
        "channel": np.array(["e", "µµ", ""])[random.integers(0, 3, count)],
        "run": np.full(count, 2**63 + 5, dtype=np.uint64),
        "x": random.normal(size=count).astype(np.float32),
    }
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=400)
    return path
