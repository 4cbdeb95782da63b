"""Compiled steps and gradients, against the same in NumPy, step by step."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, descend
from steepest.errors import DivergenceError
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, SupportsStepBlocks
from steepest.optimizers import update_rule
from steepest.storage import DiskArray

LOSSES = {"mean-squared-error": 1, "binary-cross-entropy": 1, "cross-entropy": 3}
OPTIMIZERS = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]
TOLERANCES = {"float32": 2e-4, "float64": 1e-10}


class Plain:
    """A dense objective that can take one step at a time only: the NumPy twin."""

    def __init__(self, objective: DenseObjective) -> None:
        self.objective = objective
        self.size, self.dtype = objective.size, objective.dtype
        self.initial, self.loss = objective.initial, objective.loss
        self.loss_and_gradient = objective.loss_and_gradient


def problem(loss, hidden=(), activation="relu", *, events=90, weighted=True, l2=0.0,
            dtype="float64", features=5, seed=0):  # fmt: skip
    random, outputs = np.random.default_rng(seed), LOSSES[loss]
    shape = Dense(features, hidden, outputs, activation, "glorot-uniform")
    objective = DenseObjective(shape, loss_named(loss), l2, dtype)
    X = random.normal(size=(events, features))
    y = random.integers(0, 3 if outputs == 3 else 2, events)
    y = y if outputs == 3 else y.astype(float)
    weights = random.normal(1.0, 0.8, events) if weighted else None
    return objective, Batch.of(X, y, weights, dtype)


def descended(objective, events, size, optimizer="adam", epochs=2, rate=0.01, **options):
    recipe = spec.DescentRecipe.model_validate({"optimizer": optimizer})
    rule = update_rule(recipe.optimizer, getattr(objective, "objective", objective).weight_mask)
    plan = Plan(len(events), size, rule, rate, spec.Cosine(), epochs, seed=3, **options)
    keeper = MemoryCheckpointer()
    outcome = descend(objective, events, plan, keeper)
    return outcome, pa.concat_tables(keeper.history).drop(["seconds", "events_per_second"])


def assert_same(one, two, dtype):
    assert one[0].step == two[0].step
    tolerance = TOLERANCES[dtype]
    arrays, expected = one[0].state.arrays(), two[0].state.arrays()
    for name, values in expected.items():
        assert arrays[name].dtype == dtype
        np.testing.assert_allclose(arrays[name], values, rtol=0, atol=tolerance, err_msg=name)
    for name in one[1].column_names:
        found, wanted = (table[name].to_numpy() for table in (one[1], two[1]))
        np.testing.assert_allclose(found, wanted, rtol=20 * tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "activation", "dtype"),
    [
        ("binary-cross-entropy", "relu", "float64"),
        ("binary-cross-entropy", "relu", "float32"),
        ("cross-entropy", "gelu", "float64"),
        ("cross-entropy", "tanh", "float32"),
        ("mean-squared-error", "sigmoid", "float64"),
        ("mean-squared-error", "tanh", "float64"),
    ],
)
def test_networks(loss, activation, dtype):
    objective, events = problem(loss, (17, 6), activation, l2=0.1, dtype=dtype)
    compiled, plain = (descended(each, events, 16) for each in (objective, Plain(objective)))
    assert_same(compiled, plain, dtype)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rules_of_networks(optimizer):
    objective, events = problem("binary-cross-entropy", (6,), l2=0.1)
    for size in (1, 16, 90):
        results = (
            descended(each, events, size, optimizer) for each in (objective, Plain(objective))
        )
        assert_same(*results, dtype="float64")


@pytest.mark.parametrize(
    ("optimizer", "dtype"), [*((name, "float64") for name in OPTIMIZERS), ("adam", "float32")]
)
def test_rules_of_linear_models(optimizer, dtype):
    objective, events = problem("binary-cross-entropy", l2=0.1, dtype=dtype)
    for size in (1, 16, 90):
        results = (
            descended(each, events, size, optimizer) for each in (objective, Plain(objective))
        )
        assert_same(*results, dtype=dtype)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([*((name, "float64") for name in OPTIMIZERS), ("adam", "float32")]),
    features=st.integers(1, 20),
    events=st.integers(1, 300),
    weighted=st.booleans(),
    l2=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 999),
)
def test_single_events_by_any_rule(kind, features, events, weighted, l2, seed):
    optimizer, dtype = kind
    given = problem("binary-cross-entropy", events=events, weighted=weighted, l2=l2, dtype=dtype,
                    features=features, seed=seed)  # fmt: skip
    objective, batch = given
    results = (descended(each, batch, 1, optimizer, 1) for each in (objective, Plain(objective)))
    assert_same(*results, dtype=dtype)


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    hidden=st.lists(st.integers(1, 40), max_size=3).map(tuple),
    features=st.integers(1, 40),
    events=st.integers(1, 400),
    part=st.floats(0.01, 1.0),
    weighted=st.booleans(),
    l2=st.sampled_from([0.0, 0.3]),
    record_every=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
def test_shapes(loss, hidden, features, events, part, weighted, l2, record_every, seed):
    objective, sample = problem(loss, hidden, "tanh", events=events, weighted=weighted, l2=l2,
                                features=features, seed=seed)  # fmt: skip
    size = max(1, round(part * events))
    options = {"epochs": 1, "rate": 1e-3, "record_every": record_every}
    results = (
        descended(each, sample, size, "sgd", **options) for each in (objective, Plain(objective))
    )
    assert_same(*results, dtype="float64")


@pytest.mark.parametrize("hidden", [(), (6,)])
def test_events_on_disk_give_the_same_bits(hidden, tmp_path, monkeypatch):
    monkeypatch.setattr("steepest.descent.batches.CHUNK", 16)
    monkeypatch.setattr("steepest.descent.batches.WINDOW", 64)
    objective, events = problem("binary-cross-entropy", hidden, events=700)
    columns = []
    for array in (events.inputs, events.targets, events.weights):
        column = DiskArray(tmp_path, array.dtype, array.shape[1:])
        column.append(array)
        columns.append(column)
    for size in (1, 10, 100, 700):
        memory, disk = (descended(objective, each, size) for each in (events, Batch(*columns)))
        assert memory[0].theta.tobytes() == disk[0].theta.tobytes()
        assert memory[1].equals(disk[1])


@pytest.mark.parametrize("hidden", [(), (6,)])
@pytest.mark.parametrize("size", [1, 16])
def test_divergence_keeps_the_last_good_parameters(hidden, size):
    objective, events = problem("mean-squared-error", hidden)
    events.inputs[40] = 1e9  # one event that explodes when its turn comes
    ends = []
    for plain in (False, True):
        rule = update_rule(spec.SGD(), objective.weight_mask)
        plan = Plan(len(events), size, rule, 1e-3, spec.Constant(), 3, seed=1)
        keeper = MemoryCheckpointer()
        with pytest.raises(DivergenceError) as caught:
            descend(Limited(objective, plain), events, plan, keeper)
        assert keeper.state is not None
        ends.append((str(caught.value).splitlines()[0], keeper.state))
    assert ends[0][0] == ends[1][0]
    assert ends[0][1].step == ends[1][1].step
    np.testing.assert_allclose(ends[0][1].theta, ends[1][1].theta, rtol=0, atol=1e-12)


class Limited(DenseObjective):
    """Says that the start's loss is one, so that the event that explodes is above the limit."""

    def __init__(self, objective: DenseObjective, plain: bool) -> None:
        super().__init__(objective.model, objective.loss_function, objective.l2, objective.dtype)
        self.plain = plain

    def supports(self, events, batch_size):
        return not self.plain and super().supports(events, batch_size)

    def loss(self, theta, batch):
        return 1.0


def test_every_dense_objective_takes_stretches_of_its_own_dtype():
    objective, events = problem("binary-cross-entropy")
    assert isinstance(objective, SupportsStepBlocks)
    assert objective.supports(events, 10)
    assert not objective.supports(Batch(events.inputs.astype("float32"), events.targets), 10)
    assert not objective.supports(Batch(events.inputs[::2], events.targets[::2]), 10)
    assert not objective.supports(events, 10**6)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("hidden", [(), (5,)])
def test_gradients_of_big_samples(loss, hidden, monkeypatch):
    objective, events = problem(loss, hidden, "tanh", events=20_000, l2=0.2)
    theta = objective.initial(0) + 0.1
    plain = objective.loss_and_gradient(theta, events)
    monkeypatch.setattr("steepest.objective.dense.BLOCK", 1_000)
    monkeypatch.setattr("steepest.objective.dense.PIECE", 1_536)
    found = objective.loss_and_gradient(theta, events)
    assert found[0] == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(found[1], plain[1], rtol=1e-10, atol=1e-13)
    again = objective.loss_and_gradient(theta, events)
    assert again[0] == found[0]
    assert again[1].tobytes() == found[1].tobytes()


def test_float32_keeps_the_digits_of_float64_over_many_events():
    random = np.random.default_rng(0)
    X = random.normal(size=(600_000, 3)).astype("float32") + np.float32(1)
    y = (X[:, 0] > 1).astype("float32")
    theta = np.array([0.3, -0.2, 0.1, 0.05])
    results = []
    for dtype in ("float32", "float64"):
        objective = DenseObjective(Dense(3), loss_named("binary-cross-entropy"), 0.0, dtype)
        events = Batch(X.astype(dtype), y.astype(dtype))
        results.append(objective.loss_and_gradient(theta.astype(dtype), events))
    (loss, gradient), (exact_loss, exact) = results
    assert loss == pytest.approx(exact_loss, rel=1e-6)
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-6 * np.abs(exact).max())


def test_float32_keeps_1e_6_of_the_loss_and_the_gradient_at_ten_million_events():
    """Against float64 in plain NumPy; a sum in float32 alone is wrong in the fourth digit."""
    events, n, theta = 10_000_000, 2, np.array([0.3, -0.2, 0.05], dtype=np.float32)
    random = np.random.default_rng(0)
    X = random.standard_normal((events, n), dtype=np.float32) + np.float32(1)
    y = (X[:, 0] > 1).astype(np.float32)
    objective = DenseObjective(Dense(n), loss_named("binary-cross-entropy"), 0.0, "float32")
    loss, gradient = objective.loss_and_gradient(theta, Batch(X, y))
    exact_loss, exact, w = 0.0, np.zeros(n + 1), theta.astype(np.float64)
    for start in range(0, events, 500_000):
        rows, labels = X[start : start + 500_000].astype(np.float64), y[start : start + 500_000]
        z = rows @ w[:n] + w[n]
        tail = np.exp(-np.abs(z))
        exact_loss += np.sum(np.maximum(z, 0) - labels * z + np.log1p(tail)) / events
        slopes = np.where(z >= 0, 1, tail) / (1 + tail) - labels
        exact += np.append(slopes @ rows, slopes.sum()) / events
    assert loss == pytest.approx(exact_loss, rel=1e-6)
    assert objective.loss(theta, Batch(X, y)) == pytest.approx(exact_loss, rel=1e-6)
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-6 * np.abs(exact).max())
    ones = np.ones(events, dtype=np.float32)
    assert abs(float(np.cumsum(ones * np.float32(0.1), dtype=np.float32)[-1]) / 1e6 - 1) > 1e-4
