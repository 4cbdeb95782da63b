"""Kernels for loss surfaces against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.compiled.pointwise import ACTIVATIONS, LOSSES
from steepest.compiled.surface import layers, logistic, relu_lines
from steepest.losses import loss_named
from steepest.models import Dense

DTYPES = st.sampled_from(["float32", "float64"])
ROUNDING = {"float32": 2e-6, "float64": 1e-13}
NAMES = st.sampled_from(["mean-squared-error", "binary-cross-entropy"])


def chunk_sums(z: np.ndarray, name: str, targets, weights, chunk: int):
    """Σ w ℓ of logits ``(events, points)`` in float64, and Σ |w| (1 + |ℓ| + |z|)."""
    z, y = z.astype(float), targets.astype(float)
    values = np.stack([loss_named(name).value(at[:, None], y) for at in z.T], axis=1)
    w = np.ones(len(y)) if weights is None else weights.astype(float)
    starts = np.arange(0, len(y), chunk)
    size = np.abs(w)[:, None] * (1 + np.abs(values) + np.abs(z))
    sums, sizes = (np.add.reduceat(v, starts) for v in (w[:, None] * values, size))
    return sums, sizes


def logistic_sums(z, targets, weights, points, chunk: int) -> np.ndarray:
    totals = np.zeros((-(-len(targets) // chunk), points.shape[1]))
    known = np.empty(0, z.dtype) if weights is None else weights
    logistic.add_losses(z, targets, known, points, chunk, totals)
    return totals


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
def test_logistic_surfaces(events, points, chunk, weighted, scale, soft, dtype, seed):
    random = np.random.default_rng(seed)
    z = (scale * random.normal(size=(3, events))).astype(dtype)
    targets = (random.random(events) if soft else random.integers(0, 2, events)).astype(dtype)
    weights = random.normal(1.0, 0.8, events).astype(dtype) if weighted else None
    place = random.uniform(-1, 1, (2, points)).astype(dtype)
    found = logistic_sums(z, targets, weights, place, chunk)
    wide, at = z.astype(float), place.astype(float)
    logits = wide[0][:, None] + wide[1][:, None] * at[0] + wide[2][:, None] * at[1]
    expected, size = chunk_sums(logits, "binary-cross-entropy", targets, weights, chunk)
    limit = np.add.reduceat(np.abs(wide).sum(axis=0), np.arange(0, events, chunk))[:, None]
    assert (np.abs(found - expected) <= 4 * ROUNDING[dtype] * (size + limit)).all()


@pytest.mark.parametrize(("dtype", "far"), [("float32", 30.0), ("float64", 80.0)])
def test_small_losses_keep_their_digits(dtype: str, far: float):
    """Events far on their own side: a product of 1 + t in this dtype would be one."""
    size = np.linspace(far / 3, far, 256)
    targets = (np.arange(256) % 2).astype(dtype)
    z = np.zeros((3, 256), dtype)
    z[0] = np.where(targets == 1, size, -size)
    found = logistic_sums(z, targets, None, np.zeros((2, 5), dtype), 256)
    expected = np.log1p(np.exp(-np.abs(z[0].astype(np.longdouble)))).sum()
    np.testing.assert_allclose(found, float(expected), rtol=4e-6 if dtype == "float32" else 1e-13)


def test_nan_stays_in_its_chunk():
    z = np.ones((3, 300), np.float32)
    z[0, 290] = np.nan
    totals = logistic_sums(z, np.ones(300, np.float32), None, np.ones((2, 9), np.float32), 100)
    assert np.isfinite(totals[:2]).all()
    assert np.isnan(totals[2]).all()


@settings(max_examples=40, deadline=None)
@given(
    events=st.sampled_from([1, 7, 8, 9, 63, 64, 65, 130]),
    units=st.sampled_from([(1, 16), (9, 16), (70, 32)]),
    shape=st.sampled_from([(1, 2), (3, 8), (9, 17)]),
    chunk=st.sampled_from([50, 64, 256]),
    name=NAMES,
    weighted=st.booleans(),
    dtype=DTYPES,
    seed=st.integers(0, 999),
)
def test_lines_of_relu_networks(events, units, shape, chunk, name, weighted, dtype, seed):
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.normal(size=shape).astype(dtype)  # noqa: E731
    z, weights, biases = draw(events, 3, units[0]), draw(3, *units), draw(3, units[1])
    above = draw(3, units[1] + 1) / units[1]
    along, across = np.linspace(-1, 1, shape[1]).astype(dtype), draw(shape[0])
    targets = random.integers(0, 2, events).astype(dtype)
    w = random.normal(1.0, 0.8, events).astype(dtype) if weighted else None
    totals = np.zeros((-(-events // chunk), *shape))
    relu_lines.add_losses(
        LOSSES[name], z, weights, biases, above, along, across, targets,
        np.ones(events, dtype) if w is None else w, chunk, totals,
    )  # fmt: skip
    logits = np.empty((events, shape[0] * shape[1]))
    for point, (b, a) in enumerate((b, a) for b in across for a in along):
        mixed = [np.tensordot([1.0, float(a), float(b)], x.astype(float), ([0], [axis]))
                 for x, axis in ((z, 1), (weights, 0), (biases, 0), (above, 0))]  # fmt: skip
        hidden = np.maximum(np.maximum(mixed[0], 0) @ mixed[1] + mixed[2], 0)
        logits[:, point] = hidden @ mixed[3][:-1] + mixed[3][-1]
    expected, size = chunk_sums(logits, name, targets, w, chunk)
    found = totals.reshape(expected.shape)
    scale = size + np.sqrt(size) * units[0]
    assert (np.abs(found - expected) <= 10 * ROUNDING[dtype] * scale.max()).all()


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers(activation: str, name: str, dtype: str):
    random = np.random.default_rng(5)
    outputs = 3 if name == "cross-entropy" else 1
    model = Dense(4, (9, 6), outputs, activation)
    for events in (1, 8, 33):
        X = random.normal(size=(events, 4)).astype(dtype)
        y = random.integers(0, 2, events)
        w = random.normal(1.0, 0.8, events).astype(dtype)
        basis = random.normal(size=(3, model.size)).astype(dtype)
        shares = np.column_stack([np.ones(5), random.normal(size=(5, 2))]).astype(dtype)
        first = np.stack([(X @ la.weights + la.biases).T for la in
                          (model.layers(row)[0] for row in basis)])  # fmt: skip
        totals = np.zeros(5)
        layers.add_losses(
            ACTIVATIONS[activation], LOSSES[name], np.array(model.widths[1:]),
            first.reshape(3, -1), basis[:, 45:].copy(), shares, y.astype(dtype), w, totals,
        )  # fmt: skip
        for share, total in zip(shares.astype(float), totals, strict=True):
            a = X.astype(float)
            *hidden, last = model.layers(share @ basis.astype(float))
            for layer in hidden:
                a = model.function.value(a @ layer.weights + layer.biases)
            values = loss_named(name).value(a @ last.weights + last.biases, y)
            scale = np.abs(w) @ (1 + np.abs(values))
            assert abs(total - w @ values) <= 10 * ROUNDING[dtype] * scale
