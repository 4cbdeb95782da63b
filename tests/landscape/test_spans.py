"""Directions: what they are, that they are the same again, and which are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steepest.errors import InputError
from steepest.landscape import spans
from steepest.landscape.directions import Directions
from steepest.landscape.input import PathPoints
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.scaling import fit_scaling
from steepest.trained import TrainedModel


def linear_model(scaling: str = "standard", outputs: int = 1) -> TrainedModel:
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 3)) * [100.0, 20.0, 0.1] + [600.0, 120.0, 0.6]
    X[:, 1] += 0.1 * X[:, 0]
    model: Any = Dense(3, (), outputs)
    return TrainedModel(
        scaling=fit_scaling(scaling, [(X, None)], ["pt", "mass", "tau32"]),
        model=model,
        loss=loss_named("binary-cross-entropy" if outputs == 1 else "cross-entropy"),
        theta=random.normal(size=model.size),
        classes=("qcd", "top") if outputs == 1 else ("qcd", "w", "top"),
        label="kind",
        features=("pt", "mass", "tau32"),
        units={"mass": {"unit": "GeV"}},
    )


# --- random -------------------------------------------------------------------------------------


def test_random_directions_are_as_long_as_each_neurons_weights_and_leave_biases_alone():
    model = Dense(4, (6, 5), 2)
    theta = np.random.default_rng(0).normal(size=model.size)
    directions = spans.random(theta, model.neuron_groups(), seed=3)
    for vector in directions.vectors:
        for layer, own in zip(model.layers(vector), model.layers(theta), strict=True):
            np.testing.assert_allclose(
                np.linalg.norm(layer.weights, axis=0), np.linalg.norm(own.weights, axis=0)
            )
            assert not layer.biases.any()


def test_the_same_seed_gives_the_same_directions_and_another_one_others():
    theta, groups = np.ones(20), [np.arange(10), np.arange(10, 20)]
    first, again = (spans.random(theta, groups, seed=1).vectors for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, spans.random(theta, groups, seed=2).vectors)


def test_a_scaled_network_has_scaled_directions():
    """Two networks that differ by a factor in a layer are seen on the same scale."""
    groups = [np.arange(4), np.arange(4, 8)]
    theta = np.random.default_rng(0).normal(size=8)
    stretched = theta * np.repeat([3.0, 1 / 3], 4)
    np.testing.assert_allclose(
        spans.random(stretched, groups, seed=1).vectors,
        spans.random(theta, groups, seed=1).vectors * np.repeat([3.0, 1 / 3], 4),
    )


def test_zero_weights_have_no_scale():
    with pytest.raises(InputError, match="leads nowhere") as raised:
        spans.random(np.zeros(3), [np.arange(3)])
    assert "weights are all zero" in str(raised.value)


# --- principal ----------------------------------------------------------------------------------


def test_principal_directions_are_those_of_the_covariance():
    random = np.random.default_rng(0)
    thetas = random.normal(size=(50, 12)) * np.geomspace(5, 0.01, 12)
    theta = thetas[-1]
    directions = spans.principal(theta, PathPoints(np.arange(50), thetas))
    differences = thetas - theta
    values, vectors = np.linalg.eigh(differences.T @ differences)
    shares = values[::-1][:2] / values.sum()
    np.testing.assert_allclose(directions.notes["variance_shares"], shares)
    overlap = np.abs(np.sum(directions.vectors * vectors[:, ::-1][:, :2].T, axis=1))
    np.testing.assert_allclose(overlap, 1)
    assert (directions.coordinates_of(thetas[0]) >= 0).all()


def test_a_straight_path_spans_no_plane():
    thetas = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="spans 1 dimensions, not 2"):
        spans.principal(thetas[-1], PathPoints(np.arange(5), thetas))
    line = spans.principal(thetas[-1], PathPoints(np.arange(5), thetas), dimensions=1)
    assert line.distances_of(thetas).max() < 1e-12


# --- through ------------------------------------------------------------------------------------


def test_the_plane_through_three_points_holds_them():
    random = np.random.default_rng(0)
    points = random.normal(size=(3, 9))
    directions = spans.through(points[0], [("b", points[1]), ("c", points[2])], "a")
    assert [mark.label for mark in directions.marks] == ["a", "b", "c"]
    for mark, point in zip(directions.marks, points, strict=True):
        np.testing.assert_allclose(directions.theta_at(np.array(mark.coordinates)), point)
    np.testing.assert_allclose(directions.vectors @ directions.vectors.T, np.eye(2), atol=1e-12)


def test_parallel_directions_are_refused_with_a_full_message():
    step = np.array([1.0, 2.0, 3.0])
    with pytest.raises(InputError) as raised:
        spans.through(np.zeros(3), [("b", step), ("c", -2 * step)], "a")
    text = str(raised.value)
    assert text.startswith("The directions 'a → b' and 'a → c' are parallel: they span no plane.")
    for part in ("expected:", "found:    0°", "cause:", "do:"):
        assert part in text


def test_a_run_with_itself_leads_nowhere():
    with pytest.raises(InputError, match="leads nowhere"):
        spans.through(np.ones(3), [("b", np.ones(3))], "a")


@pytest.mark.parametrize("count", [0, 3])
def test_through_takes_one_or_two_others(count: int):
    others = [(str(i), np.eye(4)[i]) for i in range(count)]
    with pytest.raises(InputError, match="neither a line nor a plane"):
        spans.through(np.zeros(4), others, "a")


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["none", "standard", "min-max", "robust", "whiten"])
@pytest.mark.parametrize("names", [("mass", "tau32"), ("pt", "intercept")])
def test_coordinates_are_the_coefficients_that_the_model_reports(scaling: str, names):
    model = linear_model(scaling)
    directions = spans.parameters(model, names)
    np.testing.assert_allclose(directions.offset, reported(model, names), rtol=1e-9)
    wanted = directions.offset * 1.3 + 0.01
    moved = TrainedModel(**{**vars(model), "theta": directions.theta_at(wanted)})
    np.testing.assert_allclose(reported(moved, names), wanted, rtol=1e-7)
    others = [n for n in ("pt", "mass", "tau32", "intercept") if n not in names]
    before, after = reported(model, others), reported(moved, others)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        directions.coordinates_of(directions.theta_at(wanted)), wanted, rtol=1e-9
    )


def reported(model: TrainedModel, names) -> list[float]:
    given = model.coefficients()
    assert given is not None
    values = dict(zip(given.names, given.values[:, 0], strict=True))
    return [values.get(name, given.intercept[0]) for name in names]


def test_labels_have_units_and_classes():
    directions = spans.parameters(linear_model(), ["mass", "intercept"])
    assert directions.labels == ("Coefficient of $m$ [1/GeV]", "Intercept")
    directions = spans.parameters(linear_model(outputs=3), ["tau32@top", "tau32@w"])
    assert directions.labels[0] == r"Coefficient of $\tau_{32}$, top"
    model: Any = linear_model(outputs=3).model
    weights = model.layers(directions.vectors[0])[0].weights
    assert not weights[:, :2].any()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mas", "tau32"], "perhaps 'mass'?"),
        (["mass@top", "tau32"], "There is no parameter 'mass@top'"),
        ([], "one name or two"),
        (["pt", "mass", "tau32"], "3 parameters span"),
        (["mass", "mass"], "parallel"),
    ],
)
def test_unsuitable_names(names, said: str):
    with pytest.raises(InputError) as raised:
        spans.parameters(linear_model(), names)
    assert said in str(raised.value)


def test_networks_and_other_scalings_have_no_named_parameters():
    network = Dense(3, (4,))
    model = TrainedModel(**{**vars(linear_model()), "model": network, "theta": np.ones(21)})
    with pytest.raises(InputError, match="have no units of their own"):
        spans.parameters(model, ["mass"])
    X = np.random.default_rng(0).normal(size=(100, 3))
    quantile = fit_scaling("quantile", [(X, None)], ["pt", "mass", "tau32"])
    model = TrainedModel(**{**vars(linear_model()), "scaling": quantile})
    with pytest.raises(InputError, match="no coefficients in original units"):
        spans.parameters(model, ["mass"])


# --- the slice itself ---------------------------------------------------------------------------


def test_projection_is_orthogonal_also_for_oblique_directions():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(2, 7))
    directions = Directions.spanned("random", np.ones(7), vectors, ("a", "b"))
    theta = random.normal(size=7)
    rest = theta - directions.theta_at(directions.coordinates_of(theta))
    np.testing.assert_allclose(vectors @ rest, 0, atol=1e-12)
    assert directions.distances_of(theta[None])[0] == pytest.approx(np.linalg.norm(rest))


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_a_direction_of_no_length(bad: float):
    with pytest.raises(InputError, match="leads nowhere"):
        Directions.spanned("random", np.zeros(3), np.full((1, 3), bad), ("a",))
