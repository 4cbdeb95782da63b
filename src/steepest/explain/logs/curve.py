"""Numbers of a loss curve alone: how far it fell, how fast, how noisy it is, whether it grew."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steepest.explain.logs.read import Series, finite, mean

Array = np.ndarray

BLOCKS = 20
"""A curve is read in means of so many blocks of records."""
STRAIGHT = 0.98
"""R² of ln J against the step above which a growth counts as one by a constant factor."""


@dataclass(frozen=True)
class Curve:
    """A curve of losses.

    Parameters
    ----------
    records, steps
        Finite records, and the last step of all.
    first, last
        Means of the first and the last block, a twentieth of the records or one.
    lowest, lowest_step
        The lowest mean of a block, and the step of its middle.
    peak
        The highest mean after the lowest.
    noise
        Standard deviation of a single record about the curve, from second differences.
    error
        Standard error of `last`.
    late
        The fall over the last fifth as a part of the whole fall; NaN where it rose.
    growth
        By what factor the loss grew a step in its last rise, where that was a constant factor.
    shrink
        By what factor its distance from where it tends shrinks a step, where one is seen.
    limit
        Where it tends at that factor.
    alternating
        Share of steps of the second half whose change has the other sign than the one before: 2/3
        for noise, 1 for an oscillation of period two.
    bad_step
        The first step that is NaN or infinite.
    """

    records: int
    steps: int
    first: float
    last: float
    lowest: float
    lowest_step: int
    peak: float
    noise: float
    error: float
    late: float
    growth: float
    shrink: float
    limit: float
    alternating: float
    bad_step: int | None

    @property
    def fall(self) -> float:
        """The whole fall, from the first block to the lowest."""
        return self.first - self.lowest

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite as None."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


def curve_of(series: Series) -> Curve | None:
    """Read a curve; None without a finite record."""
    steps, values = finite(series)
    if not len(values):
        return None
    bad = ~np.isfinite(series[1])
    count = min(BLOCKS, max(len(values) // 3, 1)) if len(values) > BLOCKS else len(values)
    blocks = [mean(part) for part in np.array_split(values, count)]
    middles = [mean(part) for part in np.array_split(steps, count)]
    low = int(np.argmin(blocks))
    noise, size = _noise(values), max(len(values) // count, 1)
    shrink, limit = _approach(middles, blocks, noise / math.sqrt(size))
    return Curve(
        records=len(values),
        steps=int(series[0][-1]),
        first=blocks[0],
        last=blocks[-1],
        lowest=blocks[low],
        lowest_step=round(middles[low]),
        peak=max(blocks[low:]),
        noise=noise,
        error=noise / math.sqrt(size),
        late=_late(blocks),
        growth=_growth(steps, values),
        shrink=shrink,
        limit=limit,
        alternating=_alternating(values[len(values) // 2 :]),
        bad_step=int(series[0][bad.argmax()]) if bad.any() else None,
    )


def _noise(values: Array) -> float:
    """σ from second differences, whose spread is √6 σ for independent noise on a straight line."""
    if len(values) < 5:
        return 0.0
    second = np.diff(values[len(values) // 2 :], 2)
    return float(np.median(np.abs(second)) / 0.6745 / math.sqrt(6)) if len(second) else 0.0


def _late(blocks: list[float]) -> float:
    """The fall over the last fifth, over the whole fall."""
    if len(blocks) < 5:
        return math.nan
    fall, before = blocks[0] - blocks[-1], blocks[-1 - len(blocks) // 5]
    if fall <= 0 or before > max(blocks[0], blocks[-1]):
        return math.nan
    return (before - blocks[-1]) / fall


def _approach(steps: list[float], blocks: list[float], error: float) -> tuple[float, float]:
    """Factor a step, and the limit, of an exponential through thirds of the second half."""
    half = len(blocks) // 2
    thirds = [mean(part) for part in np.array_split(np.array(blocks[half:]), 3)]
    places = [mean(part) for part in np.array_split(np.array(steps[half:]), 3)]
    if len(blocks) - half < 3:
        return math.nan, math.nan
    early, late = thirds[0] - thirds[1], thirds[1] - thirds[2]
    if not (early > 3 * error and late > 3 * error and early > late > 0):
        return math.nan, math.nan
    ratio, apart = late / early, (places[2] - places[0]) / 2
    if not apart > 0:
        return math.nan, math.nan
    return ratio ** (1 / apart), thirds[2] - late * ratio / (1 - ratio)


def _growth(steps: Array, values: Array) -> float:
    """The factor a step of the last rise, if ln J is straight there and J grew threefold."""
    low = int(np.argmin(values))
    x, y = steps[low:], values[low:]
    if len(y) < 5 or not (y > 0).all() or y[-1] < 3 * y[0]:
        return math.nan
    rows = y > 3 * max(y[0], values[0])  # where the growing direction outweighs the others
    if rows.sum() >= 5:
        x, y = x[rows], y[rows]
    slope, offset = np.polyfit(x, np.log(y), 1)
    rest = np.log(y) - (slope * x + offset)
    total = np.log(y) - np.log(y).mean()
    if not total @ total > 0 or 1 - (rest @ rest) / (total @ total) < STRAIGHT:
        return math.nan
    return math.exp(slope)


def _alternating(values: Array) -> float:
    changes = np.sign(np.diff(values))
    changes = changes[changes != 0]
    if len(changes) < 20:
        return math.nan
    return float((changes[1:] != changes[:-1]).mean())
