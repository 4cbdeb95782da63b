"""The grid of a surface: the coordinates of its points, and their memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steepest.errors import InputError
from steepest.landscape.directions import Directions

__all__ = ["Grid", "automatic_extent", "grid_of", "refuse_too_large"]

Array = np.ndarray

MARGIN = 0.2
"""Margin on each side of the slice, as a fraction of its width."""
ARRAYS = 8
"""Number of arrays of the size of the grid that are in memory at once."""
FINEST = {1: 10_001, 2: 1_001}
"""Largest number of points per axis that a message suggests; more would take very long."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The evenly spaced coordinates of the points of a surface, one array per axis."""

    axes: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points along each axis; the first axis is horizontal."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """Total number of points."""
        return int(np.prod(self.shape))

    def points(self) -> Array:
        """The coordinates of all points, ``(size, k)``, in C order of `shape`."""
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return np.stack([values.ravel() for values in mesh], axis=1)

    def holds(self, coordinates: Array) -> Array:
        """Return a mask of the coordinates ``(points, k)`` within the grid."""
        lows = np.array([axis[0] for axis in self.axes])
        highs = np.array([axis[-1] for axis in self.axes])
        return np.asarray(np.all((coordinates >= lows) & (coordinates <= highs), axis=-1))


def grid_of(directions: Directions, extent: Sequence[float], points: int) -> Grid:
    """Return a grid of `points` along each axis, over the extent (low, high) of each axis.

    Raises
    ------
    InputError
        For fewer than 3 points, or an extent that is not (low, high) with low < high on each axis.

    Examples
    --------
    >>> line = Directions.spanned("random", np.zeros(1), np.ones((1, 1)), ("a",))
    >>> grid_of(line, (-1, 1), 5).axes
    (array([-1. , -0.5,  0. ,  0.5,  1. ]),)
    """
    if points < 3:
        raise InputError(
            f"{points} points along an axis are too few.",
            expected="at least 3",
            found=str(points),
            do="--points 51",
        )
    ends = _ends(directions, extent)
    return Grid(tuple(np.linspace(low, high, points) for low, high in ends))


def _ends(directions: Directions, extent: Sequence[float]) -> list[tuple[float, float]]:
    k, offset = directions.dimensions, directions.offset.tolist()
    values = [float(value) for value in extent]
    if len(values) == 1 and values[0] > 0:
        ends = [(centre - values[0], centre + values[0]) for centre in offset]
    elif len(values) == 2 * k:
        ends = [(values[2 * i], values[2 * i + 1]) for i in range(k)]
    else:
        ends = []
    if not ends or not all(low < high and np.isfinite([low, high]).all() for low, high in ends):
        raise InputError(
            f"The extent {', '.join(f'{value:g}' for value in values)} is none.",
            expected="a half width, or a low and a higher end"
            + (" of the first axis, then of the second" if k == 2 else ""),
            found=_wrong_with(values, k),
            do="--extent=1.5 or " + ("--extent=-1,1" if k == 1 else "--extent=-1,1,-2,2"),
        )
    return ends


def _wrong_with(values: list[float], k: int) -> str:
    axes = "axis" if k == 1 else "axes"
    if len(values) not in (1, 2 * k):
        return f"{len(values)} numbers for {k} {axes}"
    if not np.isfinite(values).all():
        return "a number that is not finite"
    if len(values) == 1:
        return f"the half width {values[0]:g}, which is not above zero"
    pairs = [(values[2 * i], values[2 * i + 1]) for i in range(k)]
    low, high = next((low, high) for low, high in pairs if not low < high)
    return f"a low end {low:g} that is not below the high end {high:g}"


def automatic_extent(
    directions: Directions, path: Array | None, scales: Sequence[float] | None = None
) -> tuple[float, ...]:
    """Return an extent that shows the relevant part of the slice.

    For random directions it is −1 to 1, the length of the weights. Otherwise it includes the marks,
    the coordinates ``(points, k)`` of the path, and the trained model ± `scales`, with a margin.

    Examples
    --------
    >>> line = Directions.spanned("hessian", np.zeros(1), np.ones((1, 1)), ("a",))
    >>> automatic_extent(line, None, [5.0])
    (-5.0, 5.0)
    """
    k, offset = directions.dimensions, directions.offset
    if directions.kind == "random":
        return (-1.0, 1.0) * k
    marks = np.array([mark.coordinates for mark in directions.marks])
    shown = np.concatenate([offset[None], marks.reshape(-1, k)])
    if path is not None and len(path):
        shown = np.concatenate([shown, path])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    if scales is not None:
        low = np.minimum(low, offset - np.asarray(scales))
        high = np.maximum(high, offset + np.asarray(scales))
    flat = ~(high > low)
    low = np.where(flat, low - np.maximum(np.abs(offset), 1.0), low)
    high = np.where(flat, high + np.maximum(np.abs(offset), 1.0), high)
    return tuple(float(v) for pair in zip(low, high, strict=True) for v in pair)


def refuse_too_large(
    points: int, dimensions: int, events: int, row_bytes: int, available: int
) -> None:
    """Raise InputError if a surface does not fit into memory, and suggest one that does.

    Parameters
    ----------
    points, dimensions
        Points along each axis, and the number of axes.
    events, row_bytes
        Number of events, and bytes of each.
    available
        Available memory in bytes.

    Examples
    --------
    >>> refuse_too_large(100_000, 2, 1000, 100, 8 * 2**30)
    Traceback (most recent call last):
    steepest.errors.InputError: The landscape does not fit into memory.
      expected: at most 8 GiB
      found:    745 GiB for 100,000 × 100,000 points, 97.7 KiB for 1,000 events
      do:       --points 1001
    """
    grid, sample = ARRAYS * 8 * points**dimensions * 1.25, float(events * row_bytes)
    if grid + sample <= available:
        return
    fewer = int((max(available - sample, 0) / (ARRAYS * 10)) ** (1 / dimensions))
    offers = []
    if grid > 0.1 * available and fewer >= 3:
        offers.append(f"--points {min(fewer, points, FINEST[dimensions])}")
    if sample > 0.1 * available:
        offers.append(f"--events {int(max(available / 2, 1) / row_bytes)}")
    shape = " × ".join([f"{points:,}"] * dimensions)
    raise InputError(
        "The landscape does not fit into memory.",
        expected=f"at most {_size(available)}",
        found=f"{_size(grid)} for {shape} points, {_size(sample)} for {events:,} events",
        do=" and ".join(offers) or "free some memory",
    )


def _size(amount: float) -> str:
    """Format a number of bytes: 97.7 KiB, 8 GiB, 2,980 GiB."""
    power = 3 if amount >= 2**30 else 2 if amount >= 2**20 else 1
    value = amount / 2 ** (10 * power)
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{number} {('KiB', 'MiB', 'GiB')[power - 1]}"
