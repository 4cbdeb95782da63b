"""The lecture-2 fit: what its curvature predicts is what the descent does."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import steepest
from steepest import Regressor
from steepest.errors import DivergenceError
from steepest.recipe import Recipe

EXAMPLE = Path(__file__).parents[1] / "examples" / "lecture-2"
LAMBDA = (56_499.0, 15.98, 0.2586)
FALL_IN_200_000 = 0.355
"""(1 − η λ₃)^(2 · 200,000) at η = 1e-5: what the slowest mode leaves of the excess loss."""


@pytest.fixture(scope="module")
def points() -> tuple[np.ndarray, np.ndarray]:
    spec = importlib.util.spec_from_file_location("make_points", EXAMPLE / "make_points.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    frame = module.points()
    t = frame["t"].to_numpy()
    return np.column_stack([t**2, t]), frame["signal"].to_numpy()


def excess(model: Regressor, points) -> np.ndarray:
    """J(θ) − J* before each recorded step."""
    exact = Regressor(method="exact", scaling="none").fit(*points)
    lowest = np.mean((exact.predict(points[0]) - points[1]) ** 2)
    return model.history_["loss"].to_numpy() - lowest


def test_curvature_is_the_lecture_s():
    t = np.arange(20.0)
    A = np.column_stack([t**2, t, np.ones(20)])
    assert np.linalg.eigvalsh(2 / 20 * A.T @ A)[::-1] == pytest.approx(LAMBDA, rel=1e-3)
    assert 2 / LAMBDA[0] == pytest.approx(3.54e-5, rel=1e-3)
    assert (1 - 1e-5 * LAMBDA[2]) ** 400_000 == pytest.approx(FALL_IN_200_000, rel=2e-3)


def test_raw_problem_falls_at_the_predicted_rate(points):
    """J − J* = Σ ½ λᵢ cᵢ² (1 − ηλᵢ)^(2k), mode by mode, over 40,000 steps."""
    model = Regressor(scaling="none", learning_rate=1e-5, epochs=40_000, record_every=1000)
    above = excess(model.fit(*points), points)
    A = np.column_stack([points[0], np.ones(20)])
    eigenvalues, modes = np.linalg.eigh(2 / 20 * A.T @ A)
    start = modes.T @ np.linalg.lstsq(A, points[1])[0]
    steps = model.history_["step"].to_numpy() - 1  # the loss is that before the step
    shrunk = (1 - 1e-5 * eigenvalues) ** (2 * steps[:, None])
    assert steps[-1] == 39_999
    np.testing.assert_allclose(
        above, 0.5 * (eigenvalues * start**2 * shrunk).sum(axis=1), rtol=1e-6
    )


@pytest.mark.slow
def test_a_million_steps(points):
    model = Regressor(scaling="none", learning_rate=1e-5, epochs=1_000_000, record_every=1000).fit(
        *points
    )
    above = excess(model, points)
    for first in (199, 399, 599, 799):
        assert above[first + 200] / above[first] == pytest.approx(FALL_IN_200_000, rel=0.005)


def test_a_rate_above_the_bound_diverges_and_is_reported(points):
    with pytest.warns(ConvergenceWarning, match="is above 2/λmax = 3.54e-05"):
        model = Regressor(scaling="none", learning_rate=4e-5, epochs=1000).fit(*points)
    assert model.stop_reason_ == "diverged"
    assert np.isfinite(model.predict(points[0])).all()


@pytest.mark.parametrize(
    ("scaling", "features", "kappa", "predicted"),
    [
        ("standard", "raw", 56.7, 196),
        ("none", "scaled t, squared", 7.7, 26),
        ("whiten", "raw", 1.0, 1),
    ],
)
def test_scaled_problem_takes_the_predicted_steps(points, scaling, features, kappa, predicted):
    """((κ − 1)/(κ + 1))² each step at η = 2/(λ₁ + λₙ): a bound, and nearly what happens."""
    X, y = points
    if features != "raw":
        t = (X[:, 1] - X[:, 1].mean()) / X[:, 1].std()
        X = np.column_stack([t**2, t])
    model = Regressor(scaling=scaling, epochs=300).fit(X, y)
    above = excess(model, (X, y))
    steps = int(np.argmax(above < 1e-6 * above[0]))
    assert 0.75 * predicted - 1 <= steps <= predicted + 1
    if kappa > 1:
        shrinks = (above[steps] / above[steps - 5]) ** (1 / 5)
        assert shrinks <= ((kappa - 1) / (kappa + 1)) ** 2 * 1.01


def test_descent_and_exact_answer_agree(points):
    exact = Regressor(method="exact").fit(*points)
    descent = Regressor(scaling="whiten", epochs=5).fit(*points)
    np.testing.assert_allclose(descent.coef_, exact.coef_, rtol=1e-9)
    assert descent.intercept_ == pytest.approx(exact.intercept_, rel=1e-9)
    assert exact.exact_ is not None
    assert exact.exact_.digits_lost == pytest.approx(np.log10(np.sqrt(56.7)), abs=0.01)


@pytest.fixture
def recipe(tmp_path: Path, points) -> Recipe:
    import polars as pl

    X, y = points
    pl.DataFrame({"t": X[:, 1], "signal": y}).write_parquet(tmp_path / "points.parquet")
    text = (EXAMPLE / "recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return Recipe.from_toml(tmp_path / "recipe.toml")


def test_the_example_s_recipe(recipe: Recipe, tmp_path: Path, points):
    run = steepest.train(recipe, tmp_path / "raw", settings=["descent.epochs=5000"])
    metrics = run.metrics
    assert metrics is not None
    assert metrics["part"] == "train"
    assert set(metrics["model"]["coefficients"]["coefficients"]) == {"t2", "t"}
    assert metrics["baseline"]["name"] == "linear regression"
    exact = Regressor(method="exact").fit(*points)
    baseline = metrics["baseline"]["coefficients"]["coefficients"]
    assert baseline["t2"][0] == pytest.approx(exact.coef_[0], rel=1e-10)
    assert run.history["step"].to_list() == [1000, 2000, 3000, 4000, 5000]


def test_the_example_s_other_settings(recipe: Recipe, tmp_path: Path):
    with pytest.raises(DivergenceError, match=r"2/λmax = 3\.54e-05"):
        steepest.train(recipe, tmp_path / "hot", settings=["descent.learning_rate=4e-5"])
    settings = ["descent.method=exact"]
    metrics = steepest.train(recipe, tmp_path / "exact", settings=settings).metrics
    assert metrics is not None
    assert metrics["descent"]["exact"]["rank"] == 3
    assert json.loads((tmp_path / "exact" / "metrics.json").read_text()) == metrics


def test_nothing_else_is_said(points):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Regressor(scaling="whiten", epochs=3).fit(*points)
