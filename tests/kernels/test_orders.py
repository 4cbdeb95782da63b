"""Random orders in compiled code, against NumPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steepest.descent import batches
from steepest.kernels.orders import permutation


@given(count=st.integers(0, 3_000), seed=st.integers(0, 10**6))
def test_an_order_is_that_of_numpy(count, seed):
    generator = np.random.Generator(np.random.PCG64(seed))
    before = generator.bit_generator.state
    order = permutation(generator, count)
    assert generator.bit_generator.state == before
    expected = generator.permutation(count)
    assert order.dtype == expected.dtype
    assert order.tolist() == expected.tolist()


def test_an_epoch_has_the_same_order_whoever_draws_it():
    for events in (batches.FEWEST - 1, batches.FEWEST, 70_000):
        plain, quick = (batches.Batches(events, 64, seed=3) for _ in range(2))
        quick.compiled = True
        for epoch in (0, 1):
            assert (plain.order(epoch) == quick.order(epoch)).all()
