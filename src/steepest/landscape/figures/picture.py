"""The numbers of the figures of a landscape, and the scale of heights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.landscape.directions import Directions, Grid, Mark
from steepest.landscape.path_projection import ProjectedPath
from steepest.landscape.surface import Surface

Array = np.ndarray

_LOSSES = {
    "mean-squared-error": "mean squared error",
    "binary-cross-entropy": "binary cross entropy",
    "cross-entropy": "cross entropy",
}
LEAST_VARIANCE = 0.5
"""A path is drawn if the slice contains at least this fraction of its variance."""
LOWEST_LEVEL = 1e-3
"""Height of the lowest contour above the minimum, as a fraction of the height shown."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The numbers that the figures of a landscape draw."""

    axes: tuple[Array, ...]  # coordinates along each axis
    labels: tuple[str, ...]  # of the axes, with units
    losses: Array  # J on the grid, (points,) or (points, points) with the first axis first
    standard_errors: Array  # of the same shape
    quantity: str  # label of J, with the part of the events
    marks: tuple[Mark, ...] = ()  # named points
    path: ProjectedPath | None = None  # with its true losses
    kept_step: int | None = None  # the step whose parameters are the trained model
    by_name: bool = False  # whether coordinates are parameters, which every point has

    @classmethod
    def of(
        cls,
        directions: Directions,
        surface: Surface,
        path: ProjectedPath | None,
        loss: str,
        part: str,
        kept_step: int | None = None,
    ) -> Picture:
        """Return the picture of a surface; `loss` and `part` are names."""
        kind = _LOSSES.get(loss, loss)
        part = {"train": "training"}.get(part, part)
        return cls(
            axes=surface.grid.axes,
            labels=directions.labels,
            losses=surface.losses,
            standard_errors=surface.standard_errors,
            quantity=rf"{part.capitalize()} loss $J$" + (f" ({kind})" if kind else ""),
            marks=directions.marks,
            path=path,
            kept_step=kept_step,
            by_name=directions.kind == "parameters",
        )

    def path_within(self) -> Array:
        """Return a mask of the path points within the axes, ``(points,)``."""
        assert self.path is not None
        return Grid(self.axes).holds(self.path.coordinates)

    def drawn_path(self) -> Array | None:
        """Return the coordinates of the path, or None if drawing it would be misleading.

        This is the case if no point is within the axes, if the path covers less than a tenth of
        each axis, or if the plane contains less than half of its variance. (A random plane contains
        almost none of it.)
        """
        if self.path is None or not self.path_within().any():
            return None
        reach = np.ptp(self.path.coordinates[self.path_within()], axis=0)
        widths = np.array([axis[-1] - axis[0] for axis in self.axes])
        held = self.by_name or self.path.variance >= LEAST_VARIANCE
        return self.path.coordinates if held and (reach > widths / 10).any() else None

    @property
    def has_descent(self) -> bool:
        """Whether a path is drawn on a plane."""
        return len(self.axes) == 2 and self.drawn_path() is not None


def levels(losses: Array, count: int = 14) -> Array:
    """Return contour levels J_min + δ rⁱ, evenly spaced in the logarithm of the height.

    They show both the bottom and the walls: for a paraboloid, the radii of the contours grow by a
    constant factor. The lowest level is a thousandth of the height above the minimum.

    Examples
    --------
    >>> levels(np.array([[1.0, 2.0], [3.0, 11.0]]), 5).round(3)
    array([ 1.  ,  1.01,  1.1 ,  2.  , 11.  ])
    """
    finite = losses[np.isfinite(losses)]
    low, high = float(finite.min()), float(finite.max())
    if not high > low:
        return np.array([low, np.nextafter(low, np.inf) + abs(low) * 1e-6 + 1e-12])
    rings = np.geomspace(LOWEST_LEVEL, 1.0, count - 1)
    return np.concatenate([[low], low + (high - low) * rings])


def shades(losses: Array) -> Array:
    """Return the position of J among the contour levels, from 0 to 1; NaN if J is not finite.

    Examples
    --------
    >>> shades(np.array([1.0, 11.0, np.inf]))
    array([ 0.,  1., nan])
    """
    rings = levels(losses)
    finite = np.isfinite(losses)
    places = np.interp(np.where(finite, losses, rings[0]), rings, np.linspace(0, 1, len(rings)))
    return np.where(finite, places, np.nan)


def spans_decades(losses: Array) -> bool:
    """Whether to use a logarithmic height: J > 0 over more than a factor of 8."""
    finite = losses[np.isfinite(losses)]
    return bool(finite.size and finite.min() > 0 and finite.max() > 8 * finite.min())


def decade_ticks(losses: Array) -> Array:
    """Return ticks of a logarithmic axis: 1, 2, 5, 10, …, or powers of ten for many decades.

    Examples
    --------
    >>> decade_ticks(np.array([0.15, 4.0])), decade_ticks(np.array([0.5, 2e7]))
    (array([0.2, 0.5, 1. , 2. ]), array([1.e+01, 1.e+03, 1.e+05, 1.e+07]))
    """
    finite = losses[np.isfinite(losses)]
    low, high = float(finite.min()), float(finite.max())
    decades = np.arange(np.floor(np.log10(low)), np.floor(np.log10(high)) + 1)
    sets = [np.outer(10.0**decades, d).ravel() for d in ([1, 2, 5], [1, 1.5, 2, 3, 5, 7])]
    fine, finer = (ticks[(ticks >= low) & (ticks <= high)] for ticks in sets)
    if len(fine) < 3:
        return finer
    coarse = 10.0 ** decades[:: -(-len(decades) // 6)]
    return fine if len(fine) <= 7 else coarse[(coarse >= low) & (coarse <= high)]
