"""Small samples that tests are made on."""

from __future__ import annotations

from pathlib import Path

import numpy as np


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
