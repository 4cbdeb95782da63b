"""Losses against exact values, extended precision and numerical derivatives."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.losses import loss_named

getcontext().prec = 60
ENTROPIES = [0.0, 1.0, 40.0, -40.0, 800.0, 1e3, -1e3, 1e8, -1e8, 1e300]


def exact_binary_cross_entropy(z: float, y: int) -> Decimal:
    """log(1 + e^{±z}) in sixty digits."""
    x = Decimal(z) * (1 if y == 0 else -1)
    if x > 1000:
        return x
    if x < -1000:
        return Decimal(0)
    return (1 + x.exp()).ln() if x > -100 else x.exp()


@pytest.mark.parametrize("z", ENTROPIES)
@pytest.mark.parametrize("y", [0, 1])
def test_binary_cross_entropy_is_exact_at_any_logit(z: float, y: int):
    loss = loss_named("binary-cross-entropy")
    value = loss.value(np.array([[z]]), np.array([float(y)]))[0]
    assert value == pytest.approx(float(exact_binary_cross_entropy(z, y)), rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("z", [5.0, 40.0, 700.0])
def test_gradient_does_not_cancel_where_the_prediction_is_nearly_certain(z: float):
    gradient = loss_named("binary-cross-entropy").gradient(np.array([[z]]), np.array([1.0]))
    assert gradient[0, 0] == pytest.approx(-math.exp(-z) / (1 + math.exp(-z)), rel=1e-14)
    logits = np.array([[z, 0.0]])
    gradient = loss_named("cross-entropy").gradient(logits, np.array([0]))
    assert gradient[0] == pytest.approx(
        [-math.exp(-z) / (1 + math.exp(-z)), math.exp(-z) / (1 + math.exp(-z))], rel=1e-14
    )


@pytest.mark.parametrize("size", [1e3, 1e8, 1e30])
def test_cross_entropy_is_exact_at_large_logits(size: float):
    loss = loss_named("cross-entropy")
    logits = np.array([[size, -size, 0.0]] * 3)
    targets = np.array([0, 1, 2])
    assert loss.value(logits, targets) == pytest.approx([0.0, 2 * size, size], rel=1e-15)
    assert loss.gradient(logits, targets).tolist() == [[0, 0, 0], [1, -1, 0], [1, 0, -1]]
    assert loss.prediction(logits)[0].tolist() == [1, 0, 0]


def test_cross_entropy_keeps_tiny_losses():
    value = loss_named("cross-entropy").value(np.array([[50.0, 0.0, 0.0]]), np.array([0]))
    assert value[0] == pytest.approx(2 * math.exp(-50), rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [2, 5])
def test_two_dtypes_and_torch_agree(dtype: str, outputs: int):
    random = np.random.default_rng(1)
    logits = (10 * random.normal(size=(50, outputs))).astype(dtype)
    targets = random.integers(0, outputs, 50)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    theirs = torch.tensor(logits, requires_grad=True)
    value = torch.nn.functional.cross_entropy(theirs, torch.tensor(targets), reduction="none")
    value.sum().backward()
    loss = loss_named("cross-entropy")
    ours = loss.value(logits, targets)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, value.detach().numpy(), rtol=tolerance, atol=tolerance)
    assert theirs.grad is not None
    gradient = loss.gradient(logits, targets)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=tolerance, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["mean-squared-error", "binary-cross-entropy", "cross-entropy"]),
    seed=st.integers(0, 2**16),
    scale=st.floats(0.01, 8.0),
)
def test_gradient_and_curvature_are_the_derivatives(name: str, seed: int, scale: float):
    random = np.random.default_rng(seed)
    loss = loss_named(name)
    outputs = 4 if name == "cross-entropy" else 1
    z = scale * random.normal(size=(6, outputs))
    y = random.integers(0, 4, 6) if outputs == 4 else random.random(6)
    v, h = random.normal(size=z.shape), 1e-5
    slope = (loss.value(z + h * v, y) - loss.value(z - h * v, y)) / (2 * h)
    np.testing.assert_allclose((loss.gradient(z, y) * v).sum(axis=1), slope, rtol=1e-5, atol=1e-7)
    bend = (loss.gradient(z + h * v, y) - loss.gradient(z - h * v, y)) / (2 * h)
    np.testing.assert_allclose(loss.curvature(z, y, v), bend, rtol=1e-5, atol=1e-7)


def test_curvature_never_exceeds_its_bound():
    random = np.random.default_rng(3)
    for name, outputs in (("binary-cross-entropy", 1), ("cross-entropy", 3)):
        loss = loss_named(name)
        for _ in range(200):
            z = 3 * random.normal(size=(1, outputs))
            targets = np.zeros(1, dtype=int)
            columns = [loss.curvature(z, targets, e[None])[0] for e in np.eye(outputs)]
            assert np.linalg.eigvalsh(np.array(columns))[-1] <= loss.curvature_bound + 1e-12
