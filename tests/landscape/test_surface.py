"""Surfaces: J where it is options for, resumed bit for bit, and as accurate as they say."""

from __future__ import annotations

import numpy as np
import pytest

from objectives import DoubleWell, WithACliff, some_events
from steepest.errors import InputError
from steepest.landscape.directions import (
    Directions,
    Grid,
    Mark,
    automatic_extent,
    grid_of,
    refuse_too_large,
)
from steepest.landscape.surface import (
    CHUNK,
    LEAST_CHUNKS,
    Anchors,
    drawn_events,
    evaluate,
    losses_at,
)
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective

SLICE = Directions.spanned("random", np.zeros(3), np.eye(3)[:2], ("x", "y"))


def network(count: int = 5000, weighted: bool = True) -> tuple[DenseObjective, Directions, Batch]:
    random = np.random.default_rng(0)
    model = Dense(6, (12, 8))
    objective = DenseObjective(model, loss_named("binary-cross-entropy"), 1e-3, "float32")
    X = random.normal(size=(count, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + random.normal(size=count) > 0).astype(np.float32)
    w = random.normal(1.0, 0.5, count) if weighted else None
    events = Batch.of(X, y, w, "float32")
    theta = model.initial(1)
    directions = Directions.spanned(
        "random", theta, random.normal(size=(2, model.size)) * 0.3, ("a", "b")
    )
    return objective, directions, events


def test_a_surface_is_j_at_its_points():
    grid = grid_of(SLICE, (-1.5, 1.5, -1, 1), 7)
    surface, _ = evaluate(DoubleWell(), SLICE, grid, some_events(), 2000)
    x, y = np.meshgrid(*grid.axes, indexing="ij")
    np.testing.assert_allclose(surface.losses, (x**2 - 1) ** 2 + y**2 / 2, rtol=1e-12)
    assert surface.complete
    assert (surface.standard_errors == 0).all()  # all events were taken


def test_all_events_give_the_loss_of_the_sample():
    objective, directions, events = network()
    grid = grid_of(directions, (-1, 1, -1, 1), 5)
    taken = drawn_events(events, None, 0)
    surface, _ = evaluate(objective, directions, grid, taken, len(events))
    wide = DenseObjective(objective.model, objective.loss_function, objective.l2)
    double = Batch(events.inputs.astype(float), events.targets, events.weights)
    wanted = [wide.loss(theta, double) for theta in directions.theta_at(grid.points())]
    np.testing.assert_allclose(surface.losses.ravel(), wanted, rtol=1e-5)


def test_what_was_interrupted_goes_on_with_the_same_bits():
    objective, directions, events = network()
    grid = grid_of(directions, (-1, 1, -1, 1), 4)
    whole, _ = evaluate(objective, directions, grid, events, len(events))
    looks = iter(range(100))
    part, sums = evaluate(
        objective, directions, grid, events, len(events), interrupted=lambda: next(looks) == 3
    )
    assert not part.complete
    assert part.events == 3 * CHUNK
    rest, _ = evaluate(objective, directions, grid, events, len(events), sums=sums)
    assert rest.losses.tobytes() == whole.losses.tobytes()
    assert part.standard_errors.max() > 0


def test_nothing_done_is_a_surface_of_nothing():
    objective, directions, events = network(600)
    grid = grid_of(directions, (-1, 1, -1, 1), 3)
    surface, sums = evaluate(objective, directions, grid, events, 600, interrupted=lambda: True)
    assert np.isnan(surface.losses).all()
    assert sums.events == 0


def test_what_is_to_come_is_told():
    objective, directions, events = network(40_000)
    grid = grid_of(directions, (-0.5, 0.5, -0.5, 0.5), 3)
    told: list[tuple[int, int]] = []
    surface, _ = evaluate(
        objective, directions, grid, events, 40_000, standard_error=0.004,
        progress=lambda sums, target: told.append((sums.events, target)),
    )  # fmt: skip
    assert [done for done, _ in told] == list(range(CHUNK, surface.events + 1, CHUNK))
    assert LEAST_CHUNKS * CHUNK < surface.events < 40_000
    assert told[0][1] == 40_000  # not known yet
    assert told[-1][1] == pytest.approx(surface.events, rel=0.1)


def test_more_events_begin_with_the_same_ones():
    events = network()[2]
    few, many = drawn_events(events, 700, 5), drawn_events(events, 3000, 5)
    np.testing.assert_array_equal(few.inputs, many.inputs[:700])
    assert few.weights is not None
    np.testing.assert_array_equal(few.weights, many.weights[:700])
    assert len(drawn_events(events, None, 5)) == len(events)


@pytest.mark.parametrize("anchored", [False, True])
def test_the_standard_error_is_that_of_events_drawn_again(anchored: bool):
    """Over many orders of the events, true errors scatter as the standard errors say."""
    objective, directions, events = network(20_000, weighted=False)
    grid = grid_of(directions, (-1, 1, -1, 1), 5)
    anchors = Anchors.of(objective, directions, grid, events) if anchored else None
    truth, _ = evaluate(objective, directions, grid, events, len(events))
    pulls, errors = [], []
    for seed in range(40):
        taken = drawn_events(events, 40 * CHUNK, seed)
        surface, _ = evaluate(objective, directions, grid, taken, len(events), anchors=anchors)
        others = np.ones(25, dtype=bool)
        others[anchors.rows if anchors else []] = False
        error = (surface.losses - truth.losses).ravel()[others]
        pulls.append(error / surface.standard_errors.ravel()[others])
        errors.append(error)
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.25
    assert np.sqrt(np.mean(np.square(errors))) < (0.0025 if anchored else 0.02)


def test_anchors_are_exact_and_make_all_else_more_accurate():
    objective, directions, events = network(20_000)
    grid = grid_of(directions, (-1, 1, -1, 1), 9)
    anchors = Anchors.of(objective, directions, grid, events)
    assert len(anchors.rows) == 9
    taken = drawn_events(events, 40 * CHUNK, 1)
    plain, _ = evaluate(objective, directions, grid, taken, len(events))
    better, _ = evaluate(objective, directions, grid, taken, len(events), anchors=anchors)
    np.testing.assert_allclose(better.losses.ravel()[anchors.rows], anchors.losses, rtol=1e-6)
    assert better.standard_errors.mean() < plain.standard_errors.mean() / 3


def test_single_points_are_estimated_as_the_surface_is():
    objective, directions, events = network(20_000)
    grid = grid_of(directions, (-1, 1, -1, 1), 5)
    anchors = Anchors.of(objective, directions, grid, events)
    taken = drawn_events(events, 32 * CHUNK, 2)
    surface, _ = evaluate(objective, directions, grid, taken, len(events), anchors=anchors)
    thetas = directions.theta_at(grid.points())
    losses = losses_at(objective, thetas, taken, anchors)
    np.testing.assert_allclose(losses, surface.losses.ravel(), rtol=1e-5)
    np.testing.assert_allclose(
        losses_at(objective, thetas[:2], events, Anchors()),
        [objective.loss(theta.astype("f4"), events) for theta in thetas[:2]],
    )
    truth = [objective.loss(theta.astype("f4"), events) for theta in thetas]
    many = losses_at(objective, thetas, drawn_events(events, 17_000, 2), anchors)
    np.testing.assert_allclose(many, truth, rtol=0.01)


def test_an_anchor_that_is_not_finite_is_none():
    grid = grid_of(SLICE, (-2, 2, -1, 1), 9)
    events = some_events(20_000, spread=0.5)
    anchors = Anchors.of(WithACliff(), SLICE, grid, events)
    assert len(anchors.rows) == 6
    taken = drawn_events(events, 10_000, 0)
    surface, _ = evaluate(WithACliff(), SLICE, grid, taken, len(events), anchors=anchors)
    assert np.isfinite(surface.losses[grid.axes[0] <= 1.5]).all()
    assert not np.isfinite(surface.losses[grid.axes[0] > 1.5]).any()
    x, y = np.meshgrid(*grid.axes, indexing="ij")
    truth = (x**2 - 1) ** 2 + y**2 / 2  # all points have the same error: the anchors tell it
    known = x <= 1.5
    np.testing.assert_allclose(surface.losses[known], truth[known], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("wanted", [0.02, 0.01])
@pytest.mark.parametrize("anchored", [False, True])
def test_the_true_error_is_within_the_stated_one(wanted: float, anchored: bool):
    objective, directions, events = network(60_000)
    grid = grid_of(directions, (-1, 1, -1, 1), 5)
    anchors = Anchors.of(objective, directions, grid, events) if anchored else None
    truth, _ = evaluate(objective, directions, grid, events, len(events))
    relative = []
    for seed in range(5):
        taken = drawn_events(events, None, seed)
        surface, _ = evaluate(
            objective, directions, grid, taken, len(events),
            anchors=anchors, standard_error=wanted,
        )  # fmt: skip
        assert surface.complete
        assert surface.events < len(events)
        assert surface.largest_relative_error() <= wanted
        relative.append((surface.losses - truth.losses) / truth.losses)
    assert np.sqrt(np.mean(np.square(relative))) <= wanted
    assert np.abs(relative).max() <= 3 * wanted


def test_where_all_events_do_not_suffice_all_are_taken():
    objective, directions, events = network(1200)
    grid = grid_of(directions, (-1, 1, -1, 1), 3)
    surface, _ = evaluate(objective, directions, grid, events, 1200, standard_error=1e-6)
    assert surface.events == 1200
    assert surface.complete
    assert surface.largest_relative_error() == 0


def test_a_single_chunk_has_no_standard_error():
    objective, directions, events = network()
    grid = grid_of(directions, (-1, 1, -1, 1), 3)
    surface, _ = evaluate(objective, directions, grid, events.take(slice(0, 100)), len(events))
    assert np.isnan(surface.standard_errors).all()
    assert surface.largest_relative_error() == np.inf


def test_what_is_not_finite_stays_so_and_nothing_else_does():
    grid = grid_of(SLICE, (-2, 2, -1, 1), 9)
    surface, _ = evaluate(WithACliff(), SLICE, grid, some_events(), 2000)
    for row, x in zip(surface.losses, grid.axes[0], strict=True):
        assert np.isfinite(row).all() if x <= 1.5 else np.isinf(row).all()
    place, lowest = surface.lowest()
    np.testing.assert_allclose(np.abs(place), [1, 0])
    assert lowest == 0


def test_a_surface_without_a_finite_point():
    grid = Grid((np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0, 2.0])))
    surface, _ = evaluate(WithACliff(), SLICE, grid, some_events(1000), 2000, standard_error=0.1)
    place, lowest = surface.lowest()
    assert np.isnan(place).all()
    assert np.isnan(lowest)


# --- grids --------------------------------------------------------------------------------------


def test_a_grid_holds_what_lies_within_it():
    grid = grid_of(SLICE, (2.0,), 5)
    assert grid.shape == (5, 5)
    assert grid.size == 25
    np.testing.assert_array_equal(grid.holds(np.array([[0, 0], [2, -2], [2.1, 0]])), [1, 1, 0])


def test_offset_directions_have_their_own_values_as_extent():
    by_name = Directions(
        "parameters", np.zeros(3), np.eye(3)[:2], ("x", "y"), np.array([5.0, -2.0]), np.eye(3)[:2]
    )
    grid = grid_of(by_name, (1.0,), 3)
    np.testing.assert_allclose(grid.axes, [[4, 5, 6], [-3, -2, -1]])
    surface, _ = evaluate(DoubleWell(), by_name, grid, some_events(), 2000)
    assert surface.losses[1, 1] == pytest.approx(1.0)  # θ₀ = 0, the saddle


@pytest.mark.parametrize("extent", [(-1.0,), (1, 1, 2, 3), (0, 1), (0, np.inf, 0, 1), ()])
def test_extents_that_are_none(extent):
    with pytest.raises(InputError, match="The extent"):
        grid_of(SLICE, extent, 5)


def test_two_points_make_no_picture():
    with pytest.raises(InputError, match="are too few"):
        grid_of(SLICE, (1.0,), 2)


@pytest.mark.parametrize(
    ("extent", "said"),
    [
        ((-1.0,), "the half width -1, which is not above zero"),
        ((np.nan,), "a number that is not finite"),
        ((0, 1, 2), "3 numbers for 2 axes"),
        ((0, 1, 3, 2), "a low end 3 that is not below the high end 2"),
    ],
)
def test_extents_say_what_is_wrong_with_them(extent, said: str):
    with pytest.raises(InputError) as raised:
        grid_of(SLICE, extent, 5)
    assert f"found:    {said}" in str(raised.value)


def test_the_automatic_extent_shows_path_and_marks():
    directions = Directions.spanned(
        "through", np.zeros(3), np.eye(3)[:2], ("x", "y"), (Mark("b", (4.0, 0.0)),)
    )
    path = np.array([[0.0, 3.0], [-1.0, 1.0]])
    assert automatic_extent(directions, path) == pytest.approx((-2, 5, -0.6, 3.6))
    assert automatic_extent(directions, None) == pytest.approx(
        (-0.8, 4.8, -1, 1)
    )  # flat: room around


def test_too_much_for_memory_is_refused_with_an_offer():
    with pytest.raises(InputError) as raised:
        refuse_too_large(51, 2, 10**9, 120, 2**30)
    assert "--events" in str(raised.value)
    assert "--points" not in str(raised.value)
    offered = int(str(raised.value).split("--events ")[1])
    refuse_too_large(51, 2, offered, 120, 2**30)
