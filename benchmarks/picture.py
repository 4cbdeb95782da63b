"""The pictures of docs/performance.md, drawn from what was measured.

`draw_calls` shows whole calls beside other packages; `draw`, what a gradient costs: time against
size, with the limits and their regimes.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.scale import LIMITS

__all__ = ["draw", "draw_calls"]

PANELS = (
    ("events m", "Events m", "Logistic regression, 28 features"),
    ("features n", "Features n", "Logistic regression, 200,000 events"),
    ("width of", "Width w", "Network 28→w→w→1, 10,000 events"),
)
COLOURS = dict(zip(LIMITS, ("#717581", "#ffa90e", "#bd1f01"), strict=True))
NAMES = {
    "a call": "a call (one event)",
    "memory": "memory (X read once)",
    "arithmetic": "arithmetic (events in the cache)",
}
BETWEEN = 400
"""Sizes between the smallest and the largest at which the regime is looked up."""
SHORTEST = 3e-6
"""Seconds at which the picture begins."""
NARROW = 0.12
"""A regime with a smaller share of the axis is not named."""


def draw_calls(cases: list[dict[str, Any]], path: Path) -> None:
    """Draw the median time of each contender of each call, with the range over the rounds."""
    settings = {"svg.hashsalt": path.stem, "font.size": 9}
    heights = [len(case["seconds"]) for case in cases]
    with plt.rc_context(settings):
        figure, axes = plt.subplots(
            len(cases), 1, figsize=(7, 0.25 * sum(heights) + 0.62 * len(cases)),
            layout="constrained", height_ratios=[height + 1 for height in heights], squeeze=False,
        )  # fmt: skip
        for axis, case in zip(axes.flat, cases, strict=True):
            _call(axis, case)
        axes.flat[-1].set_xlabel("Time [ms], median and range; shorter is better", loc="right")
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _call(axis: Axes, case: dict[str, Any]) -> None:
    """Bars of one call; its own scale, from zero."""
    names = list(case["seconds"])[::-1]
    times = [[1000 * second for second in case["seconds"][name]] for name in names]
    middle = [statistics.median(each) for each in times]
    colours = ["#3f90da" if name.startswith("steepest") else "#a6a6a6" for name in names]
    axis.barh(names, middle, color=colours, height=0.7)
    axis.hlines(names, [min(each) for each in times], [max(each) for each in times], "black", lw=1)
    for name, each, value in zip(names, times, middle, strict=True):
        axis.annotate(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", (max(each), name),
                      xytext=(4, 0), textcoords="offset points", va="center")  # fmt: skip
    axis.set_xlim(0, 1.12 * max(max(each) for each in times))
    axis.set_title(case["work"], loc="left", fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    """Draw time against events, features and width, as SVG."""
    settings = {"svg.hashsalt": path.stem, "font.size": 9}  # the same picture has the same bytes
    with plt.rc_context(settings):
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True, layout="constrained")
        for axis, (begin, label, title) in zip(axes, PANELS, strict=True):
            case = next(case for case in cases if case["work"].startswith(begin))
            _panel(axis, case)
            axis.set_xlabel(label, loc="right")
            axis.set_title(title, loc="left", fontsize=9)
        axes[0].set_ylabel("Time of one gradient [s]", loc="top")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _panel(axis: Axes, case: dict[str, Any]) -> None:
    sizes = [float(name) for name in case["seconds"]]
    times = list(case["seconds"].values())
    middle = np.array([statistics.median(each) for each in times])
    spread = [middle - [min(each) for each in times], [max(each) for each in times] - middle]
    limits = {name: list(case["numbers"]["limits, seconds"][name].values()) for name in LIMITS}
    axis.set(xscale="log", yscale="log", xlim=(sizes[0] / 1.4, sizes[-1] * 1.4))
    axis.set_ylim(bottom=SHORTEST)
    axis.errorbar(
        sizes, middle, spread, color="#3f90da", marker="o", markersize=5, label="measured"
    )
    for name, seconds in limits.items():
        axis.plot(sizes, seconds, "--", color=COLOURS[name], linewidth=1.2, label=NAMES[name])
    _regimes(axis, sizes, limits)
    axis.tick_params(which="both", direction="in", top=True, right=True)


def _regimes(axis: Axes, sizes: list[float], limits: dict[str, list[float]]) -> None:
    """Shade and name where each limit is the largest; lines between the points are straight."""
    place = np.log(np.geomspace(sizes[0] / 1.4, sizes[-1] * 1.4, BETWEEN))
    height = [np.interp(place, np.log(sizes), np.log(limits[name])) for name in LIMITS]
    largest = np.argmax(height, axis=0)
    edges = np.flatnonzero(np.diff(largest)) + 1
    for begin, end in zip([0, *edges], [*edges, BETWEEN], strict=True):
        name = LIMITS[largest[begin]]
        left, right = np.exp(place[begin]), np.exp(place[end - 1])
        axis.axvspan(left, right, color=COLOURS[name], alpha=0.10, linewidth=0)
        if end - begin > NARROW * BETWEEN:
            middle = float(np.exp((place[begin] + place[end - 1]) / 2))
            axis.text(
                middle, 0.97, name, transform=axis.get_xaxis_transform(),
                ha="center", va="top", color=COLOURS[name],
            )  # fmt: skip
