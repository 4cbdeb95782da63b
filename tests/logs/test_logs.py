"""`descent.log`: what TensorBoard and MLflow read back is what the history has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import make_events, small_recipe
from steepest.errors import DivergenceError, InputError, Interrupted, MissingExtraError
from steepest.explain.logs import explain_log
from steepest.folder import RunFolder
from steepest.training import TrainingCallback

Read = Callable[[Path], dict[str, dict[int, list[float]]]]
"""Folder of a run → by name and step, every value that was logged."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("logs")
    pq.write_table(pa.table(make_events(400)), folder / "events.parquet")
    return small_recipe(folder / "events.parquet")


def tensorboard(run: Path) -> dict[str, dict[int, list[float]]]:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    found: dict[str, dict[int, list[float]]] = {}
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            found.setdefault(tag, {}).setdefault(event.step, []).append(event.value)
    return found


def client() -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def identity(run: Path) -> str:
    import json

    return json.loads((run / "mlflow.json").read_text())["run_id"]


def mlflow(run: Path) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = {}
    for name in client().get_run(identity(run)).data.metrics:
        for metric in client().get_metric_history(identity(run), name):
            found.setdefault(name, {}).setdefault(metric.step, []).append(metric.value)
    return found


@pytest.fixture(params=["tensorboard", "mlflow"])
def tool(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Read]:
    name = request.param
    pytest.importorskip(name)
    if name == "mlflow":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return name, {"tensorboard": tensorboard, "mlflow": mlflow}[name]


def assert_is_logged(run: RunFolder, read: Read) -> None:
    """Every validation once, and the figures of merit at the step that was kept."""
    found = read(run.path)
    rows = [row for row in run.history.to_pylist() if row["training_loss"] is not None]
    for name in ("training_loss", "validation_loss", "validation_auc"):
        assert sorted(found[name]) == [row["step"] for row in rows]
        for row in rows:
            assert found[name][row["step"]] == [pytest.approx(row[name], rel=1e-6)]
    assert sorted(found["learning_rate"]) == [row["step"] for row in rows]
    metrics = run.metrics
    assert metrics is not None
    kept, merits = metrics["descent"]["kept_step"], metrics["merits"]["model"]
    assert found["test/auc"] == {kept: [pytest.approx(merits["auc"]["value"], rel=1e-6)]}
    assert found["train/loss"][kept] == [pytest.approx(metrics["losses"]["train"], rel=1e-6)]


def trained(recipe: dict, tool: tuple[str, Read], out: Path, *settings: str, **options: Any):
    settings = (f'descent.log=["{tool[0]}"]', *settings)
    return steepest.train(recipe, out, settings=settings, progress=False, **options)


def test_validations_and_results_are_read_back(recipe: dict, tool, tmp_path: Path):
    run = trained(recipe, tool, tmp_path / "run")
    assert_is_logged(RunFolder(run.path), tool[1])
    RunFolder(run.path).verify()
    plain = steepest.train(recipe, tmp_path / "plain", progress=False)
    assert (plain.model.theta == run.model.theta).all()
    if tool[0] == "mlflow":
        told = client().get_run(identity(run.path))
        assert told.info.status == "FINISHED"
        assert told.info.run_name == "run"
        assert told.data.params["descent.learning_rate"] == "0.01"
        assert told.data.tags["steepest.run"] == str(run.path)
        assert client().get_experiment(told.info.experiment_id).name == "steepest"
    else:
        assert explain_log(run.path / "tensorboard", loss="training_loss").verdict


class _Stop(TrainingCallback):
    """Interrupts after some validations."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def round(self, state, values) -> None:
        self.left -= 1
        self.interrupted = self.left == 0


def test_a_resumed_run_has_each_validation_once(recipe: dict, tool, tmp_path: Path):
    """The kill after a checkpoint loses two validations, which are logged again."""
    with pytest.raises(Interrupted):
        trained(recipe, tool, tmp_path / "run", "descent.epochs=6", callback=_Stop(2))
    run = RunFolder(tmp_path / "run")
    first = run.path / "checkpoints"
    import shutil

    shutil.copytree(run.path, tmp_path / "kept")
    if tool[0] == "mlflow":
        assert client().get_run(identity(run.path)).info.status == "KILLED"
    with pytest.raises(Interrupted):
        steepest.resume(run.path, callback=_Stop(2))
    for name in ("checkpoints", "journal"):  # as if the process had been killed before it saved
        shutil.rmtree(run.path / name)
        shutil.copytree(tmp_path / "kept" / name, run.path / name)
    assert first.exists()
    steepest.resume(run.path, progress=False)
    assert_is_logged(run, tool[1])
    longer = steepest.resume(run.path, settings=["descent.epochs=7"], progress=False)
    history = [r for r in RunFolder(longer.path).history.to_pylist() if r["training_loss"]]
    assert sorted(tool[1](run.path)["training_loss"]) == [row["step"] for row in history]
    if tool[0] == "mlflow":
        assert client().get_run(identity(run.path)).info.status == "FINISHED"


def test_a_method_that_does_not_say_when_it_begins(trained_copy: Path):
    """Newton's method: the first validation says where the descent goes on."""
    from steepest.training.logs.logged import LoggedCallback

    told: list[tuple] = []

    class Notes:
        def begin(self, step: int) -> None:
            told.append(("begin", step))

        def log(self, step: int, values: Any) -> None:
            told.append(("log", step, values))

    callback = LoggedCallback(TrainingCallback(), [Notes()], RunFolder(trained_copy))  # type: ignore[list-item]
    for step in (4, 5):
        callback.round(SimpleNamespace(step=step), {"validation_loss": 1.0, "seconds": None})
    values = {"validation_loss": 1.0}
    assert told == [("begin", 3), ("log", 4, values), ("log", 5, values)]


def test_each_fold_and_all_of_them(recipe: dict, tool, tmp_path: Path):
    recipe = {**recipe, "events": {**recipe["events"], "split": {"folds": 2, "validation": 0.2}}}
    run = trained(recipe, tool, tmp_path / "run", "descent.epochs=2")
    for fold in run.folds:
        assert_is_logged(RunFolder(fold.path), tool[1])
    assert run.metrics is not None
    found = tool[1](run.path)
    assert "training_loss" not in found
    (values,) = found["test/auc"].values()
    assert values == [pytest.approx(run.metrics["merits"]["model"]["auc"]["value"], rel=1e-6)]
    if tool[0] == "mlflow":
        children = [client().get_run(identity(fold.path)) for fold in run.folds]
        parents = {child.data.tags["mlflow.parentRunId"] for child in children}
        assert parents == {identity(run.path)}
        assert [child.info.run_name for child in children] == ["run fold 0", "run fold 1"]


def test_one_rank_logs(recipe: dict, tool, tmp_path: Path):
    pytest.importorskip("torch")
    from steepest import training
    from thread_ranks import on_ranks

    table = {**recipe, "descent": {**recipe["descent"], "log": [tool[0]], "epochs": 2}}
    found = on_ranks(
        lambda _: training.train(steepest.Recipe.from_dict(table), tmp_path / "run"), 2
    )
    assert not [each for each in found if isinstance(each, Exception)], found
    assert_is_logged(RunFolder(tmp_path / "run"), tool[1])


def test_a_run_that_diverges(recipe: dict, tool, tmp_path: Path):
    with pytest.raises(DivergenceError):
        trained(recipe, tool, tmp_path / "run", "descent.learning_rate=1e12",
                "descent.optimizer=sgd", "descent.schedule=constant")  # fmt: skip
    assert "test/auc" not in tool[1](tmp_path / "run")
    if tool[0] == "mlflow":
        assert client().get_run(identity(tmp_path / "run")).info.status == "FAILED"


def test_a_log_that_fails_meanwhile_does_not_end_the_training(
    recipe: dict, tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from steepest.training.logs.logged import LOGGERS

    def fail(self, step: int, values: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(LOGGERS[tool[0]], "log", fail)
    run = trained(recipe, tool, tmp_path / "run", "descent.epochs=2")
    assert run.metrics is not None
    assert RunFolder(run.path).log.count("is not told any more: OSError: No space left") == 1


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_told_before_any_work(
    name: str, recipe: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        trained(recipe, (name, tensorboard), tmp_path / "run")
    assert f"pip install 'steepest[{name}]'" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_store_that_is_not_there(recipe: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://here")
    with pytest.raises(InputError, match="MLflow cannot log this run") as caught:
        trained(recipe, ("mlflow", mlflow), tmp_path / "run")
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert RunFolder(tmp_path / "run").metrics is None
