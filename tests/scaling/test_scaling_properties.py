"""Every scaling × every property that all of them share."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from steepest.scaling import (
    SCALINGS,
    AffineScaling,
    Moments,
    Scaling,
    fit_scaling,
    scaling_from,
)

AFFINE = [name for name in SCALINGS if name not in ("quantile", "asinh")]
NAMES = ["pt", "eta", "mass"]


def sample(m=500, seed=0, negative=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3)) @ [[1.0, 0.3, 0.8], [0.0, 1.0, 0.1], [0.0, 0.0, 0.4]]
    X[:, 0] = np.exp(X[:, 0]) * 1e3
    X[:, 2] += 1e8
    return X, rng.uniform(0.5, 1.5, m) * np.where(rng.random(m) < negative, -1, 1)


def fitted(name, X, w=None, names=NAMES):
    return fit_scaling(name, [(X, w)], names)


@st.composite
def blocks(draw):
    """Events in up to four blocks, some empty, with units and offsets of many sizes."""
    m = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    units = draw(st.lists(st.sampled_from([1e-20, 1e-3, 1.0, 1e5, 1e20]), min_size=3, max_size=3))
    offset = draw(st.sampled_from([0.0, 1.0, 1e6]))
    X = (rng.normal(size=(m, 3)) + offset) * units
    w = rng.uniform(0.1, 3, m)
    cuts = sorted(draw(st.lists(st.integers(0, m), max_size=3)))
    return X, w, [(X[i], w[i]) for i in np.split(np.arange(m), cuts)]


@pytest.mark.parametrize("name", SCALINGS)
@settings(max_examples=40)
@given(blocks())
def test_in_blocks_is_at_once(name, drawn):
    X, w, pieces = drawn
    whole, streamed = fitted(name, X, w), fit_scaling(name, iter(pieces), NAMES)
    assume(name != "whiten" or len(X) > 5)  # else an eigenvalue falls on either side of the floor
    scale = np.abs(whole.transform(X)).max() + 1
    np.testing.assert_allclose(streamed.transform(X), whole.transform(X), atol=1e-7 * scale)


@pytest.mark.parametrize("name", SCALINGS)
@settings(max_examples=40)
@given(blocks())
def test_inverse_undoes_transform(name, drawn):
    X, w, _ = drawn
    scaling = fitted(name, X, w)
    error = np.abs(scaling.inverse(scaling.transform(X)) - X)
    tolerance = 1e-7 if scaling.dropped else 1e-11
    assert np.all(error <= tolerance * (np.ptp(X, axis=0)) + 4e-16 * np.abs(X).max(axis=0))


@pytest.mark.parametrize("name", SCALINGS)
def test_inverse_undoes_transform_outside_the_training_range(name):
    X, w = sample()
    scaling = fitted(name, X, w)
    wide = X.mean(axis=0) + 30 * (X - X.mean(axis=0))
    back = scaling.inverse(scaling.transform(wide))
    np.testing.assert_allclose(back, wide, rtol=4e-16, atol=1e-9)


@pytest.mark.parametrize("name", SCALINGS)
def test_weight_two_is_the_event_twice(name):
    X, w = sample(negative=0)
    heavier = np.where(np.arange(len(w)) < 100, 2 * w, w)
    a = fitted(name, X, heavier).transform(X)
    b = fitted(name, np.vstack([X, X[:100]]), np.append(w, w[:100])).transform(X)
    np.testing.assert_allclose(a, b, atol=1e-7 if name != "none" else 0)


@pytest.mark.parametrize("name", SCALINGS)
def test_the_unit_of_the_weights_does_not_matter(name):
    X, w = sample()
    a, b = fitted(name, X, w).transform(X), fitted(name, X, 3e-7 * w).transform(X)
    np.testing.assert_allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("name", SCALINGS)
def test_a_pair_of_opposite_weights_cancels(name):
    X, w = sample()
    a = fitted(name, X, w).transform(X)
    pair = np.median(X, axis=0) * np.ones((2, 1)) + 0.01
    b = fitted(name, np.vstack([X, pair]), np.append(w, [1.7, -1.7])).transform(X)
    np.testing.assert_allclose(a, b, atol=1e-7)


@pytest.mark.parametrize("name", SCALINGS)
def test_saved_and_loaded_is_the_same_bit_for_bit(name):
    X, w = sample()
    X = np.c_[X, np.full(len(X), 3.0)]
    names = [*NAMES, "year"]
    scaling = fitted(name, X, w, names)
    text = json.dumps(scaling.to_json(), allow_nan=False)
    raw = {
        key: np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)
        for key, array in scaling.to_arrays().items()
    }
    loaded = scaling_from(json.loads(text), raw)
    assert type(loaded) is type(scaling)
    assert isinstance(loaded, Scaling)
    assert loaded.to_json() == scaling.to_json()
    assert loaded.to_arrays().keys() == scaling.to_arrays().keys()
    for key, array in scaling.to_arrays().items():
        assert array.tobytes() == loaded.to_arrays()[key].tobytes()
    assert loaded.transform(X).tobytes() == scaling.transform(X).tobytes()
    scaled = scaling.transform(X)
    assert loaded.inverse(scaled).tobytes() == scaling.inverse(scaled).tobytes()


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32"])
def test_output_has_the_dtype_asked_for(name, dtype):
    X, w = sample()
    scaling = fitted(name, X, w)
    out = scaling.transform(X, dtype=dtype)
    assert out.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(out, scaling.transform(X).astype(dtype))
    assert scaling.inverse(out, dtype=dtype).dtype == np.dtype(dtype)


@pytest.mark.parametrize("name", SCALINGS)
def test_the_events_given_are_not_changed(name):
    X, w = sample()
    kept_X, kept_w = X.copy(), w.copy()
    scaling = fitted(name, X, w)
    scaling.transform(X)[:] = 0.0
    np.testing.assert_array_equal(X, kept_X)
    np.testing.assert_array_equal(w, kept_w)


@pytest.mark.parametrize("name", SCALINGS)
def test_a_constant_feature_is_reported_and_not_divided_by(name):
    X, w = sample()
    for value in (0.0, 0.1, 1e8 + 0.3, -1e20, 1e-20):
        Y = np.c_[X[:, 0], np.full(len(X), value), X[:, 1]]
        scaling = fitted(name, Y, w, ["pt", "year", "eta"])
        assert (scaling.constant, scaling.dropped) == (("year",), 0)
        out = scaling.transform(Y)
        np.testing.assert_array_equal(out[:, 1], np.zeros(len(X)) if name != "none" else value)
        np.testing.assert_array_equal(scaling.inverse(out)[:, 1], Y[:, 1])


@pytest.mark.parametrize("name", SCALINGS)
def test_one_event(name):
    scaling = fitted(name, [[1.0, 2.0, 3.0]])
    assert scaling.constant == tuple(NAMES)
    expected = [[1.0, 2.0, 3.0]] if name == "none" else [[0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(scaling.transform([[1.0, 2.0, 3.0]]), expected)


@pytest.mark.parametrize("name", ["standard", "min-max", "robust", "quantile", "whiten", "asinh"])
@pytest.mark.parametrize(("offset", "spread"), [(1e8, 1e-6), (0, 1e20), (0, 1e-20), (1e20, 1e6)])
def test_offsets_and_units_do_not_cost_accuracy(name, offset, spread):
    """The same events, moved and stretched by powers of two, give the same x'."""
    rng = np.random.default_rng(5)
    Z = np.round(rng.normal(size=(300, 2)) * 32) / 32
    base = fitted(name, Z, None, NAMES[:2]).transform(Z)
    stretch = 2.0 ** np.round(np.log2(spread))
    moved = offset + Z * stretch * 32
    there = fitted(name, moved, None, NAMES[:2]).transform(moved)
    shift = np.abs(there - base).max(axis=0)
    allowed = 8e-16 * (abs(offset) / (32 * stretch)) + 1e-12  # the mean, rounded
    assert np.all(shift <= allowed)


@pytest.mark.parametrize("name", AFFINE)
def test_affine_agrees_with_transform(name):
    X, w = sample()
    scaling = fitted(name, X, w)
    assert isinstance(scaling, AffineScaling)
    shift, M = scaling.affine()
    assert (shift.shape, M.shape) == ((3,), (3, 3))
    np.testing.assert_allclose(scaling.transform(X), (X - shift) @ M.T, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("name", AFFINE)
def test_a_model_in_original_units_predicts_the_same(name):
    X, w = sample()
    X[:, 2] -= 1e8 - 90
    scaling = fitted(name, X, w)
    assert isinstance(scaling, AffineScaling)
    rng = np.random.default_rng(1)
    C, b = rng.normal(size=(3, 2)), rng.normal(size=2)
    coefficients, intercept = scaling.original_units(C, b)
    assert (coefficients.shape, intercept.shape) == ((3, 2), (2,))
    expected = scaling.transform(X) @ C + b
    np.testing.assert_allclose(X @ coefficients + intercept, expected, rtol=1e-12, atol=1e-9)


def test_quantile_is_not_affine():
    assert not isinstance(fitted("quantile", *sample()), AffineScaling)


@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_quantile_is_strictly_increasing_and_bounded_in_knots(negative):
    X, w = sample(5000, negative=negative)
    scaling = fitted("quantile", X, w)
    lengths = scaling.to_arrays()["lengths"]
    assert lengths.max() <= 1000
    grid = np.sort(X, axis=0)
    grid = np.vstack([grid[0] - 1e4, grid, grid[-1] + 1e4])
    assert np.all(np.diff(scaling.transform(grid), axis=0)[np.diff(grid, axis=0) > 0] > 0)


def test_quantiles_are_finite_at_far_values_without_weight():
    X, w = np.array([[4e-175], [0.0], [6e133], [0.0]]), np.array([2.0, 1.0, -0.1, 0.5])
    assert np.isfinite(fitted("quantile", X, w, ["x"]).transform(X)).all()


@settings(max_examples=60)
@given(st.lists(st.floats(-1e140, 1e140), min_size=1, max_size=40), st.randoms())
def test_quantile_is_monotone_and_finite_whatever_the_values(values, random):
    X = np.array(values)[:, None]
    w = np.array([random.uniform(-0.3, 1) for _ in values])
    w[0] = np.abs(w).sum() + 1
    scaling = fitted("quantile", X, w, ["x"])
    z = scaling.transform(np.sort(X, axis=0))
    assert np.all(np.diff(z[:, 0]) >= 0)
    assert np.isfinite(scaling.inverse(z)).all()


@pytest.mark.parametrize("seed", range(3))
def test_whitening_gives_unit_covariance(seed):
    X, w = sample(seed=seed)
    moments = Moments.of(fitted("whiten", X, w).transform(X), w)
    np.testing.assert_allclose(moments.covariance, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(moments.mean, 0, atol=1e-7)
    assert np.linalg.cond(Moments.of(X, w).covariance) > 1e6


def test_whitening_drops_what_has_no_spread():
    X, w = sample()
    Y = np.c_[X, X[:, 0], X[:, 0] + 1e3 * X[:, 1]]
    scaling = fitted("whiten", Y, w, [*NAMES, "pt again", "a sum"])
    assert scaling.dropped == 2
    out = scaling.transform(Y)
    moments = Moments.of(out, w)
    np.testing.assert_allclose(np.linalg.eigvalsh(moments.covariance), [0, 0, 1, 1, 1], atol=1e-8)
    assert np.abs(out).max() < 10
    np.testing.assert_allclose(scaling.inverse(out), Y, rtol=1e-8)


def test_whitening_stays_close_to_the_features():
    """ZCA-cor: each x'_j has positive correlation with its own x_j, and none with swapped signs."""
    X, w = sample(negative=0)
    out = fitted("whiten", X, w).transform(X)
    cross = np.corrcoef(X.T, out.T)[:3, 3:]
    assert np.all(np.argmax(np.abs(cross), axis=1) == np.arange(3))
    assert np.all(np.diagonal(cross) > 0)
    np.testing.assert_allclose(cross, cross.T, atol=0.05)


def test_robust_reports_a_feature_whose_quartiles_coincide():
    X = np.array([[0.0], [0.0], [0.0], [0.0], [9.0]])
    scaling = fitted("robust", X, None, ["b tags"])
    assert scaling.constant == ("b tags",)
    np.testing.assert_array_equal(scaling.transform(X), X)
