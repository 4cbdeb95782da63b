"""The figure of `steepest.lecture.pictures.batches`: paths, excess loss, noise floors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import levels
from steepest.lecture.data import symbol_and_unit
from steepest.lecture.pictures.batches_numbers import Batches, Way

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]


_LOOKS: dict[str, dict[str, Any]] = {
    "batch": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "mini-batch": {"color": ORANGE, "linestyle": "--", "marker": "s"},
    "stochastic": {"color": RED, "linestyle": "-", "marker": None},
}


def figure(numbers: Batches) -> Figure:
    """Return the paths on one contour, the excess loss against passes, and the noise floor."""
    with style():
        drawn = new_figure(14.0, 5.6)
        paths, falls = drawn.subplots(1, 2)
        _paths(paths, numbers)
        _falls(falls, numbers)
        return laid_out(drawn)


def _paths(axes: Axes, numbers: Batches) -> None:
    x, y = numbers.axes
    rings = levels(numbers.losses, 14)
    axes.contourf(x, y, numbers.losses.T, levels=rings, cmap="Greys_r", alpha=0.35)
    axes.contour(x, y, numbers.losses.T, levels=rings[1:-1], colors="0.45", linewidths=0.6)
    for way in reversed(numbers.ways):
        look = _LOOKS[way.name]
        shown = way.path[way.passes <= (1 if way.name != "batch" else np.inf)]
        width = 1.0 if way.name == "stochastic" else 1.8
        axes.plot(*shown.T, **look, markersize=4, linewidth=width, label=_named(way))
    axes.plot(*numbers.ways[0].path[0], "o", color="white", markeredgecolor="black", markersize=9,
              zorder=5)  # fmt: skip
    axes.plot(*numbers.minimum, marker="*", color="#ffd60a", markeredgecolor="black", markersize=16,
              linestyle="", zorder=6)  # fmt: skip
    axes.set_xlabel(f"Coefficient of standardised {symbol_and_unit(numbers.feature)[0]}")
    axes.set_ylabel("Intercept")
    axes.legend(loc="upper right", fontsize=11, reverse=True, frameon=True, framealpha=0.9)


def _falls(axes: Axes, numbers: Batches) -> None:
    for way in numbers.ways[:2]:
        look = dict(_LOOKS[way.name])
        look["marker"] = "o" if way.name == "batch" else None
        axes.plot(way.passes, way.excess, **look, markersize=5, label=_named(way))
    for floor, colour, dashes in zip(numbers.floors, (RED, "black"), ("-", "-."), strict=True):
        kind = r"$\eta$ constant" if floor.schedule == "constant" else r"$\eta$ falling"
        label = rf"Stochastic, {kind} (mean of {len(floor.values)} runs)"
        axes.plot(
            floor.passes, floor.curve, color=colour, linestyle=dashes, linewidth=1.4, label=label
        )
    target = numbers.target * numbers.start_excess
    axes.axhline(target, color=GREY, linestyle=":", zorder=0)
    axes.annotate(f"{100 * numbers.target:g} % of the start", (0, target),
                  xycoords=("axes fraction", "data"), xytext=(8, -15), textcoords="offset points",
                  fontsize=11)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xscale("symlog", linthresh=0.01)
    axes.set_xlim(0, numbers.ways[0].passes[-1])
    axes.set_xlabel("Passes over the events")
    axes.set_ylabel(r"Excess loss $J - J_{\mathrm{min}}$")
    axes.legend(loc="lower left", fontsize=11)


def _named(way: Way) -> str:
    size = (
        "all events"
        if way.name == "batch"
        else "1 event"
        if way.batch_size == 1
        else f"{way.batch_size} events"
    )
    return f"{way.name.capitalize()} ({size} a step)"
