"""Offsets, scales, features without spread, weights: held against the exact answer."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from steepest import Classifier, Regressor
from steepest.errors import EventsError

random = np.random.default_rng(0)
X = random.normal(size=(200, 3))
Y = X @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * random.normal(size=200)
LABELS = (Y + random.normal(size=200) > 3.0).astype(int)
THREE = np.digitize(Y, [2.0, 4.0])
SCALES = {"1e20": 1e20, "1e-20": 1e-20, "all": np.array([1e20, 1e-20, 1.0])}
FEW = {"optimizer": "sgd", "schedule": "constant", "epochs": 100, "l2": 0.0, "batch_size": "all"}
"""For networks: few enough steps that rounding does not grow."""
SCALINGS = ["standard", "min-max", "robust", "quantile", "whiten"]

ADDED = {
    "constant": np.full(200, 7.3),
    "zero": np.zeros(200),
    "constant-1e20": np.full(200, 1e20),
    "near-constant": 1e8 + 1e-7 * random.normal(size=200),
    "one-ulp": np.where(random.random(200) < 0.5, 0.3, np.nextafter(0.3, 1.0)),
    "rare": np.where(random.random(200) < 0.02, 1.0, 0.0),
    "1e-20": 1e-20 * random.normal(size=200),
}


def predicted(scaling, scale):
    """What several models predict of the events in units of `scale`."""
    models = [
        (Regressor(scaling=scaling), Y),
        (Classifier(scaling=scaling), LABELS),
        (Classifier(scaling=scaling, l2=1e-3), THREE),
        (Classifier(hidden=(8,), scaling=scaling, **FEW), LABELS),
        (Regressor(hidden=(8,), scaling=scaling, **FEW), Y),
    ]
    for model, y in models:
        predict = "predict_proba" if hasattr(model, "predict_proba") else "predict"
        yield getattr(model.fit(X * scale, y), predict)(X * scale)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_units_do_not_matter(scaling):
    """The same problem in other units gives the same predictions, to rounding."""
    expected = list(predicted(scaling, 1.0))
    for scale in SCALES.values():
        for result, other in zip(predicted(scaling, scale), expected, strict=True):
            np.testing.assert_allclose(result, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("method", ["descent", "exact"])
def test_coefficients_in_any_units(scale, method):
    model = Regressor(method=method, epochs=200).fit(X * scale, Y)
    A = np.column_stack([X, np.ones(200)])
    exact = np.linalg.lstsq(A, Y)[0]
    np.testing.assert_allclose(model.coef_ * scale, exact[:3], rtol=1e-10)
    np.testing.assert_allclose(model.intercept_, exact[3], rtol=1e-10)


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_units_of_the_target(scale):
    expected = Regressor().fit(X, Y).predict(X)
    np.testing.assert_allclose(
        Regressor().fit(X, Y * scale).predict(X) / scale, expected, rtol=1e-12
    )
    shifted = Regressor(epochs=200).fit(X, Y + 1e8).predict(X) - 1e8
    np.testing.assert_allclose(shifted, Regressor(epochs=200).fit(X, Y).predict(X), atol=1e-7)


def test_an_offset_of_1e8_costs_no_accuracy():
    offset = X + 1e8  # rounded to 1.5e-8: compare on what is left
    centred = offset - 1e8
    exact = Regressor(method="exact").fit(centred, Y)
    for model in (Regressor(method="exact"), Regressor(epochs=300)):
        model.fit(offset, Y)
        np.testing.assert_allclose(model.predict(offset), exact.predict(centred), rtol=1e-9)
        np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-9)
    nesterov = {"name": "nesterov", "momentum": 0.9}
    ours = Classifier(optimizer=nesterov, epochs=3000).fit(offset, LABELS)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(centred, LABELS)
    np.testing.assert_allclose(ours.predict_proba(offset), theirs.predict_proba(centred), atol=1e-6)


@cache
def accuracy(hidden):
    """Of the classifier without the added feature."""
    plain = Classifier(hidden, optimizer="adam", learning_rate=0.05).fit(X, LABELS)
    return plain.score(X, LABELS)


@pytest.mark.parametrize("added", [
    pytest.param(
        values, id=name, marks=pytest.mark.slow if name not in ("zero", "near-constant") else []
    )
    for name, values in ADDED.items()
])  # fmt: skip
def test_features_without_spread_cost_no_accuracy(added):
    events = np.column_stack([X, added])
    exact = Regressor(method="exact").fit(events, Y).predict(events)
    for scaling in ("standard", "whiten"):
        descent = Regressor(scaling=scaling, epochs=400).fit(events, Y)
        np.testing.assert_allclose(descent.predict(events), exact, rtol=1e-7, atol=1e-9)
    for hidden in ((), (8,)):
        more = Classifier(hidden, optimizer="adam", learning_rate=0.05).fit(events, LABELS)
        assert more.score(events, LABELS) > accuracy(hidden) - 0.03


def test_nothing_but_constant_features():
    events = np.full((200, 2), 5.0)
    np.testing.assert_allclose(Regressor().fit(events, Y).predict(events), Y.mean(), rtol=1e-9)
    rate = Classifier(epochs=1000).fit(events, LABELS).predict_proba(events)[:, 1]
    np.testing.assert_allclose(rate, LABELS.mean(), rtol=1e-9)


WEIGHTS = random.integers(0, 4, 200)
COPIES = np.repeat(np.arange(200), WEIGHTS)


@pytest.mark.parametrize("scaling", ["none", *SCALINGS])
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_an_event_of_weight_k_is_that_event_k_times(scaling, hidden):
    """In batch descent, to rounding; also what is validated."""
    for kind, y in ((Regressor, Y), (Classifier, LABELS), (Classifier, THREE)):
        given = FEW | {"epochs": 50, "optimizer": "momentum", "learning_rate": 0.02}
        model = kind(hidden, scaling=scaling, **given)
        predict = "predict" if kind is Regressor else "predict_proba"
        held_out = (X, y, WEIGHTS)
        weighted = getattr(model.fit(X, y, WEIGHTS, validation=held_out), predict)(X)
        losses = model.history_["validation_loss"]
        held_out = (X[COPIES], y[COPIES])
        copied = getattr(model.fit(X[COPIES], y[COPIES], validation=held_out), predict)(X)
        np.testing.assert_allclose(weighted, copied, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(losses, model.history_["validation_loss"], rtol=1e-8)


def test_one_weight_for_all_is_no_weight():
    expected = Regressor().fit(X, Y).coef_
    np.testing.assert_allclose(Regressor().fit(X, Y, sample_weight=2.5).coef_, expected)
    np.testing.assert_allclose(Regressor().fit(X, Y, sample_weight=np.int64(3)).coef_, expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"The weights do not go with the events"),
        (np.ones((200, 1)), r"found:    shape \(200, 1\)"),
        (np.full(200, np.nan), "sample_weight contains NaN"),
        (np.zeros(200), "total weight|add up to|weight"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        Regressor().fit(X, Y, sample_weight=weights)


def test_float32_is_asked_for():
    model = Regressor(hidden=(8,), dtype="float32", epochs=20).fit(X, Y)
    assert model.model_.theta.dtype == np.float32
    assert Regressor(hidden=(8,), epochs=1).fit(X, Y).model_.theta.dtype == np.float64


def test_values_beyond_what_a_scaling_can_square():
    with pytest.raises(EventsError, match="spread of feature 'x0' is beyond"):
        Regressor().fit(X * 1e160, Y)


@pytest.mark.parametrize("hidden", [(), (16,)])
def test_a_regression_does_not_depend_on_the_unit_of_its_target(hidden):
    random = np.random.default_rng(0)
    X = random.standard_normal((600, 3))
    y = 90.0 + 10.0 * np.sin(X[:, 0]) + X[:, 1]
    options = {"hidden": hidden, "epochs": 30, "batch_size": 64, "dtype": "float64", "seed": 0}
    options |= {"learning_rate": 0.01, "optimizer": "adam"} if hidden else {"method": "newton"}
    scores = [Regressor(**options).fit(X, unit * y).score(X, unit * y) for unit in (1e-3, 1, 1e5)]
    np.testing.assert_allclose(scores, scores[1], rtol=1e-6)
    assert scores[1] > 0.5


def test_a_network_begins_at_the_mean_of_its_target_and_pickles_its_unit():
    X, y = np.random.default_rng(0).standard_normal((50, 2)), np.full(50, 7.0)
    y[::2] = 9.0
    model = Regressor(hidden=(4,), epochs=1, learning_rate=1e-9, batch_size=50).fit(X, y)
    assert abs(model.predict(X).mean() - 8.0) < 1.0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    parts = model.model_.to_parts()
    assert parts[0]["target"] == {"centre": 8.0, "width": 1.0}
    read = type(model.model_).from_parts(*parts)
    np.testing.assert_array_equal(read.predict(X), model.predict(X))


def test_a_loss_below_zero_ends_the_descent_and_says_why():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 4)), np.arange(200) % 2
    weights = np.where(random.random(200) < 0.3, -1.0, 1.0)
    options = {"hidden": (64,), "optimizer": "adam", "learning_rate": 0.01, "batch_size": 50}
    with pytest.warns(ConvergenceWarning, match="no minimum to go to"):
        model = Classifier(**options, epochs=3000).fit(X, y, weights)
    assert model.n_iter_ < 3000 * 4
    assert "the model has separated negative weights from positive ones" in model.stop_reason_
