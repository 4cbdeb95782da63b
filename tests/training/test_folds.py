"""K folds: each event is scored by the model that has not seen it, and all count together."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import steepest
from samples import make_events, small_recipe
from steepest.errors import (
    DivergenceError,
    EventsError,
    Interrupted,
    RecipeError,
    RunFolderError,
)
from steepest.events import load_sample
from steepest.recipe import Recipe
from steepest.run import resume
from steepest.training import TrainingCallback

FOLDS = 3


def recipe_of(path: Path, **changes: Any) -> dict:
    table = small_recipe(path)
    table["events"] |= {"split": {"folds": FOLDS, "by": "event_number"}} | changes
    return table


@pytest.fixture(scope="module")
def events_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folds") / "events.parquet"
    pq.write_table(pa.table(make_events()), path)
    return path


@pytest.fixture(scope="module")
def run(events_path: Path) -> steepest.Run:
    return steepest.train(recipe_of(events_path), events_path.parent / "run")


def without_seconds(metrics: dict[str, Any] | None) -> str:
    assert metrics is not None
    return json.dumps({key: value for key, value in metrics.items() if key != "seconds"})


def auc_of(metrics: dict[str, Any] | None) -> float:
    assert metrics is not None
    return metrics["merits"]["model"]["auc"]["value"]


def test_merits_rest_on_all_events_scored_by_models_that_have_not_seen_them(run: steepest.Run):
    sample = load_sample(run.recipe.events)
    labels, scores, weights = [], [], []
    for number, fold in enumerate(run.folds):
        test = load_sample(fold.recipe.events).of("test")
        inside = sample.of_fold(number).of("test")
        np.testing.assert_array_equal(test.features, inside.features)
        labels.append(test.labels)
        scores.append(fold.predict(test.features))
        weights.append(test.weights)
    metrics = run.metrics
    assert metrics is not None
    assert metrics["parts"]["test"]["events"] == len(sample) == sum(map(len, labels))
    pooled = map(np.concatenate, (labels, scores, weights))
    labels, scores, weights = pooled
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc_of(metrics) == pytest.approx(expected, rel=1e-12)
    each = np.where(labels == 1, -np.log(scores), -np.log(1 - scores))
    loss = np.average(each, weights=weights)
    assert metrics["losses"]["test"] == pytest.approx(loss, rel=1e-5)


def test_the_spread_is_that_of_the_folds(run: steepest.Run):
    metrics = run.metrics
    assert metrics is not None
    values = [auc_of(fold.metrics) for fold in run.folds]
    assert len(values) == FOLDS == len(metrics["folds"])
    assert metrics["spread"]["auc"]["mean"] == pytest.approx(np.mean(values))
    assert metrics["spread"]["auc"]["standard_deviation"] == pytest.approx(np.std(values, ddof=1))
    assert "<td>AUC</td>" in run._repr_html_()
    log = (run.path / "log.txt").read_text()
    assert f"AUC of the {FOLDS} folds: mean {np.mean(values):.4g}, standard deviation" in log


def test_random_labels_are_not_learnt(tmp_path: Path):
    """A network that fits the labels of its training events: a leak would give an AUC near 1."""
    random = np.random.default_rng(3)
    count = 200
    columns = {name: random.normal(size=count) for name in "abcdef"}
    pq.write_table(pa.table({**columns, "y": random.integers(0, 2, count)}), tmp_path / "e.parquet")
    run = steepest.train(
        {
            "events": {
                "path": str(tmp_path / "e.parquet"),
                "label": "y",
                "split": {"folds": 4, "validation": 0.0},
            },
            "model": {"hidden": [64, 64]},
            "descent": {"epochs": 100, "batch_size": 16, "learning_rate": 0.01, "keep": "last"},
            "evaluate": {"baseline": False},
        },
        tmp_path / "run",
    )
    metrics = run.metrics
    assert metrics is not None
    assert metrics["losses"]["train"] < 0.1  # the labels are learnt by heart
    auc = metrics["merits"]["model"]["auc"]
    assert auc["counts"]["signal"] + auc["counts"]["background"] == count
    assert abs(auc["value"] - 0.5) < 3 * auc["uncertainty"]


@pytest.mark.parametrize("by", ["event_number", None])
def test_predict_scores_each_event_by_the_model_of_its_fold(by, events_path: Path, tmp_path: Path):
    """In another order, and among others, where the event number says the fold."""
    split = {"folds": FOLDS} | ({"by": by} if by else {})
    run = steepest.train(recipe_of(events_path, split=split), tmp_path / "run")
    table = pl.read_parquet(events_path)
    given = table.sample(fraction=1.0, shuffle=True, seed=4) if by else table
    path = tmp_path / "other" / "events.parquet"
    path.parent.mkdir()
    given.write_parquet(path)
    out = tmp_path / "scores.parquet"
    steepest.predict(run.path, path, out, columns=["event_number", "is_top", "weight"])
    scores = pl.read_parquet(out)
    auc = roc_auc_score(scores["is_top"], scores["score"], sample_weight=scores["weight"])
    assert auc_of(run.metrics) == pytest.approx(auc, rel=1e-12)
    ordered = given.with_columns(scores["score"])
    for fold in run.folds:
        kept = load_sample(fold.recipe.events).of("test")
        own = ordered.filter(pl.col("pt").is_in(kept.features[:, 0].tolist()))
        features = own.select("pt", "mass", "ratio").to_numpy()
        np.testing.assert_array_equal(own["score"], fold.predict(features))


def test_evaluate_scores_by_folds_too(run: steepest.Run, events_path: Path):
    own = run.evaluate()
    assert (own["part"], own["events"]["events"]) == ("test", 1200)
    assert auc_of(own) == auc_of(run.metrics)
    again = run.evaluate(str(events_path))
    assert again["part"] == "all"
    assert auc_of(again) == auc_of(run.metrics)


class InterruptedIn(TrainingCallback):
    """Presses Ctrl-C in the descent of a fold."""

    def __init__(self, fold: int) -> None:
        self.sentence = f"Fold {fold} ({fold + 1} of {FOLDS})."
        self.here = False

    def say(self, sentence: str) -> None:
        self.here = self.here or sentence == self.sentence

    def steps(self, *_: Any, **__: Any) -> None:
        if self.here:
            os.kill(os.getpid(), signal.SIGINT)
            self.here = False


def test_a_resumed_run_equals_the_uninterrupted_one(
    run: steepest.Run, events_path: Path, tmp_path: Path
):
    with pytest.raises(Interrupted) as caught:
        steepest.train(recipe_of(events_path), tmp_path / "run", callback=InterruptedIn(1))
    assert "Fold 1: Interrupted" in str(caught.value)
    assert f"steepest train --resume {tmp_path / 'run'}" in str(caught.value)
    stopped = steepest.Run(tmp_path / "run")
    assert stopped.metrics is None
    assert [fold.metrics is None for fold in stopped.folds] == [False, True]
    with pytest.raises(RunFolderError, match="is not complete"):
        steepest.predict(stopped.path, events_path, tmp_path / "scores.parquet")
    resumed = resume(stopped.path)
    assert without_seconds(resumed.metrics) == without_seconds(run.metrics)
    for one, other in zip(resumed.folds, run.folds, strict=True):
        np.testing.assert_array_equal(one.model.theta, other.model.theta)


def test_a_run_ended_in_a_fold_has_the_merits_of_the_events_that_are_scored(
    run: steepest.Run, events_path: Path, tmp_path: Path
):
    with pytest.raises(Interrupted):
        steepest.train(recipe_of(events_path), tmp_path / "run", callback=InterruptedIn(1))
    ended = resume(tmp_path / "run", finish=True)
    metrics, whole = ended.metrics, run.metrics
    assert metrics is not None
    assert whole is not None
    assert metrics["status"] == "complete"
    assert len(metrics["folds"]) == 2
    assert metrics["folds"][0] == whole["folds"][0]
    assert metrics["folds"][1]["steps"] < whole["folds"][1]["steps"]
    scored = sum(fold["events"] for fold in metrics["folds"])
    assert metrics["parts"]["test"]["events"] == scored < 1200
    (warning,) = [text for text in metrics["warnings"] if "folds are trained" in text]
    assert f"2 of 3 folds are trained: figures of merit are those of their {scored:,}" in warning
    assert warning in ended.report.read_text()

    labels, scores, weights = [], [], []
    for fold in ended.folds:
        test = load_sample(fold.recipe.events).of("test")
        labels.append(test.labels)
        scores.append(fold.predict(test.features))
        weights.append(test.weights)
    labels, scores, weights = map(np.concatenate, (labels, scores, weights))
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc_of(metrics) == pytest.approx(expected, rel=1e-12)
    assert auc_of(ended.evaluate()) == auc_of(metrics)
    with pytest.raises(RunFolderError, match=r"is of fold 2, whose model is not trained"):
        steepest.predict(ended.path, events_path, tmp_path / "scores.parquet")

    assert resume(ended.path, finish=True).metrics == metrics  # nothing is left to do
    rest = resume(ended.path)
    assert rest.metrics is not None
    assert rest.metrics["folds"][:2] == metrics["folds"]
    assert rest.metrics["folds"][2] == whole["folds"][2]
    assert rest.metrics["parts"]["test"]["events"] == 1200
    assert not [text for text in rest.metrics["warnings"] if "folds are trained" in text]


def test_each_fold_of_a_longer_run_goes_on(events_path: Path, tmp_path: Path):
    """Also where it was interrupted; what it gives is what the longer run gives at once."""
    table = recipe_of(events_path)
    table["descent"] |= {"schedule": "constant"}
    short = steepest.train(table, tmp_path / "run")
    with pytest.raises(Interrupted):
        resume(short.path, settings=["descent.epochs=6"], callback=InterruptedIn(1))
    for few in (3, 5):  # less than the first fold has done: nothing is changed
        with pytest.raises(RecipeError, match="has done 6 epochs already"):
            short.resume(f"descent.epochs={few}")
    whole = steepest.train(
        table | {"descent": {**table["descent"], "epochs": 6}}, tmp_path / "whole"
    )
    longer = resume(short.path)
    assert longer.recipe == whole.recipe
    assert without_seconds(longer.metrics) == without_seconds(whole.metrics)
    for one, other in zip(longer.folds, whole.folds, strict=True):
        np.testing.assert_array_equal(one.model.theta, other.model.theta)
    with pytest.raises(RecipeError, match="has done 6 epochs already"):
        short.resume("descent.epochs=5")


class InterruptedAtOnce(TrainingCallback):
    """Presses Ctrl-C as the first fold begins, before there is a step."""

    def stage(self, name: str, total: int | None = None) -> None:
        if name == "Descending":
            raise KeyboardInterrupt


def test_folds_without_a_step_cannot_be_finished(events_path: Path, tmp_path: Path):
    with pytest.raises(Interrupted, match="Fold 0: Interrupted before the descent"):
        steepest.train(recipe_of(events_path), tmp_path / "run", callback=InterruptedAtOnce())
    with pytest.raises(RunFolderError, match="cannot be finished: it has no checkpoint yet"):
        resume(tmp_path / "run", finish=True)
    with pytest.raises(RunFolderError, match="No fold of the run"):
        steepest.Run(tmp_path / "run").evaluate()


def test_events_that_have_changed_are_refused(events_path: Path, tmp_path: Path):
    path = tmp_path / "events.parquet"
    path.write_bytes(events_path.read_bytes())
    with pytest.raises(Interrupted):
        steepest.train(recipe_of(path), tmp_path / "run", callback=InterruptedIn(0))
    pl.read_parquet(path).with_columns(pl.col("pt") + 1).write_parquet(path)
    with pytest.raises(RunFolderError, match="have changed since it began"):
        resume(tmp_path / "run")


def test_what_a_single_model_has_is_had_by_each_fold(run: steepest.Run, events_path: Path):
    for asked in (lambda: run.model, lambda: run.history, run.landscape):
        with pytest.raises(RunFolderError, match="it has folds, each with its own"):
            asked()
    assert len(run.folds[2].history) > 0
    assert run.folds[2].report.exists()
    page = run.report.read_text()
    assert "Each fold for itself" in page
    assert "fold 2</th>" in page
    without = pl.read_parquet(events_path).drop("event_number")
    without.write_parquet(events_path.parent / "without.parquet")
    with pytest.raises(EventsError, match="which gives the fold of an event"):
        steepest.predict(run.path, events_path.parent / "without.parquet", "scores.parquet")


def test_one_fold_alone_is_an_ordinary_run(run: steepest.Run, events_path: Path, tmp_path: Path):
    split = {"folds": FOLDS, "fold": 1, "by": "event_number"}
    alone = steepest.train(recipe_of(events_path, split=split), tmp_path / "run")
    np.testing.assert_array_equal(alone.model.theta, run.folds[1].model.theta)
    assert auc_of(alone.metrics) == auc_of(run.folds[1].metrics)


@pytest.mark.parametrize("label", ["kind", "mass"])
def test_other_tasks(label: str, events_path: Path, tmp_path: Path):
    table = recipe_of(events_path, label=label, features=["pt", "ratio"])
    table["evaluate"] = {"bins": [{"column": "pt", "edges": [550, 600, 650]}]}
    metrics = steepest.train(table, tmp_path / "run").metrics
    assert metrics is not None
    assert metrics["parts"]["test"]["events"] == 1200
    assert metrics["bins"]
    assert all(entry["value"] is not None for entry in metrics["merits"]["model"].values())


def test_events_on_disk_give_the_same(run: steepest.Run, events_path: Path, tmp_path: Path):
    on_disk = steepest.train(recipe_of(events_path, memory="20 kB"), tmp_path / "run")
    assert auc_of(on_disk.metrics) == pytest.approx(auc_of(run.metrics), abs=2e-3)


def test_a_fold_that_diverges_is_said(events_path: Path, tmp_path: Path):
    table = recipe_of(events_path, label="mass", features=["pt", "ratio"])
    table["descent"] |= {"learning_rate": 1e6, "optimizer": "sgd"}
    with pytest.raises(DivergenceError):
        steepest.train(table, tmp_path / "run")
    run = steepest.Run(tmp_path / "run")
    assert run.metrics is not None
    assert run.metrics["status"] == "diverged"
    assert "Fold 0 diverged." in (run.path / "log.txt").read_text()
    assert "diverged" in run.report.read_text()


@pytest.mark.slow
def test_the_figures_are_drawn(drawn: None, events_path: Path, tmp_path: Path):
    run = steepest.train(recipe_of(events_path), tmp_path / "run")
    assert run.plot.loss().has_data()
    names = {path.stem for path in (run.path / "figures").glob("*.png")}
    assert names == {"calibration", "folds", "roc", "scores"}
    curves = json.loads((run.path / "figures" / "folds.json").read_text())
    assert curves["part"] == "validation"
    assert len(curves["losses"]) == FOLDS


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"folds": 3, "test": 0.2}, "without test, which folds replaces"),
        ({"folds": 3, "fold": 3}, "with fold below folds"),
        ({"fold": 0}, "with fold below folds"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"folds": 2, "validation": 0.5}, "below 1, to leave events to train on"),
    ],
)
def test_what_does_not_go_together(split: dict, said: str):
    with pytest.raises(RecipeError, match=said):
        Recipe.from_dict({"events": {"path": "e.parquet", "label": "y", "split": split}})


def test_a_setting_of_folds_takes_the_place_of_the_test_part(tmp_path: Path):
    recipe = Recipe.from_dict({"events": {"path": "e.parquet", "label": "y"}})
    folded = recipe.with_settings(["events.split.folds=3"])
    assert folded.events.split.test == 1 / 3
    assert folded.with_settings(["events.split.folds=5"]).events.split.test == 1 / 5
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml())
    assert Recipe.from_toml(file, settings=["events.split.folds=2"]).events.split.test == 1 / 2
    with pytest.raises(RecipeError, match="without test, which folds replaces"):
        folded.with_settings(["events.split.test=0.3"])
