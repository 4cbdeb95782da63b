"""Feature distributions, with their values before and after scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import EventsError
from steepest.evaluate.arrays import Floats, as_column, as_weights, check_same_length
from steepest.evaluate.figures.histogram import Histogram, histogram, histogram_edges
from steepest.evaluate.figures.style import (
    COLOURS,
    LINE_STYLES,
    axis_label,
    drawing,
    scaled_label,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 24


@dataclass(frozen=True, slots=True)
class FeatureHistograms:
    """Histograms of one feature before and after scaling, of unit area for each class."""

    name: str
    before: tuple[Histogram, ...]
    after: tuple[Histogram, ...]


def feature_histograms(
    names: Sequence[str],
    before: ArrayLike,
    after: ArrayLike,
    labels: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    bins: int = 40,
) -> list[FeatureHistograms]:
    """Return the numbers of `feature_figure`, for the first 24 features.

    A histogram spans the central 99.8 % of the values, or all values if the range is similar.
    Values outside are counted in ``outside`` and in the normalisation.

    Parameters
    ----------
    names
        Names of the features.
    before, after
        Finite values in their units, and scaled, both of shape (events, features).
    labels
        Class numbers 0, 1, …, shape (events,); None for one class, as in regression.
    weights
        Event weights of any sign, a positive sum in each class; None means 1 each.
    class_names
        Names of the classes; None means background and signal for two classes.
    bins
        Number of bins.

    Raises
    ------
    EventsError
        For shapes that differ, values that are not finite, weights without a positive sum.

    Examples
    --------
    >>> before = np.array([[100.0], [200.0], [300.0]])
    >>> numbers = feature_histograms(["pt"], before, before / 100, bins=2)
    >>> numbers[0].before[0].contents
    array([0.00333333, 0.00166667])
    """
    raw, scaled = np.asarray(before, np.float64), np.asarray(after, np.float64)
    _check_shapes(names, raw, scaled)
    weight = as_weights(weights, len(raw))
    classes = _classes(labels, len(raw), class_names)
    return [
        FeatureHistograms(
            name,
            _per_class(as_column(raw[:, column], f"values of {name}"), weight, classes, bins),
            _per_class(
                as_column(scaled[:, column], f"scaled values of {name}"), weight, classes, bins
            ),
        )
        for column, name in enumerate(names[:_MOST])
    ]


def _check_shapes(names: Sequence[str], raw: Floats, scaled: Floats) -> None:
    if raw.ndim == 2 and raw.shape == scaled.shape and raw.shape[1] == len(names):
        return
    raise EventsError(
        "features before and after scaling do not fit together.",
        expected=f"both of shape (events, {len(names)}), one column for each name",
        found=f"shape {raw.shape} before, {scaled.shape} after",
        cause="another selection of events, or a scaling that changes the columns",
        do="take both from the same events and features",
    )


def _classes(
    labels: ArrayLike | None, size: int, class_names: Sequence[str] | None
) -> list[tuple[str, NDArray[np.bool_]]]:
    if labels is None:
        return [("all events", np.ones(size, dtype=bool))]
    label = as_column(labels, "labels")
    check_same_length(np.empty(size), label, "events", "labels")
    numbers = np.unique(label)
    binary = set(numbers.tolist()) <= {0.0, 1.0}
    names = class_names or (("Background", "Signal") if binary else ())
    return [(names[int(n)] if 0 <= n < len(names) else f"class {n:g}", label == n) for n in numbers]


def _per_class(
    values: Floats, weights: Floats, classes: list[tuple[str, NDArray[np.bool_]]], bins: int
) -> tuple[Histogram, ...]:
    edges = histogram_edges(values, bins)
    return tuple(histogram(values[of], weights[of], edges, name) for name, of in classes)


def feature_figure(numbers: Sequence[FeatureHistograms]) -> Figure:
    """Return the figure of the features, in a grid.

    A scaling that only shifts and stretches leaves the shape: then the axis above has the scaled
    values. Otherwise the scaled feature has a panel of its own, beside that of the feature.

    The numbers are those of `feature_histograms`.
    """
    panels = [panel for feature in numbers for panel in _panels(feature)]
    in_a_row = min(len(panels), 4 if len(panels) > 6 else 3)
    rows = -(-len(panels) // in_a_row)
    no_minor_ticks = {"xtick.minor.visible": False, "ytick.minor.visible": False}
    with drawing(
        3.6 * in_a_row, 2.7 * rows + 0.5, **no_minor_ticks
    ) as figure:  # too crowded at this size
        grid = figure.subplots(rows, in_a_row, squeeze=False)
        for axes, (content, label, scaled) in zip(grid.flat, panels, strict=False):
            _draw(axes, content, label)
            if scaled is not None:
                _draw_scaled_axis(axes, content, scaled)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        handles, names = grid[0, 0].get_legend_handles_labels()
        if len(handles) > 1:
            figure.legend(
                handles,
                [short(name) for name in names],
                loc="outside upper center",
                ncols=len(handles),
            )
        figure.supylabel("Probability density", fontsize="medium")
    return figure


_Panel = tuple[Sequence[Histogram], str, "Sequence[Histogram] | None"]
"""What is drawn, the label of its axis, and what the axis above stands for."""


def _panels(feature: FeatureHistograms) -> list[_Panel]:
    name, before, after = axis_label(feature.name, 22), feature.before, feature.after
    if _same_shape(before, after):
        same_axis = np.allclose(before[0].edges, after[0].edges)
        return [(before, name, None if same_axis else after)]
    return [(before, name, None), (after, scaled_label(feature.name, 22), None)]


def _same_shape(before: Sequence[Histogram], after: Sequence[Histogram]) -> bool:
    """Whether the bins hold the same shares, but for events that rounding moves at an edge."""
    if before[0].edges.size != after[0].edges.size:
        return False
    one, two = (
        np.array([each.contents * np.diff(each.edges) for each in of]) for of in (before, after)
    )
    return bool(np.abs(one - two).sum(axis=1).max() < 0.02)


def _draw(axes: Axes, classes: Sequence[Histogram], label: str) -> None:
    # signal, the last of two classes, has the first colour, as in the other figures
    order = range(len(classes))[::-1] if len(classes) == 2 else range(len(classes))
    for style_index, content in zip(order, classes, strict=True):
        colour = COLOURS[style_index % len(COLOURS)]
        dashes = LINE_STYLES[style_index % len(LINE_STYLES)]
        axes.stairs(content.contents, content.edges, color=colour, linestyle=dashes,
                    linewidth=1.4, label=content.label)  # fmt: skip
    highest = max(float(content.contents.max()) for content in classes)
    axes.set_ylim(0, 1.12 * highest)
    axes.set_xlim(classes[0].edges[0], classes[0].edges[-1])
    axes.set_xlabel(label)
    axes.tick_params(labelsize=10.5)
    axes.locator_params(nbins=4)


def _draw_scaled_axis(axes: Axes, raw: Sequence[Histogram], scaled: Sequence[Histogram]) -> None:
    """Put the scaled values above: a line through the ends of both."""
    from matplotlib.ticker import MaxNLocator

    (a, b), (c, d) = ((of[0].edges[0], of[0].edges[-1]) for of in (raw, scaled))
    slope = (d - c) / (b - a)
    axes.tick_params(top=False, which="both")
    above = axes.secondary_xaxis(
        "top", functions=(lambda x: c + slope * (x - a), lambda z: a + (z - c) / slope)
    )
    above.tick_params(labelsize=8.5, colors="0.4", which="both", length=4)
    above.xaxis.set_major_locator(MaxNLocator(4))
