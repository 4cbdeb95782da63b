"""The same recipe gives the same bits, whether its events lie in memory or on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
from steepest import storage
from steepest.descent import batches
from steepest.descent.batch_loader import BatchLoader
from steepest.descent.batches import Batches
from steepest.errors import EventsError, RecipeError
from steepest.objective import Batch
from steepest.recipe import EventsRecipe, bytes_in
from steepest.storage import DiskArray

ROWS = 6_000


@pytest.fixture
def small(monkeypatch):
    """Blocks, chunks and windows so small that a few thousand events have many of them."""
    monkeypatch.setattr(storage, "BLOCK", 1_000)
    monkeypatch.setattr(batches, "CHUNK", 64)
    monkeypatch.setattr(batches, "WINDOW", 512)


@pytest.fixture
def events(tmp_path):
    rng = np.random.default_rng(3)
    signal = rng.integers(0, 2, ROWS)
    x = rng.normal(size=(ROWS, 3)) + 0.5 * signal[:, None]
    kind = np.array(["w", "qcd", "top"])[(signal + rng.integers(0, 2, ROWS))]
    gaps = np.where(rng.random(ROWS) < 0.1, np.nan, x[:, 2])
    columns = {"a": x[:, 0], "b": 40 + 9 * x[:, 1], "c": gaps, "d": x[:, 0] + x[:, 1]}
    columns |= {"y": signal, "kind": kind, "w": rng.choice([1.0, 2.0, -0.5], ROWS)}
    path = tmp_path / "events.parquet"
    pl.DataFrame(columns).write_parquet(path, row_group_size=700)
    return str(path)


FEATURES = ["a", "b", {"name": "c", "value": "c", "fill": "median", "indicator": True}]
CASES = {
    "dense": {"label": "y", "weight": "w", "model": {"hidden": [8]}},
    "whiten": {"label": "y", "model": {"hidden": []}, "scaling": "whiten"},
    "quantile": {"label": "y", "model": {"hidden": []}, "scaling": "quantile"},
    "all": {"label": "y", "model": {"hidden": []}, "batch_size": "all", "optimizer": "sgd"},
    "single": {"label": "y", "model": {"hidden": []}, "batch_size": 1, "optimizer": "sgd"},
    "softmax": {"label": "kind", "weight": "w", "model": {"hidden": [4]}},
    "regression": {"label": "d", "model": {"hidden": [4]}},
}


def recipe_of(case: dict, path: str, memory: str) -> dict:
    case = dict(case)
    events = {"path": path, "features": FEATURES, "memory": memory, "label": case.pop("label")}
    if "weight" in case:
        events["weight"] = case.pop("weight")
    bins = [{"column": "b", "edges": [0, 30, 50, 90]}]
    baseline = events["label"] != "d"
    return {
        "events": events,
        "model": case.pop("model"),
        "descent": {"epochs": 2, "batch_size": 100, **case},
        "evaluate": {"bins": bins, "baseline": baseline},
    }


@pytest.mark.parametrize(
    "name",
    [
        case if case in ("dense", "single") else pytest.param(case, marks=pytest.mark.slow)
        for case in sorted(CASES)
    ],
)
def test_same_bits_in_memory_and_on_disk(small, events, tmp_path, name):
    runs = [
        steepest.train(recipe_of(CASES[name], events, memory), tmp_path / memory.replace(" ", ""))
        for memory in ("1 GB", "1 kB")
    ]
    assert [("kept on disk" in (run.path / "log.txt").read_text()) for run in runs] == [False, True]
    assert runs[0].model.theta.tobytes() == runs[1].model.theta.tobytes()
    timeless = [
        {
            key: value
            for key, value in (run.metrics or {}).items()
            if key not in ("seconds", "source")
        }
        for run in runs
    ]
    assert timeless[0] == timeless[1]
    steps = [run.history.drop("seconds", "events_per_second") for run in runs]
    assert steps[0].equals(steps[1])
    for figure in sorted((runs[0].path / "figures").glob("*.json")):
        other = runs[1].path / "figures" / figure.name
        assert json.loads(figure.read_text()) == json.loads(other.read_text()), figure.name
    assert runs[1].evaluate()["merits"]["model"] == timeless[1]["merits"]["model"]


def test_exact_needs_memory(small, events, tmp_path):
    recipe = recipe_of(CASES["regression"], events, "1 kB")
    recipe["model"], recipe["descent"] = {"hidden": []}, {"method": "exact"}
    with pytest.raises(EventsError) as error:
        steepest.train(recipe, tmp_path / "run")
    assert str(error.value) == (
        "The least-squares answer needs all events in memory, but these are kept on disk.\n"
        "  expected: memory for some six times the scaled features\n"
        "  found:    0.000746 GiB to be held\n"
        '  do:       raise events.memory, or set descent.method = "descent"'
    )


@pytest.mark.parametrize("size", [1, 100, 512, 1_000])
def test_batches_from_disk_are_those_from_memory(small, tmp_path, size):
    x = np.arange(3_000.0)
    disk = DiskArray(tmp_path, np.float64, (1,)), DiskArray(tmp_path, np.float64)
    disk[0].append(x[:, None])
    disk[1].append(x)
    order = Batches(len(x), size, 5)
    loader = BatchLoader(Batch(*disk), Batches(len(x), size, 5))
    taken = []
    for step in range(2 * order.per_epoch):
        batch = loader.batch(step)
        assert np.array_equal(batch.targets, x[order.rows(step)])
        assert np.array_equal(batch.inputs[:, 0], batch.targets)
        taken.append(batch.targets)
    first = np.concatenate(taken[: order.per_epoch])
    assert sorted(first) == x.tolist()
    assert np.array_equal(first, x[order.order(0)])
    assert not np.array_equal(first, np.concatenate(taken[order.per_epoch :]))


def test_two_levels_of_shuffle(small):
    order = Batches(3_000, 10, 0).order(0)
    window = order[:512]
    chunks = np.unique(window // 64)
    assert len(chunks) == 8  # whole chunks ...
    assert (np.diff(window) != 1).mean() > 0.9  # ... with their events permuted
    assert not np.array_equal(chunks, np.arange(8))


def test_sizes():
    sizes = [bytes_in(size) for size in ("1 B", "2kB", "500 MB", "1.5 GiB", "2TB")]
    assert sizes == [1, 2_000, 500_000_000, 3 * 2**29, 2 * 10**12]
    with pytest.raises(RecipeError, match="a size such as"):
        steepest.Recipe.from_dict({"events": {"path": "x", "label": "y", "memory": "much"}})
    assert EventsRecipe(path="x", label="y").memory == "auto"


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["standard", "whiten"])
def test_same_bits_where_the_files_are_read_again(small, events, tmp_path, scaling):
    """Columns of numbers alone: no copy of them is made before the parts are."""
    runs = []
    for memory in ("1 GB", "1 kB"):
        recipe = recipe_of({"label": "y", "weight": "w", "model": {"hidden": []}}, events, memory)
        recipe["events"]["features"] = ["a", "b", "d"]
        recipe["descent"]["scaling"] = scaling
        runs.append(steepest.train(recipe, tmp_path / memory.replace(" ", "")))
    assert ["kept on disk" in (run.path / "log.txt").read_text() for run in runs] == [False, True]
    assert runs[0].model.theta.tobytes() == runs[1].model.theta.tobytes()
    timeless = [{k: v for k, v in run.metrics.items() if k != "seconds"} for run in runs]
    assert timeless[0] == timeless[1]
    for figure in sorted((runs[0].path / "figures").glob("*.json")):
        assert figure.read_text() == (runs[1].path / "figures" / figure.name).read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_memory_of_figures_of_merit_does_not_grow_with_the_events(events, tmp_path):
    """Four times as many events, at most 30 MB more; their labels, weights and scores take 22 MB,
    and in memory what is sorted and summed of them several times as much.

    The smaller sample is longer than a run of the sorting.
    """
    recipe = {
        "events": {"path": events, "label": "y", "features": ["a", "b"], "weight": "w"},
        "model": {"hidden": []},
        "descent": {"epochs": 1},
        "evaluate": {
            "bins": [{"column": "b", "edges": [0, 30, 50, 90]}],
            "significance": {"signal": 100, "background": 1_000},
        },
    }
    recipe["events"]["memory"] = "1 MB"
    run = steepest.train(recipe, tmp_path / "run")
    code = (
        "import sys; from steepest.training import evaluate_run; evaluate_run(*sys.argv[1:]);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    peaks = []
    for count in (300_000, 1_200_000):
        rng = np.random.default_rng(count)
        signal = rng.integers(0, 2, count)
        columns = {name: rng.normal(size=count) + 0.3 * signal for name in ("a", "b")}
        columns |= {"y": signal, "w": rng.choice([1.0, 2.0, -0.2], count)}
        path = tmp_path / f"{count}.parquet"
        pl.DataFrame(columns).write_parquet(path, row_group_size=50_000)
        command = [sys.executable, "-c", code, str(run.path), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 30, peaks
