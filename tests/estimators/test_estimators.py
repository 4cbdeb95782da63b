"""Classifier and Regressor: arrays in, the same descent, coefficients in original units."""

from __future__ import annotations

import inspect

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from steepest import Classifier, Regressor
from steepest.errors import EventsError, RecipeError

CONVERGE = {"optimizer": {"name": "nesterov", "momentum": 0.9}, "epochs": 3000, "scaling": "whiten"}


@pytest.fixture(scope="module")
def two_classes() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 3)) * [1.0, 50.0, 1e-3] + [0.0, 1e4, 5.0]
    logit = X[:, 0] + (X[:, 1] - 1e4) / 50 - 0.5
    return X, (random.random(400) < 1 / (1 + np.exp(-logit))).astype(int)


def test_signature_is_the_designed_one():
    parameters = inspect.signature(Classifier).parameters
    defaults = {name: p.default for name, p in parameters.items()}
    designed = {
        "hidden": (),
        "batch_size": None,
        "optimizer": None,
        "learning_rate": None,
        "schedule": None,
        "scaling": "auto",
        "l2": None,
        "epochs": None,
        "tol": None,
        "early_stopping": False,
        "seed": 0,
        "random_state": None,
    }
    assert {name: defaults[name] for name in designed} == designed
    fit = inspect.signature(Classifier.fit).parameters
    assert list(fit) == ["self", "X", "y", "sample_weight", "validation"]


def test_logistic_regression_is_scikit_learn_s(two_classes):
    X, y = two_classes
    ours = Classifier(**CONVERGE).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, tol=1e-10)).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    scale = theirs[0].scale_
    np.testing.assert_allclose(ours.coef_[0], theirs[1].coef_[0] / scale, rtol=1e-5)
    logits = X @ ours.coef_[0] + ours.intercept_[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), ours.predict_proba(X)[:, 1], atol=1e-9)


def test_weights_are_copies(two_classes):
    X, y = two_classes
    weights = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = Classifier(**CONVERGE).fit(X, y, sample_weight=weights)
    copied = Classifier(**CONVERGE).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.coef_, copied.coef_, rtol=1e-7)


def test_softmax_regression_is_scikit_learn_s():
    X, y = load_iris(return_X_y=True)
    ours = Classifier(l2=2 / len(y), **CONVERGE | {"scaling": "standard"}).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(scaled, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(scaled), atol=1e-6)
    assert ours.coef_.shape == (3, 4)
    assert ours.intercept_.shape == (3,)


def test_class_names_and_frames():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    frame = pl.DataFrame(X, schema=["sl", "sw", "pl", "pw"])
    model = Classifier(epochs=300).fit(frame, names)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(model.predict(frame)) <= set(names)
    assert model.model_.names == ("sl", "sw", "pl", "pw")
    assert model.score(frame, names) > 0.9


def test_validation_keeps_the_best(two_classes):
    X, y = two_classes
    model = Classifier(
        hidden=(32,), optimizer="adam", batch_size=16, learning_rate=0.02, epochs=60
    ).fit(X[:200], y[:200], validation=(X[200:], y[200:]))
    losses = model.history_["validation_loss"].drop_nulls().to_numpy()
    p = model.predict_proba(X[200:])[np.arange(200), y[200:]]
    assert -np.log(p).mean() == pytest.approx(losses.min(), rel=1e-5)
    assert losses[-1] > 1.05 * losses.min()  # it overfits, so that the test tells


def test_one_seed_gives_the_same_bits(two_classes):
    X, y = two_classes
    model = Classifier(hidden=(8,), optimizer="adam", batch_size=32, epochs=5, seed=3)
    first = model.fit(X, y).predict_proba(X).tobytes()
    assert clone(model).fit(X, y).predict_proba(X).tobytes() == first
    assert model.fit(X, y).predict_proba(X).tobytes() == first
    other = clone(model).set_params(seed=4).fit(X, y)
    assert other.predict_proba(X).tobytes() != first


def test_regression_network_learns_a_parabola():
    x = np.linspace(-1, 1, 400)[:, None]
    y = 5 + 3 * x[:, 0] ** 2
    model = Regressor(
        hidden=(32,),
        optimizer="adam",
        batch_size=32,
        learning_rate=0.01,
        schedule="cosine",
        epochs=200,
    ).fit(x, y)
    assert model.score(x, y) > 0.998
    with pytest.raises(AttributeError, match="Regressor has no coef_: only a model without hidden"):
        _ = model.coef_


def test_exact_with_weights_and_offsets():
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 2)) + 1e8
    y = (X - 1e8) @ [2.0, -3.0] + 4.0
    weights = random.normal(1.0, 1.0, 100)
    weights += 0.5 - min(weights.mean(), 0)
    model = Regressor(method="exact").fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, [2.0, -3.0], rtol=1e-7)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"optimizer": "adamm"}, "Classifier has a wrong value for 'optimizer'."),
        ({"learning_rate": -1.0}, "Classifier has a wrong value for 'learning_rate'."),
        (
            {"schedule": {"name": "step", "evry": 2}},
            "Classifier has an unknown key 'schedule.evry'.",
        ),
        ({"hidden": (0,)}, "Classifier has a wrong value for 'hidden[0]'."),
        (
            {"hidden": (3,), "initialization": "zeros"},
            'model.initialization = "zeros" does not train a network with hidden layers.',
        ),
        (
            {"batch_size": 1000},
            "descent.batch_size is 1,000, but there are only 400 training events.",
        ),
    ],
)
def test_wrong_parameters(two_classes, parameters, message):
    with pytest.raises(RecipeError) as caught:
        Classifier(**parameters).fit(*two_classes)
    assert str(caught.value).splitlines()[0] == message


def test_one_class(two_classes):
    X, _ = two_classes
    with pytest.raises(EventsError) as caught:
        Classifier().fit(X, np.ones(400, dtype=int))
    assert str(caught.value) == (
        "Classifier was given one class only.\n"
        "  expected: labels of two classes or more\n"
        "  found:    only 1 in 400 events"
    )


def test_validation_with_an_unknown_class(two_classes):
    X, y = two_classes
    with pytest.raises(EventsError) as caught:
        Classifier().fit(X, y, validation=(X, y + 1))
    assert str(caught.value) == (
        "The labels have a class that the training labels lack.\n"
        "  expected: one of [0, 1]\n"
        "  found:    np.int64(2)"
    )


def test_weights_that_cannot_be_divided_by(two_classes):
    X, y = two_classes
    with pytest.raises(EventsError) as caught:
        Classifier(scaling="none").fit(X, y, sample_weight=np.where(y, 1.0, -2.0))
    assert "weights" in str(caught.value).lower()
