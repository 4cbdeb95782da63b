"""The expected significance of a counting experiment behind a cut, and the cut with the largest.

What to use when:

- `asimov_significance` for given s, b and σ_b;
- `significance_scan` for s and b behind every cut on a score;
- `best_cut` on events that are *not* those the result is quoted for (the validation part);
- `significance_at` for the result itself, on the test part, at that cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.evaluate.curves.roc import Roc, check_scored
from steepest.evaluate.events.arrays import Floats, Values, check_fraction
from steepest.evaluate.events.columns import sums_of
from steepest.evaluate.merits.asimov import Experiment, asimov_significance
from steepest.evaluate.merits.intervals import Efficiency, efficiency_of
from steepest.evaluate.merits.merit import ONE_SIGMA, Merit
from steepest.storage import blocks, derived

__all__ = [
    "SignificanceScan",
    "best_cut",
    "significance_at",
    "significance_scan",
    "with_interval",
]

MINIMUM_BACKGROUND = 10.0
"""Effective background events behind a cut, below which the cut is not chosen."""


@dataclass(frozen=True, slots=True)
class SignificanceScan:
    """Z behind every cut ``score >= threshold``, from the highest threshold down.

    All arrays have shape (distinct scores + 1,), as in `Roc`; at +∞ nothing passes and Z is NaN,
    as wherever the weights of the passing background have no positive sum.

    Attributes
    ----------
    thresholds
        Distinct scores, descending, after +∞.
    signal, background
        s and b behind the cut.
    significance
        Z.
    background_passed_effective
        (Σ w)²/Σ w² of the background events that pass.
    experiment
        What was expected before the cut.
    """

    thresholds: Any
    signal: Any
    background: Any
    significance: Any
    background_passed_effective: Any
    experiment: Experiment

    def usable(self, minimum_background: float = MINIMUM_BACKGROUND) -> Any:
        """Whether enough effective background events pass each cut to say what b is."""
        return derived(
            lambda effective, z: (effective >= minimum_background - 1e-9) & np.isfinite(z),
            self.background_passed_effective,
            self.significance,
        )


def significance_scan(roc: Roc, experiment: Experiment) -> SignificanceScan:
    """Return Z at every threshold of a ROC curve: s = S ε_S, b = B ε_B, σ_b = δ b.

    Parameters
    ----------
    roc
        Curve of `roc_curve`; its weights reach ε_S and ε_B, and may be negative.
    experiment
        S, B and δ.

    Examples
    --------
    >>> from steepest.evaluate import roc_curve
    >>> roc = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    >>> significance_scan(roc, Experiment(10, 100)).background.tolist()
    [0.0, 0.0, 50.0, 100.0]
    """

    def z(epsilon_signal: Floats, epsilon_background: Floats) -> Floats:
        signal = experiment.signal * epsilon_signal
        background = experiment.background * epsilon_background
        positive = background > 0
        inside = np.where(positive, background, 1.0)
        values = asimov_significance(signal, inside, experiment.background_uncertainty * inside)
        return np.where(positive, values, np.nan)

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
    """Return the threshold of the largest Z, or None where no cut may be chosen.

    Cuts behind which fewer than `minimum_background` effective background events are left are
    passed over: Z would grow with the luck of having none there. The largest Z of a scan is itself
    too large, since the luck of the events chose it: quote `significance_at` on others.

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
    level: float = ONE_SIGMA,
    name: str = "significance",
) -> Merit:
    """Return Z behind the cut ``score >= threshold``, with its interval.

    s = S ε_S, b = B ε_B, σ_b = δ b in `asimov_significance`. The uncertainty is that of the
    simulated events, by propagation::

        σ_Z² = (∂Z/∂s · S σ(ε_S))² + (∂Z/∂b · B σ(ε_B))²

    and the interval adds the shifts of Z to the ends of the two intervals of `weighted_efficiency`
    in quadrature, each side for itself. δ is part of Z and not of its uncertainty. When no
    background passes, Z has a lower limit alone.

    Parameters
    ----------
    labels
        0 (background) or 1 (signal), shape (events,).
    scores
        Any finite numbers, higher for signal, shape (events,).
    threshold
        The cut, chosen on other events: see `best_cut`.
    experiment
        S, B and δ.
    weights
        Event weights of any sign, a positive sum in each class, shape (events,); None is 1 each.
    level
        Confidence level of the interval.
    name
        Name of the merit.

    Raises
    ------
    EventsError
        As `roc_curve` does.
    InputError
        For a level outside (0, 1).

    References
    ----------
    As `asimov_significance`.

    Examples
    --------
    >>> labels, scores = np.repeat([0, 1], 200), np.arange(400) % 300
    >>> significance_at(labels, scores, 150, Experiment(100, 1000)).format()
    '3.06 ± 0.29'
    """
    check_fraction(level, "level")
    signal, score, weight = check_scored(labels, scores, weights)
    passed = derived(lambda rows: rows >= threshold, score)
    background = derived(np.logical_not, signal)
    signal_total, background_total = (sums_of(weight, of) for of in (signal, background))
    signal_passed, background_passed = (sums_of(weight, of, passed) for of in (signal, background))
    signal_part = efficiency_of(signal_passed, signal_total, level)
    background_part = efficiency_of(background_passed, background_total, level)
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
    numbers, reason = with_interval(signal_part, background_part, experiment)
    definition = (
        f"Asimov significance of {experiment.signal:g} signal over {experiment.background:g} "
        f"background events before the cut, with a background uncertainty of "
        f"{100 * experiment.background_uncertainty:g} %, behind score >= {threshold:g}; interval "
        "from those of the two efficiencies, threshold held fixed"
    )
    return Merit(name, *numbers, level, counts, definition, reason=reason)


def with_interval(
    signal: Efficiency, background: Efficiency, experiment: Experiment
) -> tuple[tuple[float, float, float, float], str | None]:
    """Return (value, low, high, uncertainty), and why one of them is not finite."""

    def z(epsilon_signal: float, epsilon_background: float) -> float:
        b = experiment.background * epsilon_background
        s = experiment.signal * epsilon_signal
        if b <= 0:
            return math.inf
        return asimov_significance(s, b, experiment.background_uncertainty * b).item()

    value = z(signal.value, background.value)
    if not math.isfinite(value):
        limit = z(signal.low, background.high)
        reason = "no background passes: only a lower limit is known"
        if background.uncertainty > 0:  # some pass
            reason = "negative weights cancel the background: only a lower limit is known"
        return (math.inf, limit, math.inf, math.nan), reason
    down = math.hypot(value - z(signal.low, background.value),
                      value - z(signal.value, background.high))  # fmt: skip
    up = math.hypot(z(signal.high, background.value) - value,
                    z(signal.value, background.low) - value)  # fmt: skip
    slope_s, slope_b = _slopes(signal.value, background.value, value, experiment)
    uncertainty = math.hypot(
        slope_s * experiment.signal * signal.uncertainty,
        slope_b * experiment.background * background.uncertainty,
    )
    high = value + up
    reason = None if math.isfinite(high) else "the interval of the background reaches 0"
    return (value, max(value - down, 0.0), high, uncertainty), reason


def _slopes(
    epsilon_signal: float, epsilon_background: float, z: float, experiment: Experiment
) -> tuple[float, float]:
    """Return ∂Z/∂s and ∂Z/∂b at σ_b = δ b; at s = 0 the limit from above."""
    s, b = experiment.signal * epsilon_signal, experiment.background * epsilon_background
    ratio = experiment.background_uncertainty**2 * b
    if z <= 0:
        return 1 / math.sqrt(b * (1 + ratio)), 0.0
    logarithm = math.log1p(s / ((1 + ratio) * (b + s * ratio / (1 + ratio))))
    return logarithm / z, (logarithm - s / (b * (1 + ratio))) / z
