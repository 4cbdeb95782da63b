"""Figures of merit in bins of a column: turn-on curves, and bias and resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.arrays import Floats
from steepest.evaluate.binned import BinnedMerits
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import (
    BLUE,
    COLOURS,
    MARKERS,
    ORANGE,
    RED,
    axis_label,
    drawing,
    points,
    short,
)
from steepest.evaluate.merit import Merit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def efficiency_figure(
    binned: BinnedMerits,
    working_point: float | None = None,
    signal_name: str = "Signal",
    background_name: str = "Background",
) -> Figure:
    """Return the figure of signal (top) and background efficiency (bottom) in bins.

    The cut was chosen for the signal efficiency `working_point` over all bins, which is a line.
    """
    with drawing(7.0, 7.2) as figure:
        top, bottom = _stacked(figure)
        _draw(top, binned, "signal_efficiency", short(signal_name, 40), BLUE, "o")
        if working_point is not None:
            label = rf"Working point $\varepsilon_{{S}}$ = {working_point:g}"
            top.axhline(working_point, color="black", linestyle="--", linewidth=1.0, label=label)
        _draw(bottom, binned, "background_efficiency", short(background_name, 40), RED, "s")
        _from_zero(top, binned.merits["signal_efficiency"], working_point or 0.0)
        _from_zero(bottom, binned.merits["background_efficiency"])
        top.set_ylabel(r"Signal efficiency $\varepsilon_{S}$")
        bottom.set_ylabel(r"Background efficiency $\varepsilon_{B}$")
        _finish(bottom, binned, (top, bottom))
    return figure


def class_efficiency_figure(binned: BinnedMerits) -> Figure:
    """Return the figure of the efficiency of each class in bins.

    The numbers are those of `class_efficiency_in_bins`.
    """
    with drawing(7.0, 6.0) as figure:
        axes = figure.subplots()
        count = len(binned.merits)
        for index, name in enumerate(binned.merits):
            shift = 0.5 * (index - (count - 1) / 2) / max(count, 2)
            _draw(axes, binned, name, short(name.removeprefix("efficiency_"), 16),
                  COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], shift)  # fmt: skip
        axes.set_ylim(-0.04, 1 + 0.09 * (1 + -(-count // 3)))
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.set_ylabel("Fraction of the class classified correctly")
        _finish(axes, binned, (axes,), columns=3)
    return figure


def resolution_figure(binned: BinnedMerits, name: str = "target") -> Figure:
    """Return the figure of bias (top) and resolution (bottom) of a regressor in bins.

    `name` is the name or symbol of the predicted quantity, such as "$p_{T}$".
    """
    unit = next((merit.unit for merit in binned.merits["bias"] if merit.unit), None)
    suffix = f" [{unit}]" if unit else ""
    name = short(name, 20)
    with drawing(7.0, 7.2) as figure:
        top, bottom = _stacked(figure)
        _draw(top, binned, "bias", "Mean of predicted − true", BLUE, "o")
        top.axhline(0, color="black", linestyle="--", linewidth=1.0)
        _draw(bottom, binned, "resolution", "Standard deviation", RED, "s", -0.08)
        _draw(bottom, binned, "robust_resolution", "Central 68 %, half width", ORANGE, "^", 0.08)
        _around_zero(top, binned.merits["bias"])
        both = (*binned.merits["resolution"], *binned.merits["robust_resolution"])
        _from_zero(bottom, both, room=1.5)
        top.set_ylabel(f"Bias of {name}{suffix}")
        bottom.set_ylabel(f"Resolution of {name}{suffix}")
        _finish(bottom, binned, (top, bottom))
    return figure


def _stacked(figure: Figure) -> tuple[Axes, Axes]:
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"hspace": 0.05})
    return top, bottom


def _draw(
    axes: Axes,
    binned: BinnedMerits,
    name: str,
    label: str,
    colour: str,
    marker: str,
    shift: float = 0.0,
) -> None:
    """Draw points with their intervals; the horizontal bar is the bin."""
    merits = binned.merits[name]
    known = np.array([np.isfinite(merit.value) for merit in merits])
    edges = binned.edges
    width = np.diff(edges)[known]
    x = ((edges[:-1] + edges[1:]) / 2)[known] + shift * width
    value, low, high = (column[known] for column in _columns(merits))
    across = (width / 2 + shift * width, width / 2 - shift * width)
    points(axes, x, value, low, high, across, color=colour, marker=marker, markersize=6,
           linestyle="none", elinewidth=1.4, label=label)  # fmt: skip


def _columns(merits: Sequence[Merit]) -> tuple[Floats, Floats, Floats]:
    value, low, high = np.array([(m.value, m.low, m.high) for m in merits], float).T
    return value, low, high


def _from_zero(
    axes: Axes, merits: Sequence[Merit], at_least: float = 0.0, room: float = 1.35
) -> None:
    value, _, high = _columns(merits)
    ends = np.concatenate([value, high])
    top = max([at_least, *ends[np.isfinite(ends)]]) or 1.0
    lowest = min([-0.04 * top, *(1.1 * value[np.isfinite(value)])])  # shows a point at 0
    axes.set_ylim(lowest, room * top)


def _around_zero(axes: Axes, merits: Sequence[Merit]) -> None:
    ends = np.abs(np.concatenate(_columns(merits)))
    top = max(ends[np.isfinite(ends)], default=1.0)
    axes.set_ylim(-1.3 * top or -1.0, 1.6 * top or 1.0)


def _finish(lowest: Axes, binned: BinnedMerits, all_axes: Sequence[Axes], columns: int = 1) -> None:
    lowest.set_xlim(binned.edges[0], binned.edges[-1])
    lowest.set_xlabel(axis_label(binned.column))
    for axes in all_axes:
        legend(axes, loc="upper right", ncols=columns)
