"""The asinh scaling: standard without tails, logarithmic in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from steepest.scaling import AsinhScaling, fit_scaling, scaling_from

random = np.random.default_rng(5)
M = 4000
X = np.column_stack(
    [random.uniform(-3, 3, M), random.lognormal(0.0, 1.0, M), random.standard_t(2, M)]
)
NAMES = ["phi", "pt", "dxy"]


def fitted(values=X, weights=None, names=NAMES):
    scaling = fit_scaling("asinh", [(values, weights)], names)
    assert isinstance(scaling, AsinhScaling)
    return scaling


def test_a_feature_without_tail_is_standardised():
    expected = fit_scaling("standard", [(X, None)], NAMES).transform(X)[:, 0]
    np.testing.assert_allclose(fitted().transform(X)[:, 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(fitted().tails, [0.0, 1.0, 1.0])


def test_a_tail_is_logarithmic_on_either_side_of_the_median():
    scaling, pt = fitted(), X[:, 1]
    low, middle, high = np.quantile(pt, norm.cdf([-1.0, 0.0, 1.0]))
    z = np.where(pt < middle, (pt - middle) / (middle - low), (pt - middle) / (high - middle))
    np.testing.assert_allclose(scaling.transform(X)[:, 1], 2 * np.arcsinh(z / 2), atol=0.01)
    far = scaling.transform([[0.0, 1e5, 0.0], [0.0, 1e6, 0.0]])[:, 1]
    np.testing.assert_allclose(far[1] - far[0], 2 * np.log(10.0), rtol=1e-4)


@pytest.mark.parametrize("relevance", [(), (0.25, 1.0, 3.5)])
def test_it_is_inverted_and_saved(relevance):
    scaling = fitted().with_relevance(relevance)
    scaled = scaling.transform(X)
    np.testing.assert_allclose(scaling.inverse(scaled), X, rtol=1e-9, atol=1e-12)
    restored: Any = scaling_from(scaling.to_json(), scaling.to_arrays())
    np.testing.assert_array_equal(restored.transform(X), scaled)
    expected = fitted().transform(X) * (relevance or 1.0)
    np.testing.assert_array_equal(scaled, expected)


def test_an_event_of_weight_k_is_that_event_k_times():
    weights = random.integers(0, 4, M).astype(float)
    copies = np.repeat(X, weights.astype(int), axis=0)
    weighted, copied = fitted(X, weights), fitted(copies)
    for name in AsinhScaling.ARRAYS:
        np.testing.assert_allclose(getattr(weighted, name), getattr(copied, name), rtol=1e-9)


def test_outliers_are_named_and_survived():
    values = X[:, :1].copy()
    values[17, 0] = 1e7
    scaling = fitted(values, names=["phi"])
    assert [(found.feature, found.row) for found in scaling.outliers] == [("phi", 17)]
    scaled = scaling.transform(values)[:, 0]
    assert 0.5 < np.delete(scaled, 17).std() < 1.5
    assert scaled[17] < 40


@pytest.mark.parametrize("values", [np.full(50, 7.0), np.r_[np.zeros(999), 1.0]])
def test_a_feature_that_is_nearly_constant(values):
    scaling = fitted(values[:, None], names=["flag"])
    scaled = scaling.transform(values[:, None])
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() < 8


def test_negative_weights_that_leave_no_variance_are_not_refused():
    weights = np.where(np.abs(X[:, 0]) > 1.5, -0.9, 1.0)
    scaled = fitted(X, weights).transform(X)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() < 50
