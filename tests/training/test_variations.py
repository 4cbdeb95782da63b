"""Systematic variations: the evaluated events with another weight, other columns, other files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import steepest
from samples import make_events, small_recipe
from steepest.errors import EventsError, RecipeError
from steepest.events import load_sample
from steepest.recipe import EventsRecipe, Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variations")
    events = make_events()
    events["up"] = events["weight"] * np.where(events["is_top"] == 1, 1.3, 1.0)
    pq.write_table(pa.table(events), folder / "events.parquet")
    events["mass"] = events["mass"] + np.random.default_rng(1).normal(0, 5, len(events["mass"]))
    pq.write_table(pa.table(events), folder / "smeared.parquet")
    return folder


def recipe_of(folder: Path, *variations: dict, **changes) -> dict:
    table = small_recipe(folder / "events.parquet")
    table["events"] |= {"variations": list(variations), **changes}
    return table


@pytest.fixture(scope="module")
def run(folder: Path) -> steepest.Run:
    variations = (
        {"name": "up", "weight": "up"},
        {"name": "scale", "columns": {"mass": "1.02 * mass"}},
        {"name": "softer", "columns": {"pt": "pt - 20"}},
        {"name": "smeared", "path": str(folder / "smeared.parquet")},
    )
    recipe = recipe_of(folder, *variations, select="pt > 560")
    return steepest.train(recipe, folder / "run")


def variation(run: steepest.Run, name: str) -> dict:
    metrics = run.metrics
    assert metrics is not None
    return next(entry for entry in metrics["variations"] if entry["name"] == name)


def nominal(run: steepest.Run) -> dict:
    metrics = run.metrics
    assert metrics is not None
    return metrics


def auc(run: steepest.Run, recipe: EventsRecipe, shift: tuple[float, float, float]) -> float:
    """The AUC of the test part, its features times `shift`, by scikit-learn."""
    test = load_sample(recipe).of("test")
    scores = run.predict(test.features * np.array(shift))
    return float(roc_auc_score(test.labels, scores, sample_weight=test.weights))


def test_a_weight_that_scales_a_class_leaves_the_auc(run: steepest.Run):
    up, metrics = variation(run, "up"), nominal(run)
    value = metrics["merits"]["model"]["auc"]["value"]
    assert up["merits"]["auc"]["value"] == pytest.approx(value, rel=1e-12)
    counts, varied = metrics["parts"]["test"]["classes"], up["events"]["classes"]
    assert varied["1"]["weight"] == pytest.approx(1.3 * counts["1"]["weight"])
    assert varied["0"]["weight"] == pytest.approx(counts["0"]["weight"])
    assert up["merits"]["accuracy"]["value"] != metrics["merits"]["model"]["accuracy"]["value"]


def test_replaced_columns_are_what_the_model_sees(run: steepest.Run):
    """The model is the one that was trained on nominal events; only the features change."""
    expected = auc(run, run.recipe.events, (1.0, 1.02, 1.0))
    assert variation(run, "scale")["merits"]["auc"]["value"] == pytest.approx(expected, rel=1e-12)
    assert variation(run, "scale")["columns"] == {"mass": "1.02 * mass"}


def test_replaced_columns_are_what_the_selection_sees(run: steepest.Run):
    events = run.recipe.events
    moved = events.model_copy(update={"select": "pt - 20 > 560"})
    test = load_sample(moved).of("test")
    softer = variation(run, "softer")
    assert softer["events"]["events"] == len(test) < nominal(run)["parts"]["test"]["events"]
    scores = run.predict(test.features - np.array([20.0, 0.0, 0.0]))
    expected = roc_auc_score(test.labels, scores, sample_weight=test.weights)
    assert softer["merits"]["auc"]["value"] == pytest.approx(expected, rel=1e-12)


def test_other_files_are_split_as_the_nominal_ones(run: steepest.Run, folder: Path):
    events = run.recipe.events.model_copy(update={"path": str(folder / "smeared.parquet")})
    smeared = variation(run, "smeared")
    assert smeared["merits"]["auc"]["value"] == pytest.approx(
        auc(run, events, (1, 1, 1)), rel=1e-12
    )
    assert smeared["events"]["events"] == nominal(run)["parts"]["test"]["events"]


def test_the_model_is_that_without_variations(run: steepest.Run, folder: Path, tmp_path: Path):
    plain = steepest.train(recipe_of(folder, select="pt > 560"), tmp_path / "run")
    np.testing.assert_array_equal(plain.model.theta, run.model.theta)
    assert nominal(plain)["merits"] == nominal(run)["merits"]
    assert nominal(plain)["variations"] == []
    assert "Variations" not in plain.report.read_text()


def test_the_figure_has_the_shapes_and_their_ratio(run: steepest.Run):
    panels = json.loads((run.path / "figures" / "variations.json").read_text())
    assert [panel["title"] for panel in panels] == [
        "Background (is_top = 0)", "Signal (is_top = 1)",
    ]  # fmt: skip
    for panel in panels:
        names = [each["label"] for each in panel["variations"]]
        assert names == ["up", "scale", "softer", "smeared"]
        ratio = [value for value in panel["ratios"][0] if value is not None]
        assert ratio == pytest.approx([1.0] * len(ratio))  # of unit area: a factor is not seen
        width = np.diff(panel["nominal"]["edges"])
        assert np.dot(panel["nominal"]["contents"], width) == pytest.approx(1.0)


def test_the_report_shows_them(run: steepest.Run):
    page = run.report.read_text()
    assert "up: weight up; scale: mass = 1.02 * mass; softer: pt = pt - 20" in page
    assert '<th class="number">smeared</th>' in page


def test_with_folds_each_variation_is_scored_by_folds(folder: Path, tmp_path: Path):
    shift = {"name": "scale", "columns": {"mass": "1.02 * mass"}}
    split = {"folds": 3, "by": "event_number"}
    run = steepest.train(recipe_of(folder, shift, split=split), tmp_path / "run")
    labels, scores, weights = [], [], []
    for fold in run.folds:
        test = load_sample(fold.recipe.events).of("test")
        labels.append(test.labels)
        scores.append(fold.predict(test.features * np.array([1.0, 1.02, 1.0])))
        weights.append(test.weights)
    labels, scores, weights = map(np.concatenate, (labels, scores, weights))
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert variation(run, "scale")["merits"]["auc"]["value"] == pytest.approx(expected, rel=1e-12)
    assert variation(run, "scale")["events"]["events"] == len(labels)
    assert run.folds[0].recipe.events.variations == ()


@pytest.mark.parametrize("label", ["kind", "mass"])
def test_other_tasks(label: str, folder: Path, tmp_path: Path):
    changes = {"label": label, "features": ["pt", "ratio"]}
    run = steepest.train(
        recipe_of(folder, {"name": "a", "columns": {"ratio": "ratio + 0.1"}}, **changes),
        tmp_path / "run",
    )
    merits = variation(run, "a")["merits"]
    assert merits.keys() == nominal(run)["merits"]["model"].keys()
    assert merits != nominal(run)["merits"]["model"]


def test_the_figures_are_drawn(drawn: None, folder: Path, tmp_path: Path):
    variations = [{"name": f"shift {k}", "columns": {"mass": f"mass + {k}"}} for k in range(8)]
    run = steepest.train(recipe_of(folder, *variations, label="kind", features=["mass", "pt"]),
                         tmp_path / "run")  # fmt: skip
    assert (run.path / "figures" / "variations.png").stat().st_size > 10_000


# --- what is refused, and what fails ------------------------------------------------------------


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ({"columns": {"masss": "mass * 2"}}, "no column 'masss'"),
        ({"columns": {"mass": "masss * 2"}}, "no column 'masss'"),
        ({"columns": {"mass": "mass > 2"}}, "is a condition, not a number"),
        ({"weight": "weigth"}, "no column 'weigth'"),
        ({"path": "nowhere.parquet"}, "nowhere"),
    ],
)
def test_faults_are_said_before_training(variation, said: str, folder: Path, tmp_path: Path):
    with pytest.raises(EventsError, match=said):
        steepest.train(recipe_of(folder, {"name": "a", **variation}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_variation_without_events_does_not_end_the_training(folder: Path, tmp_path: Path):
    pl.read_parquet(folder / "events.parquet").head(3).write_parquet(tmp_path / "few.parquet")
    few = {"name": "few", "path": str(tmp_path / "few.parquet")}
    run = steepest.train(recipe_of(folder, few, select="pt > 600"), tmp_path / "run")
    entry = variation(run, "few")
    assert entry["merits"] is None
    assert entry["failure"]
    assert "The variation few has no figures of merit." in (run.path / "log.txt").read_text()
    assert entry["failure"].splitlines()[0] in run.report.read_text().replace("&#39;", "'")


@pytest.mark.parametrize(
    ("variations", "said"),
    [
        ([{"name": "a"}], "a weight, columns or a path, besides the name"),
        ([{"name": "a", "weight": "w"}] * 2, "a different name for each"),
        ([{"name": "nominal", "weight": "w"}], "a different name for each"),
        ([{"name": "a", "wieght": "w"}], "wieght"),
    ],
)
def test_recipes_that_are_refused(variations: list, said: str):
    events = {"path": "e.parquet", "label": "y", "variations": variations}
    with pytest.raises(RecipeError, match=said):
        Recipe.from_dict({"events": events})


def test_paths_are_relative_to_the_recipe(folder: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[events]\npath = "e.parquet"\nlabel = "y"\n'
        '[[events.variations]]\nname = "a"\npath = ["b.parquet", "https://x/c.parquet"]\n'
    )
    (one,) = Recipe.from_toml(recipe).events.variations
    assert one.path == [str(tmp_path / "b.parquet"), "https://x/c.parquet"]
    assert Recipe.from_dict(Recipe.from_toml(recipe).to_dict()).events.variations == (one,)
