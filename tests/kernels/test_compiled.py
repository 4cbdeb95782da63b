"""Machine code on disk: used again, renewed, and never in the way. And work shared to threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from steepest.objective.threads import FEWEST, Crew, shared

NO_FOLDER = "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []"
FULL_DISK = """
from numba.core.caching import IndexDataCacheFile
def full(*_):
    raise OSError(28, "No space left on device")
IndexDataCacheFile.save = full
"""
TRAIN = """
import warnings
warnings.simplefilter("error")
import numpy as np
from steepest import Classifier
X = np.random.default_rng(0).normal(size=(60, 2))
model = Classifier(epochs=2, batch_size=8, learning_rate=0.1).fit(X, X[:, 0] > 0)
from steepest.kernels import linear
stats = linear.run_steps.stats
print(model.coef_.tobytes().hex(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def train(cache: Path, before: str = "") -> tuple[str, int, int]:
    """The bits of θ, and how often machine code was found on disk or not."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", before + TRAIN],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
    bits, hits, misses = done.stdout.split()
    return bits, int(hits), int(misses)


def test_the_second_process_finds_the_machine_code(tmp_path: Path):
    first, second = train(tmp_path), train(tmp_path)
    assert first[1:] == (0, 1)
    assert second[1:] == (1, 0)
    assert first[0] == second[0]


@pytest.mark.slow
def test_a_damaged_cache_is_not_used(tmp_path: Path):
    expected = train(tmp_path)
    for file in tmp_path.rglob("*.nb?"):
        file.write_bytes(b"\0" * 100)
    assert train(tmp_path)[0] == expected[0]


@pytest.mark.slow
@pytest.mark.parametrize("before", [NO_FOLDER, FULL_DISK])
def test_without_room_for_a_cache_nothing_is_said(tmp_path: Path, before: str):
    without = train(tmp_path, before)
    assert not list(tmp_path.rglob("*.nb?"))
    assert without[0] == train(tmp_path)[0]


@pytest.mark.parametrize("most", [1, 2])
@pytest.mark.parametrize("count", [0, 1, FEWEST, 50])
def test_results_come_in_the_order_of_the_work(most: int, count: int):
    crew = Crew(most)
    for _ in range(2):  # timed, then as chosen
        assert crew.map(lambda number: number**2, range(count)) == [n**2 for n in range(count)]


def test_work_is_shared():
    both_there = threading.Barrier(2, timeout=30)
    names = shared(lambda _: both_there.wait() >= 0 and threading.get_ident(), range(2), threads=2)
    assert len(set(names)) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_thread_raises_is_raised(threads: int):
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        shared(work, range(10), threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_of_several_errors_the_first_item_s_is_raised(threads: int):
    def work(number: int) -> None:
        if number >= 3:
            raise ValueError(str(number))

    for _ in range(20):
        with pytest.raises(ValueError, match=r"^3$"):
            shared(work, range(10), threads)


NESTED = """
import gc
from numba.core.codegen import JITCodeLibrary
from steepest.kernels.compiled import entry, part
made, make = [], JITCodeLibrary._finalize_specific
def counted(library):
    made.append(library.name)
    make(library)
JITCodeLibrary._finalize_specific = counted
@part
def one(x):
    return x + 1
@part
def two(x):
    return one(one(x))
@entry
def three(x):
    assert x < 100
    return two(one(x))
print(three(0), [name for name in made if name in ("one", "two", "three")], gc.isenabled())
gc.disable()
print(three(0.5), gc.isenabled())
"""
BESIDE = """
import threading
import numpy as np
done = threading.Event()
from steepest.kernels.compiled import while_compiling
from steepest.kernels.shuffling import shuffle
while_compiling(done.set)
rows = np.arange(5)
shuffle(rows, np.zeros(5))
print(done.wait({seconds}), sum(shuffle.stats.cache_misses.values()))
"""


def said_by(code: str, cache: Path) -> list[str]:
    """What a process with that cache prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_only_entries_become_machine_code(tmp_path: Path):
    assert said_by(NESTED, tmp_path) == ["3 ['three'] True", "3.5 False"]


def test_work_is_done_beside_a_compilation_and_else_not(tmp_path: Path):
    assert said_by(BESIDE.format(seconds=30), tmp_path) == ["True 1"]
    assert said_by(BESIDE.format(seconds=0.1), tmp_path) == ["False 0"]


WITHDRAWN = """
import numpy as np
from steepest.kernels.compiled import no_longer, while_compiling
from steepest.kernels.shuffling import shuffle
def work():
    print("begun")
while_compiling(work)
no_longer(work)
shuffle(np.arange(5), np.zeros(5))
no_longer(work)
"""
EXCHANGED = """
import numpy as np
from steepest.kernels import columns
for kind in ("float32", "float64"):
    print(columns.all_finite(np.ones(3, dtype=kind)))
print(sum(columns.all_finite.stats.cache_misses.values()))
"""


def test_what_is_withdrawn_does_not_begin(tmp_path: Path):
    assert said_by(WITHDRAWN, tmp_path) == []


def test_machine_code_of_other_types_is_not_used(tmp_path: Path):
    """Two processes that write at once can give one file to two types of arrays."""
    assert said_by(EXCHANGED, tmp_path) == ["True", "True", "2"]
    one, two = sorted(tmp_path.rglob("*all_finite*.nbc"))
    before = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(before)
    assert said_by(EXCHANGED, tmp_path)[:2] == ["True", "True"]
