"""A landscape asks nothing of an objective but its contract."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from objectives import DoubleWell, WithACliff, some_events
from steepest.errors import InputError
from steepest.folder import LandscapeFolder
from steepest.landscape import Landscape, LandscapeOptions, landscape_of_input
from steepest.landscape.input import LandscapeInput, PathPoints
from steepest.training import TrainingCallback


def subject_of(objective: DoubleWell) -> LandscapeInput:
    """Gradient descent on the double well at η = 0.1, as a run leaves it."""
    events, theta, thetas = some_events(3000), objective.initial(0), []
    for _ in range(200):
        thetas.append(theta)
        theta = theta - 0.1 * objective.loss_and_gradient(theta, events)[1]
    return LandscapeInput(
        objective=objective,
        events=events,
        theta=thetas[-1],
        path=PathPoints(np.arange(200), np.array(thetas)),
        kept_step=199,
        learning_rate=0.1,
        optimizer="sgd",
        name="well",
    )


def drawn(folder: Path, kind: str, objective: DoubleWell | None = None, **options) -> Landscape:
    source = subject_of(objective or DoubleWell())
    wish = LandscapeOptions(directions=kind, **({"points": 15} | options)).resolved(source, "well")
    return landscape_of_input(source, wish, LandscapeFolder(folder, kind), TrainingCallback())


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        ("random", False),
        ("principal", True),
        ("hessian", False),
        pytest.param("random", True, marks=pytest.mark.slow),
        pytest.param("hessian", True, marks=pytest.mark.slow),
    ],
)
def test_every_direction_that_needs_no_names(tmp_path: Path, kind: str, figures: bool):
    landscape = drawn(tmp_path, kind, extent=(3.0,), standard_error=0.05)
    numbers = json.loads((landscape.where / "landscape.json").read_text(encoding="utf-8"))
    end = numbers["end"]
    assert end["loss"] == pytest.approx(0, abs=1e-9)
    assert end["sharpness"] == pytest.approx(8)
    assert end["lowest_curvatures"][0]["value"] == pytest.approx(1)
    assert end["sharpness_over_bound"] == pytest.approx(0.4)
    assert end["in_the_slice"]["kind"] == "minimum"
    assert {"minimum"} <= {point["kind"] for point in numbers["points"]}
    assert landscape.path is not None
    assert landscape.path.losses[0] == pytest.approx(0.9216 + 0.5 + 0.125)
    if figures:
        landscape.write_figures()


def test_both_wells_lie_on_the_stiffest_line(tmp_path: Path):
    landscape = drawn(tmp_path, "hessian", dimensions=1, points=41, extent=(-3.0, 3.0))
    kinds = [(p["kind"], round(abs(p["loss"]), 6)) for p in landscape.numbers["points"]]
    assert kinds == [("minimum", 0.0), ("minimum", 0.0), ("maximum", 1.0)]


def test_what_is_not_finite_is_counted(tmp_path: Path):
    landscape = drawn(tmp_path, "hessian", WithACliff(), extent=(1.0,))
    beyond = np.abs(landscape.axes[0]) > 0.5  # one side of it, whichever way the vector points
    assert landscape.numbers["surface"]["not_finite"] == 15 * beyond.sum() // 2
    assert "not finite at" in dict(landscape.sentences())["surface"]


def test_an_objective_of_no_names(tmp_path: Path):
    with pytest.raises(InputError, match="parameters of this objective have no names"):
        drawn(tmp_path, "parameters", others=("mass",))


def test_three_dimensions_are_none():
    with pytest.raises(InputError, match=r"dimensions is 3\."):
        LandscapeOptions(dimensions=3)


class Slow(DoubleWell):
    slow = True


@pytest.mark.parametrize(
    ("objective", "options", "expected"),
    [
        (DoubleWell(), {}, (51, None)),
        (Slow(), {}, (25, 2048)),
        (Slow(), {"points": 7}, (7, 2048)),
        (Slow(), {"events": 5000}, (25, 5000)),
        (Slow(), {"standard_error": 0.01}, (25, None)),
    ],
)
def test_a_slow_objective_has_fewer_points_and_events_by_default(objective, options, expected):
    wish = LandscapeOptions(**options).resolved(subject_of(objective), "well")
    assert (wish.points, wish.events) == expected
