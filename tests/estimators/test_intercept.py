"""Linear models without an intercept, by every solver."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import steepest
from steepest import Classifier, Regressor
from steepest.errors import RecipeError

random = np.random.default_rng(0)
X = random.normal(size=(400, 3)) + np.array([5.0, 0.0, 1.0])
Y = X @ [1.0, 2.0, -1.0] + 3.0 + random.normal(size=400)
W = random.uniform(0.2, 2.0, 400)


@pytest.mark.parametrize(
    ("solver", "precision"),
    [
        ({}, 1e-12),
        ({"method": "newton"}, 1e-9),
        ({"epochs": 2000}, 1e-9),
        ({"optimizer": "adam", "batch_size": 50, "epochs": 200, "schedule": "cosine"}, 2e-3),
    ],
)
def test_every_solver_finds_scikit_learn_s_answer(solver, precision):
    ours = Regressor(fit_intercept=False, **solver).fit(X, Y, W)
    theirs = LinearRegression(fit_intercept=False).fit(X, Y, W)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=precision)
    assert ours.intercept_ == 0.0
    assert ours.predict(np.zeros((1, 3))) == 0.0


def test_means_far_from_zero_are_no_intercept():
    """Newton's method measures features from their means, where that changes nothing."""
    far = X + 1e4
    ours = Regressor(fit_intercept=False, method="newton").fit(far, Y)
    theirs = LinearRegression(fit_intercept=False).fit(far, Y)
    np.testing.assert_allclose(ours.predict(far), theirs.predict(far), rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes(classes):
    labels = np.digitize(Y, [5.0, 8.0][: classes - 1])
    l2 = 0.01
    ours = Classifier(fit_intercept=False, l2=l2).fit(X, labels, W)
    theirs = LogisticRegression(
        fit_intercept=False, C=1 / (l2 * W.sum()), tol=1e-10, max_iter=10_000
    ).fit(X, labels, W)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert (ours.intercept_ == 0.0).all()


def test_partial_fit_is_fit_without_an_intercept_too(tmp_path):
    labels = np.where(Y > 8, "top", "qcd")
    given = {"fit_intercept": False, "batch_size": 100, "epochs": 3, "learning_rate": 0.01}
    whole, model = Classifier(**given).fit(X, labels), Classifier(**given)
    for _ in range(3):
        model.partial_fit(X, labels, classes=["qcd", "top"])
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    model.save_pretrained(tmp_path / "model")
    again = Classifier.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    loaded = steepest.load(tmp_path / "model")
    assert loaded.model.title("binary") == "logistic regression through the origin"


@pytest.mark.parametrize("parameters", [{"hidden": (4,)}, {"scaling": "standard"}])
def test_what_would_have_an_intercept_is_refused(parameters):
    with pytest.raises(RecipeError, match="fit_intercept=False"):
        Regressor(fit_intercept=False, **parameters).fit(X, Y)


def test_a_recipe(tmp_path):
    np.savez(tmp_path / "events.npz", y=Y, **{f"x{k}": column for k, column in enumerate(X.T)})
    recipe = {
        "events": {"path": str(tmp_path / "events.npz"), "label": "y"},
        "model": {"name": "through-origin"},
        "descent": {"method": "exact"},
        "evaluate": {"baseline": False},
    }
    run = steepest.train(recipe, tmp_path / "run", progress=False)
    assert run.metrics is not None
    found = run.metrics["model"]["coefficients"]
    assert run.metrics["model"]["name"] == "linear regression through the origin"
    assert found["intercept"] == [0.0]
    with pytest.raises(RecipeError, match="no options"):
        steepest.train(recipe | {"model": {"name": "through-origin", "units": 3}}, tmp_path / "no")
