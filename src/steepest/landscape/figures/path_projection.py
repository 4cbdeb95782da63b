"""The path and its projection: true losses, losses of the surface, and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, spans_decades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["honesty_figure"]


def honesty_figure(picture: Picture) -> Figure:
    """Return the figure of the true losses and those of the surface, and of the distances.

    Parameters
    ----------
    picture
        The numbers, with a path.

    Raises
    ------
    InputError
        The picture has no path.
    """
    if picture.path is None:
        raise InputError(
            "The landscape has no path to compare its surface with.",
            expected="a run with path.safetensors",
            found="none",
            do='train with method = "descent", which records a path',
        )
    with style():
        figure = new_figure(7.5, 6.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _losses(upper, picture)
        _distances(lower, picture)
        if picture.kept_step is not None:
            for axes in (upper, lower):
                axes.axvline(picture.kept_step, color=GREY, linestyle=":", zorder=0)
        lower.set_xlabel("Step")
        lower.set_xscale("symlog", linthresh=1)
        lower.set_xlim(0, max(1, float(picture.path.steps[-1])))
        figure.align_ylabels([upper, lower])
        return laid_out(figure)


def _losses(axes: Axes, picture: Picture) -> None:
    path = picture.path
    assert path is not None
    axes.plot(path.steps, path.losses, color=RED, marker="o", markersize=3, label="True loss")
    axes.plot(path.steps, path.surface_losses, color=BLUE, linestyle="--", marker="s",
              markersize=3, label="Surface under the path")  # fmt: skip
    axes.fill_between(path.steps, path.losses, path.surface_losses, color=GREY, alpha=0.25,
                      linewidth=0)  # fmt: skip
    if spans_decades(np.concatenate([path.losses, path.surface_losses])):
        axes.set_yscale("log")
    axes.set_ylabel(picture.quantity.split(" (")[0])
    axes.legend()


def _distances(axes: Axes, picture: Picture) -> None:
    path = picture.path
    assert path is not None
    flat = "line" if len(picture.axes) == 1 else "plane"
    axes.plot(path.steps, path.displacements, color="black", linestyle="-.",
              label="From the trained model")  # fmt: skip
    axes.plot(path.steps, path.distances, color=ORANGE, label=f"From the {flat}")
    axes.set_ylabel(r"Distance $\Vert\Delta\theta\Vert$")
    axes.set_ylim(0, 1.25 * max(float(path.displacements.max()), 1e-12))
    share = f"The {flat} holds {100 * path.length:.3g} % of the path's length, "
    axes.set_title(f"{share}{100 * path.variance:.3g} % of its variance", fontsize=12)
    axes.legend(ncols=2, loc="upper right")
