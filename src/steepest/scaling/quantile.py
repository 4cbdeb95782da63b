"""Weighted quantiles, and the scaling to normal scores.

With negative weights the weighted empirical distribution F(x) = Σ_{xᵢ ≤ x} wᵢ / Σw is not
monotonic. It is replaced by the mean of its two monotonic envelopes (the running maximum from the
left and the running minimum from the right), clipped to [0, 1]. Without negative weights, F is
unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import EventsError
from steepest.scaling.base import Scaling
from steepest.scaling.blocks import Floats

KNOTS = 1000
_TIE = 1e-12  # probabilities closer than this are equal
_LARGEST = 1e150  # slopes of larger ranges leave the range of float64


def distribution(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return (x (d,), F (d,)): the distinct values in ascending order, and F at each of them.

    Examples
    --------
    >>> distribution(np.array([3.0, 1.0, 3.0]), np.array([1.0, 1.0, 2.0]))
    (array([1., 3.]), array([0.25, 1.  ]))
    """
    order = np.argsort(values, kind="stable")
    x, first = np.unique(values[order], return_index=True)
    cumulated = np.cumsum(np.add.reduceat(weights[order], first))
    upper = np.maximum.accumulate(cumulated)
    lower = np.minimum.accumulate(cumulated[::-1])[::-1]
    return x, np.clip((upper / 2 + lower / 2) / cumulated[-1], 0.0, 1.0)


def quantile(x: Floats, F: Floats, p: float) -> float:
    """Return the p-quantile, 0 < p < 1: the smallest x with F(x) ≥ p.

    If F(x) = p, it is the midpoint between x and the next value. This is definition 2 of Hyndman
    and Fan (`method="averaged_inverted_cdf"` in NumPy), which gives the usual median for p = ½.
    Unlike interpolating definitions it does not depend on the normalisation of the weights, and an
    event of weight 2 counts as two identical events.

    Examples
    --------
    >>> quantile(np.array([1.0, 2.0, 4.0, 9.0]), np.array([0.25, 0.5, 0.75, 1.0]), 0.5)
    3.0

    References
    ----------
    R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", The American Statistician
    50 (1996) 361, doi:10.1080/00031305.1996.10473566.
    """
    low = x[min(np.searchsorted(F, p - _TIE, side="left"), len(x) - 1)]
    high = x[min(np.searchsorted(F, p + _TIE, side="right"), len(x) - 1)]
    return float(low if low == high else low / 2 + high / 2)


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantileScaling(Scaling):
    """Normal scores of the features: x' = Φ⁻¹(F̄(x)), where Φ is the normal distribution function.

    F̄(x) = (F(x−) + F(x)) / 2 is the middle of the step of the weighted empirical distribution F at
    x. N distinct values of equal weight get the scores Φ⁻¹((i − ½)/N), tied values share a score,
    and no score is infinite. The map is piecewise linear through at most 1,000 of the distinct
    values, the *knots*, which are evenly spread in x' to resolve the tails. Outside the training
    range it continues with the slope of the line from the first to the last knot. The map is
    strictly increasing and invertible. It is not affine, so a linear model has no coefficients in
    original units. A constant feature has one knot, with score 0 and slope 1.

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.scaling import fit_scaling
    >>> pt = np.array([[20.0], [30.0], [500.0]])
    >>> scaling = fit_scaling("quantile", [(pt, None)], ["pt"])
    >>> scaling.transform(pt).round(3).ravel()
    array([-0.967,  0.   ,  0.967])
    >>> scaling.inverse(scaling.transform(pt)).ravel()
    array([ 20.,  30., 500.])

    References
    ----------
    B. L. van der Waerden, "Order tests for the two-sample problem and their power", Indagationes
    Mathematicae 14 (1952) 453; the (i − ½)/N are A. Hazen's plotting positions (1914).
    """

    ARRAYS = ("knots", "scores", "lengths")

    knots: Floats  # Σd float64: x and x' of the knots of all features, one feature after another
    scores: Floats
    lengths: np.ndarray  # (n,) int64: number of knots d of each feature

    def _forward(self, X: Floats, dtype: np.dtype) -> NDArray[Any]:
        scores = self._columns(X.astype(np.float64, copy=False), self.knots, self.scores)
        return scores.astype(dtype, copy=False)

    def _backward(self, X: Floats) -> Floats:
        return self._columns(X, self.scores, self.knots)

    def _columns(self, X: Floats, x: Floats, y: Floats) -> Floats:
        result = np.empty(X.shape)
        ends = np.cumsum(self.lengths)
        for j, (start, end) in enumerate(zip(ends - self.lengths, ends, strict=True)):
            result[:, j] = _interpolate(X[:, j], x[start:end], y[start:end])
        return result


def fit_quantile(X: Floats, w: Floats, names: Sequence[str]) -> QuantileScaling:
    """Normal scores of each feature."""
    fitted = [_knots(column, w, name) for column, name in zip(X.T, names, strict=True)]
    return QuantileScaling(
        name="quantile",
        features=tuple(names),
        constant=tuple(name for name, (x, _) in zip(names, fitted, strict=True) if len(x) == 1),
        knots=np.concatenate([x for x, _ in fitted]),
        scores=np.concatenate([z for _, z in fitted]),
        lengths=np.array([len(x) for x, _ in fitted], dtype=np.int64),
    )


def _knots(values: Floats, weights: Floats, name: str) -> tuple[Floats, Floats]:
    """At most KNOTS distinct values and their normal scores, both strictly increasing."""
    from scipy.special import ndtri

    x, F = distribution(values, weights)
    step = np.diff(F, prepend=0.0)
    held = step > _TIE  # values without weight are not knots
    lowest, highest = x[0], x[-1]
    x, z = x[held], ndtri((F - step / 2)[held])
    with np.errstate(over="ignore"):
        span = x[-1] - x[0]
    if span > _LARGEST:
        raise EventsError(
            f"The range of feature {name!r} is too large for quantiles.",
            expected=f"maximum − minimum up to {_LARGEST:g}",
            found=f"from {x[0]:g} to {x[-1]:g}",
            cause="a placeholder such as 1e308 for missing values",
            do="drop the placeholders with `select`",
        )
    with np.errstate(over="ignore"):  # the map is extrapolated to values without weight
        apart = np.diff(x, prepend=-np.inf) > 1e-200 * max(min(highest - lowest, _LARGEST), 1e-100)
    x, z = x[apart], z[apart]
    if len(x) > KNOTS:
        chosen = np.unique(np.searchsorted(z, np.linspace(z[0], z[-1], KNOTS)))
        x, z = x[chosen], z[chosen]
    return x, z


def _interpolate(values: Floats, x: Floats, y: Floats) -> Floats:
    """Interpolate linearly through (x, y); extrapolate with the slope from first to last point.

    Unlike with `numpy.interp`, a segment never ends above the next knot, so the result is monotonic
    to the last bit.
    """
    slopes = np.append(np.diff(y) / np.diff(x), 0.0)
    ceiling = np.append(y[1:], y[-1])
    inside = np.clip(values, x[0], x[-1])
    j = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, len(x) - 1)
    slope = (y[-1] - y[0]) / (x[-1] - x[0]) if len(x) > 1 else 1.0
    return np.minimum(y[j] + slopes[j] * (inside - x[j]), ceiling[j]) + slope * (values - inside)
