"""Machine code on disk: used again, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = """
import warnings
warnings.simplefilter("error")
import numpy as np
from steepest import Classifier
X = np.random.default_rng(0).normal(size=(60, 2))
model = Classifier(epochs=2, batch_size=8, learning_rate=0.1).fit(X, X[:, 0] > 0)
print(model.coef_.tobytes().hex())
"""
NO_FOLDER = "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []\n"
FULL_DISK = """
from numba.core.caching import IndexDataCacheFile
def full(*_):
    raise OSError(28, "No space left on device")
IndexDataCacheFile.save = full
"""


def train(cache: Path, before: str = "") -> str:
    """The bits of θ."""
    done = subprocess.run(
        [sys.executable, "-c", before + TRAIN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    assert done.stderr == ""
    return done.stdout


def codes(cache: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in cache.rglob("*.nbc")}


@pytest.mark.slow
def test_the_second_process_finds_the_machine_code(tmp_path: Path):
    first, before = train(tmp_path), codes(tmp_path)
    assert before
    assert train(tmp_path) == first
    assert codes(tmp_path) == before


@pytest.mark.slow
def test_a_damaged_cache_is_not_used(tmp_path: Path):
    expected = train(tmp_path)
    for file in tmp_path.rglob("*.nb?"):
        file.write_bytes(b"\0" * 100)
    assert train(tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("before", [NO_FOLDER, FULL_DISK])
def test_without_a_place_for_a_cache_nothing_is_said(tmp_path: Path, before: str):
    without = train(tmp_path, before)
    assert not list(tmp_path.rglob("*.nbc"))
    assert without == train(tmp_path)


def test_neither_the_package_nor_its_help_imports_numba():
    code = "import sys, steepest; print(any(m in sys.modules for m in ('numba', 'numpy')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
