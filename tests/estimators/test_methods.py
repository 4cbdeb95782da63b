"""``method="auto"``: linear models go to their minimum, unless something says how to descend."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from steepest import Classifier, Regressor

random = np.random.default_rng(3)


def collinear(events: int, apart: float) -> np.ndarray:
    """Two features whose difference is `apart` standard deviations wide, and alone matters."""
    X = random.normal(size=(events, 2))
    X[:, 1] = X[:, 0] + apart * X[:, 1]
    return X


@pytest.mark.parametrize("apart", [1e-2, 1e-4])
def test_collinear_classes_are_told_apart(apart):
    X = collinear(1000, apart)
    y = (X[:, 0] - X[:, 1] > 0.3 * apart * random.logistic(size=1000)).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Classifier().fit(X, y)
    assert model.score(X, y) > 0.8
    assert "above its minimum" in model.stop_reason_


@pytest.mark.parametrize("apart", [1e-2, 1e-6])
def test_collinear_least_squares_are_solved(apart):
    X = collinear(1000, apart)
    y = (X[:, 0] - X[:, 1]) / apart + 0.1 * random.normal(size=1000)
    ours, theirs = Regressor().fit(X, y), LinearRegression().fit(X, y)
    assert ours.score(X, y) > 0.98
    assert ours.score(X, y) > theirs.score(X, y) - 1e-9  # which drops the difference at 1e-6


TABLES = {"iris": load_iris, "breast cancer": load_breast_cancer}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("l2", [1e-4, 1e-2])
def test_logistic_regression_reaches_the_minimum_of_scikit_learns(table, l2):
    X, y = TABLES[table](return_X_y=True)
    Z = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-9, max_iter=100_000).fit(Z, y)
    ours = Classifier(l2=l2, scaling="none").fit(Z, y)

    def J(model):
        return log_loss(y, model.predict_proba(Z)) + l2 / 2 * (model.coef_**2).sum()

    assert J(ours) <= J(theirs) + 1e-6


def test_linear_regression_is_scikit_learns():
    X, y = load_diabetes(return_X_y=True)
    ours, theirs = Regressor().fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    ridge = Ridge(alpha=0.1 * len(y) / 2).fit(X, y)
    ours = Regressor(l2=0.1, scaling="none").fit(X, y)
    np.testing.assert_allclose(ours.coef_, ridge.coef_, rtol=1e-6)


def test_many_values_of_least_squares_take_newtons_method():
    X = random.normal(size=(30_000, 8))
    model = Regressor().fit(X, X @ np.arange(8.0) + random.normal(size=30_000))
    assert model.exact_ is None
    assert "above its minimum" in model.stop_reason_
    np.testing.assert_allclose(model.coef_, np.arange(8.0), atol=0.05)


@pytest.mark.parametrize(
    "said",
    [{"epochs": 3}, {"optimizer": "adam"}, {"learning_rate": 0.1}, {"schedule": "cosine"},
     {"batch_size": 10}, {"callbacks": [print]}, {"early_stopping": True}],
)  # fmt: skip
def test_what_says_how_to_descend_descends(said):
    X = random.normal(size=(50, 2))
    model = Classifier(**said).fit(X, (X[:, 0] + random.logistic(size=50) > 0).astype(int))
    assert model.n_iter_ >= 3


@pytest.mark.parametrize("quasi", [False, True])
def test_separable_classes_have_no_minimum(quasi):
    x = random.normal(size=300)
    if quasi:  # one feature alone is enough, for its events
        flag = (np.arange(300) < 20).astype(float)
        X, y = np.c_[flag, x], (x + random.logistic(size=300) > 0) | (flag > 0)
    else:
        X, y = x[:, None], x > 0.2
    with pytest.warns(ConvergenceWarning, match="no minimum to go to.*an L2 penalty"):
        model = Classifier().fit(X, y)
    assert model.score(X, y) > (0.6 if quasi else 0.99)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Classifier(l2=1e-3).fit(X, y)


def test_separated_negative_weights_stop_the_descent_and_are_a_warning():
    """Newton's method refuses what is not convex; the descent after it ends where J is below 0."""
    flag = np.arange(300) < 20
    X = np.c_[random.normal(size=300), flag]
    y = flag | (X[:, 0] > random.normal(size=300))
    with pytest.warns(ConvergenceWarning, match="separated negative weights"):
        model = Classifier(scaling="none").fit(X, y, np.where(flag, -1.0, 1.0))
    assert model.n_iter_ >= 1
    assert np.isfinite(model.coef_).all()


def test_partial_fit_goes_on_from_the_minimum():
    X = random.normal(size=(500, 2))
    y = (X @ [1.0, -2.0] + random.logistic(size=500) > 0).astype(int)
    model = Classifier().fit(X, y)
    before = model.coef_.copy()
    for _ in range(3):
        model.partial_fit(X, y)
    np.testing.assert_allclose(model.coef_, before, rtol=1e-5)
    assert model.n_iter_ == 3


def test_probabilities_are_those_of_the_maximum_likelihood():
    X = random.normal(size=(4000, 3))
    z = X @ [1.0, -0.5, 0.0] + 0.3
    y = (z + random.logistic(size=4000) > 0).astype(int)
    model = Classifier().fit(X, y)
    assert abs(model.predict_proba(X)[:, 1].mean() - y.mean()) < 1e-6  # J's gradient of the bias
    assert np.abs(model.predict_proba(X)[:, 1] - expit(z)).max() < 0.1
