"""Buffers and random streams are part of the state: a resumed descent has the same bits."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from steepest.descent import Callback, MemoryCheckpointer, State, descend
from steepest.errors import DivergenceError, Interrupted
from steepest.folder import FolderCheckpointer
from toys import Noisy, OnDevice, plan_for, sample


class InterruptedAfter(Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        self.interrupted = state.step >= self.after


def interrupted_and_resumed(kind, events, folder: Path, **options):
    """Descend, each time with a new objective and a new process's view of the folder."""
    for after in (3, 10, 18):
        objective = kind()
        checkpointer = FolderCheckpointer(folder)
        with pytest.raises(Interrupted):
            descend(
                objective,
                events,
                plan_for(objective, events, **options),
                checkpointer,
                state=checkpointer.newest(),
                callback=InterruptedAfter(after),
            )
    objective = kind()
    checkpointer = FolderCheckpointer(folder)
    plan = plan_for(objective, events, **options)
    outcome = descend(objective, events, plan, checkpointer, state=checkpointer.newest())
    return outcome, checkpointer.history()


@pytest.mark.parametrize("kind", [Noisy, OnDevice])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_resumed_equals_uninterrupted(kind, keep, tmp_path: Path):
    events, options = sample(), {"epochs": 5, "keep": keep}
    objective, checkpointer = kind(), MemoryCheckpointer()
    whole = descend(objective, events, plan_for(objective, events, **options), checkpointer)
    resumed, history = interrupted_and_resumed(kind, events, tmp_path, **options)

    assert resumed.theta.tobytes() == whole.theta.tobytes()
    assert resumed.step == whole.step
    assert resumed.buffers["mean"].tobytes() == whole.buffers["mean"].tobytes()
    assert resumed.state.memory.streams == whole.state.memory.streams
    for name, array in whole.state.arrays().items():
        assert array.tobytes() == resumed.state.arrays()[name].tobytes(), name
    assert history is not None
    assert history.drop(["seconds", "events_per_second"]).equals(
        pa.concat_tables(checkpointer.history).drop(["seconds", "events_per_second"])
    )


def test_what_is_kept_as_the_best_has_the_buffers_of_its_step():
    events, objective = sample(), Noisy()
    plan = plan_for(objective, events, epochs=5, keep="best")
    losses = iter([9.0, 8.0, 1.0, 5.0, 5.0, 5.0])
    seen = {}

    def monitor(theta):
        seen[next(count)] = objective.memory().buffers["mean"]
        return {"validation_loss": next(losses)}

    count = iter(range(9))
    outcome = descend(objective, events, plan, MemoryCheckpointer(), monitor=monitor)
    assert outcome.step == 16
    assert outcome.buffers["mean"].tobytes() == seen[2].tobytes()
    assert outcome.state.memory.buffers["mean"].tobytes() != seen[2].tobytes()


def test_the_gradient_of_a_criterion_leaves_the_memory_alone():
    events = sample()
    ends = []
    for stop in ({}, {"gradient_norm": 1e-300}):
        objective = Noisy()
        plan = plan_for(objective, events, epochs=3, stop=stop)
        ends.append(descend(objective, events, plan, MemoryCheckpointer()).state)
    assert ends[0].theta.tobytes() == ends[1].theta.tobytes()
    assert ends[0].memory.streams == ends[1].memory.streams


@pytest.mark.parametrize("kind", [Noisy, OnDevice])
def test_a_diverged_state_has_the_memory_before_the_step_that_diverged(kind):
    events, objective, checkpointer = sample(), kind(), MemoryCheckpointer()
    with pytest.raises(DivergenceError):
        descend(objective, events, plan_for(objective, events, rate=3.0, epochs=9), checkpointer)
    state = checkpointer.state
    assert state is not None
    short = kind()
    plan = plan_for(short, events, rate=3.0, epochs=9, checkpoint={"steps": 1})
    steps = Recording()
    with pytest.raises(DivergenceError):
        descend(short, events, plan, steps)
    same = steps.states[state.step]
    assert same.memory.streams == state.memory.streams
    assert same.memory.buffers["mean"].tobytes() == state.memory.buffers["mean"].tobytes()


class Recording(MemoryCheckpointer):
    def __init__(self) -> None:
        super().__init__()
        self.states: dict[int, State] = {}

    def save(self, state, history, path) -> None:
        super().save(state, history, path)
        self.states.setdefault(state.step, state)
