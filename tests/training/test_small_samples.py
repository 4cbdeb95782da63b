"""Small samples: a recipe of path, label and features alone trains, whatever is drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.recipe import Recipe
from steepest.training import verdict


def train(folder: Path, seed: int, events: int) -> dict:
    """Train on x and a label that is 1 for x plus noise above 0; the AUC of x itself is 5/6."""
    random = np.random.default_rng(seed)
    x = random.standard_normal(events)
    y = (x + random.standard_normal(events) > 0).astype(int)
    pq.write_table(pa.table({"x": x, "y": y}), folder / "e.parquet")
    recipe = {"events": {"path": str(folder / "e.parquet"), "label": "y", "features": ["x"]}}
    metrics = steepest.train(recipe, folder / "run", progress=False).metrics
    assert metrics is not None
    return metrics


def test_what_is_left_out_fits_the_sample(tmp_path: Path) -> None:
    metrics = train(tmp_path, 0, 600)
    assert metrics["parts"]["train"]["events"] < 1_024
    merits = metrics["merits"]
    assert abs(merits["gain"]["auc_difference"]["value"]) < 0.03
    auc = merits["model"]["auc"]
    assert auc["low"] - auc["uncertainty"] < 5 / 6 < auc["high"] + auc["uncertainty"]


def test_a_part_without_a_class_is_split_again(tmp_path: Path) -> None:
    """Five events validate, and all of them are of one class where the seed of the split is 0."""
    metrics = train(tmp_path, 115, 60)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "The validation part has no event of the class '1'. That is so with" in log
    assert "seed = 1" in (tmp_path / "run" / "recipe.toml").read_text()
    counts = metrics["parts"]["validation"]["classes"]
    assert min(each["events"] for each in counts.values()) > 0
    recipe = Recipe.from_toml(tmp_path / "run" / "recipe.toml").with_settings(
        ["events.split.seed=0"]
    )
    again = steepest.train(recipe, tmp_path / "run", again=True, progress=False)
    assert again.metrics == metrics, "the job is started again, with the recipe that was given"


def test_what_beats_guessing_by_accident_is_said(tmp_path: Path) -> None:
    """The label is a coin, and sixty events are no proof of anything."""
    random = np.random.default_rng(2)
    x, y = random.standard_normal((60, 3)), random.integers(0, 2, 60)
    columns = {name: x[:, i] for i, name in enumerate("abc")}
    pq.write_table(pa.table({**columns, "y": y}), tmp_path / "e.parquet")
    descent = {"epochs": 20, "learning_rate": 10.0, "l2": 0.0}
    recipe = {"events": {"path": str(tmp_path / "e.parquet"), "label": "y"}, "descent": descent}
    metrics = steepest.train(recipe, tmp_path / "run", progress=False).metrics
    assert metrics is not None
    (accident,) = [text for text in metrics["warnings"] if "better than guessing" in text]
    assert "is not shown to be better than guessing: AUC 0." in accident
    assert accident.endswith("5 S + 5 B; more events would tell.")


def test_a_descent_that_lowers_no_loss_is_said() -> None:
    def fitted(kept: int, steps: int) -> Any:
        return SimpleNamespace(
            outcome=SimpleNamespace(step=kept, state=SimpleNamespace(step=steps))
        )

    (said,) = verdict.untrained(fitted(0, 3_000))
    assert said.startswith("is the one that the descent began with: none of its 3,000 steps")
    assert verdict.untrained(fitted(14, 3_000)) == verdict.untrained(fitted(0, 0)) == []


@pytest.mark.slow
@pytest.mark.parametrize("events", [60, 150, 600])
def test_toys_of_small_samples(events: int, tmp_path: Path) -> None:
    """Of twenty seeds: none is refused, none ends much worse than the linear baseline unsaid."""
    inside, behind = [], []
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        metrics = train(folder, seed, events)
        auc, gain = (
            metrics["merits"][k][n] for k, n in (("model", "auc"), ("gain", "auc_difference"))
        )
        if auc["low"] is not None:  # more than one event of each class is tested
            inside.append(auc["low"] <= 5 / 6 <= auc["high"])
        said = any("baseline" in text for text in metrics["warnings"])
        if gain["value"] < -0.05 and gain["high"] < 0 and not said:
            behind.append((seed, gain))
    assert not behind
    assert len(inside) >= 15
    assert 0.4 < np.mean(inside) < 0.95  # 68 %; a model that has learnt less is below the truth
