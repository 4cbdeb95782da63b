"""What is looked at while training, and when it ends a descent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import steepest
from steepest.cli.app import app
from steepest.errors import InputError
from steepest.explain.watch import Watch
from steepest.training import TrainingCallback, train

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(400, 3)) * [1.0, 3.0, 0.5]
TABLE = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
REGRESSION = {**TABLE, "y": X @ [1.0, 0.3, -1.0] + 0.3 * RANDOM.normal(size=400)}
CLASSES = {**TABLE, "y": (X[:, 0] * X[:, 1] + RANDOM.normal(size=400) > 0).astype(int)}


def recipe(
    folder: Path, table: dict[str, Any], hidden: list[int], **descent: Any
) -> steepest.Recipe:
    pl.DataFrame(table).write_parquet(folder / "events.parquet")
    return steepest.Recipe.from_dict(
        {
            "events": {
                "path": str(folder / "events.parquet"),
                "label": "y",
                "features": ["a", "b", "c"],
                "split": {"validation": 0.2, "test": 0.0},
            },
            "model": {"hidden": hidden},
            "descent": {"method": "descent", "scaling": "none", "schedule": "constant", **descent},
            "evaluate": {"baseline": False},
        }
    )


def test_a_rate_above_the_bound_is_ended_with_the_reason(tmp_path: Path):
    given = recipe(tmp_path, REGRESSION, [], optimizer="sgd", batch_size="all",
                   learning_rate=0.12, epochs=40)  # fmt: skip
    run = steepest.train(given, tmp_path / "run", explain=True, progress=False)
    assert run.metrics is not None
    stop = run.metrics["descent"]["stop"]["sentence"]
    assert "times the largest stable one, 2/λmax" in stop
    assert "no step to come converges" in stop
    assert run.metrics["descent"]["steps"] == 1
    assert "Explained: η = 0.12" in (run.path / "log.txt").read_text()


def test_a_network_that_died_is_ended(tmp_path: Path):
    table = {name: column + 10 for name, column in TABLE.items()} | {"y": CLASSES["y"]}
    given = recipe(tmp_path, table, [8], optimizer="sgd", batch_size=20, learning_rate=100.0,
                   epochs=60, stop={})  # fmt: skip
    watch = Watch(TrainingCallback(), share=1e9)  # looks at every round, whatever it costs
    folder = train(given, tmp_path / "run", watch)
    assert "all units of a hidden layer are dead" in watch.verdict
    assert folder.metrics is not None
    assert folder.metrics["descent"]["epochs"] < 60
    assert any("100 % of the units" in one for one in watch.sentences())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_looking_changes_nothing_of_a_healthy_run(tmp_path: Path, optimizer: str):
    given = recipe(tmp_path, CLASSES, [8], optimizer=optimizer, batch_size=20,
                   learning_rate=0.01, epochs=300, stop={})  # fmt: skip
    plain = steepest.train(given, tmp_path / "plain", progress=False)
    watched = steepest.train(given, tmp_path / "watched", explain=True, progress=False)
    wanted = ["step", "loss"]
    assert plain.history.select(wanted).equals(watched.history.select(wanted))
    log = (watched.path / "log.txt").read_text()
    assert "Explained: " in log
    assert "Explained" not in (plain.path / "log.txt").read_text()


def test_it_keeps_to_its_share_of_the_time():
    watch = Watch(TrainingCallback())
    assert not watch.has_time(0.1)
    assert watch.has_time(1.0)
    watch.looks, watch.seconds = [object(), object()], 0.3  # type: ignore[list-item]
    assert not watch.has_time(11.0)
    assert watch.has_time(11.5)


def test_the_command_and_resuming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    given = recipe(tmp_path, CLASSES, [4], batch_size=20, learning_rate=0.01, epochs=2)
    (tmp_path / "recipe.toml").write_text(given.to_toml())
    out = ["train", "recipe.toml", "--out", "run", "--explain", "--json"]
    assert CliRunner().invoke(app, out).exit_code == 0
    assert "too short to be looked at" in (tmp_path / "run" / "log.txt").read_text()
    result = CliRunner().invoke(app, out)  # the folder is occupied: nothing is added to its log
    assert result.exit_code == 1
    run = steepest.resume("run", settings=["descent.epochs=4"], explain=True, progress=False)
    assert (run.path / "log.txt").read_text().count("Explained: ") == 2


def test_many_ranks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from steepest import shown

    class Two:
        size, is_main = 2, True

    monkeypatch.setattr(shown, "current", Two)
    given = recipe(tmp_path, CLASSES, [4], epochs=2)
    with pytest.raises(InputError, match="many ranks"):
        steepest.train(given, tmp_path / "run", explain=True, progress=False)
