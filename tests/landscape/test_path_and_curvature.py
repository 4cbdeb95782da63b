"""The path beside its surface, and what is said of minima, saddles and barriers."""

from __future__ import annotations

import numpy as np
import pytest

from objectives import DoubleWell, WithACliff, some_events
from steepest.landscape.directions import Directions, Grid, grid_of
from steepest.landscape.input import PathPoints
from steepest.landscape.path_projection import projected_path
from steepest.landscape.stationary import (
    all_named,
    barrier,
    measured,
    named,
    slice_points,
    stationary,
)
from steepest.landscape.surface import Surface, evaluate

SLICE = Directions.spanned("random", np.zeros(3), np.diag([1.0, 2.0, 0.0])[:2], ("x", "y"))
EVENTS = some_events()


def surface_of(objective, directions, extent, points: int) -> Surface:
    grid = grid_of(directions, extent, points)
    return evaluate(objective, directions, grid, EVENTS, len(EVENTS))[0]


def test_true_losses_stand_beside_those_of_the_surface():
    thetas = np.array([[0.2, 1.0, 3.0], [0.5, 0.4, 1.0], [1.0, 0.0, 0.0]])
    path = projected_path(DoubleWell(), SLICE, PathPoints(np.array([0, 5, 9]), thetas, 2), EVENTS)
    np.testing.assert_allclose(path.coordinates, thetas[:, :2] / [1, 2])
    np.testing.assert_allclose(path.distances, [3, 1, 0], atol=1e-12)
    np.testing.assert_allclose(path.gaps, [4.5, 0.5, 0], atol=1e-12)
    flat = np.linalg.norm(np.diff(thetas[:, :2], axis=0), axis=1).sum()
    full = np.linalg.norm(np.diff(thetas, axis=0), axis=1).sum()
    assert path.length == pytest.approx(flat / full)
    assert path.variance == pytest.approx((thetas[:, :2] ** 2).sum() / (thetas**2).sum())
    said = path.to_json()
    assert said["largest_gap"]["step"] == 0
    assert said["largest_gap"]["loss"] - said["largest_gap"]["surface_loss"] == pytest.approx(4.5)
    assert said["left_out"] == 2


def test_shares_are_those_of_the_plane_itself_where_coordinates_are_oblique():
    oblique = Directions(
        "parameters", np.zeros(3), np.array([[1.0, 0, 0], [1.0, 1, 0]]), ("x", "y"), np.zeros(2),
        np.array([[1.0, -1, 5], [0, 1, 7]]),
    )  # fmt: skip
    thetas = np.array([[1.0, 2.0, 2.0], [0, 0, 0]])
    path = projected_path(DoubleWell(), oblique, PathPoints(np.arange(2), thetas), EVENTS)
    assert path.variance == pytest.approx(5 / 9)
    assert path.length == pytest.approx(np.sqrt(5) / 3)


def test_a_path_where_nothing_is_finite_has_no_gap():
    thetas = np.array([[2.0, 0, 0], [3.0, 0, 0]])
    path = projected_path(WithACliff(), SLICE, PathPoints(np.arange(2), thetas), EVENTS)
    assert path.to_json()["largest_gap"] is None
    assert path.to_json()["median_gap"] is None


def test_both_minima_and_the_saddle_are_found_refined_and_named():
    surface = surface_of(DoubleWell(), SLICE, (-1.8, 1.9, -0.9, 1.0), 21)  # none on the grid
    points = slice_points(DoubleWell(), SLICE, surface, EVENTS)
    points = all_named(points, SLICE, surface)
    assert [point.kind for point in points] == ["minimum", "minimum", "saddle"]
    np.testing.assert_allclose(sorted(p.coordinates[0] for p in points), [-1, 0, 1], atol=1e-6)
    np.testing.assert_allclose([p.loss for p in points], [0, 0, 1], atol=1e-9)
    # per unit length in θ, although the second direction is of length two
    np.testing.assert_allclose(points[0].curvatures, [1, 8], rtol=1e-5)
    np.testing.assert_allclose(points[2].curvatures, [-4, 1], rtol=1e-5)
    assert points[0].gradient < 1e-6


def test_a_line_has_minima_and_a_maximum():
    line = Directions.spanned("random", np.zeros(3), np.eye(3)[:1], ("x",))
    surface = surface_of(DoubleWell(), line, (-1.7, 1.8), 31)
    points = all_named(slice_points(DoubleWell(), line, surface, EVENTS), line, surface)
    assert [point.kind for point in points] == ["minimum", "minimum", "maximum"]


def test_a_valley_that_runs_askew_has_one_minimum():
    """On the grid it has a lowest point in many rows."""
    x, y = np.eye(3)[0], np.eye(3)[1]
    askew = Directions.spanned(
        "random", np.array([1.0, 0, 0]), np.array([x + 0.02 * y, 20 * x - y]), ("a", "b")
    )
    surface = surface_of(DoubleWell(), askew, (-0.4, 0.4, -0.03, 0.03), 15)
    points = all_named(slice_points(DoubleWell(), askew, surface, EVENTS), askew, surface)
    assert [p.kind for p in points if p.kind != "slope"] == ["minimum"]


def test_a_valley_that_leads_off_the_grid_has_no_minimum():
    """Each row's lowest point has the curvatures of a minimum, and J falls on along the valley."""
    x, y = np.eye(3)[0], np.eye(3)[1]
    theta = np.array([1.0, 0.2, 0])  # y = 0 lies beyond the grid
    askew = Directions.spanned("random", theta, np.array([x + 0.02 * y, 20 * x - y]), ("a", "b"))
    surface = surface_of(DoubleWell(), askew, (-0.4, 0.4, -0.03, 0.03), 15)
    assert stationary(surface)
    points = all_named(slice_points(DoubleWell(), askew, surface, EVENTS), askew, surface)
    assert {point.kind for point in points} <= {"slope"}


def test_no_point_beside_a_cliff_and_none_on_a_plateau():
    surface = surface_of(WithACliff(), SLICE, (1.3, 1.7, -1, 1), 9)
    assert stationary(surface) == []
    flat = Surface(surface.grid, np.ones((9, 9)), np.zeros((9, 9)), 1, 1, 1, True)
    assert stationary(flat) == []


def test_the_slope_of_a_hill_is_a_slope():
    surface = surface_of(DoubleWell(), SLICE, (-1.8, 1.9, -0.9, 1.0), 21)
    here = measured(DoubleWell(), SLICE, np.array([1.4, 0.0]), EVENTS)
    assert here is not None
    (point,) = all_named([here], SLICE, surface)
    assert point.kind == "slope"
    assert point.gradient == pytest.approx(4 * 1.4 * (1.4**2 - 1))
    assert measured(WithACliff(), SLICE, np.array([2.0, 0.0]), EVENTS) is None
    assert all_named([], SLICE, surface) == []


@pytest.mark.parametrize(
    ("curvatures", "name"),
    [
        ((0.001, 0.002), "plateau"),
        ((0.5, 1), "minimum"),
        ((0.0, 1), "valley"),
        ((-1, 1), "saddle"),
        ((-1, 0), "ridge"),
        ((-1, -0.5), "maximum"),
        ((1.0,), "minimum"),
        ((-1.0,), "maximum"),
    ],
)
def test_names(curvatures, name: str):
    assert named(np.array(curvatures, dtype=float), scale=1.0) == name


def test_barriers():
    t = np.linspace(0, 1, 101)
    rise = barrier(1 + t + np.sin(np.pi * t))
    assert rise["height"] == pytest.approx(1)
    assert rise["at"] == pytest.approx(0.5)
    assert barrier(1 + t**2)["height"] == 0  # lies below the straight line
    assert barrier(np.array([1.0, np.inf, 1.0]))["height"] == np.inf


def test_two_wells_have_a_barrier_of_one():
    line = Directions.spanned("through", np.array([-1.0, 0, 0]), np.array([[2.0, 0, 0]]), ("t",))
    grid = Grid((np.linspace(0, 1, 41),))
    surface = evaluate(DoubleWell(), line, grid, EVENTS, len(EVENTS))[0]
    assert barrier(surface.losses) == {"height": 1.0, "at": 0.5, "loss": 1.0}
