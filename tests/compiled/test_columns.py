"""What is asked of features before a descent, against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.compiled.columns import add_about, all_finite, extend, shift_and_scale

DTYPES = st.sampled_from(["float32", "float64"])


def rows(count: int, features: int, dtype: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, features)) * 10.0 + 3.0).astype(dtype)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 10_000), dtype=DTYPES, data=st.data())
def test_one_number_that_is_not_finite_is_found(count, dtype, data):
    values = np.full(count, np.finfo(dtype).max, dtype=dtype)
    values[::2] *= -1
    assert all_finite(values)
    if count:
        place = data.draw(st.integers(0, count - 1))
        values[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        assert not all_finite(values)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 700), features=st.integers(1, 40), dtype=DTYPES, seed=st.integers(0, 999)
)
def test_columns_are_numpy_s(count, features, dtype, seed):
    X = rows(count, features, dtype, seed)
    low = np.full(features, np.inf, dtype=dtype)
    high = -low
    extend(X.reshape(-1), low, high)
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))

    weights = np.random.default_rng(seed).uniform(0.1, 2.0, count) if seed % 2 else np.ones(count)
    centre, first, second = X[0].astype(np.float64), np.ones(features), np.zeros(features)
    add_about(X.reshape(-1), weights, centre, first, second)
    distance = X.astype(np.float64) - centre
    np.testing.assert_allclose(first, 1.0 + weights @ distance, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(second, weights @ distance**2, rtol=1e-12, atol=1e-10)

    width = np.random.default_rng(seed).uniform(0.1, 1e3, features)
    for kind in ("float32", "float64"):
        scaled = np.empty(X.shape, dtype=kind)
        shift_and_scale(X.reshape(-1), centre, width, scaled.reshape(-1))
        expected = ((X.astype(np.float64) - centre) / width).astype(kind)
        np.testing.assert_array_equal(scaled, expected)
