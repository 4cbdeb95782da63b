"""A table: every loss that a recipe may name × every property of a loss."""

from __future__ import annotations

import typing
from pathlib import Path

import numpy as np
import pytest

from steepest.events.sample.labels import TASKS
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, losses_on_surface
from steepest.objective.surface import losses_one_by_one
from steepest.recipe.descent import LossName

NAMES = typing.get_args(LossName)
COMPILED, PLAIN = 1_500, 200
"""Events for which the objective takes compiled code, and for which it takes NumPy."""


def problem(name: str, hidden: tuple[int, ...], events: int = COMPILED):
    random = np.random.default_rng(1)
    outputs = 3 if TASKS[name] == "multiclass" else 1
    objective = DenseObjective(Dense(4, hidden, outputs, "tanh"), loss_named(name), 0.01)
    y = random.integers(0, max(outputs, 2), events)
    targets = y if outputs > 1 else y.astype(float)
    weights = random.normal(1.0, 0.8, events)
    batch = Batch(random.normal(size=(events, 4)), targets, weights)
    return objective, random.normal(size=objective.size), batch


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_a_task(name):
    assert TASKS[name] in ("regression", "binary", "multiclass")
    assert loss_named(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_is_documented(name):
    docs = Path(__file__).parents[2] / "docs"
    for page in ("descent.md", "recipe.md"):
        said = (docs / page).read_text(encoding="utf-8")
        assert f"`{name}`" in said or f'`"{name}"`' in said, page


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_s_loss_is_numpy_s(name):
    torch = pytest.importorskip("torch")
    from steepest.objective.torch_losses import LOSSES

    random = np.random.default_rng(1)
    outputs = 3 if TASKS[name] == "multiclass" else 1
    logits, targets = 3 * random.normal(size=(50, outputs)), random.integers(0, max(outputs, 2), 50)
    targets = targets if outputs > 1 else targets.astype(float)
    losses = LOSSES[name](torch.from_numpy(logits), torch.from_numpy(targets)).numpy()
    np.testing.assert_allclose(losses, loss_named(name).value(logits, targets), 1e-9, 1e-12)


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_numerical_derivatives(name, hidden):
    objective, theta, batch = problem(name, hidden)
    gradient, h = objective.loss_and_gradient(theta, batch)[1], 1e-5
    steps = h * np.eye(len(theta))
    numerical = [
        (objective.loss(theta + step, batch) - objective.loss(theta - step, batch)) / (2 * h)
        for step in steps
    ]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("name", NAMES)
def test_compiled_code_is_numpy_s(name, hidden):
    objective, theta, batch = problem(name, hidden)
    loss, gradient = objective.loss_and_gradient(theta, batch)
    pieces = [slice(i, i + PLAIN) for i in range(0, len(batch), PLAIN)]
    parts = [objective.loss_and_gradient(theta, batch.take(rows)) for rows in pieces]
    shares = [len(batch.take(rows)) / len(batch) for rows in pieces]
    mean = sum(share * part for share, (part, _) in zip(shares, parts, strict=True))
    of_parts = sum(share * part for share, (_, part) in zip(shares, parts, strict=True))
    assert loss == pytest.approx(mean, rel=1e-10)
    np.testing.assert_allclose(gradient, of_parts, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_curvature_stays_below_its_bound(name):
    loss, random = loss_named(name), np.random.default_rng(2)
    outputs = 3 if TASKS[name] == "multiclass" else 1
    logits, direction = random.normal(size=(2, 500, outputs))
    targets = random.integers(0, max(outputs, 2), 500)
    curved = (loss.curvature(logits, targets, direction) * direction).sum(axis=1)
    assert (curved <= (1 + 1e-12) * loss.curvature_bound * (direction**2).sum(axis=1)).all()


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("name", NAMES)
def test_the_surface_is_the_loss_at_each_point(name, hidden):
    objective, theta, batch = problem(name, hidden)
    random = np.random.default_rng(3)
    directions, points = random.normal(size=(2, len(theta))), random.normal(size=(9, 2))
    quick = losses_on_surface(objective, theta, directions, points, batch)
    plain = losses_one_by_one(objective, theta, directions, points, batch)
    np.testing.assert_allclose(quick, plain, rtol=1e-9, atol=1e-9 * np.abs(plain).max())
