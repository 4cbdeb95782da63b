"""A table: every registered kind of model × every property. Who is registered is tested here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import steepest
import toy_models  # noqa: F401  registers three kinds
from steepest.errors import RecipeError
from steepest.groups import Groups, Jagged
from steepest.losses import loss_named
from steepest.models import InputNames, kind_named, known_models
from steepest.models.base import TORCH
from steepest.objective import Batch
from steepest.objective.stateful import memory_of, restore_memory
from steepest.scaling import GroupScaling, fit_scaling
from steepest.trained import TrainedModel

FLAT = ("pt", "mass", "tau32")
GROUPED = {"jet": ("pt",), "particles": ("pt", "dr")}
EVENTS = 40


def model_of(kind: str):
    """A model of that kind, and the names of the inputs that it takes."""
    inputs: InputNames
    for inputs in (FLAT, GROUPED):
        try:
            return kind_named(kind).build({}, inputs, 1), inputs
        except RecipeError:
            continue
    raise AssertionError(f"{kind} takes neither a matrix nor groups")


def values(names: tuple[str, ...], rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, len(names)))


def inputs_of(names: InputNames):
    if not isinstance(names, Mapping):
        return values(names, EVENTS, 0)
    lengths = np.arange(EVENTS) % 4
    particles = Jagged.of_lengths(values(names["particles"], lengths.sum(), 1), lengths)
    return Groups({"jet": values(names["jet"], EVENTS, 2), "particles": particles})


# networks of PyTorch have a table of their own, tests/models/test_particle_networks.py
@pytest.fixture(params=[name for name in known_models() if name not in TORCH])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def objective(kind: str):
    model, _ = model_of(kind)
    return kind_named(kind).objective(model, loss_named("binary-cross-entropy"), 0.01, "float64")


@pytest.fixture
def batch(kind: str) -> Batch:
    weights = np.random.default_rng(4).uniform(0.5, 1.5, EVENTS)
    return Batch.of(inputs_of(model_of(kind)[1]), np.arange(EVENTS) % 2, weights, "float64")


def test_names_cover_theta_once(kind: str):
    model, _ = model_of(kind)
    counts = np.zeros(model.size)
    for array in model.named(counts).values():
        array += 1
    assert (counts == 1).all()
    assert model.weight_mask().shape == (model.size,)
    assert model.weight_mask().dtype == bool


def test_a_seed_gives_the_same_start(objective):
    assert objective.initial(3).shape == (objective.size,)
    assert objective.initial(3).tobytes() == objective.initial(3).tobytes()


def test_its_configuration_gives_it_back(kind: str):
    model, _ = model_of(kind)
    assert model.kind == kind
    assert kind_named(kind).from_config(model.config()) == model


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_it_is_described_in_words(kind: str, task: str):
    model, _ = model_of(kind)
    assert model.title(task)
    assert isinstance(model.details(), dict)


def test_gradient_and_hessian_are_those_of_the_loss(objective, batch: Batch):
    theta = np.random.default_rng(2).normal(0, 0.5, objective.size)
    vector, step = np.random.default_rng(3).normal(size=objective.size), 1e-5
    before = memory_of(objective)

    def gradient_at(theta: np.ndarray) -> np.ndarray:
        restore_memory(objective, before)
        return objective.loss_and_gradient(theta, batch)[1]

    gradient = gradient_at(theta)  # with the memory that the loss has from here on
    numerical = [
        (objective.loss(theta + step * e, batch) - objective.loss(theta - step * e, batch))
        / (2 * step)
        for e in np.eye(objective.size)
    ]
    np.testing.assert_allclose(gradient, numerical, atol=1e-8)
    ends = [gradient_at(theta + s * step * vector) for s in (1, -1)]
    product = objective.hessian_vector(theta, vector, batch)
    np.testing.assert_allclose(product, (ends[0] - ends[1]) / (2 * step), atol=1e-7)


def test_events_are_predicted_each_for_itself(objective, batch: Batch):
    theta = objective.initial(1)
    whole = objective.predict(theta, batch)
    assert whole.shape == (EVENTS,)
    assert ((whole >= 0) & (whole <= 1)).all()
    order = np.random.default_rng(5).permutation(EVENTS)
    np.testing.assert_allclose(
        objective.predict(theta, batch.take(order)), whole[order], rtol=1e-12
    )


def test_saved_and_read_back(kind: str):
    model, names = model_of(kind)
    if isinstance(names, Mapping):
        scaling = GroupScaling(
            {g: fit_scaling("standard", [(values(n, 9, 6), None)], n) for g, n in names.items()}
        )
    else:
        scaling = fit_scaling("standard", [(values(names, 9, 6), None)], names)
    loss = loss_named("binary-cross-entropy")
    buffers = {"mean": np.arange(3.0)} if kind == "toy-centred" else {}
    trained = TrainedModel(
        scaling, model, loss, model.initial(0), ("0", "1"), "y", names, buffers=buffers
    )
    again = TrainedModel.from_parts(*trained.to_parts())
    inputs = inputs_of(names)
    assert again.predict(inputs).tobytes() == trained.predict(inputs).tobytes()


def test_rooms_above_the_objective_name_no_kind_of_model():
    rooms = Path(steepest.__file__).parent
    below = {"models", "objective", "compiled"}
    named = [
        str(file.relative_to(rooms))
        for file in rooms.rglob("*.py")
        if file.relative_to(rooms).parts[0] not in below
        and re.search(r"\bDenseObjective\b|\bimport\b.*\bDense\b", file.read_text(encoding="utf-8"))
    ]
    assert named == []
