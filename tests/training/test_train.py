"""Training by recipe: the folder that it leaves, and what the numbers in it mean."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import steepest
from samples import make_events
from steepest import evaluate
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.events import load_sample
from steepest.folder import RunFolder
from steepest.recipe import Recipe, default_recipe
from steepest.run import resume


@pytest.fixture(scope="module")
def run(trained: Path) -> steepest.Run:
    return steepest.Run(trained)


def test_metrics_are_those_of_the_saved_model_on_the_test_part(run: steepest.Run):
    sample = load_sample(run.recipe.events)
    test = sample.of("test")
    scores = run.predict(test.features)
    merits = evaluate.binary_merits(test.labels, scores, test.weights)
    metrics = run.metrics
    assert metrics is not None
    error = evaluate.calibration_error(
        evaluate.calibration_curve(test.labels, scores, test.weights)
    )
    merits[error.name] = error
    assert metrics["merits"]["model"] == {name: merit.to_json() for name, merit in merits.items()}
    assert metrics["parts"]["test"]["events"] == len(test.labels)
    assert metrics["parts"]["test"]["weight"] == pytest.approx(test.weights.sum())
    validation = sample.of("validation")
    p = run.predict(validation.features)
    each = -np.log(np.where(validation.labels == 1, p, 1 - p))
    loss = np.average(each, weights=validation.weights)
    assert metrics["losses"]["validation"] == pytest.approx(loss, rel=1e-5)
    assert metrics["losses"]["validation"] == pytest.approx(
        run.history["validation_loss"].drop_nulls().min(), rel=1e-5
    )


def test_scaling_is_fitted_on_the_training_part_alone(run: steepest.Run):
    train = load_sample(run.recipe.events).of("train")
    mean = np.average(train.features, axis=0, weights=train.weights)
    spread = np.sqrt(np.average((train.features - mean) ** 2, axis=0, weights=train.weights))
    scaled: Any = run.model.scaling.transform(train.features)
    np.testing.assert_allclose(scaled, (train.features - mean) / spread, atol=1e-10)


def test_the_final_parameters_lie_where_they_should(run: steepest.Run):
    tensors = load_file(run.path / "model" / "model.safetensors")
    assert {name: t.shape for name, t in tensors.items()} == {
        "layers.0.weights": (3, 8),
        "layers.0.biases": (8,),
        "layers.1.weights": (8, 1),
        "layers.1.biases": (1,),
    }
    path = RunFolder(run.path).descent_path
    assert path is not None
    assert path.steps[0] == 0
    assert path.steps[-1] == run.history["step"].max()
    assert path.thetas.shape == (len(path.steps), run.model.model.size)


def test_history_is_an_interface(run: steepest.Run):
    assert run.history.columns == [
        "step",
        "epoch",
        "loss",
        "learning_rate",
        "gradient_norm",
        "update_ratio",
        "training_loss",
        "validation_loss",
        "validation_auc",
        "seconds",
        "events_per_second",
    ]
    metadata = pq.read_schema(run.path / "history.parquet").metadata
    assert json.loads(metadata[b"steepest"]) == {"format": "steepest-history", "version": 1}


def test_the_report_opens_anywhere(run: steepest.Run):
    page = run.report.read_text(encoding="utf-8")
    references = re.findall(r"""(?:src|href)=["']([^"']{1,40})""", page)
    assert len(references) == 5
    assert all(reference.startswith("data:image/png;base64,") for reference in references)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    for expected in (
        "AUC",
        "linear baseline",
        "1/ε<sub>B</sub> (ε<sub>S</sub> = 0.5)",
        "[events.split]",
        "Coefficients of the logistic regression",
    ):
        assert expected in page


def test_text_from_the_recipe_cannot_break_the_page(recipe_table: dict, tmp_path: Path):
    evil = "<script>alert(1)</script>"
    recipe_table["events"]["features"] = [{"name": evil, "value": "mass"}, "pt"]
    run = steepest.train(recipe_table, tmp_path / "run")
    assert evil not in run.report.read_text(encoding="utf-8")


def test_every_figure_has_a_twin_in_numbers(run: steepest.Run):
    figures = {file.stem for file in (run.path / "figures").glob("*.png")}
    assert figures == {"calibration", "descent", "features", "roc", "scores"}
    assert figures == {file.stem for file in (run.path / "figures").glob("*.json")}


def test_environment_says_what_made_the_run(run: steepest.Run):
    environment = RunFolder(run.path).environment
    assert environment is not None
    assert environment["format"] == "steepest-environment"
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["threads"] == 1
    assert environment["events"] == run.metrics["source"]  # type: ignore[index]


@pytest.mark.usefixtures("drawn")
def test_multiclass(recipe_table: dict, tmp_path: Path):
    recipe_table["events"] |= {"label": "kind", "features": ["mass", "ratio"]}
    recipe_table["events"]["train_weights"] = "as-given"  # accuracy is that of the weights
    run = steepest.train(recipe_table, tmp_path / "run")
    metrics = run.metrics
    assert metrics is not None
    assert metrics["classes"] == ["qcd", "top", "w"]
    assert metrics["merits"]["model"]["accuracy"]["value"] > 0.75
    assert (run.path / "figures" / "confusion.png").exists()
    probabilities = run.predict(np.array([[80.0, 0.7], [170.0, 0.45]]))
    assert probabilities.shape == (2, 3)
    assert "validation_accuracy" in run.history.columns


def test_a_descent_begins_where_the_recipe_says(recipe_table: dict, tmp_path: Path):
    recipe_table["events"]["features"] = ["mass", "ratio"]
    recipe_table["model"] = {"hidden": [], "start": [0.5, -2, 1.0]}
    recipe_table["descent"] = {"method": "descent", "epochs": 1, "learning_rate": 1e-12}
    run = steepest.train(recipe_table, tmp_path / "run")
    np.testing.assert_allclose(run.model.theta, [0.5, -2.0, 1.0], atol=1e-9)
    assert "start = [" in (run.path / "recipe.toml").read_text()
    recipe_table["model"]["start"] = [0.5, -2.0]
    with pytest.raises(RecipeError, match=r"model\.start does not fit the model") as error:
        steepest.train(recipe_table, tmp_path / "refused")
    assert "3 numbers" in str(error.value)
    assert not (tmp_path / "refused").exists()


@pytest.mark.usefixtures("drawn")
def test_regression(recipe_table: dict, tmp_path: Path):
    recipe_table["events"] |= {"label": "mass", "features": ["ratio", "is_top"]}
    run = steepest.train(recipe_table, tmp_path / "run")
    metrics = run.metrics
    assert metrics is not None
    assert set(metrics["merits"]["model"]) >= {"bias", "resolution"}
    assert metrics["baseline"]["coefficients"]["coefficients"]["is_top"][0] > 50
    assert (run.path / "figures" / "residuals.png").exists()


def test_a_selection_and_no_baseline(recipe_table: dict, tmp_path: Path):
    recipe_table["events"]["select"] = "pt < 600 AND ratio > 0.3"
    recipe_table["evaluate"] = {"baseline": False}
    run = steepest.train(recipe_table, tmp_path / "run")
    metrics = run.metrics
    assert metrics is not None
    assert metrics["baseline"] is None
    assert set(metrics["merits"]) == {"model"}
    expected = pl.DataFrame(make_events()).filter((pl.col("pt") < 600) & (pl.col("ratio") > 0.3))
    assert sum(part["events"] for part in metrics["parts"].values()) == len(expected)


def test_negative_weights(recipe_table: dict, tmp_path: Path):
    """Half of the events again with weights that cancel: nearly the same model, same counts."""
    events = make_events()
    table = pa.table(events)
    cancel = [table.set_column(4, "weight", pa.array(np.full(1200, w))) for w in (3.0, -3.0)]
    pq.write_table(pa.concat_tables([table, *cancel]), tmp_path / "more.parquet")
    recipe_table["model"] = {"hidden": []}
    recipe_table["descent"] = {
        "batch_size": "all",
        "optimizer": "nesterov",
        "schedule": "constant",
        "scaling": "whiten",
        "epochs": 4000,
        "validate_every": 100,
        "keep": "last",
    }
    plain = steepest.train(recipe_table, tmp_path / "plain").model.coefficients()
    recipe_table["events"]["path"] = str(tmp_path / "more.parquet")
    run = steepest.train(recipe_table, tmp_path / "signed")
    signed = run.model.coefficients()
    assert plain is not None
    assert signed is not None
    np.testing.assert_allclose(signed.values, plain.values, rtol=1e-4)
    assert run.metrics["parts"]["train"]["weight"] > 0  # type: ignore[index]


def test_no_test_part_is_said(recipe_table: dict, tmp_path: Path):
    recipe_table["events"]["split"] = {"validation": 0.0, "test": 0.0}
    run = steepest.train(recipe_table, tmp_path / "run")
    assert run.metrics["part"] == "train"  # type: ignore[index]
    log = (run.path / "log.txt").read_text(encoding="utf-8")
    assert "There is no test part: the figures of merit are those of the train part." in log


def test_two_processes_cannot_train_in_one_folder(recipe_table: dict, tmp_path: Path):
    folder = RunFolder.create(tmp_path / "run", Recipe.from_dict(recipe_table))
    with folder.locked(), pytest.raises(RunFolderError) as caught:
        resume(tmp_path / "run")
    assert str(caught.value) == (
        f"Another process is training in {tmp_path / 'run'}.\n"
        "  do:       wait until it ends, or train into another folder"
    )
    assert resume(tmp_path / "run").metrics is not None  # from the start, since nothing was done


def test_what_an_unfinished_run_lacks_is_said(recipe_table: dict, tmp_path: Path):
    RunFolder.create(tmp_path / "run", Recipe.from_dict(recipe_table))
    run = steepest.Run(tmp_path / "run")
    assert run.metrics is None
    assert repr(run) == f"Run('{tmp_path / 'run'}', unfinished)"
    with pytest.raises(RunFolderError) as caught:
        _ = run.history
    assert str(caught.value) == (
        f"The run {tmp_path / 'run'} has no history.parquet.\n"
        "  cause:    it was interrupted, or is still training\n"
        f"  do:       steepest train --resume {tmp_path / 'run'}"
    )


def test_a_relative_path_is_written_absolute(recipe_table, tmp_path, monkeypatch):
    """So that the run can be resumed from another working directory."""
    monkeypatch.chdir(tmp_path)
    recipe_table["events"]["path"] = "events.parquet"
    run = steepest.train(recipe_table, "run")
    assert run.recipe.events.path == str(tmp_path / "events.parquet")


def test_brackets_in_names_are_only_text(recipe_table, tmp_path, capsys):
    from steepest.terminal import show_results

    recipe_table["events"] |= {"label": "where(is_top == 1, '[/b]', 'qcd')", "features": ["mass"]}
    recipe_table["events"] |= {"label": "kind"}
    run = steepest.train(recipe_table, tmp_path / "[bold]")
    show_results(run.metrics or {}, run.report)
    assert "[bold]" in capsys.readouterr().out


def test_scores_do_not_tie_where_float32_would(recipe_table, tmp_path):
    run = steepest.train(recipe_table, tmp_path / "run")
    features = np.column_stack([np.full(50, 600.0), np.linspace(400, 500, 50), np.full(50, 0.1)])
    scores = run.predict(features)
    assert scores.dtype == np.float64
    assert len(np.unique(scores)) == 50


def test_the_default_recipe_trains_on_the_embedded_jets(tmp_path):
    """What `steepest train` does without arguments, with fewer epochs."""
    run = steepest.train(default_recipe(), tmp_path / "run", settings=["descent.epochs=8"])
    metrics = run.metrics
    assert metrics is not None
    assert sum(part["events"] for part in metrics["parts"].values()) > 23_900
    model, linear = (metrics["merits"][which]["auc"]["value"] for which in ("model", "baseline"))
    assert model > linear > 0.96
    assert metrics["merits"]["gain"]["auc_difference"]["low"] > 0


def test_bad_events_leave_no_folder(recipe_table: dict, tmp_path: Path):
    recipe_table["events"]["path"] = str(tmp_path / "absent.parquet")
    with pytest.raises(EventsError):
        steepest.train(recipe_table, tmp_path / "run")
    assert not (tmp_path / "run").exists()
