"""J on a surface: the dense objective's methods against `loss` at each point."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, losses_on_surface, neuron_groups
from steepest.objective.surface import losses_one_by_one

MODELS = [(), (8,), (8, 5)]
LOSSES = ["mean-squared-error", "binary-cross-entropy", "cross-entropy"]


def problem(hidden, name: str, dtype: str, weighted: bool, l2: float, activation: str = "relu"):
    random = np.random.default_rng(3)
    outputs = 3 if name == "cross-entropy" else 1
    model = Dense(4, hidden, outputs, activation)
    objective = DenseObjective(model, loss_named(name), l2, dtype)
    X = random.normal(size=(70, 4)).astype(dtype)
    y = random.integers(0, outputs if outputs > 1 else 2, 70)
    targets = y if outputs > 1 else y.astype(dtype)
    weights = random.normal(1.0, 0.8, 70).astype(dtype) if weighted else None  # negative ones too
    origin = random.normal(size=model.size)
    directions = random.normal(size=(2, model.size))
    coordinates = random.normal(size=(23, 2))
    return objective, origin, directions, coordinates, Batch(X, targets, weights)


@pytest.mark.parametrize("hidden", MODELS)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-10), ("float32", 1e-5)])
def test_the_surface_is_the_loss_at_each_point(hidden, name, weighted, dtype, relative):
    given = problem(hidden, name, dtype, weighted, l2=0.01)
    quick, plain = losses_on_surface(*given), losses_one_by_one(*given)
    scale = np.abs(plain).max()  # signed weights let J pass through zero
    np.testing.assert_allclose(quick, plain, rtol=relative, atol=relative * scale * 0.1)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu"])
def test_other_activations(activation: str):
    given = problem((8, 5), "binary-cross-entropy", "float64", True, 0.0, activation)
    np.testing.assert_allclose(losses_on_surface(*given), losses_one_by_one(*given), rtol=1e-10)


def test_a_line_and_a_single_point():
    objective, origin, directions, coordinates, batch = problem(
        (8,), "mean-squared-error", "float64", False, 0.0
    )
    line = losses_on_surface(objective, origin, directions[:1], coordinates[:, :1], batch)
    assert line.shape == (23,)
    at_origin = losses_on_surface(objective, origin, directions, np.zeros((1, 2)), batch)
    assert at_origin[0] == pytest.approx(objective.loss(origin, batch), rel=1e-12)


def test_what_overflows_is_not_finite_and_leaves_the_rest_alone():
    objective, origin, directions, coordinates, batch = problem(
        (8, 5), "mean-squared-error", "float32", False, 0.0
    )
    alone = losses_on_surface(objective, origin, directions, coordinates[:1], batch)
    coordinates[1:] *= 1e15
    losses = losses_on_surface(objective, origin, directions, coordinates, batch)
    assert losses[0] == pytest.approx(alone[0], rel=1e-6)
    assert not np.isfinite(losses[1:]).any()


def test_groups_are_the_weights_into_each_unit_and_no_biases():
    objective = problem((8, 5), "cross-entropy", "float64", False, 0.0)[0]
    groups = neuron_groups(objective)
    assert [len(group) for group in groups] == [4] * 8 + [8] * 5 + [5] * 3
    np.testing.assert_array_equal(
        np.sort(np.concatenate(groups)), np.flatnonzero(objective.weight_mask)
    )


class WithoutGroups:
    """An objective that offers the contract and nothing else."""

    weight_mask = np.array([True, False, True])


def test_who_does_not_say_has_one_group():
    (group,) = neuron_groups(WithoutGroups())  # type: ignore[arg-type]
    np.testing.assert_array_equal(group, [0, 2])
