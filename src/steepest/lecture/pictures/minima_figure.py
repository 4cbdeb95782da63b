"""The figure of `steepest.lecture.pictures.minima`: runs, the line between, the plateau."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED
from steepest.lecture.pictures.minima_numbers import Minima
from steepest.lecture.pictures.panels import labelled, three_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure"]


def figure(numbers: Minima) -> Figure:
    """Return the figure of the runs, the line between the minima, and the plateau."""
    return three_panels(numbers, _runs, _line_between, _plateau)


def _runs(axes: Axes, numbers: Minima) -> None:
    looks = ((BLUE, "-", "A"), (ORANGE, "--", "B"))
    for minimum, (colour, dashes, letter) in zip(numbers.minima, looks, strict=True):
        axes.plot(1 + np.arange(len(minimum.losses)), minimum.losses, color=colour,
                  linestyle=dashes, label=f"Start {letter}: $J$ = {minimum.loss:.4f}")  # fmt: skip
        axes.axhline(minimum.loss, color=colour, linestyle=":", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    labelled(axes, "Two starts, two minima", "Step", "Loss $J$")


def _line_between(axes: Axes, numbers: Minima) -> None:
    t = np.linspace(0, 1, len(numbers.line))
    first, second = numbers.minima
    axes.plot(t, numbers.line, color="black")
    axes.plot([0, 1], [first.loss, second.loss], color=GREY, linestyle="--")
    look = {"markeredgecolor": "black", "linestyle": "", "markersize": 14, "clip_on": False}
    axes.plot(0, first.loss, marker="*", color=BLUE, label="Minimum A", zorder=4, **look)
    axes.plot(1, second.loss, marker="*", color=ORANGE, label="Minimum B", zorder=4, **look)
    at, height = numbers.barrier["at"], numbers.barrier["height"]
    ground = first.loss + at * (second.loss - first.loss)
    axes.annotate("", (at, ground), (at, ground + height), arrowprops={"arrowstyle": "<->"})
    axes.annotate(f"barrier {height:#.2g}", (at, ground + 0.1 * height), xytext=(6, 0),
                  textcoords="offset points", fontsize=12)  # fmt: skip
    axes.set_xlim(-0.06, 1.06)
    height = float(np.ptp(numbers.line))
    axes.set_ylim(numbers.line.min() - 0.15 * height, numbers.line.max() + 0.4 * height)
    labelled(axes, "The section through both", "Straight line from A (0) to B (1)", "Loss $J$")


def _plateau(axes: Axes, numbers: Minima) -> None:
    one = numbers.plateau
    if one is None:
        axes.text(0.5, 0.5, "No run had a plateau", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    steps = np.arange(len(one.losses))
    axes.axvspan(one.first, one.last, color=GREY, alpha=0.25, linewidth=0,
                 label=f"Plateau ({one.last - one.first:,} steps)")  # fmt: skip
    axes.plot(steps, one.losses, color=BLUE, label="Loss $J$")
    fall = one.loss_before - one.loss_end
    axes.set_ylim(one.loss_end - 1.8 * fall, one.loss_before + 1.2 * fall)
    axes.set_xlim(0, min(len(steps), 2 * one.last))
    beside = axes.twinx()
    beside.plot(steps, one.gradients, color=RED, linestyle="--")
    axes.plot([], [], color=RED, linestyle="--", label=r"Gradient $\Vert\nabla J\Vert$ (right)")
    beside.set_yscale("log")
    beside.set_ylim(0.3 * one.gradient, 3e4 * one.gradient)
    beside.set_ylabel(r"$\Vert\nabla J\Vert$")
    labelled(axes, f"A plateau on the way of start {one.seed}", "Step", "Loss $J$")
