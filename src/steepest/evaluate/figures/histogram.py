"""Histograms of weighted events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.evaluate.arrays import Floats
from steepest.evaluate.columns import extent
from steepest.storage import AnyArray, blocks, in_memory, thinned
from steepest.storage import total as summed

_MOST_STEPS = 1_000
"""Largest number of steps of an even grid."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Contents of bins with their errors."""

    label: str  # name of the filled quantity
    edges: Floats  # shape (bins + 1,); the last bin includes its upper edge
    # Σ w and √Σ w² per bin, of events; if `normalised`, divided by (Σ w of all × bin width)
    contents: Floats
    errors: Floats
    normalised: bool  # whether the histogram has unit area, including the events outside
    outside: int  # number of events below the first or above the last edge

    @property
    def centres(self) -> Floats:
        """Return the middle of each bin."""
        return (self.edges[:-1] + self.edges[1:]) / 2


def histogram(
    values: AnyArray,
    weights: AnyArray,
    edges: Floats,
    label: str,
    normalised: bool = True,
    event: AnyArray | None = None,
) -> Histogram:
    """Return the histogram of weighted values.

    With `event`, the number of each value's event, the squares are those of events, since the
    values of one are not independent: Σ_events (Σ w of the event in the bin)². Values of one event
    are adjacent.

    Examples
    --------
    >>> histogram(np.array([0.1, 0.6, 0.7]), np.ones(3), np.array([0.0, 0.5, 1.0]), "x").contents
    array([0.66666667, 1.33333333])
    """
    contents, squares = np.zeros(edges.size - 1), np.zeros(edges.size - 1)
    outside = 0
    for x, w in blocks(values, weights):
        contents += np.histogram(x, edges, weights=w)[0]
        squares += np.histogram(x, edges, weights=w**2)[0]
        outside += int(((x < edges[0]) | (x > edges[-1])).sum())
    if event is not None:
        squares = _squares_of_events(in_memory(values), in_memory(weights), in_memory(event), edges)
    scale = summed(weights) * np.diff(edges) if normalised else np.ones(edges.size - 1)
    return Histogram(label, edges, contents / scale, np.sqrt(squares) / scale, normalised, outside)


def _squares_of_events(
    values: np.ndarray, weights: np.ndarray, event: np.ndarray, edges: Floats
) -> Floats:
    """Return Σ (Σ w)² over events per bin."""
    bins = edges.size - 1
    inside = (values >= edges[0]) & (values <= edges[-1])
    place = np.minimum(np.searchsorted(edges, values[inside], "right") - 1, bins - 1)
    number = np.cumsum(np.diff(event, prepend=event[:1]) != 0)[inside]
    cells, of_cell = np.unique(number * bins + place, return_inverse=True)
    sums = np.bincount(of_cell, weights[inside], cells.size)
    return np.bincount(cells % bins, sums**2, bins).astype(np.float64)


def central_range(values: AnyArray, fraction: float = 0.998) -> tuple[float, float]:
    """Return the range of the central `fraction` of the values, or of all if it is similar.

    The fraction is computed from at most a million values, evenly spaced.

    Examples
    --------
    >>> central_range(np.array([0.0, 0.5, 1.0]))
    (0.0, 1.0)
    """
    tail = (1 - fraction) / 2
    low, high = np.quantile(thinned(values), [tail, 1 - tail])
    margin = 0.15 * (high - low)
    smallest, largest = extent(values)
    low = smallest if smallest >= low - margin else low
    high = largest if largest <= high + margin else high
    return float(low), float(high)


def histogram_edges(values: AnyArray, bins: int) -> Floats:
    """Return equal bins over the central range; for counts, bins of one or more whole counts.

    Examples
    --------
    >>> histogram_edges(np.array([1.0, 2.0, 3.0, 3.0]), 40)
    array([0.5, 1.5, 2.5, 3.5])
    """
    low, high = central_range(values)
    if low == high:
        half = max(abs(low), 1.0) / 2
        return np.linspace(low - half, high + half, bins + 1)
    step = _common_step(values)
    if step is None:
        return np.linspace(low, high, bins + 1)
    steps = round((high - low) / step) + 1
    width = math.ceil(steps / bins)
    edges = np.arange(math.ceil(steps / width) + 1, dtype=np.float64) * width - 0.5
    return np.asarray(low + step * edges, dtype=np.float64)


def _common_step(values: AnyArray) -> float | None:
    """Return the step of values on an even grid, such as (scaled) counts, or None."""
    if np.unique(values[:2000]).size > 1000:
        return None
    distinct = np.empty(0)
    for (rows,) in blocks(values):
        distinct = np.union1d(distinct, rows)
        if distinct.size > _MOST_STEPS + 1:
            return None
    gaps = np.diff(distinct)
    numbers = gaps / gaps.min()
    uneven = np.abs(numbers - np.round(numbers)).max() > 0.01
    return None if uneven or np.round(numbers).sum() > _MOST_STEPS else float(gaps.min())
