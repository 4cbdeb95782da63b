"""Features that are read from their files again are those that memory would hold."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from steepest.errors import EventsError
from steepest.events import PARTS, MemoryBudget, load_sample
from steepest.events import source as module
from steepest.events.reading.store import FromFiles
from steepest.recipe import EventsRecipe
from steepest.storage import DiskArray, in_memory, split

ROWS = 3_000
RANDOM = np.random.default_rng(5)
COLUMNS = {
    "pt": RANDOM.exponential(50, ROWS).astype(np.float32),
    "charge": RANDOM.integers(-1, 2, ROWS).astype(np.int8),
    "eta": RANDOM.normal(size=ROWS).astype(np.float32),
    "y": RANDOM.integers(0, 2, ROWS).astype(np.int8),
}
NARROW, WIDE = ["pt", "charge", "eta"], ["pt", "number", "mass"]
CHANGED = """
The events of DIR/jets.parquet have changed while they were in use.
  expected: the same 3,000 events each time that they are read
  found:    other content, or another number of events
  cause:    a job that still writes them
  do:       wait until it is done, or copy the files
"""


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 256)


@pytest.fixture
def path(write, tmp_path):
    more = {"mass": RANDOM.normal(90, 9, ROWS), "number": RANDOM.integers(0, 2**60, ROWS)}
    for part, rows in enumerate([slice(0, 1_100), slice(1_100, None)]):
        table = {name: values[rows] for name, values in {**COLUMNS, **more}.items()}
        write(table, f"jets-{part}.parquet", row_group_size=700)
    return str(tmp_path / "jets-*.parquet")


def both(path, tmp_path, **keys):
    recipe = EventsRecipe(path=path, label="y", **keys)
    return load_sample(recipe), load_sample(recipe, budget=MemoryBudget(1_000, tmp_path))


@pytest.mark.parametrize("features", [NARROW, WIDE])
def test_the_same_bits(small, path, tmp_path, features) -> None:
    memory, files = both(path, tmp_path, features=features)
    again = files.features
    assert isinstance(again, FromFiles)
    assert again.shape == memory.features.shape == (ROWS, 3)
    assert again.stored == (np.float32 if features is NARROW else np.float64)
    assert "kept on disk" in " ".join(files.notes)
    for rows in (slice(None), slice(5, 300), slice(1_090, 1_110), slice(2, 3), slice(0, None, 7)):
        assert again[rows].tobytes() == memory.features[rows].tobytes()
    some = RANDOM.integers(0, ROWS, 40)
    assert np.array_equal(again[some], memory.features[some])
    for part in PARTS:
        mine, theirs = files.of(part), memory.of(part)
        assert isinstance(mine.features, DiskArray)
        for name in ("features", "labels", "rows", "file"):
            values = in_memory(getattr(mine, name))
            assert values.dtype == getattr(theirs, name).dtype
            assert values.tobytes() == getattr(theirs, name).tobytes()
    assert [files.locate(i) for i in (0, 1_100)] == [memory.locate(i) for i in (0, 1_100)]


def test_all_parts_in_one_pass(small, path, tmp_path) -> None:
    memory, files = both(path, tmp_path, features=NARROW)
    parts = split(files.features, files.part, range(3))
    for number, part in parts.items():
        assert np.array_equal(in_memory(part), memory.features[memory.part == number])
    assert [t.name for t in threading.enumerate() if t.name.startswith("steepest")] == []


def test_what_must_be_computed_or_selected_is_kept(small, path, tmp_path) -> None:
    ratio = {"name": "ratio", "value": "mass / pt"}
    for keys in ({"features": ["pt", ratio]}, {"features": NARROW, "select": "pt > 20"}):
        memory, files = both(path, tmp_path, **keys)
        assert isinstance(files.features, DiskArray)
        assert np.array_equal(files.features[:], memory.features)


def test_slow_codecs_are_copied(write, tmp_path) -> None:
    path = write(COLUMNS, compression="gzip")
    memory, files = both(path, tmp_path, features=NARROW)
    assert isinstance(files.features, DiskArray)
    assert files.features.stored == np.float32
    assert np.array_equal(files.features[:], memory.features)


def test_faults_are_found_though_nothing_is_kept(small, write, refused, tmp_path) -> None:
    bad = {**COLUMNS, "eta": COLUMNS["eta"].copy()}
    bad["eta"][[2_017, 2_900]] = np.nan
    path = write(bad, row_group_size=700)
    message = """
The feature 'eta' is not a finite number for 2 of 3000 selected events, first in DIR/jets.parquet \
at row 2017.
  expected: a finite number for each event
  found:    2 NaN
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(eta)'; or say how to fill the feature: fill = "median"
"""  # noqa: E501
    recipe = EventsRecipe(path=path, label="y", features=NARROW)
    refused(EventsError, message, load_sample, recipe, budget=MemoryBudget(1_000, tmp_path))


def test_copies_are_found_though_nothing_is_kept(write, tmp_path) -> None:
    paths = [write(COLUMNS, "a.parquet"), write(COLUMNS, "b.parquet")]
    recipe = EventsRecipe(path=paths, label="y", features=NARROW)
    with pytest.raises(EventsError, match="hold the same events"):
        load_sample(recipe, budget=MemoryBudget(1_000, tmp_path))


@pytest.mark.parametrize("rows", [ROWS, ROWS - 500, ROWS + 500])
def test_files_that_change_are_refused(write, refused, tmp_path, rows) -> None:
    path = write(COLUMNS)
    _, files = both(path, tmp_path, features=NARROW)
    other = pa.table({name: np.resize(values + 1, rows) for name, values in COLUMNS.items()})
    write(other.cast(pa.table(COLUMNS).schema))
    refused(EventsError, CHANGED, lambda: files.features[:])


def test_damage_of_unchanged_files_is_told_as_it_is(write, refused, tmp_path, monkeypatch) -> None:
    _, files = both(write(COLUMNS), tmp_path, features=NARROW)

    def damaged(columns, *, start):
        raise EventsError("The disk cannot be read.")

    monkeypatch.setattr(files.features._source, "batches", damaged)
    refused(EventsError, "The disk cannot be read.", lambda: files.features[:])


@pytest.mark.parametrize("rows", [0, ROWS - 1, ROWS + 1])
def test_another_number_of_events_is_refused(write, refused, tmp_path, monkeypatch, rows) -> None:
    _, files = both(write(COLUMNS), tmp_path, features=NARROW)
    source = files.features._source
    (block,) = source.batches(NARROW, batch_rows=ROWS)
    other = pa.concat_batches([block.batch, block.batch]).slice(0, rows)
    changed = [replace(block, batch=other)] if rows else []
    monkeypatch.setattr(source, "batches", lambda columns, *, start: iter(changed))
    refused(EventsError, CHANGED, lambda: files.features[:])
