"""Figures of several runs in the same axes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from steepest import evaluate
from steepest.errors import InputError
from steepest.evaluate import figures
from steepest.evaluate.figures.style import COLOURS

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.integers(0, 2, 600)
A, B, C = Path("/runs/first"), Path("/runs/second"), Path("/other/first")


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def scores(power: float) -> np.ndarray:
    return 1 / (1 + np.exp(-power * (LABELS + np.random.default_rng(1).normal(size=600) - 0.5)))


def roc(power: float = 2.0) -> Any:
    curve = evaluate.roc_curve(LABELS, scores(power) + 0.01 * power * RANDOM.random(600))
    both = [figures.rejection_curve(curve, name) for name in ("network", "baseline")]
    return partial(figures.roc_figure, both)


def descent(losses: Any) -> Any:
    steps = np.arange(1, len(losses) + 1)
    curves = figures.descent_curves(
        steps, losses, np.full(len(losses), 0.1), steps, losses, kept_step=float(len(losses))
    )
    return partial(figures.descent_figure, curves)


def entries(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def lines(axes: Any) -> list[tuple[str, str]]:
    return [(to_hex(line.get_color()), line.get_label()) for line in axes.lines]


def test_a_second_run_has_the_next_colours_and_the_legend_names_both():
    axes = figures.drawn_into(roc(), None, "roc", A)
    alone = lines(axes), axes.get_ylim()
    assert entries(axes) == ["network", "baseline", "Random guess"]
    assert figures.drawn_into(roc(5.0), axes, "roc", B) is axes
    assert sorted(entries(axes)) == [
        "Random guess",
        *(f"{run}: {name}" for run in ("first", "second") for name in ("baseline", "network")),
    ]
    assert [colour for colour, _ in lines(axes)[: len(alone[0])]] == [c for c, _ in alone[0]]
    curves = [line for line in axes.lines if ": " in line.get_label()]
    assert [to_hex(line.get_color()) for line in curves] == list(COLOURS[:4])
    assert len({line._unscaled_dash_pattern for line in curves}) == 4
    markers = {line.get_marker() for line in axes.lines} - {"None"}
    assert len(markers) == 4
    areas = [to_hex(area.get_facecolor()[0]) for area in axes.collections]
    assert areas == list(COLOURS[:4])


def test_a_run_drawn_again_replaces_its_curves():
    axes = figures.drawn_into(roc(), None, "roc", A)
    alone = lines(axes), axes.get_ylim(), entries(axes)
    figures.drawn_into(roc(), axes, "roc", A)
    assert ([c for c, _ in lines(axes)], entries(axes)) == ([c for c, _ in alone[0]], alone[2])
    figures.drawn_into(roc(), axes, "roc", B)
    figures.drawn_into(roc(), axes, "roc", A)
    assert len(axes.lines) == 2 * (len(alone[0]) - 1) + 1
    axes.clear()
    figures.drawn_into(roc(), axes, "roc", B)
    assert entries(axes) == alone[2], "what was cleared is forgotten"
    assert [c for c, _ in lines(axes)] == [c for c, _ in alone[0]]


def test_names_differ():
    axes = figures.drawn_into(roc(), None, "roc", A)
    figures.drawn_into(roc(), axes, "roc", C)
    assert {"runs/first: network", "other/first: network"} <= set(entries(axes))
    long = [Path(f"/runs/2026-11-30-top-tagging-{name}-with-all-events") for name in "ab"]
    axes = figures.drawn_into(
        roc(), figures.drawn_into(roc(), None, "roc", long[0]), "roc", long[1]
    )
    assert {"…a…: network", "…b…: network"} <= set(entries(axes)), "cut to where they differ"
    axes = figures.drawn_into(roc(), None, "roc", "Classifier")
    for _ in range(3):
        figures.drawn_into(roc(), axes, "roc", "Classifier")
    assert {f"Classifier {n}: network" for n in (1, 2, 3, 4)} <= set(entries(axes))
    curves = [line for line in axes.lines if ": " in line.get_label()]
    looks = {(to_hex(line.get_color()), line._unscaled_dash_pattern) for line in curves}
    assert len(looks) == 8, "colours are used again with other line styles"


def test_panels_are_shared_and_their_limits_hold_all_runs():
    figure, axes = plt.subplots()
    panels = figures.drawn_into(descent([0.9, 0.5, 0.4]), axes, "descent", A)
    longer = np.geomspace(90.0, 0.1, 40)
    again = figures.drawn_into(descent(longer), axes, "descent", B)
    assert list(again) == list(panels)
    assert len(figure.axes) == 3
    assert panels[0].get_yscale() == "log"
    assert panels[0].get_xlim()[1] >= 40
    low, high = panels[0].get_ylim()
    assert low < 0.1
    assert high > 90
    kept = {"first: Kept (step 3)", "second: Kept (step 40)"}
    assert kept <= set(entries(panels[0]))
    rates = [to_hex(line.get_color()) for line in panels[1].lines if len(line.get_xdata()) > 2]
    assert len(set(rates)) == 2
    third = figures.drawn_into(descent([-1.0, -2.0]), panels, "descent", C)
    assert list(third) == list(panels)
    assert panels[0].get_yscale() == "linear", "a logarithmic axis has no place for a loss below 0"
    assert panels[0].get_ylim()[0] < -2
    with pytest.raises(InputError, match="one Matplotlib axes, or 1"):
        figures.drawn_into(roc(), panels, "roc", A)


@pytest.mark.parametrize("columns", [1, 2])
def test_a_legend_of_several_runs_fits_above_the_curves(columns: int):
    axes = np.ravel(plt.subplots(1, columns, figsize=(12, 5))[1])[0]
    for run, power in ((A, 1.0), (B, 9.0)):  # of the second alone the axis is logarithmic
        numbers = figures.score_histograms(LABELS, scores(power), LABELS, scores(power))
        figures.drawn_into(partial(figures.score_figure, numbers), axes, "scores", run)
    assert axes.get_yscale() == "log"
    assert len(entries(axes)) == 8
    box, frame = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert box.width < frame.width
    highest = max(np.max(patch.get_data().values) for patch in axes.patches)
    assert axes.transData.transform((0.5, highest))[1] < box.y0


def test_only_the_same_figure_is_shared():
    numbers = figures.score_histograms(LABELS, scores(1.0), LABELS, scores(1.0))
    axes = figures.drawn_into(partial(figures.score_figure, numbers), None, "scores", A)
    figures.drawn_into(roc(), axes, "roc", B)
    assert not any(": " in entry for entry in entries(axes))
    figures.drawn_into(roc(), axes)
    assert not any(": " in entry for entry in entries(axes))


def test_titles_of_legends_that_differ_are_left_out():
    curve = evaluate.roc_curve(LABELS, scores(2.0))
    axes = None
    for run, background in ((A, 1000.0), (B, 500.0)):
        experiment = evaluate.Experiment(100.0, background)
        cut = evaluate.significance_at(LABELS, scores(2.0), 0.7, experiment)
        numbers = figures.significance_curve(curve, None, experiment, cut)
        draw = partial(figures.significance_figure, numbers)
        axes = figures.drawn_into(draw, axes, "significance", run)
        title = axes.get_legend().get_title().get_text()
        assert bool(title) == (run == A)
    assert len(entries(axes)) == 4
