"""Blocks of steps on a device: conversions at their ends, and losses looked at once a block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from steepest.descent import MemoryCheckpointer, descend
from steepest.errors import DivergenceError
from steepest.ranks import Ranks
from toys import Noisy, OnDevice, plan_for, sample


class SteadyClock(Ranks):
    """A second for every look: blocks have one step, unless a block had many."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def clock(self) -> float:
        self.now += self.seconds
        return self.now


def test_theta_is_converted_at_the_ends_of_blocks_only():
    events, objective = sample(), OnDevice()
    plan = plan_for(objective, events, epochs=40)
    descend(objective, events, plan, MemoryCheckpointer(), ranks=SteadyClock(1e-6))
    assert objective.steps == 320
    assert objective.to_host == objective.blocks <= 44  # an epoch a block, once they are long
    assert objective.to_device == 1  # it is given back what it returned


@pytest.mark.parametrize("seconds", [1e-6, 0.25])
def test_steps_in_blocks_have_the_bits_of_steps_one_by_one(seconds):
    ends = []
    for objective in (OnDevice(), Noisy()):
        events, checkpointer = sample(), MemoryCheckpointer()
        plan = plan_for(objective, events, epochs=6)
        clock = SteadyClock(seconds)
        outcome = descend(objective, events, plan, checkpointer, ranks=clock)
        ends.append((outcome.theta.tobytes(), checkpointer))
    assert ends[0][0] == ends[1][0]
    one, two = (
        pa.concat_tables(end.history).drop(["seconds", "events_per_second"]) for _, end in ends
    )
    for name in one.column_names:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-12)


@pytest.mark.parametrize("rate", [2.0, 5.0])
@pytest.mark.parametrize("batch_size", [8, "all"])
def test_a_divergence_that_is_reported_late_is_found_at_its_step(rate, batch_size):
    found = []
    for objective in (OnDevice(), Noisy()):
        events, checkpointer = sample(), MemoryCheckpointer()
        plan = plan_for(objective, events, rate=rate, epochs=500, batch_size=batch_size)
        with pytest.raises(DivergenceError) as caught:
            descend(objective, events, plan, checkpointer, ranks=SteadyClock(1e-6))
        assert checkpointer.state is not None
        found.append((str(caught.value), checkpointer.state.theta.tobytes(), checkpointer.history))
    assert found[0][:2] == found[1][:2]
    steps = [pa.concat_tables(history)["step"].to_pylist() for *_, history in found]
    assert steps[0] == steps[1] == list(range(1, len(steps[0]) + 1))


def test_a_block_whose_steps_then_stay_below_the_limit_has_diverged_at_its_end():
    class Wrong(OnDevice):
        def run_steps(self, step_block, rule, theta, optimizer_state, loss_sum):
            result = super().run_steps(step_block, rule, theta, optimizer_state, loss_sum)
            object.__setattr__(result, "exceeded", step_block.first_step >= 8)
            return result

    events, objective = sample(), Wrong()
    plan = plan_for(objective, events, epochs=9)
    with pytest.raises(DivergenceError, match="step 16 "):
        descend(objective, events, plan, MemoryCheckpointer(), ranks=SteadyClock(1e-6))
