"""The events of every step: the same whoever copies them, in memory and on disk."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.descent.batch_loader import BatchLoader, Prefetcher
from steepest.descent.batches import Batches
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule
from steepest.storage import DiskArray

EVENTS = 5_003


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces, chunks and windows so small that 5,003 events are many of each."""
    for name, value in {
        "batch_loader.PIECE": 512, "batch_loader.THREADED_BYTES": 0, "batches.CHUNK": 64,
        "batches.WINDOW": 1024,
    }.items():  # fmt: skip
        monkeypatch.setattr(f"steepest.descent.{name}", value)


@pytest.fixture(params=[1, 2])
def cores(request, monkeypatch):
    monkeypatch.setattr("steepest.descent.batch_loader.usable_cores", lambda: request.param)
    return request.param


def sample(dtype="float32", weighted=True):
    random = np.random.default_rng(0)
    X = random.normal(size=(EVENTS, 6))
    weights = random.uniform(0.5, 2, EVENTS) if weighted else None
    return Batch.of(X, (X[:, 0] > 0) * 1.0, weights, dtype)


def on_disk(events, folder):
    columns = []
    for array in (events.inputs, events.targets, events.weights):
        column = DiskArray(folder, array.dtype, array.shape[1:])
        column.append(array)
        columns.append(column)
    return Batch(*columns)


def assert_same_events(found, expected):
    for name in ("inputs", "targets", "weights"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [1, 7, 700])
@pytest.mark.parametrize("in_order", [False, True])
def test_runs_have_the_events_of_their_steps(weighted, size, in_order, small_pieces, cores):
    events, batches = sample(weighted=weighted), Batches(EVENTS, size, seed=2)
    end = 2 * batches.per_epoch
    loader, step = BatchLoader(events, batches, in_order, end), 0
    cuts = [3, 4, batches.per_epoch // 2, batches.per_epoch + 1, end]  # as blocks of steps end
    for stop in sorted({min(cut, end) for cut in cuts}):
        for run in loader.runs(step, stop):
            rows = np.concatenate([batches.rows(s) for s in range(step, step + run.steps)])
            found = run.events if run.rows is None else run.events.take(run.rows)
            assert (run.rows is None) == in_order
            assert_same_events(found, events.take(rows))
            step += run.steps
        assert step == stop


@pytest.mark.parametrize("size", [1, 7, 700])
def test_runs_from_disk_are_those_from_memory(size, small_pieces, cores, tmp_path):
    events, batches = sample(), Batches(EVENTS, size, seed=2)
    ends = 11, batches.per_epoch, 2 * batches.per_epoch
    loader, step = BatchLoader(on_disk(events, tmp_path), batches, last_step=ends[-1]), 0
    for stop in ends:
        for run in loader.runs(step, stop):
            rows = np.concatenate([batches.rows(s) for s in range(step, step + run.steps)])
            assert_same_events(run.events, events.take(rows))
            step += run.steps
    for step in (0, batches.per_epoch - 1, 5):
        assert_same_events(loader.batch(step), events.take(batches.rows(step)))


def test_steps_may_be_asked_for_in_any_order(small_pieces, cores):
    events, batches = sample(), Batches(EVENTS, 1, seed=2)
    loader = BatchLoader(events, batches, in_order=True)
    for step in (4_000, 0, 511, 512, 5_002, 1_500):
        (run,) = loader.runs(step, step + 1)
        assert_same_events(run.events, events.take(batches.rows(step)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 50])
def test_threads_and_disk_do_not_change_the_bits(dtype, size, small_pieces, monkeypatch, tmp_path):
    objective = DenseObjective(Dense(6), loss_named("binary-cross-entropy"), dtype=dtype)
    events = sample(dtype)

    def descent(events, cores):
        monkeypatch.setattr("steepest.descent.batch_loader.usable_cores", lambda: cores)
        rule = update_rule(spec.SGD(), objective.weight_mask)
        plan = Plan(len(events), size, rule, 0.05, spec.Cosine(), 3, seed=3, record_every=100)
        checkpointer = MemoryCheckpointer()
        theta = descend(objective, events, plan, checkpointer).theta
        losses = np.concatenate([table["loss"].to_numpy() for table in checkpointer.history])
        return theta.tobytes(), losses.tobytes()

    assert descent(events, 2) == descent(events, 1) == descent(on_disk(events, tmp_path), 2)


def test_items_are_made_one_ahead_by_one_thread():
    made, third = [], threading.Event()

    def make(number):
        made.append((number, threading.current_thread() is threading.main_thread()))
        if number == 3:
            third.set()
        return number

    items = Prefetcher(make, end=4, threaded=True)
    assert [items.get(number) for number in (0, 0, 1, 2)] == [0, 0, 1, 2]
    assert third.wait(10.0)
    assert made == [(0, True), (1, False), (2, False), (3, False)]
    assert items.get(1) == 1  # out of turn: made anew
    assert items.get(3) == 3


def test_without_a_thread_items_are_made_when_asked_for():
    made = []
    items = Prefetcher(made.append, end=9, threaded=False)
    for number in (0, 1, 5):
        items.get(number)
    assert made == [0, 1, 5]


def test_what_fails_ahead_is_raised_when_it_is_asked_for():
    def make(number):
        if number == 1:
            raise MemoryError("no room")
        return number

    items = Prefetcher(make, end=3, threaded=True)
    assert items.get(0) == 0
    with pytest.raises(MemoryError, match="no room"):
        items.get(1)
    assert items.get(2) == 2
