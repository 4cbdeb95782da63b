"""Batches: every event once an epoch, in an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steepest.descent.batches import Batches
from steepest.ranks import Share


@given(events=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_an_epoch_takes_each_event_once(events: int, size: int, seed: int):
    size = min(size, events)
    batches = Batches(events, size, seed)
    for epoch in (0, 1):
        first = epoch * batches.per_epoch
        rows = [batches.rows(first + i) for i in range(batches.per_epoch)]
        assert sorted(np.concatenate(rows).tolist()) == list(range(events))
        assert {len(r) for r in rows[:-1]} <= {size}


def test_steps_can_be_asked_for_in_any_order():
    forward = [Batches(50, 7, 3).rows(step).tolist() for step in range(24)]
    batches = Batches(50, 7, 3)
    assert [batches.rows(step).tolist() for step in reversed(range(24))][::-1] == forward


def test_epochs_and_seeds_differ():
    one = Batches(50, 50, 0)
    assert one.order(0).tolist() != one.order(1).tolist()
    assert one.order(0).tolist() != Batches(50, 50, 1).order(0).tolist()


@given(events=st.integers(1, 40), size=st.integers(1, 40), step=st.integers(0, 99))
def test_a_later_sample_goes_on_with_steps_and_epochs(events: int, size: int, step: int):
    size = min(size, events)
    whole = Batches(events, size, 3)
    later = Batches(events, size, 3, first_step=step, first_epoch=2)
    for position in range(whole.per_epoch):
        expected = whole.rows(2 * whole.per_epoch + position)
        assert later.rows(step + position).tolist() == expected.tolist()
    assert later.epochs(step) == 2.0
    assert later.epochs(step + later.per_epoch) == 3.0


@settings(max_examples=20, deadline=None)
@given(events=st.integers(45, 400), seed=st.integers(0, 9), epochs=st.integers(1, 3))
@example(events=44 * 5 + 3, seed=0, epochs=3)
def test_two_levels_are_those_of_the_plain_loop(events: int, seed: int, epochs: int):
    """Chunks in random order, and each window of them permuted, whatever is asked for first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steepest.descent.batches.CHUNK", 11)
        patch.setattr("steepest.descent.batches.WINDOW", 44)
        batches = Batches(events, 1, seed)
        last = batches.rows(events - 1)
        for epoch in range(epochs):
            expected = _plain_order(events, seed, epoch)
            assert batches.order(epoch).tolist() == expected
            again = [batches.rows(epoch * events + i)[0] for i in range(events)]
            assert again == expected
        assert last.tolist() == _plain_order(events, seed, 0)[-1:]


def _plain_order(events: int, seed: int, epoch: int) -> list[int]:
    def random(*stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream])))

    count = -(-events // 11)
    windows = -(-count // 4)
    spans = [list(range(count))[k : k + windows] for k in range(0, count, windows)]
    spans = np.array([span + [-1] * (windows - len(span)) for span in spans])
    spans, order = random(1, epoch).permuted(spans, axis=1), []
    for window in range(windows):
        rows = [11 * c + i for c in spans[:, window].tolist() if c >= 0 for i in range(11)]
        rows = [row for row in rows if row < events]
        order += random(2, epoch, window).permutation(rows).tolist()
    return order


@settings(max_examples=30, deadline=None)
@given(
    events=st.integers(20, 400),
    size=st.integers(1, 60),
    ranks=st.integers(1, 5),
    seed=st.integers(0, 9),
    samples=st.integers(1, 3),
)
@example(events=400, size=31, ranks=5, seed=0, samples=3)
def test_the_batches_of_all_ranks_are_those_of_one(
    events: int, size: int, ranks: int, seed: int, samples: int
):
    """No event is seen twice in an epoch, and none is lost, however the events are shared out."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, events, ranks * samples - 1))
    table = np.diff([0, *cuts, events]).reshape(samples, ranks).T.tolist()  # (ranks, samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steepest.descent.batches.CHUNK", 3)
        patch.setattr("steepest.descent.batches.WINDOW", 48)
        alone = Batches(events, size, seed)
        held = [Share.of(table, rank) for rank in range(ranks)]
        numbers = [np.concatenate([np.arange(a, b) for a, b in s.ranges] or [[]]) for s in held]
        assert sorted(np.concatenate(numbers).tolist()) == list(range(events))
        parts = [
            Batches(events, size, seed, share=share, ranks=ranks) if share.ranges else None
            for share in held
        ]
        seen = []
        for step in range(2 * alone.per_epoch):
            taken = [
                numbers[rank][part.rows(step)]
                for rank, part in enumerate(parts)
                if part is not None
            ]
            assert sorted(np.concatenate(taken)) == sorted(alone.rows(step))
            for rows, part in zip(taken, [p for p in parts if p], strict=True):
                counts = part.counts(step, step + 1)
                assert counts is not None
                assert counts.tolist() == [len(rows)]
            seen += np.concatenate(taken).tolist()
        assert (np.bincount(np.array(seen, int), minlength=events) == 2).all()


def test_each_of_many_ranks_has_its_part_of_every_window():
    events = 32 * 262_144
    share = Share.of([[events // 32]] * 32, rank=5)
    batches = Batches(events, 1_000, seed=0, share=share, ranks=32)
    sizes = [len(batches.window(0, window)) for window in range(4)]
    assert sizes == [262_144 // 32] * 4
