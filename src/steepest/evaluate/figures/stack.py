"""Scores of the samples, stacked: how many events of each process are expected where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.arrays import Values, as_column, as_weights
from steepest.evaluate.columns import extent
from steepest.evaluate.figures.histogram import Histogram, histogram, histogram_edges
from steepest.evaluate.figures.style import BLUE, COLOURS, drawing, short
from steepest.notation import number_text
from steepest.storage import AnyArray, compressed
from steepest.storage import total as summed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 7
"""So many backgrounds are told apart; the others are drawn as one."""


@dataclass(frozen=True, slots=True)
class ProcessScores:
    """The expected events of a process in bins of the score, Σw and √Σw², and in all."""

    name: str
    signal: bool
    expected: float
    histogram: Histogram


def process_scores(
    names: Sequence[str],
    signal: Sequence[bool],
    scores: Values,
    inside: Sequence[AnyArray],
    weights: Values | None = None,
    expected: Sequence[float] | None = None,
    bins: int = 20,
    event: AnyArray | None = None,
) -> tuple[ProcessScores, ...]:
    """Return the numbers of `stack_figure`.

    Parameters
    ----------
    names, signal
        Of the processes, and whether each is signal.
    scores
        Finite scores, shape (events,).
    inside
        For each process, whether each event belongs to it, shape (events,).
    weights
        Event weights of any sign; None means 1 each.
    expected
        The yield of each process, to which its histogram is scaled where the events are only a part
        of it; None leaves Σw.
    bins
        Number of bins: from 0 to 1 for probabilities, otherwise over the range of the scores.
    event
        The event of each row, where events have several: errors are then of events.

    Examples
    --------
    >>> of = [np.array([True, False, False]), np.array([False, True, True])]
    >>> top, qcd = process_scores(["top", "qcd"], [True, False], [0.9, 0.1, 0.7], of, bins=2)
    >>> qcd.histogram.contents.tolist(), qcd.expected
    ([1.0, 1.0], 2.0)
    """
    score = as_column(scores, "scores")
    weight = as_weights(weights, len(score))
    low, high = extent(score)
    edges = np.linspace(0, 1, bins + 1) if 0 <= low <= high <= 1 else histogram_edges(score, bins)
    found = []
    for index, (name, is_signal) in enumerate(zip(names, signal, strict=True)):
        w = compressed(weight, inside[index])
        total = float(summed(w))
        own = None if event is None else compressed(event, inside[index])
        counted = histogram(compressed(score, inside[index]), w, edges, name, False, own)
        scale = expected[index] / total if expected is not None and total > 0 else 1.0
        counted = Histogram(
            name, edges, scale * counted.contents, scale * counted.errors, False, counted.outside
        )
        found.append(ProcessScores(name, bool(is_signal), scale * total, counted))
    return tuple(found)


def stack_figure(processes: Sequence[ProcessScores], score_name: str = "Score") -> Figure:
    """Return the figure: backgrounds stacked, the signal as a line and on top of them.

    Hatched: √Σw² of the background. Below: signal and background over background.

    Parameters
    ----------
    processes
        Numbers from `process_scores`.
    score_name
        Name of the axis.
    """
    backgrounds = _backgrounds(processes)
    signals = [each for each in processes if each.signal]
    edges = processes[0].histogram.edges
    with drawing(7.0, 7.0) as figure:
        upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
        total, squares = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
        for index, each in enumerate(backgrounds):
            reached = total + each.histogram.contents
            upper.stairs(reached, edges, baseline=total, fill=True, label=_label(each),
                         facecolor=COLOURS[1:][index % 5], edgecolor="black", linewidth=0.6,
                         hatch=None if index < 5 else "..")  # fmt: skip
            total, squares = reached, squares + each.histogram.errors**2
        error = np.sqrt(squares)
        upper.stairs(total + error, edges, baseline=total - error, fill=True, facecolor="none",
                     edgecolor="0.3", hatch="////", linewidth=0,
                     label="Background, √Σw²")  # fmt: skip
        both = total.copy()
        for index, each in enumerate(signals):
            dashes = ("-", "--", ":")[index % 3]
            upper.stairs(each.histogram.contents, edges, color=BLUE, linewidth=2.0,
                         linestyle=dashes, label=_label(each))  # fmt: skip
            both += each.histogram.contents
        upper.stairs(both, edges, baseline=None, color="black", linewidth=1.2,
                     label="Signal and background")  # fmt: skip
        _scale(upper, both, [each.histogram.contents for each in (*backgrounds, *signals)])
        upper.set_ylabel("Expected events / bin")
        upper.legend(ncols=2, fontsize=10, columnspacing=1.0, loc="upper center")
        _draw_ratio(lower, edges, both, total, error)
        lower.set_xlim(edges[0], edges[-1])
        lower.set_xlabel(score_name)
    return figure


def _backgrounds(processes: Sequence[ProcessScores]) -> list[ProcessScores]:
    """Return the backgrounds, the smallest first; beyond `MOST` the smallest ones as one."""
    ordered = sorted((each for each in processes if not each.signal), key=lambda e: e.expected)
    few, others = ordered[-MOST:], ordered[:-MOST]
    if not others:
        return few
    counted = [each.histogram for each in others]
    name = f"{len(others)} others"
    merged = Histogram(
        name,
        counted[0].edges,
        np.sum([each.contents for each in counted], axis=0),
        np.sqrt(np.sum([each.errors**2 for each in counted], axis=0)),
        False,
        sum(each.outside for each in counted),
    )
    return [ProcessScores(name, False, sum(each.expected for each in others), merged), *few]


def _label(process: ProcessScores) -> str:
    return f"{short(process.name, 22)}: {number_text(process.expected, 3)}"


def _draw_ratio(
    axes: Axes, edges: np.ndarray, both: np.ndarray, background: np.ndarray, error: np.ndarray
) -> None:
    known = background > 0
    divisor = np.where(known, background, 1.0)
    ratio = np.where(known, both / divisor, np.nan)
    relative = np.where(known, error / divisor, np.nan)
    axes.stairs(1 + relative, edges, baseline=1 - relative, fill=True, facecolor="none",
                edgecolor="0.3", hatch="////", linewidth=0)  # fmt: skip
    axes.stairs(ratio, edges, baseline=None, color="black", linewidth=1.2)
    axes.axhline(1, color="0.4", linewidth=0.8, linestyle=":")
    highest = np.nanmax(ratio, initial=1.0)
    largest = np.nanmax(np.where(relative < 0.5, relative, np.nan), initial=0.02)
    axes.set_ylim(1 - 1.3 * min(largest, 0.75), min(max(1.15 * highest, 1 + 1.3 * largest), 20.0))
    axes.set_ylabel("(S + B) / B")


def _scale(axes: Axes, top: np.ndarray, contents: Sequence[np.ndarray]) -> None:
    """Use a logarithmic axis if processes span more than 30, and leave room for the legend."""
    all_contents = np.concatenate(contents)
    positive = all_contents[all_contents > 0]
    high = float(top.max(initial=1e-9))
    low = max(float(positive.min(initial=high)) / 2, 1e-6 * high)
    if high > 60 * low:
        axes.set_yscale("log")
        axes.set_ylim(low, high * (high / low) ** 0.35)
    else:
        axes.set_ylim(0, 1.55 * high)
