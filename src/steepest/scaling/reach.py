"""How far features reach: their lowest and highest values, in pieces that merge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steepest.scaling.blocks import Floats, floating

__all__ = ["MANY_ROWS", "Reach", "extremes"]

MANY_ROWS = 65536
"""From so many rows on compiled code looks at them; fewer do not pay for loading the compiler."""


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the features of events reach: what of `Moments` needs no sums.

    Attributes
    ----------
    count, minimum, maximum
        As in `Moments`.

    Examples
    --------
    >>> import numpy as np
    >>> Reach.of(np.array([[1.0, 5.0], [3.0, 5.0]])).constant
    array([False,  True])
    """

    count: int
    minimum: Floats
    maximum: Floats

    @classmethod
    def of(cls, X: ArrayLike, w: ArrayLike | None = None) -> Reach:
        """Return the reach of a block of events, given as to `Moments.of`."""
        values = floating(X)
        used = values
        if w is not None and not (kept := np.asarray(w) != 0).all():
            used = values[kept]
        if len(used) >= MANY_ROWS:
            return cls(len(values), *extremes(np.ascontiguousarray(used)))
        lowest, highest = used.min(axis=0, initial=np.inf), used.max(axis=0, initial=-np.inf)
        return cls(len(values), lowest.astype(np.float64), highest.astype(np.float64))

    def merge(self, other: Reach) -> Reach:
        """Return the reach of the events of both."""
        return Reach(
            self.count + other.count,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )

    @property
    def constant(self) -> np.ndarray:
        """(n,) bool: features with one value in all events."""
        return self.minimum >= self.maximum


def extremes(X: np.ndarray) -> tuple[Floats, Floats]:
    """Lowest and highest of each column of C-ordered rows."""
    from steepest.compiled.columns import extend

    low = np.full(X.shape[1], np.inf, dtype=X.dtype)
    high = -low
    extend(X.reshape(-1), low, high)
    return low.astype(np.float64), high.astype(np.float64)
