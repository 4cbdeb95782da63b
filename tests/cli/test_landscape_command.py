"""``steepest landscape``: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import steepest as package


@pytest.fixture
def run(tmp_path: Path, recipe_table: dict) -> Path:
    table = recipe_table | {"evaluate": {"baseline": False}}
    return package.train(table, tmp_path / "run").path


def test_it_prints_what_the_landscape_says_and_where_it_lies(run: Path, steepest):
    ended = steepest("landscape", run, "--points", 9, "--no-page", "--events", 512)
    assert ended.code == 0, ended.err
    for word in ("surface", "9 × 9 points", "path", "of its variance", "true loss", "λmax", "2/η"):
        assert word in " ".join(ended.out.split())
    where = run / "landscape" / "principal"
    assert f"Landscape: {where}" in ended.out
    assert {"contour.png", "relief.pdf", "path.png", "descent.gif"} <= {
        entry.name for entry in where.iterdir()
    }


def test_json_is_what_the_file_holds(run: Path, steepest):
    ended = steepest(
        "landscape", run, "-d", "random", "-1", "--points", 9, "--extent=-0.5,0.5",
        "--name", "line", "--no-page", "--no-animation", "--json", "--seed", 3,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.err == ""
    said = json.loads(ended.out)
    file = run / "landscape" / "line" / "landscape.json"
    assert said == json.loads(file.read_text(encoding="utf-8"))
    assert said["grid"] == [{"low": -0.5, "high": 0.5, "points": 9}]
    assert said["asked"]["seed"] == 3


def test_another_run_is_an_argument_after_the_first(run: Path, steepest, recipe_table: dict):
    table = recipe_table | {"descent": recipe_table["descent"] | {"seed": 1}}
    other = package.train(table, run.parent / "other").path
    ended = steepest("landscape", run, "--directions", "through", other, "--points", 9, "--no-page")
    assert ended.code == 0, ended.err
    assert "between run and other" in " ".join(ended.out.split())
    assert (run / "landscape" / "through-line" / "profile.png").exists()


def test_errors_are_messages(run: Path, steepest):
    ended = steepest("landscape", run, "-d", "parameters", "mass,ratio")
    assert ended.code == 1
    assert ended.err.startswith("steepest: The parameters of a network have no units")
    assert not (run / "landscape").exists()
    assert steepest("landscape", run, "--extent", "wide").code == 2
    assert steepest("landscape", run.parent / "no").code == 1
    assert steepest("landscape").code == 2


def test_without_plotly_the_page_is_an_error_with_the_install_line(
    run: Path, steepest, monkeypatch: pytest.MonkeyPatch
):
    from steepest.landscape import page

    monkeypatch.setattr(page, "has_plotly", lambda: False)
    ended = steepest("landscape", run, "--page")
    assert ended.code == 1
    assert "The interactive page needs the package 'plotly'" in ended.err
    assert "pip install 'steepest[landscape]'" in ended.err
    ended = steepest("landscape", run, "-d", "random", "--points", 5, "--events", 100)
    assert ended.code == 0
    assert "No interactive page without Plotly" in ended.err


def test_the_page_is_written_where_plotly_is(run: Path, steepest):
    pytest.importorskip("plotly")
    ended = steepest("landscape", run, "-d", "random", "--points", 5, "--events", 100, "--page")
    assert ended.code == 0, ended.err
    page = (run / "landscape" / "random" / "landscape.html").read_text(encoding="utf-8")
    assert "Loss landscape of run" in page


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_help_teaches(steepest):
    ended = steepest("landscape", "--help")
    assert ended.code == 0
    for word in ("random", "principal", "hessian", "through", "parameters", "true loss"):
        assert word in ended.out
