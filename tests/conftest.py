"""What all tests share: a small sample of events, in arrays and in a Parquet file."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events, small_recipe

ROOT = Path(__file__).parents[1]
collect_ignore = ["toy_models.py", "toys.py"]
"""Imported by name: as doctest modules they would be imported twice, and registered twice."""


def cache_of_this_source() -> Path:
    """A folder for machine code: Numba itself looks at a kernel's own file, not at its helpers'."""
    files = sorted((ROOT / "src/steepest/compiled").rglob("*.py"))
    source = b"".join(file.read_bytes() for file in files)
    return ROOT / ".numba_cache" / hashlib.sha256(source).hexdigest()[:16]


os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_of_this_source()))  # before Numba is imported
os.environ.setdefault("MKL_NUM_THREADS", "1")  # of PyTorch: with as many test processes as cores,
# each of its small loops would spin for a core that another process has, five times the work

hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("new", deadline=None)
hypothesis.settings.load_profile(os.environ.get("STEEPEST_TEST_DRAWS", "same"))
"""The same examples each time, so that a test fails by what was changed; `new` ones on demand."""


@pytest.hookimpl(trylast=True)  # after those that are not asked for are left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Two processes begin with the halves of the list: one compiles kernels, one reads events.

    Otherwise each would compile the same kernels at the same time, for half a minute in all.
    """
    if hasattr(config, "workerinput"):
        compiled, reading, others = [], [], []
        for item in items:
            room = item.path.parent.name
            first = {"compiled": compiled, "events": reading, "simulate": reading}
            first.get(room, others).append(item)
        place = max(0, len(items) // 2 - len(compiled))
        items[:] = [*compiled, *others[:place], *reading, *others[place:]]


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through it after every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """Training draws no figures, but for tests that ask for `drawn`."""
    from undrawn import undrawn_figures

    with undrawn_figures():
        yield


@pytest.fixture(scope="session", autouse=True)
def _unsynced() -> Iterator[None]:
    """Nothing waits for the disk: a run has a hundred files, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses a descriptor that is not open, too
        yield


@pytest.fixture
def drawn(undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training draws its figures in this test."""
    from steepest.evaluate.figures.process import drawing_process
    from steepest.training.background import Drawing
    from undrawn import draw

    draw(monkeypatch, drawing_process, Drawing)


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
    return small_recipe(events_file)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, events: dict[str, np.ndarray]) -> Path:
    """A finished run of `small_recipe`, for tests that only read it."""
    import steepest

    folder = tmp_path_factory.mktemp("trained")
    pq.write_table(pa.table(events), folder / "events.parquet")
    return steepest.train(small_recipe(folder / "events.parquet"), folder / "run").path


@pytest.fixture
def trained_copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained`, for tests that change it."""
    return Path(shutil.copytree(trained, tmp_path / "run"))
