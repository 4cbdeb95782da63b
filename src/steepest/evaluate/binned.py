"""Figures of merit in bins of a column: turn-on curves, and bias and resolution.

- a binary classifier with a cut: `efficiency_in_bins`, signal and background (turn-on curves);
- several classes: `class_efficiency_in_bins`;
- a regressor: `regression_in_bins`, and `pulls` with the resolution of each bin.

Each bin has a `Merit` for each quantity: value, interval, counts, definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import InputError
from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_column,
    as_pair,
    as_weights,
    check_classified,
    check_same_length,
    check_scored,
)
from steepest.evaluate.columns import Sums, sums_of
from steepest.evaluate.intervals import efficiency_merit, efficiency_of
from steepest.evaluate.merit import Merit, undefined_merit
from steepest.evaluate.regression import regression_merits
from steepest.storage import AnyArray, blocks, compressed, derived

_REGRESSION = ("bias", "resolution", "robust_resolution")


def efficiency_in_bins(
    labels: Values,
    scores: Values,
    values: Values,
    edges: ArrayLike,
    threshold: float,
    weights: Values | None = None,
    column: str = "column",
) -> BinnedMerits:
    """Return signal and background efficiency of the cut ``score >= threshold``, in bins.

    ::

        ε_S(bin) = Σ_{signal in the bin, s ≥ t} w / Σ_{signal in the bin} w,     ε_B likewise

    with the interval of `weighted_efficiency`. If a bin has no events of a class, or their sum of
    weights is not positive, the merit has no value and a reason.

    Labels, scores, weights and errors are those of `roc_curve`, values and edges those of
    `place_in_bins`; `column` is their name. The cut must have been chosen on other events.

    Examples
    --------
    >>> binned = efficiency_in_bins(
    ...     [1, 1, 1, 0], [0.9, 0.2, 0.8, 0.7], [520, 530, 620, 610], [500, 600, 700], 0.5
    ... )
    >>> [merit.value for merit in binned.merits["signal_efficiency"]]
    [0.5, 1.0]
    """
    signal, score, weight = check_scored(labels, scores, weights)
    place = _checked_place(values, edges, score, "scores")
    classes = {"signal": signal, "background": derived(np.logical_not, signal)}
    return _efficiencies(
        place,
        edges,
        column,
        {f"{name}_efficiency": (name, of) for name, of in classes.items()},
        derived(lambda rows: rows >= threshold, score),
        weight,
        f"weighted share of {{}} events of the bin with score >= {threshold:g}",
    )


def class_efficiency_in_bins(
    labels: Values,
    probabilities: Values,
    values: Values,
    edges: ArrayLike,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
    column: str = "column",
) -> BinnedMerits:
    """Return the fraction of correctly classified events of each class, in bins.

    The predicted class is the most probable one. Merits are named ``efficiency_<class>``; intervals
    and empty bins are as in `efficiency_in_bins`, events and errors as in `multiclass_merits`.

    Examples
    --------
    >>> binned = class_efficiency_in_bins(
    ...     [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [1.0, 1.0, 1.0], [0, 2]
    ... )
    >>> [merits[0].value for merits in binned.merits.values()]
    [1.0, 0.5]
    """
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    place = _checked_place(values, edges, probability, "probabilities")
    classes = {
        f"efficiency_{name}": (name, derived(partial(np.equal, index), label))
        for index, name in enumerate(names)
    }
    return _efficiencies(
        place,
        edges,
        column,
        classes,
        derived(lambda p, of: p.argmax(axis=1) == of, probability, label),
        weight,
        "weighted share of the events of this class in the bin that are classified so",
    )


def regression_in_bins(
    truth: Values,
    prediction: Values,
    values: Values,
    edges: ArrayLike,
    weights: Values | None = None,
    column: str = "column",
    unit: str | None = None,
) -> BinnedMerits:
    """Return bias, resolution and robust resolution of a regressor in bins.

    Each is the merit of `regression_merits` for the events of the bin; the column may be the truth
    itself, and `unit` is the truth's. Values and edges are those of `place_in_bins`.

    Examples
    --------
    >>> binned = regression_in_bins([10, 20, 30], [11, 19, 33], [1, 1, 2], [0.5, 1.5, 2.5])
    >>> [merit.value for merit in binned.merits["bias"]]
    [0.0, 3.0]
    """
    true, predicted = as_pair(truth, prediction)
    weight = as_weights(weights, len(true))
    place = _checked_place(values, edges, true, "truth")

    def measure(inside: AnyArray) -> dict[str, Merit]:
        sums = sums_of(weight, inside)
        reason = _why_empty(sums, "events")
        if reason is None:
            true_, predicted_, weight_ = (compressed(e, inside) for e in (true, predicted, weight))
            merits = regression_merits(true_, predicted_, weight_, unit)
            return {name: merits[name] for name in _REGRESSION}
        counts: dict[str, float | int] = {"events": sums.events}
        return {
            name: undefined_merit(
                name, reason, f"{name.replace('_', ' ')} of the bin's events", counts
            )
            for name in _REGRESSION
        }

    return _measured_in_bins(place, edges, column, measure)


def _checked_place(values: Any, edges: ArrayLike, events: AnyArray, name: str) -> AnyArray:
    place = place_in_bins(values, edges)
    check_same_length(events, place, name, "values")
    return place


def _efficiencies(
    place: AnyArray,
    edges: ArrayLike,
    column: str,
    classes: Mapping[str, tuple[str, AnyArray]],
    passed: AnyArray,
    weights: AnyArray,
    definition: str,
) -> BinnedMerits:
    """Return the efficiency of each class in bins; `classes` are what it is called and its mask."""
    definition += "; Jeffreys interval with effective counts"

    def efficiency(name: str, what: str, inside: AnyArray, of: AnyArray) -> Merit:
        total, passing = sums_of(weights, inside, of), sums_of(weights, inside, of, passed)
        counts: dict[str, float | int] = {
            "passed": passing.events,
            "events": total.events,
            "events_effective": total.effective,
        }
        described = definition.format(what)
        reason = _why_empty(total, f"{what} events")
        if reason is not None:
            return undefined_merit(name, reason, described, counts)
        return efficiency_merit(name, efficiency_of(passing, total), described, counts)

    def measure(inside: AnyArray) -> dict[str, Merit]:
        return {name: efficiency(name, what, inside, of) for name, (what, of) in classes.items()}

    return _measured_in_bins(place, edges, column, measure)


@dataclass(frozen=True, slots=True)
class BinnedMerits:
    """Figures of merit in bins of a column."""

    column: str  # name of the column that defines the bins
    # shape (bins + 1,); a bin includes its lower edge, the last bin also its upper edge
    edges: Floats
    merits: dict[str, tuple[Merit, ...]]  # lists with one merit per bin, by name
    outside: int  # number of events below the first or above the last edge

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict, with the merits as in `Merit.to_json`.

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
    """Return the bin of each value, −1 outside the bins; in memory or on disk like the values.

    Parameters
    ----------
    values
        Finite numbers, shape (events,).
    edges
        Two or more finite numbers, increasing, shape (bins + 1,).

    Raises
    ------
    EventsError
        For values that are not finite, none, or not one per event.
    InputError
        For less than two edges, or edges that do not increase.

    Examples
    --------
    >>> place_in_bins([0.0, 0.5, 1.0, 2.0, 2.1], [0, 1, 2]).tolist()
    [0, 0, 1, 1, -1]
    """
    column = as_column(values, "values")
    limits = np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or limits.size < 2 or not (np.diff(limits) > 0).all():
        raise InputError(
            "the edges of the bins are not increasing.",
            expected="two or more finite, increasing numbers",
            found=f"{limits.tolist()}",
            cause="a repeated edge, or edges from high to low",
            do="sort the edges and remove duplicates",
        )

    def place(rows: Floats) -> NDArray[np.intp]:
        index = np.searchsorted(limits, rows, side="right") - 1
        index = np.where(rows == limits[-1], limits.size - 2, index)
        return np.where((rows < limits[0]) | (rows > limits[-1]), -1, index)

    return derived(place, column)


def _measured_in_bins(
    place: AnyArray, edges: ArrayLike, column: str, measure: Callable[[Any], Mapping[str, Merit]]
) -> BinnedMerits:
    """Return the merits in each bin; `place` is the result of `place_in_bins`.

    `measure` takes a mask of the events in a bin, and returns the merits of the bin by name.
    """
    limits = np.array(edges, dtype=np.float64)
    measured = [
        measure(derived(partial(np.equal, index), place)) for index in range(limits.size - 1)
    ]
    merits = {name: tuple(each[name] for each in measured) for name in measured[0]}
    outside = sum(int((rows < 0).sum()) for (rows,) in blocks(place))
    return BinnedMerits(column, limits, merits, outside)


def _why_empty(sums: Sums, events: str) -> str | None:
    """Return the reason why a bin has no weighted mean, or None."""
    if sums.events == 0:
        return f"no {events} in this bin"
    if not sums.positive:
        return f"the weights of the {events} in this bin have no positive sum"
    return None
