"""Jets as their particles in the η–φ plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.arrays import Floats
from steepest.evaluate.figures.style import COLOURS, drawing, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
AREA = 2_500.0
"""Of the circle of a particle with all of its jet's pT, in square points."""
SHARES = (0.01, 0.05, 0.2)
"""Of the jet's pT, that the legend has circles of."""


@dataclass(frozen=True, slots=True)
class JetPicture:
    """One jet: its particles, and what is written above it.

    `pt` ``(particles,)`` is in GeV; `delta_eta` and `delta_phi` are from the jet's axis; `group`
    chooses the colour.
    """

    title: str
    group: int
    jet_pt: float
    pt: Floats
    delta_eta: Floats
    delta_phi: Floats


@dataclass(frozen=True, slots=True)
class JetPictures:
    """Jets that are drawn side by side, and the names of their groups."""

    jets: tuple[JetPicture, ...]
    groups: tuple[str, ...]


def wrongest(labels: np.ndarray, predictions: np.ndarray, most: int = 6) -> list[int]:
    """The events that are most wrongly classified: of each class the same number, worst first.

    Predictions are P(1) ``(events,)`` of two classes, or probabilities ``(events, K)``.

    Examples
    --------
    >>> wrongest(np.array([1, 1, 0, 0]), np.array([0.9, 0.2, 0.1, 0.7]), 2)
    [3, 1]
    """
    labels = np.asarray(labels).astype(np.int64)
    p = np.asarray(predictions, dtype=np.float64)
    of_truth = np.where(labels == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(p)), labels]
    if p.ndim > 1:
        return np.argsort(of_truth, kind="stable")[:most].tolist()
    chosen = []
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        chosen += rows[np.argsort(of_truth[rows], kind="stable")[: most // 2]].tolist()
    return chosen


def jet_figure(pictures: JetPictures) -> Figure:
    """Draw each jet: a circle for each particle, its area proportional to pT.

    The colour is that of the jet's group, and the same square of the plane is drawn of all.
    """
    jets = pictures.jets
    columns = min(COLUMNS, len(jets))
    rows = -(-len(jets) // columns)
    half = _half_width(jets)
    single = len(jets) == 1
    with drawing(3.6 * columns + (3.8 if single else 0.6), 3.9 * rows + 0.9) as figure:
        panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes, jet in zip(panels, jets, strict=False):
            share = jet.pt / jet.jet_pt
            axes.axhline(0, color="0.85", linewidth=0.8, zorder=0)
            axes.axvline(0, color="0.85", linewidth=0.8, zorder=0)
            axes.scatter(
                jet.delta_eta, jet.delta_phi, s=AREA * share, color=COLOURS[jet.group % 6],
                alpha=0.55, edgecolors="white", linewidths=0.5,
            )  # fmt: skip
            axes.set_title(jet.title, fontsize=11)
            axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
            axes.set_xlabel(r"$\Delta\eta$")
            axes.set_ylabel(r"$\Delta\phi$")
            if single:  # from the left, so that the layout sees where the labels are
                axes.set_anchor("W")
            else:
                axes.label_outer()
        for axes in panels[len(jets) :]:
            axes.set_axis_off()
        if single:
            where = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
            panels[0].legend(handles=_handles(pictures), **where, **_LEGEND)
        else:
            figure.legend(
                handles=_handles(pictures), loc="outside lower center", ncols=3, **_LEGEND
            )
    return figure


_LEGEND: dict[str, Any] = {"frameon": False, "labelspacing": 0.9, "handletextpad": 0.8}


def _half_width(jets: Sequence[JetPicture]) -> float:
    """Half of the side of the square that holds all particles, in steps of 0.2."""
    farthest = max(
        (float(np.abs(values).max()) for jet in jets for values in (jet.delta_eta, jet.delta_phi)
         if len(values)),
        default=0.0,
    )  # fmt: skip
    return max(math.ceil(farthest * 5.25) / 5, 0.2)


def _handles(pictures: JetPictures) -> list[Any]:
    """Which colour is which group, and the circles of some shares of the jet's pT."""
    from matplotlib.lines import Line2D

    def circle(size: float, colour: str, label: str) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker="o", markersize=size, color=colour, alpha=0.55,
            markeredgecolor="white", label=label,
        )  # fmt: skip

    shown = sorted({jet.group for jet in pictures.jets})
    handles = [circle(9, COLOURS[g % 6], short(pictures.groups[g], 32)) for g in shown]
    return handles + [
        circle(math.sqrt(AREA * share), "0.5", f"{100 * share:g} % of the jet's $p_{{T}}$")
        for share in SHARES
    ]
