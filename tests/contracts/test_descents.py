"""A table: every optimiser × schedule × property. Who is registered in a recipe is tested here."""

from __future__ import annotations

import typing
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steepest import recipe as spec
from steepest.descent import Callback, MemoryCheckpointer, Plan, State, descend
from steepest.errors import Interrupted
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule
from steepest.recipe.descent import OPTIMIZERS, SCHEDULES

OPTIMIZER_NAMES = [optimizer.model_fields["name"].default for optimizer in OPTIMIZERS]
SCHEDULE_NAMES = [schedule.model_fields["name"].default for schedule in SCHEDULES]
RATES = {"rmsprop": 0.01, "adam": 0.02, "adamw": 0.02, "momentum": 0.01, "nesterov": 0.01}


def parts(hidden=(6,), events=90, dtype="float32", seed=1):
    random = np.random.default_rng(seed)
    X = random.normal(size=(events, 3))
    y = (X[:, 0] + 0.5 * random.normal(size=events) > 0).astype(float)
    objective = DenseObjective(Dense(3, hidden), loss_named("binary-cross-entropy"), 1e-3, dtype)
    return objective, Batch.of(X, y, random.normal(1, 0.3, events), dtype)


def plan_for(
    objective: Any,
    events: Batch,
    optimizer: Any = "adam",
    schedule: Any = "constant",
    **changes: Any,
) -> Plan:
    options = {"epochs": 6, "batch_size": 16, "checkpoint": {"seconds": 1e9}, **changes}
    recipe = spec.DescentRecipe.model_validate(
        {"optimizer": optimizer, "schedule": schedule, "learning_rate": 0.1, **options}
    )
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    rate = recipe.learning_rate
    assert rate != "auto"
    return Plan.of(recipe, rule, RATES.get(rule.name, rate), len(events), validated=True)


def monitor_of(objective, events):
    return {
        "monitor": lambda theta: {"validation_loss": objective.loss(theta, events)},
        "metrics": ("validation_loss",),
    }


class Interrupting(Callback):
    """Asks to stop once so many steps are recorded."""

    def __init__(self, after: int) -> None:
        self.after = after

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        self.interrupted = state.step >= self.after


def test_every_member_of_the_recipe_s_unions_is_registered():
    for union, registered in ((spec.Optimizer, OPTIMIZERS), (spec.Schedule, SCHEDULES)):
        members = set(typing.get_args(typing.get_args(union)[0]))
        assert members == set(registered)


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
@pytest.mark.parametrize("schedule", SCHEDULE_NAMES)
def test_resumed_equals_uninterrupted_bit_for_bit(optimizer, schedule):
    objective, events = parts()
    warm = {"name": schedule, "warmup": 0.2}
    plan = plan_for(objective, events, optimizer, warm)
    watching = monitor_of(objective, events)
    whole = MemoryCheckpointer()
    straight = descend(objective, events, plan, whole, **watching)

    broken, state = MemoryCheckpointer(), None
    for after in (2, 9, 17):
        with pytest.raises(Interrupted):
            descend(
                objective,
                events,
                plan,
                broken,
                state=state,
                callback=Interrupting(after),
                **watching,
            )
        saved = broken.state
        assert saved is not None
        state = State.from_parts(saved.arrays(), saved.scalars())  # as it comes back from disk
    resumed = descend(objective, events, plan, broken, state=state, **watching)

    assert resumed.step == straight.step
    for name, values in straight.state.arrays().items():
        assert values.tobytes() == resumed.state.arrays()[name].tobytes(), name
    assert resumed.theta.tobytes() == straight.theta.tobytes()
    one, two = (
        pa.concat_tables(k.history).drop(["seconds", "events_per_second"]) for k in (whole, broken)
    )
    assert one.equals(two)
    thetas = [np.concatenate([p.thetas for p in k.path]) for k in (whole, broken)]
    assert thetas[0].tobytes() == thetas[1].tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loss_falls_and_dtype_is_kept(optimizer, dtype):
    objective, events = parts(dtype=dtype)
    plan = plan_for(objective, events, optimizer, epochs=20)
    checkpointer = MemoryCheckpointer()
    outcome = descend(objective, events, plan, checkpointer)
    assert outcome.theta.dtype == dtype
    assert all(vector.dtype == dtype for vector in outcome.state.optimizer_state)
    start = objective.loss(objective.initial(0), events)
    assert objective.loss(outcome.theta, events) < 0.7 * start


@pytest.mark.parametrize("optimizer", OPTIMIZER_NAMES)
def test_convex_minimum_is_reached(optimizer):
    """Linear regression by batch descent comes down to the exact answer."""
    random = np.random.default_rng(0)
    X = random.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3 + 0.1 * random.normal(size=50)
    objective = DenseObjective(Dense(3), loss_named("mean-squared-error"))
    events = Batch.of(X, y, None, "float64")
    schedule = {"name": "cosine", "final": 0.0}
    no_decay = {"name": "adamw", "weight_decay": 0.0} if optimizer == "adamw" else optimizer
    plan = plan_for(objective, events, no_decay, schedule, batch_size="all", epochs=3000)
    theta = descend(objective, events, plan, MemoryCheckpointer()).theta
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(50)]), y, rcond=None)[0]
    np.testing.assert_allclose(theta, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", ["all", 16, 1])
def test_one_seed_gives_the_same_bits_and_another_does_not(batch_size):
    objective, events = parts()
    thetas = [
        descend(
            objective,
            events,
            plan_for(objective, events, "sgd", batch_size=batch_size, seed=s),
            MemoryCheckpointer(),
        ).theta.tobytes()
        for s in (0, 0, 1)
    ]
    assert thetas[0] == thetas[1] != thetas[2]


@pytest.mark.parametrize("record_every", [1, 3, 1000, "auto"])
def test_history_has_every_kth_step_and_each_validation(record_every):
    objective, events = parts()
    plan = plan_for(objective, events, record_every=record_every)
    checkpointer = MemoryCheckpointer()
    descend(objective, events, plan, checkpointer, **monitor_of(objective, events))
    history = pa.concat_tables(checkpointer.history)
    every = 1 if record_every == "auto" else record_every
    expected = [s for s in range(1, 37) if s % every == 0 or s % 6 == 0]
    assert history["step"].to_pylist() == expected
    validated = [row["step"] for row in history.to_pylist() if row["validation_loss"] is not None]
    assert validated == [6, 12, 18, 24, 30, 36]
    assert all(row["update_ratio"] > 0 for row in history.to_pylist())
