"""Pieces that a helper makes ready: the same ones in their order, whoever made them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.descent.ahead import SLOTS, Ahead
from steepest.descent.batches import Batches
from steepest.descent.feed import Feed
from steepest.descent.feed import _joined as joined
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.optimizers import update_rule

COUNT = 12


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("steepest.descent.ahead.usable_cores", lambda: 2)
    monkeypatch.setattr("steepest.descent.ahead.move_away_from", lambda core, number: None)


def plain(number):
    return "plain", number


def test_pieces_come_in_their_order_whoever_makes_them():
    ahead = Ahead(lambda number, slot: ("made", number), plain)
    found = []
    for piece in ahead.pieces(COUNT):
        found.append(piece)
        time.sleep(0.01)  # as long as steps take
    assert [number for _, number in found] == list(range(COUNT))
    assert ("made", COUNT - 1) in found
    assert found[0] == ("plain", 0)
    assert ahead.pays


def test_a_slot_is_not_written_while_its_piece_is_in_use():
    optimizer_state = np.full(SLOTS, -1)

    def make(number, slot):
        optimizer_state[slot] = number
        return slot

    made = 0
    for number, slot in enumerate(Ahead(make, lambda number: None).pieces(COUNT)):
        time.sleep(0.005)
        if slot is not None:
            made += 1
            assert optimizer_state[slot] == number
    assert made > 0


def test_a_helper_that_fails_leaves_all_to_the_steps():
    def make(number, slot):
        raise MemoryError

    assert list(Ahead(make, plain).pieces(COUNT)) == [plain(n) for n in range(COUNT)]


def test_nobody_waits_for_a_helper_without_a_core_and_it_is_not_called_again_soon():
    held = threading.Event()

    def make(number, slot):
        held.wait(5.0)
        return "made", number

    ahead = Ahead(make, plain)
    pieces, found = ahead.pieces(COUNT), []
    for piece in pieces:
        found.append(piece)
        if len(found) == COUNT:
            held.set()
    assert found == [plain(n) for n in range(COUNT)]
    assert not ahead.pays


def test_a_walk_that_ends_early_ends_the_helper():
    made = []

    def make(number, slot):
        made.append(number)
        return number

    pieces = Ahead(make, plain).pieces(1_000)
    next(pieces)
    pieces.close()
    count = len(made)
    time.sleep(0.02)
    assert len(made) == count <= SLOTS


def test_one_core_has_no_helper(monkeypatch):
    monkeypatch.setattr("steepest.descent.ahead.usable_cores", lambda: 1)
    assert not Ahead(lambda number, slot: number, plain).pays


def sample(dtype, weighted, events=5_003):
    random = np.random.default_rng(0)
    X = random.normal(size=(events, 6))
    weights = random.uniform(0.5, 2, events) if weighted else None
    return Batch.of(X, (X[:, 0] > 0) * 1.0, weights, dtype)


def in_pieces(monkeypatch, size=512):
    monkeypatch.setattr("steepest.descent.feed.LARGE", 0)
    monkeypatch.setattr("steepest.descent.feed.PIECE", size)
    monkeypatch.setattr("steepest.descent.batches.CHUNK", 64)
    monkeypatch.setattr("steepest.descent.batches.WINDOW", 1024)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("first", "last"), [(0, 5_003), (8, 5_000), (1_111, 4_444), (0, 600)])
def test_laid_events_are_those_of_the_rows(first, last, weighted, monkeypatch):
    in_pieces(monkeypatch)
    events = sample("float32", weighted)
    expected = events.take(Batches(5_003, 1, seed=2).rows(first, last))
    tries = (_runs_taken(events, first, last) for _ in range(50))
    for taken, laid in tries:
        for name in ("inputs", "targets", "weights"):
            assert np.array_equal(getattr(taken, name), getattr(expected, name))
        if laid:  # the helper may be late, and compiles its kernel first
            break
    assert laid or last - first < 2 * 512


def _runs_taken(events, first, last):
    """What the runs' steps see, and how many of them a helper has laid."""
    taken, laid = [], 0
    for run in Feed(events, Batches(len(events), 1, seed=2)).runs(first, last):
        taken.append(run.events.take(run.rows))
        laid += run.events is not events
        time.sleep(0.002)
    return joined(taken), laid


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_helper_does_not_change_the_bits(dtype, monkeypatch):
    in_pieces(monkeypatch)
    objective = DenseObjective(Dense(6), loss_named("binary-cross-entropy"), dtype=dtype)
    events = sample(dtype, weighted=True)

    def walk():
        rule = update_rule(spec.SGD(), objective.weight_mask)
        plan = Plan(len(events), 1, rule, 0.05, spec.Cosine(), 3, seed=3, record_every=100)
        checkpointer = MemoryCheckpointer()
        theta = descend(objective, events, plan, checkpointer).theta
        losses = np.concatenate([table["loss"].to_numpy() for table in checkpointer.history])
        return theta.tobytes(), losses.tobytes()

    helped = walk()
    monkeypatch.setattr("steepest.descent.ahead.usable_cores", lambda: 1)
    assert walk() == helped
