"""The parabola of the second lecture, whose descents are known exactly."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
from steepest.errors import DivergenceError
from steepest.explain import Explanation, explain_run

LARGEST_STABLE = 3.54e-5


@pytest.fixture(scope="module")
def parabola(tmp_path_factory: pytest.TempPathFactory) -> Path:
    t = np.arange(20.0)
    y = 0.75 * (t - 9.5) ** 2 + 1 + np.random.default_rng(0).normal(0, 3, 20)
    path = tmp_path_factory.mktemp("parabola") / "points.csv"
    pl.DataFrame({"t": t, "t2": t * t, "y": y}).write_csv(path)
    return path


def explained(points: Path, scaling: str, rate: float, steps: int, every: int = 0) -> Explanation:
    recipe = {
        "events": {
            "path": str(points),
            "label": "y",
            "features": ["t", "t2"],
            "split": {"validation": 0.0, "test": 0.0},
        },
        "model": {"hidden": []},
        "descent": {
            "method": "descent",
            "optimizer": "sgd",
            "batch_size": "all",
            "schedule": "constant",
            "scaling": scaling,
            "learning_rate": rate,
            "epochs": steps,
            "validate_every": every or max(1, steps // 20),
        },
        "evaluate": {"baseline": False},
    }
    run = points.parent / f"{scaling}-{rate:g}"
    with suppress(DivergenceError):
        steepest.train(recipe, run, progress=False)
    return explain_run(run)


def test_the_verdict_has_j_at_both_ends(parabola: Path):
    t = np.arange(20.0)
    y = pl.read_csv(parabola)["y"].to_numpy()
    found = explained(parabola, "standard", 0.5, 400, every=400)
    least = np.mean((y - np.polyval(np.polyfit(t, y, 2), t)) ** 2)
    said = f"The run ended at J = {least:.4g}, from {np.mean(y**2):.4g};"
    assert found.verdict.startswith(said)
    curves = found.measured.curves
    assert curves.last > 2 * curves.end  # the mean over the last round is not it


def test_the_rate_for_a_run_that_diverged_is_for_the_steps_of_its_recipe(parabola: Path):
    found = explained(parabola, "none", 3.7e-5, 100_000, every=100_000)
    first = found.findings[0]
    assert first.cause == "learning-rate-too-large"
    assert "η = 3.7e-05" in first.seen
    assert "the best for 100,000 steps" in first.do


def test_crawling_is_the_scaling_not_the_rate(parabola: Path):
    found = explained(parabola, "none", 1e-5, 20_000)
    assert found.findings[0].cause == "features-unscaled"
    assert "learning-rate-too-large" not in {one.cause for one in found.findings}
    linear = found.measured.linear
    assert linear is not None
    assert linear.curvature.eigenvalues == pytest.approx([0.259, 16.0, 56_499], rel=2e-3)
    assert linear.curvature.kappa == pytest.approx(2.18e5, rel=3e-3)
    assert linear.kappa_standard == pytest.approx(57, rel=0.01)
    assert linear.curvature.bound == pytest.approx(LARGEST_STABLE, rel=1e-3)
    trial = found.findings[0].trial
    assert trial is not None
    assert trial.after < trial.before / 10


def test_the_steps_are_those_that_the_descent_takes(parabola: Path):
    """The excess falls by 0.355 every 200,000 steps at η = 1e-5: the reference."""
    linear = explained(parabola, "none", 2e-5, 10).measured.linear
    assert linear is not None
    late = linear.curvature.losses(linear.start, 1e-5, np.array([600_000, 800_000]))
    ratio = (late[1] - linear.curvature.lowest) / (late[0] - linear.curvature.lowest)
    assert ratio == pytest.approx(0.355, abs=0.002)


def test_a_rate_above_the_bound_says_by_how_much_and_nothing_contrary(parabola: Path):
    found = explained(parabola, "none", 3.6e-5, 2_000)
    first = found.findings[0]
    assert (first.cause, first.severity) == ("learning-rate-too-large", "wrong")
    assert "1.7 % above" in found.verdict
    assert "learning-rate-too-small" not in {one.cause for one in found.findings}
    assert first.trial is not None
    assert first.trial.severity == "wrong"
    settings = dict(first.change)
    assert settings["descent.learning_rate"] < LARGEST_STABLE


def test_a_rate_a_thousand_times_too_small(parabola: Path):
    found = explained(parabola, "standard", 3e-4, 2_000)
    assert [one.cause for one in found.findings] == ["learning-rate-too-small"]
    assert found.findings[0].severity == "wrong"


def test_a_healthy_run_has_no_finding(parabola: Path):
    found = explained(parabola, "standard", 0.3, 2_000)
    assert found.findings == ()
    assert "Nothing wrong" in found.verdict
    assert {one.name for one in found.checks if one.passed} >= {"learning rate", "scaling"}
