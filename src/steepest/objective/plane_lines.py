"""Points of a plane, sorted into straight lines along one coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["FEWEST", "Lines", "lines_of"]

Array = np.ndarray

FEWEST = 8
"""Points of a line, on average, from which going along it pays."""


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of points.

    Attributes
    ----------
    axis
        Which coordinate runs along the lines.
    order
        The points, line by line, ascending along a line: places in the coordinates.
    middle
        What is taken off the coordinates along and across: the middle of the grid.
    along
        The points' coordinates along the lines, in that order, in the dtype of θ.
    across
        The lines' other coordinate.
    inverses
        1 over the distance of a line's points where these are evenly spaced, else 0.
    starts
        Where each line begins in the order, and the end, ``(lines + 1,)``.
    """

    axis: int
    order: Array
    middle: tuple[float, float]
    along: Array
    across: Array
    inverses: Array
    starts: Array


def lines_of(coordinates: Array, dtype: np.dtype) -> Lines | None:
    """Return the points ``(points, 1 or 2)`` as lines; None where these would be too short.

    Examples
    --------
    >>> points = np.array([[x, y] for x in (0.0, 1.0) for y in range(9)])
    >>> lines = lines_of(points, np.dtype("float64"))
    >>> lines.axis, lines.across + lines.middle[1], lines.inverses
    (1, array([0., 1.]), array([1., 1.]))
    """
    if not len(coordinates) or not np.isfinite(coordinates).all():
        return None
    padded = np.column_stack([coordinates, np.zeros(len(coordinates))])[:, :2]
    counts = [len(np.unique(padded[:, 1 - axis])) for axis in (0, 1)]
    axis = int(counts[1] < counts[0]) if coordinates.shape[1] == 2 else 0
    if len(coordinates) < FEWEST * counts[axis]:
        return None
    order = np.lexsort((padded[:, axis], padded[:, 1 - axis]))
    along, across = padded[order, axis], padded[order, 1 - axis]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(across)) + 1, [len(order)]])
    across = across[starts[:-1]]
    inverses = np.array([_inverse(along[a:b], dtype) for a, b in pairwise(starts)])
    # an outlier would take all others far from the middle, and their digits with it
    middle = (
        _middle(along) if inverses.all() else 0.0,
        _middle(across) if len(across) == 1 or _inverse(across, dtype) else 0.0,
    )
    return Lines(
        axis, order, middle, (along - middle[0]).astype(dtype),
        (across - middle[1]).astype(dtype), inverses.astype(dtype), starts.astype(np.int64),
    )  # fmt: skip


def _middle(values: Array) -> float:
    return float((values.min() + values.max()) / 2)


def _inverse(values: Array, dtype: np.dtype) -> float:
    """1 / step where ascending values are evenly spaced up to rounding, else 0."""
    if len(values) < 2 or not values[-1] > values[0]:
        return 0.0
    step = (values[-1] - values[0]) / (len(values) - 1)
    away = np.abs(values - (values[0] + step * np.arange(len(values)))).max()
    even = away <= 4 * np.finfo(dtype).eps * max(abs(values[0]), abs(values[-1]))
    return 1 / step if even else 0.0
