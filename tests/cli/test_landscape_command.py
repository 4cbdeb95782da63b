"""``steepest landscape``: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest as package
from samples import make_events


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs that differ by their seed."""
    folder = tmp_path_factory.mktemp("trained")
    pq.write_table(pa.table(make_events()), folder / "events.parquet")
    events = {
        "path": str(folder / "events.parquet"),
        "label": "is_top",
        "features": ["pt", "mass", "ratio"],
    }
    runs = {}
    for seed, name in enumerate(("run", "other")):
        descent = {"epochs": 4, "batch_size": 64, "learning_rate": 0.01, "seed": seed}
        table = {"events": events, "model": {"hidden": [8]}, "descent": descent}
        table["evaluate"] = {"baseline": False}
        runs[name] = package.train(table, folder / name).path
    return runs


@pytest.fixture
def run(trained: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained["run"], tmp_path / "run"))


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
    assert said["options"]["seed"] == 3


def test_another_run_is_an_argument_after_the_first(run: Path, steepest, trained):
    ended = steepest(
        "landscape", run, "--directions", "through", trained["other"], "--points", 9, "--no-page"
    )
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
    from steepest.landscape.figures import page

    monkeypatch.setattr(page, "has_plotly", lambda: False)
    ended = steepest("landscape", run, "--page")
    assert ended.code == 1
    assert "The interactive page needs the package 'plotly'" in ended.err
    assert "pip install 'steepest[landscape]'" in ended.err
    ended = steepest("landscape", run, "-d", "random", "-1", "--points", 5, "--events", 100)
    assert ended.code == 0
    assert "No interactive page without Plotly" in ended.err


def test_the_page_is_written_where_plotly_is(run: Path, steepest):
    pytest.importorskip("plotly")
    ended = steepest("landscape", run, "-d", "random", "-1", "--points", 5, "--page")
    assert ended.code == 0, ended.err
    page = (run / "landscape" / "random-line" / "landscape.html").read_text(encoding="utf-8")
    assert "Loss landscape of run" in page


def test_help_teaches(steepest):
    ended = steepest("landscape", "--help")
    assert ended.code == 0
    for word in ("random", "principal", "hessian", "through", "parameters", "true loss"):
        assert word in ended.out
