"""Relevance: a dense network's inputs are multiplied by the weight that a trial run gives them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import steepest
import steepest.training.fitting.relevance as room
from steepest import Classifier
from steepest.descent import State
from steepest.descent.state import Best
from steepest.events import TRAIN
from steepest.landscape.input import _of_inputs
from steepest.recipe import Recipe
from steepest.training.callback import TrainingCallback
from steepest.training.fit import model_at
from steepest.training.inputs import prepare

EVENTS, FEATURES = 2400, 20
NAMES = [f"x{k:02d}" for k in range(FEATURES)]


def table() -> tuple[np.ndarray, np.ndarray]:
    """A product of two features and a third decide; the other seventeen are noise."""
    random = np.random.default_rng(0)
    X = random.standard_normal((EVENTS, FEATURES))
    return X, (X[:, 0] * X[:, 1] + X[:, 2] + random.logistic(size=EVENTS) > 0).astype(int)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("relevance") / "events.npz"
    X, y = table()
    np.savez(path, y=y, **dict(zip(NAMES, X.T, strict=True)))
    events = {"path": str(path), "label": "y", "split": {"test": 0.4}}
    return {"events": events, "model": {"hidden": [16]}, "evaluate": {"baseline": False}}


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory) -> Any:
    out = tmp_path_factory.mktemp("run") / "run"
    return steepest.train(recipe, out, progress=False)


def entropy(run: Any) -> float:
    return run.metrics["merits"]["model"]["binary_cross_entropy"]["value"]


def test_features_that_decide_are_found_and_lower_the_loss(run, recipe, tmp_path):
    relevance = run.metrics["model"]["relevance"]
    assert sorted(relevance, key=relevance.get)[-3:] == sorted(NAMES[:3], key=relevance.get), (
        relevance
    )
    said = (run.path / "log.txt").read_text()
    assert "Relevance: inputs are multiplied by" in said
    largest = max(relevance, key=relevance.get)
    assert f"; largest factors: {largest} ({relevance[largest]:.2g}), x" in said
    alike = {**recipe, "descent": {"scaling": "asinh"}}
    without: Any = steepest.train(alike, tmp_path / "run", progress=False)
    assert "relevance" not in without.metrics["model"]
    assert entropy(run) < 0.97 * entropy(without)


def test_it_is_part_of_the_saved_model_and_of_a_longer_descent(run, recipe, tmp_path):
    scaling: Any = steepest.Run(run.path).model.scaling
    saved = scaling.relevance
    assert dict(zip(NAMES, saved.tolist(), strict=True)) == run.metrics["model"]["relevance"]
    kept = {**recipe, "descent": {"epochs": 2, "l2": "auto"}}
    short: Any = steepest.train(kept, tmp_path / "run", progress=False)
    first = short.metrics["model"]["relevance"]
    longer = short.resume("descent.epochs=3", progress=False)
    assert longer.metrics["model"]["relevance"] == first


@pytest.mark.filterwarnings("ignore:The network is not")
def test_factors_that_do_not_help_are_not_taken(monkeypatch, capsys):
    wrong = np.where(np.arange(FEATURES) < 3, 0.05, 1.0)
    monkeypatch.setattr(room, "relevance_of", lambda weights: wrong)
    network: Any = Classifier(hidden=(16,), verbose=True).fit(*table())
    assert network.relevance_ is None
    assert "Relevance: tried and not taken: inputs are multiplied by" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:The network is not")
def test_a_gain_that_is_too_small_is_not_taken(monkeypatch, capsys):
    monkeypatch.setattr(room, "GAIN", 0.9)
    network: Any = Classifier(hidden=(16,), verbose=True).fit(*table())
    rate, penalty, said = capsys.readouterr().out.splitlines()[:3]
    assert network.relevance_ is None
    assert said.startswith("Relevance: tried and not taken: ")
    assert rate == "Learning rate: η = 0.003, the default of estimators for networks."
    assert penalty.startswith(f"L2 penalty: λ = {network.l2_:.2g}, ")


def test_a_diverged_descent_has_the_relevance_of_its_state(recipe, tmp_path):
    given = Recipe.from_dict(recipe)
    parts, schema = prepare(given, TrainingCallback(), tmp_path)
    factors = tuple(np.linspace(0.5, 2.0, FEATURES).tolist())
    theta = np.zeros(FEATURES * 16 + 16 + 17, dtype=np.float32)
    state = State(theta, (), 3, Best(theta, 1.0, 0), 1e3, relevance=factors)
    again = State.from_parts(state.arrays(), json.loads(json.dumps(state.scalars())))
    assert again.relevance == factors
    model: Any = model_at(parts[TRAIN], schema, given.model, given.descent, again)
    assert tuple(model.scaling.relevance) == factors


def test_parameters_of_another_relevance_are_the_same_function(run):
    model: Any = run.model
    X, _ = table()
    for factors in ([], np.linspace(0.5, 2.0, FEATURES)):
        here: Any = SimpleNamespace(
            scaling=model.scaling.with_relevance(factors), model=model.model
        )
        theta = _of_inputs(here, model, model.theta.astype(np.float64))
        (sums,) = model.model.hidden_sums(theta, here.scaling.transform(X[:50]))
        usual = model.theta.astype(np.float64)
        (expected,) = model.model.hidden_sums(usual, model.scaling.transform(X[:50]))
        np.testing.assert_allclose(sums, expected, rtol=1e-9, atol=1e-12)


def test_explain_tries_changes_with_these_factors_and_another_l2_anew(run):
    from steepest.explain.record import read_record
    from steepest.explain.trials import Trials, _changed

    record = read_record(run.path)
    trials = Trials(record, TrainingCallback())
    own = _changed(record, {})
    recipe, scaling = trials._as_weighted(own)
    assert recipe == own
    assert scaling is record.model.scaling
    other, scaling = trials._as_weighted(_changed(record, {"descent.l2": 0.0}))
    assert (other.descent.scaling, scaling) == ("auto", None)
