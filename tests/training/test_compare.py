"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import steepest
from steepest.comparison.differences import (
    independent_differences,
    merits_of,
    paired_differences,
)
from steepest.errors import InputError, RunFolderError
from steepest.evaluate import auc_difference
from steepest.events import Sample
from steepest.recipe import EvaluateRecipe
from steepest.training.scored import Scored


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[steepest.Run]:
    from samples import make_events, small_recipe

    folder = tmp_path_factory.mktemp("compare")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(make_events(4000)), folder / "events.parquet")
    recipe = small_recipe(folder / "events.parquet")
    first = steepest.train(recipe, folder / "first", progress=False)
    fewer = {**recipe, "events": {**recipe["events"], "features": ["pt", "ratio"]}}
    second = steepest.train(fewer, folder / "fewer", settings=["descent.epochs=2"], progress=False)
    return [first, second]


def test_what_differs_is_listed(runs: list[steepest.Run]):
    comparison = steepest.compare(*runs)
    assert comparison.names == ("first", "fewer")
    assert set(comparison.settings) == {"events.features", "descent.epochs"}
    assert comparison.settings["descent.epochs"] == (4, 2)
    for name, merits in comparison.merits.items():
        assert runs[0].metrics is not None
        assert merits[0].value == runs[0].metrics["merits"]["model"][name]["value"]


def test_a_difference_of_areas_is_that_of_the_exact_formula(runs: list[steepest.Run]):
    comparison = steepest.compare(*runs)
    assert comparison.same_events
    labels, first, weights = comparison.scored[0].columns
    exact = auc_difference(labels, comparison.scored[1].predictions, first, weights)
    (found,) = comparison.differences["auc"]
    assert (found.value, found.uncertainty) == (exact.value, exact.uncertainty)
    assert found.method == "DeLong"
    assert found.standard_deviations == found.value / found.uncertainty < -3
    (accuracy,) = comparison.differences["accuracy"]
    assert accuracy.method == "jackknife"
    one, two = comparison.merits["accuracy"]
    assert 0 < accuracy.uncertainty < np.hypot(one.uncertainty, two.uncertainty)


def _scored(random: np.random.Generator, other: float) -> tuple[Scored, Scored]:
    """Two classifiers of equal power, whose scores are correlated, on weighted events."""
    y = random.integers(0, 2, 400)
    w = random.uniform(0.5, 2.0, 400)
    shared = random.normal(y, 1.0)
    model = SimpleNamespace(task="binary", classes=("0", "1"), heads=(), unit=None)
    pair = (shared + random.normal(0.0, other, 400) for _ in range(2))
    events = Sample(np.empty((400, 0)), y, w)
    one, two = (Scored(model, events, 1 / (1 + np.exp(-z))) for z in pair)  # type: ignore[arg-type]
    return one, two


@pytest.mark.parametrize(("toys", "some"), [
    (300, 8), pytest.param(300, 40, marks=pytest.mark.slow)
])  # fmt: skip
def test_differences_of_toys_are_as_wide_as_they_are_said_to_be(toys: int, some: int):
    """Pulls of n toys without a difference: mean 0 ± 1/√n, width 1 ± 1/√2n."""
    random, recipe = np.random.default_rng(1), EvaluateRecipe(signal_efficiencies=(0.5,))
    areas, separate, jackknife = [], [], []
    for toy in range(toys):
        pair = _scored(random, 0.5)
        (labels, first, weights), (_, other, _) = (each.columns for each in pair)
        less = auc_difference(labels, other, first, weights)
        areas.append(less.value / less.uncertainty)
        if toy < some:
            merits = [merits_of(each, recipe) for each in pair]
            found = paired_differences(pair, merits, recipe)
            assert found["auc"][0].uncertainty == less.uncertainty
            jackknife.append([found[n][0].standard_deviations
                              for n in ("accuracy", "binary_cross_entropy")])  # fmt: skip
            separate.append(independent_differences(merits)["auc"][0].standard_deviations)
    assert abs(np.mean(areas)) < 3 / np.sqrt(toys)
    assert np.std(areas) == pytest.approx(1.0, abs=3 / np.sqrt(2 * toys))
    assert np.std(jackknife, axis=0) == pytest.approx([1.0, 1.0], abs=3 / np.sqrt(2 * some))
    assert np.std(separate) < 0.7  # what takes the same events for different ones is too wide


def test_a_run_is_itself(runs: list[steepest.Run]):
    comparison = steepest.compare(runs[0], runs[0])
    assert comparison.settings == {}
    for name, (merit, _) in comparison.merits.items():
        (found,) = comparison.differences[name]
        assert found.value == 0.0 or not np.isfinite(merit.value)
        # a rejection may be infinite in a part
        assert found.uncertainty == 0.0 or not np.isfinite(found.uncertainty)
    assert comparison.names == (str(runs[0].path), str(runs[0].path))
    assert ["AUC", "0"] in comparison.difference_rows()


def test_other_events_have_independent_uncertainties(runs: list[steepest.Run], tmp_path: Path):
    other = steepest.train(
        runs[0].recipe, tmp_path / "other", settings=["events.split.seed=7"], progress=False
    )
    comparison = steepest.compare(runs[0], other)
    assert not comparison.same_events
    one, two = comparison.merits["auc"]
    (found,) = comparison.differences["auc"]
    assert found.uncertainty == pytest.approx(np.hypot(one.uncertainty, two.uncertainty))
    assert found.method == "independent"


def test_the_command(runs: list[steepest.Run], tmp_path: Path, capsys, monkeypatch):
    from steepest.cli import main

    def said(*options: str) -> str:
        paths = [str(run.path) for run in runs]
        monkeypatch.setattr("sys.argv", ["steepest", "compare", *paths, *options])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    table = said("--figure", str(tmp_path / "both.png"))
    assert "descent.epochs" in table
    assert "All runs are tested on the same events." in table
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    drawn = json.loads((tmp_path / "both.json").read_text())
    assert drawn["runs"] == ["first", "fewer"]
    assert [len(each["values"]) for each in drawn["losses"]] == [4, 2]
    assert len(drawn["roc"]) == 2
    numbers = json.loads(said("--json"))
    assert numbers["format"] == "steepest-comparison"
    assert numbers["merits"]["auc"]["differences"][0]["standard_deviations"] < -3
    html = steepest.compare(runs)._repr_html_()  # a list of runs, too
    assert "<td>descent.epochs</td>" in html
    assert "1/ε<sub>B</sub> (ε<sub>S</sub> = 0.3)" in html


def test_numbers_of_many_runs_are_not_wrapped(runs: list[steepest.Run], capsys):
    from steepest.terminal import show_comparison

    comparison = steepest.compare(*runs, *runs, progress=False)
    for row in (*comparison.rows(), *comparison.difference_rows()):
        assert all(cell in str(comparison) for cell in row)
    show_comparison(comparison)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("1/ε_B (ε_S = 0.5)" in line for line in lines)
    for merit in (*comparison.merits["auc"], *comparison.merits["background_rejection_at_0.5"]):
        assert any(merit.format() in line for line in lines)


def test_runs_that_cannot_be_compared(runs: list[steepest.Run], tmp_path: Path):
    with pytest.raises(InputError, match="needs two runs"):
        steepest.compare(runs[0])
    settings = ['events.label="mass"', 'events.features=["pt"]']
    other = steepest.train(runs[0].recipe, tmp_path / "mass", settings=settings, progress=False)
    with pytest.raises(InputError, match="cannot be compared"):
        steepest.compare(runs[0], other)


def test_long_settings_leave_room_for_names_and_numbers(runs: list[steepest.Run], tmp_path: Path):
    table = runs[0].recipe.with_settings([f"events.select={' AND '.join(['pt > 500'] * 30)}"])
    other = steepest.train(table, tmp_path / "run")
    printed = steepest.compare(runs[0], other, progress=False).rows()
    (row,) = [row for row in printed if row[0] == "events.select"]
    assert row[1] == "left out"
    assert row[2].startswith("pt > 500 AND ")
    assert all(len(cell) <= 24 for cells in printed[1:] for cell in cells[1:])


def test_equal_labels_of_other_rows_are_other_events(runs: list[steepest.Run], tmp_path: Path):
    """A file of the same labels and weights, but of other events."""
    import polars as pl

    path = runs[0].recipe.events.paths[0]
    pl.read_parquet(path).with_columns(pt=pl.col("pt") + 1).write_parquet(
        tmp_path / "other.parquet"
    )
    other = steepest.train(
        runs[0].recipe, tmp_path / "run", settings=[f"events.path={tmp_path / 'other.parquet'}"],
        progress=False,
    )  # fmt: skip
    comparison = steepest.compare(runs[0], other)
    one, two = (scored.events for scored in comparison.scored)
    assert np.array_equal(one.labels, two.labels)
    assert not comparison.same_events


def test_folds_are_compared_on_all_their_events(runs: list[steepest.Run], tmp_path: Path):
    table = runs[0].recipe.to_dict()

    def folded(name: str, folds: int) -> steepest.Run:
        table["events"]["split"] = {"folds": folds, "validation": 0.2, "by": "event_number"}
        return steepest.train(table, tmp_path / name, settings=["descent.epochs=1"], progress=False)

    two, three = folded("two", 2), folded("three", 3)
    comparison = steepest.compare(two, three)
    assert comparison.same_events  # in another order
    assert two.metrics is not None
    assert len(comparison.scored[0].events) == two.metrics["parts"]["test"]["events"]
    for merit, run in zip(comparison.merits["auc"], (two, three), strict=True):
        assert run.metrics is not None
        assert merit.value == pytest.approx(run.metrics["merits"]["model"]["auc"]["value"])
    assert len(comparison.figure_numbers()["losses"]) == 5
    assert not steepest.compare(runs[0], two).same_events
    (two.path / "folds" / "0" / "metrics.json").unlink()
    (two.path / "folds" / "1" / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match="No fold of the run"):
        steepest.compare(two, three)


@pytest.mark.parametrize(
    ("settings", "panel"),
    [(['events.label="kind"'], "areas"), (['events.label="mass"'], "residuals")],
)
def test_figures_of_other_tasks(runs: list[steepest.Run], settings, panel, tmp_path: Path):
    settings = [*settings, 'events.features=["pt","ratio"]', "descent.epochs=1"]
    one, two = (
        steepest.train(runs[0].recipe, tmp_path / name, settings=[*settings, seed], progress=False)
        for name, seed in (("one", "descent.seed=1"), ("two", "descent.seed=2"))
    )
    comparison = steepest.compare(one, two)
    numbers = json.loads(json.dumps(comparison.figure_numbers()))
    assert {"runs", panel, "losses"} <= set(numbers)
    left, right = comparison.figure().axes
    assert {text.get_text() for text in left.get_legend().get_texts()} == {"one", "two"}
    assert right.get_xlabel() == "Epoch"
    if panel == "areas":
        (found,) = comparison.differences["auc_top"]
        labels, first, weights = comparison.scored[0].columns
        top = comparison.scored[0].model.classes.index("top")
        exact = auc_difference(
            labels == top, comparison.scored[1].predictions[:, top], first[:, top], weights
        )
        assert (found.value, found.uncertainty) == (exact.value, exact.uncertainty)


@pytest.mark.slow
def test_rows_of_one_event_are_left_out_together(tmp_path: Path):
    """Each event has four jets that are copies: the error is that of a quarter of the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(2)
    y = random.integers(0, 2, 1500)
    columns = {"y": y, "x": random.normal(y, 1.0), "z": random.normal(0.6 * y, 1.0)}
    copies = {f"Jet_{name}": pa.array(np.repeat(v[:, None], 4, axis=1).tolist())
              for name, v in columns.items()}  # fmt: skip
    pq.write_table(pa.table(copies), tmp_path / "jets.parquet")
    runs = [
        steepest.train(
            {"events": {"path": str(tmp_path / "jets.parquet"), "explode": "Jet",
                        "label": "Jet_y", "features": [feature]},
             "model": {"hidden": []}, "evaluate": {"baseline": False}},
            tmp_path / feature, progress=False,
        )
        for feature in ("Jet_x", "Jet_z")
    ]  # fmt: skip
    comparison = steepest.compare(*runs, progress=False)
    assert comparison.same_events
    (found,) = comparison.differences["auc"]
    assert found.method == "jackknife"
    labels, first, weights = comparison.scored[0].columns
    of_rows = auc_difference(labels, comparison.scored[1].predictions, first, weights)
    assert found.value == pytest.approx(of_rows.value)
    assert found.uncertainty == pytest.approx(2 * of_rows.uncertainty, rel=0.35)
