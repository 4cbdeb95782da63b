"""Moments: against exact fractions, and merging in any partition and order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError, InputError
from steepest.scaling import Moments


def exact_moments(X, w):
    """Mean (n,) and covariance (n, n) as Fractions, from the definition."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    weights = [Fraction(float(v)) for v in w]
    total, n = sum(weights), len(rows[0])
    mean = [sum(v * row[j] for v, row in zip(weights, rows, strict=True)) / total for j in range(n)]
    centred = [[v - m for v, m in zip(row, mean, strict=True)] for row in rows]
    covariance = [
        [
            sum(v * c[i] * c[j] for v, c in zip(weights, centred, strict=True)) / total
            for j in range(n)
        ]
        for i in range(n)
    ]
    return mean, covariance


def worst(found, exact):
    """Largest relative error."""
    pairs = zip(np.ravel(found), np.ravel(np.array(exact, dtype=object)), strict=True)
    return max(float(abs(Fraction(float(a)) - b) / abs(b)) for a, b in pairs)


def merged(X, w, cuts, order, diagonal=False):
    parts = np.split(np.arange(len(X)), sorted(cuts))
    pieces = [Moments.of(X[i], w[i], diagonal=diagonal) for i in parts]
    pieces = [pieces[k] for k in order if k < len(pieces)]
    while len(pieces) > 1:  # neighbours first: a tree, not a chain
        pairs = [pieces[i : i + 2] for i in range(0, len(pieces), 2)]
        pieces = [p[0].merge(p[1]) if len(p) == 2 else p[0] for p in pairs]
    return pieces[0]


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize(
    ("offset", "spread"),
    [(0.0, 1.0), (1e8, 1e-6), (-1e8, 1.0), (1e15, 4.0), (0.0, 1e20), (0.0, 1e-20), (3e20, 1e20)],
)
@pytest.mark.parametrize("negative", [0.0, 0.2])
def test_agrees_with_exact_arithmetic(offset, spread, negative, diagonal):
    rng = np.random.default_rng(7)
    X = offset + spread * rng.normal(size=(60, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    w = rng.uniform(0.5, 2, 60) * np.where(rng.random(60) < negative, -1, 1)
    mean, covariance = exact_moments(X, w)
    expected = np.diagonal(np.array(covariance, dtype=object)) if diagonal else covariance
    for cuts in ([], [1], list(range(60)), [13, 13, 40]):
        found = merged(X, w, cuts, range(61), diagonal)
        assert worst(found.covariance, expected) < 1e-13
        assert worst(found.variance, [covariance[0][0], covariance[1][1]]) < 1e-13
        error = np.abs(found.mean - np.array([float(m) for m in mean]))
        assert np.all(error <= 2 * np.spacing(np.abs(offset) + spread))


@st.composite
def samples(draw):
    m, n = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    number = st.floats(-1e3, 1e3)
    X = draw(st.lists(number, min_size=m * n, max_size=m * n))
    w = np.array(draw(st.lists(st.floats(-1, 2), min_size=m, max_size=m)))
    w[0] = np.abs(w).sum() + 1.0  # Σw > 0, by a margin
    offset = draw(st.sampled_from([0.0, 1e8, -3e5]))
    cuts = draw(st.lists(st.integers(0, m), max_size=6))
    order = draw(st.permutations(range(len(cuts) + 1)))
    return np.array(X).reshape(m, n) + offset, w, cuts, order


def assert_same(a, b, scale=1.0):
    assert a.count == b.count
    np.testing.assert_allclose(a.total, b.total, rtol=1e-14)
    spread = np.max(a.maximum - a.minimum, initial=0.0)
    np.testing.assert_allclose(a.mean, b.mean, rtol=4e-16, atol=1e-14 * spread)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=0, atol=1e-13 * scale * spread**2)


@given(samples())
def test_any_partition_in_any_order_is_all_at_once(sample):
    X, w, cuts, order = sample
    pieces, whole = merged(X, w, cuts, order), Moments.of(X, w)
    assert_same(pieces, whole)
    np.testing.assert_array_equal(pieces.minimum, whole.minimum)
    np.testing.assert_array_equal(pieces.maximum, whole.maximum)


@given(samples())
def test_weight_two_is_the_event_twice(sample):
    X, w, _, _ = sample
    w = np.abs(w) + 0.1
    twice = Moments.of(np.vstack([X, X[:1]]), np.append(w, w[0]))
    heavier = Moments.of(X, np.append(2 * w[0], w[1:]))
    np.testing.assert_allclose(twice.mean, heavier.mean, rtol=4e-16, atol=1e-11)
    np.testing.assert_allclose(twice.covariance, heavier.covariance, rtol=0, atol=1e-6)


@given(samples(), st.floats(0.1, 3))
def test_a_pair_of_opposite_weights_cancels(sample, size):
    X, w, _, _ = sample
    pair = np.vstack([X[-1:] + 1.0, X[-1:] + 1.0])
    both = Moments.of(np.vstack([X, pair]), np.append(w, [size, -size]))
    alone = Moments.of(X, w)
    spread = 2.0 + np.max(both.maximum - both.minimum)
    np.testing.assert_allclose(both.mean, alone.mean, rtol=4e-16, atol=1e-13 * spread)
    np.testing.assert_allclose(both.covariance, alone.covariance, rtol=0, atol=1e-12 * spread**2)


def test_diagonal_is_the_diagonal():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(100, 4)), rng.uniform(-0.2, 1, 100)
    np.testing.assert_allclose(
        Moments.of(X, w, diagonal=True).variance, Moments.of(X, w).variance, rtol=1e-13
    )


def test_a_block_larger_than_the_rows_worked_on_at_once():
    rng = np.random.default_rng(0)
    X, w = 1e8 + rng.normal(size=(40_000, 2)), rng.uniform(0, 1, 40_000)
    D = X.astype(np.longdouble) - 1e8
    mean = np.average(D, axis=0, weights=w)
    covariance = np.cov(D.T, aweights=w, ddof=0)
    moments = Moments.of(X, w)
    assert moments.count == 40_000
    np.testing.assert_allclose(moments.mean - 1e8, mean.astype(float), atol=2e-8)
    np.testing.assert_allclose(moments.covariance, covariance, atol=1e-13)


def test_weight_zero_reaches_nothing():
    moments = Moments.of(np.array([[1.0], [2.0], [1e9]]), np.array([1.0, 1.0, 0.0]))
    assert (moments.count, moments.mean[0], moments.variance[0]) == (3, 1.5, 0.25)
    assert (moments.minimum[0], moments.maximum[0]) == (1.0, 2.0)


def test_blocks_whose_weights_cancel_do_no_harm():
    cancelling = Moments.of(np.array([[5.0], [7.0]]), np.array([1.0, -1.0]))
    rest = Moments.of(np.array([[1.0], [3.0]]), np.array([2.0, 2.0]))
    mean, covariance = exact_moments([[5], [7], [1], [3]], [1, -1, 2, 2])
    found = cancelling.merge(rest)
    assert worst(found.mean, mean) < 1e-15
    assert worst(found.covariance, covariance) < 1e-15


@pytest.mark.parametrize(("read", "name"), [("mean", "mean"), ("variance", "variance")])
def test_weights_must_not_cancel(read, name):
    moments = Moments.of(np.array([[1.0], [2.0]]), np.array([1.0, -1.0]))
    with pytest.raises(EventsError) as error:
        getattr(moments, read)
    assert str(error.value) == (
        f"The event weights add up to 0, and a weighted {name} divides by their sum.\n"
        "  expected: a positive sum of weights over the training events\n"
        "  found:    0\n"
        "  cause:    all weights are zero, or negative weights outweigh the positive ones\n"
        "  do:       check the weight column, or use a larger sample"
    )


@settings(max_examples=20)
@given(st.booleans())
def test_moments_of_different_shapes_do_not_merge(diagonal):
    a, b = Moments.of(np.ones((2, 2))), Moments.of(np.ones((2, 3)))
    if diagonal:
        b = Moments.of(np.ones((2, 2)), diagonal=True)
    with pytest.raises(InputError) as error:
        a.merge(b)
    assert str(error.value) == (
        "Moments of different shapes cannot be merged.\n"
        "  expected: a scatter of shape (2, 2)\n"
        f"  found:    a scatter of shape {'(2,)' if diagonal else '(3, 3)'}\n"
        "  cause:    other features, or only one of them is diagonal\n"
        "  do:       compute all moments with the same features and the same `diagonal`"
    )
