"""The scaling of networks: standard, but logarithmic in the tails of features that have some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.scaling.affine import named, require_width
from steepest.scaling.base import Scaling
from steepest.scaling.blocks import Floats
from steepest.scaling.moments import Moments
from steepest.scaling.quantile import distribution, quantile

TAIL = 6.0
"""A feature with a value so many standard deviations from its mean has a tail."""
LOW, HIGH = 0.15866, 0.84134
"""Quantiles one standard deviation of a normal distribution from its median."""
KNEE = 2.0
SAMPLE = 100_000
"""Quantiles are those of about so many events, evenly spaced."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AsinhScaling(Scaling):
    """Scale each feature separately: standard, but of features with a tail 2 asinh(z / 2).

    A feature has a tail if a value lies more than 6 standard deviations from its mean. Then
    z = (x − median) / width, with a width on either side of the median: the distance to the
    quantiles 15.9 % and 84.1 %, which is one standard deviation of a normal distribution, or the
    standard deviation where that is zero. 2 asinh(z / 2) is z near the median and ± 2 ln |z| far
    from it, so an event of a hundred widths neither decides what a network says of all others, nor
    is given an absurd prediction.

    Attributes
    ----------
    shift, width, upper
        (n,) float64: centre, width below it, and width above it, which is the same without a tail.
    tails
        (n,) float64, 1 for features with a tail, else 0.
    relevance
        (n,) float64, by which the above is multiplied, see `steepest.training.fitting.relevance`;
        None for ones.

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.scaling import fit_scaling
    >>> pt = np.concatenate([np.linspace(-1, 1, 99), [500.0]])[:, None]
    >>> scaling = fit_scaling("asinh", [(pt, None)], ["pt"])
    >>> scaling.transform([[0.1], [500.0]]).round(2).ravel().tolist()
    [0.13, 13.13]
    """

    ARRAYS = ("shift", "width", "upper", "tails")
    OPTIONAL = ("relevance",)

    shift: Floats
    width: Floats
    upper: Floats
    tails: Floats
    relevance: Floats | None = None

    def with_relevance(self, factors: Sequence[float]) -> AsinhScaling:
        """Return this scaling with its features multiplied by these factors, none if empty.

        Examples
        --------
        >>> import numpy as np
        >>> from steepest.scaling import fit_scaling
        >>> scaling = fit_scaling("asinh", [(np.array([[1.0], [3.0]]), None)], ["mass"])
        >>> scaling.with_relevance([0.5]).transform([[3.0]])
        array([[0.5]])
        """
        given = np.array(factors, dtype=np.float64) if len(factors) else None
        return replace(self, relevance=given)

    def _forward(self, X: Floats, dtype: np.dtype) -> NDArray[Any]:
        z = X - self.shift
        z /= np.where(z > 0, self.upper, self.width)
        tails = self.tails > 0
        z[:, tails] = KNEE * np.arcsinh(z[:, tails] / KNEE)
        if self.relevance is not None:
            z *= self.relevance
        return z.astype(dtype, copy=False)

    def _backward(self, X: Floats) -> Floats:
        tails = self.tails > 0
        z = X.copy() if self.relevance is None else X / self.relevance
        z[:, tails] = KNEE * np.sinh(z[:, tails] / KNEE)
        return z * np.where(z > 0, self.upper, self.width) + self.shift


def fit_asinh(
    moments: Moments, kept: Moments, X: Floats, w: Floats, names: Sequence[str]
) -> AsinhScaling:
    """Mean and standard deviation, or median and distances to quantiles.

    Parameters
    ----------
    moments, kept
        Of all events, and of those without outliers.
    X, w
        Events to take the quantiles from.
    """
    shift, variance = kept.mean.copy(), kept.variance
    usable = ~kept.constant & (variance > kept.rounding())
    width = np.where(usable, np.sqrt(np.where(usable, variance, 1.0)), 1.0)
    upper = width.copy()
    with np.errstate(invalid="ignore", over="ignore"):
        mean = moments.mean
        farthest = np.maximum(moments.maximum - mean, mean - moments.minimum)
        tails = ~moments.constant & (~usable | (farthest**2 > TAIL**2 * moments.variance))
    for j in np.flatnonzero(tails).tolist():
        x, F = distribution(X[:, j], w)
        low, middle, high = (quantile(x, F, p) for p in (LOW, 0.5, HIGH))
        if low < high:
            shift[j] = middle
            width[j], upper[j] = middle - low or width[j], high - middle or width[j]
    return AsinhScaling(
        name="asinh",
        features=tuple(names),
        constant=named(moments.constant, names),
        shift=shift,
        width=require_width(width, names),
        upper=require_width(upper, names),
        tails=tails.astype(np.float64),
    )
