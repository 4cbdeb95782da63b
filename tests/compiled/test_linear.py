"""Gradients and steps of linear models in compiled code, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import recipe as spec
from steepest.compiled.linear import (
    LEAST,
    MOST,
    ROWS,
    SUMMED,
    add_gradient,
    add_products,
    block_of,
    logits,
    width_of,
)
from steepest.compiled.pointwise import LOSSES
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, StepBlock
from steepest.optimizers import update_rule

NAMES = ["mean-squared-error", "binary-cross-entropy"]
DTYPES = ["float32", "float64"]
ROUNDING = {"float32": 1e-5, "float64": 1e-13}
COUNTS = [0, 1, 7, 8, 9, *(size + more for size in (LEAST, MOST, SUMMED) for more in (-1, 0, 1))]


class Problem:
    """Events of a linear model, and what NumPy finds for them in float64."""

    def __init__(self, name, events, n, weighted, dtype, seed=0):
        random = np.random.default_rng(seed)
        self.name, self.dtype = name, np.dtype(dtype)
        self.X, self.theta = (random.normal(size=s).astype(dtype) for s in ((events, n), n + 1))
        self.y = random.integers(0, 2, events).astype(dtype)
        self.v = random.normal(1.0, 0.8, events if weighted else 0).astype(dtype)

    def compiled(self, scale=0.5):
        gradient = np.ones(self.X.shape[1] + 1)
        total = add_gradient(LOSSES[self.name], self.theta, self.X.ravel(), self.y, self.v,
                             self.dtype.type(scale), gradient)  # fmt: skip
        return total, gradient

    def plain(self, scale=0.5):
        X, theta, loss = self.X.astype(float), self.theta.astype(float), loss_named(self.name)
        z, y = (X @ theta[:-1] + theta[-1])[:, None], self.y.astype(float)
        v = self.v.astype(float) if len(self.v) else np.ones(len(y))
        d, values = scale * v * loss.gradient(z, y)[:, 0], v * loss.value(z, y)
        size = 100 * ROUNDING[self.dtype.name] * max(1.0, np.abs(d).sum(), np.abs(values).sum())
        return values.sum(), 1 + np.append(X.T @ d, d.sum()), size

    def check(self):
        (total, gradient), (expected, of_numpy, size) = self.compiled(), self.plain()
        assert total == pytest.approx(expected, abs=size)
        np.testing.assert_allclose(gradient, of_numpy, rtol=0, atol=size)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    groups=st.integers(1, 3),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 999),
)
def test_products_are_numpy_s(n, groups, dtype, seed):
    random, count = np.random.default_rng(seed), groups * ROWS
    width = width_of(n, np.dtype(dtype).itemsize)
    assert n <= width < n + 8
    before, behind = random.normal(size=(2, width)).astype(dtype)  # the latter read, unweighted
    X, w, d = (random.normal(size=s).astype(dtype) for s in ((count, n), n, count))
    flat = np.concatenate([before, X.ravel(), behind])
    out, sums = np.empty(count, dtype), np.ones(width)
    atol = 100 * ROUNDING[dtype]
    logits(flat, width, count, n, np.pad(w, (0, width - n)), w.dtype.type(0.25), out)
    np.testing.assert_allclose(out, X @ w + 0.25, rtol=0, atol=atol)
    sums = sums.astype(dtype)
    add_products(flat, width, count, n, d, sums)
    np.testing.assert_allclose(sums[:n], 1 + X.T @ d, rtol=0, atol=atol)


def test_blocks_divide_what_is_summed_together():
    for itemsize in (4, 8):
        sizes = [block_of(n, itemsize) for n in range(1, 300)]
        assert (sizes[0], sizes[-1]) == (MOST, LEAST)
        assert all(SUMMED % size == 0 and size % ROWS == 0 for size in sizes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, 28, 40])
def test_bits_do_not_depend_on_what_lies_behind(n, dtype):
    """A batch at the end of an array, where blocks are copied, is as one in its midst."""
    longer = Problem(NAMES[1], 900, n, True, dtype)
    for events in (30, 300, 700):
        X, y, v = longer.X[:events].ravel(), longer.y[:events], longer.v[:events]
        results = []
        for inputs in (X, longer.X.ravel()):
            gradient = np.zeros(n + 1)
            total = add_gradient(LOSSES[NAMES[1]], longer.theta, inputs, y, v,
                                 longer.dtype.type(0.5), gradient)  # fmt: skip
            results.append((total, gradient.tolist()))
        assert results[0] == results[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("events", COUNTS)
def test_gradients_of_so_many_events(name, dtype, weighted, events):
    for n in (1, 28):
        Problem(name, events, n, weighted, dtype).check()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    events=st.integers(0, 1200),
    n=st.integers(1, 40),
    weighted=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 999),
)
def test_gradients_are_numpy_s(name, events, n, weighted, dtype, seed):
    Problem(name, events, n, weighted, dtype, seed).check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_so(name, bad):
    for place in (0, 70, 99):
        problem = Problem(name, 100, 5, True, "float32")
        problem.X[place, 2], problem.theta[2] = bad, -1.0 if problem.y[place] else 1.0
        total, gradient = problem.compiled()
        assert not np.isfinite(total)
        assert not np.isfinite(gradient[2])


def test_events_that_must_not_be_written_are_read():
    problem = Problem(NAMES[0], 100, 5, True, "float32")
    expected = problem.compiled()
    for array in (problem.X, problem.y, problem.v):
        array.flags.writeable = False
    objective = DenseObjective(Dense(5), loss_named(NAMES[0]), dtype="float32")
    batch = Batch(*(np.concatenate([a] * 11) for a in (problem.X, problem.y, problem.v)))
    for array in (batch.inputs, batch.targets, batch.weights):
        array.flags.writeable = False
    loss, gradient = objective.loss_and_gradient(problem.theta, batch)
    assert loss == pytest.approx(expected[0] / 100, rel=1e-6)
    np.testing.assert_allclose(gradient, (expected[1] - 1) / 50, rtol=1e-5, atol=1e-6)


def run(events, rows, size, dtype, *, optimizer=None, limit=1e6, state=None, first_step=0, l2=0.1):
    """Take steps on batches of `size` of those rows."""
    objective = DenseObjective(Dense(events.inputs.shape[1]), loss_named(NAMES[1]), l2, dtype)
    rule = update_rule(optimizer or spec.AdamW(weight_decay=0.01), objective.weight_mask)
    steps = -(-len(rows) // size)
    recorded, on_path = (np.arange(first_step, first_step + steps) % k == 0 for k in (3, 2))
    theta = objective.initial(1)
    theta, memory = (theta, rule.initial_state(theta)) if state is None else state
    block = StepBlock(
        events, rows, size, np.full(steps, 0.05), first_step, recorded, on_path, limit
    )
    return objective.run_steps(block, rule, theta, memory, 0.0)


def sample(dtype, events=300, n=6):
    random = np.random.default_rng(0)
    X = random.normal(size=(events, n))
    return Batch.of(X, (X[:, 0] > 0) * 1.0, random.normal(1.0, 0.5, events), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 3, 64, 150])
def test_the_bits_do_not_depend_on_where_steps_are_cut(dtype, size):
    events, rows = sample(dtype), np.random.default_rng(1).integers(0, 300, 450)
    whole = run(events, rows, size, dtype)
    state, pieces = None, []
    for part in np.split(rows, [size, 2 * size]):
        first_step = sum(piece.taken for piece in pieces)
        pieces.append(run(events, part, size, dtype, state=state, first_step=first_step))
        state = pieces[-1].theta, pieces[-1].optimizer_state
    assert pieces[-1].theta.tobytes() == whole.theta.tobytes()
    for one, two in zip(pieces[-1].optimizer_state, whole.optimizer_state, strict=True):
        assert one.tobytes() == two.tobytes()
    for name in ("values", "path"):
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        assert joined.tobytes() == getattr(whole, name).tobytes()
    total = sum(piece.loss_sum for piece in pieces)
    assert total == pytest.approx(whole.loss_sum, rel=1e-12)


@pytest.mark.parametrize("size", [1, 50])
def test_rows_are_those_events_in_their_order(size):
    events, rows = sample("float32"), np.random.default_rng(1).permutation(300)
    by_rows = run(events, rows, size, "float32")
    taken = events.take(rows)
    assert run(taken, np.arange(300), size, "float32").theta.tobytes() == by_rows.theta.tobytes()


@pytest.mark.parametrize("size", [1, 10])
def test_a_loss_above_the_limit_ends_the_steps_before_its_own(size):
    events = sample("float64")
    events.inputs[205, 0] = 1e9
    events.targets[205] = 0.5
    done = run(events, np.arange(300), size, "float64", optimizer=spec.SGD(), limit=1e4)
    assert done.taken == 205 // size
    expected = run(events, np.arange(205 // size * size), size, "float64", optimizer=spec.SGD())
    assert done.theta.tobytes() == expected.theta.tobytes()
    assert done.values.tobytes() == expected.values.tobytes()
    assert np.isfinite(done.loss_sum)
