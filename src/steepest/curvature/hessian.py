"""∇²J(θ): as a product with a vector, as a whole matrix, and the ends of its spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.curvature.lanczos import Spectrum, lanczos
from steepest.objective import Batch, Objective

Array = np.ndarray

EVENTS = 200_000
"""λmax is measured on so many events at most, evenly spaced through the sample."""
ROUNDING = 32
"""What products in a dtype are off by, in units of its eps and of the largest eigenvalue."""


def hessian_product(objective: Objective, theta: Array, batch: Batch) -> Callable[[Array], Array]:
    """Return v ↦ ∇²J(θ) · v, of and to float64 vectors; the objective uses its own dtype.

    What overflows is infinite or NaN.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[2.0], [-2.0]]), np.zeros(2))
    >>> hessian_product(objective, np.zeros(2), events)(np.array([1.0, 1.0]))
    array([8., 2.])
    """
    at = theta.astype(objective.dtype)

    def product(vector: Array) -> Array:
        with np.errstate(all="ignore"):
            image = objective.hessian_vector(at, vector.astype(objective.dtype), batch)
        return image.astype(np.float64)

    return product


def hessian(objective: Objective, theta: Array, batch: Batch) -> Array:
    """Return ∇²J(θ), ``(size, size)`` float64 and symmetric: one product for each column.

    An objective that has a faster way offers ``hessian(theta, batch)``, which may give None.

    Examples
    --------
    The mean squared error's is 2/m X̃ᵀX̃ wherever θ is, with X̃ = (X, 1):

    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> hessian(objective, np.zeros(2), Batch(np.array([[1.0], [3.0]]), np.zeros(2)))
    array([[10.,  4.],
           [ 4.,  2.]])
    """
    faster = getattr(objective, "hessian", None)
    matrix = faster(theta, batch) if faster is not None else None
    if matrix is not None:
        return matrix
    product = hessian_product(objective, theta, batch)
    matrix = np.stack([product(unit) for unit in np.eye(objective.size)], axis=1)
    return (matrix + matrix.T) / 2


def spectrum_at(
    objective: Objective,
    theta: Array,
    events: Batch,
    *,
    low: int = 2,
    high: int = 2,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Spectrum:
    """Return the `low` lowest and `high` highest eigenvalues of ∇²J(θ), by `lanczos`.

    Rounding in the objective's dtype limits what can be reached near zero.

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
    given = hessian_product(objective, theta, events), objective.size
    return lanczos(*given, low=low, high=high, tolerance=tolerance, rounding=rounding, seed=seed)


def largest_curvature(
    objective: Objective, theta: Array, events: Batch, *, tolerance: float = 1e-4
) -> float:
    """Return λmax of ∇²J(θ), the largest eigenvalue in the algebraic sense; NaN if there is none.

    At most 200,000 events, evenly spaced, are used; `tolerance` is relative.

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


def settled(
    objective: Objective, theta: Array, events: Batch, steps: int = 100, tolerance: float = 1e-11
) -> Array:
    """Return the minimum reached from θ by Newton steps with |λ|, halved until J decreases.

    With |λ| instead of λ, a step goes downhill along every eigenvector, also near a saddle point
    (arXiv:1406.2572). It ends where ‖∇J‖ < `tolerance`.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> settled(objective, np.zeros(2), events)
    array([2., 0.])
    """
    for _ in range(steps):
        loss, gradient = objective.loss_and_gradient(theta, events)
        if np.linalg.norm(gradient) < tolerance:
            break
        values, vectors = np.linalg.eigh(hessian(objective, theta, events))
        size = np.maximum(np.abs(values), 1e-9 * np.abs(values).max())
        step = vectors @ ((vectors.T @ gradient) / size)
        length = 1.0
        while length > 1e-9 and not objective.loss(theta - length * step, events) <= loss:
            length /= 2
        if length <= 1e-9:
            break
        theta = theta - length * step
    return theta
