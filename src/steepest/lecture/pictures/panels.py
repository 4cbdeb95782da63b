"""Figures with three panels, and the labels of a panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from steepest.evaluate.figures.style import laid_out, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["labelled", "three_panels"]

Numbers = TypeVar("Numbers")


def three_panels(numbers: Numbers, *draw: Callable[[Axes, Numbers], None]) -> Figure:
    """Return a figure with three panels, one drawn by each function."""
    with style():
        drawn = new_figure(14.0, 5.0)
        for axes, draw_on in zip(drawn.subplots(1, 3), draw, strict=True):
            draw_on(axes, numbers)
        return laid_out(drawn)


def labelled(axes: Axes, title: str, x: str, y: str, *, legend: bool = True) -> None:
    """Set the title, the axis labels and the legend of a panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=13)
    if legend:
        axes.legend(loc="upper right", fontsize=11)
