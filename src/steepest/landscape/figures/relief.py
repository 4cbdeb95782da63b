"""The landscape as a shaded relief, coloured by height."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures.style import RED, new_figure, style
from steepest.landscape.figures.picture import Picture, decade_ticks, shades, spans_decades
from steepest.landscape.figures.plots import COLOURS_OF_HEIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["relief_figure"]

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
