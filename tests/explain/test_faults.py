"""Faults of networks and events: each is named first or second, and healthy runs have none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
from explained_runs import TABLE, trained
from samples import make_events
from steepest.errors import InputError, RunFolderError
from steepest.events import Sample
from steepest.explain import Explanation, explain_run
from steepest.explain.data import label_noise
from steepest.explain.findings import Finding, Trial
from steepest.folder import RunFolder
from steepest.folder.manifest import sealed
from steepest.recipe import Recipe
from steepest.training import TrainingCallback


def causes(run: Path, try_fixes: bool = True) -> list[str]:
    return [one.cause for one in explain_run(run, try_fixes=try_fixes).findings]


@pytest.mark.slow
def test_a_healthy_network_has_nothing_wrong(tmp_path: Path):
    found = explain_run(trained(tmp_path))
    assert not [one for one in found.findings if one.severity == "wrong"]
    saved = json.loads((tmp_path / "run" / "explanation.json").read_text())
    assert (saved["format"], saved["version"]) == ("steepest-explanation", 1)
    assert saved["verdict"] == found.verdict
    assert {check["check"] for check in saved["checks"]} >= {"scaling", "events"}


def test_a_rate_that_is_too_large_for_adam(tmp_path: Path):
    assert causes(trained(tmp_path, learning_rate=3.0, schedule="constant"))[0] in (
        "learning-rate-too-large",
        "dead-units",
    )


@pytest.mark.slow
def test_a_rate_that_is_too_small(tmp_path: Path):
    assert causes(trained(tmp_path, learning_rate=1e-6))[0] in (
        "learning-rate-too-small",
        "too-few-steps",
    )


@pytest.mark.slow
def test_inputs_that_are_not_scaled(tmp_path: Path):
    assert "features-unscaled" in causes(trained(tmp_path, scaling="none"))[:2]


@pytest.mark.slow
def test_too_much_l2(tmp_path: Path):
    assert causes(trained(tmp_path, l2=0.5))[0] == "too-much-l2"


@pytest.mark.slow
def test_a_feature_made_from_the_label(tmp_path: Path):
    table = {**TABLE, "derived": TABLE["is_top"] + 0.01 * TABLE["ratio"]}
    run = trained(tmp_path, table, events={"features": ["pt", "mass", "derived"]})
    found = explain_run(run, try_fixes=False)
    assert found.findings[0].cause == "leak"
    assert "derived" in found.verdict


@pytest.mark.slow
def test_labels_without_information(tmp_path: Path):
    labels = np.random.default_rng(1).permutation(TABLE["is_top"])
    assert causes(trained(tmp_path, {**TABLE, "is_top": labels}, epochs=8))[0] == "no-information"


@pytest.mark.slow
def test_weights_that_few_events_have(tmp_path: Path):
    weights = np.ones(len(TABLE["pt"]))
    weights[::150] = 1e5
    events = {"weight": "weight", "train_weights": "as-given"}
    run = trained(tmp_path, {**TABLE, "weight": weights}, events=events)
    found = explain_run(run)
    assert found.findings[0].cause == "few-heavy-weights"
    assert found.findings[0].trial is not None
    assert found.recipe is not None
    assert found.recipe.events.train_weights == "1"


def overlapping(shuffled: float, events: int = 2_000) -> Sample:
    """Two classes that overlap, so many of whose labels are drawn anew."""
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, events)
    features = random.normal(size=(events, 3)) + 1.2 * labels[:, None]
    rows = random.random(events) < shuffled
    labels[rows] = random.permutation(labels[rows])
    return Sample(features, labels, task="binary", classes=("0", "1"), names=("a", "b", "c"))


def test_random_labels_are_told_from_overlapping_classes():
    assert label_noise(overlapping(0.0))[0] == 0
    share, error = label_noise(overlapping(0.4))
    assert abs(share - 0.4) < max(3 * error, 0.12)


def test_suspicions_are_not_findings_unless_tried(tmp_path: Path):
    found = explain_run(trained(tmp_path, learning_rate=1e-6), try_fixes=False)
    assert not found.findings
    assert "learning-rate" in {check.name for check in found.checks if not check.passed}


@pytest.mark.slow
def test_the_mended_recipe_can_be_written_and_is_better(tmp_path: Path):
    from steepest.explain import write_mended

    run = trained(tmp_path, learning_rate=1e-6)
    write_mended(explain_run(run), tmp_path / "better.toml")
    better = steepest.train(tmp_path / "better.toml", tmp_path / "better", progress=False)
    before = steepest.Run(run).metrics
    assert before is not None
    assert better.metrics is not None
    assert better.metrics["losses"]["validation"] < 0.8 * before["losses"]["validation"]
    with pytest.raises(InputError, match="is there already"):
        write_mended(explain_run(run, try_fixes=False), tmp_path / "better.toml")


def explained(*findings: Finding, recipe: Recipe, interrupted: bool = False) -> Explanation:
    return Explanation("run", "", findings, (), None, recipe, interrupted)


def test_the_change_that_ended_lowest_is_the_best(tmp_path: Path):
    from steepest.explain import write_mended

    recipe = Recipe.from_dict({"events": {"path": "embedded:top-jets", "label": "is_top"}})
    said = ("cause", "title", "seen", "why", "do")
    first, second, third = (
        Finding(*said, change={"descent.l2": l2}, trial=replace(trial(1.0, after), training=(1, 0)))
        for l2, after in ((0.1, 0.5), (0.2, 0.2), (0.3, 1.1))
    )
    untried = Finding(*said, change={"descent.l2": 0.4}, severity="wrong")
    assert explained(first, second, third, untried, recipe=recipe).best is second
    fact = replace(first, fact=True)
    assert explained(fact, second, recipe=recipe).best is fact
    for findings, interrupted, why in (
        ((untried,), False, "No change was tried, nothing is written."),
        ((third,), False, "No change that was tried helped, nothing is written."),
        ((first,), True, "The trials were interrupted, nothing is written."),
    ):
        one = explained(*findings, recipe=recipe, interrupted=interrupted)
        assert write_mended(one, tmp_path / "new.toml") == why
        assert not (tmp_path / "new.toml").exists()
    assert write_mended(explained(first, recipe=recipe), tmp_path / "new.toml") == ""
    assert (tmp_path / "new.toml").exists()


def test_a_guessed_cause_gives_way_to_the_measured_one():
    from steepest.report.page import _warnings

    metrics = {"warnings": ["Is worse. Likely cause: few events.", "Another."]}
    assert _warnings(metrics, None) == metrics["warnings"]
    assert _warnings(metrics, {"verdict": "η is too large."}) == [
        "Is worse. Measured: η is too large.",
        "Another.",
    ]


def test_the_report_and_python_show_it(tmp_path: Path):
    run = steepest.Run(trained(tmp_path, learning_rate=1e-6))
    said = str(run.explain(progress=False))
    assert max(map(len, said.splitlines())) <= 80
    assert "Why it went so" in run.report.read_text()


def test_runs_that_cannot_be_explained(tmp_path: Path):
    with pytest.raises(RunFolderError, match="There is no run"):
        explain_run(tmp_path)
    run = trained(tmp_path, epochs=2)
    with RunFolder(run).locked():
        (run / "path.safetensors").unlink()
    with pytest.raises(RunFolderError, match="no path of θ to explain"):
        explain_run(run)
    (tmp_path / "run" / "model" / "config.json").unlink()
    with pytest.raises(RunFolderError, match="config"):
        explain_run(run)


@pytest.mark.parametrize("method", ["newton", "exact"])
def test_minima_that_were_computed(tmp_path: Path, method: str):
    table = {k: v for k, v in TABLE.items() if method == "newton" or k != "is_top"}
    if method == "exact":
        table["is_top"] = TABLE["mass"] + TABLE["pt"]  # a value to regress on
    events = {"features": ["pt", "ratio"]}
    found = explain_run(trained(tmp_path, table, hidden=[], method=method, events=events))
    assert not [one for one in found.findings if one.severity == "wrong"]
    said = {one.name: one for one in found.checks}
    assert said["minimum"].passed
    assert "needs none" in said["learning rate"].sentence
    assert "from nan" not in found.verdict


@pytest.mark.slow
def test_a_network_that_sits_at_guessing_is_named(tmp_path: Path):
    """η = 0.06 in a deep network: AUC 0.5."""
    run = trained(tmp_path, hidden=[32] * 8, learning_rate=0.06, schedule="constant", epochs=30,
                  keep="last", batch_size=16)  # fmt: skip
    metrics = steepest.Run(run).metrics
    assert metrics is not None
    assert metrics["merits"]["model"]["auc"]["value"] == pytest.approx(0.5, abs=0.02)
    first = explain_run(run, try_fixes=False).findings[0]
    assert (first.cause, first.severity) == ("learning-rate-too-large", "wrong")
    assert "where a constant has" in first.title


def test_an_interrupt_while_a_fix_is_tried_keeps_what_was_measured(tmp_path: Path):
    class Impatient(TrainingCallback):
        def stage(self, name: str, total: int | None = None) -> None:
            if name.startswith("Trying"):
                self.interrupted = True

    run = trained(tmp_path, learning_rate=1e-6)
    found = explain_run(run, callback=Impatient())
    assert found.measured.sharpness
    assert any("nterrupted" in one.sentence for one in found.checks)
    assert (run / "explanation.json").exists()


@pytest.mark.slow
def test_folds_are_explained_one_by_one(tmp_path: Path):
    folds = {"split": {"folds": 2, "validation": 0.2}}
    run = trained(tmp_path, epochs=2, events=folds)
    with pytest.raises(InputError, match="has folds"):
        explain_run(run)
    assert explain_run(run / "folds" / "0", try_fixes=False).verdict


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "One of RUN and --before is needed"),
        (["run", "--before", "recipe.toml"], "One of RUN and --before is needed"),
        (["--before", "recipe.toml", "--write", "new.toml"], "--before tries no change"),
        (["run", "--write", "nowhere/better.toml"], "is in no folder that exists"),
        (["run"], "There is no run"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from typer.testing import CliRunner

    from steepest.cli.app import app

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert result.exit_code not in (0, None)
    assert said in result.stderr


def test_events_that_changed_are_refused(tmp_path: Path):
    run = trained(tmp_path, epochs=2)
    pl.DataFrame(make_events(900, seed=6)).write_parquet(tmp_path / "events.parquet")
    with pytest.raises(RunFolderError, match="have changed"):
        explain_run(run)


def trial(before: float, after: float, error: float = 0.01) -> Trial:
    return Trial("validation", 100, before, after, error, scale=0.4, steps=10, rate=0.1)


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [(0.5, 0.4, "wrong"), (0.5, 0.475, "better"), (0.5, 0.49, None), (0.5, 0.6, None),
     (np.inf, 0.4, "wrong"), (0.5, np.inf, None), (np.inf, np.inf, None)],
)  # fmt: skip
def test_what_a_trial_proves(before: float, after: float, severity: str | None):
    assert trial(before, after).severity == severity
    finding = Finding("x", "X.", "", "", "", change={"a": 1}, suspected=True)
    assert finding.with_trial(trial(before, after)).severity == (severity or "note")


def test_a_run_that_still_goes_on_is_explained_by_its_losses(tmp_path: Path):
    run = trained(tmp_path, epochs=3)
    (run / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match="has no metrics"):
        explain_run(run)
    with RunFolder(run).locked():
        (run / "live").mkdir(exist_ok=True)
        (run / "live" / "progress.json").write_text(json.dumps(sealed({"step": 3})))
        found = steepest.Run(run).explain(progress=False)
    assert "still going on" in found.verdict
    assert found.best is None
    assert {"curvature", "fixes"} <= {one.name for one in found.checks if not one.passed}
    assert not (run / "explanation.json").exists()


def test_a_run_without_metrics_json_is_an_error_that_says_so(tmp_path: Path):
    run = trained(tmp_path, epochs=2, learning_rate=0.01)
    (run / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match=r"metrics\.json"):
        explain_run(run, try_fixes=False)
