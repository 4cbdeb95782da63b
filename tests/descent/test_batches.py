"""Batches: every event once an epoch, in an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
from hypothesis import given
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
