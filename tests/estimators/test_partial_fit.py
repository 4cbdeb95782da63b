"""partial_fit: the same descent in passes, over the same events or over others."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from steepest import Classifier, Regressor
from steepest.descent.batches import Batches
from steepest.errors import EventsError, RecipeError

DESCENTS = {
    "batch": {},
    "stochastic": {"batch_size": 1, "learning_rate": 0.01},
    "mini-batches": {"batch_size": 16, "optimizer": "momentum", "schedule": "inverse-time"},
    "network": {
        "hidden": (8,),
        "batch_size": 32,
        "optimizer": "adam",
        "schedule": {"name": "one-cycle", "warmup": 0.3},
    },
    "plateau": {"batch_size": 7, "schedule": {"name": "reduce-on-plateau", "patience": 1}},
}


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    X = random.normal(size=(120, 3)) * [1.0, 20.0, 1e-3]
    return X, X @ [1.0, 0.1, 500.0] + random.normal(size=120)


def labels_of(y: np.ndarray) -> np.ndarray:
    return np.array(["soft", "medium", "hard"])[np.digitize(y, [-1.0, 1.0])]


def numbers(history, *columns: str) -> np.ndarray:
    return history.select(columns).to_numpy()


@pytest.mark.parametrize("descent", DESCENTS.values(), ids=DESCENTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_calls_with_one_sample_are_the_epochs_of_fit(sample, descent, weighted):
    X, y = sample
    w = np.random.default_rng(0).normal(1.0, 0.7, len(y)) if weighted else None
    model = Regressor(epochs=5, seed=3, **descent)
    whole = clone(model).fit(X, y, sample_weight=w)
    for _ in range(5):
        model.partial_fit(X, y, sample_weight=w)
    assert model.predict(X).tobytes() == whole.predict(X).tobytes()
    assert (model.n_iter_, model.learning_rate_) == (whole.n_iter_, whole.learning_rate_)
    columns = ("step", "loss", "learning_rate", "gradient_norm", "training_loss")
    np.testing.assert_array_equal(
        numbers(model.history_, *columns), numbers(whole.history_, *columns)
    )
    np.testing.assert_allclose(numbers(model.history_, "epoch"), numbers(whole.history_, "epoch"))
    assert model.stop_reason_ == "pass 5 is done"


@pytest.mark.parametrize("classes", [2, 3])
def test_classifier_s_calls_are_the_epochs_of_fit(sample, classes):
    X, y = sample
    y = labels_of(y) if classes == 3 else y > 0
    model = Classifier(batch_size=16, optimizer="adam", learning_rate=0.1, epochs=4)
    whole = clone(model).fit(X, y)
    model.partial_fit(X, y, classes=np.unique(y))
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.predict_proba(X).tobytes() == whole.predict_proba(X).tobytes()
    np.testing.assert_array_equal(model.classes_, whole.classes_)


def test_goes_on_where_fit_ended(sample):
    X, y = sample
    descent = {"batch_size": 16, "optimizer": "nesterov", "schedule": "exponential"}
    model = Regressor(epochs=2, **descent).fit(X, y)
    model.partial_fit(X, y).partial_fit(X, y)
    assert (
        model.predict(X).tobytes() == Regressor(epochs=4, **descent).fit(X, y).predict(X).tobytes()
    )


def test_goes_on_from_the_last_parameters_not_from_the_best(sample):
    X, y = sample
    descent = {"batch_size": 16, "learning_rate": 0.05}
    fitted = Regressor(epochs=3, **descent).fit(X, y, validation=(X[:5], y[:5] + 100.0))
    plain = Regressor(epochs=3, **descent).fit(X, y)
    assert fitted.coef_.tobytes() != plain.coef_.tobytes()
    assert fitted.partial_fit(X, y).coef_.tobytes() == plain.partial_fit(X, y).coef_.tobytes()


def test_fit_begins_anew(sample):
    X, y = sample
    model = Regressor(batch_size=16, epochs=2)
    first = model.fit(X, y).coef_.tobytes()
    model.partial_fit(X[:, :], y)
    assert model.fit(X, y).coef_.tobytes() == first


def test_a_pickled_descent_goes_on_with_the_same_bits(sample):
    X, y = sample
    model = Regressor(batch_size=16, optimizer="adam", learning_rate=0.1, schedule="cosine")
    model.partial_fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert copy.partial_fit(X, y).coef_.tobytes() == model.partial_fit(X, y).coef_.tobytes()


def test_pieces_of_a_stream(sample):
    """The scaling is that of the first piece; later pieces may be of any size."""
    X, y = sample
    model = Regressor(batch_size=10, epochs=40, schedule="step", learning_rate=0.2)
    model.partial_fit(X[:60], y[:60])
    shift, rate = model.model_.scaling.affine()[0], model.learning_rate_
    np.testing.assert_allclose(shift, X[:60].mean(axis=0))
    for piece in (slice(60, 95), slice(95, 98), slice(98, 120)):
        model.partial_fit(X[piece], y[piece])
    assert model.n_iter_ == 6 + 4 + 1 + 3  # a piece smaller than a batch is one batch
    assert model.history_["step"].to_list() == list(range(1, 15))
    assert model.history_["epoch"].to_list()[-1] == 4.0
    np.testing.assert_array_equal(model.model_.scaling.affine()[0], shift)
    assert model.learning_rate_ == rate
    for _ in range(36):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.8
    rates = model.history_["learning_rate"].to_numpy()
    expected = rate * 0.1 ** np.floor(np.arange(len(rates)) / 6 / 10)  # epochs of six steps
    np.testing.assert_allclose(rates, expected)


def test_a_schedule_stays_at_its_end(sample):
    X, y = sample
    model = Regressor(batch_size=40, epochs=2, schedule={"name": "cosine", "final": 0.25})
    for _ in range(5):
        model.partial_fit(X, y)
    rates = model.history_["learning_rate"].to_numpy() / model.learning_rate_
    np.testing.assert_allclose(rates[6:], 0.25)
    assert rates[5] > 0.25


def test_weight_two_is_twice_in_a_batch_pass(sample):
    X, y = sample
    w = np.random.default_rng(0).integers(0, 4, len(y))
    X2, y2 = np.repeat(X, w, axis=0), np.repeat(y, w)
    one, two = Regressor(), Regressor()
    for _ in range(3):
        one.partial_fit(X, y, sample_weight=w)
        two.partial_fit(X2, y2)
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-11)


def test_a_class_may_come_later(sample):
    X, y = sample
    labels = labels_of(y)
    model = Classifier(batch_size=10, learning_rate=0.5)
    model.partial_fit(X[labels == "soft"], labels[labels == "soft"], ["soft", "medium", "hard"])
    assert set(model.predict(X)) == {"soft"}
    for _ in range(20):
        model.partial_fit(X, labels, classes=["hard", "medium", "soft"])
    assert model.score(X, labels) > 0.7


def test_divergence_warns_and_keeps_finite_parameters(sample):
    X, y = sample
    model = Regressor(learning_rate=10.0, epochs=200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(60):
            model.partial_fit(X, y)
    assert caught[0].category is ConvergenceWarning
    assert "above 2/λmax" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert model.stop_reason_ == "diverged"
    assert np.isfinite(model.predict(X)).all()


def test_a_pass_after_one_that_broke_off_is_whole(sample):
    """One event that no loss can bear ends a pass in its midst; the next takes every event."""
    X, y = sample
    bad = X.copy()
    bad[Batches(120, 8, seed=0).order(1)[-1]] = 1e9  # the last that the second pass takes
    seen = []
    model = Regressor(batch_size=8, learning_rate=1e-3, callbacks=[seen.append])
    model.partial_fit(X, y)
    with pytest.warns(ConvergenceWarning, match="The descent diverged at step"):
        model.partial_fit(bad, y)
    broke_off = model.n_iter_
    assert 15 < broke_off < 30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y)
    assert model.n_iter_ == broke_off + 15
    assert [progress.step for progress in seen] == [15, broke_off + 15]
    last = model.history_.tail(15)
    assert last["training_loss"][-1] == pytest.approx(last["loss"].mean(), rel=1e-9)


def test_the_exact_answer_has_no_passes(sample):
    assert not hasattr(Regressor(method="exact"), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        Regressor(method="exact").partial_fit(*sample)


def test_errors(sample):
    X, y = sample
    labels = labels_of(y)
    with pytest.raises(EventsError, match="needs all classes"):
        Classifier().partial_fit(X, labels)
    with pytest.raises(EventsError, match="one class only"):
        Classifier().partial_fit(X, labels, classes=["hard"])
    with pytest.raises(EventsError, match="a class that `classes` lacks"):
        Classifier().partial_fit(X, labels, classes=["soft", "hard"])
    with pytest.raises(RecipeError, match="batch_size is 500, but there are only 120"):
        Regressor(batch_size=500).partial_fit(X, y)
    model = Classifier().partial_fit(X, labels, classes=["soft", "medium", "hard"])
    with pytest.raises(EventsError, match="classes have changed since the first call"):
        model.partial_fit(X, labels, classes=["soft", "hard"])
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(X[:, :2], labels)
    with pytest.raises(EventsError, match="add up to"):
        model.partial_fit(X, labels, sample_weight=-1.0)
    model.set_params(optimizer="adam", verbose=False)
    with pytest.raises(RecipeError) as caught:
        model.partial_fit(X, labels)
    assert str(caught.value) == (
        "The parameters of Classifier have changed since its descent began.\n"
        "  expected: the same parameters in all calls of partial_fit\n"
        "  found:    descent.optimizer = Adam(name='adam', beta1=0.9, beta2=0.999, epsilon=1e-08), "
        "was SGD(name='sgd')\n"
        "  do:       call fit, or partial_fit on a clone, to begin a new descent"
    )


@pytest.mark.parametrize("kind", [Regressor, Classifier])
@pytest.mark.parametrize("few", [2, 5])
def test_a_rate_that_few_events_chose_gives_way_to_the_curvature_of_many(kind, few):
    random = np.random.default_rng(0)
    X = random.normal(size=(800, 3)) * [1.0, 5.0, 2.0] + [0.0, 3.0, -2.0]
    y = X @ [1.0, 0.2, -1.0] + random.normal(size=800)
    y = y if kind is Regressor else (y > 2.6).astype(int)
    model = kind()
    first = {} if kind is Regressor else {"classes": [0, 1]}
    model.partial_fit(X[:few], y[:few], **first)
    chosen = model.learning_rate_
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it diverged
        for _ in range(20):
            model.partial_fit(X[few:], y[few:])
    assert model.learning_rate_ < chosen
    losses = model.history_["loss"].to_numpy()[1:]
    assert (np.diff(losses) < 0).all()
    rate = model.learning_rate_
    model.partial_fit(X[:few], y[:few])  # few events do not raise it again
    assert model.learning_rate_ <= rate
