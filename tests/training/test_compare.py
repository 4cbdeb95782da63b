"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import steepest
from steepest.comparison import GROUPS
from steepest.errors import InputError
from steepest.evaluate import auc_difference


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


def test_a_difference_on_the_same_events_is_that_of_the_exact_formula(runs: list[steepest.Run]):
    """The jackknife of 40 groups knows the error to 11 %; DeLong's covariance is exact."""
    comparison = steepest.compare(*runs)
    assert comparison.same_events
    labels, first, weights = comparison.scored[0].columns
    exact = auc_difference(labels, comparison.scored[1].predictions, first, weights)
    ((difference, error, ratio),) = comparison.differences["auc"]
    assert difference == pytest.approx(exact.value, abs=1e-12)
    assert error == pytest.approx(exact.uncertainty, rel=4 / np.sqrt(2 * GROUPS))
    assert ratio == difference / error
    assert ratio < -3


def test_a_run_is_itself(runs: list[steepest.Run]):
    comparison = steepest.compare(runs[0], runs[0])
    assert comparison.settings == {}
    for name, (merit, _) in comparison.merits.items():
        ((difference, error, _),) = comparison.differences[name]
        assert difference == 0.0 or not np.isfinite(merit.value)
        assert error == 0.0 or not np.isfinite(error)  # a rejection may be infinite in a part
    assert comparison.names == (str(runs[0].path), str(runs[0].path))


def test_other_events_have_independent_uncertainties(runs: list[steepest.Run], tmp_path: Path):
    other = steepest.train(
        runs[0].recipe, tmp_path / "other", settings=["events.split.seed=7"], progress=False
    )
    comparison = steepest.compare(runs[0], other)
    assert not comparison.same_events
    one, two = comparison.merits["auc"]
    ((_, error, _),) = comparison.differences["auc"]
    assert error == pytest.approx(np.hypot(one.uncertainty, two.uncertainty))


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
    numbers = json.loads(said("--json"))
    assert numbers["format"] == "steepest-comparison"
    assert numbers["merits"]["auc"]["differences"][0]["standard_deviations"] < -3
    assert "<td>descent.epochs</td>" in steepest.compare(*runs)._repr_html_()


def test_numbers_of_many_runs_are_not_wrapped(runs: list[steepest.Run], capsys):
    from steepest.terminal import show_comparison

    comparison = steepest.compare(*runs, *runs, progress=False)
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
