"""Bins of a column, and a figure of merit for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import InputError
from steepest.evaluate.arrays import Floats, as_column
from steepest.evaluate.merit import Merit

__all__ = ["BinnedMerits", "measured_in_bins", "place_in_bins", "why_empty"]


@dataclass(frozen=True, slots=True)
class BinnedMerits:
    """Figures of merit in bins of a column.

    Attributes
    ----------
    column
        What the events are binned in.
    edges
        Shape (bins + 1,); a bin includes its lower edge, the last one its upper edge too.
    merits
        By name a merit for each bin.
    outside
        Number of events below the first or above the last edge: they are in no bin.
    """

    column: str
    edges: Floats
    merits: dict[str, tuple[Merit, ...]]
    outside: int

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict, merits as `Merit.to_json` has them.

        Examples
        --------
        >>> from steepest.evaluate import regression_in_bins
        >>> binned = regression_in_bins([1.0, 2.0], [1.5, 2.5], [0.2, 0.4], [0, 1], column="eta")
        >>> entry = binned.to_json()
        >>> entry["column"], entry["edges"], entry["merits"]["bias"][0]["value"]
        ('eta', [0.0, 1.0], 0.5)
        """
        return {
            "column": self.column,
            "edges": self.edges.tolist(),
            "outside": self.outside,
            "merits": {
                name: [merit.to_json() for merit in merits] for name, merits in self.merits.items()
            },
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> BinnedMerits:
        """Return the binned merits that `to_json` wrote."""
        merits = {
            name: tuple(Merit.from_json(merit) for merit in merits)
            for name, merits in entry["merits"].items()
        }
        return cls(entry["column"], np.array(entry["edges"]), merits, entry["outside"])


def place_in_bins(values: ArrayLike, edges: ArrayLike) -> NDArray[np.intp]:
    """Return the bin of each value, −1 for those outside.

    Parameters
    ----------
    values
        Finite numbers, shape (events,).
    edges
        Two finite numbers or more, rising, shape (bins + 1,).

    Raises
    ------
    EventsError
        For values that are not finite, none, or not one per event.
    InputError
        For less than two edges, or edges that do not rise.

    Examples
    --------
    >>> place_in_bins([0.0, 0.5, 1.0, 2.0, 2.1], [0, 1, 2]).tolist()
    [0, 0, 1, 1, -1]
    """
    column = as_column(values, "values")
    limits = np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or limits.size < 2 or not (np.diff(limits) > 0).all():
        raise InputError(
            "the edges of the bins do not rise.",
            expected="two finite numbers or more, each above the one before",
            found=f"{limits.tolist()}",
            cause="an edge twice, or edges from high to low",
            do="sort them, and give each once",
        )
    place = np.searchsorted(limits, column, side="right") - 1
    place = np.where(column == limits[-1], limits.size - 2, place)
    return np.where((column < limits[0]) | (column > limits[-1]), -1, place)


def measured_in_bins(
    place: NDArray[np.intp],
    edges: ArrayLike,
    column: str,
    measures: Mapping[str, Callable[[NDArray[np.bool_]], Merit]],
) -> BinnedMerits:
    """Return what each measure says of the events of each bin; `place` is of `place_in_bins`."""
    limits = np.array(edges, dtype=np.float64)
    inside = [place == index for index in range(limits.size - 1)]
    merits = {name: tuple(map(measure, inside)) for name, measure in measures.items()}
    return BinnedMerits(column, limits, merits, int((place < 0).sum()))


def why_empty(weights: Floats, events: str) -> str | None:
    """Why a bin has no weighted mean; None if it has one."""
    if weights.size == 0:
        return f"no {events} in this bin"
    if not weights.sum() > 1e-12 * np.abs(weights).sum():
        return f"the weights of the {events} in this bin have no positive sum"
    return None
