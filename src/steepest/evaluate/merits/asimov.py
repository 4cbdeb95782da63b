"""The Asimov significance of a counting experiment with an uncertain background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.evaluate.events.arrays import Floats

__all__ = ["Experiment", "asimov_significance"]

_SMALL = 1e-3  # |u| below which h(u) is a series


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is expected before the cut.

    Attributes
    ----------
    signal, background
        S and B: expected events in all, after the selection of the events and before the cut.
    background_uncertainty
        δ: relative systematic uncertainty of the background, 0.1 for 10 %.

    Raises
    ------
    InputError
        Unless S > 0, B > 0 and δ ≥ 0, all finite.
    """

    signal: float
    background: float
    background_uncertainty: float = 0.0

    def __post_init__(self) -> None:
        for name in ("signal", "background"):
            _check_number(f"the expected {name}", getattr(self, name), positive=True)
        name = "the relative background uncertainty"
        _check_number(name, self.background_uncertainty, positive=False)


def _check_number(name: str, value: float, positive: bool) -> None:
    if math.isfinite(value) and (value > 0 if positive else value >= 0):
        return
    raise InputError(
        f"{name} is no number of that kind.",
        expected="a finite number above 0" if positive else "a finite number, 0 or above",
        found=f"{value:g}",
        cause="a cross section or a luminosity of the wrong sign, or a division by zero",
        do="give expected events for signal and background, and 0.1 for 10 %",
    )


def asimov_significance(
    signal: ArrayLike, background: ArrayLike, background_uncertainty: ArrayLike = 0.0
) -> Floats:
    """Return the median significance Z of a discovery, for s over b with uncertainty σ_b.

    ::

        Z² = 2 { (s + b) ln [(s + b)(b + σ_b²) / (b² + (s + b) σ_b²)]
                 − (b²/σ_b²) ln [1 + σ_b² s / (b (b + σ_b²))] }

    and for σ_b = 0: Z² = 2 [(s + b) ln(1 + s/b) − s]. For s ≪ b this is s / √(b + σ_b²). It is
    computed without the cancellations of the formula, as the sum of two Poisson deviances, those
    of n = s + b about b̂ and of m = b²/σ_b² about τ b̂, with τ = b/σ_b², b̂ = (n + m)/(1 + τ).

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
            cause="a down variation with its sign",
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
