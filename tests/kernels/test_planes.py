"""Kernels for planes against NumPy in float64: logistic regression, ReLU lines, logarithms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.kernels import logistic_plane, relu_line
from steepest.kernels.compiled import entry
from steepest.kernels.elementary import log1p_above
from steepest.kernels.plane_losses import GROUP, add_event, fold
from steepest.kernels.pointwise import LOSSES
from steepest.losses import loss_named

DTYPES = st.sampled_from(["float32", "float64"])
ROUNDING = {"float32": 2e-6, "float64": 1e-13}


@entry
def run_log1p_above(t, out):
    for i in range(len(t)):
        out[i] = log1p_above(t[i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_logarithm_of_large_and_small_is_right_to_the_last_digits(dtype: str):
    t = [np.geomspace(1e-30, 1e30, 50_001), np.linspace(0, 40, 50_001), 2.0 ** np.arange(60) - 1]
    t = np.concatenate(t).astype(dtype)
    out = np.empty_like(t)
    run_log1p_above(t, out)
    expected = np.log1p(t.astype(np.longdouble))
    error = np.abs(out - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= 3
    run_log1p_above(np.full(3, np.nan, dtype), out)
    assert np.isnan(out[:3]).all()


def logistic(sums, targets, weights, points, chunk: int) -> np.ndarray:
    totals = np.zeros((-(-len(targets) // chunk), points.shape[1]))
    given_weights = np.empty(0, sums.dtype) if weights is None else weights
    memory = np.full(2 * logistic_plane.POINTS, np.nan, sums.dtype)
    logistic_plane.add_losses(sums, targets, given_weights, points, chunk, memory, totals)
    return totals


def twin(sums, targets, weights, points, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ w ℓ in float64, and Σ |w| (1 + |ℓ|), which rounding is measured by."""
    s, p = sums.astype(float), points.astype(float)
    z = s[0][:, None] + s[1][:, None] * p[0] + s[2][:, None] * p[1]
    loss = loss_named("binary-cross-entropy")
    values = np.stack([loss.value(at[:, None], targets.astype(float)) for at in z.T], axis=1)
    w = np.ones(len(targets)) if weights is None else weights.astype(float)
    starts = np.arange(0, len(targets), chunk)
    size = np.abs(w)[:, None] * (1 + np.abs(values) + np.abs(s).sum(axis=0)[:, None])
    sums_of = [np.add.reduceat(v, starts) for v in (w[:, None] * values, size)]
    return sums_of[0], sums_of[1]


@settings(max_examples=40, deadline=None)
@given(
    events=st.integers(1, 300),
    points=st.sampled_from([1, 7, 64, 513, 1100]),
    chunk=st.sampled_from([1, 3, 64, 100, 256]),
    weighted=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1e4]),
    soft=st.booleans(),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_logistic_planes_are_numpy_s(events, points, chunk, weighted, scale, soft, dtype, seed):
    random = np.random.default_rng(seed)
    sums = (scale * random.normal(size=(3, events))).astype(dtype)
    targets = (random.random(events) if soft else random.integers(0, 2, events)).astype(dtype)
    weights = random.normal(1.0, 0.8, events).astype(dtype) if weighted else None
    place = random.uniform(-1, 1, (2, points)).astype(dtype)
    found = logistic(sums, targets, weights, place, chunk)
    expected, size = twin(sums, targets, weights, place, chunk)
    assert (np.abs(found - expected) <= ROUNDING[dtype] * size).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_losses_keep_their_digits(dtype: str):
    """Events far on their own side: a product of 1 + t in this dtype would be one."""
    far = 80.0 if dtype == "float64" else 30.0
    z = np.linspace(far / 3, far, 256)
    targets = (np.arange(256) % 2).astype(dtype)
    sums = np.zeros((3, 256), dtype)
    sums[0] = np.where(targets == 1, z, -z)
    found = logistic(sums, targets, None, np.zeros((2, 5), dtype), 256)
    expected = np.log1p(np.exp(-np.abs(sums[0].astype(np.longdouble)))).sum()
    np.testing.assert_allclose(found, float(expected), rtol=4e-6 if dtype == "float32" else 1e-13)


def test_what_is_no_number_stays_with_its_chunk():
    sums = np.ones((3, 300), np.float32)
    sums[0, 290] = np.nan
    totals = logistic(sums, np.ones(300, np.float32), None, np.ones((2, 9), np.float32), 100)
    assert np.isfinite(totals[:2]).all()
    assert np.isnan(totals[2]).all()


@entry
def run_events(kind, z, targets, weights, lines, products, totals):
    for i in range(len(targets)):
        add_event(kind, z[i], targets[i], weights, i, lines, products)
    fold(kind, lines, products, totals)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["mean-squared-error", "binary-cross-entropy"]),
    events=st.integers(0, GROUP),
    points=st.integers(1, 70),
    weighted=st.booleans(),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_losses_of_events_at_points_are_numpy_s(name, events, points, weighted, dtype, seed):
    random = np.random.default_rng(seed)
    z = (4 * random.normal(size=(events, points))).astype(dtype)
    targets = random.integers(0, 2, events).astype(dtype)
    weights = random.normal(1, 0.8, events if weighted else 0).astype(dtype)
    lines, products, totals = np.zeros(points, dtype), np.zeros(points, dtype), np.ones(points)
    run_events(LOSSES[name], z, targets, weights, lines, products, totals)
    w = weights.astype(float) if weighted else np.ones(events)
    values = [loss_named(name).value(c[:, None].astype(float), targets.astype(float)) for c in z.T]
    expected = np.array([w @ value for value in values])
    scale = 10 * (1 + np.array([np.abs(w) @ np.abs(value) for value in values]))
    assert (np.abs(totals - 1 - expected) <= ROUNDING[dtype] * scale).all()


@entry
def run_signs(p, q, first, a):
    return relu_line.signs(p, q, first, a)


@entry
def run_first_bit(word):
    return relu_line.first_bit(word)


@given(dtype=DTYPES, seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_signs_are_bits(dtype, seed):
    random = np.random.default_rng(seed)
    p, q = random.integers(-3, 4, (2, 128)).astype(dtype)
    a = np.dtype(dtype).type(random.integers(-2, 3))
    for first in (0, 64):
        on = np.flatnonzero((p + a * q > 0)[first : first + 64])
        word = sum(1 << int(bit) for bit in on)
        assert int(run_signs(p, q, first, a)) == word
        if word:
            assert run_first_bit(np.uint64(word)) == on[0]


@entry
def run_walk(row, c, v, slope, u, p, q, a, out, heads, following, units):
    relu_line.walk(row, c, v, slope, u, p, q, a, out, heads, following, units)


@settings(max_examples=40, deadline=None)
@given(
    vectors=st.integers(1, 9),
    points=st.integers(1, 20),
    changes=st.integers(0, 12),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_a_walk_is_numpy_s(vectors, points, changes, dtype, seed):
    random = np.random.default_rng(seed)
    row = vectors * relu_line.LINE_BYTES // np.dtype(dtype).itemsize
    draw = lambda *shape: random.normal(size=shape).astype(dtype)  # noqa: E731
    c, v, slope, u = draw(3, row), draw(5, row), draw(5, row), draw(points, row)
    p, q, a, out = draw(changes), draw(changes), draw(points), draw(points)
    at, units = random.integers(0, points, changes), random.integers(0, 5, changes)
    heads, following = np.full(points, -1), np.full(max(changes, 1), -1)
    for number, place in enumerate(at):
        following[number], heads[place] = heads[place], number
    expected, powers = out.astype(float), c.astype(float)
    for i in range(points):
        for n in np.flatnonzero(at == i):
            w, rise = v[units[n]].astype(float), slope[units[n]].astype(float)
            powers += np.stack([p[n] * w, p[n] * rise + q[n] * w, q[n] * rise])
        s = powers[0] + a[i] * powers[1] + float(a[i]) ** 2 * powers[2]
        expected[i] += np.maximum(s, 0) @ u[i]
    flat = [array.ravel() for array in (c, v, slope, u)]
    run_walk(row, *flat, p, q, a, out, heads, following, units)
    np.testing.assert_allclose(out, expected, rtol=0, atol=ROUNDING[dtype] * 40 * row**0.5)
