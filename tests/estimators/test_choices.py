"""What estimators choose by themselves, and scikit-learn's names for what they are told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from steepest import Classifier, Regressor
from steepest.errors import RecipeError

random = np.random.default_rng(1)
X = random.normal(size=(300, 3)) * [1.0, 20.0, 0.1]
Z = X @ [1.0, -0.05, 4.0]
LABELS = np.where(Z + random.logistic(size=300) > 1.0, "top", "qcd")
THREE = np.digitize(Z + random.normal(size=300), [-0.5, 0.8])
FIT = {"epochs": 30, "learning_rate": 0.1}


# --- logits -------------------------------------------------------------------------------------


def test_two_classes_have_one_logit():
    model = Classifier(**FIT).fit(X, LABELS)
    z = model.decision_function(X)
    assert z.shape == (300,)
    np.testing.assert_allclose(expit(z), model.predict_proba(X)[:, 1], rtol=1e-12)
    np.testing.assert_allclose(z, X @ model.coef_[0] + model.intercept_[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(model.classes_[(z > 0).astype(int)], model.predict(X))
    np.testing.assert_allclose(
        np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12
    )


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_several_classes_have_one_each(hidden):
    model = Classifier(hidden, **FIT).fit(X, THREE)
    z = model.decision_function(X)
    assert z.shape == (300, 3)
    np.testing.assert_allclose(softmax(z, axis=1), model.predict_proba(X), rtol=1e-12)
    np.testing.assert_allclose(
        np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12
    )


def test_logarithms_are_finite_where_probabilities_round_to_zero():
    model = Classifier(**FIT).fit(X, LABELS)
    far = X[:1] + 1e5 * np.sign(model.coef_)
    logs = model.predict_log_proba(far)
    assert model.predict_proba(far)[0, 0] == 0.0
    np.testing.assert_allclose(logs[0, 0], -model.decision_function(far)[0])


def test_coefficients_of_several_classes_have_mean_zero():
    model = Classifier(method="newton", l2=0.01).fit(X, THREE)
    np.testing.assert_allclose(model.coef_.mean(axis=0), 0.0, atol=1e-12)
    assert abs(model.intercept_.mean()) < 1e-12
    z = X @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(softmax(z, axis=1), model.predict_proba(X), atol=1e-12)


# --- weights of classes -------------------------------------------------------------------------


def test_class_weights_are_factors_of_the_events_weights():
    w = random.uniform(0.5, 1.5, 300)
    factors = np.where(LABELS == "top", 3.0, 0.5)
    told = Classifier(class_weight={"top": 3.0, "qcd": 0.5}, **FIT).fit(X, LABELS, w)
    expected = Classifier(**FIT).fit(X, LABELS, w * factors)
    np.testing.assert_array_equal(told.coef_, expected.coef_)


def test_balanced_classes_weigh_the_same():
    few = np.concatenate([np.flatnonzero(LABELS == "top")[:10], np.flatnonzero(LABELS == "qcd")])
    ours = Classifier(class_weight="balanced", method="newton").fit(X[few], LABELS[few])
    theirs = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-10, max_iter=10_000)
    theirs.fit(X[few] / X.std(axis=0), LABELS[few])
    np.testing.assert_allclose(ours.coef_[0] * X.std(axis=0), theirs.coef_[0], rtol=1e-4)
    w = random.uniform(0.5, 1.5, len(few))
    weighted = Classifier(class_weight="balanced", **FIT).fit(X[few], LABELS[few], w)
    top = LABELS[few] == "top"
    by_hand = np.where(top, w / w[top].sum(), w / w[~top].sum())
    expected = Classifier(**FIT).fit(X[few], LABELS[few], by_hand)
    np.testing.assert_allclose(weighted.coef_, expected.coef_, rtol=1e-9)


# --- seeds --------------------------------------------------------------------------------------


def test_random_state_is_the_seed():
    network = {"hidden": (4,), **FIT}
    expected = Regressor(seed=7, **network).fit(X, Z).predict(X)
    np.testing.assert_array_equal(
        Regressor(random_state=7, **network).fit(X, Z).predict(X), expected
    )
    drawn = [
        Regressor(random_state=np.random.RandomState(3), **network).fit(X, Z).predict(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(drawn[0], expected)
    with pytest.raises(RecipeError, match="seed = 1, random_state = 2"):
        Regressor(seed=1, random_state=2).fit(X, Z)


# --- when it ends -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The network is not")  # which it is not
def test_early_stopping_sets_a_tenth_aside():
    model = Classifier(hidden=(16,), early_stopping=True, learning_rate=0.05, seed=2).fit(X, LABELS)
    losses = model.history_["validation_loss"].drop_nulls().to_numpy()
    assert "no better" in model.stop_reason_ or "best" in model.stop_reason_, model.stop_reason_
    assert len(losses) < 3000
    again = Classifier(hidden=(16,), early_stopping=True, learning_rate=0.05, seed=2).fit(X, LABELS)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_networks_of_few_events_take_them_all():
    history = Classifier(hidden=(4,), **FIT).fit(X, LABELS).history_
    assert "validation_loss" not in history.columns or not history["validation_loss"].count()


def test_epochs_that_end_before_tol_are_a_warning():
    with pytest.warns(ConvergenceWarning, match=r"tol = 1e-12"):
        Classifier(epochs=3, tol=1e-12).fit(X, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Classifier(epochs=3000, tol=1e-4).fit(X, LABELS)


@pytest.mark.filterwarnings("ignore:The network is not")  # of twenty events it is not
@pytest.mark.parametrize("events", [20, 300, 5000])
def test_a_network_takes_some_thousands_of_steps(events):
    rows = random.integers(0, 300, events)
    model = Regressor(hidden=(4,)).fit(X[rows], np.abs(Z[rows]))
    assert 2000 <= model.n_iter_ <= 5000


def test_a_network_that_is_no_better_than_a_linear_model_is_a_warning():
    rows = random.integers(0, 300, 1200)
    with pytest.warns(ConvergenceWarning, match="is worse than .* 400 events that were held out"):
        Regressor(hidden=(4,), learning_rate=1e-9).fit(X[rows], Z[rows])


def test_where_a_linear_model_is_right_a_network_of_few_events_warns():
    """Every event is held out once, as the difference of the losses is not clear."""
    with pytest.warns(
        ConvergenceWarning, match=r"not shown to be better than .* on 300 events .* ± "
    ):
        Classifier(hidden=(8,)).fit(X, LABELS)


def test_separable_classes_have_a_linear_model_to_be_compared_with():
    """Without a penalty its logits are huge, and every network is better."""
    cancer, benign = load_breast_cancer(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="not shown to be better"):
        Classifier(hidden=(16,)).fit(cancer[:300], benign[:300])


def test_float32_in_float32_out():
    single = X.astype(np.float32)
    model = Classifier(**FIT).fit(single, LABELS)
    for method in ("predict_proba", "decision_function", "predict_log_proba"):
        assert getattr(model, method)(single).dtype == np.float32
        assert getattr(model, method)(X).dtype == np.float64
    assert Regressor(**FIT).fit(single, Z).predict(single).dtype == np.float32
