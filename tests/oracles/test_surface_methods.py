"""J of dense networks on surfaces: each method against float64, and its bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectives import DoubleWell, some_events
from steepest.compiled import threads
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, losses_of_chunks, losses_on_surface
from steepest.objective.surface import losses_one_by_one

ROUNDING = {"float32": 3e-6, "float64": 1e-12}


def problem(hidden=(9, 7), name="binary-cross-entropy", dtype="float32", events=300, **more):
    random = np.random.default_rng(more.get("seed", 0))
    model = Dense(5, hidden, more.get("outputs", 1), more.get("activation", "relu"))
    objective = DenseObjective(model, loss_named(name), more.get("l2", 0.0), dtype)
    X = random.normal(size=(events, 5)).astype(dtype)
    y = random.integers(0, max(model.outputs, 2), events)
    weights = random.normal(1.0, 0.8, events).astype(dtype) if more.get("weighted") else None
    batch = Batch(X, y if model.outputs > 1 else y.astype(dtype), weights)
    theta = 0.5 * random.normal(size=model.size)
    return objective, theta, 0.5 * random.normal(size=(more.get("k", 2), model.size)), batch


def lattice(*axes: np.ndarray) -> np.ndarray:
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


def truth(objective, theta, directions, points, batch) -> np.ndarray:
    """J in float64, of the same inputs."""
    wide = DenseObjective(objective.model, objective.loss_function, objective.l2)
    weights = None if batch.weights is None else batch.weights.astype(float)
    integers = batch.targets.dtype.kind == "i"
    targets = batch.targets if integers else batch.targets.astype(float)
    events = Batch(batch.inputs.astype(float), targets, weights)
    return losses_one_by_one(wide, theta, directions, points, events)


GRID = lattice(np.linspace(-1, 1, 5), np.linspace(-1.2, 0.9, 11))


@pytest.mark.parametrize(
    ("given", "points"),
    [
        ({"hidden": ()}, GRID[:3]),
        ({"hidden": (), "k": 1}, GRID[:, :1]),
        ({"hidden": (), "name": "mean-squared-error"}, GRID),
        ({"hidden": (), "outputs": 3, "name": "cross-entropy"}, GRID),
        ({}, GRID),
        ({"k": 1}, GRID[:11, 1:]),
        ({}, GRID[:7]),  # too few for a line
        ({"k": 3}, np.column_stack([GRID, GRID[:, 0]])),
        ({"outputs": 3, "name": "cross-entropy"}, GRID),
        ({"activation": "tanh"}, GRID),
        ({"hidden": (6,)}, GRID),
        ({"hidden": (6, 5, 4)}, GRID),
    ],
)
def test_each_method_gives_j(given, points):
    for dtype in ("float32", "float64"):
        for weighted in (False, True):
            objective, theta, directions, batch = problem(
                dtype=dtype, l2=0.01, weighted=weighted, **given
            )
            found = losses_on_surface(objective, theta, directions, points, batch)
            expected = truth(objective, theta, directions, points, batch)
            np.testing.assert_allclose(found, expected, rtol=ROUNDING[dtype])


@pytest.mark.parametrize("hidden", [
    (33,), *(pytest.param(wide, marks=pytest.mark.slow) for wide in ((64, 32, 96), (128, 64)))
])  # fmt: skip
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("name", ["mean-squared-error", "binary-cross-entropy"])
def test_any_activation_and_width(hidden, activation, name):
    for dtype, k, weighted in (("float32", 2, True), ("float32", 3, False), ("float64", 2, True)):
        objective, theta, directions, batch = problem(
            hidden, name, dtype, activation=activation, k=k, weighted=weighted
        )
        points = np.column_stack([GRID, GRID[:, 0]])[:, :k]
        found = losses_on_surface(objective, theta, directions, points, batch)
        expected = truth(objective, theta, directions, points, batch)
        np.testing.assert_allclose(found, expected, rtol=ROUNDING[dtype])


@pytest.mark.parametrize("events", [1, 7, 8, 9, 63, 64, 65, 255, 256, 257])
@pytest.mark.parametrize("hidden", [(), (9, 7), (6,)])
def test_any_number_of_events(events, hidden):
    for name in ("mean-squared-error", "binary-cross-entropy"):
        objective, theta, directions, batch = problem(hidden, name, "float64", events)
        found = losses_on_surface(objective, theta, directions, GRID, batch)
        expected = truth(objective, theta, directions, GRID, batch)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        chunks = losses_of_chunks(objective, theta, directions, GRID, batch, 1000)
        np.testing.assert_allclose(chunks[0], expected, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    first=st.sampled_from([1, 5, 64, 70, 130]),
    second=st.sampled_from([1, 16, 17, 80]),
    shape=st.sampled_from([(1, 9), (3, 8), (12, 4), (17, 17)]),
    even=st.booleans(),
    shuffled=st.booleans(),
    centre=st.sampled_from([0.0, 3.0]),
    name=st.sampled_from(["mean-squared-error", "binary-cross-entropy"]),
    weighted=st.booleans(),
    events=st.sampled_from([1, 63, 64, 130, 257]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_lines_of_relu_networks_are_j(
    first, second, shape, even, shuffled, centre, name, weighted, events, dtype, seed
):
    random = np.random.default_rng(seed)
    objective, theta, directions, batch = problem(
        (first, second), name, dtype, events, weighted=weighted, seed=seed
    )
    if even:
        points = lattice(*(np.linspace(-1, 1, n) for n in shape)) + centre
    else:
        points = lattice(*(np.sort(random.uniform(-1, 1, n)) for n in shape)) + centre
    points = random.permutation(points) if shuffled else points
    found = losses_on_surface(objective, theta, directions, points, batch)
    expected = truth(objective, theta, directions, points, batch)
    scale = np.abs(expected).max() * (1 + centre)
    least = 10 * np.finfo(dtype).tiny  # below it float32 has no digits
    np.testing.assert_allclose(found, expected, rtol=0, atol=10 * ROUNDING[dtype] * scale + least)


@pytest.mark.parametrize("extent", [1e3, 1e5, 1e9])
def test_lines_that_reach_far_have_the_true_loss_in_their_middle(extent: float):
    objective, theta, directions, batch = problem()
    axis = np.linspace(-extent, extent, 21)
    points = lattice(axis, axis)
    middle = np.flatnonzero(~points.any(axis=1))
    found = losses_on_surface(objective, theta, directions, points, batch)[middle]
    expected = truth(objective, theta, directions, points[middle], batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_units_that_switch_exactly_at_a_point_or_nowhere():
    """Zero weights, and units that switch exactly at grid points."""
    model = Dense(1, (4, 2))
    objective = DenseObjective(model, loss_named("mean-squared-error"))
    theta, direction = np.zeros(model.size), np.zeros((2, model.size))
    model.layers(theta)[0].biases[:] = [-1, 1, 0, 0]
    model.layers(direction[0])[0].biases[:] = [1, -1, 0, 1]
    for layer in model.layers(theta)[1:]:
        layer.weights[...] = 1.0
    points = lattice(np.arange(-2.0, 7.0), np.arange(3.0))
    batch = Batch(np.ones((3, 1)), np.zeros(3))
    found = losses_on_surface(objective, theta, direction, points, batch)
    np.testing.assert_allclose(found, truth(objective, theta, direction, points, batch), rtol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_events_that_are_no_numbers_are_seen_at_each_point(bad: float):
    for hidden in ((), (9, 7)):
        objective, theta, directions, batch = problem(hidden)
        batch.inputs[280, 2] = bad
        chunks = losses_of_chunks(objective, theta, directions, GRID, batch, 256)
        assert np.isfinite(chunks[0]).all()
        one_by_one = losses_one_by_one(objective, theta, directions, GRID, batch)
        np.testing.assert_array_equal(np.isfinite(chunks[1]), np.isfinite(one_by_one))
        assert not np.isfinite(one_by_one).any()


@pytest.mark.parametrize(
    ("hidden", "activation"), [((), "relu"), ((9, 7), "relu"), ((32, 32), "tanh")]
)
@pytest.mark.parametrize("name", ["mean-squared-error", "binary-cross-entropy"])
def test_where_the_grid_overflows_it_does_so_point_by_point(hidden, activation, name):
    objective, theta, directions, batch = problem(hidden, name, activation=activation)
    points = np.concatenate([GRID, GRID * 1e13, GRID * 1e20, GRID * 1e39])
    found = losses_on_surface(objective, theta, directions, points, batch)
    expected = losses_one_by_one(objective, theta, directions, points, batch)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    known = np.isfinite(expected)
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-4)
    assert known[: len(GRID)].all()
    assert not known.all()


def test_parameters_that_are_no_numbers():
    objective, theta, directions, batch = problem()
    theta[-1] = np.nan
    assert np.isnan(losses_on_surface(objective, theta, directions, GRID, batch)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_logits_are_exact(dtype: str):
    objective, theta, directions, batch = problem((), dtype=dtype)
    for far in (1e3, 1e6, 1e30):
        expected = truth(objective, far * theta, far * directions, GRID, batch)
        found = losses_on_surface(objective, far * theta, far * directions, GRID, batch)
        np.testing.assert_allclose(found, expected, rtol=ROUNDING[dtype])


def test_a_perfect_fit_has_no_loss():
    objective, theta, directions, batch = problem((), "mean-squared-error", "float64")
    targets = batch.inputs @ theta[:5] + theta[5]
    (loss,) = losses_on_surface(
        objective, theta, directions, np.zeros((1, 2)), Batch(batch.inputs, targets)
    )
    assert 0 <= loss < 1e-28


NETWORKS = [
    {"hidden": ()},
    {"hidden": (), "name": "mean-squared-error"},
    {"hidden": (), "outputs": 3, "name": "cross-entropy"},
    {},
    {"activation": "tanh"},
    {"activation": "tanh", "hidden": (32, 64)},
]


@pytest.mark.parametrize("given", NETWORKS)
@pytest.mark.parametrize(("weighted", "cores"), [(False, 1), (True, 3)])
def test_a_chunk_has_the_same_bits_whatever_else_is_computed(given, weighted, cores, monkeypatch):
    objective, theta, directions, batch = problem(events=1100, weighted=weighted, **given)
    place = objective, theta, directions, GRID
    together = losses_of_chunks(*place, batch, 64)
    assert together.shape == (18, len(GRID))
    for start in (0, 64 * 9, 64 * 17):
        alone = losses_of_chunks(*place, batch.take(slice(start, start + 64)), 64)
        assert alone[0].tobytes() == together[start // 64].tobytes()
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    assert losses_of_chunks(*place, batch, 64).tobytes() == together.tobytes()
    whole = losses_on_surface(*place, batch)
    counts = np.minimum(64, 1100 - 64 * np.arange(18))
    np.testing.assert_allclose(counts @ together / 1100, whole, rtol=2e-6)


def test_chunks_of_an_objective_with_nothing_but_the_contract():
    events, points = some_events(700), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = losses_of_chunks(DoubleWell(), np.zeros(3), np.eye(3)[:2], points, events, 256)
    expected = [
        losses_on_surface(
            DoubleWell(), np.zeros(3), np.eye(3)[:2], points, events.take(slice(a, b))
        )
        for a, b in ((0, 256), (256, 512), (512, 700))
    ]
    np.testing.assert_array_equal(found, expected)
