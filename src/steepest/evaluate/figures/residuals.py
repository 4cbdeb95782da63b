"""Residuals of a regression, prediction against truth, and pulls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from steepest.evaluate.arrays import Floats, Values, as_column, as_pair, as_weights
from steepest.evaluate.columns import joined
from steepest.evaluate.figures.histogram import (
    Histogram,
    central_range,
    histogram,
    histogram_edges,
)
from steepest.evaluate.figures.style import BLUE, RED, drawing, note, short
from steepest.evaluate.merit import Merit
from steepest.evaluate.regression import pull_merits
from steepest.storage import AnyArray, blocks, derived

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ResidualHistograms:
    """The residuals of a regression in numbers."""

    residual: Histogram  # histogram of prediction − truth, not normalised
    edges: Floats  # bin edges of both truth and prediction, shape (bins + 1,)
    contents: Floats  # Σ w in bins of (truth, prediction), shape (bins, bins)
    merits: tuple[Merit, ...]  # figures of merit in the legend: bias, resolution, robust resolution
    unit: str | None  # unit of the truth, or None


def residual_histograms(
    truth: Values,
    prediction: Values,
    weights: Values | None = None,
    merits: Mapping[str, Merit] | None = None,
    unit: str | None = None,
    bins: int = 50,
    event: AnyArray | None = None,
) -> ResidualHistograms:
    """Return the numbers of `residual_figure`.

    With `event`, that of each row where events have several, errors are of events. `merits`, for
    the legend, are those of `regression_merits`, which has the same arguments and errors.

    Examples
    --------
    >>> numbers = residual_histograms([1.0, 2.0], [1.5, 2.5], bins=2)
    >>> numbers.contents.sum()
    np.float64(2.0)
    """
    true, predicted = as_pair(truth, prediction)
    weight = as_weights(weights, len(true))
    residual = derived(np.subtract, predicted, true)
    both = joined(true, predicted)
    low, high = central_range(both)
    edges = np.linspace(low, high, bins + 1) if low < high else histogram_edges(both, bins)
    contents = np.zeros((edges.size - 1, edges.size - 1))
    for t, p, w in blocks(true, predicted, weight):
        contents += np.histogram2d(t, p, (edges, edges), weights=w)[0]
    printed = ("bias", "resolution", "robust_resolution")
    return ResidualHistograms(
        histogram(residual, weight, histogram_edges(residual, bins), "residual", False, event),
        edges,
        contents,
        tuple(merits[name] for name in printed if name in merits) if merits else (),
        unit,
    )


def residual_figure(numbers: ResidualHistograms, name: str = "target") -> Figure:
    """Return the figure of prediction against truth (left) and of the residuals (right).

    `name` is the name or symbol of the predicted quantity, such as "$p_{T}$".
    """
    unit = f" [{numbers.unit}]" if numbers.unit else ""
    name = short(name)
    with drawing(12.5, 5.4) as figure:
        left, right = figure.subplots(1, 2)
        _draw_plane(figure, left, numbers)
        left.set_xlabel(f"True {name}{unit}")
        left.set_ylabel(f"Predicted {name}{unit}")
        _draw_residuals(right, numbers)
        right.set_xlabel(f"Predicted − true {name}{unit}")
        right.set_ylabel(f"Events / {np.diff(numbers.residual.edges)[0]:.2g} {numbers.unit or ''}")
    return figure


def _draw_plane(figure: Figure, axes: Axes, numbers: ResidualHistograms) -> None:
    from matplotlib.colors import LogNorm

    positive = np.ma.masked_less_equal(numbers.contents.T, 0)
    norm = LogNorm() if positive.count() and positive.max() > 30 * positive.min() else None
    mesh = axes.pcolormesh(numbers.edges, numbers.edges, positive, cmap="viridis_r", norm=norm)
    ends = [numbers.edges[0], numbers.edges[-1]]
    axes.plot(ends, ends, color="black", linestyle="--", linewidth=1.2, label="Predicted = true")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.legend(loc="upper left")
    figure.colorbar(mesh, ax=axes, pad=0.02).set_label("Events")


def _draw_residuals(axes: Axes, numbers: ResidualHistograms) -> None:
    content = numbers.residual
    axes.stairs(content.contents, content.edges, fill=True, color=BLUE, alpha=0.35)
    axes.stairs(content.contents, content.edges, color=BLUE, linewidth=1.2)
    axes.errorbar(content.centres, content.contents, content.errors, linestyle="none",
                  ecolor="black", elinewidth=0.9)  # fmt: skip
    axes.axvline(0, ymax=0.76, color="black", linestyle="--", linewidth=1.2)
    axes.set_xlim(content.edges[0], content.edges[-1])
    axes.set_ylim(min(0.0, 1.1 * float(content.contents.min())), 1.4 * content.contents.max())
    titles = {"bias": "Bias", "resolution": "Resolution", "robust_resolution": "Central 68 %"}
    lines = [f"{titles[merit.name]}:  {merit.format()}" for merit in numbers.merits]
    note(axes, lines)


_TITLES = {"pull_mean": "Mean", "pull_width": "Width"}


@dataclass(frozen=True, slots=True)
class PullHistogram:
    """Pulls in numbers."""

    pulls: Histogram  # histogram of unit area; `outside` counts the pulls beyond its range
    # density of the standard normal distribution, averaged over each bin, shape (bins,)
    expected: Floats
    merits: dict[str, Merit]  # ``pull_mean`` and ``pull_width``


def pull_histogram(
    values: Values,
    weights: Values | None = None,
    bins: int = 40,
    reach: float = 5.0,
    shared: tuple[Values, ArrayLike] | None = None,
    event: AnyArray | None = None,
) -> PullHistogram:
    """Return the numbers of `pull_figure`.

    Bins go from −`reach` to `reach`; `event` is that of `residual_histograms`, the other arguments
    and errors are those of `pull_merits`.

    Examples
    --------
    >>> numbers = pull_histogram([-0.5, 0.5, 7.0], bins=2)
    >>> numbers.expected.round(3).tolist(), numbers.pulls.outside
    ([0.1, 0.1], 1)
    """
    pull = as_column(values, "pulls")
    weight = as_weights(weights, len(pull))
    edges = np.linspace(-reach, reach, bins + 1)
    below = np.array([0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges])
    return PullHistogram(
        histogram(pull, weight, edges, "pulls", event=event),
        np.diff(below) / np.diff(edges),
        pull_merits(pull, weight, shared=shared),
    )


def pull_figure(numbers: PullHistogram, name: str = "target") -> Figure:
    """Return the figure of the distribution of pulls, with √Σw², and the standard normal one."""
    content = numbers.pulls
    with drawing(7.0, 6.0) as figure:
        axes = figure.subplots()
        axes.stairs(numbers.expected, content.edges, color=RED, linewidth=1.6, linestyle="--",
                    label="Standard normal")  # fmt: skip
        filled = content.errors > 0
        axes.errorbar(content.centres[filled], content.contents[filled], content.errors[filled],
                      color=BLUE, marker="o", markersize=4.5, linestyle="none", ecolor="black",
                      elinewidth=0.9, label="Events")  # fmt: skip
        highest = max(float(content.contents.max()), float(numbers.expected.max()))
        lowest = min(0.0, 1.1 * float(content.contents.min()))
        axes.set_ylim(lowest, 1.4 * highest)
        axes.set_xlim(content.edges[0], content.edges[-1])
        axes.set_xlabel(rf"Pull of {short(name)}:  (predicted − true) / $\sigma$")
        axes.set_ylabel("Probability density")
        lines = [f"{_TITLES[key]}:  {merit.format()}" for key, merit in numbers.merits.items()]
        if content.outside:
            lines.append(f"Outside:  {content.outside:,} events".replace(",", " "))
        note(axes, lines)
        axes.legend(loc="upper right")
    return figure
