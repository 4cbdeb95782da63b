"""``l2 = "auto"``: λ by trial runs, for dense networks whose recipe leaves their length open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

import steepest
from steepest import Classifier
from steepest.recipe import Recipe
from steepest.training.fitting.penalty import candidates, usual_penalty

EVENTS = 1500


def table(noise: float, events: int = EVENTS) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.standard_normal((events, 10))
    z = X[:, 0] * X[:, 1] + 0.5 * X[:, 2]
    return X, (z + noise * random.logistic(size=events) > 0).astype(int)


@pytest.mark.filterwarnings("ignore:The network is not")
@pytest.mark.parametrize(("noise", "place"), [(0.02, (0, 1)), (3.0, (2,))])
def test_noise_asks_for_a_larger_penalty(noise, place, capsys):
    Classifier(hidden=(32,), dtype="float32", verbose=True).fit(*table(noise))
    said = capsys.readouterr().out
    tried = candidates("binary", EVENTS)
    assert any(f"L2 penalty: λ = {tried[k]:.2g}, the best of 3" in said for k in place), said


def test_few_events_with_noisy_labels_are_held_back():
    """Of 300 events whose labels are nearly chance the usual λ learns the noise by heart."""
    X, y = table(3.0, 900)
    with pytest.warns(ConvergenceWarning, match="The network is"):
        network = Classifier(hidden=(32,)).fit(X[:300], y[:300])
    usual = Classifier(hidden=(32,), l2=usual_penalty("binary", 300))
    with pytest.warns(ConvergenceWarning, match="The network is"):
        usual.fit(X[:300], y[:300])
    held_back, by_heart = (
        log_loss(y[300:], each.predict_proba(X[300:])) for each in (network, usual)
    )
    assert held_back < 0.75 < 0.85 < by_heart


def recipe(tmp_path, **descent):
    X, y = table(0.5)
    np.savez(tmp_path / "events.npz", y=y, **{f"x{k}": column for k, column in enumerate(X.T)})
    events = {"path": str(tmp_path / "events.npz"), "label": "y"}
    return {"events": events, "model": {"hidden": [8]}, "descent": descent}


def test_what_is_chosen_is_told_and_kept_by_a_longer_run(tmp_path):
    given = Recipe.from_dict(recipe(tmp_path, batch_size=256))
    run: Any = steepest.train(given, out=tmp_path / "run", progress=False)
    chosen = run.metrics["descent"]["l2"]
    assert chosen in candidates("binary", run.metrics["parts"]["train"]["events"])
    assert run.metrics["model"]["scaling"] == "asinh"
    longer = int(run.metrics["descent"]["epochs"]) + 10
    run = run.resume(f"descent.epochs={longer}", progress=False)
    assert run.metrics["descent"]["l2"] == chosen


@pytest.mark.parametrize(
    ("descent", "expected"), [({"epochs": 2}, 0.0), ({"epochs": 2, "l2": 0.02}, 0.02)]
)
def test_a_recipe_that_says_the_length_has_the_penalty_it_says(tmp_path, descent, expected):
    run: Any = steepest.train(Recipe.from_dict(recipe(tmp_path, **descent)), out=tmp_path / "run")
    assert run.metrics["descent"]["l2"] == expected


def test_annealing_schedules_have_no_patience_of_their_own(tmp_path):
    from steepest.descent.plan import decided
    from steepest.recipe import Constant, Cosine, DescentRecipe, OneCycle

    patience = {
        schedule.name: decided(DescentRecipe(schedule=schedule), 3200, True).stop.patience
        for schedule in (OneCycle(), Cosine(), Constant())
    }
    assert patience == {"one-cycle": None, "cosine": None, "constant": 15}


@pytest.mark.filterwarnings("ignore:The network is")
def test_of_too_few_events_to_hold_any_out_it_is_said(capsys):
    X, y = table(0.1, 14)
    Classifier(hidden=(4,), learning_rate="auto", epochs=30, l2="auto", verbose=True).fit(X, y)
    rate, penalty = capsys.readouterr().out.splitlines()[:2]
    assert "on 14 events, too few to hold any out)" in rate
    assert "(loss of the events themselves, too few to hold any out: " in penalty
