"""The dense objective against numerical derivatives, torch, plain formulas and itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import storage
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective

LOSSES = {"mean-squared-error": 1, "binary-cross-entropy": 1, "cross-entropy": 3}
ACTIVATIONS = ["relu", "tanh", "sigmoid", "gelu"]
TORCH_ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": torch.nn.functional.gelu,
}


def problem(
    loss: str,
    hidden: tuple[int, ...] = (),
    activation: str = "relu",
    *,
    dtype: str = "float64",
    l2: float = 0.0,
    weighted: bool = True,
    events: int = 40,
    seed: int = 0,
) -> tuple[DenseObjective, np.ndarray, Batch]:
    random = np.random.default_rng(seed)
    outputs = LOSSES[loss]
    objective = DenseObjective(Dense(5, hidden, outputs, activation), loss_named(loss), l2, dtype)
    inputs = random.normal(size=(events, 5))
    targets = random.integers(0, 3 if outputs == 3 else 2, events)
    if outputs == 1:
        targets = targets.astype(float)
    weights = random.normal(1.0, 0.8, events) if weighted else None
    theta = (0.5 * random.normal(size=objective.size)).astype(dtype)
    return objective, theta, Batch.of(inputs, targets, weights, dtype)


@settings(max_examples=60, deadline=None)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    activation=st.sampled_from(ACTIVATIONS),
    hidden=st.lists(st.integers(1, 6), max_size=3).map(tuple),
    l2=st.sampled_from([0.0, 0.3]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_gradient_and_hessian_vector_are_derivatives(loss, activation, hidden, l2, weighted, seed):
    objective, theta, batch = problem(loss, hidden, activation, l2=l2, weighted=weighted, seed=seed)
    vector = np.random.default_rng(seed + 1).normal(size=objective.size)
    h = 1e-6
    value, gradient = objective.loss_and_gradient(theta, batch)
    assert value == pytest.approx(objective.loss(theta, batch), rel=1e-14)
    if activation == "relu" and hidden:  # away from the kinks, where there is no derivative
        h = 1e-8
    slope = objective.loss(theta + h * vector, batch) - objective.loss(theta - h * vector, batch)
    assert gradient @ vector == pytest.approx(slope / (2 * h), rel=2e-4, abs=2e-5)
    ahead = objective.loss_and_gradient(theta + h * vector, batch)[1]
    behind = objective.loss_and_gradient(theta - h * vector, batch)[1]
    np.testing.assert_allclose(
        objective.hessian_vector(theta, vector, batch),
        (ahead - behind) / (2 * h),
        rtol=2e-4,
        atol=2e-5,
    )


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (7,), (6, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_gives_the_same_loss_and_gradient(loss, activation, hidden, dtype):
    objective, theta, batch = problem(loss, hidden, activation, dtype=dtype, l2=0.1)
    assert batch.weights is not None
    parameters = torch.tensor(theta, requires_grad=True)
    values, start = torch.tensor(batch.inputs), 0
    widths = objective.model.widths
    penalty = torch.zeros((), dtype=parameters.dtype)
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        weights = parameters[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        biases = parameters[start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
        start += (fan_in + 1) * fan_out
        values = values @ weights + biases
        penalty = penalty + (weights**2).sum()
        if index < len(widths) - 2:
            values = TORCH_ACTIVATIONS[activation](values)
    targets = torch.tensor(batch.targets)
    functional = torch.nn.functional
    each = {
        "mean-squared-error": lambda: (values[:, 0] - targets) ** 2,
        "binary-cross-entropy": lambda: functional.binary_cross_entropy_with_logits(
            values[:, 0], targets, reduction="none"
        ),
        "cross-entropy": lambda: functional.cross_entropy(values, targets, reduction="none"),
    }[loss]()
    total = (torch.tensor(batch.weights) * each).mean() + 0.05 * penalty
    total.backward()
    value, gradient = objective.loss_and_gradient(theta, batch)
    tolerance = 3e-5 if dtype == "float32" else 1e-12
    assert gradient.dtype == dtype
    assert value == pytest.approx(total.item(), rel=tolerance)
    assert parameters.grad is not None
    np.testing.assert_allclose(gradient, parameters.grad.numpy(), rtol=tolerance, atol=tolerance)


def test_linear_regression_is_the_lecture_s_matrix_product():
    random = np.random.default_rng(2)
    X, y = random.normal(size=(30, 5)), random.normal(size=30)
    objective = DenseObjective(Dense(5), loss_named("mean-squared-error"))
    theta = random.normal(size=6)
    A = np.column_stack([X, np.ones(30)])
    value, gradient = objective.loss_and_gradient(theta, Batch(X, y))
    assert value == pytest.approx(np.mean((A @ theta - y) ** 2), rel=1e-14)
    np.testing.assert_allclose(gradient, 2 / 30 * A.T @ (A @ theta - y), rtol=1e-13)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_an_event_of_weight_two_is_that_event_twice(loss):
    objective, theta, batch = problem(loss, (4,), events=12, weighted=False)
    weights = np.ones(12)
    weights[3] = 2.0
    weighted = Batch.of(batch.inputs, batch.targets, weights, "float64")
    rows = np.append(np.arange(12), 3)
    doubled = Batch.of(batch.inputs[rows], batch.targets[rows], None, "float64")
    one, two = (objective.loss_and_gradient(theta, b) for b in (weighted, doubled))
    assert one[0] == pytest.approx(two[0], rel=1e-13)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-12, atol=1e-14)


def test_a_pair_of_opposite_weights_cancels():
    objective, theta, batch = problem("binary-cross-entropy", (4,), weighted=False)
    rows = np.append(np.arange(40), [0, 0])
    weights = np.append(np.ones(40), [5.0, -5.0])
    padded = Batch.of(batch.inputs[rows], batch.targets[rows], weights, "float64")
    # the same sums over 42 events whose weights add up to 40
    np.testing.assert_allclose(
        objective.loss_and_gradient(theta, padded)[1],
        objective.loss_and_gradient(theta, batch)[1],
        rtol=1e-11,
        atol=1e-14,
    )


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_blocks_change_nothing(loss, monkeypatch):
    objective, theta, batch = problem(loss, (4,))
    whole = objective.loss_and_gradient(theta, batch)
    product = objective.hessian_vector(theta, theta, batch)
    bounds = DenseObjective(Dense(5, (), LOSSES[loss]), loss_named(loss)).curvature_bounds(batch)
    monkeypatch.setattr(storage, "BLOCK", 7)
    blocked = objective.loss_and_gradient(theta, batch)
    assert blocked[0] == pytest.approx(whole[0], rel=1e-14)
    np.testing.assert_allclose(blocked[1], whole[1], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        objective.hessian_vector(theta, theta, batch), product, rtol=1e-12, atol=1e-15
    )
    again = DenseObjective(Dense(5, (), LOSSES[loss]), loss_named(loss)).curvature_bounds(batch)
    assert bounds is not None
    assert again is not None
    assert again.largest == pytest.approx(bounds.largest, rel=1e-13)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_curvature_bounds_hold_everywhere(loss):
    objective, theta, batch = problem(loss, (), l2=0.2)
    bounds = objective.curvature_bounds(batch)
    assert bounds is not None
    for scale in (0.0, 1.0, 10.0):
        hessian = np.column_stack(
            [objective.hessian_vector(scale * theta, e, batch) for e in np.eye(objective.size)]
        )
        eigenvalues = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        assert eigenvalues[-1] <= bounds.largest * (1 + 1e-12)
        if bounds.exact:
            assert eigenvalues[0] == pytest.approx(bounds.lowest, rel=1e-9)
            assert eigenvalues[-1] == pytest.approx(bounds.largest, rel=1e-12)
    single = max(
        objective.curvature_bounds(
            Batch(batch.inputs[[i]], batch.targets[[i]], abs(batch.weights[[i]]))
        ).largest  # type: ignore
        for i in range(len(batch))
    )
    assert single <= bounds.instance * (1 + 1e-12)


def test_networks_have_no_bound():
    objective, _, batch = problem("binary-cross-entropy", (3,))
    assert objective.curvature_bounds(batch) is None


def test_initialisations_have_their_variances():
    for name, variance in {
        "glorot-uniform": 2 / 500,
        "glorot-normal": 2 / 500,
        "he-uniform": 2 / 300,
        "he-normal": 2 / 300,
        "lecun-normal": 1 / 300,
        "zeros": 0.0,
    }.items():
        model = Dense(300, (200,), 1, initialization=name)
        first = model.layers(model.initial(3))[0]
        assert first.weights.var() == pytest.approx(variance, rel=0.03), name
        assert not first.biases.any()
        assert np.array_equal(model.initial(3), model.initial(3))
        assert name == "zeros" or not np.array_equal(model.initial(3), model.initial(4))
