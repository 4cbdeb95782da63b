"""Curves: J along a line; the path and its projection, with true losses and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, spans_decades
from steepest.landscape.path_projection import ProjectedPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["path_figure", "profile_figure"]


def profile_figure(picture: Picture) -> Figure:
    """Return the figure of J along a line, with standard errors and the true losses of the path."""
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
        half = (x[1] - x[0]) / 2
        for index, at in enumerate(x[~np.isfinite(picture.losses)].tolist()):
            label = "_" if index else "$J$ not finite"
            axes.axvspan(at - half, at + half, facecolor="0.88", edgecolor="0.5", hatch="////",
                         linewidth=0, label=label, zorder=0)  # fmt: skip
        path = picture.drawn_path()
        if path is not None and picture.path is not None:
            axes.plot(path[:, 0], picture.path.losses, color=RED, marker="o", markersize=4,
                      linewidth=1.0, linestyle="--", zorder=4,
                      label="Path of the descent, true losses")  # fmt: skip
        for mark, dashes in zip(picture.marks, (":", "-.", "--"), strict=False):
            label = "Trained model" if mark.label == "trained" else mark.label
            if x[0] <= mark.coordinates[0] <= x[-1]:
                axes.axvline(mark.coordinates[0], color=GREY, linestyle=dashes, label=label,
                             zorder=1)  # fmt: skip
        axes.set_xlim(x[0], x[-1])
        if spans_decades(picture.losses):
            axes.set_yscale("log")
        axes.set_xlabel(picture.labels[0])
        axes.set_ylabel(picture.quantity)
        axes.legend()
        return laid_out(figure)


def path_figure(picture: Picture) -> Figure:
    """Return the figure of the true losses and those of the surface, and of the distances.

    Raises
    ------
    InputError
        The picture has no path.
    """
    path = picture.path
    if path is None:
        raise InputError(
            "The landscape has no path to compare its surface with.",
            expected="a run with path.safetensors",
            found="none",
            do='train with method = "descent", which records a path',
        )
    with style():
        figure = new_figure(7.5, 6.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _losses(upper, path, picture.quantity)
        _distances(lower, path, "line" if len(picture.axes) == 1 else "plane")
        if picture.kept_step is not None:
            for axes in (upper, lower):
                axes.axvline(picture.kept_step, color=GREY, linestyle=":", zorder=0)
        lower.set_xlabel("Step")
        lower.set_xscale("symlog", linthresh=1)
        lower.set_xlim(0, max(1, float(path.steps[-1])))
        figure.align_ylabels([upper, lower])
        return laid_out(figure)


def _losses(axes: Axes, path: ProjectedPath, quantity: str) -> None:
    axes.plot(path.steps, path.losses, color=RED, marker="o", markersize=3, label="True loss")
    axes.plot(path.steps, path.surface_losses, color=BLUE, linestyle="--", marker="s",
              markersize=3, label="Surface under the path")  # fmt: skip
    axes.fill_between(path.steps, path.losses, path.surface_losses, color=GREY, alpha=0.25,
                      linewidth=0)  # fmt: skip
    if spans_decades(np.concatenate([path.losses, path.surface_losses])):
        axes.set_yscale("log")
    axes.set_ylabel(quantity.split(" (")[0])
    axes.legend()


def _distances(axes: Axes, path: ProjectedPath, flat: str) -> None:
    axes.plot(path.steps, path.displacements, color="black", linestyle="-.",
              label="From the trained model")  # fmt: skip
    axes.plot(path.steps, path.distances, color=ORANGE, label=f"From the {flat}")
    axes.set_ylabel(r"Distance $\Vert\Delta\theta\Vert$")
    axes.set_ylim(0, 1.25 * max(float(path.displacements.max()), 1e-12))
    share = f"The {flat} holds {100 * path.length:.3g} % of the path's length, "
    axes.set_title(f"{share}{100 * path.variance:.3g} % of its variance", fontsize=12)
    axes.legend(ncols=2, loc="upper right")
