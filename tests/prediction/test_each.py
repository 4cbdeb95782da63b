"""A file of scores for each file of events: friend trees, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import make_events
from steepest import predict
from steepest.errors import EventsError, InputError, Interrupted
from steepest.events import open_events
from steepest.training import TrainingCallback

from .conftest import table_of

COUNTS = (700, 1, 300)


@pytest.fixture
def trees(tmp_path: Path) -> list[Path]:
    """Three files with a tree of events each."""
    uproot = pytest.importorskip("uproot")
    paths = []
    for index, count in enumerate(COUNTS):
        paths.append(tmp_path / f"data-{index}.root")
        columns = {k: v for k, v in make_events(count, seed=index).items() if k != "kind"}
        with uproot.recreate(paths[-1]) as file:
            tree = file.mktree("nominal", {name: v.dtype for name, v in columns.items()})
            for start in range(0, count, 200):  # in several baskets
                tree.extend({name: v[start : start + 200] for name, v in columns.items()})
    (tmp_path / "scores").mkdir()
    return paths


def test_friends_have_the_entries_of_their_trees(runs, trees: list[Path], tmp_path: Path):
    import uproot

    out = str(tmp_path / "scores" / "{stem}.root:scores")
    done = predict(runs["multiclass"], f"{tmp_path}/data-*.root:nominal", out, columns="none",
                   prefix="dnn_", progress=False)  # fmt: skip
    assert (done.rows, done.events) == (sum(COUNTS), sum(COUNTS))
    assert done.files == [tmp_path / "scores" / f"data-{i}.root" for i in range(3)]
    model = steepest.Run(runs["multiclass"]).model
    for path, friend, count in zip(trees, done.files, COUNTS, strict=True):
        with uproot.open(path) as one, uproot.open(friend) as two:
            events, scores = one["nominal"], two["scores"]
            assert events.num_entries == scores.num_entries == count
            pt, ratio = (events[name].array(library="np") for name in ("pt", "ratio"))
            expected = model.predict(np.column_stack([pt, ratio, ratio / pt]))
            for index, name in enumerate(model.classes):
                found = scores[f"dnn_score_{name}"].array(library="np")
                assert np.array_equal(found, expected[:, index])
            assert np.array_equal(scores["row"].array(library="np"), np.arange(count))
    # a recipe of our own reads them as friends
    friends = {"friends": [{"path": out}], "path": str(tmp_path / "data-*.root:nominal")}
    run = steepest.train(
        {"events": {**friends, "label": "is_top", "features": ["dnn_score_top"]},
         "model": {"hidden": []}, "descent": {"epochs": 1}},
        tmp_path / "run", progress=False,
    )  # fmt: skip
    assert run.metrics is not None


def test_any_format_and_one_file_is_the_same(runs, tmp_path: Path):
    for index in range(2):
        pq.write_table(pa.table(make_events(50, seed=index)), tmp_path / f"in{index}.parquet")
    given = str(tmp_path / "in*.parquet")
    each = predict(runs["binary"], given, tmp_path / "{stem}-out.h5", progress=False)
    whole = predict(runs["binary"], given, tmp_path / "whole.parquet", progress=False)
    assert whole.files == [tmp_path / "whole.parquet"]
    scores = [table_of(path)["score"].to_numpy() for path in each.files]
    assert np.array_equal(np.concatenate(scores), table_of(whole.path)["score"].to_numpy())


class _After(TrainingCallback):
    """Interrupts when the scores of a file are complete."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def stage(self, name: str, total: int | None = None) -> None:
        self.interrupted = self.file.exists()


def test_resumed_complete_files_are_kept(runs, trees: list[Path], tmp_path: Path):
    out, first = tmp_path / "{stem}.scores.root", tmp_path / "data-0.scores.root"
    given = f"{tmp_path}/data-?.root"
    with pytest.raises(Interrupted, match=r"data-1.root:nominal") as caught:
        predict(runs["binary"], given, out, callback=_After(first))
    assert "1 complete file of 3" in str(caught.value)
    before = first.stat().st_mtime_ns
    with pytest.raises(InputError, match="exists already"):
        predict(runs["binary"], given, out, progress=False)
    with pytest.raises(InputError, match="begun with other input: the names of the scores"):
        predict(runs["binary"], given, out, resume=True, prefix="x_", progress=False)
    done = predict(runs["binary"], given, out, resume=True, progress=False)
    assert first.stat().st_mtime_ns == before
    assert done.rows == sum(COUNTS)
    assert done.resumed == COUNTS[0]
    assert [open_events(path).rows for path in done.files] == list(COUNTS)
    predict(runs["binary"], given, out, overwrite=True, progress=False)
    assert first.stat().st_mtime_ns != before


@pytest.mark.parametrize("suffix", ["parquet", "h5", "root"])
def test_what_a_file_was_made_of_is_read_from_it(runs, suffix: str, tmp_path: Path):
    pq.write_table(pa.table(make_events(50)).drop_columns("kind"), tmp_path / "in.parquet")
    out = tmp_path / f"{{stem}}-out.{suffix}"
    predict(runs["binary"], tmp_path / "in.parquet", out, progress=False)
    again = predict(runs["binary"], tmp_path / "in.parquet", out, resume=True, progress=False)
    assert again.resumed == again.rows == 50
    with pytest.raises(InputError, match="begun with other input: the model"):
        predict(runs["regression"], tmp_path / "in.parquet", out, resume=True, columns=["pt"],
                progress=False)  # fmt: skip


def test_two_files_of_one_name(runs, tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(make_events(50)), tmp_path / name / "in.parquet")
    with pytest.raises(InputError, match="Scores of 2 files would be written"):
        predict(runs["binary"], str(tmp_path / "*" / "in.parquet"), tmp_path / "{stem}.csv")
    assert not (tmp_path / "in.csv").exists()


def test_files_without_events_and_files_that_cannot_be_read(runs, tmp_path: Path):
    good = pa.table(make_events(50))
    pq.write_table(good, tmp_path / "in0.parquet")
    pq.write_table(good.slice(0, 0), tmp_path / "in1.parquet")
    (tmp_path / "in2.parquet").write_bytes(b"PAR1 damaged")
    out, given = tmp_path / "{stem}-out.csv", str(tmp_path / "in*.parquet")
    with pytest.raises(EventsError):
        predict(runs["binary"], given, out, progress=False)
    done = predict(runs["binary"], given, out, on_bad_file="skip", progress=False)
    assert [path.name for path in done.files] == ["in0-out.csv"]
    assert [Path(path).name for path in done.skipped] == ["in2.parquet"]
    assert done.to_json()["files"] == [str(tmp_path / "in0-out.csv")]


def test_the_command_says_how_many(runs, trees: list[Path], tmp_path: Path, capsys, monkeypatch):
    from steepest.cli import main

    arguments = ["predict", str(runs["binary"]), *map(str, trees), "--columns", "none"]
    arguments += ["--out", str(tmp_path / "{stem}-s.root")]
    monkeypatch.setattr("sys.argv", ["steepest", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert capsys.readouterr().out.rstrip().endswith("{stem}-s.root, 3 files")
