"""``steepest predict``: what it prints, how it ends, how much memory it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events
from steepest import Run
from steepest.prediction import Predictions
from steepest.recipe import Recipe
from steepest.terminal import show_predictions


@pytest.fixture
def trained(tmp_path: Path, recipe_table: dict, steepest) -> Path:
    recipe_table["descent"]["epochs"] = 1
    file, run = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    assert steepest("train", file, "--out", run, "--json").code == 0
    return run


def test_predict_prints_where_the_scores_are(trained: Path, tmp_path: Path, events_file, steepest):
    out = tmp_path / "scores.parquet"
    ended = steepest("predict", trained, events_file, "--out", out)
    assert ended.code == 0
    assert ended.out.startswith("1,200 events scored, in ")
    assert ended.out.endswith(f": score\nScores: {out}\n")
    features = np.column_stack([make_events()[name] for name in ("pt", "mass", "ratio")])
    scores = pq.read_table(out)["score"].to_numpy()
    assert np.array_equal(scores, Run(trained).predict(features))


def test_json_and_nothing_else(trained: Path, tmp_path: Path, events_file, steepest):
    out = tmp_path / "scores.h5"
    options = ["--columns", "pt,mass", "--prefix", "dnn_", "--select", "pt > 600", "--json"]
    ended = steepest("predict", trained, events_file, "-o", out, *options)
    told = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert told["path"] == str(out)
    assert told["rows"] == int((make_events()["pt"] > 600).sum())
    assert (told["events"], told["unscored"], told["resumed"]) == (1200, 0, 0)
    assert (told["scores"], told["columns"]) == (["dnn_score"], ["pt", "mass"])
    assert told["left_out"] == {}
    assert told["events_per_second"] == pytest.approx(1200 / told["seconds"])


def test_what_is_said(trained: Path, tmp_path: Path, events_file, steepest):
    recipe = (trained / "recipe.toml").read_text(encoding="utf-8")
    recipe = recipe.replace("[events]", '[events]\nselect = "pt > 560"', 1)
    (trained / "recipe.toml").write_text(recipe, encoding="utf-8")
    metrics = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    (trained / "metrics.json").write_text(json.dumps(metrics | {"status": "diverged"}))
    (trained / "manifest.json").unlink()
    ended = steepest("predict", trained, events_file, "--out", tmp_path / "s.parquet")
    assert ended.code == 0
    assert ended.err == (
        f"· The run {trained} has no manifest.json, as those of older releases: whether its files "
        "are as they were written cannot be told.\n"
        f"· The run {trained} has diverged: its model is the last good one before, and has not "
        "converged.\n"
        "· The model was trained on events with pt > 560; every event gets a score. "
        "--select 'pt > 560' leaves the others out.\n"
    )


def test_an_error_ends_with_1(trained: Path, tmp_path: Path, events_file, steepest):
    ended = steepest("predict", tmp_path / "absent", events_file, "--out", tmp_path / "s.parquet")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"steepest: There is no model in {tmp_path / 'absent'}.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", "run", "events.parquet"],
        ["predict", "run", "--out", "s.parquet"],
        ["predict", "run", "events.parquet", "--out", "s.parquet", "--missing", "zero"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], steepest):
    assert steepest(*arguments).code == 2


def test_help_teaches(steepest):
    ended = steepest("predict", "--help")
    assert ended.code == 0
    for word in ("For example", "steepest predict runs/", "--resume", "--missing"):
        assert word in ended.out


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_memory_does_not_grow_with_the_events(trained: Path, tmp_path: Path):
    """Twice as many events, at most 60 MB more for 270 MB of further events.

    Some row groups lie ready while others are scored: fewer than the eight of the smaller file.
    """
    peaks = []
    for count in (800_000, 1_600_000):
        path = tmp_path / f"{count}.parquet"
        table = {name: np.ones(count) for name in ("pt", "mass", "ratio")}
        further = {f"x{i}": np.arange(count) + float(i) for i in range(40)}
        pq.write_table(pa.table(table | further), path, row_group_size=100_000)
        code = (
            "import sys; from steepest import predict; predict(*sys.argv[1:]);"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
        )
        out = tmp_path / f"s-{count}.parquet"
        command = [sys.executable, "-c", code, str(trained), str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 60, peaks


def test_what_was_scored_before_has_no_rate(capsys: pytest.CaptureFixture[str]):
    show_predictions(Predictions(Path("s.root"), 3, 3, 0, 3, 1.0, ["score"], []), False)
    said = "3 events scored, in 1.0 s, all of them before: score\nScores: s.root\n"
    assert capsys.readouterr().out == said
