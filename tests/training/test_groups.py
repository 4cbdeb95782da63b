"""Inputs in named groups, from a sample to predictions: jets with any number of particles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from steepest import storage
from steepest.descent import Callback, MemoryCheckpointer, State, batches
from steepest.errors import DivergenceError, EventsError, Interrupted, RecipeError
from steepest.events import TEST, TRAIN, VALIDATION, Sample, assign_parts
from steepest.folder import load_model
from steepest.groups import Groups, Jagged
from steepest.prediction import predict_events
from steepest.recipe import SGD, DescentRecipe, EvaluateRecipe, OtherModelRecipe, SplitRecipe
from steepest.storage import DiskArray
from steepest.training.evaluation import evaluate_model
from steepest.training.fit import fit, predictions_of
from steepest.training.fitting.fitted import Fitted
from steepest.training.inputs import Schema, batch_of, objective_for, scaling_of
from steepest.training.results import mean_loss
from steepest.training.scored import Scored
from toy_models import DeepSets

EVENTS = 1500
NAMES = {"jet": ("pt",), "particles": ("pt", "dr")}
SCHEMA = Schema(NAMES, "binary", ("0", "1"), "is_top")
MODEL = OtherModelRecipe.model_validate({"name": "toy-deep-sets", "hidden": 5})
DESCENT = DescentRecipe.model_validate(
    {"epochs": 3, "batch_size": 64, "learning_rate": 0.02, "schedule": "cosine", "seed": 3}
)


def jets(seed: int = 8) -> Sample:
    """Signal has more particles, and these lie further out; some jets have none."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, EVENTS)
    lengths = random.poisson(3 + 2 * labels)
    of_signal = np.repeat(labels, lengths)
    pt = 10 + random.exponential(40, lengths.sum())
    dr = np.abs(random.normal(0, 0.2 + 0.15 * of_signal))
    particles = Jagged.of_lengths(np.column_stack([pt, dr]), lengths)
    jet = np.bincount(particles.spread(np.arange(EVENTS)), pt, EVENTS)[:, None]
    part = assign_parts(np.arange(EVENTS), SplitRecipe(validation=0.2, test=0.2))
    weights = random.choice([0.5, 1.0, 2.0], EVENTS)
    inputs = Groups({"jet": jet, "particles": particles})
    return Sample(inputs, labels, weights, {"pt": jet[:, 0]}, part=part, task="binary")


def on_disk(sample: Sample, folder: Path) -> Sample:
    def kept(array: np.ndarray) -> DiskArray:
        disk = DiskArray(folder, array.dtype, array.shape[1:])
        disk.append(array)
        return disk

    return replace(
        sample,
        features=sample.features.map(lambda _, values: kept(values)),
        labels=kept(sample.labels),
        weights=kept(sample.weights),
        extra={name: kept(values) for name, values in sample.extra.items()},
    )


def trained(sample: Sample, scaling: str = "standard", **options) -> Fitted:
    parts = sample.parts()
    recipe = options.pop("recipe", DESCENT).model_copy(update={"scaling": scaling})
    checkpointer = options.pop("checkpointer", MemoryCheckpointer())
    given = parts[TRAIN], parts[VALIDATION], SCHEMA, MODEL, recipe, checkpointer
    return fit(*given, **options)


@pytest.fixture
def small(monkeypatch):
    """Blocks, chunks and windows so small that these events have many of them."""
    monkeypatch.setattr(storage, "BLOCK", 200)
    monkeypatch.setattr(batches, "CHUNK", 32)
    monkeypatch.setattr(batches, "WINDOW", 256)


def test_it_learns_and_is_evaluated():
    fitted, test = trained(jets()), jets().parts()[TEST]
    assert fitted.model.model == DeepSets(2, 1, 5)
    assert fitted.model.names == ("jet.pt", "particles.pt", "particles.dr")
    merits = evaluate_model(Scored(fitted.model, test), EvaluateRecipe(), None).merits
    assert merits["auc"].value > 0.85
    assert mean_loss(fitted.model, test) < 0.5
    loss = fitted.model.objective().loss(
        fitted.model.theta, batch_of(test, fitted.model.scaling, fitted.model.objective(), "test")
    )
    assert mean_loss(fitted.model, test) == pytest.approx(loss)


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile", "whiten", "none"])
def test_same_bits_in_memory_and_on_disk(small, tmp_path: Path, scaling: str):
    memory, disk = trained(jets(), scaling), trained(on_disk(jets(), tmp_path), scaling)
    assert memory.model.theta.tobytes() == disk.model.theta.tobytes()
    for name, values in memory.model.scaling.to_arrays().items():
        assert values.tobytes() == disk.model.scaling.to_arrays()[name].tobytes(), name
    ours, theirs = jets().parts()[TEST], on_disk(jets(), tmp_path).parts()[TEST]
    assert theirs.on_disk
    assert list(theirs.extra["pt"][:]) == list(ours.extra["pt"])
    scores = predictions_of(memory.model, ours.features)
    assert scores.tobytes() == predictions_of(disk.model, theirs.features)[:].tobytes()
    merits = [
        evaluate_model(Scored(fitted.model, sample), EvaluateRecipe(), None).merits
        for fitted, sample in ((memory, ours), (disk, theirs))
    ]
    assert merits[0] == merits[1]


def test_the_order_of_particles_changes_nothing():
    model, sample = trained(jets()).model, jets()
    particles = sample.features["particles"]
    event = particles.spread(np.arange(EVENTS))
    shuffled = np.lexsort([np.random.default_rng(1).random(len(event)), event])
    inputs = Groups({**sample.features.members, "particles": particles[:]})
    inputs.members["particles"] = particles.with_values(particles.values[shuffled])
    assert not np.array_equal(inputs["particles"].values, particles.values)
    np.testing.assert_allclose(model.predict(inputs), model.predict(sample.features), rtol=1e-12)


def test_a_prediction_does_not_depend_on_the_other_events():
    model, inputs = trained(jets()).model, jets().features
    alone = np.concatenate([model.predict(inputs[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, model.predict(inputs)[:20], rtol=1e-14)


class Interrupting(Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        self.interrupted = state.step >= self.after


@pytest.mark.parametrize("disk", [False, True])
def test_resumed_equals_uninterrupted(small, tmp_path: Path, disk: bool):
    sample = on_disk(jets(), tmp_path) if disk else jets()
    broken, state = MemoryCheckpointer(), None
    for after in (4, 21):
        with pytest.raises(Interrupted):
            trained(sample, checkpointer=broken, state=state, callback=Interrupting(after))
        assert broken.state is not None
        state = State.from_parts(broken.state.arrays(), broken.state.scalars())
    resumed = trained(sample, checkpointer=broken, state=state)
    assert resumed.model.theta.tobytes() == trained(jets()).model.theta.tobytes()


def test_saved_and_read_back(tmp_path: Path, events_file: Path):
    model = trained(jets()).model
    config, parameters, scaling = model.to_parts()
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(parameters, tmp_path / "model.safetensors")
    save_file(scaling, tmp_path / "scaling.safetensors")
    again = load_model(tmp_path).model
    assert again.features == NAMES
    inputs = jets().features
    assert again.predict(inputs).tobytes() == model.predict(inputs).tobytes()
    with pytest.raises(EventsError, match="reads groups of inputs"):
        predict_events(tmp_path, str(events_file), tmp_path / "scores.parquet")


def test_an_event_of_weight_two_is_that_event_twice():
    sample = jets().thinned(300)
    twice = np.repeat(np.arange(300), 1 + (np.arange(300) % 2))
    weighted = replace(sample, weights=1.0 + np.arange(300) % 2)
    repeated = Sample(sample.features[twice], sample.labels[twice])
    scalings = [scaling_of("standard", s, NAMES) for s in (weighted, repeated)]
    objective = objective_for(SCHEMA, MODEL, DESCENT)
    theta = objective.initial(0)
    values = [
        objective.loss_and_gradient(theta, batch_of(s, scaling, objective, "training"))
        for s, scaling in zip((weighted, repeated), scalings, strict=True)
    ]
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-12)
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-10, atol=1e-14)


def test_the_gradient_is_that_of_the_loss():
    sample, objective = jets().thinned(100), objective_for(SCHEMA, MODEL, DESCENT)
    batch = batch_of(sample, scaling_of("standard", sample, NAMES), objective, "training")
    theta, step = objective.initial(1), 1e-6
    numerical = [
        (objective.loss(theta + step * e, batch) - objective.loss(theta - step * e, batch))
        / (2 * step)
        for e in np.eye(objective.size)
    ]
    np.testing.assert_allclose(objective.loss_and_gradient(theta, batch)[1], numerical, atol=1e-8)


def test_a_particle_that_is_not_finite_is_named():
    sample = jets()
    particles = sample.features["particles"]
    particles.values[particles.offsets[7] + 1, 1] = np.nan
    assert particles.lengths[7] > 1
    model = trained(jets()).model
    with pytest.raises(EventsError) as caught:
        model.predict(sample.features)
    assert str(caught.value).splitlines()[0] == (
        "Feature 'dr' of the group 'particles' is not finite in event 7, particle 1."
    )


def test_a_descent_that_diverges_says_why():
    recipe = DESCENT.model_copy(update={"learning_rate": 1e200, "optimizer": SGD()})
    with pytest.raises(DivergenceError, match="the learning rate η = 1e\\+200 is above"):
        trained(jets(), recipe=recipe)


def test_other_groups_are_refused():
    model, inputs = trained(jets()).model, jets().features
    with pytest.raises(EventsError, match="other groups than the model"):
        model.predict(Groups({"jet": inputs["jet"]}))


def test_a_model_that_does_not_read_particles_refuses_them():
    schema = Schema(("pt",), "binary", ("0", "1"))
    with pytest.raises(RecipeError, match="reads particles"):
        objective_for(schema, MODEL, DESCENT)
