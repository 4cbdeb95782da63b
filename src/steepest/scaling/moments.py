"""Weighted mean and scatter of features, in one pass over blocks that can be merged.

Use `Moments` for events that arrive in blocks or on several ranks: compute the moments of each
block and merge them in any order. A mean is kept as a sum of two numbers (the rounded mean and the
rounding error), so a spread of 1e-6 around 1e8 keeps its digits. Positive and negative weights are
accumulated separately, so blocks whose weights cancel cause no problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.scaling.blocks import Floats, compiled_pays, floating, positive_total

_ROWS = 16384  # rows per block: limits the memory of `Moments.of`
_MANY_ROWS = 2**20  # with fewer rows, loading the compiled code takes longer than it saves


@dataclass(frozen=True, eq=False)
class Extremes:
    """Lowest and highest values of features in mergeable form.

    Examples
    --------
    >>> import numpy as np
    >>> Extremes.of(np.array([[1.0, 5.0], [3.0, 5.0]])).constant
    array([False,  True])
    """

    count: int  # number of events
    minimum: Floats  # (n,) float64, over events of non-zero weight; ±inf if there are none
    maximum: Floats

    @classmethod
    def of(cls, X: ArrayLike, w: ArrayLike | None = None) -> Extremes:
        """Return the extremes of a block of events; arguments as for `Moments.of`."""
        values = floating(X)
        used = values
        if w is not None and not (kept := np.asarray(w) != 0).all():
            used = values[kept]
        if compiled_pays(used.size):
            return cls(len(values), *_column_extremes(np.ascontiguousarray(used)))
        lowest, highest = used.min(axis=0, initial=np.inf), used.max(axis=0, initial=-np.inf)
        return cls(len(values), lowest.astype(np.float64), highest.astype(np.float64))

    def merge(self, other: Self) -> Self:
        """Return the extremes of the events of both."""
        return replace(
            self,
            count=self.count + other.count,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    @property
    def constant(self) -> np.ndarray:
        """(n,) bool: features with one value in all events."""
        return self.minimum >= self.maximum


@dataclass(frozen=True, eq=False)
class Moments(Extremes):
    """Count, total weight, weighted mean and scatter of features.

    W = Σ wᵢ,  mean = Σ wᵢ xᵢ / W,  scatter = Σ wᵢ (xᵢ − mean)(xᵢ − mean)ᵀ, and covariance = scatter
    / W (the population covariance). `a.merge(b)` returns the moments of the events of both. It is
    associative and commutative up to rounding.

    Weights may be negative. An event of weight 2 counts as two identical events. An event of weight
    0 is counted, but has no effect on mean, scatter, minimum and maximum.

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

    _positive: _OneSign
    _negative: _OneSign  # of the events with w < 0, with the weights |w|

    @classmethod
    def of(cls, X: ArrayLike, w: ArrayLike | None = None, *, diagonal: bool = False) -> Moments:
        """Return the moments of a block of events.

        X ``(m, n)`` is finite (`fit_scaling` checks this, `Moments` does not); weights
        ``(m,)`` have any sign. `diagonal` computes only the diagonal of the scatter: n
        numbers instead of n².
        """
        values = floating(X)
        weights = np.ones(len(values)) if w is None else np.asarray(w, dtype=np.float64)
        many = diagonal and len(values) >= _MANY_ROWS
        with np.errstate(over="ignore", invalid="ignore"):
            moments = cls._of_rows(values[:_ROWS], weights[:_ROWS], diagonal, many)
            for start in range(_ROWS, len(values), _ROWS):
                rows = slice(start, start + _ROWS)
                moments = moments.merge(cls._of_rows(values[rows], weights[rows], diagonal, many))
        return moments

    @classmethod
    def _of_rows(cls, X: np.ndarray, w: Floats, diagonal: bool, many: bool) -> Moments:
        plus, minus = w > 0, w < 0
        whole = bool(plus.all())  # the usual case, without copies
        if many and whole:
            X = np.ascontiguousarray(X)
            positive, negative = _OneSign.compiled(X, w), _OneSign.none(X.shape[1], diagonal)
            return cls(len(X), *_column_extremes(X), positive, negative)
        # the order of the sums must not depend on the memory layout
        X = np.ascontiguousarray(X, dtype=np.float64)
        used = X if whole else X[plus | minus]
        return cls(
            count=len(X),
            minimum=used.min(axis=0, initial=np.inf),
            maximum=used.max(axis=0, initial=-np.inf),
            _positive=_OneSign.of(X if whole else X[plus], w if whole else w[plus], diagonal),
            _negative=_OneSign.of(X[minus], -w[minus], diagonal),
        )

    def merge(self, other: Self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the moments of the events of both.

        InputError if the features differ, or only one of the two is diagonal.
        """
        if self._positive.scatter.shape != other._positive.scatter.shape:
            raise InputError(
                "Moments of different shapes cannot be merged.",
                expected=f"a scatter of shape {self._positive.scatter.shape}",
                found=f"a scatter of shape {other._positive.scatter.shape}",
                cause="other features, or only one of them is diagonal",
                do="compute all moments with the same features and the same `diagonal`",
            )
        with np.errstate(over="ignore", invalid="ignore"):
            return replace(
                super().merge(other),
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
        between = plus.weight * share * _square(plus.distance(minus), plus.scatter)
        return plus.scatter - minus.scatter - between

    @property
    def covariance(self) -> Floats:
        """(n, n), or (n,) when diagonal: scatter / Σw."""
        return self.scatter / self.total

    @property
    def variance(self) -> Floats:
        """(n,) the weighted variance, which can be negative with negative weights."""
        covariance = self.covariance
        return covariance if covariance.ndim == 1 else np.diagonal(covariance).copy()

    def rounding(self) -> Floats:
        """(n,) the size of the rounding error of the variance."""
        plus, minus = self._positive, self._negative
        if minus.weight == 0:
            return np.zeros_like(self.minimum)
        parts = [
            p.scatter if p.scatter.ndim == 1 else np.diagonal(p.scatter) for p in (plus, minus)
        ]
        between = plus.weight * minus.weight / self.total * plus.distance(minus) ** 2
        return 1e-14 * (parts[0] + parts[1] + between) / self.total


@dataclass(frozen=True, eq=False)
class _OneSign:
    """Moments of events that all have positive weight; the mean is kept as high + low."""

    weight: float
    high: Floats  # (n,) the rounded mean
    low: Floats  # (n,) the rounding error
    scatter: Floats  # (n, n), or its diagonal (n,)

    @staticmethod
    def of(X: Floats, w: Floats, diagonal: bool) -> _OneSign:
        """Compute the mean, then the corrected scatter about it, in two passes over the block."""
        if not len(X):
            return _OneSign.none(X.shape[1], diagonal)
        weight = float(w.sum())
        high = X[0] + (w @ (X - X[0])) / weight
        D = X - high
        low = (w @ D) / weight
        if diagonal:
            return _OneSign(weight, high, low, w @ (D * D) - weight * low**2)
        return _OneSign(weight, high, low, (D.T * w) @ D - weight * np.outer(low, low))

    @staticmethod
    def compiled(X: np.ndarray, w: Floats) -> _OneSign:
        """As `of` with only the diagonal, for C-ordered rows of either dtype."""
        from steepest.compiled.columns import add_about

        values, weight, n = X.reshape(-1), float(w.sum()), X.shape[1]
        high, low, first, scatter = X[0].astype(np.float64), np.zeros(n), np.zeros(n), np.zeros(n)
        add_about(values, w, high, first, scatter)
        high += first / weight
        scatter[:] = 0.0
        add_about(values, w, high, low, scatter)
        low /= weight
        return _OneSign(weight, high, low, scatter - weight * low**2)

    @staticmethod
    def none(features: int, diagonal: bool) -> _OneSign:
        """The moments of no events."""
        shape = (features,) if diagonal else (features, features)
        return _OneSign(0.0, np.zeros(features), np.zeros(features), np.zeros(shape))

    def distance(self, other: _OneSign) -> Floats:
        """mean(other) − mean(self), without cancellation of a common offset."""
        return (other.high - self.high) + (other.low - self.low)

    def moved(self, step: Floats) -> tuple[Floats, Floats]:
        """The mean plus a step, as high + low."""
        step = self.low + step
        high = self.high + step
        kept = high - self.high
        return high, (self.high - (high - kept)) + (step - kept)

    def merge(self, other: _OneSign) -> _OneSign:
        """The pairwise update of Chan, Golub and LeVeque."""
        if self.weight == 0:
            return other
        if other.weight == 0:
            return self
        weight = self.weight + other.weight
        delta = self.distance(other)
        between = self.weight * (other.weight / weight) * _square(delta, self.scatter)
        high, low = self.moved(delta * (other.weight / weight))
        return _OneSign(weight, high, low, self.scatter + other.scatter + between)


def _square(delta: Floats, like: Floats) -> Floats:
    """Return δδᵀ, or its diagonal if the scatter is diagonal."""
    return delta**2 if like.ndim == 1 else np.outer(delta, delta)


def _column_extremes(X: np.ndarray) -> tuple[Floats, Floats]:
    """Lowest and highest value of each column of C-ordered rows."""
    from steepest.compiled.columns import extend

    low = np.full(X.shape[1], np.inf, dtype=X.dtype)
    high = -low
    extend(X.reshape(-1), low, high)
    return low.astype(np.float64), high.astype(np.float64)
