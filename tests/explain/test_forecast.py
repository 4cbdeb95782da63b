"""Predictions before the first step, against descents that are taken."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from steepest.explain import forecast
from steepest.explain.setting import spectral_radius
from steepest.optimizers import update_rule
from steepest.recipe import Recipe
from steepest.recipe.descent import SGD, Momentum, Nesterov, Optimizer


def recipe(folder: Path, optimizer: dict[str, Any], **descent: Any) -> Recipe:
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 2)) * [1.0, 4.0] + [0.5, 0.0]
    y = x @ [1.0, -0.5] + random.normal(size=60)
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}).write_parquet(folder / "events.parquet")
    return Recipe.from_dict(
        {
            "events": {
                "path": str(folder / "events.parquet"),
                "label": "y",
                "features": ["a", "b"],
                "split": {"validation": 0.0, "test": 0.0},
            },
            "model": {"hidden": []},
            "descent": {
                "method": "descent",
                "optimizer": optimizer,
                "batch_size": "all",
                "schedule": "constant",
                "scaling": "none",
                "learning_rate": 0.01,
                "epochs": 10,
                **descent,
            },
        }
    )


@pytest.mark.parametrize("optimizer", [SGD(), Momentum(momentum=0.8), Nesterov(momentum=0.8)])
def test_the_largest_stable_rate_is_that_of_bisection(tmp_path: Path, optimizer: Optimizer):
    predicted = forecast(recipe(tmp_path, optimizer.model_dump()))
    record = predicted.record
    rule = update_rule(optimizer, record.objective.weight_mask)

    inputs, targets = record.train.inputs, record.train.targets
    design = np.column_stack([inputs, np.ones(len(inputs))])

    def converges(rate: float) -> bool:
        theta = np.zeros(3)
        state = rule.initial_state(theta)
        for step in range(1, 1001):
            gradient = 2 / len(targets) * design.T @ (design @ theta - targets)
            theta, state = rule.update(theta, gradient, state, rate, step)
            if np.abs(theta).max() > 1e6:
                return False
        return bool(np.abs(theta).max() < 100)

    low, high = 0.0, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if converges(middle) else (low, middle)
    assert predicted.to_json()["largest_stable_rate"] == pytest.approx(low, rel=0.02)


@pytest.mark.parametrize("width", [4.0, 3000.0])
def test_the_printed_rates_are_stable_and_near_the_best(tmp_path: Path, width: float):
    given = recipe(tmp_path, {"name": "sgd"}, learning_rate=1e-9)
    path = tmp_path / "events.parquet"
    pl.read_parquet(path).with_columns(pl.col("b") * (width / 4)).write_parquet(path)
    predicted = forecast(given)
    assert predicted.linear is not None
    curvature = predicted.linear.curvature
    values, kappa = curvature.eigenvalues, curvature.kappa
    said = " ".join(str(predicted).split())
    number = r"([\d.e-]+\d)"

    def printed(pattern: str) -> list[float]:
        found = re.search(pattern.replace("N", number), said)
        assert found is not None
        return [float(one) for one in found.groups()]

    (bound,) = printed("Largest stable η: N")
    best, beta, rate = printed("Best fixed η: N; with momentum β = N, η = N")
    for value, exact in ((bound, curvature.bound), (best, curvature.best)):
        assert 0.998 * exact <= value <= exact
        assert spectral_radius(values, value, SGD()) <= 1
    radius = spectral_radius(values, rate, Momentum(momentum=beta))
    worst = (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
    assert radius < 1
    assert math.log(radius) < 0.95 * math.log(worst)  # steps, at most 5 % more


def test_steps_are_those_that_gradient_descent_takes(tmp_path: Path):
    predicted = forecast(recipe(tmp_path, {"name": "sgd"}, learning_rate=0.02))
    record, linear = predicted.record, predicted.linear
    assert linear is not None
    theta, losses = record.thetas[0].copy(), []
    for _ in range(400):
        loss, gradient = record.objective.loss_and_gradient(theta, record.train)
        losses.append(loss - linear.curvature.lowest)
        theta = theta - 0.02 * gradient
    row = predicted.predicted_steps()[0]
    taken = int(np.argmax(np.array(losses) <= row["part"] * losses[0]))
    assert row["at_this_rate"] == taken
    assert row["standardised"] < row["at_the_best_rate"]


@pytest.mark.parametrize("loss", ["mean-squared-error", "binary-cross-entropy"])
@pytest.mark.parametrize("optimizer", [SGD(), Momentum(momentum=0.8), Nesterov(momentum=0.8)])
def test_steps_of_every_rule_on_convex_losses(tmp_path: Path, loss: str, optimizer: Optimizer):
    given = recipe(tmp_path, optimizer.model_dump()).to_dict()
    if loss == "binary-cross-entropy":
        table = pl.read_parquet(given["events"]["path"])
        table.with_columns((pl.col("y") > 0.5).cast(pl.Int64)).write_parquet(
            given["events"]["path"]
        )
    given["descent"] |= {"loss": loss, "l2": 0.001, "learning_rate": 0.02}
    predicted = forecast(Recipe.from_dict(given))
    record, linear = predicted.record, predicted.linear
    assert linear is not None
    theta, row = record.thetas[0].copy(), predicted.predicted_steps()[1]
    goal = linear.curvature.lowest + row["part"] * linear.excess_start
    rule = record.rule
    state = rule.initial_state(theta)
    taken, (value, gradient) = 0, record.objective.loss_and_gradient(theta, record.train)
    while value > goal:
        taken += 1
        theta, state = rule.update(theta, np.asarray(gradient), state, 0.02, taken)
        value, gradient = record.objective.loss_and_gradient(theta, record.train)
    assert taken > 10
    assert row["at_this_rate"] == pytest.approx(taken, rel=0.05, abs=1)


def test_a_network_and_its_noise(tmp_path: Path):
    given = recipe(tmp_path, {"name": "adam"}, batch_size=16).to_dict()
    given["model"] = {"hidden": [4]}
    predicted = forecast(Recipe.from_dict(given))
    assert predicted.linear is None
    assert predicted.noise is not None
    assert predicted.steps == 10 * 4
    assert predicted.seconds > 0
    said = str(predicted)
    assert "Largest stable η" in said
    assert "Noise: " in said
    assert max(map(len, said.splitlines())) <= 80
