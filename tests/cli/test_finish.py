"""Runs that are ended early, made longer, or replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import steepest
from steepest.errors import RecipeError, RunFolderError
from steepest.recipe import Recipe

COMMAND = [sys.executable, "-c", "from steepest.cli import main; main()", "train"]


@pytest.fixture
def fixed(recipe_table: dict) -> dict:
    """A descent whose steps do not depend on how long it is."""
    recipe_table["descent"] |= {"schedule": "constant", "learning_rate": 0.01}
    return recipe_table


@pytest.fixture
def interrupted(tmp_path: Path, fixed: dict) -> Path:
    """A run that Ctrl-C ended: a real process, after its first validations."""
    file, run = tmp_path / "mine.toml", tmp_path / "run"
    file.write_text(Recipe.from_dict(fixed).to_toml(), encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, str(file), "--out", str(run), "--set", "descent.epochs=100000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (run / "live" / "progress.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    return run


def test_an_interrupted_run_is_finished_and_made_longer(interrupted: Path, steepest):
    before = (interrupted / "recipe.toml").read_bytes()
    few = steepest("train", "--resume", interrupted, "--set", "descent.epochs=1")
    assert few.code == 1
    assert "expected: descent.epochs above" in few.err
    assert (interrupted / "recipe.toml").read_bytes() == before

    ended = steepest("train", "--finish", interrupted)
    assert ended.code == 0, ended.err
    assert "AUC" in ended.out
    assert (interrupted / "report.html").exists()
    metrics = json.loads((interrupted / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["status"] == "complete"
    assert metrics["descent"]["stop"]["kind"] == "finished"
    steps, kept = metrics["descent"]["steps"], metrics["descent"]["kept_step"]
    assert 0 < kept <= steps

    history = run_of(interrupted).history
    lowest = history["validation_loss"].min()
    assert history.filter(history["step"] == kept)["validation_loss"].item() == lowest

    epochs = int(history["epoch"][-1]) + 3
    longer = steepest("train", "--resume", interrupted, "--set", f"descent.epochs={epochs}")
    assert longer.code == 0, longer.err
    run = run_of(interrupted)
    assert run.metrics is not None
    assert run.metrics["descent"]["steps"] > steps
    assert run.recipe.descent.epochs == run.history["epoch"][-1] == epochs


def run_of(path: Path) -> steepest.Run:
    return steepest.Run(path)


def test_a_longer_run_is_the_run_that_was_as_long_at_once(tmp_path: Path, fixed: dict):
    whole = steepest.train(fixed, tmp_path / "whole", settings=["descent.epochs=5"])
    run = steepest.train(fixed, tmp_path / "run", settings=["descent.epochs=2"])
    run = run.resume("descent.epochs=5")
    assert np.array_equal(run.model.theta, whole.model.theta)
    columns = ["step", "loss", "training_loss", "validation_loss"]
    assert run.history.select(columns).equals(whole.history.select(columns))


def test_only_the_length_can_change(trained_copy: Path):
    run = steepest.Run(trained_copy)
    before = (trained_copy / "metrics.json").read_bytes()
    with pytest.raises(RecipeError, match=r"cannot change model\.hidden"):
        run.resume("model.hidden=[4]")
    with pytest.raises(RecipeError, match=r"has done 4 epochs already"):
        run.resume("descent.epochs=4")
    assert (trained_copy / "metrics.json").read_bytes() == before


def test_a_run_without_a_checkpoint_cannot_be_finished(trained_copy: Path):
    (trained_copy / "metrics.json").unlink()
    shutil.rmtree(trained_copy / "checkpoints")
    with pytest.raises(RunFolderError, match="cannot be finished: it has no checkpoint yet"):
        steepest.Run(trained_copy).resume(finish=True)


def test_a_run_is_replaced_when_that_is_asked_for(tmp_path: Path, recipe_table: dict):
    run = steepest.train(recipe_table, tmp_path / "run")
    with pytest.raises(RunFolderError, match="holds another run"):
        steepest.train(recipe_table, run.path)
    recipe_table["descent"]["epochs"] = 1
    (run.path / "figures" / "old.png").touch()
    again = steepest.train(recipe_table, run.path, overwrite=True)
    assert again.recipe.descent.epochs == 1
    assert not (run.path / "figures" / "old.png").exists()


def test_a_folder_with_a_recipe_of_ones_own_is_no_run(tmp_path: Path, recipe_table: dict):
    mine = tmp_path / "recipe.toml"
    mine.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    with pytest.raises(RunFolderError, match="There is no run in") as caught:
        steepest.Run(tmp_path)
    assert caught.value.details["do"] == f"steepest train {mine}"
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match="is not empty"):
            steepest.train(recipe_table, tmp_path, overwrite=overwrite)
    assert mine.exists()


def test_wrong_usage(tmp_path: Path, steepest):
    both = steepest("train", "--finish", tmp_path, "--resume", tmp_path)
    assert both.code == 2
    assert steepest("train", "--finish", tmp_path, "--set", "descent.epochs=3").code == 2
