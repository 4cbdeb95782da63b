"""Two ranks with half of each batch are one rank with all of it; the main one writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steepest.descent import Callback, MemoryCheckpointer, Plan, descend
from steepest.descent.learning_rate import choose_learning_rate
from steepest.descent.newton import newton
from steepest.errors import DivergenceError, Interrupted
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.objective import Batch, objective_named
from steepest.objective.over_ranks import OverRanks
from steepest.optimizers import update_rule
from steepest.ranks import Ranks, Share
from steepest.recipe import Adam, Recipe
from thread_ranks import on_ranks
from toys import Line, Noisy, plan_for, sample
from two_processes import descended, on_two_processes


def halves(events: Batch) -> list[Batch]:
    """A third and two thirds."""
    cut = len(events) // 3
    return [events.take(slice(cut)), events.take(slice(cut, None))]


def plan_of_ranks(objective: Any, events: Batch, rank: int, **options: Any) -> Plan:
    """The plan of one process with all events, over two of them."""
    counts = [[len(part)] for part in halves(events)]
    plan = plan_for(objective, events, **options)
    return replace(plan, share=Share.of(counts, rank), ranks=2)


def weighted() -> Batch:
    events = sample(64)
    weights = np.random.default_rng(5).normal(1.0, 0.4, 64)
    return Batch.of(events.inputs, events.targets, weights, "float64")


def test_the_whole_batch():
    events, parts = sample(64), halves(sample(64))
    options = {"batch_size": "all", "epochs": 30, "stop": {"gradient_norm": 1e-4}}

    def work(ranks: Ranks):
        objective, checkpointer = Line(), MemoryCheckpointer()
        part = parts[ranks.rank]
        plan = plan_of_ranks(objective, events, ranks.rank, **options)
        return descend(objective, part, plan, checkpointer, ranks=ranks), checkpointer

    alone = MemoryCheckpointer()
    one = descend(Line(), events, plan_for(Line(), events, **options), alone)
    (main, written), (other, nothing) = on_ranks(work)
    np.testing.assert_allclose(main.theta, one.theta, rtol=1e-12)
    assert main.theta.tobytes() == other.theta.tobytes()
    assert main.state.reason == other.state.reason
    history, expected = (
        pa.concat_tables(c.history).drop(["seconds", "events_per_second"]) for c in (written, alone)
    )
    for name in expected.column_names:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-10)
    assert nothing.state is None
    assert not nothing.history


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_batches_of_16_are_those_of_one_rank(optimizer):
    """The history too, step by step, although each rank takes other numbers of events a step."""
    options = {"optimizer": optimizer, "batch_size": 16, "epochs": 3, "seed": 2}
    events = sample(64)

    def work(ranks: Ranks):
        objective, checkpointer = Line(), MemoryCheckpointer()
        plan = plan_of_ranks(objective, events, ranks.rank, **options)
        outcome = descend(objective, halves(events)[ranks.rank], plan, checkpointer, ranks=ranks)
        return outcome, checkpointer.history

    (main, history), (other, _) = on_ranks(work)
    objective, alone = Line(), MemoryCheckpointer()
    one = descend(objective, events, plan_for(objective, events, **options), alone)
    np.testing.assert_allclose(main.theta, one.theta, rtol=1e-12)
    assert main.theta.tobytes() == other.theta.tobytes()
    found, expected = (
        pa.concat_tables(h).drop(["seconds", "events_per_second"]) for h in (history, alone.history)
    )
    for name in expected.column_names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


def test_a_rank_without_an_event_in_a_batch_waits_for_the_others():
    events = sample(9)

    def work(ranks: Ranks):
        objective = Line()
        plan = plan_of_ranks(objective, events, ranks.rank, batch_size=1, epochs=2)
        part = halves(events)[ranks.rank]
        return descend(objective, part, plan, MemoryCheckpointer(), ranks=ranks)

    objective = Line()
    plan = plan_for(objective, events, batch_size=1, epochs=2)
    one = descend(objective, events, plan, MemoryCheckpointer())
    for end in on_ranks(work):
        np.testing.assert_allclose(end.theta, one.theta, rtol=1e-12)


def test_uneven_batches_count_by_their_events():
    events = sample(8)
    parts, theta = halves(events), np.ones(3)

    def work(ranks: Ranks):
        part = parts[ranks.rank]
        objective = OverRanks(Line(), ranks)
        vector = objective.hessian_vector(theta, np.ones(3), part)
        return *objective.loss_and_gradient(theta, part), objective.loss(theta, part), vector

    line = Line()
    loss, gradient = line.loss_and_gradient(theta, events)
    for found, of_theta, again, vector in on_ranks(work):
        assert found == pytest.approx(loss, rel=1e-14)
        assert again == pytest.approx(loss, rel=1e-14)
        np.testing.assert_allclose(of_theta, gradient, rtol=1e-13)
        np.testing.assert_allclose(vector, line.hessian_vector(theta, np.ones(3), events), 1e-13)


def test_random_streams_are_each_ranks_own_and_buffers_are_the_mean():
    """A descent that is resumed in the middle ends with the bits of one that is not."""
    events = sample(64)

    def work(ranks: Ranks):
        part, objective = halves(events)[ranks.rank], Noisy()
        plan = plan_of_ranks(objective, events, ranks.rank, batch_size=16, epochs=4)
        half = replace(plan, epochs=2)
        whole, first = MemoryCheckpointer(), MemoryCheckpointer()
        end = descend(objective, part, plan, whole, ranks=ranks)
        memory = objective.memory()
        descend(Noisy(), part, half, first, ranks=ranks)
        state = ranks.from_main(first.state)
        assert state is not None
        other = Noisy()
        again = descend(
            other, part, plan, MemoryCheckpointer(), state=state.with_changes(reason=None)
        )
        return end, again, memory, other.memory(), state

    (end, again, memory, resumed, state), (_, _, theirs, _, _) = on_ranks(work)
    assert end.theta.tobytes() == again.theta.tobytes()
    assert memory.streams == resumed.streams
    assert memory.streams != theirs.streams
    np.testing.assert_array_equal(memory.buffers["mean"], theirs.buffers["mean"])
    np.testing.assert_array_equal(memory.buffers["mean"], resumed.buffers["mean"])
    assert len(state.memory.streams["ranks"]) == 2


def test_eta_of_trial_runs_is_that_of_one_rank():
    events = weighted()

    def chosen(own: Batch, share: Share | None):
        objective = objective_named("dense", 3, "mean-squared-error", hidden=(4,))
        rule = update_rule(Adam(), objective.weight_mask)
        return choose_learning_rate(objective, own, rule, 16, 0, steps=40, share=share)

    def work(ranks: Ranks):
        parts = halves(events)
        share = Share.of([[len(part)] for part in parts], ranks.rank)
        return chosen(parts[ranks.rank], share)

    assert on_ranks(work) == [chosen(events, None)] * 2


def test_newton_over_ranks_goes_to_the_minimum_of_all_events():
    events = weighted()
    targets = (np.asarray(events.targets) > 0).astype(float)
    events = Batch(events.inputs + 1e4, targets, np.abs(events.weights))

    def found(part: Batch):
        objective = objective_named("dense", 3, "binary-cross-entropy", l2=1e-3)
        plan = plan_for(objective, events, batch_size="all", epochs=30)
        return newton(objective, part, plan, MemoryCheckpointer())[0].theta

    one = found(events)
    for theta in on_ranks(lambda ranks: found(halves(events)[ranks.rank])):
        np.testing.assert_allclose(theta, one, rtol=1e-6)


def test_curvature_bounds_are_those_of_all_events():
    events = weighted()

    def bounds(part: Batch):
        found = objective_named("dense", 3, "mean-squared-error").curvature_bounds(part)
        assert found is not None
        return found

    one = bounds(events)
    for of_rank in on_ranks(lambda ranks: bounds(halves(events)[ranks.rank])):
        assert of_rank.largest == pytest.approx(one.largest, rel=1e-12)
        assert of_rank.lowest == pytest.approx(one.lowest, rel=1e-12)
        assert of_rank.instance == one.instance


def test_the_main_rank_decides_by_its_clock_and_its_validation():
    def work(ranks: Ranks):
        part, objective = halves(sample(64))[ranks.rank], Line()
        plan = plan_of_ranks(objective, sample(64), ranks.rank, epochs=10**6, stop={"seconds": 0.2})

        def monitor(theta):
            return {"validation_loss": float(ranks.rank)}

        return descend(objective, part, plan, MemoryCheckpointer(), monitor=monitor, ranks=ranks)

    main, other = on_ranks(work)
    assert main.state.reason == other.state.reason
    assert main.state.reason.kind == "seconds"
    assert main.state.seconds == other.state.seconds
    assert main.state.best.loss == other.state.best.loss == 0.0


def test_an_interrupt_or_a_wish_to_end_on_any_rank_reaches_all():
    class OnTheOther(Callback):
        def __init__(self, rank: int, name: str) -> None:
            self.rank, self.name = rank, name

        def round(self, state, values):
            setattr(self, self.name, self.rank == 1 and state.step >= 16)

    def work(name: str):
        def call(ranks: Ranks):
            part, objective = halves(sample(64))[ranks.rank], Line()
            plan = plan_of_ranks(objective, sample(64), ranks.rank, epochs=9, batch_size=16)
            callback = OnTheOther(ranks.rank, name)
            keeper = MemoryCheckpointer()
            return descend(objective, part, plan, keeper, callback=callback, ranks=ranks)

        return call

    for end in on_ranks(work("interrupted")):
        assert isinstance(end, Interrupted)
        assert str(end) == "Interrupted after step 16 of 36."
    assert [end.step for end in on_ranks(work("enough"))] == [16, 16]


def test_two_processes_with_unequal_weights_are_one():
    """Weights are divided by the mean over all ranks, so J is that of all events."""
    first, second = on_two_processes(descended)
    alone = descended(Ranks())
    assert first["mean_weight"] < 0.5 < 1.5 < second["mean_weight"]
    assert first["mean_weight"] + second["mean_weight"] == pytest.approx(2.0)
    np.testing.assert_allclose(first["theta"], alone["theta"], rtol=1e-10)
    assert first["theta"].tobytes() == second["theta"].tobytes()
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-10)
    assert second["losses"] == []  # the main rank alone writes


def test_all_ranks_diverge_at_the_same_step():
    def work(ranks: Ranks):
        part, objective = halves(sample(64))[ranks.rank], Line()
        plan = plan_of_ranks(objective, sample(64), ranks.rank, rate=3.0, epochs=99)
        return descend(objective, part, plan, MemoryCheckpointer(), ranks=ranks)

    first, second = on_ranks(work)
    assert isinstance(first, DivergenceError)
    assert first.what == second.what


def test_the_main_process_alone_writes(tmp_path: Path):
    recipe = Recipe.from_dict({"events": {"path": "x.parquet", "label": "y"}})
    RunFolder.create(tmp_path / "run", recipe)
    main = FolderCheckpointer(tmp_path / "run")
    files = sorted(tmp_path.rglob("*"))

    other, folder = (
        FolderCheckpointer(tmp_path / "run", is_main=False),
        RunFolder(tmp_path / "run", is_main=False),
    )
    objective, events = Line(), sample()
    plan = plan_for(objective, events, epochs=2)
    with folder.locked():
        folder.say("nothing")
        folder.write_json("metrics.json", {})
        folder.write_text("report.html", "")
        descend(objective, events, plan, other, state=other.newest())
        other.publish({"step": 1}, pa.table({"step": [1]}))
    assert sorted(tmp_path.rglob("*")) == files

    end = descend(objective, events, plan, main)
    state = other.newest()
    assert state is not None
    assert state.theta.tobytes() == end.theta.tobytes()
    assert FolderCheckpointer(tmp_path / "none", is_main=False).newest() is None
