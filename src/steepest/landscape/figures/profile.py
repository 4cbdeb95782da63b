"""A one-dimensional landscape: J along a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, spans_decades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]


def profile_figure(picture: Picture) -> Figure:
    """Return the figure of J along a line, with standard errors and the true losses of the path.

    Parameters
    ----------
    picture
        The numbers.
    """
    with style():
        figure = new_figure(7.5, 5.0)
        axes = figure.subplots()
        (x,) = picture.axes
        axes.plot(x, picture.losses, color=BLUE, label="On the line", zorder=3)
        if np.nanmax(picture.standard_errors, initial=0.0) > 0:
            low = picture.losses - picture.standard_errors
            high = picture.losses + picture.standard_errors
            axes.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0,
                              label="± standard error")  # fmt: skip
        _hatch(axes, picture)
        _path(axes, picture)
        _marks(axes, picture)
        axes.set_xlim(x[0], x[-1])
        if spans_decades(picture.losses):
            axes.set_yscale("log")
        axes.set_xlabel(picture.labels[0])
        axes.set_ylabel(picture.quantity)
        axes.legend()
        return laid_out(figure)


def _hatch(axes: Axes, picture: Picture) -> None:
    """Hatch regions where J is not finite, extended by half a step on both sides."""
    (x,) = picture.axes
    bad = ~np.isfinite(picture.losses)
    half = (x[1] - x[0]) / 2
    for index, at in enumerate(x[bad].tolist()):
        axes.axvspan(at - half, at + half, facecolor="0.88", edgecolor="0.5", hatch="////",
                     linewidth=0, label="_" if index else "$J$ not finite", zorder=0)  # fmt: skip


def _path(axes: Axes, picture: Picture) -> None:
    path = picture.drawn_path()
    if path is None or picture.path is None:
        return
    axes.plot(path[:, 0], picture.path.losses, color=RED, marker="o", markersize=4, linewidth=1.0,
              linestyle="--", label="Path of the descent, true losses", zorder=4)  # fmt: skip


def _marks(axes: Axes, picture: Picture) -> None:
    (x,) = picture.axes
    for mark, dashes in zip(picture.marks, (":", "-.", "--"), strict=False):
        at = mark.coordinates[0]
        label = "Trained model" if mark.label == "trained" else mark.label
        if x[0] <= at <= x[-1]:
            axes.axvline(at, color=GREY, linestyle=dashes, label=label, zorder=1)
