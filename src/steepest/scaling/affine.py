"""The scalings x' = M (x − shift): none, standard, min-max, robust (M diagonal) and whiten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import EventsError
from steepest.scaling.base import AffineScaling
from steepest.scaling.blocks import Floats, compiled_pays
from steepest.scaling.moments import Extremes, Moments
from steepest.scaling.quantile import distribution, quantile

_SMALLEST, _LARGEST = 1e-150, 1e150  # squares and reciprocals of widths stay in float64 range
_FLOOR = 1e-10  # relative to the largest eigenvalue of the correlation matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class DiagonalScaling(AffineScaling):
    """Scale each feature separately: x' = (x − shift) / width.

    =========  ================  ========================================
    name       shift             width
    =========  ================  ========================================
    none       0                 1
    standard   weighted mean     weighted standard deviation (÷ Σw)
    min-max    minimum           maximum − minimum
    robust     weighted median   weighted inter-quartile range
    =========  ================  ========================================

    Minimum and maximum are taken over all events of non-zero weight. A feature without spread gets
    width 1 and is listed in `constant`.

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.scaling import fit_scaling
    >>> X = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> scaling = fit_scaling("standard", [(X, None)], ["mass", "year"])
    >>> scaling.transform(X)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> scaling.constant
    ('year',)
    """

    ARRAYS = ("shift", "width")

    shift: Floats
    width: Floats

    def affine(self) -> tuple[Floats, Floats]:
        """Return (shift (n,), diag(1 / width) (n, n))."""
        return self.shift, np.diag(1 / self.width)

    def _forward(self, X: Floats, dtype: np.dtype) -> NDArray[Any]:
        kernel = compiled_pays(X.size) and dtype in (np.float32, np.float64)
        if not (kernel and X.flags.c_contiguous):
            return ((X - self.shift) / self.width).astype(dtype, copy=False)
        from steepest.compiled.columns import shift_and_scale

        scaled = np.empty(X.shape, dtype=dtype)
        shift_and_scale(X.reshape(-1), self.shift, self.width, scaled.reshape(-1))
        return scaled

    def _backward(self, X: Floats) -> Floats:
        return X * self.width + self.shift


@dataclass(frozen=True, eq=False, kw_only=True)
class WhitenScaling(AffineScaling):
    """Decorrelate and standardise: x' = P^(−1/2) (x − mean) / σ, P the correlation matrix.

    This is ZCA-cor. Of all linear maps to unit covariance it keeps each x'ⱼ closest to the
    standardised xⱼ, so x'ⱼ can keep the name of its feature. Unlike PCA whitening it is unique: it
    does not depend on the signs and the order of eigenvectors.

    P is used instead of the covariance, so the units of the features do not matter. Directions with
    an eigenvalue of P below 1e-10 of the largest (duplicate columns, sums of columns) are set to
    zero and counted in `dropped`. The covariance of x' is then a projector, and `inverse` returns
    the nearest point in the subspace of the training events. Otherwise the covariance of x' is the
    identity to about 1e-16 / λ_min(P).

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.scaling import Moments, fit_scaling
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(size=(1000, 2)) @ [[2.0, 1.9], [0.0, 0.1]]
    >>> scaling = fit_scaling("whiten", [(X, None)], ["pt1", "pt2"])
    >>> bool(np.linalg.cond(Moments.of(X).covariance) > 1000)
    True
    >>> round(np.linalg.cond(Moments.of(scaling.transform(X)).covariance).item(), 9)
    1.0

    References
    ----------
    A. Kessy, A. Lewin, K. Strimmer, "Optimal whitening and decorrelation", The American
    Statistician 72 (2018) 309, doi:10.1080/00031305.2016.1277159.
    """

    ARRAYS = ("shift", "width", "whitener", "colourer")

    shift: Floats
    width: Floats
    whitener: Floats  # P^(−1/2), (n, n)
    colourer: Floats  # P^(1/2), (n, n)

    def affine(self) -> tuple[Floats, Floats]:
        """Return (shift (n,), P^(−1/2) diag(1 / σ) (n, n))."""
        return self.shift, self.whitener / self.width

    def _forward(self, X: Floats, dtype: np.dtype) -> NDArray[Any]:
        return (((X - self.shift) / self.width) @ self.whitener.T).astype(dtype, copy=False)

    def _backward(self, X: Floats) -> Floats:
        return (X @ self.colourer.T) * self.width + self.shift


def fit_none(moments: Moments | Extremes, names: Sequence[str]) -> DiagonalScaling:
    """No scaling: shift 0, width 1."""
    n = len(names)
    return _diagonal("none", names, np.zeros(n), np.ones(n), moments.constant)


def fit_standard(moments: Moments, names: Sequence[str]) -> DiagonalScaling:
    """Mean and standard deviation."""
    width = _deviation(moments, names)
    return _diagonal("standard", names, moments.mean, width, moments.constant)


def fit_min_max(moments: Moments, names: Sequence[str]) -> DiagonalScaling:
    """Minimum and range: [0, 1] on the training events."""
    with np.errstate(over="ignore"):
        width = np.where(moments.constant, 1.0, moments.maximum - moments.minimum)
    return _diagonal("min-max", names, moments.minimum, width, moments.constant)


def fit_robust(X: Floats, w: Floats, names: Sequence[str]) -> DiagonalScaling:
    """Weighted median and inter-quartile range."""
    quartiles = np.empty((3, len(names)))
    for j, column in enumerate(X.T):
        x, F = distribution(column, w)
        quartiles[:, j] = [quantile(x, F, p) for p in (0.25, 0.5, 0.75)]
    width = quartiles[2] - quartiles[0]
    constant = width == 0
    return _diagonal("robust", names, quartiles[1], np.where(constant, 1.0, width), constant)


def fit_whiten(moments: Moments, names: Sequence[str]) -> WhitenScaling:
    """Mean, standard deviations, and P^(−1/2) and P^(1/2) of the correlation matrix P."""
    width = require_width(_deviation(moments, names), names)
    P = moments.covariance / width / width[:, None]
    P[np.diag_indices_from(P)] = 1.0
    values, vectors = np.linalg.eigh(P)
    if values[0] < -_FLOOR * values[-1]:
        raise _negative_direction(values[0], vectors[:, 0], names)
    root = np.sqrt(np.maximum(values, 0.0))
    kept = values > _FLOOR * values[-1]
    root[~kept] = 0.0
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=kept)
    return WhitenScaling(
        name="whiten",
        features=tuple(names),
        constant=named(moments.constant, names),
        dropped=int(np.sum(~kept)),
        shift=moments.mean,
        width=width,
        whitener=(vectors * inverse) @ vectors.T,
        colourer=(vectors * root) @ vectors.T,
    )


def _diagonal(
    name: str, names: Sequence[str], shift: Floats, width: Floats, constant: np.ndarray
) -> DiagonalScaling:
    return DiagonalScaling(
        name=name,
        features=tuple(names),
        constant=named(constant, names),
        shift=shift,
        width=require_width(width, names),
    )


def named(chosen: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    """The names of the features that are chosen."""
    return tuple(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)


def _deviation(moments: Moments, names: Sequence[str]) -> Floats:
    """Standard deviations, 1 for constant features; an error if a variance is not positive."""
    variance = np.where(moments.constant, 1.0, moments.variance)
    negative = (moments.rounding() > 0) & (variance <= moments.rounding())
    for j in np.flatnonzero(negative & ~moments.constant).tolist():
        raise EventsError(
            f"The weighted variance of feature {names[j]!r} is not positive.",
            expected="a positive variance, Σw(x − mean)²/Σw",
            found=f"{variance[j]:.6g}, from {moments.count} events of total weight "
            f"{moments.total:g}",
            cause="events of negative weight lie further out than those of positive weight",
            do="use scaling 'min-max' or 'robust', or a larger sample",
        )
    with np.errstate(invalid="ignore"):
        return np.sqrt(variance)


def require_width(width: Floats, names: Sequence[str]) -> Floats:
    """Return the widths, or raise EventsError for one whose square float64 cannot hold."""
    for j in np.flatnonzero(~((width >= _SMALLEST) & (width <= _LARGEST))).tolist():
        raise EventsError(
            f"The spread of feature {names[j]!r} is beyond what float64 can square.",
            expected=f"a spread from {_SMALLEST:g} to {_LARGEST:g}",
            found=f"{width[j]:g}",
            cause="a placeholder such as 1e308 for missing values, or unusual units",
            do="drop the placeholders with `select`, or derive the feature in other units",
        )
    return width


def _negative_direction(value: float, vector: Floats, names: Sequence[str]) -> EventsError:
    strongest = [names[j] for j in np.argsort(-np.abs(vector), kind="stable")[:2].tolist()]
    return EventsError(
        "The weighted correlation matrix of the features has a negative eigenvalue.",
        expected="a positive variance in every direction of feature space",
        found=f"{value:.6g}, mostly along {' and '.join(map(repr, strongest))}",
        cause="events of negative weight lie further out than those of positive weight",
        do="use scaling 'standard', drop one of the two features, or use a larger sample",
    )
