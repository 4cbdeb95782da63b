"""The reliability curve: fraction of signal against mean score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.calibration import CalibrationCurve
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import (
    COLOURS,
    LINE_STYLES,
    MARKERS,
    drawing,
    points,
    short,
)
from steepest.evaluate.merit import Merit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def calibration_figure(
    curves: Sequence[CalibrationCurve],
    errors: Sequence[Merit] = (),
    score_name: str = "Score",
    outcome_name: str = "Signal fraction",
) -> Figure:
    """Return the figure of reliability curves (top) and numbers of events (bottom).

    There is a curve for each model or class; `errors`, for the legend, are their
    `calibration_error`, or empty.
    """
    texts = [f", error {error.format()}" for error in errors] or [""] * len(curves)
    with drawing(7.0, 7.2) as figure:
        top, bottom = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [3.2, 1], "hspace": 0.03}
        )
        top.plot([0, 1], [0, 1], color="black", linewidth=0.9, linestyle=(0, (1, 2)),
                 label="Calibrated")  # fmt: skip
        for index, (curve, text) in enumerate(zip(curves, texts, strict=True)):
            _draw(top, bottom, curve, index, f"{short(curve.name)}{text}")
        top.set_xlim(0, 1)
        top.set_ylim(0, 1 + 0.08 * (len(curves) + 2))
        top.set_yticks(np.linspace(0, 1, 6))
        top.set_ylabel(short(outcome_name, 40))
        legend(top, loc="upper left")
        bottom.set_yscale("log")
        bottom.set_ylim(0.5, 3 * max(int(curve.events.max()) for curve in curves))
        bottom.set_ylabel("Events / bin")
        bottom.set_xlabel(score_name)
    return figure


def _draw(top: Axes, bottom: Axes, curve: CalibrationCurve, index: int, label: str) -> None:
    colour = COLOURS[index % len(COLOURS)]
    filled = np.isfinite(curve.fraction)
    x, y = curve.score[filled], curve.fraction[filled]
    dashes: Any = LINE_STYLES[index % len(LINE_STYLES)]
    points(top, x, y, curve.low[filled], curve.high[filled], color=colour, linestyle=dashes,
           marker=MARKERS[index % len(MARKERS)], markersize=5.5, elinewidth=1.2, linewidth=1.2,
           label=label)  # fmt: skip
    bottom.stairs(np.maximum(curve.events, 0.1), curve.edges, color=colour, linewidth=1.4,
                  linestyle=dashes)  # fmt: skip
