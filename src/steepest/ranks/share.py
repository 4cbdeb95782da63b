"""Which of all events a rank holds.

All events have numbers, in the order in which one process would read them: file by file, of samples
one after the other. A rank holds one range of numbers of each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Share:
    """The numbers of the events that one rank holds.

    Parameters
    ----------
    events
        How many events all ranks have.
    ranges
        First number, and the one after the last, of each range, in the order in which the rank has
        its events.

    Examples
    --------
    Two ranks and two samples; the second rank has 3 events of the first sample, 1 of the second.

    >>> share = Share.of([[2, 4], [3, 1]], rank=1)
    >>> share.events, share.ranges, len(share)
    (10, ((2, 5), (9, 10)), 4)
    >>> share.own(np.array([9, 0, 3, 2]))
    (array([0, 2, 3]), array([3, 1, 0]))
    """

    events: int
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, counts: Sequence[Sequence[int]], rank: int) -> Share:
        """The share of a rank; `counts` are the events of each rank, by sample."""
        table = np.asarray(counts, dtype=np.int64)  # (ranks, samples)
        ends = np.cumsum(table.T.ravel()).reshape(table.T.shape)  # (samples, ranks)
        starts = ends - table.T
        pairs = zip(starts[:, rank].tolist(), ends[:, rank].tolist(), strict=True)
        return cls(int(table.sum()), tuple((a, b) for a, b in pairs if b > a))

    @classmethod
    def whole(cls, events: int) -> Share:
        """All events, as one process has them."""
        return cls(events, ((0, events),))

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)

    def own(self, numbers: Array) -> tuple[Array, Array]:
        """Which of the numbers are the rank's, as places in `numbers`; and their rows in it."""
        starts, stops, shifts = self._bounds
        place = np.searchsorted(starts, numbers, side="right") - 1
        inside = (place >= 0) & (numbers < stops[place])
        where = np.flatnonzero(inside)
        return where, numbers[where] + shifts[place[where]]

    def spaced(self, most: int) -> Array:
        """The rank's rows among at most so many of all events, evenly spaced."""
        return self.own(np.arange(0, self.events, -(-self.events // most)))[1]

    @cached_property
    def _bounds(self) -> tuple[Array, Array, Array]:
        """Starts and stops, and what makes a number a row of the rank."""
        starts, stops = np.array(self.ranges, dtype=np.int64).reshape(-1, 2).T
        first = np.cumsum(stops - starts) - (stops - starts)
        return starts, stops, first - starts
