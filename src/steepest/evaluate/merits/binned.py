"""Figures of merit in bins of a column: turn-on curves, and bias and resolution.

What to use when:

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
from steepest.evaluate.curves.roc import check_scored
from steepest.evaluate.events.arrays import (
    Floats,
    Values,
    as_column,
    as_weights,
    check_classified,
    check_fraction,
    check_same_length,
)
from steepest.evaluate.events.columns import Sums, sums_of
from steepest.evaluate.merits.intervals import efficiency_of
from steepest.evaluate.merits.merit import ONE_SIGMA, Merit, undefined_merit
from steepest.evaluate.merits.regression import regression_merits
from steepest.storage import AnyArray, blocks, compressed, derived

__all__ = [
    "BinnedMerits",
    "class_efficiency_in_bins",
    "efficiency_in_bins",
    "measured_in_bins",
    "place_in_bins",
    "regression_in_bins",
    "why_empty",
]


_REGRESSION = ("bias", "resolution", "robust_resolution")


def efficiency_in_bins(
    labels: Values,
    scores: Values,
    values: Values,
    edges: ArrayLike,
    threshold: float,
    weights: Values | None = None,
    column: str = "column",
    level: float = ONE_SIGMA,
) -> BinnedMerits:
    """Return signal and background efficiency of the cut ``score >= threshold``, in bins.

    ::

        ε_S(bin) = Σ_{signal in the bin, s ≥ t} w / Σ_{signal in the bin} w,     ε_B likewise

    with the interval of `weighted_efficiency`. A bin without events of a class, or with weights
    that do not have a positive sum there, has no efficiency, and a reason.

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Any finite numbers, higher for signal, shape (events,).
    values
        The column to bin in, shape (events,).
    edges
        Bin edges, rising, shape (bins + 1,).
    threshold
        The cut, chosen on other events than these.
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None is 1 each.
    column
        Name of the column.
    level
        Confidence level of the intervals.

    Raises
    ------
    EventsError
        As `roc_curve` does, and for values that are not finite or not one per event.
    InputError
        For edges that do not rise, and a level outside (0, 1).

    Examples
    --------
    >>> binned = efficiency_in_bins(
    ...     [1, 1, 1, 0], [0.9, 0.2, 0.8, 0.7], [520, 530, 620, 610], [500, 600, 700], 0.5
    ... )
    >>> [merit.value for merit in binned.merits["signal_efficiency"]]
    [0.5, 1.0]
    """
    check_fraction(level, "level")
    signal, score, weight = check_scored(labels, scores, weights)
    place = _checked_place(values, edges, score, "scores")
    definition = f"weighted share of {{}} events of the bin with score >= {threshold:g}"
    passed = derived(lambda rows: rows >= threshold, score)
    classes = {"signal": signal, "background": derived(np.logical_not, signal)}

    def measure(inside: AnyArray) -> dict[str, Merit]:
        return {
            f"{name}_efficiency": _efficiency(
                name, (inside, of), passed, weight, definition.format(name), level
            )
            for name, of in classes.items()
        }

    return measured_in_bins(place, edges, column, measure)


def class_efficiency_in_bins(
    labels: Values,
    probabilities: Values,
    values: Values,
    edges: ArrayLike,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
    column: str = "column",
    level: float = ONE_SIGMA,
) -> BinnedMerits:
    """Return for each class the share of its events that is called rightly, in bins.

    The most probable class is called. Merits are named ``efficiency_<class>``; intervals and empty
    bins as in `efficiency_in_bins`.

    Parameters
    ----------
    labels
        Class numbers 0 … K − 1, shape (events,).
    probabilities
        Rows that add up to one, shape (events, K).
    class_names
        K names, the class numbers when None.
    values, edges, weights, column, level
        As in `efficiency_in_bins`.

    Raises
    ------
    EventsError
        As `multiclass_merits` does, and for values that are not finite or not one per event.
    InputError
        For names that are not K, edges that do not rise, and a level outside (0, 1).

    Examples
    --------
    >>> binned = class_efficiency_in_bins(
    ...     [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [1.0, 1.0, 1.0], [0, 2]
    ... )
    >>> [merits[0].value for merits in binned.merits.values()]
    [1.0, 0.5]
    """
    check_fraction(level, "level")
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    place = _checked_place(values, edges, probability, "probabilities")
    right = derived(lambda p, of: p.argmax(axis=1) == of, probability, label)
    classes = {name: derived(partial(np.equal, index), label) for index, name in enumerate(names)}
    definition = "weighted share of the bin's events of this class that the model calls so"

    def measure(inside: AnyArray) -> dict[str, Merit]:
        return {
            f"efficiency_{name}": _efficiency(name, (inside, of), right, weight, definition, level)
            for name, of in classes.items()
        }

    return measured_in_bins(place, edges, column, measure)


def regression_in_bins(
    truth: Values,
    prediction: Values,
    values: Values,
    edges: ArrayLike,
    weights: Values | None = None,
    unit: str | None = None,
    column: str = "column",
    level: float = ONE_SIGMA,
) -> BinnedMerits:
    """Return bias, resolution and robust resolution of a regressor in bins.

    Each is that of `regression_merits`, of the events of the bin alone.

    Parameters
    ----------
    truth, prediction
        Finite numbers, shape (events,).
    unit
        Unit of the truth, such as "GeV".
    values, edges, weights, column, level
        As in `efficiency_in_bins`; the column may be the truth itself.

    Raises
    ------
    EventsError
        As `regression_merits` does, and for values that are not finite or not one per event.
    InputError
        For edges that do not rise, and a level outside (0, 1).

    Examples
    --------
    >>> binned = regression_in_bins([10, 20, 30], [11, 19, 33], [1, 1, 2], [0.5, 1.5, 2.5])
    >>> [merit.value for merit in binned.merits["bias"]]
    [0.0, 3.0]
    """
    check_fraction(level, "level")
    true, predicted = as_column(truth, "truth"), as_column(prediction, "prediction")
    check_same_length(true, predicted, "truth", "prediction")
    weight = as_weights(weights, len(true))
    place = _checked_place(values, edges, true, "truth")

    def measure(inside: AnyArray) -> dict[str, Merit]:
        sums = sums_of(weight, inside)
        reason = why_empty(sums, "events")
        if reason is None:
            chosen = [compressed(each, inside) for each in (true, predicted, weight)]
            merits = regression_merits(*chosen, unit=unit, level=level)
            return {name: merits[name] for name in _REGRESSION}
        counts: dict[str, float | int] = {"events": sums.events}
        return {
            name: undefined_merit(
                name, reason, definition=f"{name.replace('_', ' ')} of the bin's events",
                counts=counts, level=level, unit=unit,
            )
            for name in _REGRESSION
        }  # fmt: skip

    return measured_in_bins(place, edges, column, measure)


def _checked_place(values: Any, edges: ArrayLike, events: AnyArray, name: str) -> AnyArray:
    place = place_in_bins(values, edges)
    check_same_length(events, place, name, "values")
    return place


def _efficiency(
    what: str,
    of: tuple[AnyArray, AnyArray],
    passed: AnyArray,
    weights: AnyArray,
    definition: str,
    level: float,
) -> Merit:
    """Return the efficiency of the events for which both masks, bin and class, are true."""
    name = f"{what}_efficiency" if what in ("signal", "background") else f"efficiency_{what}"
    definition += "; Clopper-Pearson interval with effective counts, clipped to [0, 1]"
    total, passing = sums_of(weights, *of), sums_of(weights, *of, passed)
    counts: dict[str, float | int] = {
        "passed": passing.events,
        "events": total.events,
        "events_effective": total.effective,
    }
    reason = why_empty(total, f"{what} events")
    if reason is not None:
        return undefined_merit(name, reason, definition=definition, counts=counts, level=level)
    epsilon = efficiency_of(passing, total, level)
    interval = epsilon.value, epsilon.low, epsilon.high, epsilon.uncertainty
    return Merit(name, *interval, level, counts, definition)


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
