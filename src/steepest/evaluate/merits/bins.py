"""Bins of a column, and a figure of merit for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import InputError
from steepest.evaluate.events.arrays import Floats, as_column
from steepest.evaluate.events.columns import Sums
from steepest.evaluate.merits.merit import Merit
from steepest.storage import AnyArray, blocks, derived

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


def place_in_bins(values: Any, edges: ArrayLike) -> Any:
    """Return the bin of each value, −1 for those outside; on disk where the values are.

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

    def place(rows: Floats) -> NDArray[np.intp]:
        index = np.searchsorted(limits, rows, side="right") - 1
        index = np.where(rows == limits[-1], limits.size - 2, index)
        return np.where((rows < limits[0]) | (rows > limits[-1]), -1, index)

    return derived(place, column)


def measured_in_bins(
    place: AnyArray, edges: ArrayLike, column: str, measure: Callable[[Any], Mapping[str, Merit]]
) -> BinnedMerits:
    """Return what is measured in each bin; `place` is of `place_in_bins`.

    `measure` is given whether each event is in the bin, and returns the bin's merits by name.
    """
    limits = np.array(edges, dtype=np.float64)
    measured = [
        measure(derived(partial(np.equal, index), place)) for index in range(limits.size - 1)
    ]
    merits = {name: tuple(each[name] for each in measured) for name in measured[0]}
    outside = sum(int((rows < 0).sum()) for (rows,) in blocks(place))
    return BinnedMerits(column, limits, merits, outside)


def why_empty(sums: Sums, events: str) -> str | None:
    """Why a bin has no weighted mean; None if it has one."""
    if sums.events == 0:
        return f"no {events} in this bin"
    if not sums.positive:
        return f"the weights of the {events} in this bin have no positive sum"
    return None
