"""The largest curvature of J, by Lanczos iterations on Hessian–vector products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.objective import Batch, Objective

__all__ = ["largest_curvature"]

EVENTS = 200_000
"""The curvature is measured on so many events at most, evenly spaced through the sample."""


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
    from scipy.sparse.linalg import ArpackError  # where it is needed: it takes a tenth of a second

    events = thinned(events)
    size = objective.size

    def product(vector: np.ndarray) -> np.ndarray:
        vector = np.asarray(vector, dtype=objective.dtype).ravel()
        return objective.hessian_vector(theta, vector, events).astype(np.float64)

    try:
        return _largest_eigenvalue(product, size, tolerance)
    except (ArpackError, np.linalg.LinAlgError):  # not finite, or not converged
        return float("nan")


def _largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray], size: int, tolerance: float
) -> float:
    if size <= 3:  # too small for Lanczos
        hessian = np.column_stack([product(column) for column in np.eye(size)])
        return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1])
    from scipy.sparse.linalg import LinearOperator, eigsh

    start = np.random.default_rng(0).normal(size=size)
    # SciPy's own annotations do not know these arguments
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    values = eigsh(
        operator,
        k=1,
        which="LA",
        v0=start,
        tol=tolerance,  # pyright: ignore[reportArgumentType]
        maxiter=1000,
        return_eigenvectors=False,
    )
    return float(values[0])


def thinned(events: Batch, most: int = EVENTS) -> Batch:
    """At most `most` of the events, evenly spaced."""
    if len(events) <= most:
        return events
    return events.take(np.linspace(0, len(events) - 1, most).astype(np.int64))
