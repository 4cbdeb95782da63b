"""What all tests share: a small sample of events, in arrays and in a Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def make_events(count: int = 1200, seed: int = 5) -> dict[str, np.ndarray]:
    """Two overlapping classes in three features of very different scales."""
    random = np.random.default_rng(seed)
    signal = random.integers(0, 2, count)
    pt = 550.0 + 100.0 * random.random(count)
    mass = 80.0 + 90.0 * signal + 35.0 * random.normal(size=count)
    ratio = 0.7 - 0.2 * signal + 0.12 * random.normal(size=count)
    return {
        "event_number": np.arange(count, dtype=np.int64) * 7 + 3,
        "pt": pt,
        "mass": mass,
        "ratio": ratio,
        "weight": 0.5 + random.random(count),
        "kind": np.array(["qcd", "w", "top"])[(signal + (ratio > 0.6)).clip(0, 2)],
        "is_top": signal.astype(np.int8),
    }


@pytest.fixture(scope="session")
def events() -> dict[str, np.ndarray]:
    return make_events()


@pytest.fixture
def events_file(tmp_path: Path, events: dict[str, np.ndarray]) -> Path:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(events), path)
    return path


@pytest.fixture
def recipe_table(events_file: Path) -> dict:
    """A recipe for the sample, quick to train."""
    return {
        "events": {
            "path": str(events_file),
            "label": "is_top",
            "features": ["pt", "mass", "ratio"],
            "weight": "weight",
            "split": {"validation": 0.2, "test": 0.2, "by": "event_number"},
        },
        "model": {"hidden": [8]},
        "descent": {"epochs": 4, "batch_size": 64, "learning_rate": 0.01},
    }
