"""What explanations measure, against plain NumPy and exact values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explained_runs import trained
from steepest.curvature import hessian
from steepest.explain.budget import Budget
from steepest.explain.record import Record, per_event_losses, read_record
from steepest.explain.sharpness import measure_noise, measure_sharpness
from steepest.explain.spectrum import measure_noises


@pytest.fixture(scope="module")
def adam(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return read_record(trained(tmp_path_factory.mktemp("adam"), hidden=[3]))


@pytest.fixture(scope="module")
def sgd(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("sgd")
    return read_record(trained(folder, hidden=[3], optimizer="sgd", schedule="constant"))


def test_sharpness_is_the_largest_eigenvalue(sgd: Record):
    for one in measure_sharpness(sgd):
        index = int(np.flatnonzero(sgd.steps == one.step)[0])
        exact = np.linalg.eigvalsh(hessian(sgd.objective, sgd.thetas[index], sgd.train))[-1]
        assert one.largest == pytest.approx(exact, rel=0.01)
        assert (one.bound, one.rate) == (2.0, 0.01)


def test_sharpness_of_adam_is_preconditioned(adam: Record):
    start = measure_sharpness(adam)[0]
    random, theta = np.random.default_rng(0), adam.thetas[0]
    gradients = []
    for _ in range(32):
        rows = np.sort(random.choice(len(adam.train), 32, replace=False))
        gradients.append(adam.objective.loss_and_gradient(theta, adam.train.take(rows))[1])
    root = np.sqrt(np.sqrt(np.mean(np.square(gradients), axis=0)) + 1e-8)
    matrix = hessian(adam.objective, theta, adam.train) / np.outer(root, root)
    assert start.largest == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=0.01)
    assert start.bound == pytest.approx(38.0)


def noise_of_events(record: Record, theta: np.ndarray) -> tuple[float, float]:
    """Tr Σ and ‖∇J‖² without what noise adds, from the gradients of single events."""
    single = np.array(
        [
            record.objective.loss_and_gradient(theta, record.train.take(slice(i, i + 1)))[1]
            for i in range(len(record.train))
        ]
    )
    variance = single.var(axis=0, ddof=1).sum()
    return variance, (single.mean(axis=0) ** 2).sum() - variance / len(single)


def test_noise_scale_is_that_of_single_events(sgd: Record):
    noise = measure_noise(sgd, index=0)
    assert noise is not None
    variance, squared = noise_of_events(sgd, sgd.thetas[0])
    assert noise.variance == pytest.approx(variance, rel=1e-9)
    assert noise.squared_gradient == pytest.approx(squared, rel=1e-9)


def test_noise_scale_of_many_events_is_that_of_batches(
    sgd: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("steepest.explain.sharpness.MOST_SINGLE", 0)
    noise = measure_noise(sgd, index=0)
    assert noise is not None
    variance, squared = noise_of_events(sgd, sgd.thetas[0])
    assert noise.scale == pytest.approx(variance / squared, rel=0.15)


def test_losses_of_events_are_those_of_the_objective(sgd: Record):
    losses, weights = per_event_losses(sgd.model, sgd.parts[0])
    objective = sgd.model.objective()
    theta = sgd.model.theta.astype(np.float64)
    assert np.mean(weights * losses) == pytest.approx(objective.loss(theta, sgd.train), rel=1e-9)


def test_start_of_the_path_is_the_first_theta(tmp_path: Path, sgd: Record):
    assert sgd.steps[0] == 0
    np.testing.assert_allclose(sgd.thetas[0], sgd.objective.initial(sgd.descent.seed), rtol=1e-6)


def test_without_time_the_start_and_the_end_are_measured_on_fewer_events(sgd):
    budget = Budget(seconds={"sharpness": 0.0, "noise": 0.0, "spectrum": 0.0})
    (start,) = measure_sharpness(sgd, budget=budget)
    assert start.step == sgd.steps[0]
    assert set(budget.skipped) == {"sharpness", "sharpness along the path"}
    assert not any(one.passed for one in budget.skipped.values())
    assert "on 100 events" in budget.skipped["sharpness"].sentence
    whole = measure_sharpness(sgd)[0]
    assert 0 < start.largest <= 1.5 * whole.largest
    (noise,) = measure_noises(sgd, budget=budget)
    assert noise.step == sgd.steps[-1]
    assert budget.skipped["noise along the path"].sentence.startswith("at 1 of ")
