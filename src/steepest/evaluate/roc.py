"""The ROC curve of weighted events, and the background rejection at a signal efficiency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.evaluate.arrays import (
    Floats,
    as_binary_labels,
    as_column,
    as_weights,
    check_fraction,
    check_same_length,
)
from steepest.evaluate.intervals import Efficiency, efficiency_from_sums
from steepest.evaluate.merit import ONE_SIGMA, Merit

__all__ = ["Roc", "background_rejection", "cut_at", "roc_curve", "working_point"]

_EVERYWHERE = slice(None)


@dataclass(frozen=True, slots=True)
class Roc:
    """A ROC curve: what passes ``score >= threshold``, from the highest threshold down.

    All arrays have shape (distinct scores + 1,). The first point has threshold +∞ and nothing
    passes; the last passes everything.

    Attributes
    ----------
    thresholds
        Distinct scores, descending, after +∞.
    signal_efficiency, background_efficiency
        ε_S and ε_B: sums of weights above threshold over the class's sum.
    signal_above, background_above
        Raw numbers of events above threshold.
    signal_sum_above, background_sum_above
        Σ w above threshold.
    signal_squares_above, background_squares_above
        Σ w² above threshold.
    """

    thresholds: Floats
    signal_efficiency: Floats
    background_efficiency: Floats
    signal_above: NDArray[np.int64]
    background_above: NDArray[np.int64]
    signal_sum_above: Floats
    background_sum_above: Floats
    signal_squares_above: Floats
    background_squares_above: Floats

    def background_interval(
        self, level: float = ONE_SIGMA, at: slice | NDArray[np.int64] = _EVERYWHERE
    ) -> Efficiency:
        """Return ε_B with its interval at every threshold, or some; see `efficiency_from_sums`."""
        sums, squares = self.background_sum_above, self.background_squares_above
        return efficiency_from_sums(sums[at], squares[at], sums[-1], squares[-1], level)


def roc_curve(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Roc:
    """Return the ROC curve, one point per distinct score.

    ::

        ε_S(t) = Σ_{i ∈ signal, sᵢ ≥ t} wᵢ / Σ_{i ∈ signal} wᵢ,      ε_B(t) likewise

    Events of equal score enter at one threshold together, so the order of events has no influence.
    Negative weights are taken as they are: a curve with some may go down as well as up, and leave
    [0, 1]; it is not smoothed, sorted or clipped.

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Any finite numbers, higher for signal, shape (events,).
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None is 1 each.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, labels other than 0 and 1 or of a single class, scores
        or weights that are not finite, and a class whose weights have no positive sum.

    References
    ----------
    T. Fawcett, Pattern Recognition Letters 27 (2006) 861, algorithm 1,
    doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> roc = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    >>> roc.signal_efficiency.tolist(), roc.background_efficiency.tolist()
    ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    signal, checked, weight = check_scored(labels, scores, weights)
    distinct, position = np.unique(checked, return_inverse=True)

    def above(values: Floats, of: NDArray[np.bool_]) -> Floats:
        at = np.bincount(position[of], weights=values[of], minlength=distinct.size)
        return np.concatenate([[0.0], np.cumsum(at[::-1])])

    signal_sum, background_sum = above(weight, signal), above(weight, ~signal)
    counts = signal_sum, background_sum
    squares = signal_sum, background_sum  # where every event weighs 1
    if not (weight == 1).all():
        ones, squared = np.ones_like(weight), weight**2
        counts = above(ones, signal), above(ones, ~signal)
        squares = above(squared, signal), above(squared, ~signal)
    return Roc(
        np.concatenate([[math.inf], distinct[::-1]]),
        signal_sum / signal_sum[-1],
        background_sum / background_sum[-1],
        counts[0].astype(np.int64),
        counts[1].astype(np.int64),
        signal_sum,
        background_sum,
        *squares,
    )


def check_scored(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return (is signal, scores, weights), checked, each of shape (events,)."""
    column = as_column(scores, "scores")
    weight = as_weights(weights, column.size)
    check_same_length(np.atleast_1d(labels), column, "labels", "scores")
    return as_binary_labels(labels, weight), column, weight


def working_point(roc: Roc, signal_efficiency: float) -> int:
    """Return the index of the highest threshold with ε_S ≥ `signal_efficiency`.

    The threshold is a score that occurs, the weighted (1 − ε_S) quantile of the signal scores; no
    interpolation, so the efficiency reached may be above the one asked for. With negative weights,
    where ε_S(t) may cross the value more than once, it is the first crossing from above.

    Raises
    ------
    InputError
        Unless 0 < `signal_efficiency` < 1.

    Examples
    --------
    >>> working_point(roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]), 0.5)
    1
    """
    check_fraction(signal_efficiency, "signal efficiency")
    return int(np.argmax(roc.signal_efficiency >= signal_efficiency - 1e-12))


def cut_at(roc: Roc, signal_efficiency: float) -> float:
    """Return the cut of `working_point`: the highest threshold with ε_S ≥ `signal_efficiency`.

    Raises
    ------
    InputError
        Unless 0 < `signal_efficiency` < 1.

    Examples
    --------
    >>> cut_at(roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]), 0.5)
    0.8
    """
    return float(roc.thresholds[working_point(roc, signal_efficiency)])


def background_rejection(
    roc: Roc, signal_efficiency: float = 0.5, level: float = ONE_SIGMA
) -> Merit:
    """Return the background rejection 1/ε_B at a signal efficiency, with the counts behind it.

    The threshold is that of `working_point`. The interval is the inverse of Clopper–Pearson's for
    ε_B with effective counts, [1/ε_B,high, 1/ε_B,low]; the standard deviation is σ(ε_B)/ε_B². The
    threshold is held fixed: that the signal quantile fluctuates too is not in the interval.
    When no background passes, the value has a lower limit alone.

    Parameters
    ----------
    roc
        Curve of `roc_curve`.
    signal_efficiency
        ε_S, 0 < ε_S < 1.
    level
        Confidence level of the interval.

    Returns
    -------
    Merit
        Named ``background_rejection_at_<ε_S>``; counts: threshold, signal efficiency reached,
        events passing and in all, raw and effective.

    Raises
    ------
    InputError
        Unless 0 < ε_S < 1 and 0 < level < 1.

    Examples
    --------
    >>> roc = roc_curve([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.6, 0.8])
    >>> background_rejection(roc, 0.9).format()
    '4.0 +19.7 −2.4'
    """
    at = working_point(roc, signal_efficiency)
    sums, squares = roc.background_sum_above, roc.background_squares_above
    background = efficiency_from_sums(sums[at], squares[at], sums[-1], squares[-1], level)
    value, low, high = (
        1 / float(epsilon) if epsilon > 0 else math.inf
        for epsilon in (background.value, background.high, background.low)
    )
    uncertainty = float(background.uncertainty) * value**2 if math.isfinite(value) else math.nan
    return Merit(
        f"background_rejection_at_{signal_efficiency:g}",
        value,
        low,
        high,
        uncertainty,
        level,
        _rejection_counts(roc, at),
        f"1 / background efficiency at the highest threshold with signal efficiency >= "
        f"{signal_efficiency:g}; Clopper-Pearson interval with effective counts, clipped to "
        "background efficiencies from 0 to 1, threshold held fixed",
        reason=_why_infinite(value, high, int(roc.background_above[at])),
    )


def _why_infinite(value: float, high: float, passing: int) -> str | None:
    if not math.isfinite(value):
        cause = "no background passes" if passing == 0 else "negative weights cancel the background"
        return f"{cause}: only a lower limit is known"
    return None if math.isfinite(high) else "the interval of the background efficiency reaches 0"


def _rejection_counts(roc: Roc, at: int) -> dict[str, float | int]:
    return {
        "threshold": float(roc.thresholds[at]),
        "signal_efficiency": float(roc.signal_efficiency[at]),
        "signal_passed": int(roc.signal_above[at]),
        "signal_total": int(roc.signal_above[-1]),
        "background_passed": int(roc.background_above[at]),
        "background_passed_effective": _effective(
            roc.background_sum_above[at], roc.background_squares_above[at]
        ),
        "background_total": int(roc.background_above[-1]),
        "background_total_effective": _effective(
            roc.background_sum_above[-1], roc.background_squares_above[-1]
        ),
    }


def _effective(total: float, squares: float) -> float:
    return float(total) ** 2 / float(squares) if squares > 0 else 0.0
