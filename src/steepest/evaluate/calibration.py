"""Calibration: whether 80 % of the events with score 0.8 are signal.

- `calibration_curve` returns the reliability curve of a binary score, bin by bin;
- `calibration_error` summarises it in one number with its interval;
- `confidence_of` reduces the probabilities of several classes to one score for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import InputError
from steepest.evaluate.arrays import (
    Floats,
    Values,
    as_column,
    as_probabilities,
    as_weights,
    check_classified,
    check_rows,
    check_same_length,
)
from steepest.evaluate.intervals import efficiency_from_sums
from steepest.evaluate.merit import ONE_SIGMA, ROUGH, Merit
from steepest.evaluate.roots import roots_of
from steepest.storage import blocks, derived
from steepest.storage import total as summed


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """A reliability curve. All arrays have shape (bins,), except `edges` (bins + 1,)."""

    name: str  # name of the model or class
    edges: Floats  # bin edges of the score; the last bin includes 1
    # weighted mean score of the events in the bin; NaN without events of positive weight
    score: Floats
    fraction: Floats  # weighted fraction of signal in the bin, with the interval of an efficiency
    low: Floats
    high: Floats
    events: NDArray[np.int64]  # raw and effective numbers of events
    events_effective: Floats
    # d = Σ w (outcome − score) / Σ_all w, the signed contribution of the bin to the calibration
    # error, and its standard deviation
    deviation: Floats
    deviation_error: Floats
    share: Floats  # Σ w / Σ_all w of the bin
    level: float  # confidence level of the intervals


def calibration_curve(
    outcomes: Values,
    scores: Values,
    weights: Values | None = None,
    bins: int = 10,
    name: str = "model",
) -> CalibrationCurve:
    """Return the reliability curve: the fraction of signal against the mean score, in bins.

    In bin β, with outcomes yᵢ and scores pᵢ::

        ȳ_β = Σ w y / Σ w,     p̄_β = Σ w p / Σ w,     d_β = Σ w (y − p) / Σ_all w
        σ²(d_β) = n/(n−1) Σ w² (y − p − ⟨y − p⟩)² / (Σ_all w)²

    In a bin whose outcomes are all equal it is at least that of a calibrated score,
    Σ w² p (1 − p) / (Σ_all w)². If the sum of weights in a bin is not positive because of negative
    weights, ȳ and p̄ are NaN, but d is defined.

    Parameters
    ----------
    outcomes
        0 or 1, shape (events,); a single class is allowed.
    scores
        Probabilities of outcome 1, shape (events,).
    weights
        Event weights of any sign with a positive sum, shape (events,); None means 1 each.
    bins
        Number of equal bins from 0 to 1.
    name
        Name for the legend.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, outcomes other than 0 and 1, scores outside [0, 1], and
        weights that are not finite or have no positive sum.
    InputError
        For less than one bin.

    References
    ----------
    M. H. DeGroot, S. E. Fienberg, The Statistician 32 (1983) 12, doi:10.2307/2987588;
    A. Niculescu-Mizil, R. Caruana, ICML (2005) 625, doi:10.1145/1102351.1102430.

    Examples
    --------
    >>> curve = calibration_curve([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.6], bins=2)
    >>> curve.score.tolist(), curve.fraction.tolist()
    ([0.3, 0.6], [0.0, 1.0])
    """
    if bins < 1:
        raise InputError(
            "a calibration curve needs bins.",
            expected="one bin or more",
            found=f"{bins}",
            cause="a count that was computed",
            do="give the number of equal bins from 0 to 1, for example 10",
        )
    score = as_probabilities(scores, "scores")
    outcome = as_column(outcomes, "outcomes")
    check_rows(
        outcome,
        lambda rows: (rows != 0) & (rows != 1),
        "outcomes are not 0 or 1",
        expected="1 if the outcome occurred, 0 if not",
        cause="class numbers of more than two classes",
        do="compare with one class, label == 2, or use confidence_of",
    )
    check_same_length(outcome, score, "outcomes", "scores")
    weight = as_weights(weights, len(score))
    edges = np.linspace(0, 1, bins + 1)
    columns = [
        [np.bincount(_place(p, edges), term, bins) for term in _terms(y, p, w)]
        for y, p, w in blocks(outcome, score, weight)
    ]
    (
        events, sums, squares, absolute, right, right_squares, of_score,
        difference, product, scatter, calibrated,
    ) = np.sum(columns, axis=0)  # fmt: skip
    positive = sums > 1e-12 * absolute
    divisor = np.where(positive, sums, 1.0)
    signal = efficiency_from_sums(right, right_squares, divisor, np.where(positive, squares, 1.0))
    fraction, low, high, mean = (
        np.where(positive, array, np.nan)
        for array in (signal.value, signal.low, signal.high, of_score / divisor)
    )
    effective = np.where(squares > 0, sums**2 / np.where(squares > 0, squares, 1.0), 0.0)
    # the scatter is about the mean if the bin has one, about zero if the weights cancel
    several = effective > 1 + 1e-12
    centre = np.where(several, difference / np.where(several, sums, 1.0), 0.0)
    factor = np.where(several, effective / np.where(several, effective - 1, 1.0), 1.0)
    about = np.maximum(scatter - 2 * centre * product + centre**2 * squares, 0)
    total = summed(weight)
    uniform = (right_squares <= 1e-12 * squares) | (squares - right_squares <= 1e-12 * squares)
    variance = np.where(uniform, np.maximum(factor * about, calibrated), factor * about)
    error = np.sqrt(variance) / total
    return CalibrationCurve(
        name, edges, mean, fraction, low, high, events.astype(np.int64), effective,
        difference / total, error, sums / total, ONE_SIGMA,
    )  # fmt: skip


def _terms(y: Floats, p: Floats, w: Floats) -> tuple[Floats, ...]:
    """Return what events add to the sums of their bins."""
    d, v = y - p, w**2
    sums = (np.ones_like(p), w, v, np.abs(w), w * y, v * y, w * p)
    return *sums, w * d, v * d, v * d**2, v * p * (1 - p)


def _place(score: Floats, edges: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(edges, score, side="right") - 1, 0, edges.size - 2)


def confidence_of(
    labels: Values, probabilities: Values, weights: Values | None = None
) -> tuple[Any, Any]:
    """Return whether the most probable class is the true one, and its probability, per event.

    These are the outcomes and scores for `calibration_curve` that define the calibration for
    several classes, following Guo et al.

    Arguments and errors are those of `multiclass_merits`; the weights are only checked.

    References
    ----------
    C. Guo et al., ICML (2017), arXiv:1706.04599.

    Examples
    --------
    >>> outcomes, scores = confidence_of([0, 1], [[0.7, 0.3], [0.6, 0.4]])
    >>> outcomes.tolist(), scores.tolist()
    ([1.0, 0.0], [0.7, 0.6])
    """
    label, probability, _, _ = check_classified(labels, probabilities, weights, None)
    right = derived(lambda of, p: (p.argmax(axis=1) == of).astype(np.float64), label, probability)
    return right, derived(lambda p: p.max(axis=1), probability)


_DEFINITION = (
    "root of the mean of (fraction - mean score)^2 over {bins} equal bins of the score, less what "
    "fluctuations explain; negative if less than that is there; interval from the distribution of "
    "the sum of squares"
)


def calibration_error(curve: CalibrationCurve) -> Merit:
    """Return the root mean square deviation from calibration, without the part of fluctuations.

    With the bins' shares ω_β = Σ w / Σ_all w and variances σ²(d_β) of `calibration_curve`::

        V = Σ_β [d_β² − σ²(d_β)] / ω_β,     C = sign(V) √|V|

    Σ d²/ω = Σ ω (ȳ − p̄)² alone is above zero also for a calibrated score, because squares of
    fluctuations add up; V is not: its mean is the true mean square deviation, which is 0 for a
    calibrated score. V and C are negative if the bins fluctuate less than expected. The interval
    contains the true values λ for which V − λ is within its central range; with normal d_β, V has
    the cumulants κ₂ = Σ 2r² + 4rm and κ₃ = Σ 8r³ + 24r²m, where r = σ²/ω and m are the shares of λ
    in proportion to the excess of the bins. Its quantiles are those of a gamma distribution with
    these cumulants. If the interval holds 0, the score is consistent with a calibrated one.

    The usual expected calibration error, Σ |d_β|, is in ``counts["expected_calibration_error"]``;
    for a calibrated score its mean is not 0 but ``counts["expected_if_calibrated"]``.

    References
    ----------
    J. Bröcker, Climate Dynamics 39 (2012) 655, doi:10.1007/s00382-011-1191-1, and A. Kumar,
    P. Liang, T. Ma, NeurIPS (2019), arXiv:1909.10155, for the bias; M. P. Naeini, G. F. Cooper,
    M. Hauskrecht, AAAI (2015) 2901, for the expected calibration error. The interval is specific to
    this package; its coverage is tested with toy experiments.

    Examples
    --------
    >>> from steepest.evaluate import calibration_curve
    >>> curve = calibration_curve([0, 0, 1, 1] * 50, [0.2, 0.4, 0.6, 0.6] * 50, bins=2)
    >>> calibration_error(curve).format()
    '0.350 ± 0.034'
    """
    filled = np.isfinite(curve.fraction) & (curve.share > 0)
    share = curve.share[filled]
    ratio = curve.deviation_error[filled] ** 2 / share
    excess = curve.deviation[filled] ** 2 / share - ratio
    low, high = _interval(ratio, excess)
    counts: dict[str, float | int] = {
        "events": int(curve.events.sum()),
        "bins": int(curve.events.size),
        "expected_calibration_error": float(np.abs(curve.deviation).sum()),
        "expected_if_calibrated": math.sqrt(2 / math.pi) * float(curve.deviation_error.sum()),
    }
    definition = _DEFINITION.format(bins=curve.events.size)
    if curve.events_effective.sum() < FEW_IN_A_BIN * curve.events.size:
        definition += f"; fewer than {FEW_IN_A_BIN} effective events a bin: {ROUGH}"
    numbers = _signed_root(float(excess.sum())), low, high, (high - low) / 2, ONE_SIGMA
    return Merit("calibration_error", *numbers, counts, definition)


FEW_IN_A_BIN = 10
"""Effective events a bin below which the interval need not hold the truth as often as it says."""
NO_FLUCTUATION = 1e-60
"""Mean squares below this, of scores that are surely 0 or 1, would underflow when cubed."""


def _interval(ratio: Floats, excess: Floats) -> tuple[float, float]:
    """Return the signed roots of the ends of the interval of the true mean square."""
    from scipy.special import gammaincinv

    value = float(excess.sum())
    parts = np.maximum(excess, 0)
    parts = parts / parts.sum() if parts.sum() > 0 else np.full(len(parts), 1 / len(parts))
    if not ratio.sum() > NO_FLUCTUATION:
        return _signed_root(value), _signed_root(value)

    tails = np.array([(1 + ONE_SIGMA) / 2, (1 - ONE_SIGMA) / 2])

    def shifted(true: Floats) -> Floats:
        mean = np.maximum(true, 0.0)[:, None] * parts
        variance = (2 * ratio**2 + 4 * ratio * mean).sum(axis=1)
        skewness = (8 * ratio**3 + 24 * ratio**2 * mean).sum(axis=1) / variance**1.5
        shape = 4 / skewness**2
        quantile = (gammaincinv(shape, tails) - shape) / np.sqrt(shape)
        return true + np.sqrt(variance) * quantile - value

    reach = np.full(2, float(ratio.sum()) + abs(value))
    while (shifted(-reach) > 0).any() or (shifted(reach) < 0).any():
        reach *= 2
    low, high = roots_of(shifted, -reach, reach)
    return _signed_root(float(low)), _signed_root(float(high))


def _signed_root(square: float) -> float:
    return math.copysign(math.sqrt(abs(square)), square)
