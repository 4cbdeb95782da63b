"""Lanczos against dense eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.landscape.curvature import spectrum_at
from steepest.landscape.lanczos import lanczos
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A matrix with these eigenvalues."""
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(len(values), len(values))))[0]
    return rotation @ np.diag(values) @ rotation.T


@pytest.mark.parametrize("size", [1, 2, 3, 5, 40, 200])
@pytest.mark.parametrize("low", [1, 2])
def test_the_ends_of_a_spectrum(size: int, low: int):
    values = np.sort(np.random.default_rng(size).normal(size=size) ** 3)
    matrix = symmetric(values)
    found = lanczos(lambda v: matrix @ v, size, low=low, high=1, tolerance=1e-10)
    wanted = values if size <= low + 1 else np.concatenate([values[:low], values[-1:]])
    scale = np.abs(values).max()
    np.testing.assert_allclose(found.values, wanted, atol=1e-8 * scale)
    assert found.converged
    for value, vector in zip(found.values, found.vectors, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1)
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-7 * scale)


def test_repeated_eigenvalues_and_none_at_all():
    matrix = symmetric(np.array([-1.0, -1.0, 0.0, 0.0, 3.0, 3.0]))
    found = lanczos(lambda v: matrix @ v, 6, low=1, high=1)
    np.testing.assert_allclose(found.values, [-1, 3], atol=1e-9)
    nothing = lanczos(np.zeros_like, 6)
    np.testing.assert_allclose(nothing.values, [0, 0], atol=1e-12)


def test_residuals_bound_the_error():
    values = np.linspace(-1, 1, 400) ** 3
    matrix = symmetric(values)
    found = lanczos(lambda v: matrix @ v, 400, tolerance=1e-2)
    assert found.iterations < 100
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(values - value).min() <= residual + 1e-12


def test_too_few_iterations_are_said():
    matrix = symmetric(np.linspace(0, 1, 300))
    found = lanczos(lambda v: matrix @ v, 300, tolerance=1e-12, most=5)
    assert found.iterations == 5
    assert not found.converged


def test_a_product_that_is_not_finite():
    with pytest.raises(FloatingPointError, match="not finite"):
        lanczos(lambda v: v * np.nan, 4)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
@pytest.mark.parametrize(("dtype", "digits"), [("float64", 1e-8), ("float32", 1e-4)])
def test_the_curvature_of_a_network_is_that_of_its_dense_hessian(hidden, dtype, digits):
    random = np.random.default_rng(1)
    model = Dense(4, hidden, activation="tanh")
    objective = DenseObjective(model, loss_named("binary-cross-entropy"), 0.01, dtype)
    events = Batch(
        random.normal(size=(300, 4)).astype(dtype), random.integers(0, 2, 300).astype(dtype)
    )
    theta = random.normal(size=model.size)
    columns = [
        objective.hessian_vector(theta.astype(dtype), unit.astype(dtype), events)
        for unit in np.eye(model.size)
    ]
    hessian = np.array(columns, dtype=np.float64)
    values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    found = spectrum_at(objective, theta, events, low=2, high=1)
    scale = np.abs(values).max()
    assert found.values[-1] == pytest.approx(values[-1], abs=max(digits, 1e-3**2) * scale)
    # the lowest lie close together: what holds is that there is one within the residual
    assert found.values[0] == pytest.approx(
        values[0], abs=found.residuals[0] + 2e-3 * scale + digits * scale
    )
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(values - value).min() <= residual + digits * scale
