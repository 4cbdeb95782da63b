"""Scalings against scikit-learn, NumPy and SciPy, where the definitions coincide."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from steepest.scaling import fit_scaling
from steepest.scaling.quantile import distribution, quantile

NAMES = ["a", "b", "c"]


@pytest.fixture
def X():
    rng = np.random.default_rng(11)
    return rng.normal(size=(401, 3)) ** 3 * [1e3, 1.0, 1e-3] + [0.0, 5.0, 1.0]


def transformed(name, X, w=None):
    return fit_scaling(name, [(X, w)], NAMES).transform(X)


def test_standard_is_scikit_learns(X):
    w = np.random.default_rng(0).uniform(0.1, 2, len(X))
    expected = StandardScaler().fit(X, sample_weight=w).transform(X)
    np.testing.assert_allclose(transformed("standard", X, w), expected, rtol=1e-12, atol=1e-12)
    expected = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(transformed("standard", X), expected, rtol=1e-12, atol=1e-12)


def test_standard_keeps_digits_that_scikit_learn_loses():
    Z = np.random.default_rng(0).integers(-50, 50, size=(1000, 3)).astype(float)
    far = 1e15 + Z
    exact = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    found = transformed("standard", far)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-13)
    np.testing.assert_allclose(found - found.mean(axis=0), exact, atol=1e-13)


def test_min_max_is_scikit_learns(X):
    found = transformed("min-max", X)
    np.testing.assert_allclose(found, MinMaxScaler().fit_transform(X), atol=1e-14)
    np.testing.assert_array_equal(found.min(axis=0), 0)
    np.testing.assert_array_equal(found.max(axis=0), 1)


def test_robust_is_scikit_learns_when_quartiles_are_events(X):
    """With 4k + 1 events the interpolating definition hits events too."""
    expected = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(transformed("robust", X), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("m", range(1, 30))
@pytest.mark.parametrize("p", [0.25, 0.5, 0.75, 0.1])
def test_quantile_is_numpys_averaged_inverted_cdf(m, p):
    values = np.round(np.random.default_rng(m).normal(size=m), 1)
    x, F = distribution(values, np.full(m, 0.37))
    expected = np.quantile(values, p, method="averaged_inverted_cdf")
    np.testing.assert_allclose(quantile(x, F, p), expected, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_quantile_is_numpys_inverted_cdf(seed):
    rng = np.random.default_rng(seed)
    values, w = rng.normal(size=100), rng.uniform(0, 1, 100)
    x, F = distribution(values, w)
    for p in (0.25, 0.5, 0.75):
        assert quantile(x, F, p) == np.quantile(values, p, weights=w, method="inverted_cdf")


def test_distribution_with_negative_weights_is_monotone_and_symmetric():
    rng = np.random.default_rng(2)
    values, w = rng.normal(size=200), rng.uniform(-0.5, 1, 200)
    x, F = distribution(values, w)
    assert np.all(np.diff(F) >= 0)
    assert 0 <= F[0] <= F[-1] <= 1
    mirrored, G = distribution(-values, w)
    np.testing.assert_array_equal(mirrored, -x[::-1])
    np.testing.assert_allclose(G[:-1], 1 - F[:-1][::-1], atol=1e-12)  # P(−X ≤ −x) = P(X ≥ x)


def test_quantile_scores_are_the_normal_scores_of_mid_ranks(X):
    X = np.round(X, 1)  # ties
    expected = norm.ppf((rankdata(X, axis=0) - 0.5) / len(X))
    np.testing.assert_allclose(transformed("quantile", X), expected, atol=1e-12)


def test_quantile_is_close_to_scikit_learns_in_the_bulk(X):
    reference = QuantileTransformer(n_quantiles=401, output_distribution="normal")
    expected = reference.fit_transform(X)
    bulk = np.abs(expected) < 2
    assert np.abs(transformed("quantile", X) - expected)[bulk].max() < 0.03


def test_a_thousand_knots_follow_the_distribution():
    values = np.random.default_rng(4).exponential(size=(100_000, 1))
    scaling = fit_scaling("quantile", [(values, None)], ["pt"])
    expected = norm.ppf((rankdata(values, axis=0) - 0.5) / len(values))
    assert np.abs(scaling.transform(values) - expected).max() < 0.01
