"""The commands: what they print, what they leave, how they end."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import undrawn
from samples import make_events
from steepest.recipe import Recipe


@pytest.fixture
def recipe_file(tmp_path: Path, recipe_table: dict) -> Path:
    file = tmp_path / "recipe.toml"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    return file


@pytest.mark.usefixtures("drawn")
def test_train_prints_a_table_and_the_report(tmp_path: Path, recipe_file: Path, steepest):
    run = tmp_path / "run"
    ended = steepest("train", recipe_file, "--out", run)
    assert ended.code == 0
    for expected in (
        "Figures of merit (test part, ",
        "dense 3→8→1",
        "AUC",
        "±",
        "linear baseline",
        "1/ε_B (ε_S = 0.5)",
    ):
        assert expected in ended.out
    assert f"Report: {run / 'report.html'}" in ended.out
    assert "Stopped after step" in ended.err
    left = sorted(entry.name for entry in run.iterdir() if not entry.name.startswith("."))
    assert left == [
        "checkpoints",
        "environment.json",
        "figures",
        "figures.json",
        "history.parquet",
        "journal",
        "log.txt",
        "manifest.json",
        "metrics.json",
        "model",
        "path.safetensors",
        "recipe.toml",
        "report.html",
    ]


def test_json_is_metrics_json_and_nothing_else(tmp_path: Path, recipe_file: Path, steepest):
    run = tmp_path / "run"
    ended = steepest("train", recipe_file, "--out", run, "--json")
    assert json.loads(ended.out) == json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert ended.err == ""


def test_evaluate_gives_the_run_s_own_numbers(trained: Path, steepest):
    metrics = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    ended = steepest("evaluate", trained, "--json")
    assert ended.code == 0
    evaluated = json.loads(ended.out)
    assert evaluated["part"] == "test"
    assert evaluated["merits"]["model"] == metrics["merits"]["model"]
    assert evaluated["events"] == metrics["parts"]["test"]
    assert "Figures of merit (test part, " in steepest("evaluate", trained).out


def test_evaluate_on_other_events(trained: Path, tmp_path: Path, steepest):
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table(make_events(500, seed=99)), other)
    ended = steepest("evaluate", trained, "--events", other, "--json")
    evaluated = json.loads(ended.out)
    assert (evaluated["part"], evaluated["events"]["events"]) == ("all", 500)
    assert 0.9 < evaluated["merits"]["model"]["auc"]["value"] < 1.0


def test_set_changes_the_recipe(tmp_path: Path, recipe_file: Path, steepest):
    run = tmp_path / "run"
    ended = steepest(
        "train", recipe_file, "-o", run, "-s", "model.hidden=[]", "--set", "descent.optimizer=sgd"
    )
    assert ended.code == 0
    recipe = Recipe.from_toml(run / "recipe.toml", anchor=False)
    assert recipe.model.model_dump()["hidden"] == ()
    assert recipe.descent.optimizer.name == "sgd"


def test_default_folders_are_numbered(tmp_path: Path, recipe_file: Path, steepest, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert f"runs/events-{number}/report.html" in steepest("train", recipe_file).out


def test_divergence_ends_with_3_and_keeps_the_last_good_parameters(
    tmp_path: Path, recipe_file: Path, steepest
):
    run = tmp_path / "run"
    settings = [
        "model.hidden=[]",
        "descent.scaling=none",
        "descent.optimizer=sgd",
        "descent.loss=mean-squared-error",
        "descent.learning_rate=1",
    ]
    ended = steepest("train", recipe_file, "-o", run, *(f"--set={s}" for s in settings))
    assert ended.code == 3
    assert "The descent diverged at step" in ended.err
    assert "is above 2/λmax" in ended.err
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["status"] == "diverged"
    assert (run / "model" / "model.safetensors").exists()
    assert "The descent diverged" in (run / "report.html").read_text(encoding="utf-8")
    again = steepest("train", "--resume", run)
    assert again.code == 1
    assert again.err.startswith(f"steepest: The run {run} has diverged, and would do so again.\n")


def test_resuming_a_finished_run_shows_it_again(trained_copy: Path, steepest):
    ended = steepest("train", "--resume", trained_copy)
    assert ended.code == 0
    assert "is complete; nothing is left to do" in ended.err
    assert "AUC" in ended.out


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        *(pytest.param(n, 75, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGUSR1)),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, recipe_file: Path, number: int, code: int
):
    run = tmp_path / "run"
    process = subprocess.Popen(
        [
            sys.executable,
            str(undrawn.COMMAND),
            "train",
            str(recipe_file),
            "--out",
            str(run),
            "--set",
            "descent.epochs=100000",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while "Learning rate" not in _text(run / "log.txt") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, number)
    if code == 75:  # a scheduler sends it to the process and to its parent, which passes it on
        os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert out == ""
    assert "Interrupted after step" in err
    assert f"steepest train --resume {run}" in err.replace("\n", "")
    assert list((run / "checkpoints").glob("step-*/COMPLETE"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--resume", "x", "--out", "y"],
        ["train", "--nonsense"],
        ["nonsense"],
        ["evaluate"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], steepest):
    assert steepest(*arguments).code == 2


@pytest.mark.parametrize("verb", ["train", "evaluate", "simulate"])
def test_help_teaches(verb: str, steepest):
    ended = steepest(verb, "--help")
    assert ended.code == 0
    assert f"steepest {verb}" in ended.out


def test_version(steepest):
    from steepest import __version__

    assert steepest("--version").out == f"steepest {__version__}\n"


def test_unforeseen_ctrl_c_is_no_traceback(steepest, monkeypatch, recipe_file):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("steepest.recipe.Recipe.from_toml", interrupt)
    ended = steepest("train", recipe_file)
    assert (ended.code, ended.err) == (130, "steepest: Interrupted.\n")


def test_what_matplotlib_warns_of_does_not_reach_the_terminal(steepest, monkeypatch, recipe_file):
    def warned(*args, **kwargs):
        place = {"filename": "layout.py", "lineno": 1, "module": "matplotlib._layoutgrid"}
        warnings.warn_explicit("constrained_layout not applied", UserWarning, **place)
        logging.getLogger("matplotlib.font_manager").warning("findfont: not found")
        raise KeyboardInterrupt

    monkeypatch.setattr("steepest.recipe.Recipe.from_toml", warned)
    assert steepest("train", recipe_file).err == "steepest: Interrupted.\n"


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("runs", []),
        pytest.param("evaluate", [], marks=pytest.mark.slow),
        pytest.param("evaluate", ["--json"], marks=pytest.mark.slow),
    ],
)
def test_a_reader_that_has_gone_is_no_traceback(trained: Path, verb: str, options: list[str]):
    code = "from steepest.cli import main; main()"
    arguments = ["-c", code, verb, str(trained), *options]
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `steepest runs FOLDER | head -0` does
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")
