"""The significance against the cut on the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.arrays import Floats
from steepest.evaluate.columns import evenly_spaced, numbered, total_of
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import BLUE, GREY, RED, drawing, points
from steepest.evaluate.intervals import efficiency_from_sums
from steepest.evaluate.merit import Merit
from steepest.evaluate.roc import Roc
from steepest.evaluate.significance import (
    MINIMUM_BACKGROUND,
    Experiment,
    SignificanceScan,
    significance_scan,
    with_interval,
)
from steepest.notation import number_text
from steepest.storage import compressed, derived

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class SignificanceCurve:
    """Z against the cut, at a few hundred thresholds."""

    thresholds: Floats  # for the events of the result, shape (points,)
    significance: Floats
    low: Floats
    high: Floats
    # for the events on which the cut was chosen; empty if these are the same events
    choosing_thresholds: Floats
    choosing_significance: Floats
    cut: Merit  # the result, at the chosen cut
    experiment: Experiment  # what was expected before the cut
    minimum_background: float  # cuts with fewer effective background events are not drawn


def significance_curve(
    roc: Roc,
    choosing: Roc | None,
    experiment: Experiment,
    cut: Merit,
    minimum_background: float = MINIMUM_BACKGROUND,
    points: int = 300,
) -> SignificanceCurve:
    """Return the numbers of `significance_figure`.

    `choosing` is the curve of the events on which the cut was chosen, None if these are the
    same. `cut` is what `significance_at` returned. Nothing is drawn below `minimum_background`
    effective background events.

    Examples
    --------
    >>> from steepest.evaluate import best_cut, roc_curve, significance_at
    >>> labels, scores = np.repeat([0, 1], 200), np.arange(400) % 300
    >>> roc, experiment = roc_curve(labels, scores), Experiment(100, 1000)
    >>> cut = significance_at(labels, scores, 150, experiment)
    >>> float(significance_curve(roc, None, experiment, cut).thresholds.max())
    190.0
    """
    scan = significance_scan(roc, experiment)
    index = _drawn(scan, minimum_background, points)
    signal, background = (
        efficiency_from_sums(sums[index], squares[index], total_of(sums), total_of(squares))
        for sums, squares in (
            (roc.signal_sum_above, roc.signal_squares_above),
            (roc.background_sum_above, roc.background_squares_above),
        )
    )
    _, low, high, _ = with_interval(signal, background, experiment)
    other = significance_scan(choosing, experiment) if choosing is not None else None
    chosen = _drawn(other, minimum_background, points) if other else np.empty(0, np.intp)
    empty = np.empty(0)
    return SignificanceCurve(
        scan.thresholds[index],
        scan.significance[index],
        low,
        high,
        other.thresholds[chosen] if other else empty,
        other.significance[chosen] if other else empty,
        cut,
        experiment,
        minimum_background,
    )


def _drawn(scan: SignificanceScan, minimum_background: float, points: int) -> np.ndarray:
    """Return indices of usable cuts, about evenly spaced in the threshold."""
    usable = scan.usable(minimum_background)
    rows = compressed(numbered(usable), usable)
    if not len(rows):
        return rows[:]
    rising = derived(np.negative, compressed(scan.thresholds, usable))
    return rows[evenly_spaced(rising, points)]


def significance_figure(
    numbers: SignificanceCurve,
    part: str = "test",
    choosing_part: str = "validation",
    score_name: str = "Cut on the score",
) -> Figure:
    """Return the figure of Z against the cut, with the chosen cut.

    `part` and `choosing_part` are those of the result, and on which the cut was chosen.
    """
    with drawing(7.0, 6.0) as figure:
        axes = figure.subplots()
        high = np.where(np.isfinite(numbers.high), numbers.high, numbers.significance)
        axes.fill_between(numbers.thresholds, numbers.low, high, color=BLUE, alpha=0.25,
                          linewidth=0)  # fmt: skip
        axes.plot(numbers.thresholds, numbers.significance, color=BLUE,
                  label=f"{part.capitalize()} part")  # fmt: skip
        if numbers.choosing_thresholds.size:
            axes.plot(numbers.choosing_thresholds, numbers.choosing_significance, color=GREY,
                      linestyle="--", linewidth=1.4,
                      label=f"{choosing_part.capitalize()} part, which chose the cut")  # fmt: skip
        _draw_cut(axes, numbers.cut)
        drawn = [high, numbers.choosing_significance, [numbers.cut.low, numbers.cut.value]]
        top = max((x for array in drawn for x in array if np.isfinite(x)), default=1.0)
        axes.set_ylim(0, 1.55 * top if top > 0 else 1.0)
        axes.set_xlabel(score_name)
        axes.set_ylabel(r"Expected significance $Z_{A}$")
        legend(axes, loc="upper right", title=_expected(numbers.experiment), alignment="right")
    return figure


def _draw_cut(axes: Axes, cut: Merit) -> None:
    at = cut.counts["threshold"]
    label = f"Cut at {at:.3g}:  Z = {cut.format()}"
    axes.axvline(at, ymax=0.6, color="black", linestyle=":", linewidth=1.2)
    if np.isfinite(cut.value):
        points(axes, [at], [cut.value], [cut.low], [cut.high], color=RED, marker="o", markersize=6,
               linestyle="none", label=label)  # fmt: skip
    else:
        axes.plot([at], [cut.low], color=RED, marker="^", linestyle="none", label=label)


def _expected(experiment: Experiment) -> str:
    share = 100 * experiment.background_uncertainty
    error = rf" $\pm$ {share:g} %" if share else ""
    signal, background = (number_text(n) for n in (experiment.signal, experiment.background))
    return f"S = {signal},  B = {background}{error} before the cut"
