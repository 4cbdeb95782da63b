"""A model of another kind, registered from outside, goes through every public call."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.errors import Interrupted, RecipeError, RunFolderError
from steepest.events import load_sample
from steepest.folder import load_model
from steepest.models import Dense, known_models
from steepest.prediction import predict_events
from steepest.run import resume
from steepest.training import TrainingCallback
from toy_models import Quadratic


class Interrupting(TrainingCallback):
    """Asks to stop after so many steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def steps(self, state, loss, rate, epochs) -> None:
        self.interrupted = state.step >= self.after


@pytest.fixture
def table(recipe_table: dict) -> dict:
    return {**recipe_table, "model": {"name": "toy-quadratic"}}


@pytest.fixture
def run(table: dict, tmp_path: Path) -> steepest.Run:
    return steepest.train(table, tmp_path / "whole")


def test_trained_evaluated_predicted_and_read_back(run: steepest.Run, events_file: Path):
    assert run.metrics["model"]["name"] == "quadratic model of 3 features"
    assert run.metrics["model"]["parameters"] == 10
    assert run.metrics["merits"]["model"]["auc"]["value"] > 0.9
    assert run.evaluate()["merits"]["model"] == run.metrics["merits"]["model"]
    assert run.recipe.model.name == "toy-quadratic"

    model = load_model(run.path / "model").model
    config = json.loads((run.path / "model" / "config.json").read_text())
    assert config["version"] == 3
    assert config["model"] == {"name": "toy-quadratic", "inputs": 3, "cross": True}
    assert model.model == Quadratic(3)
    test = load_sample(run.recipe.events).of("test")
    scores = model.predict(test.features)
    assert np.array_equal(scores, run.model.predict(test.features))
    scaled = model.scaling.transform(test.features)
    logit = model.model.logits(model.theta, scaled)[0][:, 0]
    assert np.allclose(scores, 1 / (1 + np.exp(-logit)))

    assert np.array_equal(scores, run.predict(test.features))
    written = predict_events(run.path, str(events_file), run.path.parent / "scores.parquet")
    column = pq.read_table(written.path)["score"].to_numpy()
    assert np.array_equal(column[test.rows], scores)


def test_resumed_equals_uninterrupted(table: dict, run: steepest.Run, tmp_path: Path):
    broken = tmp_path / "broken"
    with pytest.raises(Interrupted):
        steepest.train(table, broken, callback=Interrupting(5))
    with pytest.raises(Interrupted):
        resume(broken, callback=Interrupting(19))
    resumed = resume(broken)
    parameters = [p / "model" / "model.safetensors" for p in (run.path, resumed.path)]
    assert parameters[0].read_bytes() == parameters[1].read_bytes()
    assert resumed.metrics["merits"] == run.metrics["merits"]


def test_buffers_are_trained_saved_and_used(table: dict, tmp_path: Path):
    table["model"]["name"] = "toy-centred"
    table["descent"]["scaling"] = "min-max"
    run = steepest.train(table, tmp_path / "whole")
    model = load_model(run.path).model
    assert (model.buffers["mean"] > 0.1).all()
    test = load_sample(run.recipe.events).of("test")
    inputs = model.scaling.transform(test.features) - model.buffers["mean"]
    logit = model.model.logits(model.theta, inputs)[0][:, 0]
    np.testing.assert_allclose(model.predict(test.features), 1 / (1 + np.exp(-logit)))
    assert run.evaluate()["merits"]["model"] == run.metrics["merits"]["model"]

    with pytest.raises(Interrupted):
        steepest.train(table, tmp_path / "broken", callback=Interrupting(7))
    resumed = resume(tmp_path / "broken").model
    assert resumed.buffers["mean"].tobytes() == model.buffers["mean"].tobytes()
    assert resumed.theta.tobytes() == model.theta.tobytes()


def test_its_landscape(run: steepest.Run):
    landscape = run.landscape("random", points=7, seed=1)
    assert landscape.losses.shape == (7, 7)
    assert landscape.losses.min() == pytest.approx(landscape.losses[3, 3], rel=0.05)
    assert run.landscape("hessian", one_dimensional=True, points=5).losses.shape == (5,)
    with pytest.raises(steepest.errors.InputError, match="a quadratic model of 3 features"):
        run.landscape("parameters", "mass")


def test_options_go_to_the_kind(table: dict, tmp_path: Path):
    table["model"]["cross"] = False
    run = steepest.train(table, tmp_path / "run")
    assert (run.metrics["model"]["cross"], run.metrics["model"]["parameters"]) == (False, 7)
    table["model"]["hidden"] = [8]
    with pytest.raises(RecipeError, match=r"has no option \['hidden'\]"):
        steepest.train(table, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_model_that_is_not_known(table: dict, tmp_path: Path):
    table["model"]["name"] = "toy-quadrtic"
    with pytest.raises(RecipeError) as caught:
        steepest.train(table, tmp_path / "run")
    assert str(caught.value) == (
        "There is no model 'toy-quadrtic'.\n"
        f"  expected: one of {', '.join(known_models())}\n"
        "  found:    model.name = 'toy-quadrtic'\n"
        "  do:       model.name = 'toy-quadratic'"
    )


def test_a_saved_model_of_a_kind_that_is_not_known(run: steepest.Run):
    copy = shutil.copytree(run.path / "model", run.path.parent / "copy")
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"toy-quadratic"', '"cubic"'))
    with pytest.raises(RunFolderError, match="of the kind 'cubic', which is not known here"):
        load_model(copy)


def test_methods_for_linear_models_refuse_it(table: dict, tmp_path: Path):
    table["descent"]["method"] = "newton"
    with pytest.raises(RecipeError, match=r"model\.name = 'toy-quadratic'"):
        steepest.train(table, tmp_path / "run")


def test_dense_networks_refuse_groups():
    with pytest.raises(RecipeError, match="one list of features, not groups of them"):
        Dense.build({}, {"jet": ("pt",), "particles": ("pt", "eta")}, 1)
