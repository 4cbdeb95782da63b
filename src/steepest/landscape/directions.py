"""The slice of a landscape, a line or a plane, and its coordinates.

The maps between θ and its coordinates c are

    θ(c) = θ₀ + Σₖ (cₖ − oₖ) dₖ          c(θ) = o + P (θ − θ₀)

θ₀ is the trained model, dₖ are the directions, o are the coordinates of θ₀, and P is the dual of
the directions: P dᵀ = 1. Usually o is zero and P is the orthogonal projection (the pseudo-inverse
of d). For named parameters, the coordinates are the values of the parameters instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.errors import InputError

__all__ = ["Directions", "Mark", "refuse_parallel"]

Array = np.ndarray

PARALLEL = 1e-3
"""Two directions are parallel if the sine of their angle is below this."""


@dataclass(frozen=True)
class Mark:
    """A labelled point on a slice: the trained model, or another run."""

    label: str
    coordinates: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Directions:
    """A slice of θ-space, one- or two-dimensional.

    Attributes
    ----------
    kind : str
        "random", "principal", "hessian", "through" or "parameters".
    origin
        θ₀, float64 ``(size,)``.
    vectors
        dₖ, float64 ``(k, size)``, k = 1 or 2.
    labels : tuple[str, ...]
        Labels of the axes, with units.
    offset
        o, float64 ``(k,)``: the coordinates of θ₀.
    dual
        P, float64 ``(k, size)``.
    marks : tuple[Mark, ...]
        Named points on the slice.
    notes : dict
        Numbers about the directions: eigenvalues, shares of variance, …

    Examples
    --------
    >>> plane = Directions.spanned("random", np.zeros(3), np.eye(3)[:2], ("a", "b"))
    >>> plane.coordinates_of(np.array([1.0, 2.0, 5.0]))
    array([1., 2.])
    >>> plane.distances_of(np.array([[1.0, 2.0, 5.0]]))
    array([5.])
    """

    kind: str
    origin: Array
    vectors: Array
    labels: tuple[str, ...]
    offset: Array
    dual: Array
    marks: tuple[Mark, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def spanned(
        cls,
        kind: str,
        origin: Array,
        vectors: Array,
        labels: tuple[str, ...],
        marks: tuple[Mark, ...] = (),
        notes: dict[str, Any] | None = None,
    ) -> Directions:
        """Return the slice through `origin` along `vectors`, with the orthogonal projection.

        Raises
        ------
        InputError
            For parallel directions, or a direction of length zero.
        """
        refuse_parallel(vectors, labels)
        dual = np.linalg.pinv(vectors).T
        offset = np.zeros(len(vectors))
        return cls(kind, origin, vectors, labels, offset, dual, marks, notes or {})

    @property
    def dimensions(self) -> int:
        """1 or 2."""
        return len(self.vectors)

    def theta_at(self, coordinates: Array) -> Array:
        """θ(c), ``(…, size)`` for c ``(…, k)``."""
        return self.origin + (np.asarray(coordinates) - self.offset) @ self.vectors

    def coordinates_of(self, thetas: Array) -> Array:
        """c(θ), ``(…, k)`` for θ ``(…, size)``."""
        return self.offset + (thetas - self.origin) @ self.dual.T

    def distances_of(self, thetas: Array) -> Array:
        """‖θ − θ(c(θ))‖ ``(points,)``: the distance of each θ from the slice."""
        return np.linalg.norm(thetas - self.theta_at(self.coordinates_of(thetas)), axis=-1)

    def orthonormal(self) -> Array:
        """An orthonormal basis of the span of the directions, ``(k, size)``."""
        return np.linalg.qr(self.vectors.T)[0].T

    def to_arrays(self) -> dict[str, Array]:
        """The arrays, for a safetensors file."""
        return {
            "origin": self.origin,
            "vectors": np.ascontiguousarray(self.vectors),
            "offset": self.offset,
            "dual": np.ascontiguousarray(self.dual),
        }

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "kind": self.kind,
            "labels": list(self.labels),
            "lengths": np.linalg.norm(self.vectors, axis=1).tolist(),
            "marks": [{"label": m.label, "coordinates": list(m.coordinates)} for m in self.marks],
            **self.notes,
        }


def refuse_parallel(vectors: Array, labels: tuple[str, ...]) -> None:
    """Raise InputError if vectors ``(k, size)`` do not span a line or a plane.

    Examples
    --------
    >>> refuse_parallel(np.array([[1.0, 0.0], [2.0, 0.0]]), ("a", "b"))
    Traceback (most recent call last):
    steepest.errors.InputError: The directions 'a' and 'b' are parallel: they span no plane.
      expected: an angle between them of at least 0.06°
      found:    0°
      cause:    two points on one line with the third, or one of them given twice
      do:       choose another direction, or draw the line along one of them alone
    """
    lengths = np.linalg.norm(vectors, axis=1)
    for label, length in zip(labels, lengths.tolist(), strict=True):
        if not (length > 0 and np.isfinite(length)):
            raise InputError(
                f"The direction {label!r} leads nowhere: its length is {length:g}.",
                expected="a direction of finite length",
                found="the same parameters at both ends" if length == 0 else f"length {length:g}",
                cause="two runs that ended at the same θ, or a model whose weights are all zero",
                do="choose another direction or another run",
            )
    if len(vectors) < 2:
        return
    units = vectors / lengths[:, None]
    across = units[1] - (units[1] @ units[0]) * units[0]
    sine = float(np.linalg.norm(across))
    if sine < PARALLEL:
        raise InputError(
            f"The directions {labels[0]!r} and {labels[1]!r} are parallel: they span no plane.",
            expected=f"an angle between them of at least {np.degrees(PARALLEL):.2f}°",
            found=f"{np.degrees(np.arcsin(min(sine, 1.0))):.2g}°",
            cause="two points on one line with the third, or one of them given twice",
            do="choose another direction, or draw the line along one of them alone",
        )
