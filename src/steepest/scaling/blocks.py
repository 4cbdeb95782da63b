"""Checks of blocks of events: a finite matrix (m, n), and finite weights (m,)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import EventsError

Floats = NDArray[np.float64]
Block = tuple[Floats, Floats | None]
_MANY = 2**20
_SO_MANY = 2**24


@dataclass(frozen=True)
class Outlier:
    """The values of a feature outside an interval: how many, and the farthest with its row."""

    feature: str
    low: float
    high: float
    count: int
    value: float
    row: int


def matrix(X: ArrayLike, names: Sequence[str]) -> Floats:
    """Return X as a matrix (m, n) with one column for each name; float32 is kept, else float64.

    EventsError if X is not a matrix with as many columns as names.

    Examples
    --------
    >>> matrix([[1, 2]], ["pt", "mass"])
    array([[1., 2.]])
    """
    values = floating(X)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise EventsError(
            "The events to scale do not have the shape that the features ask for.",
            expected=f"a matrix (events, {len(names)}), columns {', '.join(names)}",
            found=f"an array of shape {values.shape}",
            cause="columns were left out, added, or one event was given without its row axis",
            do="give one row per event and one column per feature, in the order above",
        )
    return values


def floating(X: ArrayLike) -> NDArray[Any]:
    """Return X as an array of float64, or unchanged if it is float32."""
    values = np.asarray(X)
    return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)


def compiled_pays(numbers: int) -> bool:
    """Whether compiled code, which gives the same bits, is faster for an array of that size.

    Loading Numba takes a second: a network of PyTorch, which does without, need not wait for it.
    """
    return numbers >= (_MANY if "numba" in sys.modules else _SO_MANY)


def is_finite(values: NDArray[np.floating]) -> bool:
    """Whether all numbers of an array are finite.

    Examples
    --------
    >>> is_finite(np.array([1.0, 2.0])), is_finite(np.array([np.inf]))
    (True, False)
    """
    known = values.dtype in (np.float32, np.float64)
    if (
        known
        and compiled_pays(values.size)
        and (values.flags.c_contiguous or values.flags.f_contiguous)
    ):
        from steepest.compiled.columns import all_finite

        return bool(all_finite(values.ravel(order="K")))
    return bool(np.isfinite(values).all())


def first_not_finite(values: NDArray[np.floating]) -> tuple[int, int] | None:
    """Return (row, column) of the first NaN or infinity in a matrix, or None.

    Examples
    --------
    >>> first_not_finite(np.array([[1.0, 2.0], [3.0, np.nan]]))
    (1, 1)
    """
    if is_finite(values):
        return None
    finite = np.isfinite(values)
    row, column = np.unravel_index(int(np.argmin(finite)), finite.shape)
    return int(row), int(column)


def require_finite(values: Floats, names: Sequence[str], first_row: int = 0) -> None:
    """Raise EventsError at the first NaN or infinity, naming its column and row."""
    place = first_not_finite(values)
    if place is None:
        return
    row, column = place
    raise EventsError(
        f"Feature {names[column]!r} is not finite in row {first_row + row}.",
        expected="a finite number in every feature of every event",
        found=f"{values[row, column]}",
        cause="a division by zero, a logarithm of zero, or a placeholder",
        do="drop such events with `select`, or give the feature a finite value where it is missing",
    )


def placed_blocks(
    blocks: Iterable[Block], names: Sequence[str]
) -> Iterator[tuple[int, Floats, Floats | None]]:
    """Yield the non-empty blocks with the number of their first row; values are not checked.

    EventsError if a block has the wrong shape.
    """
    first_row = 0
    for X, weights in blocks:
        values = matrix(X, names)
        if len(values):
            yield first_row, values, weights
        elif weights is not None:
            checked(values, weights, names, first_row)
        first_row += len(values)


def checked(values: Floats, weights: Floats | None, names: Sequence[str], first_row: int) -> Floats:
    """Check a block, and return its weights as float64; ones if they are None.

    EventsError if a value or weight is not finite, or the number of weights is wrong.
    """
    require_finite(values, names, first_row)
    if weights is None:
        return np.ones(len(values))
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (len(values),):
        raise EventsError(
            "The event weights do not match the events.",
            expected=f"one weight per event: shape ({len(values)},)",
            found=f"shape {w.shape}",
            cause="weights and events were selected differently",
            do="select events and weights together",
        )
    place = first_not_finite(w[:, None])
    if place is not None:
        raise EventsError(
            f"The event weight is not finite in row {first_row + place[0]}.",
            expected="a finite weight for every event; negative ones are legal",
            found=f"{w[place[0]]}",
            cause="a normalisation by zero events",
            do="drop such events with `select`, or compute the weight anew",
        )
    return w


def positive_total(total: float, purpose: str) -> float:
    """Return the total weight; raise EventsError unless it is positive."""
    if total > 0:
        return total
    raise EventsError(
        f"The event weights add up to {total:g}, and {purpose} divides by their sum.",
        expected="a positive sum of weights over the training events",
        found=f"{total:g}",
        cause="all weights are zero, or negative weights outweigh the positive ones",
        do="check the weight column, or use a larger sample",
    )
