"""The expected significance of a counting experiment after a cut, and the best cut.

- `asimov_significance` for given s, b and σ_b;
- `significance_scan` for s, b and Z after every cut on a score;
- `best_cut` to choose the cut, on *other* events than those of the result (the validation part);
- `significance_at` for the result at this cut, on the test part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.evaluate.arrays import Floats, Values, check_scored
from steepest.evaluate.columns import sums_of
from steepest.evaluate.intervals import Efficiency, efficiency_of
from steepest.evaluate.merit import ONE_SIGMA, Merit
from steepest.evaluate.roc import Roc
from steepest.storage import blocks, derived

MINIMUM_BACKGROUND = 10.0
"""Minimum effective number of background events after a cut that may be chosen."""


@dataclass(frozen=True, slots=True)
class SignificanceScan:
    """Z after every cut ``score >= threshold``, from the highest threshold down.

    All arrays have shape (distinct scores + 1,), as in `Roc`. Z is NaN at +∞, where no event
    passes, and if the weights of the background events that pass have no positive sum.
    """

    thresholds: Any  # distinct scores, descending, after +∞
    signal: Any  # s and b after the cut
    background: Any
    significance: Any  # Z
    background_passed_effective: Any  # (Σ w)²/Σ w² of the background events that pass
    experiment: Experiment  # what was expected before the cut

    def usable(self, minimum_background: float = MINIMUM_BACKGROUND) -> Any:
        """Return a mask of the cuts that enough effective background events pass."""
        return derived(
            lambda effective, z: (effective >= minimum_background - 1e-9) & np.isfinite(z),
            self.background_passed_effective,
            self.significance,
        )


def significance_scan(roc: Roc, experiment: Experiment) -> SignificanceScan:
    """Return Z at every threshold of a ROC curve: s = S ε_S, b = B ε_B, σ_b = δ b.

    Examples
    --------
    >>> from steepest.evaluate import roc_curve
    >>> roc = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    >>> significance_scan(roc, Experiment(10, 100)).background.tolist()
    [0.0, 0.0, 50.0, 100.0]
    """

    def z(epsilon_signal: Floats, epsilon_background: Floats) -> Floats:
        values = experiment.significance(epsilon_signal, epsilon_background)
        return np.where(np.isfinite(values), values, np.nan)

    return SignificanceScan(
        roc.thresholds,
        derived(lambda rows: experiment.signal * rows, roc.signal_efficiency),
        derived(lambda rows: experiment.background * rows, roc.background_efficiency),
        derived(z, roc.signal_efficiency, roc.background_efficiency),
        derived(
            lambda sums, squares: sums**2 / np.where(squares > 0, squares, 1.0),
            roc.background_sum_above,
            roc.background_squares_above,
        ),
        experiment,
    )


def best_cut(
    scan: SignificanceScan, minimum_background: float = MINIMUM_BACKGROUND
) -> float | None:
    """Return the threshold of the largest Z, or None if no cut is usable.

    Cuts with fewer than `minimum_background` effective background events are skipped, because Z
    would be large by a downward fluctuation of the background. The largest Z of a scan is biased
    upwards, because it is chosen on the same events. Quote `significance_at` on other events.

    Examples
    --------
    >>> labels, scores = np.repeat([0, 1], 50), np.append(np.arange(50), np.arange(20, 70))
    >>> from steepest.evaluate import roc_curve
    >>> roc = roc_curve(labels, scores)
    >>> best_cut(significance_scan(roc, Experiment(10, 100)))
    40.0
    """
    best, cut = -math.inf, None
    usable = scan.usable(minimum_background)
    for inside, z, thresholds in blocks(usable, scan.significance, scan.thresholds):
        place = int(np.argmax(np.where(inside, z, -np.inf)))
        if inside[place] and z[place] > best:
            best, cut = z[place], float(thresholds[place])
    return cut


def significance_at(
    labels: Values,
    scores: Values,
    threshold: float,
    experiment: Experiment,
    weights: Values | None = None,
) -> Merit:
    """Return Z after the cut ``score >= threshold``, with its interval.

    Z is `asimov_significance` of s = S ε_S, b = B ε_B, σ_b = δ b. The uncertainty is the
    statistical uncertainty of the events, by propagation::

        σ_Z² = (∂Z/∂s · S σ(ε_S))² + (∂Z/∂b · B σ(ε_B))²

    The interval adds in quadrature, on each side, the shifts of Z to the ends of the two intervals
    of `weighted_efficiency`. δ is part of Z, not of its uncertainty. If no background event passes,
    Z has only a lower limit.

    Labels, scores, weights and errors are those of `roc_curve`; the cut is chosen on other events,
    see `best_cut`.

    Examples
    --------
    >>> labels, scores = np.repeat([0, 1], 200), np.arange(400) % 300
    >>> significance_at(labels, scores, 150, Experiment(100, 1000)).format()
    '3.06 ± 0.27'
    """
    signal, score, weight = check_scored(labels, scores, weights)
    passed = derived(lambda rows: rows >= threshold, score)
    background = derived(np.logical_not, signal)
    signal_total, background_total = (sums_of(weight, of) for of in (signal, background))
    signal_passed, background_passed = (sums_of(weight, of, passed) for of in (signal, background))
    signal_part = efficiency_of(signal_passed, signal_total)
    background_part = efficiency_of(background_passed, background_total)
    counts: dict[str, float | int] = {
        "threshold": float(threshold),
        "signal_efficiency": signal_part.value,
        "background_efficiency": background_part.value,
        "expected_signal": experiment.signal * signal_part.value,
        "expected_background": experiment.background * background_part.value,
        "signal_passed": signal_passed.events,
        "signal_total": signal_total.events,
        "background_passed": background_passed.events,
        "background_passed_effective": background_passed.effective,
        "background_total": background_total.events,
    }
    parts = signal_part, background_part
    value, low, high, uncertainty = map(float, with_interval(*parts, experiment))
    definition = (
        f"Asimov significance of {experiment.signal:g} signal over {experiment.background:g} "
        f"background events before the cut, with a background uncertainty of "
        f"{100 * experiment.background_uncertainty:g} %, after score >= {threshold:g}; interval "
        "from those of the two efficiencies, threshold held fixed"
    )
    reason = None
    if not math.isfinite(value):
        none = background_part.uncertainty == 0
        cause = "no background passes" if none else "negative weights cancel the background"
        reason = f"{cause}: only a lower limit is known"
    numbers = value, low, high, uncertainty, ONE_SIGMA
    return Merit("significance", *numbers, counts, definition, reason=reason)


def with_interval(
    signal: Efficiency, background: Efficiency, experiment: Experiment
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return (value, low, high, uncertainty); without background (∞, lower limit, ∞, NaN)."""
    z = experiment.significance
    value, limit = z(signal.value, background.value), z(signal.low, background.high)
    known, step = np.isfinite(value), 1e-6
    zero = np.maximum(signal.value, 0)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ where no background passes
        down = np.hypot(value - z(signal.low, background.value),
                        value - z(signal.value, background.high))  # fmt: skip
        up = np.hypot(z(signal.high, background.value) - value,
                      z(signal.value, background.low) - value)  # fmt: skip
        slope_s = (z(zero + step, background.value) - z(zero, background.value)) / step
        slope_b = (z(signal.value, background.value * (1 + step)) - value) / step
        ratio = background.uncertainty / np.where(known, background.value, 1.0)
        uncertainty = np.hypot(slope_s * signal.uncertainty, slope_b * ratio)
        low = np.where(known, np.maximum(value - down, 0), limit)
    high = np.where(known, value + up, np.inf)
    return value, low, high, np.where(known, uncertainty, np.nan)


_SMALL = 1e-3  # below this |u|, h(u) is computed by a series


@dataclass(frozen=True, slots=True)
class Experiment:
    """Expected numbers of events before the cut.

    Raises
    ------
    InputError
        Unless S > 0, B > 0 and δ ≥ 0, all finite.
    """

    # S and B: expected numbers of events after the event selection and before the cut
    signal: float
    background: float
    # δ: relative systematic uncertainty of the background, 0.1 for 10 %
    background_uncertainty: float = 0.0

    def __post_init__(self) -> None:
        for name in ("signal", "background"):
            _check_number(f"the expected {name}", getattr(self, name), positive=True)
        name = "the relative background uncertainty"
        _check_number(name, self.background_uncertainty, positive=False)

    def significance(self, epsilon_signal: Any, epsilon_background: Any) -> Floats:
        """Return Z after a cut of these efficiencies; infinity where no background is expected."""
        b = self.background * np.asarray(epsilon_background, np.float64)
        inside = np.where(b > 0, b, 1.0)
        sigma = self.background_uncertainty * inside
        values = asimov_significance(self.signal * np.asarray(epsilon_signal), inside, sigma)
        return np.where(b > 0, values, np.inf)


def _check_number(name: str, value: float, positive: bool) -> None:
    if math.isfinite(value) and (value > 0 if positive else value >= 0):
        return
    raise InputError(
        f"{name} is not a valid number.",
        expected="a finite number above 0" if positive else "a finite number, 0 or above",
        found=f"{value:g}",
        cause="a cross section or a luminosity of the wrong sign, or a division by zero",
        do="give expected events for signal and background, and 0.1 for 10 %",
    )


def asimov_significance(
    signal: ArrayLike, background: ArrayLike, background_uncertainty: ArrayLike = 0.0
) -> Floats:
    """Return the median discovery significance Z for s over b with uncertainty σ_b.

    ::

        Z² = 2 { (s + b) ln [(s + b)(b + σ_b²) / (b² + (s + b) σ_b²)]
                 − (b²/σ_b²) ln [1 + σ_b² s / (b (b + σ_b²))] }

    and for σ_b = 0: Z² = 2 [(s + b) ln(1 + s/b) − s]. For s ≪ b, Z ≈ s / √(b + σ_b²). To avoid the
    cancellation in the formula, Z² is computed as the sum of two Poisson deviances: of n = s + b
    about b̂, and of m = b²/σ_b² about τ b̂, with τ = b/σ_b² and b̂ = (n + m)/(1 + τ).

    Parameters
    ----------
    signal, background, background_uncertainty
        s, b and σ_b (in events, not relative), of any shapes that broadcast.

    Returns
    -------
    numpy.ndarray
        Z, float64: 0 for s ≤ 0, NaN for b < 0, infinity for b = σ_b = 0.

    Raises
    ------
    InputError
        For a negative σ_b.

    References
    ----------
    G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, equation 97,
    doi:10.1140/epjc/s10052-011-1554-0; with σ_b: G. Cowan, Discovery sensitivity for a counting
    experiment with background uncertainty (2012), equation 20.

    Examples
    --------
    >>> asimov_significance(10, 100).item(), asimov_significance(10, 100, 10).item()
    (0.98399, 0.69020)
    """
    s, b, sigma = (
        np.asarray(array, np.float64)
        for array in np.broadcast_arrays(signal, background, background_uncertainty)
    )
    if (sigma < 0).any():
        raise InputError(
            "the background uncertainty is negative.",
            expected="σ_b of 0 or more, in events",
            found=f"{float(sigma[sigma < 0][0]):g}",
            cause="a downward variation with its sign",
            do="give its size",
        )
    usable = (b > 0) & (s > 0)
    b_inside, s_inside = np.where(usable, b, 1.0), np.where(usable, s, 0.0)
    ratio = sigma**2 / b_inside  # 1/τ
    estimate = b_inside + s_inside * ratio / (1 + ratio)  # b̂
    excess = s_inside / ((1 + ratio) * estimate)
    tiny = ratio < 1e-12  # σ_b² ≪ b: the control region's deviance is s² ratio / 2b
    control = _deviance(-ratio * excess) / np.where(tiny, 1.0, ratio)
    half_square = estimate * (_deviance(excess) + np.where(tiny, ratio * excess**2 / 2, control))
    z = np.where(usable, np.sqrt(2 * half_square), 0.0)
    z = np.where((b == 0) & (sigma == 0) & (s > 0), np.inf, z)
    return np.where(b < 0, np.nan, z)


def _deviance(u: Floats) -> Floats:
    """Return h(u) = (1 + u) ln(1 + u) − u without cancellation, for u > −1."""
    small = np.abs(u) < _SMALL
    series = u**2 * (1 / 2 - u * (1 / 6 - u * (1 / 12 - u * (1 / 20 - u / 30))))
    inside = np.where(small, 1.0, u)
    return np.where(small, series, (1 + inside) * np.log1p(inside) - inside)
