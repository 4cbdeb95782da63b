"""Which steps are recorded: chosen by their number, evenly in log-time; and which θ."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest import recipe as spec
from steepest.descent import Callback, MemoryCheckpointer, Plan, descend
from steepest.descent.history import MOST_STEPS, Trajectory, recorded_steps
from steepest.descent.plan import LARGEST_PATH
from steepest.errors import RecipeError
from steepest.optimizers import update_rule
from steepest.recipe import Recipe
from toys import Line, plan_for, sample


@given(st.integers(1, 10**7), st.integers(20, 2_000))
def test_so_many_at_most_evenly_in_log_time(steps: int, most: int):
    chosen = recorded_steps(steps, most)
    assert len(chosen) <= most + 2
    assert chosen[0] == 1
    assert chosen[-1] == steps
    assert (np.diff(chosen) > 0).all()
    if steps > 8 * most:  # as many in the last quarter of the run's log-time as in the one before
        quarter, half = np.searchsorted(chosen, [steps / 4, steps / 2])
        assert abs((half - quarter) - (len(chosen) - half)) <= 3


@given(st.integers(1, 100_000), st.data())
def test_a_mask_does_not_depend_on_where_the_steps_are_cut(epochs: int, data):
    plan = plan_for(Line(), sample(16), epochs=epochs, validate_every=max(epochs // 3, 1))
    total = plan.total_steps
    cut = data.draw(st.integers(0, total))
    mask = plan.recorded(0, total)
    assert (np.concatenate([plan.recorded(0, cut), plan.recorded(cut, total - cut)]) == mask).all()
    assert mask[0]
    assert mask[-1]
    assert mask.sum() <= MOST_STEPS + 6


def test_a_long_run_records_some_20_000_steps_and_every_validation():
    objective, events, checkpointer = Line(), sample(50_000, seed=1), MemoryCheckpointer()
    plan = plan_for(objective, events, batch_size=1, epochs=1, rate=1e-4)
    descend(objective, events, plan, checkpointer)
    history = pa.concat_tables(checkpointer.history)
    assert history["step"].to_pylist() == recorded_steps(50_000).tolist()
    assert history["training_loss"].drop_null().length() == 1
    assert len(history) <= MOST_STEPS


def test_the_recipe_says_otherwise_and_its_older_name_is_read():
    def recipe(descent: dict) -> Recipe:
        return Recipe.from_dict({"events": {"path": "a", "label": "y"}, "descent": descent})

    assert recipe({}).descent.history.every == "auto"
    new, old = recipe({"history": {"every": 7}}), recipe({"record_every": 7})
    assert new == old
    assert "record_every" not in old.to_toml()
    assert new.with_settings(["descent.record_every=7"]) == new
    assert recipe({}).with_settings(["descent.record_every=3"]).descent.history.every == 3
    with pytest.raises(RecipeError, match=r"only one of history\.every and record_every"):
        recipe({"record_every": 7, "history": {"every": 8}})


@pytest.mark.parametrize(
    ("size", "points"),
    [(10, 184), (100_000, 153), (1_000_000, 16), (2**22, 4), (5 * 2**20, 3), (2**25, 2)],
)
def test_the_path_of_a_large_model_has_fewer_points(size: int, points: int):
    rule = update_rule(spec.SGD(), np.ones(1, dtype=bool))
    plan = Plan(1000, 1, rule, 0.1, spec.Constant(), epochs=10)
    steps = plan.path_steps(4 * size)
    assert len(steps) == points
    assert steps[0] == 0
    assert steps[-1] == 10_000
    assert points == 2 or points * 4 * size <= LARGEST_PATH


def test_a_path_ends_where_a_criterion_stops_the_descent():
    class AfterTwo(Callback):
        def round(self, state, values):
            self.enough = state.step == 16

    objective, events, checkpointer = Line(), sample(64), MemoryCheckpointer()
    plan = plan_for(objective, events, epochs=1000)
    outcome = descend(objective, events, plan, checkpointer, callback=AfterTwo())
    steps = np.concatenate([part.steps for part in checkpointer.path])
    thetas = np.concatenate([part.thetas for part in checkpointer.path])
    assert 16 not in plan.path_steps()
    assert steps[-2:].tolist() == [15, 16]
    assert thetas[-1].tobytes() == outcome.theta.tobytes()


def test_a_path_that_was_kept_to_its_end_gets_no_second_end():
    trajectory = Trajectory(np.array([0, 4, 8]), 1, "float64", done=4)
    trajectory.end(4, np.array([1.0]))
    assert trajectory.take() is None
