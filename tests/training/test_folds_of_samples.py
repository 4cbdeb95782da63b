"""Folds and variations of samples with cross-sections; the descent balances the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.errors import RecipeError
from steepest.events import load_sample
from steepest.recipe import Recipe

SIGMA = {"signal": 0.01, "small": 5.0, "large": 200.0}
LUMINOSITY = 100.0
VARIATIONS = [
    {"name": "more x", "columns": {"x": "x + 0.2"}, "sample": "signal"},
    {"name": "other large", "sample": "large"},
    {"name": "absolute", "weight": "abs(gen)"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    random = np.random.default_rng(3)
    for name, mean in (("signal", 1.0), ("small", 0.0), ("large", -0.5), ("other", -0.7)):
        table = {
            "x": random.normal(mean, 1.0, 800),
            "y": random.normal(0, 1, 800),
            "gen": random.choice([1.0, -1.0], 800, p=[0.9, 0.1]),
            "number": np.arange(800) + 1000 * len(name),
        }
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


def recipe_of(files: Path, **events: Any) -> dict[str, Any]:
    samples = [
        {"name": name, "path": str(files / f"{name}.parquet"), "cross_section": of, "weight": "gen"}
        for name, of in SIGMA.items()
    ]
    samples[0]["label"] = 1
    return {
        "events": {
            "samples": samples,
            "luminosity": LUMINOSITY,
            "features": ["x", "y"],
            "split": {"folds": 3, "by": "number", "validation": 0.2},
            **events,
        },
        "model": {"hidden": [8]},
        "descent": {"epochs": 6, "batch_size": 64, "learning_rate": 0.02, "dtype": "float64"},
    }


def varied(files: Path) -> list[dict[str, Any]]:
    given = [dict(variation) for variation in VARIATIONS]
    given[1]["path"] = str(files / "other.parquet")
    return given


@pytest.fixture(scope="module")
def run(files: Path) -> steepest.Run:
    return steepest.train(recipe_of(files, variations=varied(files)), files / "run")


def metrics_of(run: steepest.Run) -> dict[str, Any]:
    assert run.metrics is not None
    return run.metrics


def auc_of_pairs(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The weighted share of pairs in which the signal has the higher score, ties one half."""
    signal = labels == 1
    order = np.argsort(scores[~signal])
    background = scores[~signal][order]
    below = np.concatenate([[0.0], np.cumsum(weights[~signal][order])])
    places = (np.searchsorted(background, scores[signal], side) for side in ("left", "right"))
    won = sum(below[place] for place in places) / 2
    return float(won @ weights[signal] / (weights[signal].sum() * weights[~signal].sum()))


def test_yields_rest_on_all_events(run: steepest.Run):
    metrics = metrics_of(run)
    whole = load_sample(run.recipe.events)
    for index, entry in enumerate(metrics["samples"]):
        weights = whole.weights[whole.sample == index]
        assert entry["all"]["yield"] == pytest.approx(weights.sum())
        assert entry["all"]["yield"] == pytest.approx(SIGMA[entry["name"]] * LUMINOSITY * 1000)
        assert entry["efficiencies"]


def test_physics_weights_for_the_auc_and_those_of_the_descent_for_the_loss(run: steepest.Run):
    scores, labels, weights, learnt = [], [], [], []
    for number, fold in enumerate(run.folds):
        test = load_sample(run.recipe.events).of_fold(number).of("test")
        factors = metrics_of(fold)["class_factors"]
        scores.append(fold.predict(test.features))
        labels.append(test.labels)
        weights.append(test.weights)
        learnt.append(test.weights * np.where(test.labels == 1, factors["1"], factors["0"]))
    scores, labels, weights, learnt = map(np.concatenate, (scores, labels, weights, learnt))
    merits = metrics_of(run)["merits"]["model"]
    assert merits["auc"]["value"] == pytest.approx(auc_of_pairs(labels, scores, weights), rel=1e-9)
    counts = merits["significance"]["counts"]
    passed = weights[(labels == 1) & (scores >= counts["threshold"])].sum()
    assert counts["expected_signal"] == pytest.approx(passed)
    each = -np.log(np.where(labels == 1, scores, 1 - scores))
    loss = np.average(each, weights=learnt)
    assert merits["binary_cross_entropy"]["value"] == pytest.approx(loss, rel=1e-9)


def test_evaluating_again_gives_the_same(run: steepest.Run):
    again = run.evaluate()
    assert again["merits"]["model"] == metrics_of(run)["merits"]["model"]


def test_a_variation_of_a_sample_leaves_the_others(run: steepest.Run, files: Path):
    metrics = metrics_of(run)
    entries = {entry["name"]: entry for entry in metrics["variations"]}
    assert all(entry["failure"] is None for entry in entries.values())
    nominal = metrics["merits"]["model"]["auc"]["value"]
    assert entries["more x"]["merits"]["auc"]["value"] > nominal + 0.01
    assert entries["other large"]["merits"]["auc"]["value"] > nominal
    for name in ("more x", "other large"):  # the weight that does not vary
        classes = entries[name]["events"]["classes"]
        for code, one in metrics["parts"]["test"]["classes"].items():
            assert classes[code]["weight"] == pytest.approx(one["weight"])
    sample = load_sample(run.recipe.events)
    signal = sample.labels == 1
    gen = pq.read_table(files / "signal.parquet")["gen"].to_numpy()  # Σw is the nominal one
    assert entries["absolute"]["events"]["classes"]["1"]["weight"] == pytest.approx(
        sample.weights[signal].sum() * np.abs(gen).sum() / gen.sum()
    )


def test_a_single_model_too(files: Path, tmp_path: Path):
    split = {"by": "number", "validation": 0.2, "test": 0.3}
    table = recipe_of(files, variations=varied(files), split=split, train_weights="abs(gen)")
    metrics = metrics_of(steepest.train(table, tmp_path / "run"))
    assert [entry["failure"] for entry in metrics["variations"]] == [None] * 3
    loss = metrics["merits"]["model"]["binary_cross_entropy"]["value"]
    absolute = metrics["variations"][2]["merits"]["binary_cross_entropy"]["value"]
    assert absolute == pytest.approx(loss)  # it uses the weights of the descent, which do not vary


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ({"sample": "medium", "weight": "gen"}, "variations of the samples large, signal, small"),
        ({"path": "other.parquet"}, "a sample for each variation that has a path"),
    ],
)
def test_samples_that_are_not_there(variation: dict, said: str, files: Path):
    with pytest.raises(RecipeError, match=said):
        Recipe.from_dict(recipe_of(files, variations=[{"name": "a", **variation}]))
