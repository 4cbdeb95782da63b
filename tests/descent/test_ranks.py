"""Two ranks with half of each batch are one rank with all of it; the main one writes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steepest.descent import Callback, MemoryCheckpointer, descend
from steepest.descent.ranks import Ranks
from steepest.errors import DivergenceError, Interrupted
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.objective import Batch
from steepest.recipe import Recipe
from toys import Line, plan_for, sample
from two_processes import descended, on_two_processes


class Meeting:
    """Where the ranks exchange values."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=60)
        self.values: list[Any] = [None] * size


class Threads(Ranks):
    """A rank that is a thread of this process."""

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.size, self.meeting = rank, len(meeting.values), meeting

    def exchanged(self, value: Any) -> list[Any]:
        self.meeting.values[self.rank] = value
        self.meeting.barrier.wait()
        values = list(self.meeting.values)
        self.meeting.barrier.wait()
        return values

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.sum(self.exchanged(values), axis=0)

    def from_main(self, value: Any) -> Any:
        return self.exchanged(value)[0]


def on_ranks(work, size: int = 2) -> list[Any]:
    """Call work(ranks) in a thread for each rank; return the results, or what was raised."""
    meeting, results = Meeting(size), [None] * size

    def call(rank: int) -> None:
        try:
            results[rank] = work(Threads(rank, meeting))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results


def halves(events: Batch) -> list[Batch]:
    return [events.take(slice(rank, None, 2)) for rank in range(2)]


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
        plan = plan_for(objective, part, **options)
        return descend(objective, part, plan, checkpointer, ranks=ranks), checkpointer

    alone = MemoryCheckpointer()
    one = descend(Line(), events, plan_for(Line(), events, **options), alone)
    (main, written), (other, nothing) = on_ranks(work)
    np.testing.assert_allclose(main.theta, one.theta, rtol=1e-12)
    assert main.theta.tobytes() == other.theta.tobytes()
    assert main.state.reason == other.state.reason
    history, expected = (pa.concat_tables(c.history).drop(["seconds"]) for c in (written, alone))
    for name in expected.column_names:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-10)
    assert nothing.state is None
    assert not nothing.history


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_mini_batches(optimizer):
    """Rank r takes the r-th half of each batch of 16."""
    parts = halves(sample(64))
    options = {"optimizer": optimizer, "batch_size": 8, "epochs": 3, "seed": 2}

    def work(ranks: Ranks):
        objective, checkpointer = Line(), MemoryCheckpointer()
        plan = plan_for(objective, parts[ranks.rank], **options)
        outcome = descend(objective, parts[ranks.rank], plan, checkpointer, ranks=ranks)
        return outcome, checkpointer.history

    (main, history), (other, _) = on_ranks(work)
    objective = Line()
    plan = plan_for(objective, parts[0], **options)
    theta, losses = objective.initial(2), []
    vectors = plan.rule.initial_state(theta)
    for step in range(plan.total_steps):
        both = [part.take(plan.batches.rows(step)) for part in parts]
        joined = Batch(
            *(np.concatenate([getattr(b, n) for b in both]) for n in ("inputs", "targets"))
        )
        loss, gradient = objective.loss_and_gradient(theta, joined)
        losses.append(loss)
        theta, vectors = plan.rule.update(theta, gradient, vectors, 0.01, step + 1)
    np.testing.assert_allclose(main.theta, theta, rtol=1e-12)
    assert main.theta.tobytes() == other.theta.tobytes()
    np.testing.assert_allclose(pa.concat_tables(history)["loss"], losses, rtol=1e-12)


def test_uneven_batches_count_by_their_events():
    random = np.random.default_rng(0)
    gradients, losses, events = random.normal(size=(2, 5)), (0.5, 2.0), (3, 5)

    def work(ranks: Ranks):
        r = ranks.rank
        mean = ranks.mean_gradient(losses[r], gradients[r].astype(np.float32), events[r])
        return *mean, ranks.total(events[r]), ranks.mean(losses[r], events[r])

    for loss, gradient, total, mean in on_ranks(work):
        assert (loss, total, mean) == (1.4375, 8.0, 1.4375)
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, (3 * gradients[0] + 5 * gradients[1]) / 8, rtol=1e-6)


def test_the_main_rank_decides_by_its_clock_and_its_validation():
    def work(ranks: Ranks):
        part, objective = halves(sample(64))[ranks.rank], Line()
        plan = plan_for(objective, part, epochs=10**6, stop={"seconds": 0.2})

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
            plan, callback = plan_for(objective, part, epochs=9), OnTheOther(ranks.rank, name)
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
        plan = plan_for(objective, part, rate=3.0, epochs=99)
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
