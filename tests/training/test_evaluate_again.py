"""What a finished run says of its features and its baseline, and its evaluation on other events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
from steepest.training import TrainingCallback, evaluate_run

RECIPE = """
[events]
path = "{}"
label = "y"
[descent]
epochs = 5
[evaluate]
importance = true
label = "CMS Simulation"
"""


class Heard(TrainingCallback):
    """Keep what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("again")
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 4_000)
    columns = random.normal(size=(4_000, 3))
    columns[:, 0] += 1.5 * labels
    columns[:, 1] *= 1 + 2 * labels  # no linear model sees it
    table = pl.DataFrame({**{f"x{i}": columns[:, i] for i in range(3)}, "y": labels})
    table.write_parquet(folder / "events.parquet")
    table[:500].with_columns(x0=pl.col("x0") + 1e-3).write_parquet(folder / "other.parquet")
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(folder / "events.parquet"))
    return steepest.train(recipe, folder / "run")


def test_importance_is_the_loss_that_a_permuted_feature_adds(run):
    importance = run.metrics["importance"]
    assert list(importance)[2] == "x2"
    assert importance["x0"]["low"] > 0.05
    assert importance["x1"]["low"] > 0.05
    noise = importance["x2"]
    assert abs(noise["value"]) < 4 * noise["uncertainty"] < 0.05
    assert "Importance of the features" in run.report.read_text(encoding="utf-8")


def test_the_report_says_what_the_model_gains_and_what_to_try(run):
    page = run.report.read_text(encoding="utf-8")
    gain = run.metrics["merits"]["gain"]["auc_difference"]
    assert gain["low"] > 0
    assert "is better than its linear baseline (AUC gain: " in page
    assert "To try: " in page
    assert "1/ε<sub>B</sub> (ε<sub>S</sub> = 0.5)" in page


@pytest.mark.parametrize("name", ["events", "other"])
def test_events_that_the_run_was_trained_on_are_said(run, name: str):
    heard = Heard()
    path: Path = run.path.parent / f"{name}.parquet"
    metrics = evaluate_run(run.path, str(path), heard, draw=name == "other")
    assert metrics["trained_on"] == (["events.parquet"] if name == "events" else [])
    assert any("was trained on events.parquet" in said for said in heard.said) is (name == "events")
    if name == "other":
        drawn = {file.name for file in Path(metrics["figures"]).iterdir()}
        assert drawn >= {"roc.png", "roc.pdf", "roc.json", "calibration.png"}
        assert Path(metrics["figures"], "roc.pdf").read_bytes().startswith(b"%PDF")
