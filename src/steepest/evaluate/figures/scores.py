"""Score distributions of signal and background, training against test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.arrays import Values, check_scored
from steepest.evaluate.columns import extent, joined
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.histogram import Histogram, histogram, histogram_edges
from steepest.evaluate.figures.style import BLUE, RED, drawing, short
from steepest.evaluate.kolmogorov import KolmogorovTest, kolmogorov_test
from steepest.storage import AnyArray, compressed, derived

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ScoreHistograms:
    """Score histograms of unit area, and Kolmogorov tests of training against test."""

    signal_training: Histogram
    background_training: Histogram
    signal_test: Histogram
    background_test: Histogram
    signal_agreement: KolmogorovTest
    background_agreement: KolmogorovTest


def score_histograms(
    training_labels: Values,
    training_scores: Values,
    test_labels: Values,
    test_scores: Values,
    training_weights: Values | None = None,
    test_weights: Values | None = None,
    bins: int = 40,
    *,
    training_event: AnyArray | None = None,
    test_event: AnyArray | None = None,
) -> ScoreHistograms:
    """Return the numbers of `score_figure`.

    With the event of each row, where events have several, errors and p-values are of events. The
    bins span 0 to 1 for probabilities, otherwise the range of all scores.

    Labels, scores, weights and errors are those of `roc_curve`.

    Examples
    --------
    >>> numbers = score_histograms([0, 1], [0.2, 0.9], [0, 1], [0.1, 0.8], bins=2)
    >>> numbers.signal_test.contents.tolist()
    [0.0, 2.0]
    """
    training = check_scored(training_labels, training_scores, training_weights)
    test = check_scored(test_labels, test_scores, test_weights)
    ends = [*extent(training[1]), *extent(test[1])]
    if min(ends) >= 0 and max(ends) <= 1:
        edges = np.linspace(0, 1, bins + 1)
    else:
        edges = histogram_edges(joined(training[1], test[1]), bins)
    histograms: list[Histogram] = []
    tests: list[KolmogorovTest] = []
    for label, name in ((1, "signal"), (0, "background")):
        one = _of_class(training, label, training_event)
        two = _of_class(test, label, test_event)
        for (score, weight, event), part in ((one, "training"), (two, "test")):
            histograms.append(histogram(score, weight, edges, f"{name}, {part}", event=event))
        tests.append(
            kolmogorov_test(one[0], two[0], one[1], two[1], first_event=one[2], second_event=two[2])
        )
    return ScoreHistograms(histograms[0], histograms[2], histograms[1], histograms[3], *tests)


def _of_class(
    part: tuple[Any, Any, Any], label: int, event: AnyArray | None
) -> tuple[Any, Any, Any]:
    signal, scores, weights = part
    chosen = derived(partial(np.equal, bool(label)), signal)
    own = None if event is None else compressed(event, chosen)
    return compressed(scores, chosen), compressed(weights, chosen), own


def score_figure(
    numbers: ScoreHistograms,
    signal_name: str = "Signal",
    background_name: str = "Background",
    score_name: str = "Score",
) -> Figure:
    """Return the figure of score distributions: training filled, test as points with √Σw²."""
    signal_name, background_name = short(signal_name, 24), short(background_name, 24)
    with drawing(7.0, 6.0) as figure:
        axes = figure.subplots()
        _draw_training(axes, numbers.signal_training, f"{signal_name}, training", BLUE, None)
        _draw_training(axes, numbers.background_training, f"{background_name}, training", RED,
                       "////")  # fmt: skip
        _draw_test(axes, numbers.signal_test, numbers.signal_agreement, signal_name, BLUE, "o")
        _draw_test(axes, numbers.background_test, numbers.background_agreement, background_name,
                   RED, "s")  # fmt: skip
        _scale(axes, numbers)
        edges = numbers.signal_training.edges
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(score_name)
        axes.set_ylabel("Probability density")
        legend(axes, loc="upper center", ncols=2, columnspacing=1.0, handletextpad=0.5, fontsize=10)
    return figure


def _draw_training(
    axes: Axes, content: Histogram, label: str, colour: str, hatch: str | None
) -> None:
    axes.stairs(content.contents, content.edges, fill=hatch is None, color=colour, hatch=hatch,
                alpha=0.35 if hatch is None else 0.8, linewidth=1.2, label=label)  # fmt: skip
    axes.stairs(content.contents, content.edges, color=colour, linewidth=1.2,
                linestyle="-" if hatch is None else "--")  # fmt: skip


def _draw_test(
    axes: Axes, content: Histogram, test: KolmogorovTest, name: str, colour: str, marker: str
) -> None:
    filled = content.errors > 0
    label = f"{name}, test ($p_{{KS}}$ {_probability(test.p_value)})"
    axes.errorbar(content.centres[filled], content.contents[filled], content.errors[filled],
                  color=colour, linestyle="none", marker=marker, markersize=4.5, linewidth=1.2,
                  markeredgecolor="black", markeredgewidth=0.6, ecolor="black",
                  elinewidth=0.8, label=label)  # fmt: skip


def _probability(p: float) -> str:
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"


def _scale(axes: Axes, numbers: ScoreHistograms) -> None:
    """Use a logarithmic axis if contents span more than 30, and leave room for the legend."""
    four = (numbers.signal_training, numbers.background_training,
            numbers.signal_test, numbers.background_test)  # fmt: skip
    contents = np.concatenate([each.contents for each in four])
    positive = contents[contents > 0]
    low, high = float(positive.min()), float(positive.max())
    if high > 30 * low:
        axes.set_yscale("log")
        low /= 2
        axes.set_ylim(low, high * (high / low) ** 0.24)
    else:
        axes.set_ylim(0, 1.45 * high)
