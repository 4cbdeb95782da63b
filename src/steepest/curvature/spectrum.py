"""Eigenvalues of ∇²J(θ) by Lanczos iterations on Hessian–vector products."""

from __future__ import annotations

import numpy as np

from steepest.curvature.hessian import hessian_product
from steepest.curvature.lanczos import Spectrum, lanczos
from steepest.objective import Batch, Objective

__all__ = ["largest_curvature", "spectrum_at"]

EVENTS = 200_000
"""λmax is measured on so many events at most, evenly spaced through the sample."""
ROUNDING = 32
"""What products in a dtype are off by, in units of its eps and of the largest eigenvalue."""


def spectrum_at(
    objective: Objective,
    theta: np.ndarray,
    events: Batch,
    *,
    low: int = 2,
    high: int = 2,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Spectrum:
    """The ends of the spectrum of ∇²J(θ).

    Parameters
    ----------
    objective, theta, events
        J, where, and on which events.
    low, high
        How many eigenvalues at each end.
    tolerance
        Residuals to reach, as a part of each eigenvalue; rounding in the objective's dtype limits
        what can be reached near zero.
    seed
        Of the first vector.

    Raises
    ------
    FloatingPointError
        J is not finite there.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[2.0], [-2.0]]), np.zeros(2))
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> spectrum_at(objective, np.zeros(2), events).values.round(9)
    array([2., 8.])
    """
    rounding = ROUNDING * float(np.finfo(objective.dtype).eps)
    product = hessian_product(objective, theta, events)
    return lanczos(
        product, objective.size, low=low, high=high, tolerance=tolerance, rounding=rounding,
        seed=seed,
    )  # fmt: skip


def largest_curvature(
    objective: Objective, theta: np.ndarray, events: Batch, *, tolerance: float = 1e-4
) -> float:
    """Return λmax of ∇²J(θ), the largest eigenvalue in the algebraic sense; NaN if there is none.

    Parameters
    ----------
    objective, theta, events
        J, where, and on which events (at most 200,000 of them, evenly spaced, are used).
    tolerance
        Relative accuracy of the eigenvalue.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.zeros(2))
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> round(largest_curvature(objective, np.zeros(2), events), 6)
    2.0
    """
    if len(events) > EVENTS:
        events = events.take(np.linspace(0, len(events) - 1, EVENTS).astype(np.int64))
    try:
        found = spectrum_at(objective, theta, events, low=0, high=1, tolerance=tolerance)
    except FloatingPointError:
        return float("nan")
    return float(found.values[-1]) if found.converged else float("nan")
