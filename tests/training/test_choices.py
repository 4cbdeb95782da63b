"""What is chosen on the validation part and quoted on the test part: cuts, bins, pulls."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import steepest
from steepest import evaluate
from steepest.evaluate import BinnedMerits, Experiment
from steepest.events import load_sample

PT = {"column": "pt", "edges": [550, 600, 650]}
SIGNIFICANCE = {"signal": 100, "background": 1000, "background_uncertainty": 0.1}


@pytest.fixture
def train(recipe_table: dict, tmp_path: Path):
    """Train with a table of [evaluate], on mass and ratio alone."""

    def trained(evaluate_table: dict, **events) -> steepest.Run:
        recipe_table["events"] |= {"features": ["mass", "ratio"], **events}
        recipe_table["evaluate"] = {"baseline": "significance" in evaluate_table, **evaluate_table}
        return steepest.train(recipe_table, tmp_path / "run")

    return trained


def said(run: steepest.Run) -> str:
    return (run.path / "log.txt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("drawn")
def test_cuts_come_from_validation_and_results_from_test(train):
    run = train({"bins": PT, "significance": SIGNIFICANCE, "working_point": 0.7})
    metrics = run.metrics
    sample = load_sample(run.recipe.events, extra=["pt"])
    validation, test = sample.of("validation"), sample.of("test")
    scores = run.predict(validation.features)
    roc = evaluate.roc_curve(validation.labels, scores, validation.weights)
    experiment = Experiment(**SIGNIFICANCE)
    cut = evaluate.best_cut(evaluate.significance_scan(roc, experiment))
    assert metrics["chosen"] == {
        "part": "validation",
        "working_point": {"signal_efficiency": 0.7, "threshold": evaluate.cut_at(roc, 0.7)},
        "significance": {"threshold": cut},
        "resolution": None,
        "resolution_error": None,
    }
    scores = run.predict(test.features)
    merit = evaluate.significance_at(test.labels, scores, cut, experiment, test.weights)
    assert metrics["merits"]["model"]["significance"] == merit.to_json()
    assert metrics["merits"]["baseline"]["significance"]["value"] > 0
    binned = evaluate.efficiency_in_bins(
        test.labels, scores, test.extra["pt"], PT["edges"], evaluate.cut_at(roc, 0.7),
        test.weights, "pt",
    )  # fmt: skip
    assert metrics["bins"] == [{**binned.to_json(), "figure": "bins-pt"}]
    figures = {file.stem for file in (run.path / "figures").glob("*.json")}
    assert figures == {
        "bins-pt", "calibration", "descent", "features", "roc", "scores", "significance",
    }  # fmt: skip
    assert figures == {file.stem for file in (run.path / "figures").glob("*.png")}
    page = re.sub(r"base64,[^\"]*", "", run.report.read_text(encoding="utf-8"))
    for expected in (
        "In bins of pt",
        "550 – 600",
        binned.merits["signal_efficiency"][0].format(),
        "The cut at the working point, of the figures in bins, and the cut of the significance "
        "were chosen on the validation part.",
        "significance Z",
        "in bins of pt, with 68.27 % intervals",
        "Expected (Asimov) significance",
    ):
        assert expected in page
    again = run.evaluate()
    for key in ("chosen", "bins"):
        assert again[key] == metrics[key]
    assert again["merits"]["model"] == metrics["merits"]["model"]
    everything = run.evaluate(run.recipe.events.path)
    assert everything["chosen"] == metrics["chosen"]
    assert everything["merits"]["model"]["significance"]["counts"]["threshold"] == cut
    events = BinnedMerits.from_json(everything["bins"][0]).merits["signal_efficiency"]
    assert sum(m.counts["events"] for m in events) == (sample.labels == 1).sum()


def test_each_curve_is_computed_once(train, monkeypatch: pytest.MonkeyPatch):
    """Of model and baseline, on the part that chooses and on the one that is evaluated."""
    computed: list[tuple] = []

    def counted(function):
        def call(labels, scores, *arguments, **options):
            computed.append((function.__name__, np.asarray(scores)[:].tobytes()))
            return function(labels, scores, *arguments, **options)

        return call

    for name in ("roc_curve", "binary_merits", "calibration_curve", "significance_at"):
        monkeypatch.setattr(evaluate, name, counted(getattr(evaluate, name)))
    train({"bins": PT, "significance": SIGNIFICANCE})
    assert len(computed) == len(set(computed))
    names = [name for name, _ in computed]
    assert names.count("roc_curve") == 4
    assert names.count("binary_merits") == names.count("calibration_curve") == 2


def test_without_validation_part_the_training_part_chooses(train):
    run = train({"bins": PT}, split={"validation": 0.0, "test": 0.4})
    assert run.metrics["chosen"]["part"] == "train"
    assert (
        "There is no validation part besides the evaluated one: cuts are chosen on the train part."
    ) in said(run)


def test_without_test_part_the_training_part_chooses(train):
    run = train({"significance": SIGNIFICANCE}, split={"validation": 0.4, "test": 0.0})
    assert (run.metrics["part"], run.metrics["chosen"]["part"]) == ("validation", "train")
    assert "cuts are chosen on the train part." in said(run)


def test_with_a_training_part_alone_it_is_said_that_results_are_too_good(train):
    run = train({"bins": PT, "significance": SIGNIFICANCE}, split={"validation": 0.0, "test": 0.0})
    assert (
        "cuts are chosen on the train part, the evaluated events themselves: what rests on them "
        "is too good."
    ) in said(run)
    page = run.report.read_text(encoding="utf-8")
    assert "on the train part: the evaluated events themselves, for want of others." in page


def test_too_few_background_events_to_choose_a_cut(train):
    run = train({"significance": SIGNIFICANCE}, split={"validation": 0.008, "test": 0.2})
    merit = run.metrics["merits"]["model"]["significance"]
    assert merit["value"] is None
    assert merit["reason"] == (
        "no cut can be chosen on the validation part: fewer than ten effective background events"
    )
    assert not (run.path / "figures" / "significance.png").exists()


def test_several_classes(train):
    run = train({"bins": [PT, PT], "significance": SIGNIFICANCE}, label="kind")
    assert "evaluate.significance is for two classes, and is left out." in said(run)
    assert "significance" not in run.metrics["merits"]["model"]
    assert [entry["figure"] for entry in run.metrics["bins"]] == ["bins-pt", "bins-pt-2"]
    assert list(run.metrics["bins"][0]["merits"]) == [
        "efficiency_qcd", "efficiency_top", "efficiency_w",
    ]  # fmt: skip
    assert run.metrics["merits"]["model"]["calibration_error"]["high"] > 0
    figures = {file.stem for file in (run.path / "figures").glob("*.png")}
    assert figures >= {"bins-pt", "bins-pt-2", "calibration", "confusion", "roc-classes"}


def test_regression_has_pulls_by_the_resolution_of_the_validation_part(train):
    ratio = {"column": "abs(mass - 100)", "edges": [0, 30, 60, 1000, 2000]}
    run = train({"bins": ratio}, label="mass", features=["ratio", "is_top"])
    metrics = run.metrics
    sample = load_sample(run.recipe.events, extra=["abs(mass - 100)"])
    parts = {name: sample.of(name) for name in ("validation", "test")}
    place, residual = {}, {}
    for name, part in parts.items():
        place[name] = np.digitize(np.abs(part.labels - 100), [0, 30, 60, 1000]) - 1
        residual[name] = run.predict(part.features) - part.labels
    resolution, errors = [], []
    for index in range(3):
        inside = place["validation"] == index
        part = parts["validation"]
        merit = evaluate.regression_merits(
            np.zeros(inside.sum()), residual["validation"][inside], part.weights[inside]
        )["resolution"]
        resolution.append(merit.value)
        errors.append(merit.uncertainty / merit.value)
    assert metrics["chosen"]["resolution"][0] == [*map(pytest.approx, resolution), None]
    pulls = residual["test"] / np.array(resolution)[place["test"]]
    shared = place["test"], errors
    expected = evaluate.pull_merits(pulls, parts["test"].weights, shared=shared)
    for name, merit in expected.items():
        assert metrics["bins"][0]["pulls"][name]["value"] == pytest.approx(merit.value)
    figures = {file.stem for file in (run.path / "figures").glob("*.png")}
    assert figures >= {"bins-abs-mass-100", "pulls-abs-mass-100"}
    page = run.report.read_text(encoding="utf-8")
    assert "The resolution of the pulls was measured on the validation part." in page
    assert f"pull width: {expected['pull_width'].format()}" in page


def test_bins_without_events(train):
    run = train({"bins": {"column": "pt", "edges": [0, 1]}}, label="mass", features=["ratio"])
    assert run.metrics["bins"][0]["pulls"] is None
    assert not (run.path / "figures" / "pulls-pt.png").exists()
