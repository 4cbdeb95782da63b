"""The expected calibration error: one number of a reliability curve, with its interval."""

from __future__ import annotations

import math

import numpy as np

from steepest.evaluate.curves.calibration import CalibrationCurve
from steepest.evaluate.events.arrays import Floats, check_fraction
from steepest.evaluate.merits.merit import ONE_SIGMA, Merit, normal_quantile

__all__ = ["calibration_error"]

_DEFINITION = (
    "sum over {bins} equal bins of the score of |sum of w (outcome - score)| / sum of w; interval "
    "of the true error, by inverting the distribution of the sum of the bins' absolute "
    "fluctuations, which lifts the value"
)
_GRID = 400  # of the inversion


def calibration_error(
    curve: CalibrationCurve,
    level: float = ONE_SIGMA,
    name: str = "expected_calibration_error",
) -> Merit:
    """Return the expected calibration error E = Σ_β |d_β|, with an interval of the true one.

    Absolute values of fluctuations add up: E is above zero for a perfectly calibrated score too.
    With d_β normal about t d_β of width σ_β, |d_β| has mean μ_β(t) and variance v_β(t) in closed
    form (the folded normal), and the true error is t E. The interval holds all t E with
    ``|E − Σ μ_β(t)| ≤ z √Σ v_β(t)``, and is extended to E where it ends below. The value that a
    calibrated score has on average, Σ μ_β(0) = √(2/π) Σ σ_β, is in
    ``counts["expected_if_calibrated"]``: an E near it says nothing against the score, and the
    interval then begins at 0.

    Parameters
    ----------
    curve
        Curve of `calibration_curve`, whose bins it is the error of.
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
    3 (1961) 543, doi:10.1080/00401706.1961.10489974. The interval is this package's; toys in its
    tests hold its coverage.

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
    # beyond t = 1 nothing can be needed but for the width: E + z σ at the most
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
    return Merit(
        name,
        value,
        low,
        high,
        math.sqrt(float(observed.sum())),
        level,
        counts,
        _DEFINITION.format(bins=curve.events.size),
    )


def _folded(mean: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of |x| for x normal about `mean` of width `sigma` (may be 0)."""
    from scipy.special import ndtr

    width = np.where(sigma > 0, sigma, 1.0)
    pull = mean / width
    folded = width * math.sqrt(2 / math.pi) * np.exp(-(pull**2) / 2) + mean * (1 - 2 * ndtr(-pull))
    folded = np.where(sigma > 0, folded, np.abs(mean))
    variance = np.maximum(mean**2 + sigma**2 - folded**2, 0)
    return folded, np.where(sigma > 0, variance, 0.0)
