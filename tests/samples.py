"""Small samples that tests are made on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


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


def small_recipe(path: Path) -> dict:
    """A recipe for the sample in a file, quick to train."""
    return {
        "events": {
            "path": str(path),
            "label": "is_top",
            "features": ["pt", "mass", "ratio"],
            "weight": "weight",
            "split": {"validation": 0.2, "test": 0.2, "by": "event_number"},
        },
        "model": {"hidden": [8]},
        "descent": {"epochs": 4, "batch_size": 64, "learning_rate": 0.01},
    }


def write_jets(path: Path, events: int = 400, seed: int = 0) -> dict[str, pa.Array]:
    """Jets of two prongs (y = 1) and of one; some have no particle."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, events)
    lengths = random.integers(2, 12, events)
    lengths[::50] = 0
    jet = np.repeat(np.arange(events), lengths)
    prong = random.choice([-0.4, 0.4], len(jet)) * y[jet]
    columns = {
        "part_pt": random.exponential(20.0, len(jet)) + 1.0,
        "part_eta": prong + random.normal(0, 0.1, len(jet)),
        "part_phi": random.normal(0, 0.1, len(jet)),
    }
    columns["part_energy"] = columns["part_pt"] * np.cosh(columns["part_eta"])
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    lists = {n: pa.ListArray.from_arrays(offsets, pa.array(v)) for n, v in columns.items()}
    pq.write_table(pa.table({"y": pa.array(y), **lists}), path)
    return lists
