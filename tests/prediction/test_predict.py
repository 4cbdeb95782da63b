"""Scores beside the events: the same bits as `Run.model.predict`, in order, in every format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

import steepest
from samples import make_events
from steepest import Run, predict
from steepest.prediction import scorer

from .conftest import table_of

FILES = ("scores.parquet", "scores.root", "scores.h5", "scores.csv")


def features_of(table: pa.Table) -> np.ndarray:
    pt, ratio = table["pt"].to_numpy(), table["ratio"].to_numpy()
    return np.column_stack([pt, ratio, ratio / pt])


def expected(run: Path, events: object) -> np.ndarray:
    return Run(run).model.predict(features_of(table_of(events)))


# --- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_scores_are_those_of_the_model_bit_for_bit(task: str, runs, events: Path, tmp_path: Path):
    done = predict(runs[task], events, tmp_path / "s.parquet")
    written = table_of(tmp_path / "s.parquet")
    values = expected(runs[task], events)
    names = {
        "binary": ["score"],
        "multiclass": ["score_qcd", "score_top", "score_w", "predicted"],
        "regression": ["prediction"],
    }[task]
    assert done.scores == names
    assert written.schema.names == [*table_of(events).schema.names, *names]
    columns = [name for name in names if name != "predicted"]
    scores = np.column_stack([written[name].to_numpy() for name in columns])
    assert np.array_equal(scores, values.reshape(len(values), -1))
    if task == "multiclass":
        best = np.array(["qcd", "top", "w"])[values.argmax(axis=1)]
        assert written["predicted"].to_pylist() == best.tolist()


def test_blocks_and_parts_change_nothing(runs, events: Path, tmp_path: Path, monkeypatch):
    predict(runs["multiclass"], events, tmp_path / "a.parquet")
    for name in ("MOST_IN_BLOCK", "MOST_IN_PART", "LEAST"):
        monkeypatch.setattr(
            scorer, name, {"MOST_IN_BLOCK": 37, "MOST_IN_PART": 101, "LEAST": 1}[name]
        )
    predict(runs["multiclass"], events, tmp_path / "b.parquet")
    assert table_of(tmp_path / "a.parquet").equals(table_of(tmp_path / "b.parquet"))


def test_files_follow_each_other_as_given(runs, tmp_path: Path):
    for name, seed, count in (("b", 1, 300), ("a", 2, 70), ("c", 3, 1100)):
        pq.write_table(pa.table(make_events(count, seed)), tmp_path / f"{name}.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in "bac"]
    done = predict(runs["binary"], paths, tmp_path / "s.parquet", columns="none")
    written = table_of(tmp_path / "s.parquet")
    assert (done.rows, done.columns) == (1470, ["file", "row"])
    each = [expected(runs["binary"], path) for path in paths]
    assert np.array_equal(written["score"].to_numpy(), np.concatenate(each))
    assert written["file"].to_pylist() == [0] * 300 + [1] * 70 + [2] * 1100
    assert written["row"].to_pylist() == [*range(300), *range(70), *range(1100)]
    told = json.loads(pq.read_schema(tmp_path / "s.parquet").metadata[b"steepest"])
    assert [file["name"] for file in told["events"]] == ["b.parquet", "a.parquet", "c.parquet"]


def test_a_saved_model_is_as_good_as_its_run(runs, events: Path, tmp_path: Path):
    shutil.copytree(runs["binary"] / "model", tmp_path / "mine")
    predict(tmp_path / "mine", events, tmp_path / "s.parquet")
    scores = table_of(tmp_path / "s.parquet")["score"].to_numpy()
    assert np.array_equal(scores, expected(runs["binary"], events))


def test_select_leaves_events_out(runs, events: Path, tmp_path: Path):
    done = predict(runs["binary"], events, tmp_path / "s.parquet", select="pt > 600 AND tight")
    given, written = table_of(events), table_of(tmp_path / "s.parquet")
    kept = (given["pt"].to_numpy() > 600) & given["tight"].to_numpy()
    assert (done.rows, done.events) == (kept.sum(), 1500)
    assert np.array_equal(written["score"].to_numpy(), expected(runs["binary"], events)[kept])
    rows = tmp_path / "rows.parquet"
    predict(runs["binary"], events, rows, select="pt > 600 AND tight", columns="none")
    assert table_of(rows)["row"].to_pylist() == np.flatnonzero(kept).tolist()


# --- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_again(name: str, task: str, runs, events: Path, tmp_path: Path):
    predict(runs[task], events, tmp_path / "reference.parquet")
    done = predict(runs[task], events, tmp_path / name)
    reference, written = table_of(tmp_path / "reference.parquet"), table_of(tmp_path / name)
    left_out = {"part_pt", "part_good"} if name.endswith(".csv") else set()
    assert set(done.left_out) == left_out
    for column in reference.schema.names:
        if column not in left_out:
            found = written[column].cast(reference[column].type)
            assert found.combine_chunks().equals(reference[column].combine_chunks()), column
    if not name.endswith(".csv"):
        assert all(written[n].type == reference[n].type for n in reference.schema.names)
    further = set(written.schema.names) - set(reference.schema.names)
    assert further == ({"npart_pt", "npart_good"} if name.endswith(".root") else set())


def test_an_rntuple_is_read_again(runs, tmp_path: Path):
    nested = pa.array([[[1.0], [2.0, 3.0]], []] * 50)
    texts = pa.array([["a", "µ"], []] * 50)
    given = pa.table({**make_events(100), "nested": nested, "texts": texts})
    pq.write_table(given, tmp_path / "in.parquet")
    predict(runs["multiclass"], tmp_path / "in.parquet", tmp_path / "s.root:jets", rntuple=True)
    predict(runs["multiclass"], tmp_path / "in.parquet", tmp_path / "s.parquet")
    written = table_of(tmp_path / "s.root:jets")
    assert written.combine_chunks().equals(table_of(tmp_path / "s.parquet").combine_chunks())
    done = predict(runs["multiclass"], tmp_path / "in.parquet", tmp_path / "tree.root")
    assert set(done.left_out) == {"nested", "texts"}


@pytest.mark.parametrize("name", FILES[:3])
def test_scores_of_scores_in_another_format(name: str, runs, events: Path, tmp_path: Path):
    predict(runs["binary"], events, tmp_path / name)
    predict(runs["binary"], tmp_path / name, tmp_path / "again.parquet", prefix="new_")
    written = table_of(tmp_path / "again.parquet")
    assert written["new_score"].equals(written["score"])


def test_hdf5_columns_of_a_matrix_are_copied_once(runs, tmp_path: Path):
    given = make_events(50)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for name in ("pt", "ratio"):
            file[f"events/{name}"] = given[name]
        file["events/jet"] = np.arange(100.0).reshape(50, 2)
    done = predict(runs["binary"], tmp_path / "in.h5", tmp_path / "s.h5:/scored")
    assert done.columns == ["jet", "pt", "ratio"]
    written = table_of(tmp_path / "s.h5:/scored")
    assert written["jet"].to_pylist() == np.arange(100.0).reshape(50, 2).tolist()


def test_the_file_says_what_it_is(runs, events: Path, tmp_path: Path):
    for name in FILES[:3]:
        predict(runs["binary"], events, tmp_path / name)
    with h5py.File(tmp_path / "scores.h5") as hdf5, uproot.open(tmp_path / "scores.root") as root:
        texts = [
            pq.read_schema(tmp_path / "scores.parquet").metadata[b"steepest"].decode(),
            hdf5["events"].attrs["steepest"],
            str(root["steepest"]),
        ]
    for text in texts:
        told = json.loads(text)
        assert (told["format"], told["version"]) == ("steepest-predictions", 1)
        assert told["steepest"] == steepest.__version__
        assert told["model_path"] == str(runs["binary"] / "model")
        assert set(told["model"]["sha256"]) == {
            "config.json",
            "model.safetensors",
            "scaling.safetensors",
        }
        assert told["scores"] == {"score": "probability that is_top is 1"}
        assert told["events"][0]["rows"] == 1500


# --- features of every kind ---------------------------------------------------------------------


def rich_events(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    lists = [list(random.normal(50, 10, n)) for n in random.integers(0, 4, count)]
    b_score = random.random(count)
    b_score[::7] = -999
    return pa.table(
        {
            "y": random.integers(0, 2, count),
            "process": np.array(["qcd", "top", "w"])[random.integers(0, 3, count)],
            "tight": random.integers(0, 2, count).astype(bool),
            "b": pa.array(b_score, mask=random.random(count) < 0.1),
            "part_pt": pa.array(lists, pa.list_(pa.float64())),
        }
    )


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich")
    pq.write_table(rich_events(600, 1), folder / "train.parquet")
    features = [
        "process",
        "tight",
        {"name": "b", "value": "b", "missing": -999, "fill": "median", "indicator": True},
        {"name": "lead", "value": "part_pt[0]", "fill": 0},
        {"name": "sum", "value": "sum(part_pt[part_pt > 45])"},
    ]
    recipe = {
        "events": {"path": str(folder / "train.parquet"), "label": "y", "features": features},
        "model": {"hidden": [8]},
        "descent": {"epochs": 2, "batch_size": 50, "learning_rate": 0.01},
    }
    return steepest.train(recipe, out=folder / "run").path


def test_text_booleans_fills_and_lists(rich: Path, tmp_path: Path):
    given = rich_events(500, 2).drop(["y"])
    pq.write_table(given, tmp_path / "in.parquet", row_group_size=123)
    predict(rich, tmp_path / "in.parquet", tmp_path / "s.parquet")
    rows = [
        [r["process"], r["tight"], r["b"], (r["part_pt"] or [None])[0],
         sum(x for x in r["part_pt"] if x > 45)]
        for r in given.to_pylist()
    ]  # fmt: skip
    scores = Run(rich).model.predict(np.array(rows, dtype=object))
    assert np.array_equal(table_of(tmp_path / "s.parquet")["score"].to_numpy(), scores)


def test_an_unseen_category(rich: Path, tmp_path: Path):
    given = rich_events(20, 2)
    process = given["process"].to_pylist()
    process[11] = "higgs"
    table = given.set_column(1, "process", pa.array(process))
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(steepest.errors.EventsError) as refused:
        predict(rich, tmp_path / "in.parquet", tmp_path / "s.parquet")
    assert str(refused.value) == (
        "The feature 'process' has a category that training had not in "
        f"{tmp_path / 'in.parquet'} at row 11.\n"
        "  expected: one of 'qcd', 'top', 'w'\n"
        "  found:    'higgs'\n"
        "  cause:    events of another kind than those of the training\n"
        "  do:       --missing nan gives such events the score NaN; or train with a fill for the "
        "feature"
    )
    done = predict(rich, tmp_path / "in.parquet", tmp_path / "s.parquet", missing="nan")
    scores = table_of(tmp_path / "s.parquet")["score"].to_numpy()
    assert (done.unscored, np.flatnonzero(np.isnan(scores)).tolist()) == (1, [11])
