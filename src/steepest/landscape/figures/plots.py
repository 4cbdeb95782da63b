"""Contours of a plane and its relief, J along a line, the path's losses and distances."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, decade_ticks, levels, shades, spans_decades
from steepest.landscape.path_projection import ProjectedPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

    InputError if the picture has no path.
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


Array = np.ndarray

ELEVATION = 36.0
AZIMUTHS = (-60.0, 30.0, 120.0, 210.0)
"""Viewing azimuths; the one with the high side of the relief at the back is used."""
LIGHT_FROM, LIGHT_HEIGHT = 315.0, 45.0
TALL = 0.5
"""Height of the relief as a fraction of its width."""
FACETS = 120
"""Minimum number of facets along an axis; within a grid cell, heights and colours are linear."""


def relief_figure(picture: Picture) -> Figure:
    """Return the figure of a two-dimensional landscape as a relief.

    Heights are J, on a logarithmic axis if it spans more than a factor of eight. Facets are
    coloured by height and shaded by a light from the side. Facets with a corner that is not finite
    are left out. The path is drawn at its true losses.
    """
    with style():
        figure = new_figure(9.0, 6.6)
        place = (-0.04, -0.06, 1.04, 1.2)
        axes: Any = figure.add_axes(place, projection="3d", computed_zorder=False)
        logarithmic = spans_decades(picture.losses)
        _surface_on(axes, picture, logarithmic)
        _path_on(axes, picture, logarithmic)
        _dress(axes, picture, logarithmic)
        figure.set_layout_engine("none")  # a single axes with a fixed position
        return figure


def _heights(losses: Array, logarithmic: bool) -> Array:
    with np.errstate(all="ignore"):
        return np.log10(losses) if logarithmic else losses


def _surface_on(axes: Any, picture: Picture, logarithmic: bool) -> None:
    import matplotlib
    from matplotlib.colors import LightSource

    z = _heights(picture.losses, logarithmic)
    finite = np.isfinite(z)
    if not finite.any():
        return
    low, high = float(z[finite].min()), float(z[finite].max())
    x, y = (_finer(axis) for axis in picture.axes)
    z, shade = _finer(_finer(z).T).T, _finer(_finer(shades(picture.losses)).T).T
    known = np.isfinite(z)
    colours = matplotlib.colormaps[COLOURS_OF_HEIGHT](np.where(known, shade, 0.0))
    scaled = (np.where(known, z, low) - low) / max(high - low, 1e-300)
    light = LightSource(LIGHT_FROM, LIGHT_HEIGHT)
    lit = _blended(colours[..., :3], light.hillshade(scaled * max(z.shape) * TALL))
    lit = np.concatenate([lit, known[..., None].astype(float)], axis=2)
    axes.plot_surface(*np.meshgrid(x, y, indexing="ij"), np.where(known, z, np.nan),
                      facecolors=lit, rstride=1, cstride=1, linewidth=0, antialiased=False,
                      shade=False, zorder=1, rasterized=True)  # fmt: skip


def _finer(values: Array) -> Array:
    """Insert linearly interpolated points between those of the first axis."""
    times = max(1, -(-FACETS // (len(values) - 1)))
    parts = np.arange(times).reshape(-1, *[1] * (values.ndim - 1)) / times
    with np.errstate(invalid="ignore"):
        steps = [low + (high - low) * parts for low, high in pairwise(values)]
    return np.concatenate([*(step.reshape(-1, *values.shape[1:]) for step in steps), values[-1:]])


def _blended(colours: Array, shade: Array) -> Array:
    """Darken and lighten colours by a shade in [0, 1], with the same hue."""
    soft = 0.45 + 0.75 * shade[..., None]
    return np.clip(np.where(soft <= 1, colours * soft, 1 - (1 - colours) * (2 - soft)), 0, 1)


def _path_on(axes: Any, picture: Picture, logarithmic: bool) -> None:
    path = picture.drawn_path()
    if path is None or picture.path is None:
        return
    ground = _heights(picture.losses, logarithmic)
    ground = ground[np.isfinite(ground)].min(initial=np.inf)
    z = np.maximum(_heights(picture.path.losses, logarithmic), ground)  # not below the relief
    inside = picture.path_within() & np.isfinite(z)
    x, y, z = path[inside, 0], path[inside, 1], z[inside]
    axes.plot(x, y, z, color="white", linewidth=4.5, zorder=4, solid_capstyle="round")
    axes.plot(
        x, y, z, color=RED, linewidth=2.4, zorder=5, label="Path of the descent, at its true losses"
    )
    if len(x):
        axes.plot(x[:1], y[:1], z[:1], marker="o", markersize=8, color="white",
                  markeredgecolor="black", linestyle="", zorder=6)  # fmt: skip


def _azimuth(picture: Picture, logarithmic: bool) -> float:
    """Return the azimuth from which the relief rises towards the back."""
    z = _heights(picture.losses, logarithmic)
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in z.shape), indexing="ij")
    finite = np.isfinite(z)
    if not finite.any():
        return AZIMUTHS[0]
    rise = [float((axis[finite] * (z[finite] - z[finite].mean())).sum()) for axis in (x, y)]
    towards = [np.cos(np.radians(a)) * rise[0] + np.sin(np.radians(a)) * rise[1] for a in AZIMUTHS]
    return AZIMUTHS[int(np.argmin(towards))]


def _dress(axes: Any, picture: Picture, logarithmic: bool) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes.view_init(ELEVATION, _azimuth(picture, logarithmic))
    axes.set_box_aspect((1.0, 1.0, TALL), zoom=0.9)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.set_major_locator(MaxNLocator(4))
        axis.set_minor_locator(NullLocator())
    axes.grid(False)
    axes.tick_params(labelsize=10, pad=0)
    axes.set_xlabel(picture.labels[0], fontsize=11, labelpad=6)
    axes.set_ylabel(picture.labels[1], fontsize=11, labelpad=6)
    axes.set_zlabel(picture.quantity, fontsize=11, labelpad=12)
    if logarithmic:
        ticks = decade_ticks(picture.losses)
        axes.set_zticks(np.log10(ticks), labels=[f"{tick:g}" for tick in ticks])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(0.08, 0.88), frameon=False, fontsize=11)
