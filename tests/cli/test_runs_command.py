"""`steepest runs`: what lies under a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from steepest.errors import InputError
from steepest.folder import RunFolder
from steepest.listing import list_runs


@pytest.fixture
def folder(tmp_path: Path, trained: Path) -> Path:
    """Three runs: complete, unfinished, damaged; and a folder that is none."""
    for name in ("good", "deep/unfinished", "damaged"):
        shutil.copytree(trained, tmp_path / name)
    (tmp_path / "deep" / "unfinished" / "metrics.json").unlink()
    (tmp_path / "damaged" / "metrics.json").write_text("{")
    (tmp_path / "other").mkdir()
    return tmp_path


def test_a_line_for_each_run(steepest, folder: Path, trained: Path):
    listed = json.loads(steepest("runs", folder, "--json").out)
    by_name = {run["name"]: run for run in listed}
    assert {name: run["status"] for name, run in by_name.items()} == {
        "good": "complete", "deep/unfinished": "unfinished", "damaged": "damaged",
    }  # fmt: skip
    metrics = RunFolder(trained).metrics
    assert metrics is not None
    merits = metrics["merits"]["model"]
    assert by_name["good"]["merits"]["auc"]["value"] == merits["auc"]["value"]
    table = steepest("runs", folder).out
    assert "damaged" in table
    assert "AUC" in table


def test_a_diverged_run_and_one_that_runs(steepest, recipe_table: dict, tmp_path: Path, trained):
    import steepest as package
    from steepest.errors import DivergenceError
    from steepest.folder.live import LiveWriter

    settings = ["descent.learning_rate=1e12", "descent.optimizer=sgd", "descent.schedule=constant"]
    with pytest.raises(DivergenceError):
        package.train(recipe_table, tmp_path / "a" / "run", settings=settings, progress=False)
    shutil.copytree(trained, tmp_path / "b")
    for name in ("metrics.json", "history.parquet"):
        (tmp_path / "b" / name).unlink()
    writer, none = LiveWriter(tmp_path / "b"), package.Run(trained).history.to_arrow().slice(0, 0)
    writer.publish({"step": 3, "total_steps": 9, "stopped": None}, none)
    diverged, running = list_runs([tmp_path], "name")
    assert (diverged.status, diverged.model) == ("diverged", "dense")
    assert diverged.note.startswith("The descent diverged at step")
    assert (running.status, running.model, running.note) == ("running", "dense", "step 3 of 9")
    assert "dense: step 3 of 9" in " ".join(steepest("runs", tmp_path).out.split())
    writer.publish({"step": 4, "total_steps": 9, "stopped": "interrupted"}, none)
    assert list_runs([tmp_path / "b"])[0].status == "unfinished"


def test_runs_of_two_tasks_have_each_their_figure_of_merit(
    steepest, recipe_table: dict, tmp_path: Path, trained: Path
):
    import steepest as package

    shutil.copytree(trained, tmp_path / "binary")
    recipe_table["events"] |= {"label": "mass", "features": ["pt"]}
    package.train(recipe_table, tmp_path / "mass", settings=["model.hidden=[]"], progress=False)
    told = steepest("runs", tmp_path).out
    assert "AUC  0." in told
    (mass,) = list_runs([tmp_path / "mass"])
    assert mass.shown is not None
    assert f"{mass.merits[mass.shown].title}  {mass.merits[mass.shown].format()}" in told
    models = [run.model for run in list_runs([tmp_path], "model")]
    assert models == ["dense network 3→8→1", "linear regression"]


def test_orders(folder: Path):
    assert [run.name for run in list_runs([folder], "name")] == [
        "damaged", "deep/unfinished", "good",
    ]  # fmt: skip
    assert list_runs([folder], "auc")[0].name == "good"
    assert list_runs([folder], "auc", reverse=True)[0].name == "good"  # others have none
    times = [run.when for run in list_runs([folder])]
    assert times == sorted(times, reverse=True)
    assert [run.when for run in list_runs([folder], reverse=True)] == sorted(times)


def test_a_run_itself_and_no_run(steepest, trained: Path, tmp_path: Path):
    assert [run.path for run in list_runs([trained])] == [trained]
    assert "There is no run here" in steepest("runs", tmp_path).out


def test_bad_input(steepest, folder: Path):
    absent = steepest("runs", folder / "absent")
    assert absent.code == 1
    assert "There is no folder" in absent.err
    with pytest.raises(InputError, match="Runs cannot be sorted by 'accuracyy'") as caught:
        list_runs([folder], "accuracyy")
    assert "--sort accuracy" in str(caught.value)
