"""The ROC curve in the form used in physics: background rejection against signal efficiency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steepest.evaluate.arrays import Floats
from steepest.evaluate.columns import evenly_spaced, numbered
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    drawing,
    short,
)
from steepest.evaluate.merit import Merit
from steepest.evaluate.roc import Roc, background_rejection
from steepest.storage import compressed, derived

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class RejectionCurve:
    """The curve of one model, at a few hundred thresholds."""

    name: str  # name of the model
    auc: Merit | None  # area under the curve, or None
    signal_efficiency: Floats  # ε_S and 1/ε_B, shape (points,)
    rejection: Floats
    low: Floats  # interval of the rejection, shape (points,)
    high: Floats
    # raw number of background events that pass at each point, shape (points,)
    background_passed: NDArray[np.int64]
    working_points: tuple[Merit, ...]  # background rejections that are marked
    minimum_background: int  # points with fewer background events are left out


BAND = 80
"""Points of a curve at which its band is computed."""


def rejection_curve(
    roc: Roc,
    name: str,
    auc: Merit | None = None,
    efficiencies: Sequence[float] = (0.3, 0.5, 0.7, 0.9),
    minimum_background: int = 10,
    points: int = 400,
) -> RejectionCurve:
    """Return the numbers of one curve of `roc_figure`.

    The curve is not drawn, and working points at `efficiencies` are not marked, below
    `minimum_background` raw background events.

    Examples
    --------
    >>> from steepest.evaluate import roc_curve
    >>> scores = np.linspace(0, 1, 200)
    >>> curve = rejection_curve(roc_curve(np.arange(200) % 3 > 0, scores), "network")
    >>> int(curve.background_passed.min())
    10
    """
    usable = derived(
        lambda events, weight: (events >= minimum_background) & (weight > 0),
        roc.background_above,
        roc.background_sum_above,
    )
    rows = compressed(numbered(usable), usable)
    index = rows[evenly_spaced(compressed(roc.signal_efficiency, usable), points)]
    value = roc.background_efficiency[index]
    low, high = _band(roc, index, value)
    marked = [background_rejection(roc, efficiency) for efficiency in efficiencies]
    with np.errstate(divide="ignore"):
        return RejectionCurve(
            name,
            auc,
            roc.signal_efficiency[index],
            1 / value,
            1 / high,
            1 / low,
            roc.background_above[index],
            tuple(m for m in marked if m.counts["background_passed"] >= minimum_background),
            minimum_background,
        )


def _band(roc: Roc, index: NDArray[np.intp], value: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the intervals, relative to ε_B linear between some points."""
    if not len(index):
        return value, value
    of_band = np.unique(np.linspace(0, len(index) - 1, BAND).astype(int))
    at = index[of_band]
    interval = roc.rejection_interval(at, roc.signal_efficiency[at])
    ends = interval.low / value[of_band], interval.high / value[of_band]
    places = np.arange(len(index))
    low, high = (value * np.interp(places, of_band, each) for each in ends)
    return low, high


def roc_figure(curves: Sequence[RejectionCurve]) -> Figure:
    """Return the figure of 1/ε_B against ε_S, one curve with its band per model or class.

    The numbers are those of `rejection_curve`; more than six are hard to distinguish.
    """
    with drawing(7.0, 6.0) as figure:
        axes = figure.subplots()
        for index, curve in enumerate(curves):
            _draw_curve(axes, curve, index)
        efficiency = np.linspace(0.005, 1, 200)
        axes.plot(efficiency, 1 / efficiency, color="black", linewidth=0.9, linestyle=(0, (1, 2)),
                  label="Random guess")  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlim(0, 1)
        axes.set_ylim(1, _top(curves))
        axes.set_xlabel(r"Signal efficiency $\varepsilon_{S}$")
        axes.set_ylabel(r"Background rejection $1/\varepsilon_{B}$")
        legend(axes, loc="upper right")
    return figure


def _top(curves: Sequence[RejectionCurve]) -> float:
    """Return an upper limit that leaves room for the legend above the curves."""
    highest = [float(curve.rejection.max()) for curve in curves if curve.rejection.size]
    return 10 * max([*highest, 10.0]) ** 1.05


def _draw_curve(axes: Axes, curve: RejectionCurve, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    high = np.where(np.isfinite(curve.high), curve.high, curve.rejection)
    axes.fill_between(
        curve.signal_efficiency, curve.low, high, color=colour, alpha=0.25, linewidth=0
    )
    name = short(curve.name, 40) + (f", AUC {curve.auc.format()}" if curve.auc else "")
    line = LINE_STYLES[(index + index // len(COLOURS)) % len(LINE_STYLES)]  # colours repeat
    axes.plot(curve.signal_efficiency, curve.rejection, color=colour, label=name,
              linestyle=line)  # fmt: skip
    at = [merit.counts["signal_efficiency"] for merit in curve.working_points]
    values = [merit.value for merit in curve.working_points]
    axes.plot(at, values, color=colour, linestyle="none", marker=MARKERS[index % len(MARKERS)],
              markersize=6, markeredgecolor="white")  # fmt: skip
