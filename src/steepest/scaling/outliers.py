"""Values so far out that they alone would decide the mean and the spread of a feature.

One value of 1e5 among 28,000 values of order one gives a standard deviation of 600: scaled by it,
all other events look alike. A feature is looked at if its farthest value lies 20 standard
deviations from the mean and makes 2 % of its variance. Values are left out that lie 20 normal
standard deviations (IQR / 1.349) from the median, if they are at most 1 % of the events: more are a
tail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from steepest.ranks import current
from steepest.scaling.blocks import Block, Floats, Outlier, placed_blocks
from steepest.scaling.moments import Moments

FAR, SHARE, MOST = 20.0, 0.02, 0.01
SAMPLE = 100_000
"""Quartiles are those of about so many events, evenly spaced."""


def outliers(
    moments: Moments,
    blocks: Callable[[], Iterator[tuple[int, Floats, Floats | None]]],
    names: Sequence[str],
) -> tuple[Outlier, ...]:
    """Return the outliers of each feature that has some; `blocks` are those of the moments."""
    with np.errstate(all="ignore"):
        variance, mean = moments.variance, moments.mean
        square = np.maximum(moments.maximum - mean, mean - moments.minimum) ** 2 / variance
        far = np.flatnonzero((square > FAR**2) & (square > SHARE * moments.count))
    if not len(far):
        return ()
    step, ranks = max(moments.count // SAMPLE, 1), current()
    own = np.concatenate([X[::step, far] for _, X, _ in blocks()]).astype(np.float64)
    sample = np.concatenate(ranks.gather(own))
    first, middle, third = np.quantile(sample, [0.25, 0.5, 0.75], axis=0)
    reach = FAR * (third - first) / 1.349
    count, read = np.zeros(len(far), dtype=np.int64), 0
    rows, values = np.zeros(len(far), dtype=np.int64), middle.copy()
    for first_row, X, _ in blocks():
        distance = np.abs(X[:, far] - middle)
        count += (distance > reach).sum(axis=0)
        at, read = distance.argmax(axis=0), first_row + len(X)
        for k, row in enumerate(at.tolist()):
            if distance[row, k] > abs(values[k] - middle[k]):
                values[k], rows[k] = X[row, far[k]], first_row + row
    count = ranks.sum(count)
    before = sum(ranks.gather(read)[: ranks.rank])  # the rows of earlier ranks
    farthest = ranks.gather((values, rows + before))
    of_rank = np.argmax([abs(each - middle) for each, _ in farthest], axis=0)
    values, rows = (np.choose(of_rank, [each[i] for each in farthest]) for i in (0, 1))
    few = (count > 0) & (count <= MOST * moments.count) & (reach > 0)
    return tuple(
        Outlier(
            feature=names[int(far[k])],
            low=float(middle[k] - reach[k]),
            high=float(middle[k] + reach[k]),
            count=int(count[k]),
            value=float(values[k]),
            row=int(rows[k]),
        )
        for k in np.flatnonzero(few)
    )


class WithoutOutliers:
    """The same blocks, with weight 0 for events that have an outlier."""

    def __init__(
        self, blocks: Iterable[Block], names: Sequence[str], found: Sequence[Outlier]
    ) -> None:
        self.blocks, self.names, self.found = blocks, names, found

    def __iter__(self) -> Iterator[Block]:
        places = [(list(self.names).index(o.feature), o.low, o.high) for o in self.found]
        for _, X, weights in placed_blocks(self.blocks, self.names):
            w = np.ones(len(X)) if weights is None else np.array(weights, dtype=np.float64)
            for column, low, high in places:
                w[(X[:, column] < low) | (X[:, column] > high)] = 0.0
            yield X, w
