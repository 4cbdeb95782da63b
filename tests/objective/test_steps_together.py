"""Steps that several threads take together: the same bits, whoever takes them; nobody waits on."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import recipe as spec
from steepest.kernels.compiled import entry
from steepest.kernels.product import transpose_square
from steepest.kernels.team import new_words, wait
from steepest.kernels.vector import VECTOR_BYTES
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.objective import network as module
from steepest.objective.cores import Helper
from steepest.objective.step_block import StepBlock
from steepest.objective.threads import Team, together
from steepest.optimizers import update_rule


@entry
def count_together(words, members, member, seen, rounds):
    """Each member writes its row; after the wait all rows of a round are there."""
    for step in range(rounds):
        seen[member, step] = step + 1
        if not wait(words, members):
            return -1
        for other in range(members):
            if seen[other, step] != step + 1:
                return step
    return rounds


@entry
def transposed(target, source, size):
    transpose_square(target, 0, size, source, 0, size)


def step_block_of(objective, *, events=700, batch_size=150, weighted=True, record=3):
    random = np.random.default_rng(0)
    X = random.normal(size=(events, objective.model.inputs)).astype(objective.dtype)
    y = (X[:, 0] > 0).astype(objective.dtype)
    weights = random.normal(1, 0.5, events).astype(objective.dtype) if weighted else None
    rows = np.concatenate([random.permutation(events) for _ in range(4)])
    steps = len(rows) // batch_size
    recorded, followed = (np.arange(steps) % n == 0 for n in (record, 4))
    return StepBlock(Batch(X, y, weights), rows, batch_size, np.full(steps, 0.01), 0, recorded,
                   followed, 1e6)  # fmt: skip


class InFour(Team):
    """Takes a step_block in four calls, each by as many members as `members` says."""

    members = 1

    def __init__(self, most):
        self.most = most

    def run(self, steps, take, total):
        done = 0
        for count in np.diff(np.linspace(0, steps, 5).astype(int)).tolist():
            taken, total = take(total, done, count, self.members)
            done += taken
        return done, total


def walk(objective, step_block, members, monkeypatch, parts=3):
    """The result of a step_block of steps on batches of so many parts."""
    monkeypatch.setattr(module, "_parts", lambda batch_size: parts)
    monkeypatch.setattr(InFour, "members", members)
    monkeypatch.setattr(module, "Team", InFour)
    rule = update_rule(spec.Adam(), objective.weight_mask)
    theta = objective.initial(1)
    return objective.run_steps(step_block, rule, theta, rule.initial_state(theta), 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_bits_do_not_depend_on_who_takes_the_steps(dtype, l2, monkeypatch):
    results = []
    for members in (1, 2, 3):
        shape = Dense(7, (20, 9), 1, "tanh")
        objective = DenseObjective(shape, loss_named("binary-cross-entropy"), l2, dtype)
        results.append(walk(objective, step_block_of(objective), members, monkeypatch))
    one = results[0]
    for other in results[1:]:
        assert other.theta.tobytes() == one.theta.tobytes()
        assert other.loss_sum == one.loss_sum
        assert other.values.tobytes() == one.values.tobytes()
        assert other.path.tobytes() == one.path.tobytes()
        assert all(
            a.tobytes() == b.tobytes()
            for a, b in zip(other.optimizer_state, one.optimizer_state, strict=True)
        )


def test_parts_change_only_the_rounding(monkeypatch):
    results = []
    for parts in (1, 2, 4):
        shape = Dense(7, (20,), 1, "relu")
        objective = DenseObjective(shape, loss_named("binary-cross-entropy"), 0.1, "float64")
        results.append(walk(objective, step_block_of(objective), 1, monkeypatch, parts))
    for other in results[1:]:
        np.testing.assert_allclose(other.theta, results[0].theta, rtol=0, atol=1e-12)
        np.testing.assert_allclose(other.values, results[0].values, rtol=1e-9)


def test_long_batches_are_summed_in_float64_by_parts(monkeypatch):
    monkeypatch.setattr("steepest.kernels.network.CHUNK", 4096)
    results = []
    for members in (1, 2):
        objective = DenseObjective(Dense(3, (8,)), loss_named("binary-cross-entropy"), 0.0,
                                   "float32")  # fmt: skip
        step_block = step_block_of(objective, events=20_000, batch_size=18_000, record=1)
        results.append(walk(objective, step_block, members, monkeypatch, parts=2))
    assert results[0].theta.tobytes() == results[1].theta.tobytes()
    exact = DenseObjective(Dense(3, (8,)), loss_named("binary-cross-entropy"), 0.0, "float64")
    start = objective.initial(1)
    batch = step_block.events.take(step_block.rows[:18_000])
    double = Batch(*(column.astype("float64") for column in (batch.inputs, batch.targets,
                                                             batch.weights)))  # fmt: skip
    loss = exact.loss(start.astype("float64"), double)
    assert results[0].values[0, 0] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_wait_lets_nobody_go_on_before_all_have_come(members):
    words, seen = new_words(), np.zeros((3, 500), dtype=np.int64)
    count_together(words, 1, 0, seen.copy(), 1)  # compiled beforehand
    work = lambda member: count_together(words, members, member, seen, 500)  # noqa: E731
    assert together(work, members, failed=lambda: words.fill(1)) == 500


def test_nobody_waits_for_a_member_that_failed():
    words, seen = new_words(), np.zeros((2, 5), dtype=np.int64)
    count_together(words, 1, 0, seen.copy(), 1)

    def work(member):
        if member == 1:
            raise MemoryError("no room")
        return count_together(words, 2, member, seen, 5)

    with pytest.raises(MemoryError, match="no room"):
        together(work, 2, failed=lambda: words.fill(1))


def test_a_failure_of_the_first_member_is_raised_and_the_helper_is_free_again():
    def work(member):
        if member == 0:
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        together(work, 2, failed=lambda: None)
    assert together(lambda member: member, 2, failed=lambda: None) == 0


def test_helpers_are_used_again():
    threads = set()
    for _ in range(5):
        Helper.call(lambda: threads.add(threading.get_ident())).join()
    assert len(threads) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_has_helpers_of_its_own():
    Helper.call(lambda: None).join()
    child = os.fork()
    if child == 0:  # pragma: no cover
        Helper.call(lambda: None).join()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class Clock:
    """Steps that take as long as they are said to."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.calls = seconds, 0.0, []

    def take(self, total, first, count, members):
        self.calls.append((members, count))
        self.now += count * self.seconds[members]
        return count, total + count


@pytest.mark.parametrize(("seconds", "chosen"), [({1: 4e-4, 2: 2e-4}, 2), ({1: 2e-4, 2: 4e-3}, 1)])
def test_a_second_thread_only_where_it_pays(seconds, chosen, monkeypatch):
    clock = Clock(seconds)
    monkeypatch.setattr("steepest.objective.threads.usable_cores", lambda: 2)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    team = Team(2)
    assert [team.run(100, clock.take, 0) for _ in range(3)] == [(100, 100)] * 3
    assert team.chosen == chosen
    slow = sum(count for members, count in clock.calls if members != chosen)
    assert slow <= 150  # the first step_block, and a trial now and then
    clock.seconds = {1: seconds[2], 2: seconds[1]}  # the machine has changed
    for _ in range(60):
        team.run(100, clock.take, 0)
    assert team.chosen != chosen


def test_a_team_stops_where_a_step_is_refused():
    team = Team(1)
    assert team.run(10, lambda total, first, count, members: (4, total + 4), 0) == (4, 4)


@settings(max_examples=20, deadline=None)
@given(dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 999))
def test_a_square_is_transposed_in_registers(dtype, seed):
    size = VECTOR_BYTES // np.dtype(dtype).itemsize
    source = np.random.default_rng(seed).normal(size=(size, size)).astype(dtype)
    target = np.zeros(size * size, dtype=dtype)
    transposed(target, source.ravel(), size)
    assert (target.reshape(size, size) == source.T).all()
