"""Weighted mean and scatter of features, in one pass, in pieces that merge.

Use `Moments` wherever events arrive in blocks or on several ranks: take the moments of each
block, merge them in any order. Means are carried in two parts (a rounded mean and what the
rounding left), so a spread of 1e-6 around 1e8 keeps its digits; positive and negative weights are
carried apart, so a block whose weights cancel does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.scaling.blocks import Floats, floating, positive_total
from steepest.scaling.part import Part, square
from steepest.scaling.reach import MANY_ROWS, Reach, extremes

__all__ = ["Moments", "Reach"]

_ROWS = 16384  # rows worked on at once: bounds the memory of `Moments.of`
_NO_SPREAD = 1e-13  # eigenvalues of a correlation matrix below this are rounding


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, total weight, weighted mean and scatter of the features of events.

    W = Σ wᵢ,  mean = Σ wᵢ xᵢ / W,  scatter = Σ wᵢ (xᵢ − mean)(xᵢ − mean)ᵀ,
    and covariance = scatter / W, the population's. `a.merge(b)` is the moments of the events of
    both: associative and commutative up to rounding, whatever the partition.

    Weights may be negative. An event of weight 2 is that event twice, one of weight 0 is none
    (it is counted, but reaches neither mean, scatter, minimum nor maximum).

    Attributes
    ----------
    count
        Number of events.
    minimum, maximum
        (n,) float64, over the events whose weight is not zero; ±inf when there are none.

    Examples
    --------
    >>> import numpy as np
    >>> left = Moments.of(np.array([[1.0], [2.0]]))
    >>> right = Moments.of(np.array([[4.0]]), np.array([2.0]))
    >>> both = left.merge(right)
    >>> both.count, both.total, both.mean, both.variance
    (3, 4.0, array([2.75]), array([1.6875]))

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance",
    The American Statistician 37 (1983) 242, doi:10.1080/00031305.1983.10483115.
    """

    count: int
    minimum: Floats
    maximum: Floats
    _positive: Part
    _negative: Part  # of the events with w < 0, with the weights |w|

    @classmethod
    def of(cls, X: ArrayLike, w: ArrayLike | None = None, *, diagonal: bool = False) -> Moments:
        """Return the moments of a block of events.

        Parameters
        ----------
        X
            (m, n) float64 or float32, finite (`fit_scaling` checks this, `Moments` does not); all
            sums are float64.
        w
            (m,) float64 event weights, of either sign; None is ones.
        diagonal
            Keep the diagonal of the scatter matrix alone: n numbers in place of n².
        """
        values = floating(X)
        weights = np.ones(len(values)) if w is None else np.asarray(w, dtype=np.float64)
        many = diagonal and len(values) >= MANY_ROWS
        with np.errstate(over="ignore", invalid="ignore"):
            moments = cls._of_rows(values[:_ROWS], weights[:_ROWS], diagonal, many)
            for start in range(_ROWS, len(values), _ROWS):
                rows = slice(start, start + _ROWS)
                moments = moments.merge(cls._of_rows(values[rows], weights[rows], diagonal, many))
        return moments

    @classmethod
    def _of_rows(cls, X: np.ndarray, w: Floats, diagonal: bool, many: bool) -> Moments:
        plus, minus = w > 0, w < 0
        whole = bool(plus.all())  # as nearly always: nothing needs to be copied
        if many and whole:
            X = np.ascontiguousarray(X)
            positive, negative = Part.compiled(X, w), Part.none(X.shape[1], diagonal)
            return cls(len(X), *extremes(X), positive, negative)
        # sums take the same order whatever the array's layout
        X = np.ascontiguousarray(X, dtype=np.float64)
        used = X if whole else X[plus | minus]
        return cls(
            count=len(X),
            minimum=used.min(axis=0, initial=np.inf),
            maximum=used.max(axis=0, initial=-np.inf),
            _positive=Part.of(X if whole else X[plus], w if whole else w[plus], diagonal),
            _negative=Part.of(X[minus], -w[minus], diagonal),
        )

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the events of both.

        Raises
        ------
        InputError
            The two are of different features, or only one of them is diagonal.
        """
        if self._positive.scatter.shape != other._positive.scatter.shape:
            raise InputError(
                "Moments of different shapes cannot be merged.",
                expected=f"a scatter of shape {self._positive.scatter.shape}",
                found=f"a scatter of shape {other._positive.scatter.shape}",
                cause="other features, or the diagonal alone on one side",
                do="take all moments with the same features and the same `diagonal`",
            )
        with np.errstate(over="ignore", invalid="ignore"):
            return Moments(
                count=self.count + other.count,
                minimum=np.minimum(self.minimum, other.minimum),
                maximum=np.maximum(self.maximum, other.maximum),
                _positive=self._positive.merge(other._positive),
                _negative=self._negative.merge(other._negative),
            )

    @property
    def total(self) -> float:
        """Σ wᵢ."""
        return self._positive.weight - self._negative.weight

    @property
    def mean(self) -> Floats:
        """(n,) the weighted mean; EventsError unless Σw > 0."""
        share = self._negative.weight / positive_total(self.total, "a weighted mean")
        if share == 0:
            return self._positive.high + self._positive.low
        high, low = self._positive.moved(-share * self._positive.distance(self._negative))
        return high + low

    @property
    def scatter(self) -> Floats:
        """(n, n), or (n,) when diagonal, the weighted scatter; EventsError unless Σw > 0."""
        plus, minus = self._positive, self._negative
        share = minus.weight / positive_total(self.total, "a weighted variance")
        if share == 0:
            return plus.scatter
        between = plus.weight * share * square(plus.distance(minus), plus.scatter)
        return plus.scatter - minus.scatter - between

    @property
    def covariance(self) -> Floats:
        """(n, n), or (n,) when diagonal: scatter / Σw."""
        return self.scatter / self.total

    @property
    def variance(self) -> Floats:
        """(n,) the weighted variance; with negative weights it can come out negative."""
        covariance = self.covariance
        return covariance if covariance.ndim == 1 else np.diagonal(covariance).copy()

    @property
    def constant(self) -> np.ndarray:
        """(n,) bool: features with one value in all events."""
        return self.minimum >= self.maximum

    def rounding(self) -> Floats:
        """(n,) the size of a variance that is nothing but the rounding of its terms."""
        plus, minus = self._positive, self._negative
        if minus.weight == 0:
            return np.zeros_like(self.minimum)
        parts = [
            p.scatter if p.scatter.ndim == 1 else np.diagonal(p.scatter) for p in (plus, minus)
        ]
        between = plus.weight * minus.weight / self.total * plus.distance(minus) ** 2
        return 1e-14 * (parts[0] + parts[1] + between) / self.total

    def condition_number(self) -> float:
        """Return κ = λ_max / λ_min of the covariance: how long the valley of J is for its width.

        The Hessian of the mean squared error of a linear model is twice the covariance of the
        (centred) features; gradient descent needs of the order of κ steps. Take it before and
        after scaling to see what scaling gained.

        Directions without spread (constant features, and eigenvalues of the correlation matrix
        below 1e-13, such as duplicate columns make) are left out: J is flat along them and the
        descent does not move there. Accurate to about 1e-16 times the κ of the *correlation*
        matrix, however different the units of the features are. With diagonal moments the
        correlations are unknown and the figure is a lower bound. With no spread at all it is 1,
        and with negative weights it is inf when the covariance has a negative eigenvalue.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.array([[0.0, 0.0], [2e6, 0.0], [0.0, 2.0], [2e6, 2.0]])
        >>> Moments.of(X).condition_number()
        1000000000000.0
        """
        varies = ~self.constant
        deviation = np.sqrt(np.maximum(self.variance[varies], 0.0))
        if not deviation.size:
            return 1.0
        if not deviation.all():
            return float("inf")
        covariance = self.covariance
        if covariance.ndim == 1:
            return float((deviation.max() / deviation.min()) ** 2)
        P = covariance[np.ix_(varies, varies)] / np.outer(deviation, deviation)
        return _condition_number(P, deviation)


def _condition_number(P: Floats, deviation: Floats) -> float:
    """κ of D P D with D = diag(deviation), P a correlation matrix."""
    D = deviation / np.sqrt(deviation.max() * deviation.min())
    values, vectors = np.linalg.eigh(P)
    if values[0] < -_NO_SPREAD * values[-1]:
        return float("inf")
    kept = values > _NO_SPREAD * values[-1]
    V = vectors[:, kept]
    root = np.sqrt(values[kept])
    M = root[:, None] * V.T * D  # MᵀM = D P D
    if not kept.all():
        singular = np.linalg.svd(M, compute_uv=False)
        return float((singular[0] / singular[-1]) ** 2)
    inverse = (V / root) / D[:, None]  # ‖M⁻¹‖ keeps the digits that the smallest σ of M loses
    return float((np.linalg.norm(M, 2) * np.linalg.norm(inverse, 2)) ** 2)
