"""Groups of events in vectors, and sums over many of them, against their NumPy twins."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.kernels.compiled import entry
from steepest.kernels.groups import add_group, dots_of_group, slopes_of_group
from steepest.kernels.linear import accumulate
from steepest.kernels.pointwise import LOSSES
from steepest.kernels.vector import VECTOR_BYTES
from steepest.losses import loss_named

DTYPES = st.sampled_from(["float32", "float64"])
ROUNDING = {"float32": 1e-5, "float64": 1e-13}
NAMES = ["mean-squared-error", "binary-cross-entropy"]


@entry
def run_dots(rows, start, n, theta, out, place):
    dots_of_group(rows, start, n, start, start, theta, out, place)


@entry
def run_add(rows, start, n, upstream, place, out):
    add_group(rows, start, n, start, start, upstream, place, out)


@entry
def run_slopes(loss, logits, targets, weights, scale, place, upstream, sums):
    slopes_of_group(loss, logits, targets, weights, scale, place, upstream, sums)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 70), skipped=st.integers(0, 3), dtype=DTYPES, seed=st.integers(0, 999))
def test_products_of_a_group_are_numpy_s(n, skipped, dtype, seed):
    random, lanes = np.random.default_rng(seed), VECTOR_BYTES // np.dtype(dtype).itemsize
    X = random.normal(size=(lanes + skipped + 1, n)).astype(dtype)
    theta, d = (random.normal(size=size).astype(dtype) for size in (n + 1, lanes + 2))
    X[:skipped], X[-1] = np.nan, np.nan  # what lies beside the group is not read
    atol = 50 * ROUNDING[dtype]
    out = np.full(lanes + 2, 7.0, dtype=dtype)
    rows = X[skipped:-1]
    run_dots(X.ravel(), skipped * n, n, theta, out, 1)
    np.testing.assert_allclose(out[1:-1], rows @ theta[:-1] + theta[-1], rtol=0, atol=atol)
    assert out[0] == out[-1] == 7.0
    vectors = -(-n // lanes)
    g = np.zeros(vectors * lanes + 1, dtype=dtype)
    g[:n] = random.normal(size=n)
    expected = g[:n] + rows.T @ d[1:-1]
    g[-1] = 7.0
    run_add(X.ravel(), skipped * n, n, d, 1, g)
    found = g[:n] + (g[lanes // 2 : lanes // 2 + n] if 2 * n <= lanes else 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    assert g[-1] == 7.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of_targets", [None, "int64", "uint8"])
def test_losses_of_a_group_are_numpy_s(name, dtype, of_targets):
    lanes, loss = VECTOR_BYTES // np.dtype(dtype).itemsize, loss_named(name)
    for start in np.linspace(-100, 100, 50):
        z = np.linspace(start, start + 5, lanes + 1).astype(dtype)
        y = (np.arange(lanes + 1) % 2).astype(of_targets or dtype)
        v = np.linspace(-0.5, 2.0, lanes + 1).astype(dtype)
        t, s, scale = np.ones(lanes, dtype), np.ones(lanes), z.dtype.type(0.25)
        found = z.copy()
        run_slopes(LOSSES[name], found, y, v, scale, 1, t, s)
        one = z[1:, None].astype(float), y[1:]
        d = 0.25 * v[1:] * loss.gradient(*one)[:, 0]
        rtol, atol = 20 * ROUNDING[dtype], 1e-36  # e⁻⁸⁷ and less are on float32's edge
        np.testing.assert_allclose(found[1:], d, rtol=rtol, atol=atol)
        np.testing.assert_allclose(t, 1 + d, rtol=rtol, atol=atol)
        np.testing.assert_allclose(s, 1 + v[1:] * loss.value(*one), rtol=rtol, atol=atol)
        assert found[0] == z[0]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_stays_so(name):
    lanes = VECTOR_BYTES // 4
    z, y, t = (np.zeros(lanes, "float32") for _ in range(3))
    s, z[3] = np.zeros(lanes), np.nan
    run_slopes(LOSSES[name], z, y, np.ones(lanes, "float32"), np.float32(1), 0, t, s)
    for found in (z, t, s):
        assert np.isnan(found[3])
        assert np.isfinite(np.delete(found, 3)).all()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    events=st.integers(0, 700),
    n=st.integers(1, 40),
    weighted=st.booleans(),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_gradients_are_numpy_s(name, events, n, weighted, dtype, seed):
    random, loss = np.random.default_rng(seed), loss_named(name)
    X, theta = (random.normal(size=size).astype(dtype) for size in ((events, n), n + 1))
    y = random.integers(0, 2, events).astype(dtype)
    v = random.normal(1.0, 0.5, events if weighted else 0).astype(dtype)
    gradient = np.ones(n + 1)
    total = accumulate(LOSSES[name], theta, X.ravel(), y, v, theta.dtype.type(0.5), gradient)
    w, b, weights = theta[:-1].astype(float), float(theta[-1]), v if weighted else 1.0
    z = X @ w + b
    d = 0.5 * weights * loss.gradient(z[:, None], y)[:, 0]
    size = (
        100 * ROUNDING[dtype] * max(1.0, np.abs(d).sum(), np.abs(loss.value(z[:, None], y)).sum())
    )
    assert total == pytest.approx(np.sum(weights * loss.value(z[:, None], y)), abs=size)
    np.testing.assert_allclose(gradient, 1 + np.append(X.T @ d, d.sum()), rtol=0, atol=size)


NARROW = """
from llvmlite import binding
features = binding.get_host_cpu_features()
features["avx512f"] = False
binding.get_host_cpu_features = lambda: features
import numpy as np
from steepest.kernels.linear import accumulate
from steepest.kernels.pointwise import LOSSES
from steepest.kernels.vector import VECTOR_BYTES
for dtype in ("float32", "float64"):
    for n in (2, 4, 5, 8, 28):
        X = np.random.default_rng(n).normal(size=(100, n)).astype(dtype)
        theta, gradient = np.full(n + 1, 0.1, dtype), np.zeros(n + 1)
        accumulate(LOSSES["mean-squared-error"], theta, X.ravel(), X[:, 0].copy(), X[:0, 0].copy(),
                   theta.dtype.type(1), gradient)
        d = 2 * (X @ theta[:-1] + theta[-1] - X[:, 0])
        np.testing.assert_allclose(gradient, np.append(X.T @ d, d.sum()), rtol=1e-4, atol=1e-3)
print(VECTOR_BYTES)
"""


def test_processors_with_narrow_vectors_get_the_same(tmp_path):
    processor = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}
    done = subprocess.run(
        [sys.executable, "-c", NARROW],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **processor, "NUMBA_CACHE_DIR": str(tmp_path)},
    )
    assert done.stdout.split() == ["32"]
