"""The interface of feature scalings: transform, invert, save; affine ones x' = M(x − shift)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from steepest.errors import EventsError
from steepest.scaling.blocks import Floats, Outlier, first_not_finite, matrix, require_finite


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaling(ABC):
    """A fitted map x → x' of feature vectors, and its inverse.

    `fit_scaling` creates it. `scaling_from` restores it from `to_json` and `to_arrays`.

    Attributes
    ----------
    name
        Name in the recipe: none, standard, min-max, robust, quantile, whiten or asinh.
    features
        Names of the n columns, in order.
    constant
        Names of the features without spread, in the measure of this scaling (for robust, an
        inter-quartile range of zero). They are shifted but not rescaled.
    dropped
        Number of directions without spread that whitening set to zero; otherwise 0.
    outliers
        Values that mean and spread were computed without, by feature; empty for a saved scaling.
    """

    ARRAYS: ClassVar[tuple[str, ...]]
    """The attributes that are arrays."""
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """More of them, each of which may be None and is not saved then."""

    name: str
    features: tuple[str, ...]
    constant: tuple[str, ...] = ()
    dropped: int = 0
    outliers: tuple[Outlier, ...] = ()

    def transform(
        self, X: ArrayLike, dtype: DTypeLike = np.float64, first_row: int = 0
    ) -> NDArray[Any]:
        """Return X' (m, n) of the given dtype for X (m, n), computed in float64.

        Error messages count rows from `first_row`.

        Raises
        ------
        EventsError
            X has the wrong number of columns, a value that is not finite, or a value whose result
            does not fit into dtype.
        """
        values = matrix(X, self.features)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = self._forward(values, np.dtype(dtype))
        self._require_finite(values, scaled, first_row)
        return scaled

    def inverse(self, X: ArrayLike, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Return the X (m, n) that `transform` maps to the given X' (m, n).

        Raises
        ------
        EventsError
            As for `transform`.
        """
        values = matrix(X, self.features)
        with np.errstate(over="ignore", invalid="ignore"):
            original = self._backward(values.astype(np.float64, copy=False)).astype(
                dtype, copy=False
            )
        self._require_finite(values, original)
        return original

    def to_json(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for `json.dumps`."""
        return {
            "version": 1,
            "name": self.name,
            "features": list(self.features),
            "constant": list(self.constant),
            "dropped": self.dropped,
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted arrays by name, ready for safetensors."""
        optional = (name for name in self.OPTIONAL if getattr(self, name) is not None)
        return {name: getattr(self, name) for name in (*self.ARRAYS, *optional)}

    @abstractmethod
    def _forward(self, X: Floats, dtype: np.dtype) -> NDArray[Any]:
        """Map rows x → x' of a float64 or float32 matrix, in float64, and convert to `dtype`."""

    @abstractmethod
    def _backward(self, X: Floats) -> Floats:
        """Map rows x' → x of a float64 matrix."""

    def _require_finite(self, given: Floats, result: NDArray[Any], first_row: int = 0) -> None:
        place = first_not_finite(result)
        if place is None:
            return
        require_finite(given, self.features, first_row)
        row, column = place
        raise EventsError(
            f"Feature {self.features[column]!r} of row {first_row + row} does not fit "
            f"into {result.dtype} under the scaling {self.name!r}.",
            expected=f"at most {np.finfo(result.dtype).max:.3g} in absolute value",
            found=f"a result beyond it, from {given[row, column]:g}",
            cause="a value in other units than in training, or features that were not scaled",
            do="check the units, or ask for dtype float64",
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class AffineScaling(Scaling):
    """A scaling of the form x' = M (x − shift): all scalings but quantile and asinh."""

    @abstractmethod
    def affine(self) -> tuple[Floats, Floats]:
        """Return (shift (n,), M (n, n)) with x' = M (x − shift)."""

    def original_units(
        self, coefficients: ArrayLike, intercept: ArrayLike
    ) -> tuple[Floats, Floats]:
        """Convert a linear model of x' into a model of x, in the original units of the features.

        x'ᵀC + b = xᵀ(MᵀC) + (b − shiftᵀMᵀC).

        Parameters
        ----------
        coefficients
            C, (n, K), of the scaled features.
        intercept
            b, (K,).

        Returns
        -------
        (n, K) and (K,), float64. If the offset of a feature is large compared with its spread, the
        new intercept is large and cancels in the prediction. Predict with the scaled model, and
        report this one.

        Examples
        --------
        >>> import numpy as np
        >>> from steepest.scaling import fit_scaling
        >>> scaling = fit_scaling("min-max", [(np.array([[100.0], [300.0]]), None)], ["pt"])
        >>> scaling.original_units([[4.0]], [1.0])
        (array([[0.02]]), array([-1.]))
        """
        shift, M = self.affine()
        C = M.T @ np.asarray(coefficients, dtype=np.float64)
        return C, np.asarray(intercept, dtype=np.float64) - shift @ C
