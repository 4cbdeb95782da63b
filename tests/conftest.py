"""What all tests share: a small sample of events, in arrays and in a Parquet file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events

ROOT = Path(__file__).parents[1]
collect_ignore = ["toy_models.py", "toys.py"]
"""Imported by name: as doctest modules they would be imported twice, and registered twice."""


def cache_of_this_source() -> Path:
    """A folder for machine code: Numba itself looks at a kernel's own file, not at its helpers'."""
    files = sorted((ROOT / "src/steepest/compiled").rglob("*.py"))
    source = b"".join(file.read_bytes() for file in files)
    return ROOT / ".numba_cache" / hashlib.sha256(source).hexdigest()[:16]


os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_of_this_source()))  # before Numba is imported

hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("new", deadline=None)
hypothesis.settings.load_profile(os.environ.get("STEEPEST_TEST_DRAWS", "same"))
"""The same examples each time, so that a test fails by what was changed; `new` ones on demand."""


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
