"""Scores of selected events: of ROOT and HDF5 the other columns are read only where one passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samples import make_events
from steepest import predict
from steepest.errors import EventsError
from steepest.events.formats import hdf5
from steepest.prediction import predict as work
from steepest.prediction import scorer

from .conftest import table_of

uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")

ROWS, BLOCK, PART = 4_000, 100, 700


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch):
    """Parts that end within blocks."""
    for name, rows in (("MOST_IN_BLOCK", BLOCK), ("MOST_IN_PART", PART), ("LEAST", 1)):
        monkeypatch.setattr(scorer, name, rows)


def columns() -> dict[str, np.ndarray]:
    given = make_events(ROWS, seed=2)
    run = np.repeat(np.arange(10), ROWS // 10)
    return {"run": run, "pt": given["pt"], "ratio": given["ratio"], "mass": given["mass"]}


@pytest.fixture(params=["root", "h5"])
def sample(request, tmp_path: Path) -> str:
    path = tmp_path / f"events.{request.param}"
    if request.param == "h5":
        with h5py.File(path, "w") as file:
            for name, values in columns().items():
                file.create_dataset(name, data=values, chunks=(250,))
        return str(path)
    with uproot.recreate(path) as file:
        file.mktree("events", {name: values.dtype for name, values in columns().items()})
        for part in np.array_split(np.arange(ROWS), 9):
            file["events"].extend({name: v[part] for name, v in columns().items()})
    return f"{path}:events"


@pytest.mark.parametrize("select", ["run == 3", "run in (2, 7) AND pt > 600", "run >= 0", "1 < 2"])
@pytest.mark.parametrize("beside", ["all", "none"])
def test_the_same_scores_as_without(runs, sample, tmp_path, monkeypatch, select, beside):
    out = [tmp_path / "filtered.parquet", tmp_path / "whole.parquet"]
    done = predict(runs["binary"], sample, out[0], select=select, columns=beside)
    monkeypatch.setattr(work, "row_filter_of", lambda *_: None)
    assert predict(runs["binary"], sample, out[1], select=select, columns=beside).rows == done.rows
    assert 0 < done.rows <= done.events == ROWS
    assert table_of(out[0]).equals(table_of(out[1]))


def test_resumed_scores_are_those_of_an_undisturbed_run(runs, sample, tmp_path, monkeypatch):
    select, out = "run in (1, 6) AND pt > 560", tmp_path / "out.parquet"
    predict(runs["binary"], sample, tmp_path / "whole.parquet", select=select)
    score, calls = work.Scorer.score, []

    def breaks(self, block):
        calls.append(block)
        if len(calls) > 30:
            raise ConnectionError
        return score(self, block)

    with monkeypatch.context() as patched:
        patched.setattr(work.Scorer, "score", breaks)
        with pytest.raises(ConnectionError):
            predict(runs["binary"], sample, out, select=select)
    done = predict(runs["binary"], sample, out, select=select, resume=True)
    assert 0 < done.resumed < ROWS
    assert table_of(out).equals(table_of(tmp_path / "whole.parquet"))


def test_other_datasets_of_rejected_blocks_are_not_read(runs, tmp_path, monkeypatch):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name, values in columns().items():
            file.create_dataset(name, data=values, chunks=(250,))
    read, original = [], hdf5.read

    def counting(file, column, start, *rest):
        read.append((column.name, start))
        return original(file, column, start, *rest)

    monkeypatch.setattr(hdf5, "read", counting)
    done = predict(runs["binary"], path, tmp_path / "s.parquet", select="run == 3")
    assert (done.rows, done.events) == (ROWS // 10, ROWS)
    assert {start for name, start in read if name == "run"} == set(range(0, ROWS, BLOCK))
    passing = list(range(3 * ROWS // 10, 4 * ROWS // 10, BLOCK))
    for name in ("pt", "ratio", "mass"):
        assert [start for other, start in read if other == name] == passing


def test_a_selection_that_leaves_nothing(runs, sample, tmp_path):
    with pytest.raises(EventsError) as error:
        predict(runs["binary"], sample, tmp_path / "s.parquet", select="run > 10")
    assert str(error.value) == (
        f"The selection leaves no event of {sample.removesuffix(':events')}.\n"
        "  expected: at least one event\n"
        "  found:    0 of 4000 rows\n"
        "  cause:    a condition that cannot hold, or another unit (GeV, MeV)\n"
        "  do:       loosen the selection, which is 'run > 10'"
    )
