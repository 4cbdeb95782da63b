"""Rows copied side by side, against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.kernels.gathering import AHEAD, gather_rows


@settings(max_examples=60, deadline=None)
@given(
    events=st.integers(1, 50),
    features=st.integers(1, 40),
    count=st.integers(0, 2 * AHEAD),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 999),
)
def test_rows_are_copied_and_nothing_else(events, features, count, dtype, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(events, features)).astype(dtype)
    rows, out = random.integers(0, events, count), np.full(features * (count + 1), -1.0, dtype)
    gather_rows(X.reshape(-1), features, rows, out)
    assert np.array_equal(out[: features * count].reshape(count, features), X[rows])
    assert (out[features * count :] == -1.0).all()
