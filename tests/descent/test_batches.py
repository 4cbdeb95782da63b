"""Batches: every event once an epoch, in an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steepest.descent.batches import Batches


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

    chunks, order = random(1, epoch).permutation(-(-events // 11)).tolist(), []
    for window in range(-(-len(chunks) // 4)):
        rows = [11 * c + i for c in chunks[4 * window : 4 * window + 4] for i in range(11)]
        rows = [row for row in rows if row < events]
        order += random(2, epoch, window).permutation(rows).tolist()
    return order
