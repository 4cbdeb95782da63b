"""Many events: what is looked up in place of sorted, checked in passes, and taken as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import Classifier, Regressor
from steepest.estimators import classes as module
from steepest.estimators.classes import classes_of, indices_of

KINDS = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"]


@pytest.fixture
def few(monkeypatch):
    """Tables for few labels too."""
    monkeypatch.setattr(module, "MANY", 1)


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(KINDS), size=st.integers(2, 60), data=st.data())
def test_a_table_says_what_sorting_says(kind, size, data):
    low, high = (0, 1) if kind == "bool" else (np.iinfo(kind).min, np.iinfo(kind).max)
    centre = data.draw(st.sampled_from([low, high, (low + high) // 2]))
    offsets = data.draw(st.lists(st.integers(-80, 80), min_size=size, max_size=size))
    y = np.array([min(max(centre + offset, low), high) for offset in offsets]).astype(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", 1)
        classes = classes_of(y)
        np.testing.assert_array_equal(classes, np.unique(y))
        assert classes.dtype == y.dtype
        found = indices_of(y, classes, "float32")
        others = np.unique(
            np.append(y, np.array([low, high], dtype=kind))
        )  # more than these labels have
        among = indices_of(y, others, np.int64)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(classes[found.astype(int)], y)
    np.testing.assert_array_equal(others[among], y)


@pytest.mark.usefixtures("few")
def test_labels_that_suit_no_table():
    for y in (np.array([0, 10**9]), np.array(["a", "b", "a"]), np.array([0.0, 1.0])):
        classes = classes_of(y)
        np.testing.assert_array_equal(classes[indices_of(y, classes, int)], y)
    with pytest.raises(ValueError, match="Unknown label type"):
        classes_of(np.array([0.1, 0.2, 0.5]))


def sample(events=70_000, features=3):
    random = np.random.default_rng(0)
    X = random.normal(size=(events, features)).astype(np.float32) * [1, 30, 1e3] + 5
    z = X @ [1.0, 0.02, 1e-3] - 5 + random.logistic(size=events)
    return X.astype(np.float32), np.digitize(z, [-1.0, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["none", "standard", "whiten", "quantile"])
@pytest.mark.parametrize("binary", [False, True])
def test_float32_is_what_float64_of_the_same_numbers_is(scaling, binary):
    """X of either type, in either order, with labels of either: the same bits."""
    X, y = sample()
    y = (y > 0) * 1 if binary else y
    fits = [
        Classifier(method="newton", scaling=scaling).fit(given, labels)
        for given, labels in (
            (X, y),
            (X.astype(np.float64), y.astype(str)),
            (np.asfortranarray(X), y.astype(float)),
            (np.repeat(X, 2, axis=0)[::2], y.astype(np.int8)),
        )
    ]
    for fitted in fits[1:]:
        assert fitted.model_.theta.tobytes() == fits[0].model_.theta.tobytes()
    single = Classifier(method="newton", scaling=scaling, dtype="float32", tol=1e-7).fit(X, y)
    np.testing.assert_allclose(
        single.predict_proba(X[:1000]), fits[0].predict_proba(X[:1000]), atol=2e-3
    )


@pytest.mark.slow
def test_the_sample_is_left_as_it_was():
    X, y = sample()
    before = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    Classifier(method="newton", scaling="none", dtype="float32").fit(X, y)
    Regressor(scaling="none", dtype="float32", epochs=2).fit(X, y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused_as_by_scikit_learn(dtype, value):
    X, y = np.ones((400_000, 3), dtype=dtype), np.arange(400_000) % 2
    X[300_000, 1] = value
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        Classifier(method="newton", dtype="float32").fit(X, y)


def test_one_class_of_many_events():
    with pytest.raises(ValueError, match="one class only"):
        Classifier().fit(np.zeros((70_000, 1)), np.full(70_000, 7))
