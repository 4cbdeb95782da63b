"""Figures of a landscape, drawn from the numbers of a `Picture`."""

from steepest.landscape.figures.picture import Picture
from steepest.landscape.figures.plots import (
    contour_figure,
    path_figure,
    profile_figure,
    relief_figure,
)

__all__ = ["Picture", "contour_figure", "path_figure", "profile_figure", "relief_figure"]
