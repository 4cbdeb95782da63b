"""The scores of systematic variations, and their ratio to the nominal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.arrays import Floats
from steepest.evaluate.columns import extent
from steepest.evaluate.figures.histogram import Histogram, histogram, histogram_edges
from steepest.evaluate.figures.style import (
    COLOURS,
    LINE_STYLES,
    drawing,
    short,
)
from steepest.storage import AnyArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Weighted = Mapping[str, tuple[AnyArray, AnyArray]]
"""Values and weights of each class."""


@dataclass(frozen=True, slots=True)
class VariationShapes:
    """Histograms of unit area of the events of a class.

    Attributes
    ----------
    title, quantity
        What the events are, and what is filled.
    nominal, variations
        The histograms.
    ratios
        Contents of each variation over the nominal ones, NaN where these are zero.
    """

    title: str
    quantity: str
    nominal: Histogram
    variations: tuple[Histogram, ...]
    ratios: tuple[Floats, ...]


def variation_shapes(
    nominal: Weighted,
    variations: Mapping[str, Weighted],
    quantity: str = "Score",
    event: Mapping[str, AnyArray] | None = None,
    bins: int = 25,
) -> tuple[VariationShapes, ...]:
    """Return the numbers of `variation_figure`, an entry for each class.

    Parameters
    ----------
    nominal
        Values and weights, each of shape (events,), of each class.
    variations
        The same of each variation; classes that one does not have are left out.
    quantity
        What the values are.
    event
        The event of each nominal row, where events have several: its errors are then of events.
    bins
        Number of bins, from 0 to 1 for probabilities, otherwise over the nominal values.

    Examples
    --------
    >>> ones, scores = np.ones(4), np.array([0.1, 0.2, 0.3, 0.9])
    >>> up = {"signal": (scores, np.array([1.0, 1.0, 1.0, 3.0]))}
    >>> (shapes,) = variation_shapes({"signal": (scores, ones)}, {"up": up}, bins=2)
    >>> shapes.ratios[0]
    array([0.66666667, 2.        ])
    """
    panels = []
    for title, (values, weights) in nominal.items():
        low, high = extent(values)
        inside = low >= 0 and high <= 1
        edges = np.linspace(0, 1, bins + 1) if inside else histogram_edges(values, bins)
        own = event[title] if event else None
        reference = histogram(values, weights, edges, "nominal", event=own)
        others = tuple(
            histogram(*classes[title], edges, name)
            for name, classes in variations.items()
            if title in classes and len(classes[title][0])
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = tuple(
                np.where(reference.contents != 0, other.contents / reference.contents, np.nan)
                for other in others
            )
        panels.append(VariationShapes(title, quantity, reference, others, ratios))
    return tuple(panels)


def variation_figure(panels: tuple[VariationShapes, ...]) -> Figure:
    """Return the figure: for each class the histograms, and below them the ratios.

    Grey: √Σw² of the nominal events.

    Parameters
    ----------
    panels
        Numbers from `variation_shapes`.
    """
    names = list(dict.fromkeys(each.label for panel in panels for each in panel.variations))
    looks = {name: _look(index) for index, name in enumerate(names)}
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    with drawing(1.5 + 5.0 * columns, 6.0 * rows) as figure:
        axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3, 1] * rows)
        for index, panel in enumerate(panels):
            row, column = divmod(index, columns)
            upper, lower = axes[2 * row, column], axes[2 * row + 1, column]
            _draw(upper, lower, panel, looks)
            upper.sharex(lower)
            upper.tick_params(labelbottom=False)
            if column == 0:
                upper.set_ylabel("Probability density")
                lower.set_ylabel("Ratio")
        for index in range(len(panels), rows * columns):
            row, column = divmod(index, columns)
            axes[2 * row, column].set_axis_off()
            axes[2 * row + 1, column].set_axis_off()
        drawn = [ax.get_legend_handles_labels() for ax in axes[::2].flat]
        lines = {n: h for handles, names in drawn for h, n in zip(handles, names, strict=True)}
        side_by_side = max(1, int(figure.get_figwidth() / 2.6))
        figure.legend(lines.values(), map(short, lines, repeat(24)), loc="outside upper center",
                      ncols=side_by_side, fontsize=11)  # fmt: skip
    return figure


def _look(index: int) -> dict[str, Any]:
    dashes = LINE_STYLES[(index + index // len(COLOURS)) % len(LINE_STYLES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": dashes, "linewidth": 1.5}


def _draw(
    upper: Axes, lower: Axes, panel: VariationShapes, looks: Mapping[str, dict[str, Any]]
) -> None:
    nominal, edges = panel.nominal, panel.nominal.edges
    upper.text(0.04, 0.96, short(panel.title, 36), transform=upper.transAxes, va="top", fontsize=13)
    band = {"color": "0.75", "fill": True, "linewidth": 0}
    low, high = nominal.contents - nominal.errors, nominal.contents + nominal.errors
    upper.stairs(high, edges, baseline=low, **band)
    upper.stairs(nominal.contents, edges, color="black", linewidth=1.6, label="Nominal")
    known = nominal.contents > 0
    relative = np.where(known, nominal.errors / np.where(known, nominal.contents, 1), 0)
    lower.stairs(1 + relative, edges, baseline=1 - relative, **band)
    lower.axhline(1, color="black", linewidth=1.0)
    largest = 0.02
    for other, ratio in zip(panel.variations, panel.ratios, strict=True):
        upper.stairs(other.contents, edges, label=other.label, **looks[other.label])
        lower.stairs(ratio, edges, baseline=None, **looks[other.label])
        well_known = known & (relative < 0.5) & np.isfinite(ratio)
        largest = max(largest, *np.abs(ratio[well_known] - 1), 0)
    lower.set_ylim(1 - 1.3 * min(largest, 1.0), 1 + 1.3 * min(largest, 1.0))
    lower.set_xlim(edges[0], edges[-1])
    lower.set_xlabel(panel.quantity)
    everything = np.concatenate([h.contents for h in (nominal, *panel.variations)])
    positive = everything[everything > 0]
    if positive.size and positive.max() > 30 * positive.min():
        upper.set_yscale("log")
        low, high = float(positive.min()) / 2, float(positive.max())
        upper.set_ylim(low, 4 * high)
    else:
        upper.set_ylim(0, 1.25 * float(everything.max(initial=1e-9)))
