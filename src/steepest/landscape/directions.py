"""The slice of a landscape, a line or a plane: its coordinates, and the grid of its points.

The maps between θ and its coordinates c are

    θ(c) = θ₀ + Σₖ (cₖ − oₖ) dₖ          c(θ) = o + P (θ − θ₀)

θ₀ is the trained model, dₖ are the directions, o are the coordinates of θ₀, and P is the dual of
the directions: P dᵀ = 1. Usually o is zero and P is the orthogonal projection (the pseudo-inverse
of d). For named parameters, the coordinates are the values of the parameters instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.errors import InputError

Array = np.ndarray

PARALLEL = 1e-3
"""Two directions are parallel if the sine of their angle is below this."""
MARGIN = 0.2
"""Margin on each side of the slice, as a fraction of its width."""
ARRAYS = 8
"""Number of arrays of the size of the grid that are in memory at once."""
FINEST = {1: 10_001, 2: 1_001}
"""Largest number of points per axis that a message suggests; more would take very long."""


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
    >>> directions = Directions.spanned("random", np.zeros(3), np.eye(3)[:2], ("a", "b"))
    >>> directions.coordinates_of(np.array([1.0, 2.0, 5.0]))
    array([1., 2.])
    >>> directions.distances_of(np.array([[1.0, 2.0, 5.0]]))
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
        marks: tuple[Mark, ...] | None = None,
        notes: dict[str, Any] | None = None,
    ) -> Directions:
        """Return the slice through `origin` along `vectors`, with the orthogonal projection.

        Without `marks` the trained model is marked.

        Raises
        ------
        InputError
            For parallel directions, or a direction of length zero.
        """
        refuse_parallel(vectors, labels)
        dual, offset = np.linalg.pinv(vectors).T, np.zeros(len(vectors))
        marks = marks or (Mark("trained", tuple(offset.tolist())),)
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
        names = ("origin", "vectors", "offset", "dual")
        return {name: np.ascontiguousarray(getattr(self, name)) for name in names}

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
    """Raise InputError if vectors ``(k, size)`` do not span a line or a plane."""
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
    sine = float(np.linalg.norm(units[1] - (units[1] @ units[0]) * units[0]))
    if sine < PARALLEL:
        raise InputError(
            f"The directions {labels[0]!r} and {labels[1]!r} are parallel: they span no plane.",
            expected=f"an angle between them of at least {np.degrees(PARALLEL):.2f}°",
            found=f"{np.degrees(np.arcsin(min(sine, 1.0))):.2g}°",
            cause="two points on one line with the third, or one of them given twice",
            do="choose another direction, or draw the line along one of them alone",
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """The evenly spaced coordinates of the points of a surface, one array per axis."""

    axes: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points along each axis; the first axis is horizontal."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def size(self) -> int:
        """Total number of points."""
        return int(np.prod(self.shape))

    def points(self) -> Array:
        """The coordinates of all points, ``(size, k)``, in C order of `shape`."""
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return np.stack([values.ravel() for values in mesh], axis=1)

    def holds(self, coordinates: Array) -> Array:
        """Return a mask of the coordinates ``(points, k)`` within the grid."""
        lows, highs = np.transpose([(axis[0], axis[-1]) for axis in self.axes])
        return np.asarray(np.all((coordinates >= lows) & (coordinates <= highs), axis=-1))


def grid_of(directions: Directions, extent: Sequence[float], points: int) -> Grid:
    """Return a grid of `points` along each axis, over the extent (low, high) of each axis.

    Examples
    --------
    >>> line = Directions.spanned("random", np.zeros(1), np.ones((1, 1)), ("a",))
    >>> grid_of(line, (-1, 1), 5).axes
    (array([-1. , -0.5,  0. ,  0.5,  1. ]),)
    """
    if points < 3:
        raise InputError(
            f"{points} points along an axis are too few.",
            expected="at least 3",
            found=str(points),
            do="--points 51",
        )
    k, values, wrong = directions.dimensions, [float(value) for value in extent], None
    ends = list(zip(values[::2], values[1::2], strict=False))
    if len(values) == 1:
        ends = [(centre - values[0], centre + values[0]) for centre in directions.offset.tolist()]
    if len(values) not in (1, 2 * k):
        wrong = f"{len(values)} numbers for {k} {'axis' if k == 1 else 'axes'}"
    elif not np.isfinite(values).all():
        wrong = "a number that is not finite"
    elif len(values) == 1 and not values[0] > 0:
        wrong = f"the half width {values[0]:g}, which is not above zero"
    elif mixed := [(low, high) for low, high in ends if not low < high]:
        wrong = "a low end {:g} that is not below the high end {:g}".format(*mixed[0])
    if wrong:
        raise InputError(
            f"The extent {', '.join(f'{value:g}' for value in values)} is none.",
            expected="a half width, or a low and a higher end"
            + (" of the first axis, then of the second" if k == 2 else ""),
            found=wrong,
            do="--extent=1.5 or " + ("--extent=-1,1" if k == 1 else "--extent=-1,1,-2,2"),
        )
    return Grid(tuple(np.linspace(low, high, points) for low, high in ends))


def automatic_extent(
    directions: Directions, path: Array | None, scales: Sequence[float] | None = None
) -> tuple[float, ...]:
    """Return an extent that shows the relevant part of the slice.

    For random directions it is −1 to 1, the length of the weights. Otherwise it includes the marks,
    the coordinates ``(points, k)`` of the path, and the trained model ± `scales`, with a margin.

    Examples
    --------
    >>> line = Directions.spanned("hessian", np.zeros(1), np.ones((1, 1)), ("a",))
    >>> automatic_extent(line, None, [5.0])
    (-5.0, 5.0)
    """
    k, offset = directions.dimensions, directions.offset
    if directions.kind == "random":
        return (-1.0, 1.0) * k
    marks = np.array([mark.coordinates for mark in directions.marks])
    shown = np.concatenate([offset[None], marks.reshape(-1, k)])
    if path is not None and len(path):
        shown = np.concatenate([shown, path])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    if scales is not None:
        low = np.minimum(low, offset - np.asarray(scales))
        high = np.maximum(high, offset + np.asarray(scales))
    flat = ~(high > low)
    low = np.where(flat, low - np.maximum(np.abs(offset), 1.0), low)
    high = np.where(flat, high + np.maximum(np.abs(offset), 1.0), high)
    return tuple(float(v) for pair in zip(low, high, strict=True) for v in pair)


def refuse_too_large(
    points: int, dimensions: int, events: int, row_bytes: int, available: int
) -> None:
    """Raise InputError if a surface does not fit into memory, and suggest one that does."""
    grid, sample = ARRAYS * 8 * points**dimensions * 1.25, float(events * row_bytes)
    if grid + sample <= available:
        return
    fewer = int((max(available - sample, 0) / (ARRAYS * 10)) ** (1 / dimensions))
    offers = []
    if grid > 0.1 * available and fewer >= 3:
        offers.append(f"--points {min(fewer, points, FINEST[dimensions])}")
    if sample > 0.1 * available:
        offers.append(f"--events {int(max(available / 2, 1) / row_bytes)}")
    shape = " × ".join([f"{points:,}"] * dimensions)
    raise InputError(
        "The landscape does not fit into memory.",
        expected=f"at most {_size(available)}",
        found=f"{_size(grid)} for {shape} points, {_size(sample)} for {events:,} events",
        do=" and ".join(offers) or "free some memory",
    )


def _size(amount: float) -> str:
    """Format a number of bytes: 97.7 KiB, 8 GiB, 2,980 GiB."""
    power = 3 if amount >= 2**30 else 2 if amount >= 2**20 else 1
    value = amount / 2 ** (10 * power)
    number = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{number} {('KiB', 'MiB', 'GiB')[power - 1]}"
