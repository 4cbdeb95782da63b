"""One line on the present η, against descents that are taken."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.explain import explain_setting
from steepest.objective import Batch, Objective, objective_named
from steepest.optimizers import update_rule
from steepest.recipe.descent import SGD, Adam, Momentum, Nesterov, Optimizer

RANDOM = np.random.default_rng(3)
INPUTS = RANDOM.normal(size=(40, 2)) * [1.0, 3.0]
VALUES = INPUTS @ [1.0, 0.5] + RANDOM.normal(size=40)
LINE = objective_named("dense", 2, "mean-squared-error")
EVENTS = Batch(INPUTS, VALUES)
START = np.zeros(3)
SAID = {
    "too small": "it converges, but slowly",
    "just right": "η is just right",
    "overshooting": "η overshoots",
    "diverging": "times the largest stable one",
}


def taken(optimizer: Optimizer, rate: float, part: float = 1e-3) -> int:
    """Steps of the rule itself until J − J* is so much of its start."""
    rule = update_rule(optimizer, LINE.weight_mask)
    design = np.column_stack([INPUTS, np.ones(40)])
    lowest = LINE.loss(np.linalg.lstsq(design, VALUES)[0], EVENTS)
    theta, state = START.copy(), rule.initial_state(START)
    first = LINE.loss(theta, EVENTS) - lowest
    for step in range(1, 100_000):
        gradient = LINE.loss_and_gradient(theta, EVENTS)[1]
        theta, state = rule.update(theta, gradient, state, rate, step)
        if LINE.loss(theta, EVENTS) - lowest <= part * first:
            return step
    raise AssertionError


@pytest.mark.parametrize(
    ("optimizer", "tolerance"),
    [(SGD(), 0.0), (Momentum(momentum=0.5), 0.1), (Nesterov(momentum=0.5), 0.1)],
)
@pytest.mark.parametrize("rate", [0.002, 0.02])
def test_predicted_steps_are_taken(optimizer: Optimizer, tolerance: float, rate: float):
    found = explain_setting(LINE, START, EVENTS, rate, optimizer)
    assert found.steps == pytest.approx(taken(optimizer, rate), rel=tolerance)


@pytest.mark.parametrize(
    ("of_bound", "regime"),
    [(1e-3, "too small"), (0.5, "just right"), (0.9999, "overshooting"), (1.5, "diverging")],
)
def test_regimes_of_a_convex_problem(of_bound: float, regime: str):
    bound = explain_setting(LINE, START, EVENTS, 1e-3).bound
    found = explain_setting(LINE, START, EVENTS, of_bound * bound)
    assert found.regime == regime
    assert SAID[regime] in found.sentence
    assert found.newton == pytest.approx(bound / 2)


def test_a_network_has_a_bound_and_no_steps():
    network = objective_named("dense", 2, "mean-squared-error", hidden=(4,), activation="tanh")
    theta = network.initial(0)
    found = explain_setting(network, theta, EVENTS, 10.0)
    assert (found.regime, found.steps) == ("diverging", None)
    assert "stay at this edge" in found.sentence
    assert explain_setting(network, theta, EVENTS, found.bound / 3).regime == "just right"


def test_a_logistic_regression_is_convex():
    objective = objective_named("dense", 2, "binary-cross-entropy")
    events = Batch(INPUTS, (VALUES > 0).astype(float) * RANDOM.integers(0, 2, 40))
    found = explain_setting(objective, START, events, 0.1)
    assert found.kappa is not None
    assert found.steps is not None


@pytest.mark.parametrize(
    ("objective", "events", "optimizer", "regime", "said"),
    [
        (LINE, EVENTS, Adam(), "unknown", "divides each gradient"),
        (LINE, Batch(np.full((2, 2), 1e200), np.zeros(2)), None, "unknown", "overflow"),
        (
            objective_named("dense", 2, "mean-squared-error", hidden=(1,), activation="relu"),
            Batch(np.zeros((2, 2)), np.zeros(2)),
            None,
            "just right",
            "just right",
        ),
        (
            objective_named("dense", 2, "mean-squared-error", hidden=(1,), activation="relu"),
            Batch(INPUTS, VALUES, -np.ones(40)),
            None,
            "flat",
            "no η overshoots",
        ),
    ],
)
def test_what_cannot_be_said(
    objective: Objective, events: Batch, optimizer: Optimizer | None, regime: str, said: str
):
    found = explain_setting(objective, np.zeros(objective.size), events, 0.5, optimizer)
    assert found.regime == regime
    assert said in found.sentence
