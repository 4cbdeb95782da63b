"""Blocks of many events are compiled, and shared out to threads: same answers, same errors."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.compiled.threads import WorkerPool
from steepest.errors import EventsError
from steepest.scaling import Moments, fit_scaling
from steepest.scaling.moments import Extremes

EVENTS, NAMES = 70_000, ["a", "b", "c"]


def sample(dtype="float64"):
    random = np.random.default_rng(0)
    X = random.normal(size=(EVENTS, 3)) * [1.0, 1e4, 1e-3] + [0.0, 3.0, 1e3]
    return X.astype(dtype)


def in_threads(work, items):
    return WorkerPool(most=2).map(work, list(items))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_many_are_those_of_few_merged(dtype, weighted):
    X = sample(dtype)
    w = np.random.default_rng(1).uniform(0.5, 2.0, EVENTS) if weighted else None
    many = Moments.of(X, w, diagonal=True)
    exact = X.astype(np.longdouble)
    weights = np.ones(EVENTS) if w is None else w
    mean = (weights @ exact) / weights.sum()
    variance = weights @ (exact - mean) ** 2 / weights.sum()
    assert many.count == EVENTS
    spread = np.sqrt(variance.astype(float))
    assert (np.abs(many.mean - mean.astype(float)) <= 1e-15 * (np.abs(many.mean) + spread)).all()
    np.testing.assert_allclose(many.variance, variance.astype(float), rtol=1e-12)
    few = Moments.of(X[:1000], weights[:1000], diagonal=True)
    for start in range(1000, EVENTS, 1000):
        rows = slice(start, start + 1000)
        few = few.merge(Moments.of(X[rows], weights[rows], diagonal=True))
    assert (np.abs(many.mean - few.mean) <= 1e-15 * (np.abs(many.mean) + spread)).all()
    np.testing.assert_allclose(many.variance, few.variance, rtol=1e-12)
    np.testing.assert_array_equal(many.minimum, X.min(axis=0))
    np.testing.assert_array_equal(many.maximum, X.max(axis=0))


def test_negative_weights_of_many():
    X, w = sample(), np.where(np.arange(EVENTS) % 5, 1.0, -1.0)
    many, whole = Moments.of(X, w, diagonal=True), Moments.of(X, w)
    np.testing.assert_allclose(many.mean, whole.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(many.variance, whole.variance, rtol=1e-10)


@pytest.mark.parametrize("events", [5, EVENTS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reach_is_that_of_the_moments(events, dtype):
    X = sample(dtype)[:events]
    w = np.where(np.arange(events) % 3, 1.0, 0.0)
    X[0], X[:, 2] = 1e6, 7.0  # the first event has no weight
    reach, moments = Extremes.of(X, w), Moments.of(X, w)
    np.testing.assert_array_equal(reach.minimum, moments.minimum)
    np.testing.assert_array_equal(reach.maximum, moments.maximum)
    assert reach.constant.tolist() == [False, False, True]
    assert reach.count == events
    both = reach.merge(Extremes.of(X[:1]))
    assert both.maximum[0] == 1e6
    assert both.count == events + 1


@pytest.mark.parametrize("name", ["none", "standard", "min-max", "whiten"])
def test_threads_do_not_change_the_bits(name):
    X = sample("float32")
    blocks = [(X, None), (X[:7], np.ones(7)), (X[:0], None), (X[::2], None)]
    one, two = fit_scaling(name, blocks, NAMES), fit_scaling(name, blocks, NAMES, in_threads)
    for key, values in one.to_arrays().items():
        assert values.tobytes() == two.to_arrays()[key].tobytes()
    assert one.to_json() == two.to_json()


@pytest.mark.parametrize("name", ["none", "standard", "whiten", "quantile"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaled_at_once_and_in_parts_they_are_the_same(name, dtype):
    X = np.tile(sample("float32"), (6, 1))
    scaling = fit_scaling(name, [(X[:5000], None)], NAMES)
    whole = scaling.transform(X, dtype)
    assert whole.dtype == dtype
    parts = [scaling.transform(X[i : i + 5000].astype(np.float64)) for i in range(0, len(X), 5000)]
    expected = np.concatenate(parts).astype(dtype)
    if name == "whiten":  # a product of matrices rounds differently with their size
        np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize("name", ["none", "standard"])
def test_the_first_fault_is_named_whichever_thread_sees_one_first(name):
    X = sample("float32")
    blocks = [(X.copy(), None) for _ in range(12)]
    for number in (5, 6, 7, 8):
        blocks[number][0][100 * number, 1] = np.nan
    for _ in range(5):
        with pytest.raises(EventsError) as caught:
            fit_scaling(name, blocks, NAMES, in_threads)
        first = str(caught.value).splitlines()[0]
        assert first == f"Feature 'b' is not finite in row {5 * EVENTS + 500}."
