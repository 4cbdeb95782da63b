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
    check_fraction,
    check_rows,
    check_same_length,
)
from steepest.evaluate.columns import summed
from steepest.evaluate.intervals import efficiency_from_sums
from steepest.evaluate.merit import ONE_SIGMA, Merit, normal_quantile
from steepest.storage import blocks, derived

__all__ = ["CalibrationCurve", "calibration_curve", "calibration_error", "confidence_of"]


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """A reliability curve. All arrays have shape (bins,), except `edges` (bins + 1,).

    Attributes
    ----------
    name
        Name of the model or class.
    edges
        Bin edges of the score; the last bin includes 1.
    score
        Weighted mean score of the events in the bin; NaN without events of positive weight.
    fraction, low, high
        Weighted fraction of signal in the bin, with the interval of an efficiency.
    events, events_effective
        Raw and effective numbers of events.
    deviation, deviation_error
        d = Σ w (outcome − score) / Σ_all w, the signed contribution of the bin to the calibration
        error, and its standard deviation.
    level
        Confidence level of the intervals.
    """

    name: str
    edges: Floats
    score: Floats
    fraction: Floats
    low: Floats
    high: Floats
    events: NDArray[np.int64]
    events_effective: Floats
    deviation: Floats
    deviation_error: Floats
    level: float


def calibration_curve(
    outcomes: Values,
    scores: Values,
    weights: Values | None = None,
    bins: int = 10,
    level: float = ONE_SIGMA,
    name: str = "model",
) -> CalibrationCurve:
    """Return the reliability curve: the fraction of signal against the mean score, in bins.

    In bin β, with outcomes yᵢ and scores pᵢ::

        ȳ_β = Σ w y / Σ w,     p̄_β = Σ w p / Σ w,     d_β = Σ w (y − p) / Σ_all w
        σ²(d_β) = max{ n/(n−1) Σ w² (y − p − ⟨y − p⟩)², Σ w² p (1 − p) } / (Σ_all w)²

    The second variance is that of a calibrated score. It prevents a bin without signal events from
    having a variance of zero. If the sum of weights in a bin is not positive because of negative
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
    level
        Confidence level of the intervals of ȳ.
    name
        Name for the legend.

    Raises
    ------
    EventsError
        For shapes or lengths that differ, outcomes other than 0 and 1, scores outside [0, 1], and
        weights that are not finite or have no positive sum.
    InputError
        For less than one bin, and a level outside (0, 1).

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
    check_fraction(level, "level")
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
    signal = efficiency_from_sums(
        right, right_squares, divisor, np.where(positive, squares, 1.0), level
    )
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
    error = np.sqrt(np.maximum(factor * about, calibrated)) / total
    return CalibrationCurve(
        name, edges, mean, fraction, low, high, events.astype(np.int64), effective,
        difference / total, error, level,
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

    Parameters
    ----------
    labels, probabilities, weights
        As in `multiclass_merits`; the weights are only checked.

    Raises
    ------
    EventsError
        As `multiclass_merits` does.

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
    "sum over {bins} equal bins of the score of |sum of w (outcome - score)| / sum of w; interval "
    "of the true error, by inverting the distribution of the sum of the absolute fluctuations of "
    "the bins, which bias the value upwards"
)
_GRID = 400  # points of the inversion


def calibration_error(
    curve: CalibrationCurve,
    level: float = ONE_SIGMA,
    name: str = "expected_calibration_error",
) -> Merit:
    """Return the expected calibration error E = Σ_β |d_β|, with an interval of the true error.

    E is biased upwards, because the absolute values of the fluctuations add up: it is above zero
    even for a perfectly calibrated score. If d_β is normal about t d_β with width σ_β, the mean
    μ_β(t) and variance v_β(t) of |d_β| are those of the folded normal distribution, and the true
    error is t E. The interval contains all t E with ``|E − Σ μ_β(t)| ≤ z √Σ v_β(t)``, and is
    extended to E if it ends below. The mean for a calibrated score, Σ μ_β(0) = √(2/π) Σ σ_β, is in
    ``counts["expected_if_calibrated"]``. If E is close to it, the score is compatible with a
    calibrated one, and the interval starts at 0.

    Parameters
    ----------
    curve
        Result of `calibration_curve`.
    level
        Confidence level of the interval.
    name
        Name of the merit.

    Raises
    ------
    InputError
        For a level outside (0, 1).

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht, AAAI (2015) 2901; C. Guo et al., ICML (2017),
    arXiv:1706.04599. The folded normal: F. C. Leone, L. S. Nelson, R. B. Nottingham, Technometrics
    3 (1961) 543, doi:10.1080/00401706.1961.10489974. The interval is specific to this package; its
    coverage is tested with toy experiments.

    Examples
    --------
    >>> from steepest.evaluate import calibration_curve
    >>> curve = calibration_curve([0, 0, 1, 1] * 50, [0.2, 0.4, 0.6, 0.6] * 50, bins=2)
    >>> calibration_error(curve).format()
    '0.350 ± 0.033'
    """
    check_fraction(level, "level")
    value = float(np.abs(curve.deviation).sum())
    sigma = curve.deviation_error
    scale = np.linspace(0, 1, _GRID + 1)
    # values of t above 1 are needed only for the width, E + z σ at most
    spread = math.sqrt(float(sigma @ sigma))
    reach = 1 + 2 * normal_quantile(level) * spread / value if value > 0 else 1.0
    true = np.concatenate([scale, 1 + (reach - 1) * scale[1:]])
    mean, variance = _folded(true[:, None] * curve.deviation, sigma)
    half = normal_quantile(level) * np.sqrt(variance.sum(axis=1))
    allowed = np.abs(value - mean.sum(axis=1)) <= half
    low = float(true[allowed].min()) * value if allowed.any() else 0.0
    high = max(float(true[allowed].max()) * value if allowed.any() else 0.0, value)
    at_zero = _folded(np.zeros_like(sigma), sigma)[0].sum()
    _, observed = _folded(curve.deviation, sigma)
    counts: dict[str, float | int] = {
        "events": int(curve.events.sum()),
        "bins": int(curve.events.size),
        "expected_if_calibrated": float(at_zero),
    }
    uncertainty = math.sqrt(float(observed.sum()))
    definition = _DEFINITION.format(bins=curve.events.size)
    return Merit(name, value, low, high, uncertainty, level, counts, definition)


def _folded(mean: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of |x| for normal x with this mean and width (which may be 0)."""
    from scipy.special import ndtr

    width = np.where(sigma > 0, sigma, 1.0)
    pull = mean / width
    folded = width * math.sqrt(2 / math.pi) * np.exp(-(pull**2) / 2) + mean * (1 - 2 * ndtr(-pull))
    folded = np.where(sigma > 0, folded, np.abs(mean))
    variance = np.maximum(mean**2 + sigma**2 - folded**2, 0)
    return folded, np.where(sigma > 0, variance, 0.0)
