"""The distribution of pulls, beside the normal one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.events.arrays import Floats, Values, as_column, as_weights
from steepest.evaluate.figures.histogram import Histogram, histogram
from steepest.evaluate.figures.style import BLUE, RED, laid_out, new_figure, style
from steepest.evaluate.merits.merit import Merit
from steepest.evaluate.merits.pull import pull_merits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PullHistogram", "pull_figure", "pull_histogram"]

_TITLES = {"pull_mean": "Mean", "pull_width": "Width"}


@dataclass(frozen=True, slots=True)
class PullHistogram:
    """Pulls in numbers.

    Attributes
    ----------
    pulls
        Histogram of unit area; `outside` counts the pulls beyond its range.
    expected
        Density of the standard normal distribution, averaged over each bin, shape (bins,).
    merits
        ``pull_mean`` and ``pull_width``.
    """

    pulls: Histogram
    expected: Floats
    merits: dict[str, Merit]


def pull_histogram(
    values: Values, weights: Values | None = None, bins: int = 40, reach: float = 5.0
) -> PullHistogram:
    """Return the numbers of `pull_figure`.

    Parameters
    ----------
    values
        Pulls from `steepest.evaluate.pulls`, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None is 1 each.
    bins
        Number of bins, from −`reach` to `reach`.
    reach
        Largest pull that is drawn.

    Raises
    ------
    EventsError
        As `pull_merits` does.

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
        histogram(pull, weight, edges, "pulls"),
        np.diff(below) / np.diff(edges),
        pull_merits(pull, weight),
    )


def pull_figure(numbers: PullHistogram, name: str = "target") -> Figure:
    """Return the figure of the pulls' distribution, with √Σw², and the standard normal one.

    Parameters
    ----------
    numbers
        Numbers from `pull_histogram`.
    name
        What is predicted, with its symbol.
    """
    content = numbers.pulls
    with style():
        figure = new_figure(7.0, 6.0)
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
        axes.set_xlabel(rf"Pull of {name}:  (predicted − true) / $\sigma$")
        axes.set_ylabel("Probability density")
        lines = [f"{_TITLES[key]}:  {merit.format()}" for key, merit in numbers.merits.items()]
        if content.outside:
            lines.append(f"Outside:  {content.outside:,} events".replace(",", " "))
        axes.text(0.04, 0.96, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=12)
        axes.legend(loc="upper right")
        return laid_out(figure)
