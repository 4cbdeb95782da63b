"""Training weights and physics weights are two things; samples have yields and efficiencies."""

from __future__ import annotations

import json
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
from steepest.training import evaluate_run
from steepest.training.callback import TrainingCallback
from steepest.training.inputs import prepare

SIGNAL, BACKGROUND = 1500, 2500


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    random = np.random.default_rng(3)
    for name, count, mean in (("signal", SIGNAL, 1.0), ("small", 1000, 0.0), ("large", 1500, -0.5)):
        w = random.choice([1.0, -1.0], count, p=[0.9, 0.1])
        x = random.normal(mean, 1.0, count)
        table = {"x": x, "y": random.normal(0, 1, count), "gen": w, "number": np.arange(count)}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


def recipe(files: Path, signal: float = 0.01, **keys: Any) -> dict[str, Any]:
    sigma = {"signal": signal, "small": 5.0, "large": 200.0}
    samples = [
        {"name": name, "path": str(files / f"{name}.parquet"), "cross_section": of, "weight": "gen"}
        for name, of in sigma.items()
    ]
    samples[0]["label"] = 1
    events = {"samples": samples, "luminosity": 100.0, "features": ["x", "y"]}
    events["split"] = {"validation": 0.2, "test": 0.3, "by": "number"}
    return {
        "events": {**events, **keys},
        "model": {"hidden": [8]},
        "descent": {"epochs": 12, "batch_size": 64, "learning_rate": 0.02, "dtype": "float64"},
    }


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> steepest.Run:
    return steepest.train(recipe(files), tmp_path_factory.mktemp("runs") / "run")


def test_the_classes_are_balanced_in_the_descent_alone(files) -> None:
    parsed = Recipe.from_dict(recipe(files))
    parts, _ = prepare(parsed, TrainingCallback(), files)
    train = parts[0]
    sums = [train.train_weights[train.labels == code].sum() for code in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])
    assert sum(sums) == pytest.approx(train.weights.sum())
    whole = load_sample(parsed.events)
    assert whole.weights[whole.labels == 1].sum() == pytest.approx(0.01 * 100 * 1000)
    as_given, _ = prepare(
        Recipe.from_dict(recipe(files, train_weights="as-given")), TrainingCallback(), files
    )
    assert as_given[0].train_weights is None
    own, _ = prepare(
        Recipe.from_dict(recipe(files, train_weights="abs(gen)")), TrainingCallback(), files
    )
    assert set(own[0].train_weights.tolist()) == {1.0}


def test_yields_and_efficiencies_of_the_samples(run: steepest.Run) -> None:
    metrics, whole = run.metrics, load_sample(run.recipe.events)
    assert metrics is not None
    assert [one["name"] for one in metrics["samples"]] == ["signal", "small", "large"]
    test = whole.of("test")
    scores = run.predict(test.features)
    for index, one in enumerate(metrics["samples"]):
        weights = whole.weights[whole.sample == index]
        assert one["all"]["events"] == len(weights)
        assert one["all"]["yield"] == pytest.approx(weights.sum())
        assert one["all"]["uncertainty"] == pytest.approx(np.sqrt(np.square(weights).sum()))
        assert one["parts"]["test"]["events"] == int((test.sample == index).sum())
        inside = test.sample == index
        for found in one["efficiencies"]:
            passed = inside & (scores >= found["threshold"])
            expected = test.weights[passed].sum() / test.weights[inside].sum()
            assert found["value"] == pytest.approx(expected)
            assert found["events"] == passed.sum()
    first = metrics["samples"][0]["efficiencies"]
    for found in first:
        assert found["value"] == pytest.approx(found["signal_efficiency"], abs=0.02)


def test_the_significance_is_of_the_expected_events(run: steepest.Run) -> None:
    metrics, whole = run.metrics, load_sample(run.recipe.events)
    assert metrics is not None
    counts = metrics["merits"]["model"]["significance"]["counts"]
    signal = whole.weights[whole.labels == 1].sum()
    assert counts["expected_signal"] == pytest.approx(signal * counts["signal_efficiency"])
    background = whole.weights.sum() - signal
    expected = background * counts["background_efficiency"]
    assert counts["expected_background"] == pytest.approx(expected)


def test_a_model_slightly_below_its_baseline_is_said_to_be_without_a_cause(run) -> None:
    gain = run.metrics["merits"]["gain"]["auc_difference"]
    assert gain["value"] < gain["high"] < 0
    (warning,) = run.metrics["warnings"]
    assert "slightly worse than its linear baseline (AUC gain −0.00" in warning
    assert "Likely cause" not in warning


def test_evaluating_again_gives_the_same(run: steepest.Run) -> None:
    again = evaluate_run(run.path)
    assert run.metrics is not None
    assert again["merits"]["model"] == run.metrics["merits"]["model"]


def test_a_factor_common_to_a_class_changes_nothing(run, files, tmp_path) -> None:
    tiny = steepest.train(recipe(files, signal=1e-8), tmp_path / "tiny")
    both: Any = (run.metrics, tiny.metrics)
    first, second = (each["merits"]["model"]["auc"]["value"] for each in both)
    assert first == pytest.approx(second, rel=1e-9)


def test_a_model_worse_than_its_baseline_is_said_to_be(files, tmp_path) -> None:
    asked = recipe(files, signal=1e-7, train_weights="as-given")
    asked["descent"] |= {"learning_rate": 5.0, "optimizer": "sgd"}
    bad = steepest.train(asked, tmp_path / "bad")
    assert bad.metrics is not None
    (warning,) = bad.metrics["warnings"]
    assert "worse than" in warning
    assert "events.train_weights leaves them so" in warning
    assert warning in (bad.path / "log.txt").read_text()


def test_the_report_has_yields_efficiencies_and_warnings(run) -> None:
    from steepest.folder import RunFolder
    from steepest.report.page import render
    from steepest.report.tables import efficiency_table, yield_table

    folder = RunFolder(run.path)
    metrics: Any = folder.metrics
    rows: Any = (yield_table(metrics) or {})["rows"]
    assert [row[0] for row in rows] == ["signal", "small", "large"]
    assert rows[2][1].endswith("·10⁷")  # 200 pb · 100 fb⁻¹ = 2·10⁷ events
    assert [row[2] for row in rows] == ["1,500", "1,000", "1,500"]
    assert (efficiency_table(metrics) or {})["head"][1] == "ε_S = 0.3"
    page = render(folder)
    assert all(cell in page for cell in rows[2])
    warning = "The network is worse than guessing."
    folder.write_json("metrics.json", {**metrics, "warnings": [warning]})
    again = render(RunFolder(run.path))
    folder.write_json("metrics.json", metrics)
    assert warning not in page
    assert again.index("To try:") < again.index(warning) < again.index("<h2>Figures of merit</h2>")


def test_stacked_scores_hold_the_yields(run: Any) -> None:
    numbers = json.loads((run.path / "figures/stacked-scores.json").read_text())
    assert [(each["name"], each["signal"]) for each in numbers] == [
        ("signal", True), ("small", False), ("large", False),
    ]  # fmt: skip
    for each, sample in zip(numbers, run.metrics["samples"], strict=True):
        assert sum(each["histogram"]["contents"]) == pytest.approx(sample["all"]["yield"])
        assert each["expected"] == pytest.approx(sample["all"]["yield"])
    run.plot("stacked-scores")


def test_a_run_of_samples_is_evaluated_again_with_its_figures(run: Any) -> None:
    again = evaluate_run(run.path, draw=True)
    first = run.metrics["merits"]["model"]
    for name in ("auc", "significance"):
        assert again["merits"]["model"][name]["value"] == pytest.approx(first[name]["value"])
    (curve,) = json.loads((run.path / "evaluation/roc.json").read_text())
    assert curve == json.loads((run.path / "figures/roc.json").read_text())[0]
    for name in ("significance", "stacked-scores"):
        numbers = json.loads((run.path / f"evaluation/{name}.json").read_text())
        assert numbers == json.loads((run.path / f"figures/{name}.json").read_text())


def test_a_varied_weight_changes_the_yield(files: Path, tmp_path: Path) -> None:
    """w' · σ · L / Σw of the nominal weight; with a sum of its own, the yield is σ · L again."""
    up = "gen * (1.2 + 0.1 * x)"
    variations = [
        {"name": "up", "weight": up, "sample": "large"},
        {"name": "acceptance", "weight": up, "sample": "large", "sum_of_weights": up},
        {"name": "all", "weight": "2 * gen"},
        {"name": "shift", "columns": {"x": "x + 0.5"}},
        {"name": "half", "path": str(files / "half.parquet"), "sample": "large"},
    ]
    half = pq.read_table(files / "large.parquet")
    pq.write_table(half.slice(0, 700), files / "half.parquet")
    run = steepest.train(recipe(files, select="x > -1", variations=variations), tmp_path / "run")
    metrics = run.metrics
    assert metrics is not None
    nominal = {one["name"]: one["all"]["yield"] for one in metrics["samples"]}
    found = {
        each["name"]: {one["name"]: one["yield"] / nominal[one["name"]] for one in each["yields"]}
        for each in metrics["variations"]
    }
    x, w = (np.array(half[name]) for name in ("x", "gen"))
    kept, varied = x > -1, w * (1.2 + 0.1 * x)
    rate = varied[kept].sum() / w[kept].sum()
    assert found["up"] == pytest.approx({"signal": 1, "small": 1, "large": rate}, rel=1e-12)
    acceptance = rate * w.sum() / varied.sum()
    assert found["acceptance"]["large"] == pytest.approx(acceptance, rel=1e-12)
    assert found["all"] == pytest.approx(dict.fromkeys(nominal, 2.0), rel=1e-12)
    moved = w[x + 0.5 > -1].sum() / w[kept].sum()
    assert found["shift"]["large"] == pytest.approx(moved, rel=1e-12)
    first = kept[:700]
    expected = (w[:700][first].sum() / w[:700].sum()) / (w[kept].sum() / w.sum())
    assert found["half"]["large"] == pytest.approx(expected, rel=1e-12)
    significance = {each["name"]: each["merits"]["significance"] for each in metrics["variations"]}
    model = metrics["merits"]["model"]["significance"]["value"]
    assert significance["up"]["value"] < model < significance["all"]["value"]
    assert f"{100 * (rate - 1):+.2f} %" in run.report.read_text()


def test_samples_without_weights_vary_about_one(files: Path, tmp_path: Path) -> None:
    table = recipe(files, variations=[{"name": "up", "weight": "1.5", "sample": "small"}])
    for sample in table["events"]["samples"]:
        del sample["weight"]
    metrics = steepest.train(table, tmp_path / "run").metrics
    assert metrics is not None
    (up,) = metrics["variations"]
    of_small = next(one["yield"] for one in up["yields"] if one["name"] == "small")
    assert of_small == pytest.approx(1.5 * 5.0 * 100 * 1000, rel=1e-12)


@pytest.mark.parametrize(
    ("sigma", "given", "variation", "said"),
    [
        (None, None, {"weight": "x", "sum_of_weights": "x"}, "samples that have a cross_section"),
        (1.0, 12.5, {"path": "other.parquet"}, "the number that the sample has is of its own"),
    ],
)
def test_sums_of_variations_that_mean_nothing(sigma, given, variation, said) -> None:
    sample = {"name": "s", "path": "s.parquet", "label": 1}
    sample |= {key: of for key, of in (("cross_section", sigma), ("sum_of_weights", given)) if of}
    other = {"name": "b", "path": "b.parquet"}
    table = {"samples": [sample, other], "variations": [{"name": "v", "sample": "s", **variation}]}
    with pytest.raises(RecipeError, match=said):
        Recipe.from_dict({"events": table})


def test_a_linear_baseline_that_cannot_be_fitted_hinders_nothing(tmp_path: Path) -> None:
    """With the weights negative where x is far out, Σw(x − mean)² is below zero."""
    random = np.random.default_rng(6)
    x = np.concatenate([random.normal(0, 0.1, 300), random.choice([-10.0, 10.0], 100)])
    weight = np.repeat([1.0, -0.5], [300, 100])
    order = random.permutation(400)
    columns = {"x": x, "w": weight, "y": random.integers(0, 2, 400), "n": np.arange(400)}
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({name: column[order] for name, column in columns.items()}), path)
    events = {"path": str(path), "label": "y", "features": ["x"], "weight": "w"}
    for split in ({}, {"folds": 2}):
        table = {
            "events": {**events, "split": split},
            "model": {"hidden": [4]},
            "descent": {"epochs": 2, "scaling": "min-max", "learning_rate": 0.01},
        }
        run = steepest.train(table, tmp_path / f"run{len(split)}")
        assert run.metrics is not None
        assert "baseline" not in run.metrics["merits"]
        assert "auc" in run.metrics["merits"]["model"]
        log = ((run.folds or [run])[0].path / "log.txt").read_text()
        assert "There is no linear baseline. The weighted variance of feature 'x'" in log
