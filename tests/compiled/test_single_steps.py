"""Steps of single events, against the same in NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, StepBlock
from steepest.optimizers import update_rule
from steepest.storage import DiskArray

TOLERANCES = {"float32": 3e-4, "float64": 1e-11}
NAMES = ("binary-cross-entropy", "mean-squared-error")


class Steps:
    """A problem, the kernel on it, and its twin."""

    def __init__(self, loss, features, count, dtype, weighted, seed, scale=1.0):
        random = np.random.default_rng(seed)
        self.loss, self.n, self.dtype, self.count = loss, features, dtype, count
        events = max(3, count // 2)  # some are taken more than once
        self.X = (scale * random.normal(size=(events, features))).astype(dtype)
        soft = random.random(events) < 0.2
        self.y = np.where(soft, random.random(events), random.integers(0, 2, events)).astype(dtype)
        self.weights = random.normal(1.0, 0.8, events).astype(dtype) if weighted else None
        self.rows = random.integers(0, events, size=(count,))
        self.rates = random.uniform(0.0, 0.5 / features, size=(count,))
        self.theta = random.normal(size=features + 1).astype(dtype) / 3
        self.recorded, self.on_path = (random.random(size=(count,)) < 0.1 for _ in range(2))

    def compiled(self, theta, first, last, limit=1e6, first_step=0):
        """Steps first … last − 1: taken, Σ of losses, θ, records, path."""
        part, rule = slice(first, last), update_rule(spec.SGD(), np.arange(self.n + 1) < self.n)
        block = StepBlock(
            Batch(self.X, self.y, self.weights), self.rows[part], 1, self.rates[part],
            first_step + first, self.recorded[part], self.on_path[part], limit,
        )  # fmt: skip
        objective = DenseObjective(Dense(self.n), loss_named(self.loss), dtype=self.dtype)
        with np.errstate(all="ignore"):
            done = objective.run_steps(block, rule, theta, (), 0.0)
        return done.taken, done.loss_sum, done.theta, done.values, done.path

    def plain(self, theta, first, last, limit=1e6):
        loss, theta, total = loss_named(self.loss), theta.astype(np.float64), 0.0
        values, path = [], []
        for index in range(first, last):
            row = self.rows[index]
            x = np.append(self.X[row].astype(np.float64), 1.0)
            z, y = np.array([[x @ theta]]), self.y[row : row + 1].astype(np.float64)
            weight = 1.0 if self.weights is None else float(self.weights[row])
            value = weight * float(loss.value(z, y)[0])
            if not abs(value) <= limit:
                return index - first, total, theta, np.array(values), np.array(path)
            total += value
            gradient = weight * float(loss.gradient(z, y)[0, 0]) * x
            change = -self.rates[index] * gradient
            if self.recorded[index]:
                norms = [np.linalg.norm(v) for v in (gradient, change, theta)]
                values.append([value, self.rates[index], norms[0], norms[1] / norms[2]])
            theta = theta + change
            if self.on_path[index]:
                path.append(theta)
        return last - first, total, theta, np.array(values), np.array(path)


def assert_same(found, expected, dtype):
    tolerance = TOLERANCES[dtype]
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], rel=tolerance, abs=tolerance)
    np.testing.assert_allclose(found[2], expected[2], rtol=tolerance, atol=tolerance)
    for one, two in zip(found[3:], expected[3:], strict=True):
        one = one[: len(two)]
        if len(two):
            np.testing.assert_allclose(one, two, rtol=20 * tolerance, atol=tolerance)


@settings(max_examples=80, deadline=None)
@given(
    loss=st.sampled_from(NAMES),
    features=st.integers(1, 40),
    count=st.integers(1, 150) | st.sampled_from([255, 256, 257]),
    dtype=st.sampled_from(["float32", "float64"]),
    weighted=st.booleans(),
    first_step=st.integers(0, 30),
    seed=st.integers(0, 999),
)
@example(NAMES[0], 28, 150, "float32", False, 0, 0)
def test_they_are_the_single_steps(loss, features, count, dtype, weighted, first_step, seed):
    steps = Steps(loss, features, count, dtype, weighted, seed)
    found = steps.compiled(steps.theta, 0, count, first_step=first_step)
    assert_same(found, steps.plain(steps.theta, 0, count), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_may_be_integers(dtype):
    steps = Steps(NAMES[0], 4, 50, dtype, True, 0)
    steps.y = steps.y.round()
    expected = steps.compiled(steps.theta, 0, 50)
    steps.y = steps.y.astype(np.int64)
    assert steps.compiled(steps.theta, 0, 50)[2].tobytes() == expected[2].tobytes()


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 149), max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 999),
)
def test_the_bits_do_not_depend_on_where_steps_are_cut(cuts, dtype, seed):
    """Also what is recorded and on_path does not change θ."""
    steps = Steps(NAMES[0], 9, 150, dtype, True, seed)
    whole = steps.compiled(steps.theta, 0, 150)
    theta, pieces = steps.theta, []
    places = [0, *sorted(set(cuts)), 150]
    for first, last in pairwise(places):
        pieces.append(steps.compiled(theta, first, last))
        theta = pieces[-1][2]
    assert theta.tobytes() == whole[2].tobytes()
    assert np.concatenate([p[3] for p in pieces]).tobytes() == whole[3].tobytes()
    assert np.concatenate([p[4] for p in pieces]).tobytes() == whole[4].tobytes()
    steps.recorded[:] = steps.on_path[:] = False
    assert steps.compiled(steps.theta, 0, 150)[2].tobytes() == theta.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    place=st.integers(0, 59),
    loss=st.sampled_from(NAMES),
    dtype=st.sampled_from(["float32", "float64"]),
    bad=st.sampled_from([1e9, np.nan, np.inf]),
    seed=st.integers(0, 999),
)
def test_a_loss_above_the_limit_ends_them_before_its_step(place, loss, dtype, bad, seed):
    steps = Steps(loss, 5, 60, dtype, False, seed)
    steps.X = np.concatenate([steps.X, steps.X[:1]])
    steps.X[-1, 2], steps.rows[place] = bad, len(steps.X) - 1
    steps.y = np.append(steps.y, steps.y.dtype.type(0.5))  # wrong on either side
    steps.theta[2] = 0.7
    if not np.isfinite(bad):  # it may end them a step before: what is behind a row must be finite
        assert place - 1 <= steps.compiled(steps.theta, 0, 60)[0] <= place
        return
    expected = steps.plain(steps.theta, 0, 60, limit=1e6)
    assert expected[0] == place
    assert_same(steps.compiled(steps.theta, 0, 60, limit=1e6), expected, dtype)


def test_events_of_enormous_size_are_no_divergence():
    """⟨x, x⟩ is infinite in float32, but the slopes are next to nothing: single steps see that."""
    steps = Steps(NAMES[0], 3, 24, "float32", False, 0)
    steps.X[:], steps.y[:] = 1e20, 1.0
    steps.theta[:] = [1e-10, 0, 0, 0]
    taken, total, theta, *_ = steps.compiled(steps.theta, 0, 24)
    assert taken == 24
    assert 0.0 <= total < 1e-30
    np.testing.assert_allclose(theta, steps.theta, rtol=1e-6, atol=1e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sure_predictions_keep_their_slopes(dtype):
    """The gradient of a nearly certain prediction, −σ(−z), is not rounded to zero."""
    steps = Steps(NAMES[0], 1, 16, dtype, False, 0)
    steps.X[:], steps.y[:], steps.rates[:] = 0.0, 1.0, 1e-3
    for z in (5.0, 12.0, 40.0):
        theta = np.array([0.0, z], dtype=dtype)
        steps.recorded[:] = True
        _, total, _, values, _ = steps.compiled(theta, 0, 16)
        tail = np.exp(-z) / (1 + np.exp(-z))
        assert values[0, 2] == pytest.approx(tail, rel=1e-5)
        assert total == pytest.approx(16 * tail, rel=1e-2)
    steps.rates[:] = 1e6
    moved = steps.compiled(np.array([0.0, 12.0], dtype=dtype), 0, 16)[2][1]
    expected = steps.plain(np.array([0.0, 12.0], dtype=dtype), 0, 16)[2][1]
    assert moved == pytest.approx(expected, rel=1e-5)


def problem(dtype, events=333):
    random = np.random.default_rng(0)
    X = random.normal(size=(events, 6))
    objective = DenseObjective(Dense(6), loss_named(NAMES[0]), dtype=dtype)
    return objective, Batch.of(X, (X[:, 0] > 0) * 1.0, random.uniform(0.5, 2, events), dtype)


def descended(objective, events):
    rule = update_rule(spec.SGD(), objective.weight_mask)
    plan = Plan(len(events), 1, rule, 0.05, spec.Cosine(), 3, seed=3, record_every=10)
    keeper = MemoryCheckpointer()
    theta = descend(objective, events, plan, keeper).theta
    values = np.concatenate([table["loss"].to_numpy() for table in keeper.history])
    return theta.tobytes(), values.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_clock_does_not_change_the_bits(dtype, monkeypatch):
    objective, events = problem(dtype)
    expected = descended(objective, events)
    monkeypatch.setattr("steepest.descent.loop.SECONDS_PER_BLOCK", 0.0)
    assert descended(objective, events) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_on_disk_do_not_change_the_bits(dtype, tmp_path, monkeypatch):
    """The last chunk of 3 events lies in any window, so that windows end anywhere."""
    monkeypatch.setattr("steepest.descent.batches.CHUNK", 11)
    monkeypatch.setattr("steepest.descent.batches.WINDOW", 44)
    objective, events = problem(dtype)
    columns = []
    for array in (events.inputs, events.targets, events.weights):
        column = DiskArray(tmp_path, array.dtype, array.shape[1:])
        column.append(array)
        columns.append(column)
    assert descended(objective, Batch(*columns)) == descended(objective, events)
