"""Flat figures: contours of a plane, J along a line, the path's losses and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, levels, spans_decades
from steepest.landscape.path_projection import ProjectedPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS_OF_HEIGHT",
    "contour_figure",
    "contours_on",
    "path_figure",
    "path_line",
    "profile_figure",
    "star_at",
    "start_at",
]

COLOURS_OF_HEIGHT = "viridis"
"""Suitable for colour-blind readers, and from dark to light in greyscale."""
HALO = "white"
EDGE = {"markeredgecolor": "black", "markeredgewidth": 1.0}


def contour_figure(picture: Picture) -> Figure:
    """Return the contour plot of a two-dimensional landscape.

    The levels of J − J_min grow by a constant factor. Regions where J is not finite are hatched.
    """
    with style():
        figure = new_figure(8.0, 6.2)
        axes = figure.subplots()
        contours_on(figure, axes, picture)
        path = picture.drawn_path()
        if path is not None:
            axes.add_line(path_line(path))
        points_on(axes, picture, with_path=path is not None)
        return laid_out(figure)


def contours_on(figure: Figure, axes: Axes, picture: Picture) -> None:
    """Draw filled contours, contour lines, hatching where J is not finite, and a colour bar."""
    from matplotlib.colors import BoundaryNorm

    x, y = picture.axes
    heights = np.ma.masked_invalid(picture.losses.T)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.set_xlabel(picture.labels[0])
    axes.set_ylabel(picture.labels[1])
    if heights.mask.any():  # pyright: ignore[reportAttributeAccessIssue]
        axes.patch.set(facecolor="0.85", edgecolor="0.45", hatch="////")
        axes.fill([], [], facecolor="0.85", edgecolor="0.45", hatch="////", label="$J$ not finite")
    if heights.count() == 0:
        return
    rings = levels(picture.losses)
    norm = BoundaryNorm(rings, 256)
    filled = axes.contourf(x, y, heights, levels=rings, cmap=COLOURS_OF_HEIGHT, norm=norm)
    if len(rings) > 2:
        axes.contour(x, y, heights, levels=rings[1:-1], colors="white", linewidths=0.5, alpha=0.55)
    bar = figure.colorbar(filled, ax=axes, spacing="uniform", pad=0.02)
    bar.set_ticks(list(rings[::2]), labels=[_short(value) for value in rings[::2]])
    bar.ax.minorticks_off()
    bar.set_label(picture.quantity)


def path_line(path: Any) -> Any:
    """Return the effect that draws the path with a halo, visible on dark and light colours."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import Normal, Stroke

    line = Line2D(path[:, 0], path[:, 1], color=RED, linewidth=2.0, marker="o", markersize=3.0,
                  label="Path of the descent", zorder=4)  # fmt: skip
    line.set_path_effects([Stroke(linewidth=4.0, foreground=HALO), Normal()])
    return line


def start_at(axes: Axes, place: Any, **look: Any) -> None:
    """Draw the start of a descent."""
    axes.plot(*place, marker="o", markersize=9, color=HALO, linestyle="", **EDGE, **look)


def star_at(axes: Axes, place: Any, **look: Any) -> None:
    """Draw a minimum, or the trained model."""
    look = {"marker": "*", "markersize": 16, **look}
    axes.plot(*place, color="#ffd60a", linestyle="", **EDGE, **look)


def points_on(axes: Axes, picture: Picture, with_path: bool) -> None:
    """Draw start, end and marks, and the legend."""
    if with_path and picture.path is not None:
        start, end = picture.path.coordinates[0], picture.path.coordinates[-1]
        start_at(axes, start, label="Start", zorder=6)
        if picture.kept_step is not None and picture.kept_step < picture.path.steps[-1]:
            last = f"Last step ({picture.path.steps[-1]:,})"
            axes.plot(*end, marker="s", markersize=8, color=HALO, linestyle="", label=last,
                      zorder=6, **EDGE)  # fmt: skip
    for mark, shape in zip(picture.marks, ("*", "D", "^", "v"), strict=False):
        label, step = mark.label, picture.kept_step
        if label == "trained":
            label = "Trained model" + (f" (step {step:,})" if step is not None else "")
        size = 17 if shape == "*" else 9
        star_at(axes, mark.coordinates, marker=shape, markersize=size, label=label, zorder=7)
    axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none", fontsize=11)


def _short(value: float) -> str:
    r"""Return a number with three digits, as Matplotlib text.

    Examples
    --------
    >>> _short(0.14567), _short(123456.0)
    ('0.146', '$1.23\\times 10^{5}$')
    """
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    digits, power = text.split("e")
    return rf"${digits}\times 10^{{{int(power)}}}$"


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
