"""How networks of PyTorch run: in pieces, in bfloat16, compiled; clipping and averages of θ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.errors import RecipeError
from steepest.groups import Groups, Jagged
from steepest.losses import loss_named
from steepest.models.torch_model import TorchModel
from steepest.objective import Batch, objective_named
from steepest.objective.autograd import AutogradObjective
from steepest.objective.running import Running
from steepest.optimizers import update_rule
from steepest.training.inputs import Schema, objective_for
from toys import sample


def jets(events: int = 23) -> Batch:
    random = np.random.default_rng(1)
    lengths = random.integers(0, 9, events)
    values = random.normal(size=(lengths.sum(), 3)).astype("float32")
    groups = Groups({"particles": Jagged.of_lengths(values, lengths)})
    weights = random.normal(1.0, 0.4, events)
    return Batch.of(groups, random.integers(0, 2, events).astype(float), weights, "float32")


def deep_sets(dtype: str = "float64", l2: float = 0.1, **running: Any) -> AutogradObjective:
    names = {"particles": ("log_pt", "eta", "phi")}
    model = TorchModel.build("deep-sets", {"per_particle": [8, 8], "per_jet": [8]}, names, 1)
    loss = loss_named("binary-cross-entropy")
    return AutogradObjective(model, loss, l2, dtype, Running(**{"device": "cpu", **running}))


@pytest.mark.parametrize("pieces", [2, 5, 23, 100])
def test_a_gradient_in_pieces_is_that_of_the_batch(pieces: int):
    batch = jets().astype("float64")
    whole, accumulated = deep_sets(), deep_sets(accumulate=pieces)
    theta = whole.initial(0)
    loss, gradient = whole.loss_and_gradient(theta, batch)
    found = accumulated.loss_and_gradient(theta, batch)
    assert found[0] == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-10, atol=1e-15)


def test_the_gradient_of_the_penalty_is_that_of_the_matrices():
    batch, plain, penalised = jets().astype("float64"), deep_sets(l2=0.0), deep_sets(l2=0.3)
    theta = plain.initial(3)
    without, having = (o.loss_and_gradient(theta, batch)[1] for o in (plain, penalised))
    weights = np.where(plain.weight_mask, theta, 0.0)
    np.testing.assert_allclose(having - without, 0.3 * weights, rtol=1e-9, atol=1e-14)
    assert 0 < plain.weight_mask.sum() < plain.size


def test_bfloat16_is_near_and_is_not_float32():
    batch, plain, coarse = jets(), deep_sets("float32"), deep_sets("float32", precision="bfloat16")
    theta = plain.initial(0)
    (loss, gradient), (near, rounded) = (o.loss_and_gradient(theta, batch) for o in (plain, coarse))
    assert near != loss
    assert near == pytest.approx(loss, rel=0.02)
    assert rounded.dtype == np.float32
    assert np.linalg.norm(rounded - gradient) < 0.05 * np.linalg.norm(gradient)
    assert coarse.predict(theta, batch) == pytest.approx(plain.predict(theta, batch), abs=0.02)


def test_a_network_that_cannot_be_compiled_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch):
    def broken(cloud: Any) -> Any:
        raise RuntimeError("Failed to find a working compiler")

    monkeypatch.setattr(torch, "compile", lambda module, **options: broken)
    batch, compiled = jets(), deep_sets("float32", compile=True)
    with pytest.raises(RecipeError, match="could not be compiled") as caught:
        compiled.loss_and_gradient(compiled.initial(0), batch)
    assert "Failed to find a working compiler" in str(caught.value)
    assert "leave descent.compile out" in str(caught.value)


@pytest.mark.slow  # a compiler runs
def test_a_compiled_network_has_the_gradient_of_the_other():
    batch, plain, compiled = jets(), deep_sets("float32"), deep_sets("float32", compile=True)
    theta = plain.initial(0)
    for rows in (slice(0, 9), slice(9, 23)):
        one, two = (o.loss_and_gradient(theta, batch.take(rows)) for o in (plain, compiled))
        assert two[0] == pytest.approx(one[0], rel=1e-5)
        np.testing.assert_allclose(two[1], one[1], rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_absent_is_an_error_and_auto_is_the_cpu():
    with pytest.raises(RecipeError, match="asks for the device 'cuda'") as caught:
        deep_sets(device="cuda")
    assert 'descent.device = "auto"' in str(caught.value)
    auto = deep_sets(device="auto")
    assert auto.device_name.startswith("cpu (")
    assert auto.peak_memory() is None


def plan(objective: Any, events: Batch, **options: Any) -> Plan:
    table = {"optimizer": "momentum", "schedule": "constant", "batch_size": 8, "epochs": 3}
    recipe = spec.DescentRecipe.model_validate({**table, **options})
    given = recipe.clip_gradient, recipe.ema
    rule = update_rule(recipe.optimizer, objective.weight_mask, *given)
    return Plan.of(recipe, rule, 0.05, len(events), validated=False)


def dense() -> Any:
    return objective_named("dense", 3, "mean-squared-error", hidden=(4,))


def unpenalised() -> Any:
    return deep_sets(l2=0.0)


@pytest.mark.parametrize("network", [dense, unpenalised])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_clipping_and_the_average_are_those_of_the_plain_loop(network: Any, optimizer: str):
    """θ ← update(θ, g · min(1, c/‖g‖)) and θ̄ ← d θ̄ + (1 − d) θ, written out."""
    objective = network()
    events = sample(30) if network is dense else jets(30).astype("float64")
    limit = 0.5 if network is dense else 0.05
    chosen = plan(objective, events, optimizer=optimizer, clip_gradient=limit, ema=0.8)
    outcome = descend(objective, events, chosen, MemoryCheckpointer())
    options = spec.DescentRecipe.model_validate({"optimizer": optimizer}).optimizer
    other, plain = network(), update_rule(options, objective.weight_mask)
    theta = mean = other.initial(0)
    state, clipped = plain.initial_state(theta), 0
    for step in range(chosen.total_steps):
        _, gradient = other.loss_and_gradient(theta, events.take(chosen.batches.rows(step)))
        norm = np.linalg.norm(gradient)
        clipped += norm > limit
        gradient = gradient * min(1.0, limit / norm)
        theta, state = plain.update(theta, gradient, state, 0.05, step + 1)
        decay = min(0.8, (2 + step) / (11 + step))
        mean = decay * mean + (1 - decay) * theta
    assert clipped
    np.testing.assert_allclose(outcome.state.theta, theta, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(outcome.theta, mean, rtol=1e-9, atol=1e-12)


def test_what_is_validated_and_kept_is_the_average():
    objective, events, seen = dense(), sample(32), []

    def monitor(theta: np.ndarray) -> dict[str, float]:
        seen.append(theta.copy())
        return {"validation_loss": -1.0 if len(seen) == 2 else 1.0}  # after the first epoch

    recipe = plan(objective, events, ema=0.9, keep="best", epochs=4)
    keeper, names = MemoryCheckpointer(), ("validation_loss",)
    outcome = descend(objective, events, recipe, keeper, monitor=monitor, metrics=names)
    last = outcome.state
    np.testing.assert_array_equal(seen[-1], last.optimizer_state[-1])
    assert not np.array_equal(seen[-1], last.theta)
    np.testing.assert_array_equal(outcome.theta, seen[1])


def test_a_resumed_descent_has_the_bits_of_the_average():
    objective, events = dense(), sample(32)
    longer, half = plan(objective, events, ema=0.9), plan(objective, events, ema=0.9, epochs=1)
    whole = descend(objective, events, longer, MemoryCheckpointer())
    state = descend(objective, events, half, MemoryCheckpointer()).state.with_changes(reason=None)
    state = type(state).from_parts(state.arrays(), state.scalars())
    again = descend(objective, events, longer, MemoryCheckpointer(), state=state)
    assert again.theta.tobytes() == whole.theta.tobytes()


def test_the_history_tells_events_a_second():
    objective, events, keeper = dense(), sample(32), MemoryCheckpointer()
    descend(objective, events, plan(objective, events), keeper)
    told = [v for table in keeper.history for v in table["events_per_second"].to_pylist() if v]
    assert len(told) == 3
    assert min(told) > 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("device", "cuda"), ("precision", "bfloat16"), ("accumulate", 2), ("compile", True)],
)
def test_dense_models_say_why_they_cannot_be_told_so(key: str, value: Any):
    recipe = spec.DescentRecipe.model_validate({key: value})
    schema = Schema(("x", "y"), "binary", ("0", "1"))
    with pytest.raises(RecipeError, match=f"descent.{key} is for networks of PyTorch"):
        objective_for(schema, spec.ModelRecipe(), recipe)
    objective_for(schema, spec.ModelRecipe(), spec.DescentRecipe(device="cpu"))
