"""Bad input: the whole message, exit code 1, and nothing left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events
from steepest import predict
from steepest.errors import InputError

from .conftest import table_of


@pytest.fixture
def refused(runs, events: Path, tmp_path: Path):
    """Predict with something changed; return the message, and check that nothing was left."""

    def run(model: object = None, given: object = None, out: object = None, **options) -> str:
        target = out or tmp_path / "scores.parquet"
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError) as error:
            predict(model or runs["binary"], given or events, target, **options)
        assert sorted(tmp_path.rglob("*")) == before
        return str(error.value)

    return run


def written(path: Path, table: dict) -> Path:
    pq.write_table(pa.table(table), path)
    return path


# --- the model ----------------------------------------------------------------------------------

THREE = "config.json, model.safetensors, scaling.safetensors"


def test_no_model_there(refused, tmp_path: Path):
    assert refused(tmp_path / "nothing") == (
        f"There is no model in {tmp_path / 'nothing'}.\n"
        f"  expected: a run's folder, or its folder model with {THREE}\n"
        "  found:    no such folder\n"
        "  do:       check the path"
    )


def test_a_folder_of_something_else(refused, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    assert refused(tmp_path / "thesis").splitlines()[2:] == [
        "  found:    a folder with thesis.tex",
        "  do:       check the path",
    ]


def test_a_file_of_the_model(refused, runs):
    folder = runs["binary"] / "model"
    message = refused(folder / "model.safetensors").splitlines()
    assert message[2:] == ["  found:    a file", f"  do:       write {folder}"]


def test_a_model_of_something_else(refused, tmp_path: Path):
    (tmp_path / "bert").mkdir()
    for name in THREE.split(", "):
        (tmp_path / "bert" / name).write_text('{"architectures": [], "layers": 12}')
    assert refused(tmp_path / "bert") == (
        f"{tmp_path / 'bert'} holds no model of steepest.\n"
        '  expected: a config.json with "format": "steepest-model"\n'
        "  found:    a config.json with architectures, layers\n"
        "  do:       give a run's folder, or its folder model"
    )


def test_an_unfinished_run(refused, runs, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("recipe.toml", "log.txt"):
        shutil.copy(runs["binary"] / name, run)
    assert refused(run) == (
        f"The run {run} has no model/config.json.\n"
        "  cause:    it was interrupted, or is still training\n"
        f"  do:       steepest train --resume {run}"
    )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "scaling.safetensors"])
def test_a_damaged_model(refused, runs, tmp_path: Path, name: str):
    model = tmp_path / "model"
    shutil.copytree(runs["binary"] / "model", model)
    (model / name).write_bytes((model / name).read_bytes()[:60])
    lines = refused(model).splitlines()
    assert lines[0] == f"{name} of the model {model} is damaged."
    assert lines[1].startswith("  found:    ")
    assert lines[2:] == [
        "  cause:    it was changed, or cut short by a copy",
        "  do:       copy the folder RUN/model again",
    ]
    (model / name).unlink()
    assert refused(model).splitlines()[0] == f"The model {model} has no {name}."


def test_a_model_of_a_newer_release(refused, runs, tmp_path: Path):
    model = tmp_path / "model"
    shutil.copytree(runs["binary"] / "model", model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"version": 5}), encoding="utf-8")
    assert refused(model) == (
        f"The model {model} cannot be read.\n"
        "  expected: a version from 1 to 4 of its format\n"
        "  found:    version 5\n"
        "  cause:    it was written by another release of steepest\n"
        "  do:       use the release that wrote it, or train again"
    )


# --- the events ---------------------------------------------------------------------------------


def test_a_feature_that_is_not_there(refused, tmp_path: Path):
    events = make_events(10)
    events["ratios"] = events.pop("ratio")
    path = written(tmp_path / "in.parquet", events)
    assert refused(given=path) == (
        f"There is no column 'ratio' (a feature) in {path}.\n"
        "  expected: one of event_number, pt, mass, weight, kind, is_top, ratios\n"
        "  found:    'ratio'\n"
        "  do:       write 'ratios'"
    )


def test_a_feature_of_another_type(refused, tmp_path: Path):
    path = written(tmp_path / "in.parquet", make_events(10) | {"pt": ["a"] * 10})
    assert refused(given=path) == (
        f"The feature 'pt' is text in {path}, but the model takes a number.\n"
        "  expected: a number, as in training\n"
        "  found:    pt is text\n"
        "  cause:    events of another version, or another column of the same name\n"
        "  do:       give events that were made as those of the training"
    )


@pytest.mark.parametrize(
    ("value", "what", "found", "fill"),
    [
        (np.nan, "no value", "NaN", "; or train with a fill for the feature"),
        (None, "no value", "null", "; or train with a fill for the feature"),
        (-np.inf, "no finite value", "-inf", ""),
    ],
)
def test_no_value(refused, tmp_path: Path, runs, value, what: str, found: str, fill: str):
    events = make_events(1300)
    pt = events["pt"].tolist()
    pt[1234] = pt[1299] = value
    path = written(tmp_path / "in.parquet", events | {"pt": pt})
    cause = "the job that wrote the file left a value out, or divided by zero"
    if value is None:
        cause = "a value that is missing in the file"
    assert refused(given=path) == (
        f"The feature 'pt' has {what} in {path} at row 1234.\n"
        "  expected: a finite number for each event, as in training\n"
        f"  found:    {found}\n"
        f"  cause:    {cause}\n"
        f"  do:       --missing nan gives such events the score NaN{fill}"
    )
    done = predict(runs["binary"], path, tmp_path / "s.parquet", missing="nan")
    scores = table_of(tmp_path / "s.parquet")["score"].to_numpy()
    whole = written(tmp_path / "whole.parquet", make_events(1300))
    predict(runs["binary"], whole, tmp_path / "t.parquet")
    expected = table_of(tmp_path / "t.parquet")["score"].to_numpy().copy()
    expected[[1234, 1299]] = np.nan
    assert np.array_equal(scores, expected, equal_nan=True)
    assert done.unscored == 2


def test_an_unscored_event_of_many_classes_has_no_class(runs, tmp_path: Path):
    path = written(tmp_path / "in.parquet", make_events(10) | {"pt": [np.nan] + [600.0] * 9})
    for name in ("s.parquet", "s.h5"):
        predict(runs["multiclass"], path, tmp_path / name, missing="nan")
        predicted = table_of(tmp_path / name)["predicted"].to_pylist()
        assert predicted[0] == ""
        assert "" not in predicted[1:]


def test_a_number_that_overflows(refused, runs, tmp_path: Path):
    ratio = make_events(10)["ratio"]
    ratio[7] = 1.7e308  # / σ = 0.16 is beyond float64
    path = written(tmp_path / "in.parquet", make_events(10) | {"ratio": ratio})
    assert refused(given=path) == (
        f"The score is not finite in {path} at row 7.\n"
        "  expected: a finite score\n"
        "  found:    nan, with ratio = 1.7e+308\n"
        "  cause:    values far beyond those of the training, or in other units\n"
        "  do:       check that event; --missing nan scores such events NaN"
    )
    predict(runs["binary"], path, tmp_path / "s.parquet", missing="nan")
    scores = table_of(tmp_path / "s.parquet")["score"].to_numpy()
    assert np.flatnonzero(np.isnan(scores)).tolist() == [7]


def test_a_name_that_is_taken(refused, runs, tmp_path: Path):
    path = written(tmp_path / "in.parquet", make_events(10) | {"score": np.ones(10)})
    assert refused(given=path) == (
        "The events have a column 'score' already, as the scores would.\n"
        "  expected: no column 'score' among the copied\n"
        "  cause:    scores of another model lie beside these events\n"
        "  do:       give the new columns a --prefix, such as --prefix new_, or leave the old one "
        "out with --columns"
    )
    predict(runs["binary"], path, tmp_path / "s.parquet", prefix="dnn_")
    assert table_of(tmp_path / "s.parquet").schema.names[-2:] == ["score", "dnn_score"]


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        (["pt", "ptt"], "There is no column 'ptt' (to be copied) in {}."),
        (["pt", "pt"], "The column 'pt' is named twice."),
    ],
)
def test_columns_that_cannot_be_copied(refused, events: Path, columns: list[str], first: str):
    assert refused(columns=columns).splitlines()[0] == first.format(events)


def test_a_column_that_the_format_cannot_hold(refused, events: Path, tmp_path: Path):
    assert refused(columns=["pt", "part_pt"], out=tmp_path / "s.csv") == (
        f"The column 'part_pt' of {events} cannot be written as CSV.\n"
        "  expected: a column that the format can hold\n"
        "  found:    list<item: float>\n"
        "  do:       leave it out of --columns, or write Parquet"
    )


def test_a_null_where_the_format_has_none(refused, runs, tmp_path: Path):
    events = make_events(10)
    columns = {"n": pa.array([1, 2, None] + [4] * 7), "f": pa.array([None] + [0.5] * 9)}
    path = written(tmp_path / "in.parquet", events | columns)
    assert refused(given=path, out=tmp_path / "s.h5") == (
        f"The column 'n' is null in {path} at row 2.\n"
        "  expected: a value for each event, since the format has none that is missing\n"
        "  found:    null\n"
        "  do:       leave it out with --columns, or write Parquet"
    )
    predict(runs["binary"], path, tmp_path / "s.h5", columns=["f"])
    assert np.isnan(table_of(tmp_path / "s.h5")["f"][0].as_py())
    predict(runs["binary"], path, tmp_path / "s.csv")
    assert table_of(tmp_path / "s.csv")["n"].to_pylist() == [1, 2, None] + [4] * 7


def test_the_file_of_a_matrix_is_read_by_lists_of_one_length(runs, tmp_path: Path):
    lists = pa.array([[1.0, 2.0], [3.0, 4.0]] * 5)
    path = written(tmp_path / "in.parquet", make_events(10) | {"two": lists})
    predict(runs["binary"], path, tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        assert [x.tolist() for x in file["events/two"]] == lists.to_pylist()


def test_the_same_file_twice(refused, events: Path):
    assert refused(given=[events, str(events)]).startswith(f"{events} is given twice")


@pytest.mark.parametrize(
    ("select", "first"),
    [
        ("pt", "The selection is a number, not a condition."),
        ("pt > 1e9", "The selection leaves no event of {}."),
        ("pt >", "The selection cannot be read: something is missing here."),
    ],
)
def test_a_selection(refused, events: Path, select: str, first: str):
    assert refused(select=select).splitlines()[0] == first.format(events)


# --- the file -----------------------------------------------------------------------------------


def test_a_file_that_exists(refused, runs, events: Path, tmp_path: Path):
    out = tmp_path / "scores.parquet"
    out.write_text("precious")
    assert refused() == (
        f"The file {out} exists already; it was left as it is.\n"
        "  expected: a new file name\n"
        "  found:    a file of 8 bytes\n"
        "  do:       give another --out, or --overwrite to replace it"
    )
    assert out.read_text() == "precious"
    predict(runs["binary"], events, out, overwrite=True)
    assert table_of(out).num_rows == 1500


def test_one_of_the_events_files(refused, events: Path):
    assert refused(out=events, overwrite=True) == (
        f"The scores cannot be written to {events}.\n"
        "  expected: another file than those that are read\n"
        "  found:    one of the events' files\n"
        "  do:       give another --out, or narrow the glob"
    )


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("no/s.parquet", ["expected: an existing folder", "found:    no folder {}/no"]),
        ("runs.parquet", ["expected: the name of a file", "found:    a folder of this name"]),
    ],
)
def test_places_that_cannot_be_written(refused, tmp_path: Path, name: str, lines: list[str]):
    (tmp_path / "runs.parquet").mkdir()
    message = refused(out=tmp_path / name).splitlines()
    assert message[0] == f"The scores cannot be written to {tmp_path / name}."
    assert [line.strip() for line in message[1:3]] == [line.format(tmp_path) for line in lines]


@pytest.mark.parametrize(("name", "found"), [("s.txt", "'.txt'"), ("scores", "no suffix")])
def test_an_unknown_format(refused, tmp_path: Path, name: str, found: str):
    assert refused(out=tmp_path / name) == (
        f"The format of {tmp_path / name} is not known.\n"
        "  expected: Parquet (.parquet, .pq); ROOT (.root); HDF5 (.h5, .hdf5, .hdf); "
        "CSV (.csv, .tsv)\n"
        f"  found:    {found}\n"
        "  do:       give --out a name such as scores.parquet"
    )


def test_an_rntuple_in_another_format(refused, tmp_path: Path):
    assert "cannot be written to" in refused(out=tmp_path / "s.h5", rntuple=True)


def test_an_unknown_option(refused):
    assert refused(missing="zero").startswith("The option 'missing' is not known.")


def test_an_extra_that_is_not_installed(refused, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uproot", None)
    assert refused(out=tmp_path / "s.root") == (
        "Writing ROOT files needs the package 'uproot', which is not installed.\n"
        "  do:       pip install 'steepest[root]'"
    )
