"""The figures of a run, drawn again from its folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import steepest
from steepest.errors import RunFolderError
from steepest.evaluate import figures
from steepest.terminal import table_of_merits

BINS = {"column": "pt", "edges": [550.0, 600.0, 650.0]}
TASKS = {
    "binary": {
        "evaluate": {
            "bins": [BINS],
            "significance": {"signal": 100.0, "background": 1000.0},
        }
    },
    "multiclass": {"events": {"label": "kind"}, "evaluate": {"bins": [BINS]}},
    "regression": {
        "events": {"label": "mass", "features": ["pt", "ratio"]},
        "evaluate": {"bins": [BINS]},
    },
}
RESULT = {
    "binary": "ROC curve",
    "multiclass": "ROC curves of the classes",
    "regression": "Residuals",
}


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def run_of(task: str, table: dict, path: Path) -> steepest.Run:
    for room, keys in TASKS[task].items():
        table[room] = {**table.get(room, {}), **keys}
    return steepest.train(table, path)


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("task", [
    "binary", *(pytest.param(t, marks=pytest.mark.slow) for t in TASKS if t != "binary")
])  # fmt: skip
def test_each_figure_of_the_report_is_drawn_again_with_the_same_bytes(
    task: str, recipe_table: dict, tmp_path: Path
):
    run = run_of(task, recipe_table, tmp_path / "run")
    drawn = sorted(path.stem for path in (run.path / "figures").glob("*.png"))
    assert list(run.plot.names) == drawn
    merit = next(iter(table_of_merits(run.metrics or {})[1]))[1]
    shown = run._repr_html_()
    assert f"<td>{merit}</td>" in shown
    assert re.findall(r'alt="([^"]+)"', shown) == ["Loss and learning rate", RESULT[task]]
    for name in drawn:
        how = run._folder.drawings[name]
        draw = figures.drawn_again(how["function"], run._folder.figure(name), how["options"])
        assert figures.rendered(draw()) == (run.path / "figures" / f"{name}.png").read_bytes(), name
        axes = run.plot(name)
        assert np.ravel(axes)[0].has_data()
        plt.close("all")


def test_figures_go_into_axes_that_are_given(recipe_table: dict, tmp_path: Path):
    run = run_of("binary", recipe_table, tmp_path / "run")
    figure, (left, right) = plt.subplots(1, 2)
    assert run.plot.roc(left) is left
    assert left.get_xlabel().startswith("Signal efficiency")
    panels = run.plot.loss(right)
    assert len(panels) == 2
    assert all(panel.figure is figure for panel in panels)
    assert not right.axison
    inside = right.get_position()
    figure.canvas.draw()
    assert all(panel.get_position().x0 >= inside.x0 - 0.02 for panel in panels)
    other = steepest.Run(shutil.copytree(run.path, tmp_path / "other"))
    assert other.plot.roc(left) is left
    names = {text.get_text().partition(":")[0] for text in left.get_legend().get_texts()}
    assert names == {"run", "other", "Random guess"}
    assert list(other.plot.loss(panels)) == list(panels)
    for draw in (run.plot.scores, run.plot.calibration, run.plot.features, run.plot.significance):
        assert np.ravel(draw())[0].has_data()
    assert run.plot.bins("pt")[0].has_data()
    assert run.plot.bins()[0].has_data(), "the only ones"


def test_a_running_descent_has_its_loss_drawn(recipe_table: dict, tmp_path: Path):
    run = run_of("binary", recipe_table, tmp_path / "run")
    (run.path / "metrics.json").unlink()
    (run.path / "figures.json").unlink()
    assert run.plot.loss()[0].get_ylabel() == "Loss"
    assert run.plot.names == ()
    assert "unfinished</b></p>" in run._repr_html_()
    assert 'alt="Loss and learning rate"' in run._repr_html_()
    with pytest.raises(RunFolderError, match="the run is not complete"):
        run.plot.roc()


def test_a_figure_that_the_run_has_not(recipe_table: dict, tmp_path: Path):
    run = run_of("binary", recipe_table, tmp_path / "run")
    with pytest.raises(RunFolderError, match="has no figure 'confusion'"):
        run.plot.confusion()
    with pytest.raises(RunFolderError, match="perhaps 'scores'"):
        run.plot("score")
